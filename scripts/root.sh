#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes the toolchain root: a small Debian 13 with the compilers the Debian
# kernels were built with, or with TOOLCHAIN=newest a small Debian testing with
# newer ones; with an argument ("bench", "deb", "machine") another one.  Needs no
# root where user namespaces are allowed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

what="toolchain root"
if [ $# -gt 0 ]; then
	what="$1 root"
	key=${1^^}_KEY
	packages=${1^^}_PACKAGES
	ROOT_KEY=${!key}
	ROOT_PACKAGES=${!packages}
	ROOT_SUITE=trixie
fi

# The mirror this machine uses for Debian itself; empty means "the default".
debian_mirror() {
	command -v apt-get >/dev/null || return 0
	# shellcheck disable=SC2016 # apt's own variables
	apt-get indextargets --format \
		'$(ORIGIN)|$(LABEL)|$(COMPONENT)|$(RELEASE)|$(REPO_URI)' \
		'Created-By: Packages' 2>/dev/null | awk -F'|' '
		$3 == "main" && $4 !~ /security|pgdg/ &&
		(($1 == "Debian" && $2 == "Debian") ||
		 ($1 == "" && $5 ~ /\/debian\/?$/)) {
			if ($5 ~ /^(https?:|mirror\+file:)/) { print $5; exit }
		}' | sed 's#/$##' | while read -r uri; do
		# Cloud images keep the address in a file of its own.
		case $uri in
		mirror+file:*) awk 'NF && !/^#/ { print $1; exit }' "${uri#mirror+file:}" ;;
		*) say "$uri" ;;
		esac
	done
}

make_root() {
	# Namespaces of its own: whatever happens, no mount and no process is left.
	local run=(setpriv --pdeathsig KILL
		unshare --mount --pid --fork --kill-child --mount-proc)
	as_root || run=(unshare --map-root-user --map-auto "${run[@]}")
	local key=/usr/share/keyrings/debian-archive-keyring.gpg source=() foreign=()
	[ -z "$FOREIGN" ] || foreign=(--architectures="$HOST,$MACHINE")
	[ -z "$mirror" ] ||
		source=("deb [signed-by=$key] $mirror $ROOT_SUITE main")
	{ apt_options; say 'Acquire::Languages "none";'; } >"$STAGE/apt.conf"
	# The host's certificates are bound over the empty file when needed.
	# shellcheck disable=SC2016 # the hooks' own $1
	"${run[@]}" mmdebstrap --mode=root --variant=apt "${foreign[@]}" \
		--include="$(tr -s ' \n\t' , <<<"$ROOT_PACKAGES")" \
		--aptopt="$STAGE/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--skip=output/dev \
		--customize-hook='mkdir -p "$1/etc/ssl/certs"' \
		--customize-hook='touch "$1/etc/ssl/certs/ca-certificates.crt"' \
		"$ROOT_SUITE" "$STAGE/root" "${source[@]}"
}

explain() {
	remove "$STAGE"
	local log=$1
	grep -E '^(E|W|Err|unshare|newuidmap|mmdebstrap)[: ]' "$log" | tail -n 5 >&2 ||
		tail -n 5 "$log" >&2
	case $(cat "$log") in
	*'No space left'*)
		die "The disk is full; the $what needs 4 GiB in $CACHE." \
			"Free some space, or set SYNCMAP_CACHE to another folder." ;;
	*NO_PUBKEY* | *'is not signed'*)
		die "This machine does not know the signing keys of Debian 13." \
			"Upgrade the package debian-archive-keyring and try again." ;;
	*'Failed to fetch'* | *'Could not resolve'* | *'Could not connect'* | \
		*'Temporary failure'* | *'does not have a Release file'*)
		die "Debian ($ROOT_SUITE) could not be fetched from" \
			"${mirror:-the default mirror}." \
			"Check the network, or set SYNCMAP_MIRROR to another Debian mirror." ;;
	*'Operation not permitted'* | *unshare:* | *newuidmap:*)
		die "The $what could not be made without more rights: this" \
			"machine or container does not permit user namespaces here. Run as" \
			"root, or allow them (and give this user ranges in /etc/subuid and" \
			"/etc/subgid)." ;;
	esac
	die "mmdebstrap could not make the $what; the log is" "$log"
}

# may_map: whether this user may have a namespace with ids of its own.  Where that is
# refused, unshare leaves a process behind, which would keep our locks.
may_map() {
	local pid status=0
	setsid unshare --map-root-user --map-auto true 2>/dev/null &
	pid=$!
	wait "$pid" || status=$?
	kill -9 -- "-$pid" 2>/dev/null || true
	return "$status"
}

make_cache
root=$(root_dir)
if [ -d "$root" ]; then
	touch "$root"
	exit 0
fi
begin_setup
if ! [ -d "$root" ]; then
	if ! as_root; then
		may_map ||
			die "This user may not create user namespaces with their own user ids," \
				"which the $what needs. Run as root, or allow them:" \
				"user namespaces must be enabled (sysctl user.max_user_namespaces)" \
				"and $(id -un) needs ranges in /etc/subuid and /etc/subgid" \
				"(sudo usermod --add-subuids 100000-165535 \\" \
				"   --add-subgids 100000-165535 $(id -un))."
	fi
	need_space 4096 "The $what"
	mirror=${SYNCMAP_MIRROR:-$(debian_mirror)}
	say "      Debian ($ROOT_SUITE) from ${mirror:-the default mirror}"
	say "      (2 GiB on disk; takes one to three minutes)"
	watch "$CACHE/root.log" 0 make_root
	[ "$STATUS" -eq 0 ] || explain "$CACHE/root.log"
	publish root "$root"
	prune root "$root"
fi
end_setup
