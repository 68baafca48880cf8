#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests make tree, in TAP: puts syncmap into a copy of Debian's linux-source, runs its
# checkers, its KUnit suites by kunit.py, and a few programs of kselftest on User Mode
# Linux, with syncmap built in and as a module.

# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/tap.sh
. "$SCRIPTS/tap.sh"

make_cache
source=$CACHE/$(basename "$(readlink "$(readlink -f "$(kernel_dir)")/source")")
out=$(work_dir)/tree
copy=$out/copy
kernel=$out/kernel # its build folder is build, as in others
lock "$(basename "$(work_dir)")-tree"
mkdir -p "$kernel/build"
ln -sfn "../${source##*/}" "$kernel/source"

# in_copy [BWRAP OPTION...] -- COMMAND...: there, where it is read-only.
in_copy() {
	in_root --ro-bind "$copy" /source --bind "$kernel" /kernel --bind "$out" /out \
		"$@"
}

put() { KDIR=$copy "$SCRIPTS/tree.sh"; }

# A copy by links: what make tree writes has one name, and all else has more.
copied() {
	remove "$copy"
	cp -al "$source" "$copy" && rmdir "$copy/tools/testing/selftests/syncmap" 2>/dev/null
	[ -z "$(written)" ]
}
written() { find "$copy" -type f -links 1; }

# refused SENTENCE [COMMAND...]: make tree must fail with it; in a folder that stays
# as it is.
refused() {
	local sentence=$1 before said status=0
	shift
	before=$(find "$KDIR" 2>/dev/null | sort | sha256sum)
	said=$(KDIR=$KDIR "$@" "$SCRIPTS/tree.sh" 2>&1) || status=$?
	say "$said"
	[ "$status" -ne 0 ] && [[ $said == *"$sentence"* ]] &&
		[ "$before" = "$(find "$KDIR" 2>/dev/null | sort | sha256sum)" ]
}

# A tree, as far as make tree looks at it.
little() {
	local file
	remove "$out/little"
	mkdir "$out/little"
	for file in Makefile MAINTAINERS lib/Kconfig lib/Makefile rust/kernel/lib.rs \
		Documentation/core-api/index.rst tools/testing/selftests/Makefile \
		Documentation/userspace-api/ioctl/ioctl-number.rst; do
		mkdir -p "$out/little/$(dirname "$file")"
		cp "$source/$file" "$out/little/$file"
	done
}
refuses_none() { KDIR='' refused "Into which tree?" env; }
refuses_others() {
	KDIR=$out/none refused "is not the source tree" env &&
		KDIR=$SOURCE refused "is not the source tree" env &&
		KDIR=$(readlink -f "$(kernel_dir)")/build refused "is not the source tree" env
}
refuses_part() {
	little
	rm "$out/little/rust/kernel/lib.rs"
	KDIR=$out/little refused "is not a whole source tree: it has no rust/kernel/lib.rs" env
}
refuses_old() {
	little
	sed -i 's/^VERSION = .*/VERSION = 7/; s/^PATCHLEVEL = .*/PATCHLEVEL = 1/' \
		"$out/little/Makefile"
	KDIR=$out/little refused "is Linux 7.1" env
}
refuses_strange() {
	little
	sed -i '/maple_tree/d' "$out/little/Documentation/core-api/index.rst"
	KDIR=$out/little refused "has no place for syncmap" env
}
refuses_unwritable() {
	little
	KDIR=$out/little refused "cannot be written" bwrap --bind / / --dev-bind /dev /dev \
		--ro-bind "$out/little" "$out/little"
}

# The second time, one file is not as it was, and one is not syncmap's.
updates() {
	put && written | sort >"$out/files" || return
	say '// changed' >>"$copy/lib/syncmap/map.rs"
	say '// mine' >"$copy/lib/syncmap/mine.rs"
	put >"$out/second" || return
	cat "$out/second"
	grep -q '; 1 files were written' "$out/second" &&
		grep -qx '  changed: lib/syncmap/map.rs' "$out/second" &&
		grep -qx '  not of .*: lib/syncmap/mine.rs' "$out/second" &&
		rm "$copy/lib/syncmap/mine.rs" &&
		written | sort | cmp - "$out/files" &&
		cmp "$copy/lib/syncmap/map.rs" "$SOURCE/src/map.rs"
}

# What was written, as paths in the tree: those that are like PATTERN, or with -v others.
like() { sed "s#^$copy/##" "$out/files" | grep -E "$@"; }

# styled PATTERN [OPTION...]: whether checkpatch is silent about the new files that are
# like PATTERN.
styled() {
	local pattern=$1
	shift
	like "$pattern" >"$out/list" && in_copy -- env -C /source \
		xargs -a /out/list -n 16 -P "$(nproc)" perl scripts/checkpatch.pl --strict \
		--terse --show-types --no-summary "$@" -f
}
rust='\.rs$' trace='/syncmap_trace\.h$' exports='/exports\.c$'
style_of_rust() { styled "$rust" --ignore "$CHECKPATCH_RUST"; }
style_of_c() {
	local rest
	rest=$(like -v "$rust|$trace|$exports" | grep '\.[ch]$' | paste -sd '|')
	styled "^($rest)\$" && styled "$trace" --ignore "$CHECKPATCH_TRACE" &&
		styled "$exports" --ignore "$CHECKPATCH_EXPORTS"
}
# All others, as the patch that they are.
style_of_the_rest() {
	local file
	{
		printf '%s\n\n' "Subject: [PATCH] lib: add a concurrent hash map" \
			"A map for tables that are read much more often than changed." ---
		while read -r file; do
			diff -uN --label "a/$file" --label "b/$file" "$source/$file" "$copy/$file"
		done < <(like -v '\.([ch]|rs)$')
	} >"$out/patch"
	in_copy -- env -C /source perl scripts/checkpatch.pl --strict --terse --show-types \
		--no-summary --no-signoff /out/patch
}

