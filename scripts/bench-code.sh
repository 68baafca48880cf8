#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-code.sh: how many instructions the map's functions have that the bench
# calls, in the module as it is built for the stock kernel: by gcc and rustc, with
# calls of what C has inline.  Counted in the listing, each function by itself,
# all its branches, and what it calls not included.  JSON lines on stdout.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(BENCH=1 "$SCRIPTS/module.sh")
in_root -- objdump -d --no-show-raw-insn "/cache/${out#"$CACHE"/}/syncmap_bench.ko" |
	awk '
	/^[0-9a-f]+ <.*>:$/ {
		hot = ""
		name = substr($2, 2, length($2) - 3)
		if (name ~ /^syncmap_(counted_)?(8|16|64)_(lookup|swap)$/)
			hot = name
		next
	}
	hot != "" && /^ *[0-9a-f]+:/ {
		# What pads is not executed.
		if ($2 ~ /^(nop[wl]?|int3|cs|data16|xchg)$/) next
		instructions[hot]++
		if ($2 ~ /^call/) calls[hot]++
	}
	END {
		for (name in instructions) {
			parts = split(name, part, "_")
			contender = parts == 4 ? "syncmap-counted" : "syncmap"
			workload = part[parts] == "swap" ? "overwrite" : "lookup-hit"
			printf "{\"where\":\"code\",\"contender\":\"%s\",", contender
			printf "\"workload\":\"%s\",\"key\":%d,", workload, part[parts - 1]
			printf "\"instructions\":%d,\"calls\":%d}\n", instructions[name],
				calls[name]
		}
	}' | sort
