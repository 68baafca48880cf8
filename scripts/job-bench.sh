#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make bench does inside its guests: each line of /groups is a title, a colon,
# and the parameters with which the module is loaded, which is when it measures.

# Slabs that are empty, of what was measured before, would hide what is used now.
shrink() {
	for cache in /sys/kernel/slab/*/shrink; do echo 1 >"$cache"; done 2>/dev/null
}

if ! insmod /syncmap.ko; then
	echo "guest: syncmap.ko could not be loaded"
	exit 1
fi
number=0
total=$(grep -c . /groups)
before=
while IFS=: read -r title parameters; do
	number=$((number + 1))
	[ "$title" = "$before" ] || echo "      ... $number of $total: $title"
	before=$title
	shrink
	# shellcheck disable=SC2086 # one word for each parameter
	if ! insmod /syncmap_bench.ko $parameters; then
		echo "guest: the bench has failed; the console says why"
		exit 1
	fi
	if [ -e /symbols ]; then
		echo "## symbols"
		grep -i ' [tw] ' /proc/kallsyms
	fi
	rmmod syncmap_bench
done </groups
