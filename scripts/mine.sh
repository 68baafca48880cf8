#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mine.sh FOLDER [MAKE ARGUMENT...]: builds what somebody has written, for the
# prepared kernel (as module.sh): the modules that the Kbuild file in FOLDER lists,
# if it has one, and each .c file that has a main() as a program.  All of that in a
# copy, whose place it prints.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

mine=$(cd "$1" && pwd -P)
shift
copy=$(work_dir)/mine
remove "$copy"
mkdir -p "$copy"
find "$mine" -maxdepth 1 -type f \( -name '*.[chS]' -o -name '*.rs' -o -name Kbuild \
	-o -name Makefile -o -name '*.mk' \) -exec cp -p {} "$copy" \;
kbuild=
for file in "$copy"/Makefile "$copy"/Kbuild; do
	[ ! -e "$file" ] || kbuild=$file
done
programs=$(grep -lE '^(int )?main\(' "$copy"/*.c 2>/dev/null || true)
if [ -n "$kbuild" ]; then
	grep -qF "$SOURCE/syncmap.mk" "$kbuild" ||
		die "The file ${kbuild##*/} in $mine does not use this syncmap. Put there:" \
			"include $SOURCE/syncmap.mk"
	# The name that this source has in the root.
	sed -i "s#$SOURCE/#/syncmap/#g" "$kbuild"
	MINE=$copy "$SCRIPTS/module.sh" "$@" >/dev/null
fi
say "$programs" | while read -r source && [ -n "$source" ]; do
	in_root --bind "$copy" /out -- "${CROSS}gcc" -static -O2 -g -Wall -pthread -Iinclude/uapi \
		-o "/out/$(basename "$source" .c)" "/out/${source##*/}" >&2 </dev/null ||
		die "$mine/${source##*/} does not compile; the reasons are above."
done
say "$copy"
