#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Prepares a stock Debian kernel: its vmlinuz to boot, and an output folder
# that can build Rust modules for it (Debian's headers packages cannot).
# KERNEL is a series (7.3), FLAVOUR is cloud, amd64 (or arm64) or rt; or debug, which
# is a kernel of our own of the same source.  Without KERNEL it is of the newest series
# that Debian lists and for which syncmap builds and loads.  With TOOLCHAIN=newest and
# no UML, it is one of Debian's testing suite.  --series prints what Debian lists.

# A kernel of our own has the source of a stock kernel of Debian 13.
[ -z "${UML:-}" ] || TOOLCHAIN=
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/build-folder.sh
. "$SCRIPTS/build-folder.sh"

case $FLAVOUR in
cloud | rt) suffix=$FLAVOUR-$MACHINE ;;
"$MACHINE") suffix=$MACHINE ;;
arm64-16k)
	[ "$MACHINE" = arm64 ] || die "FLAVOUR=arm64-16k is for arm64 only."
	suffix=arm64-16k
	;;
debug)
	[ "$MACHINE" = amd64 ] || die "FLAVOUR=debug is for x86-64 only."
	FLAVOUR=cloud "$0"
	exec "$SCRIPTS/own.sh" debug
	;;
*) die "FLAVOUR=$FLAVOUR is not known." "Choose cloud, $MACHINE, rt or debug." ;;
esac
[ -z "${KERNEL:-}" ] || is_supported "$KERNEL" ||
	die "KERNEL=$KERNEL is not a kernel series that syncmap supports." \
		"Choose one from $OLDEST_SERIES on, such as ${TRIED_SERIES%% *}."

# Of each series that is wanted, the newest first, the newest kernel for which the
# matching source is listed too.
discover() {
	apt_in_root apt-cache pkgnames linux- >"$STAGE/names"
	grep -E '^linux-source-[0-9.]+$' "$STAGE/names" |
		apt_in_root xargs apt-cache madison >"$STAGE/sources"
	"$SCRIPTS/series.sh" "$suffix" "$STAGE/names" "$STAGE/sources" |
		awk -v series="${KERNEL:-}" 'series == "" || $1 == series'
}

download() {
	apt_in_root apt-get download "linux-binary-$release$FOREIGN" \
		"linux-headers-$release$FOREIGN" ${FOREIGN:+"busybox-static$FOREIGN"}
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
	# Of the root's, none runs there.
	[ -z "$FOREIGN" ] || cp "$STAGE/unpacked/usr/bin/busybox" "$STAGE/kernel"
	say "$release" >"$STAGE/kernel/release"
	ln -s "../$tree" "$STAGE/kernel/source" # where it will be seen from
	prepare_args "$release"
	in_kernel "$STAGE/kernel" --bind "$STAGE/kernel" /kernel -- \
		make -C /source O=/kernel/build ${CROSS:+ARCH="$KARCH" CROSS_COMPILE="$CROSS"} \
		"${PREPARE[@]}"
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

# prepare_kernel: the kernel release, in the folder name with the source tree.  In
# STATUS, whether it could be prepared; unless KERNEL chose it, that may fail.
prepare_kernel() {
	STATUS=0
	[ ! -d "$CACHE/$name" ] || return 0
	need_space 4096 "A prepared kernel"
	say "      Linux $release: downloading"
	logged 0 "The kernel packages could not be fetched." download
	say "      Linux $release: unpacking the source"
	logged 0 "The kernel packages could not be unpacked." unpack
	say "      Linux $release: preparing it for building Rust modules"
	watch "$CACHE/kernel.log" 213 prepare
	if [ "$STATUS" -eq 0 ]; then
		publish kernel "$CACHE/$name"
	elif [ -n "${KERNEL:-}" ]; then
		explain "Linux $release could not be prepared."
	else
		remove "$STAGE/unpacked" "$STAGE/kernel"
	fi
}

# try_kernel: leaves in STATUS whether syncmap builds for a kernel and loads there.
try_kernel() {
	say "      Linux $release: trying whether syncmap builds and loads there"
	watch "$CACHE/trial.log" 0 env UML='' PREPARED="$CACHE/$name" "$SCRIPTS/trial.sh"
}

# take: prepares the first kernel of stage/candidates that will do.
take() {
	local what log
	while read -r series release version <&3; do
		name=linux-${release//+/-}-$KERNEL_KEY
		tree=source-${version//[~+]/-}
		what=prepared log=kernel.log
		prepare_kernel
		if [ "$STATUS" -eq 0 ] && [ -z "${KERNEL:-}" ]; then
			what="used yet" log=trial.log
			try_kernel
		fi
		[ "$STATUS" -ne 0 ] || return 0
		mv "$CACHE/$log" "$CACHE/$series-$log"
		say "      Linux $release cannot be $what: the next series is taken."
		say "      The log is $CACHE/$series-$log"
	done 3<"$STAGE/candidates"
	remove "$STAGE"
	die "None of the kernels that Debian lists can be used." \
		"The logs are $CACHE/*-kernel.log and $CACHE/*-trial.log." \
		"Get a newer syncmap, or choose another FLAVOUR (make help)."
}

make_cache
if [ "${1:-}" = --series ]; then
	begin_setup
	logged 0 "The lists of kernel packages could not be read." \
		apt_setup "${KERNEL_SUITES[@]}" >&2
	KERNEL='' discover | cut -d ' ' -f 1
	end_setup
	exit
fi
link=$(stock_dir)
if [ -d "$link" ] && [ -z "${UPDATE:-}" ]; then
	touch "$(readlink -f "$link")" "$(readlink -f "$link/source")"
	say "      $(cat "$link/release") is ready"
	exit 0
fi
begin_setup
if ! [ -d "$link" ] || [ -n "${UPDATE:-}" ]; then
	logged 0 "The lists of kernel packages could not be read." \
		apt_setup "${KERNEL_SUITES[@]}"
	discover >"$STAGE/candidates"
	[ -s "$STAGE/candidates" ] ||
		die "Debian lists no kernel of flavour $FLAVOUR that has Rust${KERNEL:+, of the series $KERNEL}." \
			"Choose another KERNEL or FLAVOUR (make help)."
	take
	ln -s "$name" "$STAGE/link"
	mv -T "$STAGE/link" "$link"
	prune linux "$CACHE/$name"
	prune source "$CACHE/$tree"
	say "      $release is ready"
fi
end_setup
