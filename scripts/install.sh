#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# install.sh [VERB]: syncmapctl and what programs and modules are compiled with, by
# cargo, and nothing of the toolchain root.
#   install    make install: syncmapctl, the headers, the library crate for modules in
#              Rust, and the manuals, below PREFIX (/usr/local), in the file system at
#              DESTDIR; SYNCMAPCTL names a command that is built already (default)
#   uninstall  make uninstall: removes them from there
#   build      make syncmapctl: builds the command, as any user; install takes it then
# The module itself is installed by make modules_install, or by dkms.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

verb=${1:-install}
prefix=${PREFIX:-/usr/local}
[[ $prefix == /* ]] || die "PREFIX=$prefix is not an absolute path."
to=${DESTDIR:-}$prefix
cd "$SOURCE"
built=tools/target/syncmapctl

# cargo_build [OPTION...]: in executable, what cargo says it has built, wherever its
# configuration puts that.
cargo_build() {
	local messages
	command -v cargo >/dev/null || die "cargo is missing, which builds syncmapctl." \
		"Install it; or say make syncmapctl as a user who has it; or name a command" \
		"that is built: make install SYNCMAPCTL=<path>"
	messages=$(cargo build --release --locked --manifest-path tools/Cargo.toml \
		-p syncmapctl --message-format json-render-diagnostics "$@") ||
		die "syncmapctl does not compile; the reasons are above."
	executable=$(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' <<<"$messages" | tail -n 1)
	[ -n "$executable" ] || die "cargo does not say where syncmapctl is."
}

# Root leaves nothing in the source, where it would be in its owner's way.
target=()
if as_root && [ -z "${CARGO_TARGET_DIR:-}" ] && [ "$verb" = install ]; then
	folder=$(mktemp -d)
	trap 'rm -rf "$folder"' EXIT
	target=(--target-dir "$folder")
fi

build() {
	cargo_build "${target[@]}"
	command=$executable
}

# is_built: whether make syncmapctl has built it, of what is there now.
is_built() {
	[ -x "$built" ] && [ -z "$(find tools/Cargo.* tools/client tools/syncmapctl \
		include/uapi -newer "$built" -print -quit)" ]
}

# find_native: in native, a syncmapctl that runs here: completions are written by the
# command itself, which may be for another machine.
find_native() {
	local host
	native=$command
	! "$native" --version >/dev/null 2>&1 || return 0
	say "$command is for another machine; completions are written by one for this."
	host=$(rustc -vV | sed -n 's/^host: //p')
	cargo_build "${target[@]}" --target "$host"
	native=$executable
}

# put MODE FILE FOLDER: into that folder below PREFIX.
put() { install -D -m "$1" "$2" -t "$to/$3"; }

# completions SHELL FILE: what that shell completes.
completions() {
	mkdir -p "$to/$(dirname "$2")"
	"$native" completions "$1" >"$to/$2"
	chmod 644 "$to/$2"
}

check_folder() {
	{ mkdir -p "$to" 2>/dev/null && [ -w "$to" ]; } ||
		die "$to cannot be written." \
			"Say sudo make $verb, or choose another folder with PREFIX or DESTDIR."
}

install_all() {
	check_folder
	command=${SYNCMAPCTL:-}
	[ -n "$command" ] || ! is_built || command=$built
	[ -n "$command" ] || build
	[ -f "$command" ] || die "SYNCMAPCTL=$command is not a file."
	find_native
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
	local symbols=$to/share/syncmap/Module.symvers format
	format='0x00000000\t\1\tsyncmap\tEXPORT_SYMBOL_GPL\t'
	sed -n "s/^EXPORT_SYMBOL_GPL(\(.*\));/$format/p" src/module/exports.c >"$symbols"
	[ -s "$symbols" ] || die "src/module/exports.c exports nothing."
	chmod 644 "$symbols"
	completions bash share/bash-completion/completions/syncmapctl
	completions zsh share/zsh/site-functions/_syncmapctl
	completions fish share/fish/vendor_completions.d/syncmapctl.fish
	say "syncmapctl, the headers, the library and the manuals are in $to."
}

uninstall() {
	[ -d "$to" ] || die "There is no folder $to."
	check_folder
	rm -f "$to"/{sbin/syncmapctl,share/man/man8/syncmapctl.8,share/man/man4/syncmap.4} \
		"$to"/{include/linux/syncmap.h,share/bash-completion/completions/syncmapctl} \
		"$to"/share/{zsh/site-functions/_syncmapctl,fish/vendor_completions.d/syncmapctl.fish}
	rm -rf "$to/share/syncmap"
	say "syncmapctl, the headers, the library and the manuals are no longer in $to."
}

case $verb in
build)
	build
	mkdir -p "$(dirname "$built")"
	cp "$command" "$built"
	say "syncmapctl is built: $built. To install it: sudo make install"
	;;
install) install_all ;;
uninstall) uninstall ;;
*) die "install.sh knows install, uninstall and build, not $verb." ;;
esac
