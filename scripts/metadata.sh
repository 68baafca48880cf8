#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make kernel-metadata [RELEASE=...]: Debian's headers packages can build modules
# in C, not in Rust: they lack what the kernel's Rust crates say of themselves.
# Makes it from the package with the matching source, and with it a folder that
# make finds by itself, in /var/lib/syncmap/kernels for root and in the cache for
# anybody else.  Runs on the Debian 13 whose kernel it is: its compilers are those
# that the kernel was built with.  metadata.sh --check RELEASE only says what is
# missing for that, and what to tell DKMS afterwards.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/build-folder.sh
. "$SCRIPTS/build-folder.sh"

checks=
[ "${1:-}" != --check ] || { checks=1 && shift; }
release=${1:-${RELEASE:-$(uname -r)}}
headers=/usr/src/linux-headers-$release
series=$(series_of "$release")
tarball=/usr/src/linux-source-$series.tar.xz

# What is to be said when nothing is missing any more.
afterwards=()
[ -z "$checks" ] || afterwards=("Then say: sudo dkms autoinstall -k $release")

# unsuitable SENTENCE: no module can be built for this kernel; which ones there are.
unsuitable() {
	local flavour=${release#*-}
	[[ $flavour =~ ^((cloud|rt)-)?(amd64|arm64)$ ]] || flavour=$MACHINE
	local ways=("With trixie-backports in apt's sources, this installs one that is:"
		"  sudo apt-get install linux-image-$flavour/trixie-backports \\"
		"    linux-headers-$flavour/trixie-backports linux-source/trixie-backports")
	[ -n "$checks" ] || ways+=(
		"Or name another that is here with RELEASE=<release>: ls /usr/src/linux-headers-*")
	die "$1" "${ways[@]}"
}

# Packages that are missing, by what they bring.
packages=()
want() { command -v "$1" >/dev/null || packages+=("$2"); }
want_file() { [ -e "$1" ] || packages+=("$2"); }

# The version of an installed package, or nothing.
installed() {
	# shellcheck disable=SC2016 # dpkg-query's own variables
	dpkg-query -W -f '${db:Status-Status} ${Version}\n' "$1" 2>/dev/null |
		sed -n 's/^installed //p'
}

check_machine() {
	command -v dpkg-query >/dev/null ||
		die "This is for kernels of Debian, which this machine has not." \
			"For any other see docs/install.md."
	is_supported "$series" ||
		unsuitable "syncmap needs Linux $OLDEST_SERIES or newer, which $release is not."
	want_file "$headers/.config" "linux-headers-$release"
	want_file "$tarball" "linux-source-$series"
	want_file /usr/include/libelf.h libelf-dev
	want_file /usr/include/dwarf.h libdw-dev
	want_file /usr/include/openssl/ssl.h libssl-dev
	want_file /usr/include/zlib.h zlib1g-dev
	want_file /usr/include/stdio.h libc6-dev
	want make make
	want gcc gcc
	want flex flex
	want bison bison
	want bc bc
	want perl perl
	want python3 python3
	want xz xz-utils
	want rustc rustc
	want bindgen bindgen
	! command -v rustc >/dev/null ||
		want_file "$(rustc --print sysroot)/lib/rustlib/src/rust/library/core/src/lib.rs" \
			rust-src
	[ ${#packages[@]} -eq 0 ] ||
		die "The Rust metadata of Linux $release needs these packages:" \
			"  sudo apt-get install --no-install-recommends \\" \
			"    ${packages[*]}" \
			"Kernels with Rust, and their source, are in trixie-backports: it must be" \
			"in apt's sources. Not with -t: compilers must be those of Debian 13." \
			"${afterwards[@]}"
}

# The headers are of this very version, and so must be the source.
check_versions() {
	local of_headers of_source
	grep -qx CONFIG_RUST=y "$headers/.config" ||
		unsuitable "syncmap needs a kernel with Rust, and Linux $release is built without."
	of_headers=$(installed "linux-headers-$release")
	of_source=$(installed "linux-source-$series")
	[ "$of_headers" = "$of_source" ] ||
		die "The headers of Linux $release are of version $of_headers," \
			"but linux-source-$series is ${of_source:-not installed}. Upgrade them together:" \
			"  sudo apt-get install linux-source-$series=$of_headers" \
			"or, if that is no longer there, the kernel, its headers and the source." \
			"${afterwards[@]}"
	find_rustc "$headers/.config" ||
		die "The Rust compiler is $HAVE, but Linux $release was built with $WANT." \
			"Install Debian 13's package rustc, or name another with RUSTC=<path>." \
			"${afterwards[@]}"
}

# unpack: what the Rust crates and the tools are made of; of drivers and the like
# only what the configuration is read from.
unpack() {
	local one without=()
	for one in 'Documentation/*/*' 'tools/testing/*' 'sound/*.[ch]' 'net/*.c' \
		'fs/*.c' 'drivers/*.c' 'drivers/gpu/*.h' 'drivers/net/*.h' \
		'drivers/media/*.h' 'drivers/staging/*.h' 'arch/*.dts' 'arch/*.dtsi' \
		"arch/[!${KARCH:0:1}]*/*.[chS]"; do
		without+=(--exclude="linux-source-$series/$one")
	done
	mkdir "$stage/source"
	tar -C "$stage/source" --strip-components=1 --checkpoint=10000 \
		--checkpoint-action=echo=%T --anchored --wildcards \
		--wildcards-match-slash "${without[@]}" -xf "$tarball"
}

prepare() {
	mkdir "$stage/build"
	cp "$headers/.config" "$headers/Module.symvers" "$stage/build"
	prepare_args "$release"
	# Whatever make runs us (dkms, make kernel-metadata) has flags of its own.
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u KERNELRELEASE -u O -u M -u CC -u LLVM \
		-u ARCH make -C "$stage/source" O="$stage/build" RUSTC="$RUSTC" "${PREPARE[@]}"
	survived "$release" "$headers/.config" "$stage/build/.config"
}

# assemble: Debian's headers, linked, with the metadata beside them: all that
# modules are built with is Debian's own, and little of it is here twice.
assemble() {
	local out=$stage/out one
	mkdir -p "$out/scripts" "$out/rust"
	sed "s#^KBUILD_OUTPUT=.*#KBUILD_OUTPUT=$target#" "$headers/Makefile" >"$out/Makefile"
	# Copies, which tell when the headers have become others.
	cp "$headers/.config" "$headers/Module.symvers" "$headers/.kernelvariables" "$out"
	for one in arch include tools vmlinux; do
		[ ! -e "$headers/$one" ] || ln -s "$headers/$one" "$out/$one"
	done
	for one in "$headers"/scripts/*; do
		ln -s "$one" "$out/scripts"
	done
	# Where rustc knows the architecture by itself, there is none.
	[ ! -e "$stage/build/scripts/target.json" ] ||
		cp "$stage/build/scripts/target.json" "$out/scripts"
	cp "$stage"/build/rust/*.rmeta "$stage"/build/rust/*.so "$out/rust"
	strip --strip-debug "$out"/rust/*.so
	say "$(installed "linux-headers-$release")" >"$out/version"
}

# forget_gone: removes the folders of kernels that are no longer installed.
forget_gone() {
	local one
	for one in "$KERNELS"/*; do
		if [ -d "$one" ] && [ ! -e "/usr/src/linux-headers-${one##*/}" ]; then
			rm -rf "$one"
		fi
	done
}

part() {
	say "      $2"
	watch "$CACHE/metadata.log" "$1" "$3"
	[ "$STATUS" -eq 0 ] && return
	rm -rf "$stage"
	tail -n 8 "$CACHE/metadata.log" >&2
	! grep -q 'No space left' "$CACHE/metadata.log" ||
		die "The disk is full; 2 GiB are needed meanwhile in $CACHE."
	die "The Rust metadata of Linux $release could not be made." \
		"The log is $CACHE/metadata.log"
}

if as_root; then
	CACHE=$(dirname "$KERNELS")
	where=$KERNELS
else
	where=$(own_kernels)
fi
make_cache
[ ! -r "$headers/.config" ] || lacks_metadata "$headers" || {
	say "The headers of Linux $release have their Rust metadata."
	exit 0
}
[ -z "$checks" ] || {
	check_machine
	check_versions
	exit 0
}
target=$where/$release
lock "kernels-$release"
if [ -r "$headers/.config" ] && made_for "$headers" "$release" >/dev/null; then
	say "The Rust metadata of Linux $release is there:" \
		"$(made_for "$headers" "$release")"
	exit 0
fi
check_machine
check_versions
need_space 2048 "Making the Rust metadata of Linux $release"
mkdir -p "$where"
stage=$where/.stage-$release
rm -rf "$stage"
mkdir "$stage"
say "The Rust metadata of Linux $release (takes some minutes, once):"
part 0 "unpacking the source" unpack
part 213 "compiling the kernel's Rust crates" prepare
part 0 "putting it together" assemble
rm -rf "$target"
mv -T "$stage/out" "$target"
rm -rf "$stage"
! as_root || forget_gone
say "It is in $target ($(du -sm "$target" | cut -f1) MiB); now say make."
