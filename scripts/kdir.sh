#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# kdir.sh modules|modules_install|clean: builds for the kernel whose build folder
# is KDIR, in place.  A folder that cannot build Rust modules is refused with all
# that it lacks and the ways out, where Kbuild would only show a compiler error.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/build-folder.sh
. "$SCRIPTS/build-folder.sh"

verb=$1
given=${KDIR:-}
KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
built=$SOURCE/.kdir # for whom: what is installed is what was built

clean() {
	find "$SOURCE" -name .git -prune -o -name target -prune -o -type f ! -name go.mod \( \
		-name '*.o' -o -name '*.ko' -o -name '*.mod' -o -name '*.mod.c' -o \
		-name '*.rmeta' -o -name '.*.cmd' -o -name '.*.o' -o -name '.*.d' -o \
		-name '*.d' -o -name Module.symvers -o -name modules.order -o \
		-path "$SOURCE/examples.rs" -o -path "$built" \) -exec rm -f {} +
	rm -rf "$SOURCE/tools/target"
}

# problem SENTENCE LINE...: one more thing that is wrong, and the way out.
count=0
problems=()
problem() {
	count=$((count + 1))
	problems+=("$count. $1")
	shift
	while [ $# -gt 0 ]; do
		problems+=("   $1")
		shift
	done
}

# end_of_check: all of it at once, since nobody wants to meet them one by one.
end_of_check() {
	[ "$count" -eq 0 ] || die "No module can be built with $KDIR:" \
		"${problems[@]}" \
		"No kernel of your own is needed to try syncmap: make run brings one."
}

warn() {
	printf 'syncmap: %s\n' "$1" >&2
	shift
	printf '         %s\n' "$@" >&2
}

check_folder() {
	if ! [ -d "$KDIR" ]; then
		problem "There is no such folder." \
			"Install the headers of your kernel, or say make KDIR=<folder> with the" \
			"build folder of a kernel that has CONFIG_RUST=y."
	elif ! [ -r "$KDIR/.config" ]; then
		problem "It has no .config, so it is not the build folder of a kernel." \
			"Say make KDIR=<folder> with one that is configured and built."
	fi
	end_of_check
	config=$KDIR/.config
}

check_kernel() {
	local arch version
	read -r arch version < <(sed -n \
		's/^# Linux\/\([^ ]*\) \([0-9.]*\).* Kernel Configuration$/\1 \2/p' \
		"$config") || true
	grep -qxE 'CONFIG_(X86_64|ARM64)=y' "$config" ||
		problem "Its kernel is for ${arch:-another architecture}." \
			"syncmap is made and tested for x86-64 and arm64 only."
	version=${version:-$OLDEST_SERIES}
	is_supported "$(cut -d. -f1,2 <<<"$version")" ||
		problem "Its kernel is Linux $version." "syncmap needs $OLDEST_SERIES or newer."
	rust=
	if grep -qx CONFIG_RUST=y "$config"; then
		rust=1
	else
		problem "Its kernel is built without Rust (CONFIG_RUST=y)." \
			"Enable it and build that kernel anew (make rustavailable, in its source," \
			"says what that takes), or use a kernel that has it."
	fi
	[ -r "$KDIR/Module.symvers" ] ||
		problem "It has no Module.symvers, so no symbol of the kernel is known." \
			"Build that kernel to the end (make), not just its preparation."
}

check_metadata() {
	local release made
	release=$(release_of "$KDIR")
	if ! lacks_metadata "$KDIR"; then
		return
	elif [ -n "$release" ] && made=$(made_for "$KDIR" "$release"); then
		KDIR=$made
		return
	fi
	if [ -r "$KDIR/.kernelvariables" ]; then
		problem "It lacks the Rust metadata of its kernel, like all of Debian's headers" \
			"packages: ${LACKS[*]}" \
			"Make it, with Debian's source and compilers:" \
			"  sudo make kernel-metadata RELEASE=$release"
	else
		problem "It lacks the Rust metadata of its kernel:" "${LACKS[*]}" \
			"Get the matching kernel source, put this kernel's .config and" \
			"Module.symvers into an output folder O, and say there" \
			"  make O=O olddefconfig modules_prepare" \
			"then here: make KDIR=O. (docs/install.md tells more.)"
	fi
}

check_rustc() {
	local wanted=("This kernel was built with" "which wrote its metadata, that no other" \
		"version can read: install it, or name it with RUSTC=<path>.")
	if find_rustc "$config"; then
		args+=(RUSTC="$RUSTC")
	elif [ -z "$HAVE" ]; then
		problem "${RUSTC:-rustc} is missing, the Rust compiler." \
			"${wanted[0]} ${WANT:-an unknown version}," "${wanted[@]:1}"
	else
		problem "The Rust compiler is $HAVE." "${wanted[0]} $WANT," "${wanted[@]:1}"
	fi
}

# major COMMAND: of a C compiler's version.
major() { "$1" -dumpversion 2>/dev/null | cut -d. -f1; }

# The C compiler is the one of the configuration: that kind, and if possible that
# major version.  What a person says with CC or LLVM goes before.
check_compiler() {
	local kind=gcc want one chosen=
	grep -qx CONFIG_CC_IS_CLANG=y "$config" && kind=clang
	want=$(option "CONFIG_${kind^^}_VERSION" "$config")
	want=${want%????}
	case $kind in
	clang)
		[ -z "${LLVM:-}" ] || return 0
		for one in "${CC:-clang}" "clang-$want" clang; do
			[ "$(major "$one")" != "$want" ] || chosen=${chosen:-$one}
		done ;;
	gcc)
		# Debian's headers know theirs themselves.
		# shellcheck disable=SC2016 # make's variable
		one=$(sed -n 's/^CC = .* \$(CROSS_COMPILE)\(gcc.*\)/\1/p' \
			"$KDIR/.kernelvariables" 2>/dev/null || true)
		for one in ${CC:+"$CC"} ${one:+"$one"} gcc "gcc-$want"; do
			[ "$(major "$one")" != "$want" ] || chosen=${chosen:-$one}
		done ;;
	esac
	if [ -z "$chosen" ]; then
		chosen=${CC:-$kind}
		if ! command -v "$chosen" >/dev/null; then
			problem "$chosen is missing, the C compiler." \
				"This kernel was built with $kind $want: install $kind-$want, or $kind."
			return
		fi
		warn "This kernel was built with $kind $want, but $chosen is $(major "$chosen")." \
			"Mostly that works; if not, install $kind-$want."
	fi
	if [ "$kind" = gcc ]; then
		[ "$chosen" = gcc ] || [ -r "$KDIR/.kernelvariables" ] || args+=(CC="$chosen")
	elif grep -qx CONFIG_LD_IS_LLD=y "$config" && [ -z "${CC:-}" ]; then
		one=${chosen#clang}
		args+=(LLVM="${one:-1}")
		command -v "ld.lld$one" >/dev/null ||
			problem "ld.lld$one is missing, the linker of LLVM." \
				"This kernel was linked by it: install lld$one."
	else
		args+=(CC="$chosen")
	fi
}

