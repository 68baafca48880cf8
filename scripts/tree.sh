#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make tree KDIR=<source tree of a kernel>: puts syncmap into that tree: library,
# module and KUnit suites (lib/syncmap), headers, selftests, a page of documentation,
# and the lines by which the tree knows of them.  A second run replaces what the first
# has put there.  All is made beside its place first: a tree that cannot have it is
# left as it was.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

PARTS=$SOURCE/tools/tree
SELFTESTS=tools/testing/selftests
PAGE=Documentation/core-api/syncmap.rst
IOCTLS=Documentation/userspace-api/ioctl/ioctl-number.rst

# The files of a tree that get a line or more.
HOOKED=(lib/Kconfig lib/Makefile Documentation/core-api/index.rst "$SELFTESTS/Makefile"
	MAINTAINERS "$IOCTLS")
# Those that are syncmap's alone.
FOLDERS=(lib/syncmap "$SELFTESTS/syncmap")

# refuse SENTENCE...: the tree cannot have it.
refuse() { die "$1" "${@:2}" "Nothing was changed there."; }

# number NAME: VERSION or PATCHLEVEL of the tree.
number() { sed -n "s/^$1 = \([0-9]*\)\$/\1/p" "$tree/Makefile" 2>/dev/null || true; }

check_tree() {
	local file version
	version=$(number VERSION).$(number PATCHLEVEL)
	if [ ! -d "$tree" ] || [ "$version" = . ]; then
		refuse "KDIR=$KDIR is not the source tree of a kernel." \
			"Name the folder that has the kernel's own Makefile, not one that it is built in."
	fi
	for file in "${HOOKED[@]}" rust/kernel/lib.rs; do
		[ -f "$tree/$file" ] ||
			refuse "KDIR=$KDIR is not a whole source tree: it has no $file." \
				"Debian's is in the package linux-source."
	done
	is_supported "$version" ||
		refuse "KDIR=$KDIR is Linux $version." \
			"syncmap needs $OLDEST_SERIES or newer."
}

# insert FILE LINES before|after PATTERN: LINES, unless the first of them is there,
# before or after the first line that is like PATTERN.
insert() {
	mkdir -p "$stage/$(dirname "$1")"
	cp "$tree/$1" "$stage/$1"
	! grep -qxF -- "${2%%$'\n'*}" "$tree/$1" || return 0
	LINES=$2 WHERE=$3 PATTERN=$4 awk '
		done || $0 !~ ENVIRON["PATTERN"] { print; next }
		{
			done = 1
			if (ENVIRON["WHERE"] == "before")
				print ENVIRON["LINES"] "\n" $0
			else
				print $0 "\n" ENVIRON["LINES"]
		}
		END { exit !done }' "$tree/$1" >"$stage/$1" ||
		refuse "KDIR=$KDIR has no place for syncmap: no line of $1 is like $4."
}

hooks() {
	local number
	number=$(sed -n 's/^#define SYNCMAP_IOC_TYPE\t*//p' \
		"$SOURCE/include/uapi/linux/syncmap.h")
	insert lib/Kconfig 'source "lib/syncmap/Kconfig"' \
		after '^source "lib/fonts/Kconfig"$'
	# shellcheck disable=SC2016 # expanded by make
	insert lib/Makefile 'obj-$(CONFIG_SYNCMAP) += syncmap/' \
		after '^obj-[$][(]CONFIG_SBITMAP[)]'
	insert Documentation/core-api/index.rst '   syncmap' after '^   maple_tree$'
	insert "$SELFTESTS/Makefile" 'TARGETS += syncmap' after '^TARGETS [+]= sync$'
	insert "$IOCTLS" "$number  00-1F  uapi/linux/syncmap.h" before '^0x(B[D-F]|[C-F])'
	insert MAINTAINERS "$(cat "$PARTS/maintainers")"$'\n' before '^SYNOPSYS '
}

