#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test-packages does inside the guest: the module that dkms has built
# is loaded by opening its device, as on a machine that has it installed.  In
# TAP; /demo, /data and what depmod made are there.

# shellcheck disable=SC2317 # the checks are called by name
number=0
failures=0
check() {
	name=$1
	shift
	number=$((number + 1))
	if "$@" >/tmp/said 2>&1; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		sed 's/^/# /' /tmp/said
		failures=1
	fi
}
fails() { ! "$@"; }
loaded() { grep -q "^$1 " /proc/modules; }
minor() { grep ' syncmap$' /proc/misc | awk '{ print $1 }'; }
opened() { ( : <>/dev/syncmap ); }
static_node() {
	/sbin/kmod static-nodes --format=tmpfiles | grep "/dev/syncmap .* 10:247"
}

echo "TAP version 13"
echo "1..17"
check "kmod knows the node before the module is there" static_node
check "it is not loaded yet" fails loaded syncmap
check "nor is there a device" fails test -e /dev/syncmap
mknod -m 600 /dev/syncmap c 10 247
check "opening the node loads the module" opened
check "it is loaded" loaded syncmap
check "its minor number is the one of the alias" test "$(minor)" = 247
check "the demo works" /demo /data/services /data/words
check "it unloads" rmmod syncmap
check "and is loaded again by who opens" opened
check "and unloads again" rmmod syncmap
rm -f /dev/syncmap

# Another driver has that number: the map works, by a number of its own.
check "a module that takes the number loads" insmod /minor.ko
check "syncmap loads all the same" /sbin/modprobe syncmap
check "and says what is amiss" sh -c 'dmesg | grep "Another driver has the minor number 247"'
check "its number is a dynamic one" test "$(minor)" -gt 255
check "the demo works there, too" /demo /data/services /data/words
check "it unloads" rmmod syncmap
check "and so does the other" rmmod syncmap_minor
exit $failures
