#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make install: syncmapctl, the headers, the library crate for modules in Rust, and the
# manuals, below PREFIX (/usr/local), in the file system at DESTDIR.  Takes cargo, and
# nothing of the toolchain root; SYNCMAPCTL names a command that is built already.
# The module itself is installed by make modules_install, or by dkms.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

prefix=${PREFIX:-/usr/local}
[[ $prefix == /* ]] || die "PREFIX=$prefix is no absolute path."
to=${DESTDIR:-}$prefix
cd "$SOURCE"

build() {
	local target=${CARGO_TARGET_DIR:-$SOURCE/tools/target}
	command -v cargo >/dev/null || die "cargo is missing, which builds syncmapctl." \
		"Install it, or name a command that is built: make install SYNCMAPCTL=<path>"
	cargo build --release --locked --manifest-path tools/Cargo.toml -p syncmapctl ||
		die "syncmapctl does not compile; the reasons are above."
	command=$target/release/syncmapctl
}

# put MODE FILE FOLDER: into that folder below PREFIX.
put() { install -D -m "$1" "$2" -t "$to/$3"; }

# completions SHELL FILE: what that shell completes, written by the command itself.
completions() {
	mkdir -p "$to/$(dirname "$2")"
	"$command" completions "$1" >"$to/$2"
	chmod 644 "$to/$2"
}

command=${SYNCMAPCTL:-}
[ -n "$command" ] || build
{ mkdir -p "$to" 2>/dev/null && [ -w "$to" ]; } ||
	die "$to cannot be written." \
		"Say sudo make install, or choose another folder with PREFIX or DESTDIR."
put 755 "$command" sbin
put 644 docs/syncmapctl.8 share/man/man8
put 644 docs/syncmap.4 share/man/man4
put 644 include/uapi/linux/syncmap.h include/linux
put 644 syncmap.mk share/syncmap
find src include -path src/module -prune -o -type f -name '*.[chr]*' \
	! -name '*.rmeta' ! -name '.*' -print | while read -r file; do
	put 644 "$file" "share/syncmap/$(dirname "$file")"
done
# The symbols of the module, for those who call it; kernels with CONFIG_MODVERSIONS
# want its own Module.symvers.
sed -n 's/^EXPORT_SYMBOL_GPL(\(.*\));/0x00000000\t\1\tsyncmap\tEXPORT_SYMBOL_GPL\t/p' \
	src/module/exports.c >"$to/share/syncmap/Module.symvers"
[ -s "$to/share/syncmap/Module.symvers" ] || die "src/module/exports.c exports nothing."
chmod 644 "$to/share/syncmap/Module.symvers"
completions bash share/bash-completion/completions/syncmapctl
completions zsh share/zsh/site-functions/_syncmapctl
completions fish share/fish/vendor_completions.d/syncmapctl.fish
say "syncmapctl, the headers, the library and the manuals are in $to."
