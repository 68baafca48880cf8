#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make bench does inside its guests: each line of /groups is a title, a colon,
# and the parameters with which the module is loaded, which is when it measures.

number=0
total=$(grep -c . /groups)
while IFS=: read -r title parameters; do
	number=$((number + 1))
	echo "      ... $number of $total: $title"
	# shellcheck disable=SC2086 # one word for each parameter
	if ! insmod /syncmap_bench.ko $parameters; then
		echo "guest: the bench has failed; the console says why"
		exit 1
	fi
	rmmod syncmap_bench
done </groups
