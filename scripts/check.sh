#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make check: formatting, lints, documentation, memory orderings, scripts and C
# style.  Every check runs, then a summary tells which have failed.

# shellcheck disable=SC2317 # the checks are called by name
# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

"$SCRIPTS/host.sh"
"$SCRIPTS/root.sh"
"$SCRIPTS/kernel.sh"
lock_work
cd "$SOURCE"
kernel=$(readlink -f "$(kernel_dir)")
files() { find "$@" 2>/dev/null | sort; }
rust=$(files src samples tests -path tests/model -prune -o -name '*.rs' -print)
modules_c=$(grep -l '^#include <linux/module.h>' samples/*.c)
kernel_c=$(files src include tests/bench/kernel tests/modules tests/torture \
	-name '*.[ch]')
kernel_c+=" $modules_c"
user_c=$(files samples tests -path tests/bench/kernel -prune -o \
	-path tests/modules -prune -o -path tests/torture -prune -o -name '*.[ch]' -print |
	grep -vxF "$modules_c")
shell=$(grep -rlE '^#!/bin/(ba)?sh|shellcheck shell=' scripts tests tools/packages .ci |
	sort)

exec 3>&1
summary=()
failed=0
check() {
	local title=$1 skipped=''
	shift
	if "$@" >"$WORK/check.log" 2>&1; then
		summary+=("${skipped:-ok     } $title")
	else
		cat "$WORK/check.log"
		summary+=("FAILED  $title")
		failed=1
	fi
	say "${summary[-1]}"
}

# The lists of files below are meant to be split into words.
# shellcheck disable=SC2086
formatting() {
	in_kernel "$kernel" -- rustfmt --check --color never --edition 2021 \
		--config-path /source/.rustfmt.toml $rust
}

# The lints are those of the kernel's own makefiles; every warning is an error.
lints() {
	VARIANT=clippy MODULES=1 "$SCRIPTS/module.sh" CLIPPY=1 SYNCMAP_STRICT=1 &&
		BENCH=1 VARIANT=bench-clippy "$SCRIPTS/module.sh" CLIPPY=1 \
			SYNCMAP_STRICT=1
}
warnings() {
	VARIANT=strict MODULES=1 "$SCRIPTS/module.sh" SYNCMAP_STRICT=1 &&
		BENCH=1 VARIANT=bench-strict "$SCRIPTS/module.sh" SYNCMAP_STRICT=1
}

# The examples of the pages of documentation, in a folder of their own, as modules of
# somebody else's, who may have tracepoints of his own; and those that have no name are
# taken from what is compiled.
pages() {
	local pages=$WORK/pages
	"$SCRIPTS/pages.sh" "$pages" || return
	awk -f "$SCRIPTS/excerpts.awk" "$pages"/*.[cr]* samples/* src/lib.rs \
		README.md docs/*.md || return
	# shellcheck disable=SC2016 # expanded inside the root
	in_kernel "$kernel" --ro-bind "$pages" /pages -- sh -c \
		'rustfmt --check --color never --edition 2021 \
			--config-path /source/.rustfmt.toml /pages/*.rs &&
		perl /source/scripts/checkpatch.pl --no-tree --strict --terse \
			--no-summary -f /pages/*.c' || return
	say '#error "not for the library"' >"$pages/trace.h"
	# shellcheck disable=SC2016 # expanded by make
	say 'ccflags-y += -I$(src)' >>"$pages/Kbuild"
	"$SCRIPTS/mine.sh" "$pages" SYNCMAP_STRICT=1
}

documentation() { "$SCRIPTS/docs.sh" --module; }

# The comments of the C API's header are what the kernel's tools expect.
kernel_doc() {
	in_kernel "$kernel" -- /source/tools/docs/kernel-doc -none -Wall -Werror \
		include/linux/syncmap.h
}

# The header for userspace alone, in C and C++, with 64 bits and, where the compiler
# has them, 32.
uapi_header() {
	local language bits all=(-DNATIVE)
	[ "$HOST$CROSS" != amd64 ] || all=(-m64 -m32)
	for language in c99 gnu23 c++11 c++20; do
		for bits in "${all[@]}"; do
			# shellcheck disable=SC2016 # expanded inside the root
			in_root -- sh -c 'echo "#include <linux/syncmap.h>" |
				gcc -x "$1" -std="$2" "$3" -pedantic -Wall -Wextra \
				-Werror -Iinclude/uapi -fsyntax-only -' sh \
				"$([[ $language = c++* ]] && echo c++ || echo c)" \
				"$language" "$bits" || return
		done
	done
}

# The manual of the device tells of every command, and its examples compile.
manual() {
	local name
	sed -n 's/^#define \(SYNCMAP_IOC_[A-Z_]*\).*/\1/p' include/uapi/linux/syncmap.h |
		grep -v _TYPE | while read -r name; do
		grep -q "$name" docs/syncmap.4 || {
			say "docs/syncmap.4 says nothing of $name."
			return 1
		}
	done || return
	awk '/^\.EX/ { text = ""; next } /^\.EE/ { last = text; next }
		{ text = text $0 "\n" } END { printf "%s", last }' docs/syncmap.4 |
		sed 's/\\\[dq\]/"/g; s/\\e/\\/g' >"$WORK/manual.c"
	{
		sed -n '/^#include/p' "$WORK/manual.c"
		say '#include <err.h>'
		say '#include <string.h>'
		say 'static inline void walk(int map, char *key) {'
		sed -n '/^char buf\[/,/^\.EE/{/^\./!p}' docs/syncmap.4 |
			sed 's/\\e/\\/g; s/\\-/-/g'
		say '}'
	} >"$WORK/walk.c"
	in_root --bind "$WORK" /out -- gcc -Wall -Wextra -Werror -Iinclude/uapi \
		-fsyntax-only /out/manual.c /out/walk.c
}

