// SPDX-License-Identifier: GPL-2.0
/*
 * What the functions do, one after the other.
 */
#include <linux/rcupdate.h>

#include "ctest.h"

static void *look(struct syncmap *map, const struct kind *kind, int nr)
{
	void *value;

	rcu_read_lock();
	value = syncmap_lookup(map, key(nr), kind->len);
	rcu_read_unlock();
	return value;
}

static void operations(const struct kind *kind)
{
	struct syncmap *map = make(kind);
	void *a = &things[0], *b = &things[1];
	const size_t len = kind->len;

	if (!map)
		return;
	expect(!look(map, kind, 0));
	expect(!syncmap_delete(map, key(0), len));
	expect(!syncmap_compare_and_swap(map, key(0), len, a, b));
	expect(!syncmap_compare_and_delete(map, key(0), len, a));
	expect(!syncmap_store(map, key(0), len, a, GFP_KERNEL));
	expect(look(map, kind, 0) == a);
	expect(!look(map, kind, 1));
	expect(syncmap_len(map) == 1);
	expect(syncmap_swap(map, key(0), len, b, GFP_KERNEL) == a);
	expect(syncmap_load_or_store(map, key(0), len, a, GFP_KERNEL) == b);
	expect(!syncmap_load_or_store(map, key(1), len, a, GFP_KERNEL));
	expect(look(map, kind, 1) == a);
	expect(!syncmap_compare_and_swap(map, key(1), len, b, a));
	expect(syncmap_compare_and_swap(map, key(1), len, a, b) == 1);
	expect(!syncmap_compare_and_delete(map, key(1), len, a));
	expect(syncmap_compare_and_delete(map, key(1), len, b) == 1);
	expect(!look(map, kind, 1));
	expect(syncmap_load_and_delete(map, key(0), len) == b);
	expect(!syncmap_len(map));
	expect(!syncmap_store(map, key(2), len, a, GFP_KERNEL));
	expect(!syncmap_clear(map));
	expect(!syncmap_len(map) && !look(map, kind, 2));
	/* Nothing blocks with these, so nothing is created. */
	expect(err(syncmap_store(map, key(3), len, a, GFP_ATOMIC)) ==
	       -EWOULDBLOCK);
	expect(err(syncmap_load_or_store(map, key(3), len, a, GFP_NOWAIT)) ==
	       -EWOULDBLOCK);
	/* These block, but do not do all that GFP_KERNEL may. */
	expect(!syncmap_store(map, key(4), len, a, GFP_NOFS));
	expect(syncmap_store(map, key(4), len, b, GFP_NOIO) == a);
	expect(!syncmap_len(NULL));
	syncmap_destroy(map);
}

void all_operations(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		operations(&kinds[i]);
}

void numbers_as_keys(void)
{
	const u32 small = 0x01020304;
	const u64 large = 0x0102030405060708;
	u8 unaligned[9];
	struct syncmap *map;

	map = make(&kinds[KEYS_OF_4]);
	memcpy(unaligned + 1, &small, sizeof(small));
	expect(!syncmap_store(map, unaligned + 1, 4, things, GFP_KERNEL));
	rcu_read_lock();
	expect(syncmap_lookup_u32(map, small) == things);
	expect(!syncmap_lookup_u32(map, small + 1));
	expect(!syncmap_lookup_u64(map, small));
	rcu_read_unlock();
	syncmap_destroy(map);

	map = make(&kinds[KEYS_OF_8]);
	memcpy(unaligned + 1, &large, sizeof(large));
	expect(!syncmap_store(map, unaligned + 1, 8, things, GFP_KERNEL));
	rcu_read_lock();
	expect(syncmap_lookup_u64(map, large) == things);
	expect(!syncmap_lookup_u64(map, large + 1));
	expect(!syncmap_lookup_u32(map, (u32)large));
	rcu_read_unlock();
	syncmap_destroy(map);
}

void limits(void)
{
	struct syncmap_params params = { .key_len = 8, .max_entries = 3 };
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	int i;

	for (i = 0; i < 3; i++)
		expect(!syncmap_store(map, key(i), 8, things, GFP_KERNEL));
	expect(err(syncmap_store(map, key(3), 8, things, GFP_KERNEL)) ==
	       -EDQUOT);
	expect(syncmap_store(map, key(2), 8, things + 1, GFP_KERNEL) ==
	       things);
	expect(syncmap_delete(map, key(0), 8));
	expect(!syncmap_store(map, key(3), 8, things, GFP_KERNEL));
	syncmap_destroy(map);

	params.max_entries = 0;
	params.max_bytes = 4096;
	map = syncmap_create(&params, GFP_KERNEL);
	for (i = 0; i < KEYS; i++) {
		int ret = err(syncmap_store(map, key(i), 8, things,
					    GFP_KERNEL));

		expect(!ret || (i > 10 && ret == -EDQUOT));
		if (ret)
			break;
	}
	expect(syncmap_len(map) == i);
	syncmap_destroy(map);
}

static int count(const void *key, size_t len, void *value, void *arg)
{
	int *sum = arg;

	expect(rcu_read_lock_held() || !IS_ENABLED(CONFIG_PROVE_RCU));
	expect(len == 8);
	*sum += 1;
	return 0;
}

void ranges(void)
{
	struct syncmap *map = make(&kinds[KEYS_OF_8]);
	int i, sum = 0;

	expect(!syncmap_range(map, never_called, NULL));
	expect(syncmap_range(map, NULL, NULL) == -EINVAL);
	for (i = 0; i < KEYS; i++)
		expect(!syncmap_store(map, key(i), 8, &things[i], GFP_KERNEL));
	expect(!syncmap_range(map, count, &sum) && sum == KEYS);
	syncmap_destroy(map);
}
