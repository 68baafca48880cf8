#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# mutants.sh [--left] [--table] [NAME...]: applies the patches of tests/mutants, or
# those that are named, to a copy of the source, one at a time; each breaks one rule,
# and must be killed by the test that its head names.  The same run without it must
# pass.  Says so in TAP; the last line is "N passed, N failed".  --left leaves out
# those that have been killed with this very source and test, here or in another
# checkout.  --table writes the results into docs/testing.md.
#
# mutants.sh --check: only whether the patches apply, and their heads are complete.
#
# The head of a patch:
#	Rule: what it breaks
#	Runner: kunit SUITE [PATTERN] | device PROGRAM [PART OF A NAME] | ctest |
#		careless | model PROGRAM | chance PROGRAM | build
#	Killed by: test NAME | KASAN | lockdep | RCU | refcount | leak | sleep |
#		objects | panic | hang | error TEXT		(once or more)
#	Dies: SECONDS	if panic or hang count: how long it may take
# "model" is one of the programs that loom explores on the host, "chance" one of them
# under the schedulers of shuttle.  "error" is what the compiler says, of which
# "build" is the runner.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

MUTANTS=$SOURCE/tests/mutants
PAGE=$SOURCE/docs/testing.md
# Seconds that a run may take, unless it may die sooner.
LIMIT=300

# head_of NAME: in LICENSE, RULE, RUNNER, KILLERS and DIES what the head of a patch
# says.  No command is run: a check of all of them shall take no time.
head_of() {
	local key value
	LICENSE='' RULE='' RUNNER='' KILLERS=() DIES=''
	while IFS=: read -r key value; do
		value=${value# }
		case $key in
		SPDX-License-Identifier) LICENSE=$value ;;
		Rule) RULE=$value ;;
		Runner) RUNNER=$value ;;
		'Killed by') KILLERS+=("$value") ;;
		Dies) DIES=$value ;;
		---*) return ;;
		esac
	done <"$MUTANTS/$1.patch"
}

# pattern KILLER: what it looks like in the logs.
pattern() {
	local name
	case $1 in
	"test "*)
		name=${1#test }
		name=${name//[^a-zA-Z0-9_ ,:-]/.}
		say "not ok [0-9]+ (- )?.*$name"
		;;
	KASAN) say 'BUG: KASAN' ;;
	lockdep) say 'possible (circular|recursive)|inconsistent lock state|held lock freed|bad unlock balance|lock held when' ;;
	RCU) say 'suspicious RCU usage|RCU.*stall' ;;
	refcount) say 'refcount_t' ;;
	leak) say 'unreferenced object' ;;
	sleep) say 'sleeping function called|scheduling while atomic' ;;
	objects) say 'ODEBUG|debug_objects' ;;
	panic) say 'Kernel panic|Oops' ;;
	hang) say '' ;;
	"error "*) say "${1#error }" ;;
	*) return 1 ;;
	esac
}

# In FILE, what the test of a runner is written in: RUNNER.
file_of() {
	local kind what
	read -r kind what _ <<<"$1"
	case $kind in
	kunit) FILE=tests/kunit/suite_$what.rs ;;
	device) FILE=tests/kselftest/$what.c ;;
	ctest) FILE=tests/modules/ctest/main.c ;;
	careless) FILE=scripts/job-modules.sh ;;
	model | chance) FILE=$(cd "$SOURCE" &&
		grep -lF "\"$what\"" tests/model/harness/src/programs/*.rs) ;;
	build) FILE=Kbuild ;;
	*) return 1 ;;
	esac
}

# has_test TEST: whether the runner of the head is one, and has such a test.  The
# file that it should be in is read once.
declare -A TEXTS
has_test() {
	local FILE
	file_of "$RUNNER" && [ -e "$SOURCE/$FILE" ] || return
	[ -n "${TEXTS[$FILE]:-}" ] || TEXTS[$FILE]=$(cat "$SOURCE/$FILE")
	[[ ${TEXTS[$FILE]} == *"$1"* ]]
}

# Complaints about the heads of all patches, and the table.
complaints() {
	local name killer page text
	page=$(sed -n '/^<!-- mutants: begin/,/^<!-- mutants: end/p' "$PAGE")
	for name in "${ALL[@]}"; do
		head_of "$name"
		[ -n "$LICENSE" ] || say "$name: no SPDX-License-Identifier"
		[ -n "$RULE" ] || say "$name: breaks no Rule"
		has_test '' || say "$name: no Runner is \"$RUNNER\""
		[ ${#KILLERS[@]} -gt 0 ] || say "$name: Killed by nothing"
		for killer in "${KILLERS[@]}"; do
			pattern "$killer" >/dev/null ||
				say "$name: \"$killer\" kills nothing"
			case $killer in
			"test "*) has_test "${killer#test }" ||
				say "$name: $RUNNER has no test \"${killer#test }\"" ;;
			panic | hang) [ "${DIES:-0}" -gt 0 ] ||
				say "$name: how soon does it die? (Dies: SECONDS)" ;;
			esac
		done
		[[ $page == *"| \`$name\` | $RULE |"* ]] ||
			say "$name: is not in the table of docs/testing.md"
	done
	# shellcheck disable=SC2016 # the page's own marks
	sed -n 's/^| `\([^`]*\)` |.*/\1/p' <<<"$page" | while read -r name; do
		[ -e "$MUTANTS/$name.patch" ] ||
			say "$name: is in docs/testing.md, but there is no such mutant"
	done
}

