#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make run does inside the guest.

set -e
echo "guest: Linux $(uname -r), $(nproc) processors"
insmod /syncmap.ko
echo "guest: syncmap is loaded"
status=0
/demo /data/services /data/words || status=$?
rmmod syncmap
echo "guest: syncmap is unloaded"
exit $status
