#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# litmus.sh [NAME...]: runs the litmus tests of tests/litmus, or those that are
# named, with herd7, and compares each verdict with the one that the file states.
# The last line is "N passed, N failed".  If herd7 cannot be had: a sentence, and
# status 4.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

make_cache
"$SCRIPTS/host.sh"
"$SCRIPTS/root.sh"
[ -d "$(kernel_dir)" ] || "$SCRIPTS/kernel.sh"
"$SCRIPTS/herd.sh"
cd "$SOURCE"

complain() { say "FAILED $1: $2"; }

# How files, source and documentation fit together: each test that forbids
# something has variants that show what its orderings are for; each is named in
# src where its orderings are, and in docs/testing.md with its verdict; and
# nothing is named that is not there.
names() {
	local file name verdict base
	for file in tests/litmus/*.litmus; do
		name=$(basename "$file" .litmus)
		base=${name%%.*}
		verdict=$(sed -n 's/^ \* Result: //p' "$file")
		[ "$(head -n 1 "$file")" = "C $name" ] ||
			complain "$name" "has another name inside"
		case $name in
		*.without-* | *.wrong-order)
			[[ $verdict == Sometimes* ]] ||
				complain "$name" "says that it makes no difference" ;;
		*.with-*) ;;
		*.*) complain "$name" "is no kind of variant" ;;
		*)
			[ "$verdict" != Never ] ||
				compgen -G "tests/litmus/$name.w*o*.litmus" >/dev/null ||
				complain "$name" "has no variant"
			grep -rqE "litmus: ([a-z-]+, )*$name([^a-z-]|\$)" src ||
				complain "$name" "is not named in src"
			grep -qE "^\| \`$name\` \|.*\| $verdict" docs/testing.md ||
				complain "$name" "is not in docs/testing.md with its verdict"
			;;
		esac
		[ -e "tests/litmus/$base.litmus" ] ||
			complain "$name" "is a variant of nothing"
	done
	{
		grep -rhoE 'litmus: [a-z-]+(, [a-z-]+)*' src | sed 's/^litmus: //'
		# shellcheck disable=SC2016 # the page's own marks
		sed -nE 's/^\| `([a-z-]+)` \|.*\| (Never|Sometimes)[^|]* \|$/\1/p' docs/testing.md
	} | sed 's/, /\n/g' | sort -u | while read -r name; do
		[ -e "tests/litmus/$name.litmus" ] ||
			complain "$name" "is named, but there is no such test"
	done
}

bad=''
tests=("${@/#//syncmap/tests/litmus/}")
tests=("${tests[@]/%/.litmus}")
if [ $# -eq 0 ]; then
	bad=$(names)
	[ -z "$bad" ] || say "$bad"
	tests=(tests/litmus/*.litmus)
	tests=("${tests[@]/#//syncmap/}")
fi
result=$(in_herd "$(herd_dir)" "${tests[@]}" |
	awk -v bad="$(grep -c . <<<"$bad")" -f "$SCRIPTS/litmus.awk")
say "$result"
[[ $result == *', 0 failed' ]]
