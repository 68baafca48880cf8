#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests of the test machinery itself, in TAP: every kind of trouble must be
# seen by verdict.sh, tap.awk must count right, litmus.awk must not believe what a
# litmus test states of itself, kdir.sh must know what cannot be built with, and make
# help all verbs.

set -euo pipefail
scripts=$(cd "$(dirname "$0")" && pwd -P)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
number=0
failures=0

result() {
	number=$((number + 1))
	if [ "$1" = "$2" ]; then
		printf 'ok %d %s\n' "$number" "$3"
	else
		printf 'not ok %d %s (wanted %s, got %s)\n' "$number" "$3" "$2" "$1"
		failures=1
	fi
}

# verdict WANT NAME VERDICT [CONSOLE LINE...]
verdict() {
	local want=$1 name=$2 got=pass
	printf '%s\n' "$3" >"$dir/verdict"
	shift 3
	printf '[    0.000000] %s\n' "Linux version 7.3.4" "$@" >"$dir/console"
	"$scripts/verdict.sh" "$dir/console" "$dir/verdict" >/dev/null || got=fail
	result "$got" "$want" "verdict: $name"
}

# count WANT NAME < TAP
count() {
	local got
	got=$(awk -f "$scripts/tap.awk" | tail -n 1)
	result "$got" "total $1" "count: $2"
}

good='status 0 tainted 12288'
echo "TAP version 13"
verdict pass "a clean run" "$good" "syncmap: loaded" "reboot: Power down"
verdict pass "no taint at all" 'status 0 tainted 0'
verdict fail "no verdict (the guest died)" ''
verdict fail "a job that failed" 'status 1 tainted 12288'
verdict fail "a verdict cut short" 'status 0'
verdict fail "a taint by a warning" 'status 0 tainted 12800'
verdict fail "a taint by an oops" 'status 0 tainted 12416'
while IFS='|' read -r name line; do
	verdict fail "$name" "$good" "$line"
