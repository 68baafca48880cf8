#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-profile.sh [WORKLOAD[,WORKLOAD...] [CONTENDER[,CONTENDER...] [BYTES [KEYS]]]]: in
# which functions the instructions are that the stock kernel executes for an operation,
# with 64 Ki keys of 8 bytes, or as many and as long as they are said to be; and for how
# many of them the map holds its locks.  Counted one by one by a plugin of QEMU
# (tests/bench/profile).  Without arguments, of the C API's operations, and
# rhashtable's.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

workloads=${1:-lookup-hit,lookup-miss,overwrite,fill,churn,turnover,delete,walk}
contenders=${2:-syncmap-c,rhashtable}
bytes=${3:-8}
keys=${4:-65536}
"$SCRIPTS/host.sh"
"$SCRIPTS/root.sh"
"$SCRIPTS/kernel.sh"
lock_work
dir=$WORK/profile
mkdir -p "$dir"
out=$(BENCH=1 "$SCRIPTS/module.sh")
in_root --bind "$dir" /profile -- gcc -O2 -Wall -Wextra -Wno-unused-parameter -fPIC \
	-shared -o /profile/plugin.so tests/bench/profile/plugin.c
say "$keys keys:sizes=$keys ops=65536 keys=$bytes workloads=$workloads" \
	"contenders=$contenders instructions=1 rounds=1 samples=0" >"$dir/groups"
"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$SCRIPTS/job-bench.sh" \
	"$out/syncmap.ko=/syncmap.ko" "$out/syncmap_bench.ko=/syncmap_bench.ko" \
	"$dir/groups=/groups" /dev/null=/symbols
UML='' ICOUNT=1 PROFILE=1 "$SCRIPTS/guest.sh" "$dir" 1200 >"$dir/guest.txt" || {
	tail -n 5 "$dir/guest.txt"
	die "The guest of the profile has failed." "All of it: $dir/guest.txt"
}
in_root --bind "$dir" /profile -- python3 tests/bench/profile/table.py \
	/profile/console.log /profile/output.log /profile/profile