# shellcheck disable=SC2016 # expanded inside the root
unfit() {
	in_root -- sh -c 'for patch in tests/mutants/*.patch; do
		out=$(patch --dry-run -f -p1 --fuzz=0 <"$patch" 2>&1) ||
			echo "$(basename "$patch" .patch): does not apply:" $out
	done'
}

check_all() {
	local bad
	"$SCRIPTS/root.sh" >/dev/null
	bad=$(
		complaints
		unfit
	)
	[ -z "$bad" ] || {
		say "$bad"
		return 1
	}
	say "${#ALL[@]} mutants apply"
}

# Makes the copy the same as the tracked source, and touches nothing that is so
# already, for make to have little to do.
refresh() {
	local file
	mkdir -p "$COPY"
	git -C "$SOURCE" ls-files >"$DIR/files"
	(cd "$COPY" && find . -type f -printf '%P\n') |
		grep -vxF -f "$DIR/files" |
		while read -r file; do rm "$COPY/$file"; done || true
	while read -r file; do
		[ -e "$SOURCE/$file" ] || continue
		restore "$file"
	done <"$DIR/files"
}

restore() {
	! cmp -s "$SOURCE/$1" "$COPY/$1" || return 0
	mkdir -p "$(dirname "$COPY/$1")"
	cp --remove-destination "$SOURCE/$1" "$COPY/$1"
}

# apply PATCH, revert PATCH
apply() {
	in_root --bind "$COPY" /copy -- \
		patch -s -f -d /copy -p1 --fuzz=0 --no-backup-if-mismatch \
		-i "/syncmap/tests/mutants/$(basename "$1")" >"$DIR/patch.log" 2>&1
}
revert() {
	local file
	sed -n 's#^+++ b/\([^[:space:]]*\).*#\1#p' "$1" | while read -r file; do
		rm -f "$COPY/$file.orig" "$COPY/$file.rej"
		restore "$file"
	done
}

# build RUNNER: what its guest needs, in FILES.  Of the KUnit module only the one
# suite: the others take longer to compile than all the rest.
build() {
	local kind what out programs modules='syncmap.o'
	read -r kind what _ <<<"$1"
	case $kind in
	model | chance)
		SYNCMAP_SOURCE=$COPY/src "$SCRIPTS/model.sh" "${PARTS[$kind]}" --list \
			>"$DIR/build.log" 2>&1
		return
		;;
	kunit)
		sed "/^mod suite_/{/^mod suite_$what;/!d}" \
			"$SOURCE/tests/kunit/syncmap_kunit.rs" >"$DIR/kunit.rs"
		cmp -s "$DIR/kunit.rs" "$COPY/tests/kunit/syncmap_kunit.rs" ||
			cp "$DIR/kunit.rs" "$COPY/tests/kunit/syncmap_kunit.rs"
		out=$(UML=kunit KUNIT=1 "$COPY/scripts/module.sh" 2>"$DIR/build.log") || return
		FILES=("$out/syncmap_kunit.ko=/syncmap_kunit.ko")
		;;
	*)
		case $1 in
		ctest | careless) modules+=" syncmap_$kind.o" ;;
		"device blocklist"*) modules+=" blocklist.o" ;;
		esac
		out=$(UML=kunit MODULES=1 "$COPY/scripts/module.sh" \
			obj-m="$modules" 2>"$DIR/build.log") || return
		FILES=("$out/syncmap.ko=/syncmap.ko")
		;;
	esac
	case $kind in
	device)
		programs=$("$SCRIPTS/programs.sh" tests/kselftest 2>"$DIR/build.log") ||
			return
		FILES+=("$programs/$what=/program")
		[ "$what" != blocklist ] ||
			FILES+=("$out/blocklist.ko=/blocklist.ko")
		;;
	ctest | careless)
		programs=$("$SCRIPTS/programs.sh" samples 2>"$DIR/build.log") || return
		FILES+=("$out/syncmap_$kind.ko=/syncmap_$kind.ko"
			"$programs/client=/client")
		;;
	esac
}

seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f", to - from }'; }

# seen PATTERN: whether the logs of the guest have it.
seen() { grep -qaE -- "$1" "$GUEST/console.log" "$GUEST/output.log" 2>/dev/null; }

# model PART PROGRAM SECONDS: what is run of the model, as a guest would.  Programs
# of "random" take a sixth of the seconds.
declare -A PARTS=([model]=explore [chance]=random)
model() {
	local status=0 seconds=$3
	[ "$1" = explore ] || seconds=$((seconds * 3))
	{
		say "## begin $1"
		SYNCMAP_SOURCE=$COPY/src "$SCRIPTS/model.sh" "$1" --seconds "$seconds" "$2" ||
			status=$?
		say "## end $1 $status"
	} >"$GUEST/output.log" 2>"$GUEST/console.log"
	return "$status"
}

# guest RUNNER LIMIT [PATTERN]: runs it until it ends, or the pattern is seen.  In
# ENDED, how: seen, passed, failed; in TOOK the seconds.
guest() {
	local pid status=0 start=$EPOCHREALTIME seconds=$LIMIT
	mkdir -p "$GUEST"
	if [[ $1 == "model "* || $1 == "chance "* ]]; then
		# Without a mutant, make test runs them all as well.
		[ -n "${3:-}" ] || seconds=10
		model "${PARTS[${1%% *}]}" "${1#* }" "$seconds" || status=$?
		TOOK=$(seconds "$start")
		ENDED=passed
		[ "$status" -eq 0 ] || ENDED=failed
		[ -z "${3:-}" ] || ! seen "$3" || ENDED=seen
		return
	fi
	say "$1" >"$DIR/runner"
	"$SCRIPTS/initramfs.sh" "$GUEST/initramfs" \
		"$SCRIPTS/job-mutant.sh" "$DIR/runner=/runner" \
		"$SCRIPTS/job-modules.sh=/job-modules.sh" "${FILES[@]}"
	rm -f "$GUEST"/*.log
	UML=kunit setsid "$SCRIPTS/guest.sh" "$GUEST" "$2" >"$DIR/guest.txt" 2>&1 &
	pid=$!
	guard "$pid"
	start=$EPOCHREALTIME
	while kill -0 "$pid" 2>/dev/null; do
		if [ -n "${3:-}" ] && seen "$3"; then
			TOOK=$(seconds "$start")
			kill -TERM -- "-$pid" 2>/dev/null || true
			wait "$pid" 2>/dev/null || true
			ENDED=seen
			return
		fi
		sleep 0.1
	done
	wait "$pid" || status=$?
	TOOK=$(seconds "$start")
	ENDED=passed
	[ "$status" -eq 0 ] && [[ $(tr -d '\r' <"$GUEST/output.log" |
		awk -f "$SCRIPTS/tap.awk" | tail -n 1) =~ ^total\ [1-9][0-9]*\ 0\  ]] ||
		ENDED=failed
	[ -z "${3:-}" ] || ! seen "$3" || ENDED=seen
}

# What a guest has complained of, in a line.
trouble() {
	{
		grep -ahoE 'not ok [0-9]+.*' "$GUEST/output.log" "$GUEST/console.log" ||
			sed -n 's/^ *\(verdict: \)\?//p' "$DIR/guest.txt"
	} 2>/dev/null | head -n 1 | tr -cd '[:print:]' | cut -c1-60
}

result() {
	number=$((number + 1))
	case $1 in
	ok) passed=$((passed + 1)) ;;
	*) failed=$((failed + 1)) ;;
	esac
	say "$1 $number $2"
}

# What a baseline depends on.
state_of() {
	local kind
	read -r kind _ <<<"$1"
	(
		cd "$SOURCE"
		UML=kunit uml_dir
		git ls-files src include Kbuild syncmap.mk tests/kunit tests/kselftest \
			tests/model tests/modules scripts/job-mutant.sh scripts/job-modules.sh |
			xargs cat
	) | sha256sum | cut -c1-16
}

# baseline RUNNER: the run without a mutant passes; known if it has done so before,
# with the same source and kernel.
baseline() {
	local key
	key="$(state_of "$1") $1"
	! grep -qxF "$key" "$DIR/green" 2>/dev/null || return 0
	say "      $1, unbroken ..."
	if ! build "$1"; then
		tail -n 5 "$DIR/build.log"
		result "not ok" "without a mutant, $1 builds"
		return 1
	fi
	if [ "$1" != build ]; then
		guest "$1" "$LIMIT"
		[ "$ENDED" = passed ] || {
			tail -n 5 "$DIR/guest.txt"
			result "not ok" "without a mutant, $1 passes: $(trouble)"
			return 1
		}
	fi
	result ok "without a mutant, $1 passes"
	say "$key" >>"$DIR/green"
}

# killers: what would kill the mutant of the head, as one pattern; "hang" is none.
killers() {
	local killer
	for killer in "${KILLERS[@]}"; do pattern "$killer"; done |
		grep . | paste -sd '|' || true
}

# killer: which of them has, by the logs.
killer() {
	local killer
	for killer in "${KILLERS[@]}"; do
		[ "$killer" = hang ] || ! seen "$(pattern "$killer")" || {
			say "$killer"
			return
		}
	done
}

# digest PATH...: of the tracked files there.
digest() {
	(cd "$SOURCE" && git ls-files -z "$@" | xargs -0 cat) | sha256sum | cut -c1-16
}

# In STATE, what the result of the mutant of the head depends on: the source, the
# test, and the mutant.
declare -A DIGESTS
state_of_result() {
	local FILE
	file_of "$RUNNER"
	[ -n "${DIGESTS[source]:-}" ] ||
		DIGESTS[source]=$(digest src include Kbuild syncmap.mk)
	[ -n "${DIGESTS[$FILE]:-}" ] || DIGESTS[$FILE]=$(digest "$FILE")
	STATE="${DIGESTS[source]} ${DIGESTS[$FILE]} $(digest "tests/mutants/$1.patch")"
}

# record NAME KILLER SECONDS
record() {
	local STATE
	state_of_result "$1"
	printf '%s\t%s\t%s\n' "$STATE" "$2" "$3" >"$RESULTS/$1.$$"
	mv "$RESULTS/$1.$$" "$RESULTS/$1"
}

# recall NAME: in BY and SECS the result of the mutant of the head, if there is one
# that still holds.
recall() {
	local STATE state
	BY='' SECS=''
	[ -e "$RESULTS/$1" ] || return
	state_of_result "$1"
	IFS=$'\t' read -r state BY SECS <"$RESULTS/$1"
	[ "$state" = "$STATE" ]
}

run() {
	local name=$1 patch=$MUTANTS/$1.patch by='' start=$EPOCHREALTIME
	head_of "$name"
	if ! apply "$patch"; then
		revert "$patch"
		result "not ok" "$name: does not apply any more: $(head -n 1 "$DIR/patch.log")"
		return
	fi
	if [ "$RUNNER" = build ]; then
		if build build; then
			result "not ok" "$name: SURVIVED: it compiles"
		elif grep -qE "$(killers)" "$DIR/build.log"; then
			TOOK=$(seconds "$start")
			result ok "$name: refused by the compiler, $TOOK s"
			record "$name" "the compiler" "$TOOK"
		else
			tail -n 5 "$DIR/build.log"
			result "not ok" "$name: does not compile, for another reason"
		fi
		revert "$patch"
		return
	fi
	if ! build "$RUNNER"; then
		revert "$patch"
		grep -m 5 -E '^(error|  -->)' "$DIR/build.log" || tail -n 5 "$DIR/build.log"
		result "not ok" "$name: does not compile"
		return
	fi
	guest "$RUNNER" "${DIES:-$LIMIT}" "$(killers)"
	revert "$patch"
	case $ENDED in
	seen) by=$(killer) ;;
	failed)
		if [[ " ${KILLERS[*]} " == *" hang "* ]] &&
			grep -q 'did not end within' "$DIR/guest.txt"; then
			by=hang
		fi
		;;
	esac
	if [ -n "$by" ]; then
		result ok "$name: killed by $by, $TOOK s"
		record "$name" "$by" "$TOOK"
	elif [ "$ENDED" = passed ]; then
		result "not ok" "$name: SURVIVED $RUNNER, $TOOK s"
	else
		result "not ok" "$name: noticed, but not by what it names: $(trouble)"
	fi
}

# What the page has between its marks: with a dash, what was not killed with this
# source.
table() {
	local name BY SECS
	say '| mutant | rule that it breaks | runner | killed by | s |'
	say '|---|---|---|---|---|'
	for name in "${ALL[@]}"; do
		head_of "$name"
		recall "$name" || BY=- SECS=-
		case $BY in
		"test "*) BY="\`${BY#test }\`" ;;
		esac
		# shellcheck disable=SC2016 # the page's own marks
		printf '| `%s` | %s | %s | %s | %s |\n' "$name" "$RULE" "$RUNNER" \
			"$BY" "$SECS"
	done
}

write_table() {
	table >"$DIR/table"
	sed -e '/^<!-- mutants: begin/r '"$DIR/table" \
		-e '/^<!-- mutants: begin/,/^<!-- mutants: end/{/^<!-- mutants/!d}' \
		"$PAGE" >"$DIR/page"
	cat "$DIR/page" >"$PAGE"
	say "      The table in docs/testing.md is that of $(date -u +%F)."
}

make_cache
ALL=("$MUTANTS"/*.patch)
ALL=("${ALL[@]##*/}")
ALL=("${ALL[@]%.patch}")
RESULTS=$CACHE/mutants
mkdir -p "$RESULTS"
tables='' left=''
while [ $# -gt 0 ]; do
	case $1 in
	--check)
		check_all
		exit
		;;
	--table) tables=1 ;;
	--left) left=1 ;;
	*) break ;;
	esac
	shift
