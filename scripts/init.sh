#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# /init of every guest: mounts what tests expect, runs /job with its output on one
# tty, writes the verdict on another, and powers off.  The command line of the kernel
# names them, with lines=OUTPUT,VERDICT, which the kernel makes a variable of.

export PATH=/bin HOME=/ TERM=dumb
mount -t devtmpfs none /dev 2>/dev/null
mount -t proc none /proc
mount -t sysfs none /sys
ln -s /proc/self/fd /dev/fd
for name in 0:stdin 1:stdout 2:stderr; do ln -s fd/${name%:*} /dev/${name#*:}; done
mount -t tmpfs none /tmp
mount -t debugfs none /sys/kernel/debug 2>/dev/null
mount -t cgroup2 none /sys/fs/cgroup 2>/dev/null
ip link set lo up 2>/dev/null

# shellcheck source=/dev/null
. /settings
# shellcheck disable=SC2154
output=/dev/${lines%,*} verdict=/dev/${lines#*,}
export output
for tty in "$output" "$verdict"; do stty -F "$tty" raw -echo 2>/dev/null; done

echo "guest: the job begins" >/dev/kmsg
sh /job >"$output" 2>&1 </dev/null
status=$?

# Leaks that kmemleak knows of, where the kernel has it: it ignores what is
# younger than five seconds, and wants to see a leak twice.  What the kernel
# itself (swapper) has lost in booting is not ours.
leaks=/sys/kernel/debug/kmemleak
if [ -w $leaks ]; then
	sleep 6
	for pause in 1 0; do
		echo scan >$leaks || echo "guest: kmemleak is off" >/dev/kmsg
		sleep $pause
	done
	awk '/^unreferenced/ { head = $0; show = 0; next }
		/^ *comm/ { show = !/"swapper/; if (show) print head }
		show' $leaks | while read -r line; do echo "$line" >/dev/kmsg; done
fi
# After its first report, and when it is out of memory, lockdep says no more.
! grep -q 'debug_locks: *0' /proc/lockdep_stats 2>/dev/null ||
	echo "guest: lockdep is off" >/dev/kmsg
echo "status $status tainted $(cat /proc/sys/kernel/tainted)" >"$verdict"
sync
poweroff -f
