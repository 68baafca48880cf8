#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# own.sh NAME: builds a kernel of our own from the source that kernel.sh has
# unpacked.  On User Mode Linux: kunit for the tests, two CPUs and all debugging
# on; bench, up to 64 CPUs, built for speed.  For QEMU: debug, two CPUs and all
# debugging on.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

name=$1
[ "$HOST-$MACHINE" = amd64-amd64 ] ||
	die "Kernels of our own are made on x86-64, and for it, only." \
		"Without UML and FLAVOUR=debug, tests run on Debian's own kernel."
case $name in
debug)
	title="Debug kernel"
	lines=2200 time="ten minutes or more"
	image=arch/x86/boot/bzImage installed=vmlinuz
	;;
*)
	title="User Mode Linux, $name"
	lines=1110 time="three to six minutes"
	[ "$name" != kunit ] || lines=1457 time="five to ten minutes"
	image=linux installed=linux
	;;
esac

patched_files() { own_patch "$name" | sed -n 's#^+++ b/##p'; }
patch_source() {
	local file
	for file in $(patched_files); do
		mkdir -p "$STAGE/patched/$(dirname "$file")"
		cp "$CACHE/$tree/$file" "$STAGE/patched/$file"
	done
	own_patch "$name" >"$STAGE/own.patch"
	[ ! -s "$STAGE/own.patch" ] ||
		in_root -- patch -p1 -d /cache/stage/patched -i /cache/stage/own.patch
}

# The source is others' as well: what is patched lies over it as long as it takes.
kmake() {
	local file over=()
	for file in $(patched_files); do
		over+=(--ro-bind "$STAGE/patched/$file" "/source/$file")
	done
	in_kernel "$STAGE/own" --bind "$STAGE/own" /kernel "${over[@]}" -- \
		make -C /source O=/kernel/build "${FLAGS[@]}" -j"$(nproc)" "$@"
}

configure() {
	mkdir -p "$STAGE/own/build"
	patch_source
	ln -s "../$tree" "$STAGE/own/source" # where it will be seen from
	kmake tinyconfig
	own_config "$name" >>"$STAGE/own/build/.config"
	kmake olddefconfig
	# olddefconfig drops what it cannot have without a word.
	if own_config "$name" | grep '^CONFIG_' |
		grep -vxF -f "$STAGE/own/build/.config" ||
		own_config "$name" | sed -nE 's/^# (CONFIG_[^ ]*) is not set$/\1=/p' |
		grep -F -f - "$STAGE/own/build/.config"; then
		say "This kernel's configuration did not take the lines above."
		return 1
	fi
}

compile() {
	kmake "${image##*/}" modules
	cp "$STAGE/own/build/$image" "$STAGE/own/$installed"
	cp "$STAGE/own/build/include/config/kernel.release" "$STAGE/own/release"
	rm -f "$STAGE/own/build/linux" "$STAGE"/own/build/vmlinux{,.o,.a,.unstripped}
}

logged() {
	local log=$CACHE/$name.log sentence=$2
	watch "$log" "$1" "$3"
	[ "$STATUS" -ne 0 ] || return 0
	remove "$STAGE"
	tail -n 8 "$log" >&2
	case $(tail -n 50 "$log") in
	*'No space left'*)
		die "The disk is full; the kernel $name needs 4 GiB in $CACHE." \
			"Free some space, or set SYNCMAP_CACHE to another folder." ;;
	esac
	die "$sentence" "The log is $log" \
		"What is made of Debian's source was tried with KERNEL=${TRIED_SERIES// / and KERNEL=}."
}

make_cache
tree=$(basename "$(readlink "$(stock_dir)/source")")
dir=$(own_dir "$name")
own_flags "$name"
if [ -d "$dir" ]; then
	touch "$dir"
	say "      $title is ready"
	exit 0
fi
begin_setup
if ! [ -d "$dir" ]; then
	need_space 4096 "The kernel $name"
	say "      $title (${tree#source-}): configuring"
	logged 0 "The kernel $name could not be configured." configure
	say "      $title: building ($time)"
	logged "$lines" "The kernel $name could not be built." compile
	publish own "$dir"
	prefix=${dir##*/}
	prune "${prefix%-*}" "$dir"
fi
end_setup
