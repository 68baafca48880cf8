#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make bench: measures the map against its peers: executed instructions on the stock
# kernel (under QEMU), and time in the kernel (User Mode Linux), in userspace, and
# through system calls; and writes docs/benchmarks.md: in 45 minutes.  With QUICK=1 in
# under five, with ONLY=instructions, kernel, host or syscall for a part: then there
# are tables in the terminal only.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${ONLY:-} in
'' | instructions | kernel | host | syscall) ;;
*) die "ONLY=$ONLY is no part of the bench." \
	"Choose instructions, kernel, host or syscall." ;;
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

# groups KERNEL ROUND: titles and module parameters of what is measured on it.
groups() {
	local core='lookup-hit,lookup-miss,overwrite,churn,insert'
	local few=$core,fill-worst,copy-all,start-dirty-worst,lookup-dirty,lookup-read
	few+=',read-heavy-uniform,exchange-uniform,rapid-grow-uniform'
	local all=$few,read-heavy-zipf,exchange-zipf,rapid-grow-zipf
	[ "$1" != up ] || memory "$2"
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
		"workloads=$core,lookup-dirty,lookup-read,copy-all" \
		"contenders=syncmap,syncmap-counted,rhashtable,xarray,loop"
	say "1 Mi keys, from C:sizes=1048576 ops=300000 samples=0" \
		"workloads=lookup-hit,lookup-miss contenders=syncmap-c"
	say "1 Mi keys, the worst:sizes=1048576 samples=10000" \
		"workloads=fill-worst,start-dirty-worst contenders=syncmap,rhashtable"
	say "Go's benchmarks:go=1 sizes=1024 ops=100000 samples=0"
}

# collect FILE...: the lines of results that a guest has written.
collect() { cat "$@" | tr -d '\r' | sed -n 's/^bench: {/{/p' >>"$results"; }

# in_guest KERNEL JOB FILE=PATH...: runs a job there.
in_guest() {
	local kernel=$1 job=$2 dir
	shift 2
	dir=$bench/$(basename "$job" .sh)-$kernel
	mkdir -p "$dir"
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "tty1 tty2" "$job" "$@" || return
	UML=$kernel "$SCRIPTS/guest.sh" "$dir" "${TIMEOUT:-5400}" || return
	collect "$dir/console.log" "$dir/output.log"
}

instructions() { "$SCRIPTS/bench-instructions.sh" "$bench/instructions" >>"$results"; }

# kernel KERNEL ROUND
kernel() {
	local out
	out=$(UML=$1 BENCH=1 "$SCRIPTS/module.sh") || return
	groups "$1" "$2" | sed "s/\$/ rounds=1 first_round=$2/" >"$bench/groups-$1"
	in_guest "$1" "$SCRIPTS/job-bench.sh" \
		"$out/syncmap.ko=/syncmap.ko" \
		"$out/syncmap_bench.ko=/syncmap_bench.ko" "$bench/groups-$1=/groups"
}

syscalls() {
	local out programs
	out=$(UML=up "$SCRIPTS/module.sh") || return
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
		say "    Lookups in the kernel, one and two threads"
		kernel smp "$1" || return
		say "    Updates in the kernel, one processor"
		kernel up "$1" || return
	fi
	if wanted host; then
		say "    Maps of userspace on this machine"
		host "$1" || return
	fi
	if wanted syscall; then
		say "    System calls"
		syscalls "$1"
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

rounds=7
[ -z "$QUICK" ] || rounds=3
takes_time || rounds=0
STEPS=$((4 + rounds))
! takes_time || STEPS=$((STEPS + 3))
! wanted instructions || STEPS=$((STEPS + 1))
! wanted kernel || STEPS=$((STEPS + 1))
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Stock Debian kernel" "$SCRIPTS/kernel.sh"
if takes_time; then
	step "Bench root (Debian 13)" "$SCRIPTS/root.sh" bench
	step "Kernel of the bench, with SMP" "$SCRIPTS/own.sh" smp
	step "Kernel of the bench, without" "$SCRIPTS/own.sh" up
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
