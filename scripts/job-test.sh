#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test does inside a guest with modules and tools: loading and unloading
# in shell, the samples, the C API, and syncmapctl.

SYNCMAP_KO=/syncmap.ko
# shellcheck source=scripts/job-modules.sh
. /job-modules.sh
# shellcheck source=tests/tools/job-tools.sh
. /job-tools.sh

begin module 7
check "the module loads" insmod $SYNCMAP_KO
check "its device is there" test -c /dev/syncmap
check "its device is for root alone" \
	test "$(stat -c %a /dev/syncmap 2>/dev/null)" = 600
if exec 3<>/dev/syncmap; then
	check "rmmod with an open file is refused" refused
	exec 3>&-
else
	check "the device opens" false
fi 2>/dev/null
check "rmmod after the last close works" unloaded
check "the module loads again" insmod $SYNCMAP_KO
check "and unloads again" unloaded
echo "## end module $failures"

# Modules that use it, in every order; and userspace, by the sample client.
debugfs=/sys/kernel/debug/syncmap
used() { grep '^syncmap ' /proc/modules | grep -qF "$1"; }
begin samples 26
check "a module that uses syncmap does not load without it" \
	fails insmod /blocklist.ko
check "syncmap loads" insmod $SYNCMAP_KO
check "blocklist loads" insmod /blocklist.ko
check "and is known as a user" used blocklist
check "syncmap cannot be unloaded" refused
check "userspace finds the map of the module" /client blocklist set 10.1.2.3 1
check "and what is in it" test "$(/client blocklist get 10.1.2.3)" = 1
check "the list shows addresses" \
	test "$(/client blocklist list)" = "10.1.2.3	1"
check "the module counts as a user" \
	test "$(/client names | awk '$NF == "blocklist" { print $1, $4, $5 }')" = \
	"0600 1 1"
check "debugfs tells what it holds" \
	grep -q '^blocklist named 0 1 [0-9]* 1$' $debugfs/modules
check "blocklist unloads" rmmod blocklist
check "and then no more" fails grep -q blocklist $debugfs/modules
check "its map stays" test "$(/client blocklist get 10.1.2.3)" = 1
check "for it to come back to" insmod /blocklist.ko
check "where it counts anew" \
	test "$(cat /sys/module/blocklist/parameters/dropped)" = 0
check "its name can be taken away" /client blocklist unlink
check "so that nobody finds the map" fails /client blocklist get 10.1.2.3
check "though the module has it" refused
check "until it goes" rmmod blocklist
dmesg -c >/dev/null
check "a module in Rust loads" insmod /rust_user.ko
check "and uses its map" \
	logged "99 sessions of at most 100; the one of user 1000 has ended."
check "it unloads" rmmod rust_user
check "userspace changes its settings" /client settings set sessions 10
check "and it abides by them" insmod /rust_user.ko
check "at once" logged "9 sessions of at most 10"
rmmod rust_user
check "syncmap unloads with named maps" unloaded
echo "## end samples $failures"

insmod $SYNCMAP_KO
c_api
rmmod syncmap
careless
tools
