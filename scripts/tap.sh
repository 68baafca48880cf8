# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # others use what is set here
#
# For tests that are a script and report in TAP.  Sourced after lib.sh; `out` is the
# folder for what they say.

number=0 failures=0

# check NAME COMMAND...: one test; what a failed one has said last is shown.
check() {
	local name=$1
	shift
	number=$((number + 1))
	# shellcheck disable=SC2154 # the caller's
	if "$@" >"$out/said" 2>&1 </dev/null; then
		say "ok $number $name"
	else
		say "not ok $number $name"
		tail -n 12 "$out/said" | sed 's/^/# /'
		failures=1
	fi
}
