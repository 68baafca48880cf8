#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What planted.sh does inside a guest: commits the bug that /bug names, once.

insmod /planted.ko bug="$(cat /bug)"
rmmod planted
