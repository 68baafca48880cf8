#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# fuzz.sh [--calls N] [--seed N] [--seconds N] [--processes N]: random calls to
# /dev/syncmap by many processes (tests/fuzz), on User Mode Linux, with failures
# injected; with UML= on the stock kernel under QEMU, where memory goes away in
# the middle of calls.  With FAILNTH=1 every allocation and user copy of every
# call fails first.  Prints the seed, which begins the same run again.  Leaves
# all that was said in fuzz/output.log of the work folder.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0"
	exit "$1"
}

arguments=()
seconds=3600
while [ $# -gt 0 ]; do
	case $1 in
	--help | -h) usage 0 ;;
	--calls | --seed | --seconds | --processes)
		[[ ${2:-} =~ ^(0x[0-9a-fA-F]+|[0-9]+)$ ]] || usage 1
		[ "$1" != --seconds ] || seconds=$2
		arguments+=("$1" "$2")
		shift 2
		;;
	*) usage 1 ;;
	esac
done

export UML=${UML-kunit}
[ -n "${WORK:-}" ] || lock_work # make test has locked it
dir=$WORK/fuzz
mkdir -p "$dir"
modules=$(MODULES=1 "$SCRIPTS/module.sh")
programs=$("$SCRIPTS/programs.sh" tests/kselftest tests/fuzz)
files=("$modules/syncmap.ko=/syncmap.ko" "$programs/fuzz=/tests/fuzz")
if [ -n "${FAILNTH:-}" ]; then
	files+=("$modules/syncmap_failnth.ko=/syncmap_failnth.ko"
		"$programs/failnth=/tests/failnth"
		"$programs/failnth_calls=/tests/failnth_calls")
fi
say "${arguments[*]}" >"$dir/arguments"
"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$SCRIPTS/job-fuzz.sh" \
	"$SCRIPTS/job-modules.sh=/job-modules.sh" "$dir/arguments=/arguments" \
	"${files[@]}"
# Progress is shown, but in make test.
[ -n "${FAILNTH:-}" ] || export V=1
"$SCRIPTS/guest.sh" "$dir" "${TIMEOUT:-$((seconds + 900))}"
