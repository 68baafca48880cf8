#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# bench-instructions.sh [--bounds] DIR: how many instructions the stock kernel executes
# for an operation of the map, and of its peers: under QEMU, on one processor whose
# clock counts them, so that the figures are the same whatever else this machine does.
# One JSON line per result on stdout, progress on stderr.  With --bounds, only what
# tests/bench/bounds.txt has a bound for.  Leaves the logs in DIR.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

few=
if [ "${1:-}" = --bounds ]; then
	few=1
	shift
fi
[ $# -eq 1 ] || die "Where are the logs to be left?" "Give a folder, too."
dir=$1

# Titles and module parameters of what is measured.
groups() {
	local ours=syncmap,syncmap-counted,syncmap-c,rhashtable
	local all='lookup-hit,lookup-miss,overwrite,churn,walk,insert,fill,turnover'
	all+=,delete
	if [ -n "$few" ]; then
		say "64 Ki keys:sizes=65536 ops=65536 keys=8,16 workloads=$all" \
			"contenders=syncmap-c,rhashtable"
		return
	fi
	say "1 Ki keys:sizes=1024 ops=20000 workloads=$all"
	say "64 Ki keys:sizes=65536 ops=65536 workloads=$all"
	say "256 Ki keys:sizes=262144 ops=65536 workloads=$all contenders=$ours,xarray"
	say "64 Ki keys of 4, 16 and 64 bytes:sizes=65536 keys=4,16,64 ops=65536" \
		"workloads=$all contenders=$ours"
	say "Go's benchmarks:go=1 sizes=1024 ops=20000"
}

# in_guest JOB FILE=PATH...: runs a job there, and prints the results.
in_guest() {
	local job=$1 guest
	guest=$dir/$(basename "$job" .sh)
	shift
	mkdir -p "$guest"
	"$SCRIPTS/initramfs.sh" "$guest/initramfs" "$job" "$@" || return
	UML='' ICOUNT=1 "$SCRIPTS/guest.sh" "$guest" 1200 >&2 || return
	cat "$guest/console.log" "$guest/output.log" | tr -d '\r' |
		sed -n 's/^\(\[[^]]*\] \)\?bench: {/{/p'
}

[ -n "${WORK:-}" ] || lock_work
mkdir -p "$dir"
out=$(BENCH=1 "$SCRIPTS/module.sh")
groups | sed 's/$/ instructions=1 rounds=1 samples=0/' >"$dir/groups"
in_guest "$SCRIPTS/job-bench.sh" "$out/syncmap.ko=/syncmap.ko" \
	"$out/syncmap_bench.ko=/syncmap_bench.ko" "$dir/groups=/groups"
programs=$("$SCRIPTS/programs.sh" tests/bench/syscall)
{
	printf '%s\n' --instructions --where stock-syscall --rounds 1 \
		--milliseconds 20 --size 65536 --value 8
	[ -z "$few" ] || printf '%s\n' --contender syncmap --contender bpf-hash
} >"$dir/arguments"
in_guest "$SCRIPTS/job-bench-syscall.sh" "$out/syncmap.ko=/syncmap.ko" \
	"$programs/bench_syscall=/bench_syscall" "$dir/arguments=/arguments"
