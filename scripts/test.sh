#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make test: KUnit on User Mode Linux, tests/kselftest on the stock kernel
# under QEMU, the model on the host, and the tests of the test machinery; with
# FLAVOUR=debug, the first two on both debug kernels.  The last line is the sum.

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

# script TITLE NAME: tests that are a script themselves, NAME.sh.
script() {
	local status=0 log=$WORK/$2${UML:+-uml}.log
	{
		say "## begin $2"
		"$SCRIPTS/$2.sh" || status=$?
		say "## end $2 $status"
	} >"$log" 2>&1
	add "$1" "$log"
}
self_tests() { script "test machinery" selftest; }
planted() { script "planted bugs" planted; }

# The guests below run on User Mode Linux if UML is set, else under QEMU.
guest() {
	local dir=$WORK/$1 lines="ttyS1 ttyS2" title=$2 limit=$3
	shift 3
	[ -z "${UML:-}" ] || lines="tty1 tty2"
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$lines" "$@" \
		"$SCRIPTS/job-modules.sh=/job-modules.sh" || return
	judged "$SCRIPTS/guest.sh" "$dir" "$(limit "$limit")"
	add "$title" "$dir/output.log"
}

kunit() {
	local out modules programs dir=kunit${UML:+-uml} files=() name
	mkdir -p "$WORK/$dir"
	out=$(KUNIT=1 "$SCRIPTS/module.sh") || return
	modules=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples) || return
	for name in syncmap syncmap_ctest syncmap_examples syncmap_careless; do
		files+=("$modules/$name.ko=/$name.ko")
	done
	guest "$dir" KUnit 900 "$SCRIPTS/job-kunit.sh" \
		"$out/syncmap_kunit.ko=/syncmap_kunit.ko" \
		"$programs/client=/client" "${files[@]}"
}

# On User Mode Linux, where calls can be made to fail.
faults() {
	judged env UML=kunit FAILNTH=1 "$SCRIPTS/fuzz.sh" --calls 200000 \
		--seconds 120
	add "faults and fuzzing" "$WORK/fuzz/output.log"
}

# The tools, as far as they can be tested without a device.
tools() {
	local status=0
	"$SCRIPTS/tools.sh" test >"$WORK/tools.out" 2>&1 || status=$?
	{
		say "## begin tools"
		awk -f "$SCRIPTS/libtest.awk" "$WORK/tools.out"
		[ "$status" -ne 101 ] || status=1
		say "## end tools $status"
	} >"$WORK/tools.log"
	add tools "$WORK/tools.log"
}

