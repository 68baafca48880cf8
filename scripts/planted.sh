#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# planted.sh [BUG...]: whether the debug kernel (on User Mode Linux, or with
# FLAVOUR=debug the one for QEMU) and the judge of its console notice the bugs of
# tests/modules/planted.c: one guest for each, which must fail, and for the right
# reason.  In TAP.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

if [ "$FLAVOUR" != debug ]; then export UML=kunit; fi
[ -n "${WORK:-}" ] || lock_work
dir=$WORK/planted${UML:+-uml}
mkdir -p "$dir"
modules=$(MODULES=1 "$SCRIPTS/module.sh")

# What the console must say of each.
bugs='call_rcu_twice|ODEBUG: activate active .* object type: rcu_head
copy_too_much|usercopy: Kernel memory exposure attempt
deadlock_by_interrupt|WARNING: inconsistent lock state
deadlock_perhaps|WARNING: possible circular locking dependency
dereference_without_rcu|WARNING: suspicious RCU usage
free_a_waiting_rcu_head|ODEBUG: free active .* object type: rcu_head
free_a_waiting_work|ODEBUG: free active .* object type: work_struct
free_twice|BUG: KASAN: double-free
keep_a_lock|WARNING: .*still held|still has locks held|lock held when returning
leak|unreferenced object
null_pointer|BUG: KASAN: null-ptr-deref|Kernel panic
past_the_end|BUG: KASAN: slab-out-of-bounds
past_the_end_of_pages|BUG: KASAN: vmalloc-out-of-bounds
put_too_often|refcount_t: decrement hit 0; leaking memory
sleep_under_rcu|BUG: sleeping function called
sleep_under_spinlock|BUG: sleeping function called
spinlock_under_raw|BUG: Invalid wait context
use_after_free|BUG: KASAN: slab-use-after-free
use_after_rcu|BUG: KASAN: slab-use-after-free
wait_forever|
wait_under_rcu|Illegal synchronize_rcu'

number=0
failures=0
result() {
	number=$((number + 1))
	if [ "$1" -eq 0 ]; then
		say "ok $number $2"
	else
		failures=1
		say "not ok $number $2"
	fi
}

# commit BUG: runs the guest; whether it passed.
commit() {
	say "$1" >"$dir/bug"
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" \
		"$SCRIPTS/job-planted.sh" "$modules/planted.ko=/planted.ko" \
		"$dir/bug=/bug"
	"$SCRIPTS/guest.sh" "$dir" "$(limit 30)" >"$dir/judgement" 2>&1
}

# noticed BUG WORDS: the guest fails, and says why.
noticed() {
	local start=$SECONDS status=0
	! commit "$1" || status=1
	[ -z "$2" ] || grep -aqE "$2" "$dir/console.log" || status=1
	[ -n "$2" ] || grep -q 'did not end within' "$dir/judgement" || status=1
	result "$status" "$1 is noticed ($((SECONDS - start)) s)"
	[ "$status" -eq 0 ] || sed 's/^/# /' "$dir/judgement"
}

wanted() { [ $# -eq 1 ] || [[ " ${*:2} " == *" $1 "* ]]; }

say "TAP version 13"
status=0
commit none || status=1
result "$status" "a module without bugs passes"
[ "$status" -eq 0 ] || sed 's/^/# /' "$dir/judgement"
while IFS='|' read -r bug words; do
	! wanted "$bug" "$@" || noticed "$bug" "$words" </dev/null
done <<<"$bugs"
say "1..$number"
exit "$failures"
