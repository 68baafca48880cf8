#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make matrix: the tests that need no KUnit on every stock kernel that is
# supported, each prepared on the way, and a table of the results.  KERNELS and
# FLAVOURS choose (7.3 7.2; cloud rt amd64).  With --table the table is written
# to docs/testing.md, between its markers.

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

# cell SERIES FLAVOUR: the device tests on one kernel.
cell() {
	local log=$out/$1-$2.log start=$SECONDS status=0 release p=0 f=0 s=0
	export KERNEL=$1 FLAVOUR=$2
	ONLY=device "$SCRIPTS/test.sh" >"$log" 2>&1 </dev/null || status=$?
	release=$(cat "$(kernel_dir)/release" 2>/dev/null || say "$1, $2")
	read -r p f s < <(sed -nE 's/^ *device tests: ([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$log") || true
	# A guest that died, or was never started, is a failure as well.
	[ "$status" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	passed=$((passed + p))
	failed=$((failed + f))
	skipped=$((skipped + s))
	rows+=("| $release | $p | $f | $s | $((SECONDS - start)) |")
	say "      $release: $p passed, $f failed, $s skipped"
	[ "$f" -eq 0 ] || {
		grep -E 'FAILED|verdict:|^syncmap: ' "$log" | head -n 20 || tail -n 5 "$log"
		say "      All it said: $log"
	}
}

read -ra series <<<"${KERNELS:-7.3 7.2}"
read -ra flavours <<<"${FLAVOURS:-cloud rt amd64}"
STEPS=$((${#series[@]} * ${#flavours[@]}))
for one in "${series[@]}"; do
	for flavour in "${flavours[@]}"; do
		step "Debian's $one, $flavour" cell "$one" "$flavour"
	done
done
{
	say '| kernel | passed | failed | skipped | seconds |' '|---|---|---|---|---|'
	printf '%s\n' "${rows[@]}"
} >"$out/table.md"
cat "$out/table.md"
[ -z "$table" ] || replace_part matrix "$SOURCE/docs/testing.md" "$out/table.md"
totals="$passed passed, $failed failed"
[ "$skipped" -eq 0 ] || totals+=", $skipped skipped"
say "$totals"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
