#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# docs.sh [--module]: make docs: rustdoc of the library for modules, and of the
# crate for programs, with warnings denied.  Prints where they are.  With --module
# only the first, of what make check has built.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

case ${1:-} in
'' | --module) ;;
*) die "There is no option $1 here." "Give --module, or nothing." ;;
esac

# Kbuild's own flags for the library crate, with rustdoc in rustc's place.
library() {
	local out=$1 flags
	flags=$(sed -n 's/^savedcmd_syncmap-syncmap\.o := .* rustc //p' \
		"$out/.syncmap-syncmap.o.cmd" |
		sed -E 's/;.*//; s/--emit=[^ ]*//g; s/--out-dir [^ ]*//')
	[ -n "$flags" ] ||
		die "The library crate was not compiled, so it cannot be documented."
	in_kernel "$(readlink -f "$(kernel_dir)")" --bind "$out" /out -- sh -c "cd /out &&
		RUSTC_BOOTSTRAP=1 rustdoc --out-dir /out/doc -Dwarnings $flags"
}

if [ $# -gt 0 ]; then
	library "$(VARIANT=strict MODULES=1 "$SCRIPTS/module.sh" SYNCMAP_STRICT=1)"
	exit
fi
STEPS=5
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Stock Debian kernel" "$SCRIPTS/kernel.sh"
step "The library for modules" :
module=$("$SCRIPTS/module.sh")
library "$module"
step "The crate for programs" :
client=$("$SCRIPTS/tools.sh" rustdoc)
printf '%s\n' "Open these with a browser:" "  $module/doc/syncmap/index.html" \
	"  $client/syncmap_client/index.html"
