#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# in-root.sh COMMAND...: runs COMMAND inside the toolchain root, with the
# prepared kernel (KERNEL, FLAVOUR; or UML=kunit) as /kernel and /source, this
# source tree as /syncmap and the cache as /cache.  For looking around.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$(kernel_dir)
[ -z "${UML:-}" ] || dir=$(uml_dir)
[ -d "$dir" ] || die "There is no prepared kernel yet." "Run make run once."
in_kernel "$(readlink -f "$dir")" --bind "$SOURCE" /syncmap -- "$@"
