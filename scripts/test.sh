#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make test: tests/kselftest and the bounds of instructions, on the stock kernel under
# QEMU; at the same time, the modules, the examples of the documentation, the model
# and the tools, since the programs of kselftest mostly wait.  make test-all (test.sh
# --all): all that and what takes long, or a kernel of our own: KUnit, faults and
# torture on User Mode Linux, the source tree of a kernel, and the packages.  UML or
# FLAVOUR=debug: what there is for such a kernel.  The last line is the sum.

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

# join NAME LOG: adds up a run that has said its own sum in its last line.
join() {
	local sum='^([0-9]+) passed, ([0-9]+) failed(, ([0-9]+) skipped)?$'
	if [[ $(tail -n 1 "$2") =~ $sum ]]; then
		passed=$((passed + BASH_REMATCH[1]))
		failed=$((failed + BASH_REMATCH[2]))
		skipped=$((skipped + ${BASH_REMATCH[4]:-0}))
	else
		failed=$((failed + 1))
		say "      $1: FAILED: it did not come to an end"
		tail -n 5 "$2"
	fi
}

# judged COMMAND...: one failure more if it fails.
judged() {
	"$@" || {
		failed=$((failed + 1))
		say "      FAILED: ${*##*/}"
	}
}

# script TITLE NAME [ARGUMENT...]: tests that are a script themselves, NAME.sh.
script() {
	local status=0 log=$WORK/$2${UML:+-uml}.log
	{
		say "## begin $2"
		"$SCRIPTS/$2.sh" "${@:3}" || status=$?
		say "## end $2 $status"
	} >"$log" 2>&1
	add "$1" "$log"
}
machinery() { script "test machinery" selftest; }
planted() { script "planted bugs" planted; }
verbs() { script verbs verbs; }
tree() {
	script "kselftest in a tree" kselftest test
	script "all of it in a tree" tree-test
}

# The guests below run on User Mode Linux if UML is set, else under QEMU.
guest() {
	local dir=$WORK/$1 title=$2 limit=$3
	shift 3
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$@" \
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

# The modules of samples and tests, and the tools.
modules() {
	local out programs name tools dir=modules${UML:+-uml} files=()
	mkdir -p "$WORK/$dir"
	tools=$("$SCRIPTS/tools.sh") || return
	for name in syncmapctl client-tests; do
		files+=("$tools/$name=/$name")
	done
	files+=("$SCRIPTS/libtest.awk=/libtest.awk"
		"$SOURCE/tests/tools/job-tools.sh=/job-tools.sh")
	[ -z "${LONG:-}" ] || files+=(/dev/null=/long)
	out=$(MODULES=1 "$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples) || return
	for name in syncmap blocklist rust_user syncmap_ctest syncmap_careless; do
		files+=("$out/$name.ko=/$name.ko")
	done
	guest "$dir" "modules and tools" 1200 "$SCRIPTS/job-test.sh" \
		"$programs/client=/client" "${files[@]}"
}

# The programs for the device, as the kernel's own machinery installs and runs them.
kselftest() {
	local out installed file dir=kselftest${UML:+-uml} files=() name
	mkdir -p "$WORK/$dir"
	installed=$("$SCRIPTS/kselftest.sh" build) || return
	while read -r file; do
		files+=("$installed/$file=/kselftest/$file")
	done < <(cd "$installed" && find . -type f -printf '%P\n')
	out=$(MODULES=1 "$SCRIPTS/module.sh") || return
	for name in syncmap blocklist flows rust_user; do
		[ -e "$installed/syncmap/test_modules/$name.ko" ] ||
			files+=("$out/$name.ko=/$name.ko")
	done
	guest "$dir" kselftest 1800 "$SCRIPTS/job-kselftest.sh" \
		"$SCRIPTS/kselftest.awk=/kselftest.awk" "${files[@]}"
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
	judged "$SCRIPTS/model.sh" "$effort" >"$WORK/model.log"
	add "host model" "$WORK/model/output.log"
}

# On a machine of its own, which only root can make.
packages() {
	local log=$WORK/packages.log
	if ! as_root; then
		skipped=$((skipped + 1))
		say "      packages: skipped, as only root can try them"
		return
	fi
	"$SCRIPTS/packages.sh" >"$log" 2>&1 || true
	grep -E '^ *(ok|FAILED):' "$log" || true
	join packages "$log"
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

# The places and parts of a run, in order.
full=(host:model host:tools uml:kunit uml:faults uml:torture qemu:kselftest
	qemu:modules qemu:examples qemu:instructions host:verbs host:tree host:packages)
declare -A TITLES=([machinery]="Tests of the test machinery"
	[model]="Model on the host" [tools]="Tests of the tools"
	[kunit]="KUnit suites" [faults]="Failures and fuzzing"
	[torture]="A short torture" [kselftest]="Programs of kselftest"
	[modules]="Modules and tools"
	[examples]="Examples of the documentation"
	[instructions]="Bounds of executed instructions"
	[verbs]="Verbs of the Makefile"
	[tree]="In the source tree of a kernel" [planted]="Planted bugs"
	[packages]="Packages on a clean machine")

# has_sense PLACE:PART: whether that says something of this kernel.
has_sense() {
	case $1 in
	# PREEMPT_RT has other locks, and the bounds are those of one compiler.
	qemu:instructions) [ "$FLAVOUR-$MACHINE${TOOLCHAIN:-}" = cloud-amd64 ] ;;
	uml:*) [ "$HOST-$MACHINE" = amd64-amd64 ] ;;
	host:*) [ -z "$CROSS" ] ;;
	esac
}