# Library and module in the folder itself, the suites below it; of Kbuild, what the
# objects are, and how compat.rs chooses.
library() {
	local dir=$stage/lib/syncmap
	mkdir -p "$dir"
	cp -r "$SOURCE/src/." "$dir"
	cp -r "$SOURCE/tests/kunit" "$dir/tests"
	find "$dir" -type f ! -name '*.[chr]*' -delete
	cp "$PARTS/Kconfig" "$dir"
	cp "$PARTS/kunitconfig" "$dir/.kunitconfig"
	sed '/^ifdef KBUILD_EXTMOD/,/^endif # KBUILD_EXTMOD/d' "$SOURCE/syncmap.mk" |
		cat -s >"$dir/syncmap.mk"
	awk 'FNR == 1 { file++ }
		file == 1 { gsub(/src\//, ""); sub(/tests\/kunit/, "tests") }
		file == 1 && /^syncmap(_kunit)?-y :=/ { objects = objects $0 "\n" }
		file == 1 && /^# What module\/compat.rs/ { inside = 1 }
		file == 1 && inside { compat = compat $0 "\n" }
		file == 1 && /^endif/ { inside = 0 }
		file == 1 { next }
		/^#OBJECTS#/ { printf "%s", objects; next }
		/^#COMPAT#/ { printf "%s", compat; next }
		{ print }
		END { exit !(objects && compat) }' "$SOURCE/Kbuild" "$PARTS/Makefile" \
		>"$dir/Makefile" || die "Kbuild does not say what the objects are."
}

others() {
	local file
	for file in include/linux/syncmap.h include/uapi/linux/syncmap.h; do
		mkdir -p "$stage/$(dirname "$file")"
		cp "$SOURCE/$file" "$stage/$file"
	done
	mkdir -p "$stage/$(dirname "$PAGE")"
	cp "$PARTS/syncmap.rst" "$stage/$PAGE"
	"$SCRIPTS/kselftest.sh" programs "$stage/$SELFTESTS/syncmap"
}

# The folders of the tree that are written to: those that are there already.
check_writable() {
	local dir
	while read -r dir; do
		while [ ! -e "$tree/$dir" ]; do dir=$(dirname "$dir"); done
		[ -w "$tree/$dir" ] ||
			refuse "The folder $dir of KDIR=$KDIR cannot be written."
	done < <(cd "$stage" && find . -type d)
}

# Puts into the tree what is not there as it is.  Names the files that were there, and
# the sources in syncmap's folders that are not syncmap's, which stay.
place() {
	local file
	while read -r file; do
		! cmp -s "$stage/$file" "$tree/$file" || continue
		[ ! -e "$tree/$file" ] || say "  changed: $file"
		mkdir -p "$tree/$(dirname "$file")"
		mv -f "$stage/$file" "$tree/$file"
		changed=$((changed + 1))
		touch "$stage/$file" # for what follows
	done < <(cd "$stage" && find . -type f -printf '%P\n')
	while read -r file; do
		[ -e "$stage/$file" ] || say "  not of syncmap, remove it if it is not yours: $file"
	done < <(cd "$tree" && find "${FOLDERS[@]}" -type f \
		\( -name '*.[ch]' -o -name '*.rs' \) ! -name '*.mod.c' ! -name '.*')
}

KDIR=${KDIR:-}
[ -n "$KDIR" ] ||
	die "Into which tree?" "Say make tree KDIR=<source tree of a kernel>."
tree=$(cd "$KDIR" 2>/dev/null && pwd -P) || tree=$KDIR
check_tree
stage=$(mktemp -d "$tree/.syncmap.XXXXXX" 2>/dev/null) ||
	refuse "KDIR=$KDIR cannot be written."
trap 'rm -rf "$stage"' EXIT
changed=0
library
others
hooks
check_writable
place
printf '%s\n' "syncmap is in $KDIR; $changed files were written." \
	"There, choose CONFIG_SYNCMAP (make menuconfig, Library routines), or run its tests:" \
	"  tools/testing/kunit/kunit.py run --kunitconfig lib/syncmap --make_options LLVM=1"
