# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034 # others use what is set here
#
# The build folder of a kernel: what is known of it, what it takes to make one
# from Debian's headers and source, and where made ones are.  Sourced after lib.sh.

# The Rust metadata that modules are compiled against, which Debian's headers
# packages leave out.
METADATA=(rust/libcore.rmeta rust/libkernel.rmeta rust/libmacros.so)

# Made ones lie here, one for each release: root's are for everybody.
KERNELS=${SYNCMAP_KERNELS:-/var/lib/syncmap/kernels}
own_kernels() { say "$CACHE/kernels"; }

# option NAME FILE: the value of a line of a .config, without quotes.
option() { sed -n "s/^$1=\"\{0,1\}\([^\"]*\)\"\{0,1\}\$/\1/p" "$2"; }

# lacks_metadata DIR: in LACKS, what is not there.
lacks_metadata() {
	local file
	LACKS=()
	for file in "${METADATA[@]}"; do
		[ -e "$1/$file" ] || LACKS+=("$file")
	done
	[ ${#LACKS[@]} -gt 0 ]
}

# release_of DIR: of the kernel that a build folder is for.
release_of() {
	local name=$1/include/config/kernel.release
	if [ -r "$1/.kernelvariables" ]; then # Debian's headers
		sed -n 's/^override KERNELRELEASE = //p' "$1/.kernelvariables"
	elif [ -r "$name" ]; then
		cat "$name"
	fi
}

# made_for DIR RELEASE: the made folder that goes with this one, if there is one.
# It must be for the very same kernel: point versions may share a release.
made_for() {
	local made
	for made in "$KERNELS/$2" "$(own_kernels)/$2"; do
		if [ -d "$made" ] && ! lacks_metadata "$made" &&
			cmp -s "$1/.config" "$made/.config" &&
			cmp -s "$1/Module.symvers" "$made/Module.symvers"; then
			say "$made"
			return
		fi
	done
	return 1
}

# What make is told to do in a source tree, so that the folder O can build modules.
prepare_args() {
	PREPARE=(KERNELRELEASE="$1" -j"$(nproc)" olddefconfig modules_prepare)
}

# survived RELEASE WANTED GOT: Debian's configuration must have survived; a dropped
# RUST would be silent.  Only what describes the tools themselves may differ, not
# the kernel.
survived() {
	local tools='CC_VERSION_TEXT|OPENSSL_SUPPORTS|MODULE_SIG_KEY_TYPE|COMPAT_VDSO'
	diff <(grep -vE "$tools" "$2") <(grep -vE "$tools" "$3") >&2 || {
		say "Debian's configuration of $1 did not survive olddefconfig." >&2
		return 1
	}
}

# version_of: "rustc 1.85.1" of a longer line.
version_of() { cut -d' ' -f1,2; }

# find_rustc CONFIG: in RUSTC, a compiler of the very version that the kernel was
# built with, which is in WANT; or in HAVE what there is instead.  Debian's may
# stand in PATH behind another.
find_rustc() {
	local one
	WANT=$(option CONFIG_RUSTC_VERSION_TEXT "$1" | version_of)
	HAVE=
	while read -r one; do
		HAVE=$("$one" --version 2>/dev/null </dev/null | version_of || true)
		if [ -z "$WANT" ] || [ "$HAVE" = "$WANT" ]; then
			RUSTC=$one
			return
		fi
	done < <(type -aP "${RUSTC:-rustc}")
	return 1
}
