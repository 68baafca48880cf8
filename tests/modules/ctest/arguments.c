// SPDX-License-Identifier: GPL-2.0
/*
 * What must be refused: parameters, maps, keys, values.
 */
#include <linux/rcupdate.h>

#include "ctest.h"

static bool always(void *value)
{
	return true;
}

void bad_parameters(void)
{
	struct syncmap_params params = { .key_len = 8 };

	expect(err(syncmap_create(NULL, GFP_KERNEL)) == -EINVAL);
	expect(err(syncmap_create(&params, GFP_ATOMIC)) == -EINVAL);
	params.key_len = SYNCMAP_KEY_MAX + 1;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EINVAL);
	params.key_len = 8;
	params.get = always;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EINVAL);
	params.get = NULL;
	params.max_bytes = 16;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EDQUOT);
}

void bad_maps(void)
{
	struct syncmap *bad[] = { NULL, ERR_PTR(-ENOMEM) };
	const u64 k = 1;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct syncmap *map = bad[i];

		rcu_read_lock();
		expect(!syncmap_lookup(map, &k, 8));
		expect(!syncmap_lookup_u32(map, 1));
		expect(!syncmap_lookup_u64(map, 1));
		rcu_read_unlock();
		expect(err(syncmap_load(map, &k, 8)) == -EINVAL);
		expect(err(syncmap_store(map, &k, 8, things, GFP_KERNEL)) ==
		       -EINVAL);
		expect(err(syncmap_load_or_store(map, &k, 8, things,
						 GFP_KERNEL)) == -EINVAL);
		expect(err(syncmap_delete(map, &k, 8)) == -EINVAL);
		expect(syncmap_compare_and_swap(map, &k, 8, things,
						things) == -EINVAL);
		expect(syncmap_compare_and_delete(map, &k, 8, things) ==
		       -EINVAL);
		expect(syncmap_range(map, never_called, NULL) == -EINVAL);
		expect(syncmap_clear(map) == -EINVAL);
		expect(!syncmap_len(map));
		syncmap_destroy(map);
	}
}

void bad_keys(void)
{
	const u8 long_key[SYNCMAP_KEY_MAX + 1] = { 0 };
	struct syncmap *map;
	size_t wrong;
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		map = make(&kinds[i]);
		for (wrong = 0; wrong <= SYNCMAP_KEY_MAX + 1;
		     wrong += SYNCMAP_KEY_MAX + 1)
			expect(err(syncmap_store(map, long_key, wrong, things,
						 GFP_KERNEL)) == -EINVAL);
		expect(err(syncmap_store(map, NULL, kinds[i].len, things,
					 GFP_KERNEL)) == -EINVAL);
		if (kinds[i].key_len)
			expect(err(syncmap_store(map, long_key,
						 kinds[i].key_len + 1, things,
						 GFP_KERNEL)) == -EINVAL);
		else
			expect(!syncmap_store(map, long_key, SYNCMAP_KEY_MAX,
					      things, GFP_KERNEL));
		syncmap_destroy(map);
	}
}

void bad_values(void)
{
	struct syncmap *map = make(&kinds[KEYS_OF_8]);
	void *bad[] = { NULL, ERR_PTR(-4), ERR_PTR(-MAX_ERRNO),
			(void *)things + 1, (void *)things + 2 };
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect(err(syncmap_store(map, key(0), 8, bad[i], GFP_KERNEL)) ==
		       -EINVAL);
		expect(err(syncmap_store(map, key(0), 8, bad[i], GFP_ATOMIC)) ==
		       -EINVAL);
		expect(err(syncmap_load_or_store(map, key(0), 8, bad[i],
						 GFP_KERNEL)) == -EINVAL);
		expect(syncmap_compare_and_swap(map, key(0), 8, things,
						bad[i]) == -EINVAL);
	}
	expect(err(syncmap_load(map, key(0), 8)) == -EINVAL);
	expect(!syncmap_len(map));
	syncmap_destroy(map);
}
