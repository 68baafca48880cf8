#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Makes herd7, which runs litmus tests.  The kernel's memory model wants one that
# is newer than Debian 13's: it comes from Debian's next release, forky, with the
# C library that it needs, and lives beside the root, not in it.  If it cannot be
# had: a sentence, and status 4.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

log=$CACHE/herd.log

fetch() {
	apt_setup forky
	apt_in_root apt-get download herdtools7 libc6 libgmp10
}

unpack() {
	unpack_debs unpacked
	local from=$STAGE/unpacked/usr to=$STAGE/herd lib
	lib=$from/lib/$(uname -m)-linux-gnu
	mkdir -p "$to/lib"
	cp "$from/bin/herd7" "$to/"
	cp -R "$from/share/herdtools7/herd" "$to/"
	cp "$lib"/lib{c.so.6,m.so.6,gmp.so.10} "$to/lib/"
	cp "$lib"/ld-linux-*.so.* "$to/lib/ld.so"
}

# Some of the examples that come with the model, with what is known of them.
try() {
	local tests=/source/tools/memory-model/litmus-tests
	in_herd "$STAGE/herd" "$tests"/{SB+poonceonces,SB+fencembonceonces}.litmus \
		"$tests"/{MP+onceassign+derefonce,MP+poonceonces}.litmus |
		tee /dev/stderr | awk -f "$SCRIPTS/litmus.awk" | grep -qx '4 passed, 0 failed'
}

# tried SENTENCE COMMAND
tried() {
	watch "$log" 0 "$2"
	[ "$STATUS" -ne 0 ] || return 0
	end_setup
	say "$1 The log is $log"
	exit 4
}

make_cache
herd=$(herd_dir)
if [ -d "$herd" ]; then
	touch "$herd"
	exit 0
fi
begin_setup
if ! [ -d "$herd" ]; then
	need_space 128 "herd7"
	say "      herd7, which runs litmus tests"
	tried "herd7 could not be fetched from Debian (forky)." fetch
	tried "The package of herd7 is not what it was." unpack
	tried "This herd7 does not run the examples of the memory model." try
	publish herd "$herd"
	prune herd "$herd"
fi
end_setup
