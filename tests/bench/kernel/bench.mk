# SPDX-License-Identifier: GPL-2.0
#
# What Kbuild makes of the bench.

bench := tests/bench/kernel
contenders := syncmap syncmap-counted syncmap-c rhashtable hashtable rbtree loop

obj-m += syncmap_bench.o
syncmap_bench-y := $(bench)/harness.o $(bench)/ours.o
syncmap-modules += syncmap_bench

# Each contender is one file, and an object for each length of keys.
define instance
$(obj)/$(bench)/$(1)-$(2).o: $(src)/$(bench)/$(1).c FORCE
	$$(call if_changed_rule,cc_o_c)
CFLAGS_$(bench)/$(1)-$(2).o := -DKEY_LEN=$(2)
syncmap_bench-y += $(bench)/$(1)-$(2).o
endef
$(foreach contender,$(contenders),$(foreach length,8 16 64,\
	$(eval $(call instance,$(contender),$(length)))))
$(eval $(call instance,xarray,8))
$(eval $(call instance,limit,8))
$(eval $(call instance,syncmap-c,4))
$(eval $(call instance,rhashtable,4))
