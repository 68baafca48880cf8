#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Whether the module loads, makes a map, and unloads.

set -e
insmod /syncmap.ko
: <>/dev/syncmap
rmmod syncmap
