#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What fuzz.sh does inside its guest: calls that are made to fail, if those
# tests are there, and the fuzzer.  /arguments has its arguments.

# shellcheck source=scripts/job-modules.sh
. /job-modules.sh

status=0
# run NAME ARGUMENT...: one program.
run() {
	name=$1
	shift
	echo "## begin $name"
	"/tests/$name" "$@" </dev/null
	ended=$?
	echo "## end $name $ended"
	[ $ended -eq 0 ] || [ $ended -eq 4 ] || status=1
}

if [ -x /tests/failnth ]; then
	insmod /syncmap.ko
	slab=/sys/kernel/debug/failslab
	if [ -d $slab ]; then
		echo 0 >$slab/verbose
		echo N >$slab/ignore-gfp-wait
	fi
	# The module counts allocations, of which those of the slab itself are none.
	echo 20 2>/dev/null >/sys/kernel/debug/fail_page_alloc/min-order
	reporting c-api-failnth syncmap_failnth failnth
	# With it go the names.
	rmmod syncmap
	insmod /syncmap.ko
	run failnth
	run failnth_calls
	rmmod syncmap
fi
export SYNCMAP_KO=/syncmap.ko
# shellcheck disable=SC2046 # each word is an argument
run fuzz $(cat /arguments)
rmmod syncmap
exit $status
