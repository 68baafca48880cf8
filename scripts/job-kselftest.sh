#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test does inside a guest with tests/kselftest, which the kernel's own
# machinery has installed in /kselftest.

export SYNCMAP_KO=/syncmap.ko SYNCMAP_USER_KO=/rust_user.ko SYNCMAP_SLEEP=1
# Those that the machinery has not built.
[ ! -e /blocklist.ko ] || export SYNCMAP_BLOCKLIST_KO=/blocklist.ko
[ ! -e /flows.ko ] || export SYNCMAP_FLOWS_KO=/flows.ko

# That of busybox has no --foreground.
mkdir -p /usr/bin
cat >/usr/bin/timeout <<'END'
#!/bin/sh
[ "$1" != --foreground ] || shift
exec /bin/timeout "$@"
END
chmod +x /usr/bin/timeout

insmod $SYNCMAP_KO
/kselftest/run_kselftest.sh -c syncmap -o $((600 * SYNCMAP_PATIENCE)) </dev/null 2>&1 |
	awk -f /kselftest.awk
! grep -q '^syncmap ' /proc/modules || rmmod syncmap # a program may leave it unloaded
