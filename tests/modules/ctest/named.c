// SPDX-License-Identifier: GPL-2.0
/*
 * Named maps.
 */
#include <linux/completion.h>
#include <linux/kthread.h>

#include "ctest.h"

static int count_named(const void *key, size_t len, const void *value,
		       size_t value_len, void *arg)
{
	int *sum = arg;

	expect(len == 2 && value_len == 3);
	*sum += 1;
	return 0;
}

void named_maps(void)
{
	static const char * const bad[] = { "", ".x", "a/b", "a b", "\xff" };
	struct syncmap_named *map, *same;
	char long_name[SYNCMAP_NAME_MAX + 2];
	size_t len = 1;
	int i, sum = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(err(syncmap_named_get(bad[i], SYNCMAP_NAMED_CREATE,
					     0600)) == -EINVAL);
	expect(err(syncmap_named_get(NULL, 0, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 0, 0)) == -ENOENT);
	expect(err(syncmap_named_get("ctest", 8, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 3, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 1, 01000)) == -EINVAL);
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	expect(err(syncmap_named_get(long_name, 0, 0)) == -ENAMETOOLONG);
	long_name[SYNCMAP_NAME_MAX] = 0;
	expect(err(syncmap_named_get(long_name, 0, 0)) == -ENOENT);

	map = syncmap_named_get("ctest", SYNCMAP_NAMED_CREATE, 0640);
	same = syncmap_named_get("ctest", SYNCMAP_NAMED_WAIT, 0);
	expect(!IS_ERR(map) && map == same);
	if (IS_ERR(map))
		return;
	expect(!syncmap_named_len(map));
	expect(!syncmap_named_store(map, "ab", 2, "xyz", 3, GFP_KERNEL));
	expect(!syncmap_named_store(map, "cd", 2, "xyz", 3, GFP_KERNEL));
	expect(!syncmap_named_range(map, count_named, &sum) && sum == 2);
	expect(!syncmap_named_store(map, "cd", 2, NULL, 0, GFP_KERNEL));
	rcu_read_lock();
	expect(!memcmp(syncmap_named_lookup(same, "ab", 2, &len), "xyz", 3));
	expect(len == 3);
	expect(syncmap_named_lookup(same, "cd", 2, &len) && !len);
	expect(!syncmap_named_lookup(same, "ab", 0, &len));
	expect(!syncmap_named_lookup(NULL, "ab", 2, &len));
	expect(!syncmap_named_lookup(ERR_PTR(-ENOENT), "ab", 2, &len));
	rcu_read_unlock();
	expect(syncmap_named_store(map, "ab", 2, "xyz",
				   SYNCMAP_VALUE_MAX + 1, GFP_KERNEL) ==
	       -E2BIG);
	expect(syncmap_named_store(map, "ab", 2, NULL, 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_store(map, NULL, 2, "x", 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_store(NULL, "ab", 2, "x", 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_delete(map, "ab", SYNCMAP_KEY_MAX + 1) ==
	       -EINVAL);
	expect(syncmap_named_range(map, NULL, NULL) == -EINVAL);
	expect(syncmap_named_delete(map, "ab", 2) == 1);
	expect(syncmap_named_len(map) == 1);
	syncmap_named_put(map);
	syncmap_named_put(same);
	syncmap_named_put(NULL);
	syncmap_named_put(ERR_PTR(-ENOENT));
}

static DECLARE_COMPLETION(done);

static int wait_for_map(void *name)
{
	struct syncmap_named *map = syncmap_named_get(name, SYNCMAP_NAMED_WAIT,
						      0);

	expect(!IS_ERR(map));
	syncmap_named_put(map);
	complete(&done);
	return 0;
}

void waiting(void)
{
	struct task_struct *waiter;
	struct syncmap_named *map;

	waiter = kthread_run(wait_for_map, "ctest-awaited", "ctest");
	expect(!IS_ERR(waiter));
	if (IS_ERR(waiter))
		return;
	expect(!wait_for_completion_timeout(&done, HZ / 10));
	map = syncmap_named_get("ctest-awaited", SYNCMAP_NAMED_CREATE, 0600);
	wait_for_completion(&done);
	syncmap_named_put(map);
}
