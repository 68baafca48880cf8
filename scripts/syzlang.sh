#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# syzlang.sh [--write]: compares the description for syzkaller in tests/fuzz with
# the header: the structs as a C compiler sees them, and the constants, which are
# in a file of their own; writes that file anew.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

described=$SOURCE/tests/fuzz/dev_syncmap.txt

# values BITS: "name value" of each constant, sorted.
values() {
	awk -f "$SCRIPTS/syzlang.awk" "$described" >"$dir/constants.c" &&
		in_root --bind "$dir" /out -- gcc -static -m"$1" -Wall -Werror \
			-Iinclude/uapi -o /out/constants /out/constants.c &&
		in_root --ro-bind "$dir" /out -- /out/constants | sort
}

constants() {
	values 32 >"$dir/386" && values 64 >"$dir/amd64" || return
	printf '%s\n' "# SPDX-License-Identifier: GPL-2.0" \
		"# Written by scripts/syzlang.sh --write." "arches = 386, amd64"
	join "$dir/386" "$dir/amd64" | awk '{
		print $1 " = " $2 ($3 == $2 ? "" : ", amd64:" $3) }'
}

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
constants >"$dir/new" ||
	die "The description $described does not fit the header." \
		"The reasons are above."
if [ "${1:-}" = --write ]; then
	cp "$dir/new" "$described.const"
elif ! diff -u "$described.const" "$dir/new"; then
	die "The constants of the description are not those of the header." \
		"Run scripts/syzlang.sh --write."
fi
