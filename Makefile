# SPDX-License-Identifier: GPL-2.0
#
# Only delegates: Kbuild lists the objects, scripts/ does the work.  They see the
# variables of the command line, as of the environment; make exports both.

modules modules_install clean:
	+@scripts/kdir.sh $@

kernel-metadata:
	@scripts/metadata.sh

dkms deb dist install kselftest tree:
	@scripts/$@.sh

syncmapctl:
	@scripts/install.sh build

uninstall:
	@scripts/install.sh uninstall

test-packages:
	@scripts/packages.sh

guest:
	@scripts/shell.sh

run test torture mutants matrix bench check docs help:
	@scripts/$@.sh

test-all:
	@scripts/test.sh --all

tools:
	@scripts/tools.sh make

update-kernel:
	@UPDATE=1 scripts/kernel.sh

clean-cache:
	@scripts/clean-cache.sh

.DEFAULT:
	@echo "syncmap: There is no verb $@ here: make help names them." >&2; exit 2

.DEFAULT_GOAL := modules
.PHONY: modules modules_install syncmapctl install uninstall clean kernel-metadata \
	dkms deb dist kselftest tree test-packages guest run test test-all torture \
	mutants matrix bench check docs help tools update-kernel clean-cache
