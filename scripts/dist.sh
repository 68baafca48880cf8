#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make dist: the source of the last commit as syncmap-VERSION.tar.xz, the same byte for
# byte each time.  Prints its path.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

version=$(cat "$SOURCE/tools/packages/VERSION")
git -C "$SOURCE" rev-parse HEAD >/dev/null 2>&1 ||
	die "This is no git repository, but a copy of its source already."
make_cache
out=$(work_dir)/dist
mkdir -p "$out"
git -C "$SOURCE" archive --prefix="syncmap-$version/" HEAD |
	xz -T1 >"$out/syncmap-$version.tar.xz"
say "$out/syncmap-$version.tar.xz"
