#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What tree-test.sh does inside a guest whose kernel has syncmap built in, or has it as
# a module: the KUnit suites of a module, and a few programs of kselftest.

results=/sys/kernel/debug/kunit
if [ -e /modules ]; then
	insmod /modules/syncmap.ko && insmod /modules/syncmap_kunit.ko || exit
	for suite in "$results"/syncmap*; do
		echo "## begin kunit/${suite##*/}"
		cat "$suite/results"
		echo "## end kunit/${suite##*/} 0"
	done
fi
for program in abi batch named ops range values; do
	echo "## begin $program"
	/kselftest/syncmap/$program
	echo "## end $program $?"
done
[ ! -e /modules ] || rmmod syncmap_kunit syncmap
