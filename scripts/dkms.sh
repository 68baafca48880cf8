#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make dkms: gives the module to dkms, which builds it for the running kernel
# (RELEASE: for another), and anew whenever a kernel is installed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

as_root || die "Only root may do this." "Say sudo make dkms."
command -v dkms >/dev/null ||
	die "dkms is missing." "Install it: sudo apt-get install dkms"
version=$(cat "$SOURCE/tools/packages/VERSION")
place=/usr/src/syncmap-$version
[ ! -e "$place" ] || [ -e "$place/dkms.conf" ] ||
	die "$place is there, but nothing of syncmap's." "Remove it, and try again."
# One that is there already is replaced.
! dkms status "syncmap/$version" | grep -q . || dkms remove "syncmap/$version" --all
rm -rf "$place"
"$SCRIPTS/module-source.sh" "$place"
dkms add "syncmap/$version"
release=${RELEASE:-$(uname -r)}
dkms install --force "syncmap/$version" -k "$release"
"$SCRIPTS/installed.sh" "$release"
