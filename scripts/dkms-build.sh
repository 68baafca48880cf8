#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms-build.sh RELEASE KDIR LOG: builds for dkms what the headers of that kernel lack,
# and the module.  If that fails, leaves the reasons in LOG, since dkms removes its own
# log with the next build, and ends with the status by which dkms passes a kernel over:
# when a kernel is installed, no fault of this module may hold that up.  For the same
# reason, does not source lib.sh, which stops on machines and variables it does not know.

export LC_ALL=C
umask 022

# dkms: "skipped due to BUILD_EXCLUSIVE".
PASSED_OVER=77

release=$1 kdir=$2 log=$3
source=$(cd "$(dirname "$0")/.." && pwd -P)
unset ARCH TIMEOUT TOOLCHAIN

# forget_gone: removes the logs of kernels that are no longer installed.
forget_gone() {
	local one gone
	for one in "$(dirname "$log")"/[0-9]*.log; do
		gone=${one##*/}
		[ -e "/lib/modules/${gone%.log}" ] || rm -f "$one"
	done
}

mkdir -p "$(dirname "$log")"
forget_gone
{
	"$source/scripts/metadata.sh" "$release" &&
		make -C "$source" -j"$(nproc)" KDIR="$kdir" modules
} </dev/null 2>&1 | tee "$log"
if [ "${PIPESTATUS[0]}" -eq 0 ]; then
	rm -f "$log"
	exit 0
fi
version=$(cat "$source/tools/packages/VERSION")
printf '%s\n' "syncmap is not built for Linux $release; the reasons are above." \
	"When they are gone, say: sudo dkms install syncmap/$version -k $release" |
	tee -a "$log"
echo "All this is in $log, too."
exit "$PASSED_OVER"
