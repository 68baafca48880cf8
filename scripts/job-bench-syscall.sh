#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make bench does for system calls inside the guest.  /arguments, if it is
# there, has the arguments of the program, one per line.

if ! insmod /syncmap.ko; then
	echo "guest: syncmap.ko could not be loaded"
	exit 1
fi
set --
if [ -r /arguments ]; then
	while read -r argument; do
		set -- "$@" "$argument"
	done </arguments
fi
status=0
/bench_syscall "$@" || status=$?
rmmod syncmap
exit $status
