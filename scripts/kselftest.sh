#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make kselftest: builds and installs tests/kselftest as the kernel's own machinery
# does (tools/testing/selftests), and runs it by run_kselftest.sh on the stock kernel
# under QEMU.  With TREE it only puts the folder into that kernel tree.  With the
# argument "build" it prints the folder that it has been installed in; with "test" it
# tries what the machinery can do with the folder, in a copy of that, and prints TAP;
# with "programs DIR" it puts into DIR what make tree needs.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=scripts/tap.sh
. "$SCRIPTS/tap.sh"

# programs DIR: what belongs into a tree that has the headers of syncmap.
programs() {
	mkdir -p "$1/test_modules"
	cp -p "$SOURCE"/tests/kselftest/{Makefile,config,settings,.gitignore} \
		"$SOURCE"/tests/kselftest/*.[ch] "$1"
	cp -p "$SOURCE"/tests/kselftest/test_modules/Makefile \
		"$SOURCE"/samples/{blocklist,flows}.c "$1/test_modules"
}

# folder DIR: what belongs into a tree that knows nothing of syncmap.
folder() {
	programs "$1"
	mkdir -p "$1/include/linux"
	cp -p "$SOURCE/include/uapi/linux/syncmap.h" "$1/include/linux"
	cp -rp "$SOURCE/include" "$1/test_modules"
}

# sources FOLDER: its C files, without those that Kbuild makes.
sources() { (cd "$1" && find . -name '*.[ch]' ! -name '*.mod.c' -printf '%P\n' | sort); }

# Puts the folder into TREE.  Removes nothing there: a developer may have added tests.
into_tree() {
	local selftests=$TREE/tools/testing/selftests to dir file others
	[ -e "$selftests/lib.mk" ] ||
		die "TREE=$TREE is no source tree of a kernel: it has no" \
			"tools/testing/selftests/lib.mk."
	to=$selftests/syncmap
	stage=$(mktemp -d)
	trap 'rm -rf "$stage"' EXIT
	folder "$stage"
	while read -r dir; do
		{ mkdir -p "$to/$dir" 2>/dev/null && [ -w "$to/$dir" ]; } ||
			die "TREE=$TREE cannot be written: the tests belong into" \
				"$to${dir:+/$dir}." "Make that folder writable, or name a copy of the tree."
	done < <(cd "$stage" && find . -type d -printf '%P\n')
	while read -r file; do
		cmp -s "$stage/$file" "$to/$file" || cp -f "$stage/$file" "$to/$file"
	done < <(cd "$stage" && find . -type f -printf '%P\n')
	printf '%s\n' "The tests are in $to." \
		"On a machine that has syncmap loaded, run them there, as root:" \
		"  make -C $selftests TARGETS=syncmap run_tests" \
		"They unload syncmap and load it again, so maps with names are lost."
	others=$(comm -13 <(sources "$stage") <(sources "$to") | paste -sd ' ')
	[ -z "$others" ] || say "Left as they are, since they are not syncmap's: $others"
}

build() {
	local kernel tree for=()
	# For a kernel of our own the modules are not the machinery's to build.
	[ -n "${UML:-}" ] || [ "$FLAVOUR" = debug ] ||
		for=(KDIR=/kernel/build KBUILD_EXTRA_SYMBOLS=/symbols/Module.symvers)
	lock "$(basename "$(work_dir)")-kselftest"
	kernel=$(readlink -f "$(kernel_dir)")
	tree=$CACHE/$(basename "$(readlink "$kernel/source")")
	rm -rf "$out/syncmap" "$out/installed"
	folder "$out/syncmap"
	# The tree is read-only: the folder lies over an empty one.
	mkdir -p "$tree/tools/testing/selftests/syncmap"
	in_kernel "$kernel" --bind "$out" /out \
		--ro-bind "$(MODULES=1 "$SCRIPTS/module.sh")" /symbols \
		--bind "$out/syncmap" /source/tools/testing/selftests/syncmap -- \
		make -C /source/tools/testing/selftests O=/out/build TARGETS=syncmap \
		FORCE_TARGETS=1 ${CROSS:+ARCH="$KARCH" CROSS_COMPILE="$CROSS"} \
		USERCFLAGS=-Werror USERLDFLAGS=-static "${for[@]}" \
		KSFT_INSTALL_PATH=/out/installed install >"$out/log" 2>&1 || {
		grep -E 'error|warning|Error' "$out/log" >&2 || tail -n 5 "$out/log" >&2
		die "The tests do not compile; all of the log is $out/log"
	}
}

# in_tree [O=FOLDER] TARGET...: make, there.
in_tree() {
	in_root --bind "$out/tree" /tree --bind "$out/objects" /objects -- \
		make -C /tree/tools/testing/selftests TARGETS=syncmap FORCE_TARGETS=1 \
		USERLDFLAGS=-static "$@"
}

# Whether each program says that there is no device.
skipped() {
	in_tree "$@" run_tests >"$out/run" || return
	grep -q '^ok .*# SKIP' "$out/run" && ! grep -E '^not ok|^ok [^#]*$' "$out/run"
}

# Whether a folder has all of these.
has() {
	local dir=$1 one
	shift
	for one; do [ -e "$dir/$one" ] || { say "$dir has no $one" && return 1; }; done
}
untouched() { diff -r "$out/before" "$out/tree/tools/testing/selftests/syncmap"; }

# Lists the programs for a cross compiler that, like those for other machines, does
# not know -m32.
listed_by_cross() {
	printf '%s\n' '#!/bin/sh' 'case " $* " in *" -m32 "*) exit 1 ;; esac' \
		'exec gcc "$@"' >"$out/objects/cross-gcc"
	chmod 755 "$out/objects/cross-gcc"
	in_root --ro-bind "$out/tree" /tree --ro-bind "$out/objects" /objects -- \
		make -s -C /tree/tools/testing/selftests/syncmap OUTPUT=/objects \
		COLLECTION=syncmap USERLDFLAGS=-static CROSS_COMPILE=/objects/cross- \
		emit_tests
}
none_of_32_bits() {
	listed_by_cross >"$out/listed" && grep -x syncmap:abi "$out/listed" &&
		! grep _32 "$out/listed"
}

# A second run, into a folder with an added file and a changed one.
added() {
	local to=$out/tree/tools/testing/selftests/syncmap
	say '// mine' >"$to/mine.c"
	say '// changed' >>"$to/abi.c"
	TREE=$out/tree "$SCRIPTS/kselftest.sh" >"$out/second" && cat "$out/second" &&
		grep -q "not syncmap's: mine.c\$" "$out/second" && rm "$to/mine.c" && untouched
}

refuses_unwritable() {
	local said
	said=$(TREE=$out/tree bwrap --bind / / --dev-bind /dev /dev \
		--ro-bind "$out/tree" "$out/tree" "$SCRIPTS/kselftest.sh" 2>&1) && return 1
	say "$said"
	[[ $said == "syncmap: TREE=$out/tree cannot be written"* ]]
}

# The parts of a tree that its selftests are made with.
part_of_tree() {
	local tree
	tree=$CACHE/$(basename "$(readlink "$(readlink -f "$(kernel_dir)")/source")")
	rm -rf "$out/tree" "$out/objects" "$out/before"
	mkdir -p "$out/tree" "$out/objects"
	(cd "$tree" && cp -r --parents Makefile scripts/subarch.include \
		tools/testing/selftests/{Makefile,lib.mk,kselftest,run_kselftest.sh} \
		tools/testing/selftests/{kselftest.h,kselftest_harness.h,x86} "$out/tree")
	TREE=$out/tree "$SCRIPTS/kselftest.sh" &&
		cp -r "$out/tree/tools/testing/selftests/syncmap" "$out/before"
}

tree_tests() {
	local o made where
	printf "%s\n" "TAP version 13" "1..17"
	check "the folder is put into a tree" part_of_tree
	check "a second time, what was added there stays" added
	check "a tree that cannot be written is refused" refuses_unwritable
	check "no programs of 32 bits where the compiler has none" none_of_32_bits
	for o in '' O=/objects; do
		made=$out/tree/tools/testing/selftests
		where=" in the tree"
		[ -z "$o" ] || made=$out/objects/kselftest where=" outside of the tree"
		check "all is built$where" in_tree ${o:+"$o"} all
		check "every program is there" has "$made/syncmap" abi values failnth
		check "without the module all are skipped" skipped ${o:+"$o"}
		check "install, and gen_tar$where" in_tree ${o:+"$o"} install gen_tar
		check "all of it is installed" has "$made/kselftest_install" \
			run_kselftest.sh syncmap/abi syncmap/settings syncmap/config \
			kselftest-packages/kselftest.tar.gz
		check "clean$where" in_tree ${o:+"$o"} clean
	done
	check "leaves the folder as it was" untouched
	return "$failures"
}

if [ "${1:-}" = programs ]; then
	programs "$2"
	exit
fi
out=$(work_dir)/kselftest${FOREIGN/:/-}
make_cache
mkdir -p "$out"
case ${1:-} in
'') ;;
build)
	build
	say "$out/installed"
	exit
	;;
test)
	tree_tests
	exit
	;;
*) die "There is no $1 here." "Give build, test, or nothing." ;;
esac
if [ -n "${TREE:-}" ]; then
	into_tree
	exit
fi
ONLY=kselftest exec "$SCRIPTS/test.sh"