done
names=("$@")
[ $# -gt 0 ] || names=("${ALL[@]}")
for name in "${names[@]}"; do
	[ -e "$MUTANTS/$name.patch" ] ||
		die "There is no mutant $name." "They are in tests/mutants."
done
if [ -n "$left" ]; then
	known=0
	for name in "${!names[@]}"; do
		head_of "${names[name]}"
		! recall "${names[name]}" || {
			unset "names[name]"
			known=$((known + 1))
		}
	done
	say "      $known have been killed with this source."
fi
"$SCRIPTS/host.sh"
"$SCRIPTS/root.sh"
"$SCRIPTS/kernel.sh"
"$SCRIPTS/own.sh" kunit
lock_work
DIR=$WORK/mutants
COPY=$DIR/source GUEST=$DIR/guest
number=0 passed=0 failed=0 begun=0
mkdir -p "$DIR"
refresh
say "TAP version 13"
# All runs without a mutant come first: of these, one build serves many.
declare -A green=()
for name in "${names[@]}"; do
	head_of "$name"
	printf '%s\t%s\n' "$RUNNER" "$name"
done | sort >"$DIR/order"
while read -r runner; do
	! baseline "$runner" || green[$runner]=1
done < <(cut -f 1 "$DIR/order" | uniq)
while IFS=$'\t' read -r runner name; do
	begun=$((begun + 1))
	say "      [$begun/${#names[@]}] $name"
	if [ -z "${green[$runner]:-}" ]; then
		result "not ok" "$name: $runner does not pass without it"
		continue
	fi
	run "$name"
done <"$DIR/order"
say "1..$number"
[ -z "$tables" ] || write_table
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ $((passed + ${known:-0})) -gt 0 ]
