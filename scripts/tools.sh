#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tools.sh [VERB]: the tools for userspace, with cargo in the toolchain root.
#   make    make tools: build, from a fresh machine on, and say what there is
#   build   syncmapctl, and those tests of the crate that need the device; both
#           static, for any machine; prints the folder that they are in (default)
#   test    the tests that need no device
#   check   formatting, lints, documentation, and whether the manual is current
#   rustdoc make the documentation of the crates, and print its folder
#   docs    write docs/syncmapctl.8 anew
#   format  format the source
#   lock    choose the versions of crates anew, and write tools/Cargo.lock

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

if [ "${1:-}" = make ]; then
	"$SCRIPTS/host.sh"
	"$SCRIPTS/root.sh"
fi
make_cache
out=$(work_dir)/tools${FOREIGN/:/-}
mkdir -p "$out/bin"
lock "$(basename "$(work_dir)")-tools"
inside=/cache/${out#"$CACHE"/}
target=${TRIPLE/-/-unknown-}
# The same for all verbs, which share what they have compiled.
flags=(--release --locked --target "$target")
manual=$SOURCE/docs/syncmapctl.8
writable=(--bind "$SOURCE/tools" /syncmap/tools)

# cargo [BWRAP OPTION...] -- ARGUMENT...: goes to the network only for crates that
# it has not seen yet.
cargo() {
	local proxy options=()
	while [ "$1" != -- ]; do
		options+=("$1")
		shift
	done
	shift
	online
	for proxy in http_proxy https_proxy all_proxy no_proxy; do
		[ -z "${!proxy:-}" ] || options+=(--setenv "$proxy" "${!proxy}")
	done
	in_root "${ONLINE[@]}" "${options[@]}" \
		--setenv CARGO_HOME /cache/cargo \
		--setenv CARGO_TARGET_DIR "$inside/target" \
		--setenv CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER aarch64-linux-gnu-gcc \
		--setenv RUSTFLAGS "-C target-feature=+crt-static" \
		--setenv RUSTDOCFLAGS "-C target-feature=+crt-static -D warnings" \
		-- env -C /syncmap/tools cargo "$@"
}

# built TITLE COMMAND...: quietly, unless it takes long or fails.
built() {
	say "      $1" >&2
	shift
	watch "$out/cargo.log" 0 "$@" >&2
	[ "$STATUS" -eq 0 ] && return
	grep -vE '^ *(Compiling|Checking|Download)' "$out/cargo.log" >&2 || true
	! grep -qE 'download|registry|resolve host' "$out/cargo.log" ||
		die "The crates of the tools could not be fetched; the reason is above." \
			"Check the network; they are needed once."
	die "The tools do not compile; the reasons are above."
}

build() {
	built "syncmapctl" cargo -- build "${flags[@]}" --workspace
	cp "$out/target/$target/release/syncmapctl" "$out/bin/"
	built "tests of the crate, for the device" cargo -- test "${flags[@]}" \
		--workspace --test device --no-run --message-format json
	local test
	test=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$out/cargo.log" | tail -n 1)
	[ -n "$test" ] || die "cargo does not say where the tests are." "See $out/cargo.log"
	cp "$CACHE/${test#/cache/}" "$out/bin/client-tests"
}

man_page() { in_root -- "$inside/bin/syncmapctl" man; }

check() {
	cargo -- fmt --all --check
	cargo -- clippy "${flags[@]}" --all-targets -- -D warnings
	cargo -- doc "${flags[@]}" --no-deps
	build
	man_page | cmp -s - "$manual" || die "docs/syncmapctl.8 is not current." \
		"Write it anew: scripts/tools.sh docs"
}

case ${1:-build} in
make)
	build
	printf '%s\n' "syncmapctl is here, static, for any $KARCH machine:" \
		"  $out/bin/syncmapctl" "To install it, with its manual and the headers:" \
		"  sudo make install SYNCMAPCTL=$out/bin/syncmapctl"
	;;
build)
	build
	say "$out/bin"
	;;
test)
	cargo -- test "${flags[@]}" --lib --bins
	cargo -- test "${flags[@]}" --doc
	;;
check) check ;;
rustdoc)
	built "documentation of the crate" cargo -- doc "${flags[@]}" --no-deps
	say "$out/target/$target/doc"
	;;
docs)
	build
	man_page >"$out/manual"
	cp "$out/manual" "$manual"
	;;
format) cargo "${writable[@]}" -- fmt --all ;;
lock) cargo "${writable[@]}" -- update ;;
*) die "There is no $1 here." \
	"Choose make, build, test, check, rustdoc, docs, format or lock." ;;
esac
