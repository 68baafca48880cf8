#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make guest does inside the guest.

insmod /syncmap.ko || exit
mkdir -p /mine
cd /mine || exit
export PATH="/mine:$PATH"
if [ -e /script ]; then
	# shellcheck source=/dev/null
	. /script
	exit
fi
dmesg -n 4
echo "guest: Linux $(uname -r), $(nproc) processors; syncmap is loaded"
echo "guest: syncmapctl and client are there; yours, in $PWD: $(echo *)"
echo "guest: exit, or Ctrl-D, ends it."
# shellcheck disable=SC2154 # from init.sh
stty -F "$output" sane
setsid sh -c "exec sh -i <$output >$output 2>&1"
exit 0
