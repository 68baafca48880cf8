// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the C API, from every context. Loading the module runs them; they
 * report in TAP to the log, each line behind "ctest: ".
 */
#include <linux/module.h>
#include <linux/rcupdate.h>

#include "ctest.h"

bool failed;
u32 things[KEYS][2];

const struct kind kinds[KINDS] = {
	[KEYS_OF_4] = { "keys of 4 bytes", 4, 4 },
	[KEYS_OF_8] = { "keys of 8 bytes", 8, 8 },
	[KEYS_OF_16] = { "keys of 16 bytes", 16, 16 },
	[KEYS_OF_ANY] = { "keys of any length", 0, 5 },
};

void *key(int nr)
{
	static u8 keys[KEYS][16];

	memset(keys[nr], nr + 1, sizeof(keys[nr]));
	return keys[nr];
}

struct syncmap *make(const struct kind *kind)
{
	const struct syncmap_params params = { .key_len = kind->key_len };
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);

	expect(!IS_ERR(map));
	return IS_ERR(map) ? NULL : map;
}

int never_called(const void *key, size_t len, void *value, void *arg)
{
	expect(false);
	return 1;
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "all operations, for all kinds of keys", all_operations },
	{ "numbers as keys", numbers_as_keys },
	{ "bad parameters are refused", bad_parameters },
	{ "bad maps are refused", bad_maps },
	{ "bad keys are refused", bad_keys },
	{ "bad values are refused", bad_values },
	{ "limits", limits },
	{ "what comes back within a limit is waited for", bytes_come_back },
	{ "clear and destroy release what is left", releases },
	{ "references", references },
	{ "ranges", ranges },
	{ "a range that stops at once takes no longer after deletes",
	  stopped_ranges },
	{ "contexts: process, softirq, hardirq, under locks", contexts },
	{ "new keys by the thousand, in all contexts", new_keys },
	{ "reservations, under raw spinlocks", reservations },
	{ "named maps", named_maps },
	{ "references taken in atomic sections", loads_in_sections },
	{ "waiting for a named map", waiting },
	{ "readers and writers at the same time", traffic },
	{ "a flow table that a timer fills", flows_in_timer },
};

static int __init ctest_init(void)
{
	int i;

	say("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		failed = false;
		tests[i].run();
		say("%s %d %s\n", failed ? "not ok" : "ok", i + 1,
		    tests[i].name);
	}
	/* What kfree_rcu() has still to free is no leak. */
	rcu_barrier();
	return 0;
}

static void __exit ctest_exit(void)
{
}

module_init(ctest_init);
module_exit(ctest_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Tests of the C API of syncmap");
MODULE_LICENSE("GPL");
