#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# The examples of the pages of documentation, in the shell of make guest: behind
# job-modules.sh, whose functions it uses.
# shellcheck disable=SC2154 # and whose variables

# says MODULE TEXT: it loads, says so in the log, and unloads.
says() {
	dmesg -c >/dev/null
	insmod "$1.ko" && logged "$1: $2" && rmmod "$1"
}
seven() { cat /sys/module/allowed_c/parameters/seven; }

begin examples 13
check "a first module in C" says hello_c "7 is 42"
check "values that are freed" says sessions_c \
	"99 sessions, sum 5048, users 0 and -2"
check "a timer" says ticks_c "counted"
check "a named map" insmod allowed_c.ko
check "has nothing in it" test "$(seven)" = 0
check "before userspace fills it" syncmapctl -k u32 set allowed 7 yes
check "and then has" test "$(seven)" = 1
rmmod allowed_c
check "a first module in Rust" says hello_rust "7 is 42"
check "keys and values of one's own" says users_rust "true true None"
check "and what is left of them" logged "users_rust: 0 bytes of names go"
check "stores under a spinlock" says atomic_rust "Some(11), true, 1 changes"
check "a first program" test "$(answer)" = 42
check "syncmap unloads" unloaded
echo "## end examples $failures"