build() {
	args=(M="$SOURCE")
	[ -z "${LLVM:-}" ] || args+=(LLVM="$LLVM")
	check_folder
	check_kernel
	[ -z "$rust" ] || { check_metadata && check_rustc; }
	check_compiler
	end_of_check
	make -C "$KDIR" "${args[@]}" modules
	(cd "$KDIR" && pwd) >"$built"
}

# Installs what was built, for whom it was built, whoever asks: sudo has another
# HOME, and perhaps no rustc.
install_built() {
	local dir release key
	dir=$(cat "$built" 2>/dev/null || true)
	{ [ -n "$dir" ] && [ -e "$SOURCE/modules.order" ]; } ||
		die "Nothing is built yet." "Say make first; that needs no root."
	[ -r "$dir/.config" ] || die "The build folder $dir is gone." "Say make again."
	release=$(release_of "$dir")
	[ -z "$given" ] || [ "$(release_of "$given")" = "$release" ] ||
		die "What is built is for Linux $release, not for that of $given." \
			"Say make KDIR=$given first; that needs no root."
	args=()
	key=$(option CONFIG_MODULE_SIG_KEY "$dir/.config")
	# Only who has built the kernel has its key, to sign with.
	case $key in
	/* | pkcs11:*) ;;
	*) [ -f "$dir/$key" ] || args+=(CONFIG_MODULE_SIG_ALL=) ;;
	esac
	make -C "$dir" M="$SOURCE" "${args[@]}" modules_install
	# Kbuild leaves this out where there is no System.map.
	PATH=$PATH:/usr/sbin:/sbin depmod ${INSTALL_MOD_PATH:+-b "$INSTALL_MOD_PATH"} \
		-a "$release"
	say "syncmap is installed for Linux $release: sudo modprobe syncmap"
	"$SCRIPTS/installed.sh" "$release"
}

case $verb in
modules) build ;;
modules_install) install_built ;;
clean) clean ;;
*) die "kdir.sh knows modules, modules_install and clean, not $verb." ;;
esac
