#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317 # the checks are called by name
#
# verbs.sh: runs the verbs of the Makefile that no other test runs, in a copy of the
# checkout, as whoever got that copy would.  Prints TAP.  make update-kernel is left
# out: it may change the kernel of the tests that follow.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/tap.sh
. "$SCRIPTS/tap.sh"

out=$(work_dir)/verbs copy=$out/checkout
make_cache

# verb NAME [VARIABLE=VALUE...]: make NAME there, by nothing that this run was told.
verb() {
	env -u MAKEFLAGS -u MAKELEVEL -u ONLY -u WORK make --no-print-directory -C "$copy" "$@"
}
# fails TEXT COMMAND...: the command fails, and says that.
fails() {
	local text=$1
	shift
	! "$@" >"$out/refusal" 2>&1 && cat "$out/refusal" && grep -q "$text" "$out/refusal"
}

# found PATTERN: whether there is what that verb has said, a path that is like PATTERN.
found() {
	local path
	path=$(grep -oE "/[^ ]*$1\$" "$out/verb") && [ -s "${path%%$'\n'*}" ]
}

runs() {
	verb run >"$out/verb" 2>&1 || { cat "$out/verb" && return 1; }
	tail -n 1 "$out/verb" | grep -x 'make run: everything worked\.'
}
makes_tools() { verb tools >"$out/verb" && found /syncmapctl; }
documents() { verb docs >"$out/verb" && found /syncmap/index.html; }
cleans() {
	mkdir -p "$out/cache"/{root-1,work-2,cargo,mutants,stage,theirs}
	touch "$out/cache/kernel.log"
	ln -s nowhere "$out/cache/kernel-newest"
	verb clean-cache SYNCMAP_CACHE="$out/cache" &&
		[ "$(find "$out/cache" -mindepth 1 ! -name setup.lock -printf '%f ')" = 'theirs ' ]
}

remove "$out"
mkdir -p "$copy"
tar -C "$SOURCE" --exclude=./.git --exclude=./tools/target -c . | tar -C "$copy" -x
say "TAP version 13"
check "make run" runs
check "make run, again" runs
check "make tools" makes_tools
check "make docs" documents
check "make clean-cache leaves what is not of syncmap" cleans
check "a verb that there is not" fails "There is no verb nonsense" verb nonsense
say "1..$number"
remove "$CACHE/work-$(key_of "$copy")" "$copy"
exit "$failures"
