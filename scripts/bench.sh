#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: measures the map against its peers: executed instructions on the stock
# kernel (under QEMU), and time in the kernel (User Mode Linux), in userspace, and
# through system calls; and writes docs/benchmarks.md: in 45 minutes.  With QUICK=1 in
# under five, with ONLY=instructions, kernel, host or syscall for a part: then there
# are tables in the terminal only.  CPUS says how many threads there are at most.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

CPUS=${CPUS:-2}
case ${ONLY:-} in
'' | instructions | kernel | host | syscall) ;;
*) die "ONLY=$ONLY is no part of the bench." \
	"Choose instructions, kernel, host or syscall." ;;
esac
case $CPUS in
2 | 4 | 8 | 16 | 32 | 64) ;;
*) die "CPUS=$CPUS is not a power of two from 2 to 64." ;;
esac
wanted() { [ -z "${ONLY:-}" ] || [ "$ONLY" = "$1" ]; }
export QUICK=${QUICK:-}

# memory ROUND: the same for memory, which each contender has to itself for a while.
memory() {
	local contender workload
	local contenders='syncmap syncmap-counted rhashtable xarray hashtable rbtree'
	for contender in $contenders; do
		for workload in memory memory-in-order; do
			say "memory:workloads=$workload contenders=$contender" \
				"sizes=65536"
		done
	done
	[ "$1" -eq 1 ] && [ -z "$QUICK" ] || return 0
	for contender in $contenders; do
		say "memory of 1 Mi keys:workloads=memory contenders=$contender" \
			"sizes=1048576"
	done
}

# groups PLACE ROUND: titles and module parameters of what is measured there: what
# several threads do at once (smp), or what one does on one processor, where it waits
# for whatever its map leaves to others (up).
groups() {
	local core few all large=syncmap,syncmap-counted,syncmap-c,rhashtable,xarray
	core=overwrite,churn,insert,delete
	if [ "$1" = smp ]; then
		core+=,lookup-hit,lookup-miss
		few=$core,lookup-dirty,lookup-read
		all=$few
		large+=,limit,loop
	else
		few=$core,fill-worst,copy-all,start-dirty-worst
		few+=,read-heavy-uniform,exchange-uniform,rapid-grow-uniform
		all=$few,read-heavy-zipf,exchange-zipf,rapid-grow-zipf
		memory "$2"
	fi
	if [ -n "$QUICK" ]; then
		say "64 Ki keys:sizes=65536 ops=32768 samples=4096 workloads=$few"
		say "Go's benchmarks:go=1 sizes=1024 ops=32768 samples=0"
		return
	fi
	say "1 Ki keys:sizes=1024 ops=100000 samples=10000 workloads=$all"
	say "64 Ki keys:sizes=65536 ops=100000 samples=10000 workloads=$all"
	say "64 Ki keys of 16 and 64 bytes:sizes=65536 keys=16,64 ops=100000" \
		"samples=0 workloads=$core"
	# Filling a map of this size takes a second: no mixes, and not by all.
	say "1 Mi keys:sizes=1048576 ops=300000 samples=0" \
		"workloads=$core,lookup-dirty,lookup-read,copy-all contenders=$large"
	[ "$1" = smp ] || say "1 Mi keys, the worst:sizes=1048576 samples=10000" \
		"workloads=fill-worst,start-dirty-worst contenders=syncmap,rhashtable"
	say "Go's benchmarks:go=1 sizes=1024 ops=100000 samples=0"
}

# collect FILE...: the lines of results that a guest has written.
collect() { cat "$@" | tr -d '\r' | sed -n 's/^bench: {/{/p' >>"$results"; }

# in_guest PLACE JOB FILE=PATH...: runs a job there.
in_guest() {
	local place=$1 job=$2 dir cpus=1
	shift 2
	[ "$place" = up ] || cpus=$CPUS
	dir=$bench/$(basename "$job" .sh)-$place
	mkdir -p "$dir"
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$job" "$@" || return
	CPUS=$cpus "$SCRIPTS/guest.sh" "$dir" "${TIMEOUT:-5400}" || return
	collect "$dir/console.log" "$dir/output.log"
}

