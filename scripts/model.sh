#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# model.sh: the library on the host, on a stand-in for the kernel (tests/model):
# loom tries all executions of small programs, shuttle random ones of long
# programs, and real threads run under the sanitizers; what they see is checked
# for linearizability.  The last line is "N passed, N failed".

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

usage() {
	cat <<'END'
Usage: scripts/model.sh [--brief | --quick | --long | --check]
       scripts/model.sh PART [OPTION...] [TEST...]

  --brief     half a second per test, and no sanitizers
  --quick     a few seconds per test, which is what is done if nothing is said
  --long      minutes per test, and one preemption more
  --check     formatting and lints of the model itself

Or one part, or some of its tests:

  explore     small programs, by loom
  random      long programs, by shuttle
  stress      long programs, on real threads
  address     the same under AddressSanitizer
  thread      the same under ThreadSanitizer
  linearize   the tests of the judge of histories

  OPTIONs of a part: --long, --seconds N (per test), --seed N, --jobs N, --list

SYNCMAP_SOURCE names another copy of the folder src to try instead, such as one
with a mistake in it:

  SYNCMAP_SOURCE=/tmp/src scripts/model.sh explore store-expunge
END
}

parts=(linearize explore random stress address thread)
args=() effort=()
case ${1:---quick} in
--quick) ;;
--brief)
	parts=(linearize explore random)
	effort=(--seconds 0.5)
	;;
--long) effort=(--long) ;;
--check) parts=(check) ;;
--help)
	usage
	exit 0
	;;
linearize | explore | random | stress | address | thread)
	parts=("$1")
	args=("${@:2}")
	;;
*) die "There is no $1 here." "See scripts/model.sh --help" ;;
esac

make_cache
"$SCRIPTS/root.sh"
lock "work-$(key_of "$SOURCE")-model"
out=$(work_dir)/model
mkdir -p "$out"
inside=/cache/${out#"$CACHE"/}

# Another source has another name inside, so that cargo knows it from others.
other=()
if [ -n "${SYNCMAP_SOURCE:-}" ]; then
	[ -e "$SYNCMAP_SOURCE/lib.rs" ] ||
		die "SYNCMAP_SOURCE=$SYNCMAP_SOURCE is no copy of the folder src." \
			"Give the path of a folder with lib.rs and the others."
	name=/source-$(cd "$SYNCMAP_SOURCE" &&
		find . -type f -exec sha256sum {} + | sort | sha256sum | cut -c1-12)
	other=(--ro-bind "$SYNCMAP_SOURCE" "$name" --setenv SYNCMAP_SOURCE "$name")
fi

# in_model TARGET COMMAND...: with cargo, in the folder of the model, as the
# kernel is built: by a stable compiler that lets itself be told.
in_model() {
	cargo_options "$inside/$1"
	in_root "${CARGO[@]}" "${other[@]}" --setenv RUSTC_BOOTSTRAP 1 \
		--setenv RUSTFLAGS "${flags:-}" -- env -C /syncmap/tests/model "${@:2}"
}

# build CRATE: its program is $inside/$program then.
build() {
	local crate=$1 triple flags=''
	triple=$(uname -m)-unknown-linux-gnu
	say "      Building $1"
	case $1 in
	address | thread)
		crate=stress
		flags="-Zsanitizer=$1 -Zexternal-clangrt -Clinker=clang$LLVM_SUFFIX"
		flags+=" -Clink-arg=-fsanitize=$1"
		watch "$out/build.log" 0 in_model "target-$1" cargo build --locked \
			--release -p "$crate" --target "$triple"
		program=target-$1/$triple/release/$crate
		;;
	linearize)
		watch "$out/build.log" 0 in_model target cargo test --locked --release \
			-p linearize --no-run
		program=
		;;
	*)
		watch "$out/build.log" 0 in_model target cargo build --locked --release \
			-p "$crate"
		program=target/release/$crate
		;;
	esac
	[ "$STATUS" -eq 0 ] || {
		tail -n 20 "$out/build.log" >&2
		die "The model ($1) could not be built." \
			"The network is needed the first time; the log is $out/build.log"
	}
}

# The tests of the judge, as TAP.
judge_tests() {
	in_model target cargo test --locked --release -q -p linearize --test histories \
		-- --format pretty "$@" 2>&1 | awk '
		/^test .* \.\.\. ok$/ { print "ok " ++n " " $2; next }
		/^test .* \.\.\. FAILED$/ { print "not ok " ++n " " $2; bad = 1; next }
		{ print "# " $0 }
		END { print "1.." n; exit bad || !n }'
}

run() {
	local options=(--setenv TSAN_OPTIONS
		"suppressions=/syncmap/tests/model/thread-sanitizer.supp")
	if [ "$1" = linearize ]; then
		judge_tests "${args[@]}"
	else
		in_root "${options[@]}" -- "$inside/$program" "${effort[@]}" "${args[@]}"
	fi
}

if [ "${parts[0]}" = check ]; then
	in_model target cargo fmt --check
	for crate in linearize explore random stress; do
		in_model target cargo clippy --locked -q --release -p "$crate" \
			--all-targets -- -D warnings
	done
	exit 0
fi

: >"$out/output.log"
for part in "${parts[@]}"; do
	build "$part"
	[[ " ${args[*]} " != *" --list "* ]] || {
		run "$part"
		exit
	}
	status=0
	say "## begin $part" >>"$out/output.log"
	run "$part" > >(tee -a "$out/output.log") || status=$?
	wait $! || true
	say "## end $part $status" >>"$out/output.log"
done
awk -f "$SCRIPTS/tap.awk" "$out/output.log" | sed '/^total /d'
read -r _ passed failed _ < <(awk -f "$SCRIPTS/tap.awk" "$out/output.log" |
	tail -n 1)
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
