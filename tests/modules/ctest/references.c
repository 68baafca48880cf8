// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of values: who releases them, and who has references.
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "ctest.h"

static atomic_t released;

static void release(void *value)
{
	might_sleep();
	expect(value >= (void *)things &&
	       value < (void *)(things + ARRAY_SIZE(things)));
	atomic_inc(&released);
}

void releases(void)
{
	const struct syncmap_params params = {
		.key_len = 4,
		.release = release,
	};
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	int i;

	atomic_set(&released, 0);
	for (i = 0; i < 10; i++)
		expect(!syncmap_store(map, key(i), 4, &things[i], GFP_KERNEL));
	/* Those that come back are the caller's. */
	expect(syncmap_store(map, key(0), 4, &things[10], GFP_KERNEL) ==
	       &things[0]);
	expect(syncmap_delete(map, key(1), 4) == &things[1]);
	expect(!syncmap_clear(map));
	for (i = 0; i < 5; i++)
		expect(!syncmap_store(map, key(i), 4, &things[i], GFP_KERNEL));
	syncmap_destroy(map);
	expect(atomic_read(&released) == 9 + 5);
}

/* A value with references. */
struct counted {
	refcount_t refs;
	struct rcu_head rcu;
};

static bool get_counted(void *value)
{
	struct counted *counted = value;

	return refcount_inc_not_zero(&counted->refs);
}

static atomic_t ended;

static void put_counted(void *value)
{
	struct counted *counted = value;

	if (refcount_dec_and_test(&counted->refs)) {
		atomic_inc(&ended);
		kfree_rcu(counted, rcu);
	}
}

static struct counted *new_counted(void)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);

	if (counted)
		refcount_set(&counted->refs, 1);
	return counted;
}

static struct syncmap *make_counted(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.release = put_counted,
		.get = get_counted,
		.put = put_counted,
	};

	return syncmap_create(&params, GFP_KERNEL);
}

static int count_sleeping(const void *key, size_t len, void *value, void *arg)
{
	int *sum = arg;

	usleep_range(1000, 2000);
	*sum += 1;
	return *sum == KEYS / 2 ? 7 : 0;
}

void references(void)
{
	struct syncmap *map = make_counted();
	struct counted *a = new_counted(), *b = new_counted();
	int i, sum = 0;

	atomic_set(&ended, 0);
	expect(!syncmap_load(map, key(0), 8));
	expect(!syncmap_store(map, key(0), 8, a, GFP_KERNEL));
	expect(syncmap_load(map, key(0), 8) == a);
	expect(refcount_read(&a->refs) == 2);
	expect(syncmap_load_or_store(map, key(0), 8, b, GFP_KERNEL) == a);
	expect(syncmap_load_or_store(map, key(0), 8, b, GFP_ATOMIC) == a);
	expect(refcount_read(&a->refs) == 4);
	expect(syncmap_store(map, key(0), 8, b, GFP_KERNEL) == a);
	for (i = 0; i < 4; i++)
		put_counted(a);
	expect(atomic_read(&ended) == 1);
	/* Without references left, though still there: a mistake of ours. */
	refcount_set(&b->refs, 0);
	expect(err(syncmap_load(map, key(0), 8)) == -EBUSY);
	expect(!syncmap_range(map, count_sleeping, &sum) && !sum);
	refcount_set(&b->refs, 1);

	for (i = 1; i < KEYS; i++)
		expect(!syncmap_store(map, key(i), 8, new_counted(),
				      GFP_KERNEL));
	expect(syncmap_range(map, count_sleeping, &sum) == 7);
	expect(sum == KEYS / 2);
	syncmap_destroy(map);
	expect(atomic_read(&ended) == KEYS + 1);
}

/* Keys that are not in read, until a promotion is due, in sections of ours. */
void loads_in_sections(void)
{
	struct syncmap *map = make_counted();
	static DEFINE_SPINLOCK(lock);
	int few = KEYS / 4, round, i, old, new;
	struct counted *seen;

	for (i = 0; i < KEYS - few; i++)
		expect(!syncmap_store(map, key(i), 8, new_counted(),
				      GFP_KERNEL));
	for (round = 0; round < 10; round++) {
		/*
		 * What is deleted is expunged by the new keys, so that the
		 * promotion has something to free.
		 */
		old = round % 2 ? KEYS - few : 0;
		new = KEYS - few - old;
		for (i = 0; i < few; i++)
			put_counted(syncmap_delete(map, key(old + i), 8));
		for (i = 0; i < few; i++)
			expect(!syncmap_store(map, key(new + i), 8,
					      new_counted(), GFP_KERNEL));
		spin_lock(&lock);
		rcu_read_lock();
		for (i = 0; i < 2 * KEYS; i++) {
			seen = syncmap_load(map, key(few + i % (KEYS / 2)), 8);
			expect(!IS_ERR_OR_NULL(seen));
			put_counted(seen);
			expect(!syncmap_load(map, "absent 8", 8));
		}
		rcu_read_unlock();
		spin_unlock(&lock);
	}
	syncmap_destroy(map);
}
