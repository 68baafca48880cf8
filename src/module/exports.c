// SPDX-License-Identifier: GPL-2.0
/*
 * The C API: what is exported, and how the module hears of others that go. The
 * functions themselves are in capi/.
 */
#include <linux/export.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/syncmap.h>

#include "exports.h"

/* In a kernel tree it has the kernel's. */
#ifdef SYNCMAP_VERSION
MODULE_VERSION(SYNCMAP_VERSION);
#endif

EXPORT_SYMBOL_GPL(__syncmap_create);
EXPORT_SYMBOL_GPL(__syncmap_destroy);
EXPORT_SYMBOL_GPL(__syncmap_lookup);
EXPORT_SYMBOL_GPL(__syncmap_lookup_u32);
EXPORT_SYMBOL_GPL(__syncmap_lookup_u64);
EXPORT_SYMBOL_GPL(__syncmap_load);
EXPORT_SYMBOL_GPL(__syncmap_store);
EXPORT_SYMBOL_GPL(__syncmap_load_or_store);
EXPORT_SYMBOL_GPL(__syncmap_reserve);
EXPORT_SYMBOL_GPL(syncmap_unreserve);
EXPORT_SYMBOL_GPL(syncmap_store_reserved);
EXPORT_SYMBOL_GPL(syncmap_load_or_store_reserved);
EXPORT_SYMBOL_GPL(syncmap_load_and_delete);
EXPORT_SYMBOL_GPL(syncmap_compare_and_swap);
EXPORT_SYMBOL_GPL(syncmap_compare_and_delete);
EXPORT_SYMBOL_GPL(__syncmap_range);
EXPORT_SYMBOL_GPL(__syncmap_clear);
EXPORT_SYMBOL_GPL(syncmap_len);
EXPORT_SYMBOL_GPL(__syncmap_named_get);
EXPORT_SYMBOL_GPL(__syncmap_named_put);
EXPORT_SYMBOL_GPL(__syncmap_named_lookup);
EXPORT_SYMBOL_GPL(__syncmap_named_store);
EXPORT_SYMBOL_GPL(syncmap_named_delete);
EXPORT_SYMBOL_GPL(__syncmap_named_range);
EXPORT_SYMBOL_GPL(syncmap_named_len);

const char *syncmap_module_name(struct module *module)
{
	return module ? module->name : "vmlinux";
}

/* Called when the exit function of a module has run, or its init has failed. */
static int notified(struct notifier_block *block, unsigned long state,
		    void *module)
{
	if (state == MODULE_STATE_GOING)
		syncmap_module_gone(module);
	return NOTIFY_DONE;
}

static struct notifier_block notifier = { .notifier_call = notified };

int syncmap_exports_init(void)
{
	return register_module_notifier(&notifier);
}

void syncmap_exports_exit(void)
{
	unregister_module_notifier(&notifier);
}
