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

# In the tree of a kernel, make tree puts the sources beside this file.
syncmap-src := $(patsubst %/lib.rs,%,$(firstword $(wildcard \
	$(syncmap-dir)/src/lib.rs $(syncmap-dir)/lib.rs)))

ifdef KBUILD_EXTMOD
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
endif # KBUILD_EXTMOD

# What is built into the kernel shares the objects of the first that is: the kernel
# is one program.
syncmap-built-in := $(filter $(patsubst %.o,%,$(obj-y)),$(syncmap-modules))
syncmap-owner = $(if $(filter $(1),$(syncmap-built-in)),$(firstword \
	$(syncmap-built-in)),$(1))

# syncmap-use MODULE,OWNER: shows the crate to the Rust objects of MODULE, which are
# compiled after the library's objects, those of OWNER.
define syncmap-use
$(if $(filter-out $(1).o,$($(1)-y)),,$(error syncmap-modules names $(1), but \
$(1)-y does not name its objects: $(1)-y := $(1)_main.o, say, which is not $(1).o))
$(foreach object,$($(1)-y),$(if $(wildcard $(src)/$(object:.o=.c)),,
RUSTFLAGS_$(object) += --extern syncmap=$(obj)/lib$(2)-syncmap.rmeta
$(obj)/$(object): $(obj)/$(2)-syncmap.o
))
endef

# syncmap-objects OWNER: adds the objects of the library to those of OWNER.
define syncmap-objects
$(obj)/$(1)-syncmap.o: $(syncmap-src)/lib.rs FORCE
	+$$(call if_changed_rule,rustc_o_rs)
$(obj)/$(1)-syncmap_helpers.o: $(syncmap-src)/helpers.c FORCE
	$$(call if_changed_rule,cc_o_c)
# A name of its own for what rustc writes on the way: others may be at it, too.
# Its tracepoints are under the name of the module.
CFLAGS_$(1)-syncmap_helpers.o := -I$(syncmap-src) \
	-DSYNCMAP_TRACE_SYSTEM=$(subst -,_,$(1))
RUSTFLAGS_$(1)-syncmap.o := --emit=metadata=$(obj)/lib$(1)-syncmap.rmeta \
	-Cextra-filename=-$(1)
clean-files += lib$(1)-syncmap.rmeta
$(1)-y += $(1)-syncmap.o $(1)-syncmap_helpers.o
endef
$(foreach module,$(syncmap-modules),\
	$(eval $(call syncmap-use,$(module),$(call syncmap-owner,$(module)))))
$(foreach owner,$(sort $(foreach module,$(syncmap-modules),\
	$(call syncmap-owner,$(module)))),$(eval $(call syncmap-objects,$(owner))))
