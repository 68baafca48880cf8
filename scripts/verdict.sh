#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# verdict.sh CONSOLE VERDICT [TAINT [MARK]]: judges a guest by its console and by
# what it wrote about itself.  Succeeds only on positive evidence; shows the
# offending lines.  TAINT is what may be set besides "out of tree" and "unsigned".
# With MARK, the console counts from the line that has this text.

set -euo pipefail
console=$1 verdict=$2
# 4096: a module from outside the tree; 8192: an unsigned one.
allowed=$((4096 | 8192 | ${3:-0}))
failed=0

fail() {
	printf 'verdict: %s\n' "$1"
	failed=1
}

# What a healthy kernel never says.
bad='WARNING:|\bBUG\b|Call Trace|Oops|[Pp]anic|!!!'
bad+='|\bstalls?\b|self-detected stall|soft lockup|hard LOCKUP|blocked for more'
bad+='|possible (circular|recursive|irq lock)|inconsistent lock state'
bad+='|suspicious RCU usage|held lock freed|bad unlock balance|lock held when'
bad+='|sleeping function called|scheduling while atomic|ODEBUG|KASAN|KFENCE'
bad+='|unreferenced object|[Oo]bjects remaining|exposure attempt'
bad+='|overwrite attempt|guest: (lockdep|kmemleak) is off|detector disabled'
bad+='|general protection|[Uu]nable to handle|double free|refcount_t'
bad+='|Out of memory|oom-kill|Segmentation fault|segfault at'
# Lines that contain such words and mean no harm.
harmless='[Kk]ernel command line|kernel parameters|softlockup_panic|panic=-1'
harmless+='|RCU CPU stall warnings timeout set'

from=1
if [ -n "${4:-}" ]; then
	from=$(grep -anF -m 1 "$4" "$console" | cut -d: -f1 || true)
fi
if [ ! -s "$console" ]; then
	fail 'the guest said nothing on its console'
elif [ -z "$from" ]; then
	fail "the console does not say \"$4\""
elif lines=$(tail -n "+$from" "$console" | grep -anE "$bad" |
	grep -avE "$harmless"); then
	fail 'the console shows trouble:'
	printf '%s\n' "$lines" | head -n 20 | cut -c1-160 | sed 's/^/    /'
fi

if ! read -r word status taint value rest <"$verdict" 2>/dev/null ||
	[ "$word $taint$rest" != 'status tainted' ]; then
	fail 'the guest ended without a verdict of its own (it died or hung)'
else
	[ "$status" = 0 ] || fail "the job in the guest ended with status $status"
	[ $((value & ~allowed)) -eq 0 ] ||
		fail "the kernel is tainted: $value (only bits of $allowed may be set)"
fi
exit "$failed"
