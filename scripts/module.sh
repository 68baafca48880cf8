#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# module.sh [MAKE ARGUMENT...]: builds the modules for the prepared kernel
# (KERNEL, FLAVOUR; or with UML=kunit or bench one on User Mode Linux) and prints
# their folder.  KUNIT=1 builds the KUnit suites instead, BENCH=1 the
# module of the bench, MODULES=1 syncmap and the modules of samples and tests, and
# MINE=FOLDER what is in that folder, with the symbols of syncmap.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

work=$(work_dir)
dir=$(kernel_dir)
[ -z "${UML:-}" ] || dir=$(uml_dir)
[ -d "$dir" ] || die "There is no prepared kernel yet." "Run make run once."
if [ -n "${UML:-}" ]; then
	own_flags "$UML"
	# UML's module loader does not know the relocations rustc prefers.
	args=("${FLAGS[@]}"
		KRUSTFLAGS='-Zplt=yes -Zdirect-access-external-data=yes')
elif [ "$FLAVOUR" = debug ]; then
	own_flags debug
	args=("${FLAGS[@]}")
else
	args=(KERNELRELEASE="$(cat "$dir/release")")
	[ -z "$CROSS" ] || args+=(ARCH="$KARCH" CROSS_COMPILE="$CROSS")
fi
if [ -n "${KUNIT:-}" ]; then
	args+=(SYNCMAP_KUNIT=1)
	VARIANT=${VARIANT:-kunit}
fi
if [ -n "${MODULES:-}" ]; then
	args+=(SYNCMAP_SAMPLES=1)
	VARIANT=${VARIANT:-modules}
fi
if [ -n "${BENCH:-}" ]; then
	args+=(SYNCMAP_BENCH=1)
	VARIANT=${VARIANT:-bench}
fi
dir=$(readlink -f "$dir")
out=$work/${dir##*/}${VARIANT:+-$VARIANT}
places=(M=/syncmap MO=/out)
binds=()
if [ -n "${MINE:-}" ]; then
	binds=(--ro-bind "$(MINE='' "$SCRIPTS/module.sh")" /symbols)
	out=$MINE
	places=(M=/out KBUILD_EXTRA_SYMBOLS=/symbols/Module.symvers)
fi
mkdir -p "$out"
lock "$(basename "$work")-${out##*/}"
# What make says names the source as the person knows it.
in_kernel "$dir" "${binds[@]}" --bind "$out" /out -- \
	make -s -C /kernel/build "${places[@]}" "${args[@]}" -j"$(nproc)" \
	"$@" modules 2>&1 |
	sed '/^Skipping BTF generation/d; s#\(^\|[^A-Za-z0-9_./-]\)/\(syncmap\|out\)/#\1#g' >&2 ||
	die "The modules do not compile; the reasons are above."
say "$out"
