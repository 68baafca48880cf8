#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test does inside the guest with the stock kernel: loading and
# unloading in shell, then every program of tests/kselftest.

export SYNCMAP_KO=/syncmap.ko
number=0
failures=0
# check TEXT COMMAND...: one test of the shell part.
check() {
	number=$((number + 1))
	text=$1
	shift
	if "$@"; then
		echo "ok $number $text"
	else
		failures=1
		echo "not ok $number $text"
	fi
}
loaded() { grep -q '^syncmap ' /proc/modules; }
refused() { ! rmmod syncmap 2>/dev/null && loaded; }
unloaded() { rmmod syncmap && ! loaded && [ ! -e /dev/syncmap ]; }

echo "## begin module"
echo "TAP version 13"
echo "1..7"
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

insmod $SYNCMAP_KO 2>/dev/null || loaded || exit 1
for program in /tests/*; do
	[ -x "$program" ] || continue
	name=$(basename "$program")
	echo "## begin $name"
	timeout 600 "$program" </dev/null
	echo "## end $name $?"
done
loaded || exit 0 # a program may leave it unloaded
rmmod syncmap