# choose PLACE:PART...: in plan, those that ONLY wants, and that make sense.
choose() {
	local one name
	for name in ${ONLY:-}; do
		[[ " $* " == *":$name "* ]] || die "ONLY=$name is no part of this run." \
			"Choose from $(printf '%s\n' "${@#*:}" | sort -u | paste -sd ' ')."
	done
	for one; do
		has_sense "$one" || continue
		[[ -n ${ONLY:-} && " $ONLY " != *" ${one#*:} "* ]] || plan+=("$one")
	done
	[ ${#plan[@]} -gt 0 ] ||
		die "There is no ONLY=$ONLY for this kernel; see docs/testing.md."
}

run_part() {
	local name=${1#*:}
	case ${1%:*} in
	host) step "${TITLES[$name]}" "$name" ;;
	uml) UML=kunit step "${TITLES[$name]} on User Mode Linux" "$name" ;;
	qemu) step "${TITLES[$name]} under QEMU" "$name" ;;
	esac
}

# The stock kernel that a kernel of our own is made of is Debian 13's in any case.
roots() {
	TOOLCHAIN='' "$SCRIPTS/root.sh" || return
	[ -z "${TOOLCHAIN:-}" ] || "$SCRIPTS/root.sh"
}

# aside PLACE:PART...: runs these at the same time as what follows, until aside_ends;
# as a process group, all of which ends with this script.
aside() {
	setsid "$0" --aside "$@" >"$WORK/aside.log" 2>&1 </dev/null &
	pid=$!
	guard "-$pid"
}
aside_ends() {
	wait "$pid" || true
	grep '^      ' "$WORK/aside.log" || true
	join "what has run aside" "$WORK/aside.log"
}

plan=() aside=() own='' effort=--quick
if [ "${1:-}" = --aside ]; then
	plan=("${@:2}")
	effort=--brief
elif [ "$FLAVOUR" = debug ]; then
	choose uml:{kunit,kselftest,modules,planted} qemu:{kselftest,modules,kunit,planted}
elif [ -n "${UML:-}" ]; then
	choose host:{model,tools} uml:{kunit,faults,torture,kselftest,modules}
elif [ "${1:-}" = --all ] || [ -n "${ONLY:-}" ]; then
	choose "${full[@]}"
else
	choose qemu:{kselftest,instructions}
	[ -n "$CROSS" ] || aside=(host:model host:tools)
	aside+=(qemu:modules qemu:examples)
fi
STEPS=${#plan[@]}
if [ "${1:-}" = --all ] && [ -z "${ONLY:-}" ]; then
	say "This takes about 45 minutes on two cores; the first time about an hour, 300 MB" \
		"to download, and 3 GB of disk: see make help."
fi
if [ "${1:-}" != --aside ]; then
	[[ " ${plan[*]}" != *" uml:"* ]] || own=1
	STEPS=$((STEPS + 4 + ${#own} + (${#aside[@]} > 0)))
	step "Tools of this machine" "$SCRIPTS/host.sh"
	step "Toolchain root" roots
	lock_work
	[ ${#aside[@]} -eq 0 ] || aside "${aside[@]}"
	step "Kernel" "$SCRIPTS/kernel.sh"
	[ -z "$own" ] || step "Debug kernel (User Mode Linux)" "$SCRIPTS/own.sh" kunit
	step "${TITLES[machinery]}" machinery
fi
for one in "${plan[@]}"; do
	# What runs aside may come to its guests before their kernel is prepared.
	[[ ${1:-} != --aside || $one = host:* ]] || "$SCRIPTS/kernel.sh" >/dev/null
	run_part "$one"
done
[ ${#aside[@]} -eq 0 ] || step "What has run at the same time" aside_ends
show_times
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
