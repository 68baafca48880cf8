#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prepares a stock Debian kernel: its vmlinuz to boot, and an output folder
# that can build Rust modules for it (Debian's headers packages cannot).
# KERNEL is a series (7.3, 7.2), FLAVOUR is cloud, amd64 or rt; or debug, which is
# a kernel of our own of the same source.

TOOLCHAIN= # those are built by the compilers of Debian 13
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/build-folder.sh
. "$SCRIPTS/build-folder.sh"

case $FLAVOUR in
cloud | rt) suffix=$FLAVOUR-amd64 ;;
amd64) suffix=amd64 ;;
debug)
	FLAVOUR=cloud "$0"
	exec "$SCRIPTS/own.sh" debug
	;;
*) die "FLAVOUR=$FLAVOUR is not known." "Choose cloud, amd64, rt or debug." ;;
esac
case ${KERNEL:-} in
'') wanted=(7.3 7.2) ;;
7.[0-9] | 7.[0-9][0-9]) wanted=("$KERNEL") ;;
*) die "KERNEL=$KERNEL is not a kernel series." "Choose 7.3 or 7.2." ;;
esac

# The newest kernel of a series for which the matching source is listed too.
discover() {
	local s release point
	for s in "${wanted[@]}"; do
		while read -r release; do
			point=${release%%+*}
			version=$(apt_in_root apt-cache madison "linux-source-$s" |
				awk -v p="$point-" 'index($3, p) == 1 { print $3; exit }')
			[ -z "$version" ] || {
				say "$s $release $version"
				return
			}
		done < <(apt_in_root apt-cache pkgnames "linux-headers-$s." |
			sed -nE "s/^linux-headers-([0-9.]+\+deb13[0-9a-z.]*-$suffix)\$/\1/p" |
			sort -Vr)
	done
	return 1
}

download() {
	apt_in_root apt-get download "linux-binary-$release" \
		"linux-headers-$release"
	[ -d "$CACHE/$tree" ] ||
		apt_in_root apt-get download "linux-source-$series=$version"
}

unpack() {
	unpack_debs unpacked
	[ ! -d "$CACHE/$tree" ] || return 0
	mkdir "$STAGE/source"
	# A line now and then shows how far it is (of about 1.6 GiB).
	in_root -- tar --checkpoint=20000 --checkpoint-action=echo=%T \
		-xf "/cache/stage/unpacked/usr/src/linux-source-$series.tar.xz" \
		-C /cache/stage/source --strip-components=1
	publish source "$CACHE/$tree"
}

prepare() {
	local headers=$STAGE/unpacked/usr/src/linux-headers-$release
	mkdir -p "$STAGE/kernel/build"
	cp "$STAGE/unpacked/usr/lib/modules/$release/vmlinuz" "$STAGE/kernel/vmlinuz"
	cp "$headers/.config" "$headers/Module.symvers" "$STAGE/kernel/build"
	say "$release" >"$STAGE/kernel/release"
	ln -s "../$tree" "$STAGE/kernel/source" # where it will be seen from
	prepare_args "$release"
	in_kernel "$STAGE/kernel" --bind "$STAGE/kernel" /kernel -- \
		make -C /source O=/kernel/build "${PREPARE[@]}"
	survived "$release" "$headers/.config" "$STAGE/kernel/build/.config"
}

explain() {
	remove "$STAGE"
	tail -n 8 "$CACHE/kernel.log" >&2
	case $(cat "$CACHE/kernel.log") in
	*'No space left'*)
		die "The disk is full; a prepared kernel needs 4 GiB in $CACHE." \
			"Free some space, or set SYNCMAP_CACHE to another folder." ;;
	*'Failed to fetch'* | *'Could not resolve'* | *'Could not connect'* | \
		*'Temporary failure'*)
		die "The kernel packages could not be fetched." \
			"Check the network and try again; log: $CACHE/kernel.log" ;;
	esac
	die "$1" "The log is $CACHE/kernel.log"
}

# logged LINES SENTENCE COMMAND...: one part of the work, explained if it fails.
logged() {
	local lines=$1 sentence=$2
	shift 2
	watch "$CACHE/kernel.log" "$lines" "$@"
	[ "$STATUS" -eq 0 ] || explain "$sentence"
}

make_cache
link=$(kernel_dir)
if [ -d "$link" ] && [ -z "${UPDATE:-}" ]; then
	touch "$(readlink -f "$link")" "$(readlink -f "$link/source")"
	say "      $(cat "$link/release") is ready"
	exit 0
fi
begin_setup
if ! [ -d "$link" ] || [ -n "${UPDATE:-}" ]; then
	need_space 4096 "A prepared kernel"
	logged 0 "The lists of kernel packages could not be read." \
		apt_setup trixie trixie-backports
	read -r series release version < <(discover) || true
	[ -n "${release:-}" ] ||
		die "Debian lists no kernel of the series ${wanted[*]}, flavour $FLAVOUR." \
			"Choose another KERNEL or FLAVOUR (make help)."
	name=linux-${release//+/-}-$KERNEL_KEY
	tree=source-${version//[~+]/-}
	if ! [ -d "$CACHE/$name" ]; then
		say "      Linux $release: downloading"
		logged 0 "The kernel packages could not be fetched." download
		say "      Linux $release: unpacking the source"
		logged 0 "The kernel packages could not be unpacked." unpack
		say "      Linux $release: preparing it for building Rust modules"
		logged 213 "Linux $release could not be prepared." prepare
		publish kernel "$CACHE/$name"
	fi
	ln -s "$name" "$STAGE/link"
	mv -T "$STAGE/link" "$link"
	prune linux "$CACHE/$name"
	prune source "$CACHE/$tree"
	say "      $release is ready"
fi
end_setup
