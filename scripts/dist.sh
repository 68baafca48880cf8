#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make dist: the source of the last commit as syncmap-VERSION.tar.xz, the same byte for
# byte each time.  Prints its path.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

version=$(cat "$SOURCE/tools/packages/VERSION")
top=$(git -C "$SOURCE" rev-parse --show-toplevel 2>/dev/null) || {
	mapfile -t said < <(git -C "$SOURCE" rev-parse --show-toplevel 2>&1)
	die "make dist needs the git repository of this source, and git says:" "${said[@]}"
}
[ "$top" = "$SOURCE" ] ||
	die "This is a copy of the source inside another git repository, $top." \
		"Say make dist in a clone of syncmap's own."
make_cache
out=$(work_dir)/dist
name=syncmap-$version.tar.xz
mkdir -p "$out"
git -C "$SOURCE" archive --prefix="syncmap-$version/" HEAD | xz -T1 >"$out/.$name"
mv "$out/.$name" "$out/$name"
say "$out/$name"
