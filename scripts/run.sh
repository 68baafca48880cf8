#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# make run: from whatever this machine has to the demo on a stock kernel.

# shellcheck source=scripts/lib.sh
. "$(dirname "$0")/lib.sh"

programs_and_modules() {
	local out programs root
	out=$("$SCRIPTS/module.sh") || return
	programs=$("$SCRIPTS/programs.sh" samples) || return
	root=$(root_dir)
	mkdir -p "$WORK/run"
	"$SCRIPTS/initramfs.sh" "$WORK/run/initramfs" \
		"$SCRIPTS/job-run.sh" "$out/syncmap.ko=/syncmap.ko" \
		"$programs/demo=/demo" "$root/etc/services=/data/services" \
		"$root/usr/share/dict/american-english=/data/words"
}

STEPS=5
step "Tools of this machine" "$SCRIPTS/host.sh"
step "Toolchain root (Debian 13)" "$SCRIPTS/root.sh"
step "Stock Debian kernel" "$SCRIPTS/kernel.sh"
lock_work
step "Module and demo program" programs_and_modules
step "The demo under QEMU" env V=1 "$SCRIPTS/guest.sh" "$WORK/run" "${TIMEOUT:-600}"
show_times
say "make run: everything worked."
