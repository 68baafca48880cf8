#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# What make torture does inside the guest; /torture says for how many seconds.  If
# none, it is make test that wants to see that all of it works.

# shellcheck source=scripts/torture-parts.sh
. /torture-parts.sh
read -r time </torture
end=$(($(cut -d. -f1 /proc/uptime) + time))
left() { echo $((end - $(cut -d. -f1 /proc/uptime))); }

echo "guest: Linux $(uname -r), $(nproc) processors"
torture_itself
if [ "$time" -eq 0 ]; then
	begin torture 10
	[ -d $debugfs/failslab ] || begin torture 8
	scenarios 5
	echo "## end torture $failures"
	histories 3000 8
	exit 0
fi

# A round has some eight parts, of two minutes at most.
part=$((time / 10))
[ $part -le 120 ] || part=120
[ $part -ge 5 ] || part=5
round=0
while [ "$(left)" -gt 0 ]; do
	round=$((round + 1))
	echo "## begin torture-round-$round"
	number=0
	failures=0
	scenarios $part
	echo "1..$number"
	echo "## end torture-round-$round $failures"
	seed=$((seed + 1))
	histories 100000 $part
	[ -e /tests/unload ] || continue
	echo "## begin unload-round-$round"
	SYNCMAP_KO=/syncmap.ko SYNCMAP_USER_KO=/rust_user.ko \
		SYNCMAP_UNLOADS=$((part * 5)) /tests/unload
	echo "## end unload-round-$round $?"
	rmmod syncmap
	[ "$failures" -eq 0 ] || break
done