done <<'END'
a warning|WARNING: CPU: 1 PID: 77 at kernel/rcu/tree.c:3019 f+0x1/0x2
a warning without the CPU|WARNING: kernel/rcu/tree.c:3019 at f+0x1/0x2
a kernel BUG|kernel BUG at mm/slub.c:448!
a bad page|BUG: Bad page state in process demo  pfn:12345
a null pointer|BUG: kernel NULL pointer dereference, address: 0000000000000000
an oops|Oops: Oops: 0000 [#1] SMP NOPTI
a call trace|Call Trace:
a panic|Kernel panic - not syncing: Fatal exception
a Rust panic|rust_kernel: panicked at src/map.rs:7:9:
an RCU stall|rcu: INFO: rcu_sched self-detected stall on CPU
an expedited stall|rcu: INFO: rcu_sched detected expedited stalls on CPUs/tasks: { 1-... }
a soft lockup|watchdog: BUG: soft lockup - CPU#0 stuck for 22s!
a hung task|INFO: task syncmapd:12 blocked for more than 120 seconds.
exclamation marks|!!! something of rcutorture
a lock cycle|WARNING: possible circular locking dependency detected
RCU misuse|WARNING: suspicious RCU usage
sleeping in atomic|BUG: sleeping function called from invalid context at a.c:1
a leak|unreferenced object 0xffff888004e5a000 (size 64):
a wrong nesting of locks|[ BUG: Invalid wait context ]
lockdep without a voice|guest: lockdep is off
kmemleak without a voice|guest: kmemleak is off
kmemleak out of memory|kmemleak: Kernel memory leak detector disabled
debug objects out of memory|ODEBUG: Out of memory. ODEBUG disabled
a copy of too much|usercopy: Kernel memory exposure attempt detected from SLUB object
freed memory that was written|BUG kmalloc-64 (Tainted: G O): Poison overwritten
a slab left full|BUG syncmap_entry (Tainted: G O): Objects remaining on __kmem_cache_shutdown()
use after free|BUG: KASAN: slab-use-after-free in f+0x1/0x2
a debug object|ODEBUG: activate active (active state 1) object: 00000000 object type: rcu_head
a refcount|refcount_t: underflow; use-after-free.
a protection fault|Oops: general protection fault, probably for non-canonical address
memory gone|Out of memory: Killed process 99 (demo)
END
# marked WANT NAME CONSOLE LINE...: only what follows the mark counts.
marked() {
	local want=$1 name=$2 got=pass
	shift 2
	printf '%s\n' "$@" >"$dir/console"
	"$scripts/verdict.sh" "$dir/console" "$dir/verdict" 0 'job begins' \
		>/dev/null || got=fail
	result "$got" "$want" "verdict: $name"
}
printf '%s\n' "$good" >"$dir/verdict"
marked pass "trouble before the mark" "BUG: old" "the job begins" "well"
marked fail "trouble after the mark" "the job begins" "BUG: new"
marked fail "no mark" "well"
: >"$dir/console"
got=pass
"$scripts/verdict.sh" "$dir/console" "$dir/verdict" >/dev/null || got=fail
result "$got" fail "verdict: a silent console"

count "2 0 0" "two good tests" <<'END'
## begin a
TAP version 13
1..2
ok 1 x
ok 2 y
## end a 0
END
count "1 1 1" "good, bad and skipped" <<'END'
## begin a
1..3
ok 1 x
not ok 2 y
ok 3 z # SKIP not here
## end a 1
END
count "1 1 0" "a broken plan" <<'END'
## begin a
1..2
ok 1 x
## end a 0
END
count "1 1 0" "a program that dies" <<'END'
## begin a
1..1
ok 1 x
## end a 139
END
count "1 1 0" "a guest that dies in the middle" <<'END'
## begin a
1..1
ok 1 x
END
count "1 1 0" "status 1 and no failure" <<'END'
## begin a
1..1
ok 1 x
## end a 1
END
count "0 1 0" "a program that says nothing" <<'END'
## begin a
## end a 0
END
count "0 0 1" "a program that skips everything" <<'END'
## begin a
1..0 # SKIP
## end a 4
END
count "2 1 0" "KTAP: subtests count, their summary does not" <<'END'
## begin a
KTAP version 1
1..1
    KTAP version 1
    # Subtest: suite
    1..3
    ok 1 x
    not ok 2 y
    ok 3 z
# suite: pass:2 fail:1 skip:0 total:3
not ok 1 suite
## end a 1
END
count "3 1 0" "KTAP: a suite that breaks its plan" <<'END'
## begin a
1..2
    1..3
    ok 1 x
    ok 2 y
ok 1 one
    1..1
    ok 1 z
ok 2 two
## end a 0
END
count "2 1 0" "KTAP: a suite that fails as a whole" <<'END'
## begin a
1..1
    1..2
    ok 1 x
    ok 2 y
not ok 1 one
## end a 0
END
# litmus WANT NAME STATED [LINE OF HERD7...]: a good test comes before and after.
litmus() {
	local want=$1 name=$2 good=('## good Never' 'Observation good Never 0 3')
	local test="## t $3" got
	shift 3
	got=$(printf '%s\n' "${good[@]}" "$test" "$@" "${good[@]}" |
		awk -f "$scripts/litmus.awk" | tail -n 1)
	result "$got" "$want" "litmus: $name"
}
all='3 passed, 0 failed' one='2 passed, 1 failed'
never='Observation t Never 0 4' sometimes='Observation t Sometimes 1 3'
race='Flag data-race'
litmus "$all" "Never" Never "$never"
litmus "$all" "Sometimes" Sometimes "$sometimes"
litmus "$all" "Sometimes, with a race" 'Sometimes DATARACE' "$race" "$sometimes"
litmus "$one" "possible, but should not be" Never "$sometimes"
litmus "$one" "not possible, but should be" Sometimes "$never"
litmus "$one" "always" Sometimes 'Observation t Always 4 0'
litmus "$one" "a race" Never "$race" "$never"
litmus "$one" "no race" 'Sometimes DATARACE' "$sometimes"
litmus "$one" "no execution" Never 'Observation t Never 0 0'
litmus "$one" "nothing stated" '' "$never"
litmus "$one" "nonsense stated" 'Nevermore' "$never"
litmus "$one" "no verdict" Never 'File "t.litmus": syntax error'
litmus "$one" "two verdicts" Never "$never" "$never"
litmus "$one" "the verdict of another" Never 'Observation u Never 0 4'
result "$(awk -f "$scripts/litmus.awk" </dev/null)" '0 passed, 1 failed' \
	"litmus: no tests at all"
# series NAME SUFFIX LINE...: what is chosen of some made-up packages.
cat >"$dir/names" <<'END'
linux-source
linux-source-6.12
linux-source-7.3
linux-source-7.2
linux-source-7.10
linux-source-8.0
linux-headers-6.12.3+deb13-cloud-amd64
linux-headers-7.2.12+deb13-cloud-amd64
linux-headers-7.2.9+deb13-cloud-amd64
linux-headers-7.2.9+deb13-rt-amd64
linux-headers-7.3.4+deb13-amd64
linux-headers-7.3.4+deb13-cloud-amd64
linux-headers-7.3.10+deb13.1-cloud-amd64
linux-headers-7.3.5+deb13-cloud-arm64
linux-headers-7.3.11+deb13-common
linux-headers-7.10.1+deb14-cloud-amd64
linux-headers-73.1+deb14-cloud-amd64
END
cat >"$dir/sources" <<'END'
linux-source-6.12 | 6.12.3-1 | mirror
linux-source-7.2 | 7.2.12-1~bpo13+1 | mirror
linux-source-7.2 | 7.2.9-1~bpo13+1 | mirror
linux-source-7.3 | 7.3.4-1~bpo13+1 | mirror
linux-source-7.3 | 7.3.10-1~bpo13+1 | mirror
linux-source-7.10 | 7.10.1-1~bpo13+1 | mirror
linux-source-8.0 | 8.0.1-1 | mirror
END
series() {
	local name=$1 suffix=$2
	shift 2
	result "$("$scripts/series.sh" "$suffix" "$dir/names" "$dir/sources" | paste -sd,)" \
		"$(printf '%s\n' "$@" | paste -sd,)" "series: $name"
}
series "the newest of each, the newest series first" cloud-amd64 \
	"7.10 7.10.1+deb14-cloud-amd64 7.10.1-1~bpo13+1" \
	"7.3 7.3.10+deb13.1-cloud-amd64 7.3.10-1~bpo13+1" \
	"7.2 7.2.12+deb13-cloud-amd64 7.2.12-1~bpo13+1"
series "of another flavour" amd64 "7.3 7.3.4+deb13-amd64 7.3.4-1~bpo13+1"
series "one whose newest source is too new" rt-amd64 \
	"7.2 7.2.9+deb13-rt-amd64 7.2.9-1~bpo13+1"
series "without its source" cloud-arm64
# of_series RELEASE WANT
of_series() {
	# shellcheck disable=SC2016 # expanded by that shell
	result "$(bash -c '. "$1/lib.sh" && series_of "$2"' sh "$scripts" "$1")" "$2" \
		"series: of $1"
}
of_series 7.3.10+deb13.1-cloud-amd64 7.3
of_series 7.10.1-rt 7.10
of_series 7.4~rc3-amd64 7.4
of_series 7.4-rc3 7.4
of_series nonsense ""
# Each verb of the Makefile is in make help, and no other.
verbs=$(sed -n '/^\.PHONY:/,/[^\\]$/p' "$scripts/../Makefile" |
	sed 's/^\.PHONY://; s/\\$//' | tr -s '[:blank:]' '\n' | sed '/^$/d; /^modules$/d' | sort)
result "$("$scripts/help.sh" | sed -n 's/^make \([a-z][a-z_-]*\).*/\1/p' | sort | paste -sd,)" \
	"$(paste -sd, <<<"$verbs")" "help: names all verbs"
result "$("$scripts/help.sh" | awk 'length > 80')" "" "help: fits into 80 columns"
# shellcheck source=scripts/selftest-kdir.sh
. "$scripts/selftest-kdir.sh"
printf '1..%d\n' "$number"
exit "$failures"
