#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# dkms-build.sh RELEASE KDIR: for dkms, before its own make: what the headers of that
# kernel lack, and the module itself.  If that cannot be had, says why, and ends with
# the status by which dkms passes a kernel over: when a kernel is installed, no fault
# of this module may hold that up.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# dkms: "skipped due to BUILD_EXCLUSIVE".
PASSED_OVER=77

release=$1 kdir=$2
if ! { "$SCRIPTS/metadata.sh" "$release" && make -C "$SOURCE" KDIR="$kdir" modules; }; then
	say "syncmap is not built for Linux $release; the reasons are above. When they" \
		"are gone, say: dkms install syncmap/$(cat "$SOURCE/tools/packages/VERSION") -k $release"
	exit "$PASSED_OVER"
fi