instructions() { "$SCRIPTS/bench-instructions.sh" "$bench/instructions" >>"$results"; }

# kernel PLACE ROUND
kernel() {
	local out
	out=$(BENCH=1 "$SCRIPTS/module.sh") || return
	groups "$1" "$2" | sed "s/\$/ rounds=1 first_round=$2/" >"$bench/groups-$1"
	in_guest "$1" "$SCRIPTS/job-bench.sh" \
		"$out/syncmap.ko=/syncmap.ko" \
		"$out/syncmap_bench.ko=/syncmap_bench.ko" "$bench/groups-$1=/groups"
}

syscalls() {
	local out programs
	out=$("$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" tests/bench/syscall) || return
	{
		printf '%s\n' --rounds 1 --first-round "$1"
		[ -z "$QUICK" ] || printf '%s\n' --size 65536 --value 8 \
			--milliseconds 10 --samples 2000
	} >"$bench/arguments"
	in_guest up "$SCRIPTS/job-bench-syscall.sh" "$out/syncmap.ko=/syncmap.ko" \
		"$programs/bench_syscall=/bench_syscall" "$bench/arguments=/arguments"
}

host() { "$SCRIPTS/bench-host.sh" --rounds 1 --first-round "$1" >>"$results"; }

# one_round ROUND: whoever is compared has a turn within minutes of the others, so
# that what else this machine does meanwhile meets them all.
one_round() {
	if wanted kernel; then
		say "    In the kernel, by 1 to $CPUS threads"
		UML=bench kernel smp "$1" || return
		say "    In the kernel, on one processor"
		UML=bench kernel up "$1" || return
	fi
	if wanted host; then
		say "    Maps of userspace on this machine"
		host "$1" || return
	fi
	if wanted syscall; then
		say "    System calls"
		UML=bench syscalls "$1"
	fi
}

code() { "$SCRIPTS/bench-code.sh" >>"$results"; }

# The page is of the whole bench, at length; otherwise there are tables only.
report() {
	local docs=(--docs docs) root=in_bench where="on User Mode Linux"
	[ -z "${ONLY:-}$QUICK" ] || docs=()
	if ! takes_time; then
		root=in_root
		where="under QEMU"
	fi
	mkdir -p "$SOURCE/docs/benchmarks"
	"$root" --bind "$SOURCE/docs" /syncmap/docs --bind "$bench" /bench -- \
		python3 tests/bench/report.py "${docs[@]}" \
		--environment "kernel=$(cat "$(kernel_dir)/release"), $where" \
		/bench/results.jsonl
}

# Whether times are measured, round by round.
takes_time() { [ "${ONLY:-}" != instructions ]; }

rounds=3
takes_time || rounds=0
STEPS=$((4 + rounds))
! takes_time || STEPS=$((STEPS + 2))
! wanted instructions || STEPS=$((STEPS + 1))
! wanted kernel || STEPS=$((STEPS + 1))
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Stock Debian kernel" "$SCRIPTS/kernel.sh"
if takes_time; then
	step "Bench root (Debian 13)" "$SCRIPTS/root.sh" bench
	step "Kernel of the bench" "$SCRIPTS/own.sh" bench
fi
lock_work
bench=$WORK/bench
results=$bench/results.jsonl
mkdir -p "$bench"
: >"$results"
load=$(cut -d' ' -f1 /proc/loadavg)
[ "${load%.*}" -eq 0 ] ||
	say "      Others are busy on this machine (load $load): expect noise."
! wanted instructions ||
	step "Instructions on the stock kernel, under QEMU" instructions
for ((round = 1; round <= rounds; round++)); do
	step "Round $round of $rounds" one_round "$round"
done
! wanted kernel || step "Instructions of the hot paths" code
step "Report" report
show_times
say "$(wc -l <"$results") results: $results"
