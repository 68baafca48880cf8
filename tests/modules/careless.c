// SPDX-License-Identifier: GPL-2.0
/*
 * A module that makes the mistakes that syncmap is to notice; one for each
 * value of its parameter.
 */
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syncmap.h>

static char *mistake = "none";
module_param(mistake, charp, 0444);
MODULE_PARM_DESC(mistake,
		 "forget_map, forget_named, destroy_twice, put_twice or none");

static bool is(const char *what)
{
	return !strcmp(mistake, what);
}

static int value;

/* Must not run when the module is gone, or about to. */
static void release(void *what)
{
	pr_err("careless: a value is released too late\n");
}

static int __init careless_init(void)
{
	const struct syncmap_params params = { .key_len = 8, .release = release };
	struct syncmap_named *named;
	struct syncmap *map;
	u64 key;

	if (is("forget_named") || is("put_twice")) {
		named = syncmap_named_get("careless", SYNCMAP_NAMED_CREATE,
					  0600);
		if (IS_ERR(named))
			return PTR_ERR(named);
		if (is("put_twice")) {
			syncmap_named_put(named);
			syncmap_named_put(named);
		} else {
			/* Twice as careless. */
			syncmap_named_get("careless", 0, 0);
		}
	}
	if (is("forget_map") || is("destroy_twice")) {
		map = syncmap_create(&params, GFP_KERNEL);
		if (IS_ERR(map))
			return PTR_ERR(map);
		if (is("destroy_twice")) {
			syncmap_destroy(map);
			syncmap_destroy(map);
			return 0;
		}
		for (key = 0; key < 3; key++)
			syncmap_store(map, &key, 8, &value, GFP_KERNEL);
	}
	return 0;
}

static void __exit careless_exit(void)
{
}

module_init(careless_init);
module_exit(careless_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Tests of syncmap: a module that makes mistakes");
MODULE_LICENSE("GPL");
