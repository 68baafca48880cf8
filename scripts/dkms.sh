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
[ -z "$(dkms status "syncmap/$version")" ] || dkms remove "syncmap/$version" --all
rm -rf "$place"
"$SCRIPTS/module-source.sh" "$place"
# dkms sets a module aside that was installed by hand, instead of stopping there; for
# kernels that come later, too.
mkdir -p /usr/share/dkms/modules_to_force_install
say syncmap >/usr/share/dkms/modules_to_force_install/syncmap
dkms add "syncmap/$version"
release=${RELEASE:-$(uname -r)}
dkms install "syncmap/$version" -k "$release" || {
	log=/var/lib/syncmap/$release.log
	[ ! -e "$log" ] || tail -n 12 "$log" >&2
	die "DKMS has not installed syncmap for Linux $release; the reasons are above."
}
"$SCRIPTS/installed.sh" "$release"
