# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2016 # selftest.sh sets dir and scripts; $a is sed's
#
# Tests of kdir.sh, with made-up build folders and compilers: each kind of trouble
# is named, with what to do, and what is not trouble is not.  Sourced by
# selftest.sh, for `result`.

tools=$dir/tools
mkdir "$tools" "$dir/home"
for tool in bash cat chmod cmp cut dirname env find getent grep head id mkdir rm sed \
	sha256sum sort tr uname; do
	ln -s "$(command -v "$tool")" "$tools/$tool"
done

# program NAME LINE: a program that prints this, whatever it is told.
program() {
	# shellcheck disable=SC2016 # for the program to expand
	printf '#!/bin/bash\necho "%s"\n' "$2" >"$tools/$1"
	chmod +x "$tools/$1"
}

# Each test begins with a folder for Debian's compilers that has everything.
folder() {
	rm -rf "$dir/k" "$dir/kernels" "$tools"/{make,rustc,gcc,clang,ld.lld}*
	mkdir -p "$dir/k/rust" "$dir/k/include/config"
	cat >"$dir/k/.config" <<'END'
# Linux/x86 7.3.4 Kernel Configuration
CONFIG_CC_VERSION_TEXT="x86_64-linux-gnu-gcc-14 (Debian 14.2.0-19) 14.2.0"
CONFIG_CC_IS_GCC=y
CONFIG_GCC_VERSION=140200
CONFIG_CLANG_VERSION=0
CONFIG_X86_64=y
CONFIG_RUST=y
CONFIG_RUSTC_VERSION_TEXT="rustc 1.85.1 (4eb161250 2025-03-15)"
END
	echo 7.3.4 >"$dir/k/include/config/kernel.release"
	touch "$dir/k/Module.symvers" \
		"$dir/k"/rust/{libcore.rmeta,libkernel.rmeta,libmacros.so}
	# shellcheck disable=SC2016 # for the program to expand
	program make 'make $*${ARCH+ with an ARCH}'
	program rustc 'rustc 1.85.1 (4eb161250 2025-03-15) (built from a source tarball)'
	program gcc 14
}

# config SED: changes the folder's .config.
config() { sed -i "$1" "$dir/k/.config"; }

clang() {
	config 's/^CONFIG_CC_IS_GCC/CONFIG_CC_IS_CLANG/; s/^CONFIG_GCC.*/CONFIG_GCC_VERSION=0/
		s/^CONFIG_CLANG.*/CONFIG_CLANG_VERSION=190107\nCONFIG_LD_IS_LLD=y/'
	rm "$tools/gcc"
}

# says NAME PATTERN [VARIABLE=VALUE...]: kdir.sh says that.  It works in a copy,
# since it writes down for whom it has built.
says() {
	local name=$1 pattern=$2 got=silent
	shift 2
	run_kdir modules "$@"
	! grep -qE -- "$pattern" "$dir/said" || got=said
	[ "$got" = said ] || sed 's/^/# /' "$dir/said"
	result "$got" said "kdir: $name"
}

run_kdir() {
	local verb=$1
	shift
	env -i PATH="$tools" HOME="$dir/home" KDIR="$dir/k" SYNCMAP_KERNELS="$dir/kernels" \
		"$@" "$dir/checkout/scripts/kdir.sh" "$verb" >"$dir/said" 2>&1 || true
}

mkdir -p "$dir/checkout/scripts"
cp "$scripts"/{kdir,lib,build-folder}.sh "$dir/checkout/scripts"
cp "$scripts/../Makefile" "$dir/checkout"

folder
says "a good folder is used" "^make -C $dir/k M=$dir/checkout RUSTC=$tools/rustc modules\$"
env -i PATH="$tools" HOME="$dir/home" "$(command -v make)" -s -C "$dir/checkout" modules \
	KDIR="$dir/k" >"$dir/said" 2>&1
result "$(cat "$dir/said")" "make -C $dir/k M=$dir/checkout RUSTC=$tools/rustc modules" \
	"kdir: by the Makefile, which adds nothing to the environment"
