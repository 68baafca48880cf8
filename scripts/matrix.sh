#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make matrix: the tests that need no KUnit on every stock kernel that is
# supported, each prepared on the way, on that of Debian's testing suite, and on those
# for arm64; those and KUnit on User Mode Linux, built by clang, and again by the
# compilers of that suite; and a table of the results.  KERNELS and FLAVOURS choose.
# With --table the table is written to README.md, between its markers.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

table=
case ${1:-} in
'') ;;
--table) table=1 ;;
*) die "There is no option $1 here." "Give --table, or nothing." ;;
esac

make_cache
out=$(work_dir)/matrix
mkdir -p "$out"
passed=0
failed=0
skipped=0
rows=()

# built VARIABLE=VALUE...: a kernel, and by which compilers it was built.
built() {
	# shellcheck disable=SC2016 # by that shell
	env "$@" bash -c '. "$0/lib.sh"
		dir=$(kernel_dir)
		[ -z "${UML:-}" ] || dir=$(uml_dir)
		printf "%s | " "$(cat "$dir/release")${UML:+, User Mode Linux}${CROSS:+, emulated}"
		sed -nE "s/^CONFIG_CC_VERSION_TEXT=\".*(gcc|clang).* ([0-9]+\.[0-9]+)\..*/\1 \2/p
			s/^CONFIG_RUSTC_VERSION_TEXT=\"(rustc [0-9.]*).*/\1/p" \
			"$dir/build/.config" | paste -sd, | sed "s/,/, /"' "$SCRIPTS"
}

# cell NAME PARTS VARIABLE=VALUE...: those parts of the tests on one kernel.
cell() {
	local log=$out/$1.log name=$1 only=$2 start=$SECONDS status=0 kernel
	local p f s sums=(0 0 0)
	shift 2
	env "$@" ONLY="$only" "$SCRIPTS/test.sh" >"$log" 2>&1 </dev/null || status=$?
	kernel=$(built "$@" 2>/dev/null) || kernel="$name |"
	while read -r p f s; do
		sums=($((sums[0] + p)) $((sums[1] + f)) $((sums[2] + s)))
	done < <(sed -nE 's/^ *(kselftest|modules and tools|KUnit): ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\2 \3 \4/p' "$log")
	# A guest that died, or was never started, is a failure as well.
	[ "$status" -eq 0 ] || [ "${sums[1]}" -gt 0 ] || sums[1]=1
	passed=$((passed + sums[0]))
	failed=$((failed + sums[1]))
	skipped=$((skipped + sums[2]))
	rows+=("| $kernel | ${sums[0]} | ${sums[1]} | ${sums[2]} | $((SECONDS - start)) |")
	say "      ${kernel/ |/:}: ${sums[0]} passed, ${sums[1]} failed, ${sums[2]} skipped"
	[ "${sums[1]}" -eq 0 ] || {
		grep -E 'FAILED|verdict:|^syncmap: ' "$log" | head -n 20 || tail -n 5 "$log"
		say "      All it said: $log"
	}
}

# Without a network, those that syncmap was tried with, which may be there.
[ -n "${KERNELS:-}" ] || KERNELS=$("$SCRIPTS/kernel.sh" --series) || KERNELS=$TRIED_SERIES
read -rd '' -a series <<<"$KERNELS" || true
case $HOST in
amd64) all="cloud rt amd64 testing arm64 arm64-16k clang newest" ;;
arm64) all="cloud rt arm64 arm64-16k testing" ;;
esac
read -ra flavours <<<"${FLAVOURS:-$all}"
STEPS=0
for flavour in "${flavours[@]}"; do
	[[ " $all " == *" $flavour "* ]] ||
		die "FLAVOURS=$flavour is not known here." "Choose from $all."
	case $flavour in
	cloud | rt | "$HOST") STEPS=$((STEPS + ${#series[@]})) ;;
	*) STEPS=$((STEPS + 1)) ;;
	esac
done
for flavour in "${flavours[@]}"; do
	case $flavour in
	cloud | rt | "$HOST") for one in "${series[@]}"; do
		step "Debian's $one, $flavour" \
			cell "$one-$flavour" "kselftest modules" \
				KERNEL="$one" FLAVOUR="$flavour"
	done ;;
	arm64) step "Debian's newest for arm64" \
		cell arm64 "kselftest modules" ARCH=arm64 ;;
	arm64-16k) step "Debian's newest for arm64, pages of 16 KiB" \
		cell arm64-16k "kselftest modules" ARCH=arm64 FLAVOUR=arm64-16k ;;
	testing) step "The kernel of Debian's testing suite" \
		cell testing "kselftest modules" TOOLCHAIN=newest ;;
	clang) step "User Mode Linux, by clang" \
		cell clang "kunit kselftest modules" UML=kunit ;;
	newest) step "User Mode Linux, by the newest compilers" \
		cell newest "kunit kselftest modules" UML=kunit TOOLCHAIN=newest ;;
	esac
done
{
	say '| kernel | built by | passed | failed | skipped | seconds |'
	say '|---|---|---|---|---|---|'
	printf '%s\n' "${rows[@]}"
} >"$out/table.md"
cat "$out/table.md"
[ -z "$table" ] || replace_part matrix "$SOURCE/README.md" "$out/table.md"
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
