#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test does inside the KUnit guest: the suites run when their module
# is loaded; their results are then read from debugfs.

results=/sys/kernel/debug/kunit
ls $results >/tmp/before # the kernel's own suites are not ours

# They count allocations, of which those of the slab itself are none.
echo 20 2>/dev/null >/sys/kernel/debug/fail_page_alloc/min-order
if ! insmod /syncmap_kunit.ko divide="$SYNCMAP_PATIENCE" \
	patience="$SYNCMAP_PATIENCE"; then
	echo "guest: syncmap_kunit.ko could not be loaded"
	exit 1
fi
# suites: shows the results of those that have been run since "before".
suites() {
	for suite in "$results"/*; do
		suite=${suite##*/}
		! grep -qx "$suite" /tmp/before || continue
		echo "## begin kunit/$suite"
		cat "$results/$suite/results"
		echo "## end kunit/$suite 0"
	done
}
suites
rmmod syncmap_kunit

# The C API, on a kernel that checks contexts and locks.
# shellcheck source=scripts/job-modules.sh
. /job-modules.sh
insmod /syncmap.ko && c_api
# The examples use named maps.
ls $results >/tmp/before
insmod /syncmap_examples.ko && suites
rmmod syncmap_examples
rmmod syncmap
careless