folder
says "no folder" '1. There is no such folder' KDIR="$dir/none"
rm "$dir/k/.config"
says "no .config" 'It has no .config'
folder
config 's/^CONFIG_X86_64=y//; s/x86 7/riscv 7/'
says "another architecture" 'is for riscv\.'
folder
config 's/7\.3\.4 Kernel/7.1.12 Kernel/'
says "an older Linux" 'is Linux 7.1.12'
folder
config 's/7\.3\.4 Kernel/7.10.1 Kernel/'
says "a newer Linux is used" '^make -C'
folder
config 's/^CONFIG_RUST=y/# CONFIG_RUST is not set/'
says "no Rust" 'without Rust'
rm "$tools/rustc"
says "no Rust, then no word of rustc" '^ +1\. Its kernel is built without Rust'
result "$(grep -c '^ *2\.' "$dir/said")" 0 "kdir: and that is all"
folder
rm "$dir/k/rust/libcore.rmeta"
says "no metadata" '^ +rust/libcore.rmeta$'
says "no metadata, for a kernel of one's own" 'make O=O olddefconfig'
echo 'override KERNELRELEASE = 7.3.4+deb13-amd64' >"$dir/k/.kernelvariables"
says "no metadata, for Debian's" 'make kernel-metadata RELEASE=7.3.4\+deb13-amd64'
made=$dir/kernels/7.3.4+deb13-amd64
mkdir -p "$made"
cp -r "$dir/k/." "$made"
touch "$made/rust/libcore.rmeta"
says "metadata that was made is found" "^make -C ${made/+/.} M="
echo '0x1 new vmlinux' >>"$dir/k/Module.symvers"
says "not that of another kernel of that name" 'lacks the Rust metadata'
cp "$dir/k/Module.symvers" "$made"
config '$aCONFIG_NEW=y'
says "nor that of another configuration" 'lacks the Rust metadata'
folder
rm "$dir/k/Module.symvers"
says "no Module.symvers" 'It has no Module.symvers'
folder
rm "$tools/rustc"
says "no rustc" 'rustc is missing.*'
says "no rustc: which one to get" 'built with rustc 1.85.1'
program rustc 'rustc 1.96.1 (abc 2026-01-01)'
says "another rustc" 'The Rust compiler is rustc 1.96.1'
program rustc 'what?'
says "a broken rustc" 'The Rust compiler is what'
folder
mv "$tools/rustc" "$tools/rustc-1.85"
says "a rustc by name" "RUSTC=$tools/rustc-1.85 modules" RUSTC=rustc-1.85
mkdir -p "$dir/rustup"
printf '#!/bin/bash\necho rustc 1.96.1\n' >"$dir/rustup/rustc"
chmod +x "$dir/rustup/rustc"
mv "$tools/rustc-1.85" "$tools/rustc"
says "the right rustc, behind another" "RUSTC=$tools/rustc modules" \
	PATH="$dir/rustup:$tools"
folder
rm "$tools/gcc"
says "no gcc" 'gcc is missing, the C compiler'
program gcc-14 14
says "gcc by its version" ' CC=gcc-14 modules'
program gcc 15
says "gcc by its version, beside another" ' CC=gcc-14 modules'
rm "$tools/gcc-14"
says "another gcc: a warning" 'built with gcc 14, but gcc is 15'
says "another gcc: a try" '^make -C'
folder
clang
says "no clang" 'clang is missing'
program clang-19 19.1.7
says "no linker of LLVM" 'ld.lld-19 is missing'
program ld.lld-19 LLD
says "clang by its version" ' LLVM=-19 modules'
program clang 19.1.7
program ld.lld LLD
says "clang as such" ' LLVM=1 modules'
says "LLVM as a person says" ' LLVM=/opt/llvm/ ' LLVM=/opt/llvm/
program clang 20.1.0
says "clang by its version, beside another" ' LLVM=-19 modules'
config '/CONFIG_LD_IS_LLD/d'
says "clang, but another linker" ' CC=clang-19 modules'
folder
config 's/^CONFIG_RUST=y//; s/^CONFIG_X86_64=y//'
rm "$dir/k/Module.symvers" "$tools/gcc"
says "all troubles at once" '^ +4\. gcc is missing'

folder
rm -f "$dir/checkout/.kdir"
run_kdir modules_install
result "$(grep -c 'Nothing is built yet' "$dir/said")" 1 "kdir: nothing to install"
touch "$dir/checkout/modules.order"
program depmod 'depmod $*'
run_kdir modules
run_kdir modules_install KDIR= HOME=/elsewhere
result "$(head -n 1 "$dir/said")" \
	"make -C $dir/k M=$dir/checkout CONFIG_MODULE_SIG_ALL= modules_install" \
	"kdir: what was built is installed, for whom it was built"
result "$(grep ^depmod "$dir/said")" "depmod -a 7.3.4" "kdir: and depmod told of it"
config '$aCONFIG_MODULE_SIG_KEY="certs/signing_key.pem"'
mkdir "$dir/k/certs"
touch "$dir/k/certs/signing_key.pem"
run_kdir modules_install KDIR=
result "$(head -n 1 "$dir/said")" "make -C $dir/k M=$dir/checkout modules_install" \
	"kdir: and signed, with the kernel's own key"
cp -r "$dir/k" "$dir/other"
echo 7.2.12 >"$dir/other/include/config/kernel.release"
run_kdir modules_install KDIR="$dir/other"
result "$(grep -c 'is for Linux 7.3.4, not for' "$dir/said")" 1 \
	"kdir: not for another kernel"
