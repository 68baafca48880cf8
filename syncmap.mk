# SPDX-License-Identifier: GPL-2.0
#
# For the Kbuild file of a module that uses syncmap.  One in C needs no more than
#
#	include <this folder>/syncmap.mk
#
# One in Rust also says that it does, which gives it the crate `syncmap`:
#
#	obj-m := mine.o
#	mine-y := mine_main.o
#	syncmap-modules := mine
#	include <this folder>/syncmap.mk
#
# Each module gets an object of the library for itself, since Kbuild has no way to
# share one, and is self-contained, unless it uses named maps: those are in
# syncmap.ko, which is built first, here or wherever KBUILD_EXTRA_SYMBOLS tells.

syncmap-dir := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))

ccflags-y += -I$(syncmap-dir)/include

# User Mode Linux puts modules where addresses of 31 bits, which clang uses for
# small data, may not reach.
ccflags-$(CONFIG_UML) += -mlarge-data-threshold=0
# A header of its own has no ports to add to.
ccflags-$(CONFIG_UML) += -Wno-null-pointer-arithmetic

# Kbuild has found our symbols if we are built in the same run.
ifneq ($(abspath $(syncmap-dir)),$(abspath $(src)))
KBUILD_EXTRA_SYMBOLS += $(wildcard $(abspath $(syncmap-dir))/Module.symvers)
endif

# syncmap-use MODULE: adds the objects of the library, and shows the crate to the
# Rust objects of the module, which are compiled after it.
define syncmap-use
$(if $(filter-out $(1).o,$($(1)-y)),,$(error syncmap-modules names $(1), but \
$(1)-y does not name its objects: $(1)-y := $(1)_main.o, say, which is not $(1).o))
$(obj)/$(1)-syncmap.o: $(syncmap-dir)/src/lib.rs FORCE
	+$$(call if_changed_rule,rustc_o_rs)
$(obj)/$(1)-syncmap_helpers.o: $(syncmap-dir)/src/helpers.c FORCE
	$$(call if_changed_rule,cc_o_c)
# A name of its own for what rustc writes on the way: others may be at it, too.
# Its tracepoints are under the name of the module.
CFLAGS_$(1)-syncmap_helpers.o := -I$(syncmap-dir)/src \
	-DSYNCMAP_TRACE_SYSTEM=$(subst -,_,$(1))
RUSTFLAGS_$(1)-syncmap.o := --emit=metadata=$(obj)/lib$(1)-syncmap.rmeta \
	-Cextra-filename=-$(1)
clean-files += lib$(1)-syncmap.rmeta
$(foreach object,$($(1)-y),$(if $(wildcard $(src)/$(object:.o=.c)),,
RUSTFLAGS_$(object) += --extern syncmap=$(obj)/lib$(1)-syncmap.rmeta
$(obj)/$(object): $(obj)/$(1)-syncmap.o
))
$(1)-y += $(1)-syncmap.o $(1)-syncmap_helpers.o
endef
$(foreach module,$(syncmap-modules),$(eval $(call syncmap-use,$(module))))
