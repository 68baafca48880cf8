#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# trial.sh: whether the module builds for a kernel, PREPARED if that is set, and
# whether it loads and unloads there.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

dir=$(work_dir)/trial
mkdir -p "$dir"
out=$("$SCRIPTS/module.sh")
"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$SCRIPTS/job-trial.sh" \
	"$out/syncmap.ko=/syncmap.ko"
V=1 "$SCRIPTS/guest.sh" "$dir" "$(limit 120)"
