#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What scripts/mutants.sh does inside its guests: the one thing that /runner names.

# shellcheck source=scripts/job-modules.sh
. /job-modules.sh
read -r kind what part </runner
case $kind in
kunit)
	[ -z "$part" ] ||
		printf %s "syncmap_$what.$part" >/sys/module/kunit/parameters/filter_glob
	# As in job-kunit.sh: allocations of the slab itself do not count.
	echo 20 2>/dev/null >/sys/kernel/debug/fail_page_alloc/min-order
	insmod /syncmap_kunit.ko
	echo "## begin $what"
	cat "/sys/kernel/debug/kunit/syncmap_$what/results"
	echo "## end $what 0"
	rmmod syncmap_kunit
	;;
device)
	export SYNCMAP_KO=/syncmap.ko SYNCMAP_BLOCKLIST_KO=/blocklist.ko
	insmod /syncmap.ko
	echo "## begin $what"
	"/program" ${part:+"$part"} </dev/null
	echo "## end $what $?"
	! loaded || rmmod syncmap
	;;
ctest)
	insmod /syncmap.ko && c_api
	rmmod syncmap
	;;
careless) careless ;;
esac
