#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-code.sh: how many instructions the map's lookups and stores have, in the
# module as it is built for the stock kernel: by gcc and rustc, with calls of what
# C has inline.  Counted in the listing, all branches, together with the searches
# of a table that they call, but not with what else they call.  JSON lines.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

out=$(BENCH=1 "$SCRIPTS/module.sh")
in_root -- objdump -dr --no-show-raw-insn \
	"/cache/${out#"$CACHE"/}/syncmap_bench.ko" |
	awk '
	/^[0-9a-f]+ <.*>:$/ {
		name = substr($2, 2, length($2) - 3)
		next
	}
	# The search of a table, once, wherever the call says what it calls.
	/4find/ && match($0, /_R[A-Za-z0-9_]*4find[A-Za-z0-9_]*/) {
		search = substr($0, RSTART, RLENGTH)
		if (!((name, search) in seen)) {
			seen[name, search] = 1
			searches[name] = searches[name] " " search
		}
	}
	# What pads is not executed.
	/^ *[0-9a-f]+:\t/ && $2 !~ /^(nop[wl]?|int3|cs|data16|xchg)$/ {
		instructions[name]++
		if ($2 ~ /^call/) calls[name]++
	}
	END {
		for (name in instructions) {
			if (name !~ /^syncmap_(counted_)?(8|16|64)_(lookup|swap)$/) continue
			n = instructions[name]
			c = calls[name]
			found = split(searches[name], list, " ")
			for (i = 1; i <= found; i++) {
				n += instructions[list[i]]
				c += calls[list[i]]
			}
			parts = split(name, part, "_")
			contender = parts == 4 ? "syncmap-counted" : "syncmap"
			workload = part[parts] == "swap" ? "overwrite" : "lookup-hit"
			printf "{\"where\":\"code\",\"contender\":\"%s\",", contender
			printf "\"workload\":\"%s\",\"size\":0,\"key\":%d,", workload, \
				part[parts - 1]
			printf "\"threads\":1,\"round\":1,\"instructions\":%d,\"calls\":%d}\n", n, c
		}
	}' | sort
