#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The few tools needed on the host itself: installed when we are root, named
# when we are not.  Everything else lives in the toolchain root.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# Of the mounts that are made here, the rest of the machine must see nothing.
private=(unshare --mount true)
as_root || private=(unshare --map-root-user --mount true)
said=$("${private[@]}" 2>&1) || case $said in
*propagation*)
	die "The root folder of this system is not a mount point, as in a plain chroot:" \
		"nothing can be mounted here for syncmap alone. On the host, make it one" \
		"before you enter it: mount --bind FOLDER FOLDER; chroot FOLDER" ;;
*)
	as_root || die "This user may not create user namespaces, in which all tools run here." \
		"In a chroot the kernel permits none: run as root there, or use a container" \
		"(systemd-nspawn). Elsewhere they may be switched off: see the sysctls" \
		"user.max_user_namespaces, kernel.unprivileged_userns_clone and" \
		"kernel.apparmor_restrict_unprivileged_userns." ;;
esac

missing=()
want() { command -v "$1" >/dev/null || missing+=("$2"); }

if ! [ -d "$(root_dir)" ]; then
	want mmdebstrap mmdebstrap
	want mount mount
	[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
		missing+=(debian-archive-keyring)
	as_root || want newuidmap uidmap
fi
want bwrap bubblewrap
want flock util-linux
[ ${#missing[@]} -gt 0 ] || exit 0

command -v apt-get >/dev/null ||
	die "These tools are missing: ${missing[*]}." \
		"Install them with this system's package manager and try again." \
		"(Tried on Debian 12 and 13, where apt-get would do it.)"
as_root ||
	die "These tools are missing: ${missing[*]}." "Please have them installed:" \
		"  sudo apt-get install --no-install-recommends ${missing[*]}"

make_cache
say "      Installing on this machine: ${missing[*]}"
install=(apt-get -y --no-install-recommends install "${missing[@]}")
export DEBIAN_FRONTEND=noninteractive
log=$CACHE/host.log
watch "$log" 0 "${install[@]}"
if [ "$STATUS" -ne 0 ]; then # perhaps there are no package lists yet
	watch "$log" 0 apt-get update
	watch "$log" 0 "${install[@]}"
fi
if [ "$STATUS" -ne 0 ]; then
	tail -n 5 "$log" >&2
	die "apt-get could not install ${missing[*]}." \
		"Check the network and the apt sources of this machine; log: $log"
fi