device() {
	local out programs small source name tools dir=device${UML:+-uml} files=()
	mkdir -p "$WORK/$dir"
	tools=$("$SCRIPTS/tools.sh") || return
	for name in syncmapctl client-tests; do
		files+=("$tools/$name=/$name")
	done
	files+=("$SCRIPTS/libtest.awk=/libtest.awk"
		"$SOURCE/tests/tools/job-tools.sh=/job-tools.sh")
	[ -z "${LONG:-}" ] || files+=(/dev/null=/long)
	out=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples tests/kselftest) || return
	for source in "$SOURCE"/tests/kselftest/*.c; do
		name=$(basename "$source" .c)
		# Those that make calls fail are part of faults.
		[[ $name == failnth* ]] || files+=("$programs/$name=/tests/$name")
	done
	# A program of 32 bits passes the same structs, but pointers of its own.
	# User Mode Linux has none.
	if [ -z "${UML:-}" ]; then
		small=$(BITS=32 "$SCRIPTS/programs.sh" tests/kselftest) || return
		for name in abi batch fault named ops range; do
			files+=("$small/$name=/tests/$name-32")
		done
	fi
	for name in syncmap blocklist flows rust_user syncmap_ctest syncmap_careless; do
		files+=("$out/$name.ko=/$name.ko")
	done
	guest "$dir" "device tests" 1800 "$SCRIPTS/job-test.sh" \
		"$programs/client=/client" "${files[@]}"
}

# The examples of the pages of documentation, in make guest.
in_guest() {
	M=$WORK/pages "$SCRIPTS/shell.sh" <"$WORK/examples.in" >"$WORK/examples.log" 2>&1
}
examples() {
	local output=$WORK/guest/output.log
	"$SCRIPTS/pages.sh" "$WORK/pages"
	cat "$SCRIPTS/job-modules.sh" "$SCRIPTS/job-pages.sh" >"$WORK/examples.in"
	rm -f "$output"
	judged in_guest
	if [ -e "$output" ]; then
		add examples "$output"
	else
		tail "$WORK/examples.log"
	fi
}

# The library on the host: see tests/model.
model() {
	judged "$SCRIPTS/model.sh" --quick >"$WORK/model.log"
	add "host model" "$WORK/model/output.log"
}

torture() {
	judged env UML=kunit "$SCRIPTS/torture.sh" --guest
	add torture "$WORK/torture-uml/output.log"
}

# Whether the instructions of operations keep to their bounds.
bounds() {
	"$SCRIPTS/bench-instructions.sh" --bounds "$WORK/instructions" \
		>"$WORK/instructions/results.jsonl" &&
		in_root --bind "$WORK/instructions" /results -- \
			python3 tests/bench/report.py --bounds tests/bench/bounds.txt \
			/results/results.jsonl
}
instructions() {
	local status=0 log=$WORK/instructions.log
	mkdir -p "$WORK/instructions"
	{
		say "## begin instructions"
		bounds || status=$?
		say "## end instructions $status"
	} >"$log" 2>&1
	add instructions "$log"
}

# Meant for working on a part, or some: ONLY=model, tools, kunit, faults, torture,
# device, examples, instructions; or with FLAVOUR=debug ONLY=planted.
wanted() { [[ -z ${ONLY:-} || " $ONLY " == *" $1 "* ]]; }

# part NAME TITLE: one of them, as a step.
part() { ! wanted "$1" || step "$2" "$1"; }

debug=
[ "$FLAVOUR" != debug ] || debug=1
parts=(model tools kunit faults torture device examples)
# PREEMPT_RT has other locks.
bounded=
[ -n "${UML:-}" ] || [ "$FLAVOUR" = rt ] || bounded=1
[ -z "$bounded" ] || parts+=(instructions)
[ -z "${UML:-}" ] || parts=(model tools kunit faults torture device)
[ -z "$debug" ] || parts=(kunit device kunit device planted planted)
for name in ${ONLY:-}; do
	[[ " ${parts[*]} " == *" $name "* ]] ||
		die "ONLY=$name is no part of this run." \
			"Choose from $(printf '%s\n' "${parts[@]}" | sort -u | paste -sd ' ')."
done
on=
[ -z "${UML:-}" ] || on="on User Mode Linux"
STEPS=4
for name in "${parts[@]}"; do
	! wanted "$name" || STEPS=$((STEPS + 1))
done
own=
if [ -n "$debug" ] || [ -n "${UML:-}" ] || wanted kunit || wanted faults ||
	wanted torture; then
	own=1
	STEPS=$((STEPS + 1))
fi
[ -z "${TOOLCHAIN:-}" ] || STEPS=$((STEPS + 1))
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" env TOOLCHAIN= "$SCRIPTS/root.sh"
[ -z "${TOOLCHAIN:-}" ] || step "Toolchain root, $TOOLCHAIN" "$SCRIPTS/root.sh"
step "Kernel" "$SCRIPTS/kernel.sh"
[ -z "$own" ] || step "Debug kernel (User Mode Linux)" "$SCRIPTS/own.sh" kunit
lock_work
step "Tests of the test machinery" self_tests
if [ -z "$debug" ]; then
	part model "Model on the host"
	part tools "Tests of the tools"
fi
UML=kunit part kunit "KUnit suites on User Mode Linux"
if [ -z "$debug" ]; then
	part faults "Failures and fuzzing on User Mode Linux"
	part torture "A short torture on User Mode Linux"
else
	UML=kunit part device "Device tests on User Mode Linux"
	UML=kunit part planted "Planted bugs on User Mode Linux"
fi
part device "Device tests ${on:-under QEMU}"
[ -n "$debug${UML:-}" ] || part examples "Examples of the documentation under QEMU"
[ -n "$debug" ] || [ -z "$bounded" ] ||
	part instructions "Bounds of executed instructions under QEMU"
if [ -n "$debug" ]; then
	part kunit "KUnit suites under QEMU"
	part planted "Planted bugs under QEMU"
fi
show_times
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
