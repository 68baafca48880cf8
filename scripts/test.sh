#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make test: KUnit on User Mode Linux, tests/kselftest on the stock kernel
# under QEMU, and the tests of the test machinery.  The last line is the sum.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

passed=0
failed=0
skipped=0

# add NAME LOG: adds up what the log of tests says.
add() {
	local line p f s
	while read -r line; do
		case $line in
		'total '*)
			read -r _ p f s <<<"$line"
			passed=$((passed + p))
			failed=$((failed + f))
			skipped=$((skipped + s))
			say "      $1: $p passed, $f failed, $s skipped"
			if [ $((p + f)) -eq 0 ]; then
				failed=$((failed + 1))
				say "      $1: FAILED: not one test ran"
			fi
			;;
		*) say "      $line" ;;
		esac
	done < <(tr -d '\r' <"$2" | awk -f "$SCRIPTS/tap.awk")
	[ "${f:-0}" -eq 0 ] || say "      All it said: $2"
}

# judged COMMAND...: one failure more if it fails.
judged() {
	"$@" || {
		failed=$((failed + 1))
		say "      FAILED: ${*##*/}"
	}
}

self_tests() {
	local status=0
	{
		say "## begin scripts"
		"$SCRIPTS/selftest.sh" || status=$?
		say "## end scripts $status"
	} >"$WORK/selftest.log" 2>&1
	add "test machinery" "$WORK/selftest.log"
}

kunit() {
	local out modules
	mkdir -p "$WORK/kunit"
	out=$(UML=kunit "$SCRIPTS/module.sh") || return
	modules=$(UML=kunit MODULES=1 "$SCRIPTS/module.sh") || return
	"$SCRIPTS/initramfs.sh" "$WORK/kunit/initramfs" "tty1 tty2" \
		"$SCRIPTS/job-kunit.sh" "$out/syncmap_kunit.ko=/syncmap_kunit.ko" \
		"$SCRIPTS/job-modules.sh=/job-modules.sh" \
		"$modules"/syncmap.ko=/syncmap.ko \
		"$modules"/syncmap_ctest.ko=/syncmap_ctest.ko \
		"$modules"/syncmap_examples.ko=/syncmap_examples.ko \
		"$modules"/syncmap_careless.ko=/syncmap_careless.ko || return
	judged env UML=kunit "$SCRIPTS/guest.sh" "$WORK/kunit" "${TIMEOUT:-900}"
	add KUnit "$WORK/kunit/output.log"
}

device() {
	local out programs small source name files=()
	mkdir -p "$WORK/device"
	out=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples tests/kselftest) || return
	small=$(BITS=32 "$SCRIPTS/programs.sh" tests/kselftest) || return
	for source in "$SOURCE"/tests/kselftest/*.c; do
		name=$(basename "$source" .c)
		files+=("$programs/$name=/tests/$name")
	done
	# A program of 32 bits passes the same structs, but pointers of its own.
	for name in abi batch fault named ops range; do
		files+=("$small/$name=/tests/$name-32")
	done
	for name in syncmap blocklist rust_user syncmap_ctest syncmap_careless; do
		files+=("$out/$name.ko=/$name.ko")
	done
	"$SCRIPTS/initramfs.sh" "$WORK/device/initramfs" "ttyS1 ttyS2" \
		"$SCRIPTS/job-test.sh" "$SCRIPTS/job-modules.sh=/job-modules.sh" \
		"$programs/client=/client" "${files[@]}" || return
	judged "$SCRIPTS/guest.sh" "$WORK/device" "${TIMEOUT:-1800}"
	add "device tests" "$WORK/device/output.log"
}

# Meant for working on one part: ONLY=kunit or ONLY=device.
wanted() { [ -z "${ONLY:-}" ] || [ "$ONLY" = "$1" ]; }

STEPS=7
wanted kunit || STEPS=$((STEPS - 2))
wanted device || STEPS=$((STEPS - 1))
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Stock Debian kernel" "$SCRIPTS/kernel.sh"
! wanted kunit || step "KUnit kernel (User Mode Linux)" "$SCRIPTS/uml.sh"
lock_work
step "Tests of the test machinery" self_tests
! wanted kunit || step "KUnit suites on User Mode Linux" kunit
! wanted device || step "Device tests under QEMU" device
show_times
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
