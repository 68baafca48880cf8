// SPDX-License-Identifier: GPL-2.0
/*
 * What the functions do, one after the other.
 */
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

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
	/* These do not block, and create keys all the same. */
	expect(!syncmap_store(map, key(3), len, a, GFP_ATOMIC));
	expect(look(map, kind, 3) == a);
	expect(!syncmap_load_or_store(map, key(5), len, b, GFP_NOWAIT));
	expect(syncmap_load_or_store(map, key(5), len, a, GFP_ATOMIC) == b);
	expect(syncmap_len(map) == 2);
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
	expect(err(syncmap_store(map, key(3), 8, things, GFP_ATOMIC)) ==
	       -EDQUOT);
	expect(err(syncmap_load_or_store(map, key(3), 8, things,
					 GFP_ATOMIC)) == -EDQUOT);
	expect(syncmap_store(map, key(2), 8, things + 1, GFP_KERNEL) ==
	       things);
	expect(syncmap_delete(map, key(0), 8));
	expect(!syncmap_store(map, key(3), 8, things, GFP_ATOMIC));
	expect(syncmap_len(map) == 3);
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
	if (i < KEYS)
		expect(err(syncmap_store(map, key(i), 8, things,
					 GFP_ATOMIC)) == -EDQUOT);
	expect(syncmap_len(map) == i);
	syncmap_destroy(map);
}

/* Keys that are as good as random ones. */
static u64 scattered(u64 i)
{
	return hash_64(i + 1, 64);
}

static int stop(const void *key, size_t len, void *value, void *arg)
{
	return 1;
}

/* Stores new keys from @i on until one fails with -EDQUOT; returns how many. */
static u64 fill(struct syncmap *map, u64 i)
{
	u64 k, first = i;
	int ret;

	for (;; i++) {
		k = scattered(i);
		ret = err(syncmap_store(map, &k, 8, things, GFP_KERNEL));
		if (ret)
			break;
	}
	expect(ret == -EDQUOT);
	return i - first;
}

/*
 * -EDQUOT is the last word: all that comes back by itself, such as what a
 * promotion frees, has been waited for.
 */
void bytes_come_back(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.max_bytes = 1 << 20,
	};
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	u64 keys, k, more;

	if (IS_ERR(map)) {
		expect(false);
		return;
	}
	for (keys = 0; keys < 10000; keys++) {
		k = scattered(keys);
		expect(!syncmap_store(map, &k, 8, things, GFP_KERNEL));
	}
	syncmap_range(map, stop, NULL);
	k = scattered(0);
	expect(syncmap_delete(map, &k, 8));
	/* The first of these makes a dirty table apart from read. */
	more = fill(map, keys);
	keys += more;
	syncmap_range(map, stop, NULL);
	msleep(300);
	k = fill(map, keys);
	say("# %llu keys in 1 MiB; %llu more after a promotion\n", keys - 1, k);
	expect(k <= keys / 500);
	expect(syncmap_len(map) == keys - 1 + k);
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

/*
 * What a range does before its first key takes the same time however many keys
 * were deleted before: here fewer than a quarter, so that the sweep comes after a
 * second only.
 */

#define MANY		100000
#define FEW		10
#define DELETED		20000
#define FRESH		4000
#define ROUNDS		3
#define SWEPT_MS	1500

static void store_some(struct syncmap *map, u64 first, u64 count)
{
	u64 i, k;

	for (i = first; i < first + count; i++) {
		k = scattered(i);
		expect(!syncmap_store(map, &k, 8, things, GFP_KERNEL));
		cond_resched();
	}
}

static void delete_some(struct syncmap *map, u64 first, u64 count)
{
	u64 i, k;

	for (i = first; i < first + count; i++) {
		k = scattered(i);
		expect(syncmap_delete(map, &k, 8) == things);
	}
}

/*
 * The time of a range that stops at once, in ns, after @deleted keys were deleted
 * and FRESH ones made, which have the deleted ones expunged.
 */
static u64 stopped_range(struct syncmap *map, u64 deleted)
{
	u64 start, took;

	syncmap_range(map, stop, NULL);
	delete_some(map, 0, deleted);
	store_some(map, MANY, FRESH);
	start = ktime_get_ns();
	expect(syncmap_range(map, stop, NULL) == 1);
	took = ktime_get_ns() - start;
	store_some(map, 0, deleted);
	delete_some(map, MANY, FRESH);
	return took;
}

void stopped_ranges(void)
{
	struct syncmap *map = make(&kinds[KEYS_OF_8]);
	u64 few = U64_MAX, many = U64_MAX;
	int round;

	if (!map)
		return;
	store_some(map, 0, MANY);
	/* After one delete already, there is a dirty table apart from read. */
	for (round = 0; round < ROUNDS; round++)
		few = min(few, stopped_range(map, FEW));
	for (round = 0; round < ROUNDS; round++) {
		/* So that no sweep of the last round comes in between. */
		msleep(SWEPT_MS);
		many = min(many, stopped_range(map, DELETED));
	}
	say("# %llu ns after %d deletes, %llu ns after %d\n", few, FEW, many,
	    DELETED);
	/* Or another millisecond, on a busy machine: each entry would take a microsecond. */
	expect(many <= 10 * few + NSEC_PER_MSEC);
	syncmap_destroy(map);
}
