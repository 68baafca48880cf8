#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make torture: threads and interrupts use one map in every way there is, for
# TIME minutes, and all that they see is checked; histories are recorded and
# checked for linearizability; modules come and go.  Ends with "N passed, N
# failed".  With --guest, only the guest is run and judged, and nothing counted,
# since make test does that; and it takes half a minute.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

only=
case ${1:-} in
'') ;;
--guest) only=guest TIME=0 ;;
*) die "There is no option $1 here." "Give --guest, or nothing." ;;
esac
TIME=${TIME:-10}
case $TIME$only in
*[!0-9]* | '' | 0)
	[ -n "$only" ] || die "TIME=$TIME is no number of minutes." \
		"Say make torture TIME=10, for example." ;;
esac

build() {
	local out programs checker
	out=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" tests/kselftest) || return
	checker=$("$SCRIPTS/checker.sh") || return
	mkdir -p "$dir"
	say $((TIME * 60)) >"$dir/time"
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" \
		"$SCRIPTS/job-torture.sh" "$dir/time=/torture" \
		"$SCRIPTS/job-modules.sh=/job-modules.sh" \
		"$SCRIPTS/torture-parts.sh=/torture-parts.sh" \
		"$checker=/linearize" "$programs/unload=/tests/unload" \
		"$out/syncmap.ko=/syncmap.ko" "$out/rust_user.ko=/rust_user.ko" \
		"$out/syncmap_torture.ko=/syncmap_torture.ko"
}

judged=0
torture() {
	"$SCRIPTS/guest.sh" "$dir" "${TIMEOUT:-$((TIME * 120 + 900))}" || judged=1
}

if [ -n "$only" ]; then
	dir=$WORK/torture${UML:+-uml}
	build && torture
	exit "$judged"
fi
STEPS=5
[ -z "${UML:-}" ] || STEPS=6
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Kernel" "$SCRIPTS/kernel.sh"
[ -z "${UML:-}" ] || step "Debug kernel (User Mode Linux)" "$SCRIPTS/own.sh" kunit
lock_work
dir=$WORK/torture${UML:+-uml}
step "Modules, programs and the checker" build
step "Torture, for $TIME minutes and more" torture
show_times
results=$(tr -d '\r' <"$dir/output.log" | awk -f "$SCRIPTS/tap.awk")
say "$results" | sed '/^total /d'
read -r _ passed failed skipped < <(say "$results" | tail -n 1)
failed=$((failed + judged))
[ "$failed" -eq 0 ] || say "All it said: $dir/output.log, $dir/console.log"
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
