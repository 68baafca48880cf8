#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# verdict.sh CONSOLE VERDICT: judges a guest by its console and by what it wrote
# about itself.  Succeeds only on positive evidence; shows the offending lines.

set -euo pipefail
console=$1 verdict=$2
failed=0

fail() {
	printf 'verdict: %s\n' "$1"
	failed=1
}

# What a healthy kernel never says.
bad='WARNING:|BUG:|BUG at|kernel BUG|Call Trace|Oops|[Pp]anic|!!!'
bad+='|\bstalls?\b|self-detected stall|soft lockup|hard LOCKUP|blocked for more'
bad+='|possible (circular|recursive|irq lock)|inconsistent lock state'
bad+='|suspicious RCU usage|held lock freed|bad unlock balance|lock held when'
bad+='|sleeping function called|scheduling while atomic|ODEBUG|KASAN|KFENCE'
bad+='|unreferenced object|suspected memory leak|objects remaining'
bad+='|general protection|[Uu]nable to handle|double free|refcount_t'
bad+='|Out of memory|oom-kill|Segmentation fault|segfault at'
# Lines that contain such words and mean no harm.
harmless='console \[|Kernel command line|panic=|KUnit|kunit_try_catch'
harmless+='|rcu: .*stall.*(enabled|disabled)|softlockup_panic'

if [ ! -s "$console" ]; then
	fail 'the guest said nothing on its console'
elif lines=$(grep -anE "$bad" "$console" | grep -avE "$harmless"); then
	fail 'the console shows trouble:'
	printf '%s\n' "$lines" | head -n 20 | cut -c1-160 | sed 's/^/    /'
fi

if ! read -r word status taint value rest <"$verdict" 2>/dev/null ||
	[ "$word $taint$rest" != 'status tainted' ]; then
	fail 'the guest ended without a verdict of its own (it died or hung)'
else
	[ "$status" = 0 ] || fail "the job in the guest ended with status $status"
	# 4096 and 8192: a module from outside the tree, and unsigned.
	[ $((value & ~12288)) -eq 0 ] ||
		fail "the kernel is tainted: $value (only 4096 and 8192 may be set)"
fi
exit "$failed"
