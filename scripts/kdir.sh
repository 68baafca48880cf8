#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kdir.sh modules|install|clean: builds for the kernel whose build folder is
# KDIR, in place.  A folder that cannot build Rust modules is refused with a
# sentence, where Kbuild would only show a compiler error.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

verb=$1
KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
RUSTC=${RUSTC:-rustc}
instead=("No kernel of your own is needed to try syncmap: make run brings one.")

clean() {
	find "$SOURCE" -name .git -prune -o -name target -prune -o -type f ! -name go.mod \( \
		-name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '*.rmeta' -o -name '.*.cmd' -o -name '.*.o' -o -name '.*.d' -o \
		-name '*.d' -o -name Module.symvers -o -name modules.order -o \
		-path "$SOURCE/examples.rs" \) -exec rm -f {} +
}

if [ "$verb" = clean ]; then
	clean
	exit 0
fi

[ -d "$KDIR" ] ||
	die "There is no kernel build folder at $KDIR." \
		"Install the headers of your kernel, or say make KDIR=<folder> with the" \
		"build folder of a kernel that has CONFIG_RUST=y." "${instead[@]}"
[ -r "$KDIR/.config" ] ||
	die "$KDIR has no .config, so it is not the build folder of a kernel." \
		"Say make KDIR=<folder> with one that is configured and built." \
		"${instead[@]}"
grep -qx CONFIG_RUST=y "$KDIR/.config" ||
	die "The kernel of $KDIR is built without Rust (CONFIG_RUST=y)." \
		"syncmap needs one that has it, Linux 7.2 or newer." "${instead[@]}"

version=$(sed -n 's/^# Linux[^ ]* \([0-9.]*\).* Kernel Configuration$/\1/p' \
	"$KDIR/.config")
oldest=$(printf '%s\n' 7.2 "${version:-7.2}" | sort -V | head -n 1)
[ "$oldest" = 7.2 ] ||
	die "The kernel of $KDIR is Linux $version; syncmap needs 7.2 or newer." \
		"${instead[@]}"

missing=()
for file in rust/libcore.rmeta rust/libkernel.rmeta rust/libmacros.so; do
	[ -e "$KDIR/$file" ] || missing+=("$file")
done
[ ${#missing[@]} -eq 0 ] ||
	die "$KDIR lacks the Rust metadata of its kernel:" "  ${missing[*]}" \
		"Distributions' headers packages often leave it out. Get the matching" \
		"kernel source, put this kernel's .config and Module.symvers into an" \
		"output folder O, and there: make O=O olddefconfig modules_prepare." \
		"Then say make KDIR=O. (scripts/kernel.sh does this for Debian's.)" \
		"${instead[@]}"

# "rustc 1.85.1" of a longer line
version_of() { cut -d' ' -f1,2; }
want=$(sed -n 's/^CONFIG_RUSTC_VERSION_TEXT="\(.*\)"$/\1/p' "$KDIR/.config" |
	version_of)
command -v "$RUSTC" >/dev/null ||
	die "rustc is missing, the Rust compiler." \
		"This kernel was built with ${want:-an unknown version}; install that" \
		"very version, or name it with RUSTC=<path>." "${instead[@]}"
have=$("$RUSTC" --version 2>/dev/null | version_of || true)
[ -z "$want" ] || [ "$have" = "$want" ] ||
	die "The compiler is ${have:-broken}, but this kernel was built with $want." \
		"Rust metadata can only be read by the version that wrote it: install" \
		"that version, or name it with RUSTC=<path>." "${instead[@]}"

args=(-C "$KDIR" M="$SOURCE" RUSTC="$RUSTC")
if grep -qx CONFIG_CC_IS_CLANG=y "$KDIR/.config"; then
	args+=(LLVM="${LLVM:-1}")
fi
case $verb in
modules) exec make "${args[@]}" modules ;;
install) exec make "${args[@]}" modules_install ;;
*) die "kdir.sh knows modules, install and clean, not $verb." ;;
esac
