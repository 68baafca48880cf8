#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a kernel on User Mode Linux from the source that kernel.sh has unpacked:
# UML=kunit (the default) for the tests, two CPUs and all debugging on; UML=smp
# and UML=up for the bench, two CPUs and one, built for speed.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

UML=${UML:-kunit}

patched_files() { uml_patch | sed -n 's#^+++ b/##p'; }
patch_source() {
	local file
	for file in $(patched_files); do
		mkdir -p "$STAGE/patched/$(dirname "$file")"
		cp "$CACHE/$tree/$file" "$STAGE/patched/$file"
	done
	uml_patch >"$STAGE/uml.patch"
	[ ! -s "$STAGE/uml.patch" ] ||
		in_root -- patch -p1 -d /cache/stage/patched -i /cache/stage/uml.patch
}

# The source is others' as well: what is patched lies over it as long as it takes.
kmake() {
	local file over=()
	for file in $(patched_files); do
		over+=(--ro-bind "$STAGE/patched/$file" "/source/$file")
	done
	in_kernel "$STAGE/uml" --bind "$STAGE/uml" /kernel "${over[@]}" -- \
		make -C /source O=/kernel/build "${UML_FLAGS[@]}" -j"$(nproc)" "$@"
}

configure() {
	mkdir -p "$STAGE/uml/build"
	patch_source
	ln -s "../$tree" "$STAGE/uml/source" # where it will be seen from
	kmake tinyconfig
	uml_config >>"$STAGE/uml/build/.config"
	kmake olddefconfig
	# olddefconfig drops what it cannot have without a word.
	if uml_config | grep '^CONFIG_' |
		grep -vxF -f "$STAGE/uml/build/.config" ||
		uml_config | sed -nE 's/^# (CONFIG_[^ ]*) is not set$/\1=/p' |
		grep -F -f - "$STAGE/uml/build/.config"; then
		say "This kernel's configuration did not take the lines above."
		return 1
	fi
}

compile() {
	kmake linux modules
	cp "$STAGE/uml/build/linux" "$STAGE/uml/linux"
	rm -f "$STAGE/uml/build/linux" "$STAGE/uml/build/vmlinux" \
		"$STAGE/uml/build/vmlinux.o" "$STAGE/uml/build/vmlinux.a"
}

logged() {
	local sentence=$2
	watch "$CACHE/uml.log" "$1" "$3"
	[ "$STATUS" -ne 0 ] || return 0
	remove "$STAGE"
	tail -n 8 "$CACHE/uml.log" >&2
	case $(tail -n 50 "$CACHE/uml.log") in
	*'No space left'*)
		die "The disk is full; the kernel $UML needs 3 GiB in $CACHE." \
			"Free some space, or set SYNCMAP_CACHE to another folder." ;;
	esac
	die "$sentence" "The log is $CACHE/uml.log"
}

make_cache
tree=$(basename "$(readlink "$(kernel_dir)/source")")
uml=$(uml_dir)
if [ -d "$uml" ]; then
	touch "$uml"
	say "      User Mode Linux ($UML) is ready"
	exit 0
fi
begin_setup
if ! [ -d "$uml" ]; then
	need_space 3072 "The kernel $UML on User Mode Linux"
	say "      User Mode Linux (${tree#source-}), $UML: configuring"
	logged 0 "The kernel $UML could not be configured." configure
	say "      User Mode Linux, $UML: building (three to six minutes)"
	logged 1110 "The kernel $UML could not be built." compile
	publish uml "$uml"
	prune uml "$uml"
fi
end_setup