documented() {
	in_copy -- env -C /source tools/docs/kernel-doc -none -Wall -Werror \
		include/linux/syncmap.h
}

# What User Mode Linux makes the linker say, and what clang 19 makes the kernel say of its
# own tests of FORTIFY_SOURCE, once; and what the compiler would say of ports, of which
# there are none, is switched off.
harmless='has a LOAD segment with RWX permissions$|^  LINK linux$|lacked .* in /source/lib/test_fortify/'
flags=(ARCH=um LLVM="${LLVM_SUFFIX:-1}"
	KCFLAGS="-Wno-null-pointer-arithmetic -Wno-unused-command-line-argument")
# make_kernel TARGET...: in the copy.  All else that make says is a warning.
make_kernel() {
	in_copy -- make -s -C /source O=/kernel/build "${flags[@]}" -j"$(nproc)" "$@" \
		>"$out/make.log" 2>&1 || { tail -n 12 "$out/make.log" && return 1; }
	! grep -vE "$harmless" "$out/make.log"
}

# The suites, by kunit.py, of a kernel that has all of it built in.
suites() {
	local flag args=()
	for flag in "${flags[@]:1}"; do args+=(--make_options "$flag"); done
	in_copy -- env -C /source tools/testing/kunit/kunit.py run --kunitconfig lib/syncmap \
		--kunitconfig /syncmap/scripts/tree.config --build_dir /kernel/build \
		--timeout 600 "${args[@]}" >"$out/kunit.log" 2>&1 || {
		tail -n 40 "$out/kunit.log"
		return 1
	}
	cp "$kernel/build/linux" "$kernel/linux"
	! grep -vE "$harmless" "$out/kunit.log" | grep -iE 'warning|error:' &&
		grep -E 'Ran [0-9]{3,} tests: passed: [0-9]+(, skipped: [0-9]+)?$' "$out/kunit.log"
}

# The programs, with the header that the tree exports.
installed() {
	make_kernel headers &&
		in_copy -- make -s -C /source/tools/testing/selftests O=/out/objects \
			TARGETS=syncmap FORCE_TARGETS=1 USERCFLAGS=-Werror USERLDFLAGS=-static \
			KHDR_INCLUDES="-isystem /kernel/build/usr/include" \
			KSFT_INSTALL_PATH=/out/installed install
}

# As modules, without the small nodes that only tests have.  User Mode Linux's module
# loader does not know all that clang and rustc prefer: see syncmap.mk.
modules() {
	in_copy -- /source/scripts/config --file /kernel/build/.config -m SYNCMAP \
		-m SYNCMAP_KUNIT_TEST -d SYNCMAP_SMALL_NODES &&
		make_kernel olddefconfig &&
		make_kernel CFLAGS_MODULE=-mlarge-data-threshold=0 \
			RUSTFLAGS_MODULE="-Zplt=yes -Zdirect-access-external-data=yes" \
			linux modules &&
		cp "$kernel/build/linux" "$kernel/linux"
}

# guest built-in, guest modules: boots that kernel.
guest() {
	local dir=$out/guest-$1 file files=() run=0
	mkdir -p "$dir"
	if [ "$1" = modules ]; then
		run=1
		for file in syncmap syncmap_kunit; do
			files+=("$kernel/build/lib/syncmap/$file.ko=/modules/$file.ko")
		done
	fi
	while read -r file; do
		files+=("$out/installed/syncmap/$file=/kselftest/syncmap/$file")
	done < <(cd "$out/installed/syncmap" && find . -type f -printf '%P\n')
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$SCRIPTS/job-tree.sh" "${files[@]}" &&
		UML=kunit UML_DIR=$kernel APPEND=kunit.enable=$run \
			"$SCRIPTS/guest.sh" "$dir" 600 || return
	tr -d '\r' <"$dir/output.log" | awk -f "$SCRIPTS/tap.awk" | tee "$dir/sum"
	grep -qE '^total [1-9][0-9]* 0 ' "$dir/sum"
}

say "TAP version 13"
check "says that it needs a tree" refuses_none
check "refuses what is not a source tree" refuses_others
check "refuses a part of one" refuses_part
check "refuses one that is older than syncmap needs" refuses_old
check "refuses one that has no place for a line" refuses_strange
check "refuses one that cannot be written" refuses_unwritable
check "linux-source is copied" copied
check "a second run writes what has changed, and no more" updates
check "checkpatch: Rust" style_of_rust
check "checkpatch: C" style_of_c
check "checkpatch: the lines in the tree's own files" style_of_the_rest
check "kernel-doc" documented
check "the suites pass by kunit.py" suites
check "programs build with the tree's header" installed
check "they pass with syncmap built in" guest built-in
check "all builds as modules, without a warning" modules
check "suites and programs pass with the modules" guest modules
say "1..$number"
exit "$failures"
