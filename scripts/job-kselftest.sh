#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make test does inside a guest with tests/kselftest, which the kernel's own
# machinery has installed in /kselftest.

export SYNCMAP_KO=/syncmap.ko SYNCMAP_USER_KO=/rust_user.ko SYNCMAP_SLEEP=1
# Those that the machinery has not built.
[ ! -e /blocklist.ko ] || export SYNCMAP_BLOCKLIST_KO=/blocklist.ko
[ ! -e /flows.ko ] || export SYNCMAP_FLOWS_KO=/flows.ko

# shellcheck source=scripts/job-modules.sh
. /job-modules.sh

# That of busybox has no --foreground.
mkdir -p /usr/bin
cat >/usr/bin/timeout <<'END'
#!/bin/sh
[ "$1" != --foreground ] || shift
exec /bin/timeout "$@"
END
chmod +x /usr/bin/timeout

insmod $SYNCMAP_KO

# Whether each program says that an ordinary user cannot run it.
skipped_for_nobody() {
	while IFS=: read -r _ program; do
		status=0
		su nobody -c "/kselftest/syncmap/$program" >/tmp/said 2>&1 </dev/null ||
			status=$?
		if [ $status -ne 4 ] || ! grep -q '^1\.\.0 # SKIP' /tmp/said; then
			echo "# $program: $(cat /tmp/said)"
			return 1
		fi
	done </kselftest/kselftest-list.txt
}

# Whether one that loads the module has modprobe do it if SYNCMAP_KO is not set.
loaded_by_modprobe() {
	folder=/lib/modules/$(uname -r)
	mkdir -p "$folder"
	cp $SYNCMAP_KO "$folder"
	echo "syncmap.ko:" >"$folder/modules.dep"
	(unset SYNCMAP_KO && /kselftest/syncmap/limits "limits in INFO") >/tmp/said || {
		cat /tmp/said
		return 1
	}
	grep -q '^ok 1 limits in INFO$' /tmp/said
}
begin users-and-modprobe 2
check "an ordinary user is told to be root" skipped_for_nobody
check "modprobe loads what SYNCMAP_KO does not name" loaded_by_modprobe
echo "## end users-and-modprobe $failures"

/kselftest/run_kselftest.sh -c syncmap -o $((600 * SYNCMAP_PATIENCE)) </dev/null 2>&1 |
	awk -f /kselftest.awk
! grep -q '^syncmap ' /proc/modules || rmmod syncmap # a program may leave it unloaded