# shellcheck disable=SC2086
scripts() { in_root -- shellcheck -x $shell; }

# Where herd7 cannot be had, its sentence is all there is to say.
litmus() {
	local status=0
	"$SCRIPTS/litmus.sh" || status=$?
	if [ "$status" -eq 4 ]; then
		skipped=skipped
		tail -n 1 "$WORK/check.log" >&3
		return
	fi
	return "$status"
}

# Whether the patches still apply that show that the tests can fail.
mutants() { "$SCRIPTS/mutants.sh" --check; }

# Judges made-up results; draws nothing, for which this root has no plotter.
report() { in_root -- python3 tests/bench/report.py --self-test; }

# Programs of userspace have neither the kernel's types nor its attributes.
# shellcheck disable=SC2086
c_style() {
	local checkpatch='perl /source/scripts/checkpatch.pl --no-tree --strict --terse
		--no-summary'
	local most=${kernel_c/src\/module\/exports.c/}
	# What exports.c exports is written in Rust; TRACE_EVENT() has a style of its own.
	in_kernel "$kernel" -- $checkpatch -f ${most/src\/syncmap_trace.h/} &&
		in_kernel "$kernel" -- $checkpatch \
			--ignore "$CHECKPATCH_TRACE" -f src/syncmap_trace.h &&
		in_kernel "$kernel" -- $checkpatch --ignore "$CHECKPATCH_EXPORTS" \
			-f src/module/exports.c &&
		in_kernel "$kernel" -- $checkpatch \
			--ignore PREFER_KERNEL_TYPES,PREFER_DEFINED_ATTRIBUTE_MACRO -f $user_c
}

check "rustfmt" formatting
check "rustc, warnings denied" warnings
check "clippy" lints
check "the examples of the pages" pages
check "rustdoc of the library crate" documentation
check "litmus tests" litmus
check "mutants" mutants
check "kernel-doc" kernel_doc
check "header for userspace, C and C++" uapi_header
check "the manual of the device" manual
check "userspace programs" "$SCRIPTS/programs.sh" samples tests/kselftest tests/fuzz
check "the description for syzkaller" "$SCRIPTS/syzlang.sh"
check "the report of the bench" report
check "the model on the host" "$SCRIPTS/model.sh" --check
check "the tools, their manual and versions" "$SCRIPTS/tools.sh" check
check "shellcheck" scripts
check "checkpatch" c_style

say ""
say "make check:"
printf '  %s\n' "${summary[@]}"
exit "$failed"
