#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make guest: a shell on a kernel under QEMU (KERNEL, FLAVOUR; or UML=kunit) in which
# syncmap is loaded, with syncmapctl, the sample client, and the modules and programs
# of the folder M, which are built first.  Commands may come from a file or a pipe
# instead; then its status is that of the last one.  The console is judged at the
# end, as everywhere.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

# What stands in M besides sources goes along: scripts, data.
along() {
	find "$M" -maxdepth 1 -type f ! -name '.*' ! -name '*=*' ! -name '*.[chSo]' \
		! -name '*.rs' ! -name '*.mk' ! -name '*.ko' ! -name Kbuild ! -name Makefile \
		-printf '%f\n' | sort
}

all() {
	local out programs tools mine file
	local files=()
	out=$("$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples) || return
	tools=$("$SCRIPTS/tools.sh") || return
	if [ -n "${M:-}" ]; then
		mine=$("$SCRIPTS/mine.sh" "$M") || return
		while read -r file; do
			files+=("$M/$file=/mine/$file")
		done < <(along)
		while read -r file; do
			files+=("$mine/$file=/mine/$file")
		done < <(cd "$mine" && find . -maxdepth 1 -type f \
			\( -name '*.ko' -o -executable \) -printf '%f\n' | sort)
	fi
	# Commands that are not typed.
	if [ ! -t 3 ]; then
		cat <&3 >"$dir/script"
		files+=("$dir/script=/script")
	fi
	"$SCRIPTS/initramfs.sh" "$dir/initramfs" "$SCRIPTS/job-shell.sh" \
		"$out/syncmap.ko=/syncmap.ko" "$programs/client=/bin/client" \
		"$tools/syncmapctl=/bin/syncmapctl" "${files[@]}"
}

[ -z "${M:-}" ] || [ -d "$M" ] || die "M=$M is no folder." \
	"M is the folder of your modules and programs: make guest M=\$HOME/mine"
exec 3<&0 </dev/null
STEPS=5
[ -z "${UML:-}" ] || STEPS=6
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Kernel" "$SCRIPTS/kernel.sh"
[ -z "${UML:-}" ] || step "Kernel on User Mode Linux" "$SCRIPTS/own.sh" "$UML"
# Not lock_work: the shell may be open for hours.
dir=$(work_dir)/guest${UML:+-uml}
lock "$(basename "$(work_dir)")-guest"
mkdir -p "$dir"
step "syncmap, and what is yours" all
STEP=$((STEP + 1))
say "[$STEP/$STEPS] The guest"
status=0
if [ -t 3 ]; then
	TERMINAL=1 "$SCRIPTS/guest.sh" "$dir" "$(limit 86400)" <&3 || status=$?
else
	V=1 "$SCRIPTS/guest.sh" "$dir" "$(limit 1800)" || status=$?
fi
# What syncmap itself has to say of a module.
if complaints=$(grep -aE 'syncmap: module .* (has not|destroys|puts) ' "$dir/console.log"); then
	say "verdict: syncmap complains:"
	say "$complaints" | cut -c1-160 | sed 's/^/    /'
	status=1
fi
[ "$status" -eq 0 ]
