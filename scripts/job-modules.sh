# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# For the jobs of guests: tests of the modules that use syncmap, in TAP.  Sourced.

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

# begin NAME TESTS: the head of a program in shell.
begin() {
	number=0
	failures=0
	echo "## begin $1"
	echo "TAP version 13"
	echo "1..$2"
}

loaded() { grep -q '^syncmap ' /proc/modules; }
refused() { ! rmmod syncmap 2>/dev/null && loaded; }
unloaded() { rmmod syncmap && ! loaded && [ ! -e /dev/syncmap ]; }
fails() { ! "$@" 2>/dev/null; }
# The log, since it was last asked for.
logged() { dmesg -c | grep -qF "$1"; }

# reporting NAME MODULE PREFIX: tests that run when their module is loaded, and
# report to the log, behind a prefix.
reporting() {
	dmesg -c >/dev/null
	echo "## begin $1"
	echo "TAP version 13"
	insmod "/$2.ko" && rmmod "$2"
	dmesg -c | sed -n "s/.*$3: //p" >/tmp/report
	cat /tmp/report
	failures=0
	! grep -q '^not ok' /tmp/report || failures=1
	echo "## end $1 $failures"
}

# The C API's own tests.
c_api() { reporting c-api syncmap_ctest ctest; }

# mistake NAME MESSAGE [COMMAND...]: loads the careless module, does that, and unloads
# the module; whether the log says so, and tells who it was, and nothing of the module
# has been called afterwards.
mistake() {
	name=$1
	message=$2
	shift 2
	dmesg -c >/dev/null
	insmod /syncmap_careless.ko mistake="$name" || return
	"$@" || return
	rmmod syncmap_careless || return
	dmesg -c >/tmp/careless
	grep -qF "module syncmap_careless $message" /tmp/careless &&
		! grep -qF "released too late" /tmp/careless
}

careless() {
	# One mistake loses memory, which kmemleak would report.
	leaks=/sys/kernel/debug/kmemleak
	tests=9
	[ ! -e $leaks ] || tests=8
	begin careless-modules $tests
	check "syncmap is loaded" insmod /syncmap.ko
	check "a map that is not destroyed is reported" \
		mistake forget_map "has not destroyed a map of its own, with 3"
	check "a map that is destroyed twice is reported" \
		mistake destroy_twice "destroys a map that it does not have"
	[ -e $leaks ] || check "a map that ends in its own value's release is reported" \
		mistake destroy_in_release \
		"destroys a map in the release of one of its own values"
	check "a named map that is not put is reported" mistake forget_named \
		"has not put the named map careless, of which it had 2"
	check "and taken back when its lookups have ended" mistake leave_reader \
		"has not put the named map (unlinked), of which it had 1" \
		/client careless unlink
	check "a named map that is put twice is reported" \
		mistake put_twice "puts a named map that it does not hold"
	check "one that makes no mistake is not" fails mistake none ""
	check "and nothing holds syncmap" unloaded
	echo "## end careless-modules $failures"
}
