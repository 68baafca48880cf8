#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# programs.sh FOLDER...: builds the userspace programs of these folders, each
# .c file one program, unless it is a module of the kernel; statically, against
# the uapi header alone.  Prints the folder they are in.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(work_dir)/programs${FOREIGN/:/-}
mkdir -p "$out"
cd "$SOURCE"
flags=(-static -O2 -g -std=gnu11 -Wall -Wextra -Werror -pthread -Iinclude/uapi)
recipe=$(key_of "$CROSS ${flags[*]}" "$(root_dir)")
for source in $(find "$@" -maxdepth 1 -name '*.c' -exec \
	grep -L '^#include <linux/module.h>' {} + | sort); do
	program=$(basename "$source" .c)
	# Up to date: newer than itself, every header, and made the same way.
	if [ "$(cat "$out/$program.recipe" 2>/dev/null)" = "$recipe" ] &&
		[ -z "$(find "$source" include samples tests \
			\( -path "$source" -o -name '*.h' \) -newer "$out/$program")" ]; then
		continue
	fi
	rm -f "$out/$program.recipe"
	in_root --bind "$out" /out -- \
		"${CROSS}gcc" "${flags[@]}" -o "/out/$program" "$source" >&2 ||
		die "$source does not compile; the reasons are above."
	say "$recipe" >"$out/$program.recipe"
done
say "$out"
