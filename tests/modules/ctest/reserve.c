// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: new keys where nothing can be allocated.
 */
#include <linux/spinlock.h>

#include "ctest.h"

static DEFINE_RAW_SPINLOCK(raw);

/* Number @nr of many keys that lie all over the table. */
static u64 scattered(u64 nr)
{
	nr *= 0xff51afd7ed558ccdULL;
	return nr ^ nr >> 33;
}

/* Stores as many keys as are reserved, under a raw spinlock, and one more. */
static void fill(struct syncmap *map, u64 first, unsigned int keys)
{
	struct syncmap_reservation *reservation;
	unsigned long flags;
	unsigned int i;
	void *old;
	u64 id;

	reservation = syncmap_reserve(map, keys, sizeof(id), GFP_KERNEL);
	expect(!IS_ERR(reservation));
	if (IS_ERR(reservation))
		return;
	for (i = 0; i <= keys; i++) {
		id = scattered(first + i);
		raw_spin_lock_irqsave(&raw, flags);
		if (i & 1)
			old = syncmap_store_reserved(map, &id, sizeof(id),
						     &things[0], reservation);
		else
			old = syncmap_load_or_store_reserved(map, &id, sizeof(id),
							     &things[0], reservation);
		raw_spin_unlock_irqrestore(&raw, flags);
		expect(old == (i < keys ? NULL : ERR_PTR(-ENOSPC)));
		/* What is there needs nothing. */
		id = scattered(first);
		raw_spin_lock_irqsave(&raw, flags);
		old = syncmap_store_reserved(map, &id, sizeof(id), &things[0],
					     reservation);
		raw_spin_unlock_irqrestore(&raw, flags);
		expect(old == &things[0]);
	}
	rcu_read_lock();
	for (i = 0; i < keys; i++)
		expect(syncmap_lookup_u64(map, scattered(first + i)) == &things[0]);
	rcu_read_unlock();
	syncmap_unreserve(reservation);
}

static void refused(struct syncmap *map, struct syncmap *other)
{
	struct syncmap_reservation *reservation;
	u64 id = 1;

	expect(err(syncmap_reserve(map, 0, sizeof(id), GFP_KERNEL)) == -EINVAL);
	expect(err(syncmap_reserve(map, 1, 4, GFP_KERNEL)) == -EINVAL);
	expect(err(syncmap_reserve(NULL, 1, sizeof(id), GFP_KERNEL)) == -EINVAL);
	expect(err(syncmap_store_reserved(map, &id, sizeof(id), &things[0],
					  NULL)) == -EINVAL);
	reservation = syncmap_reserve(map, 1, sizeof(id), GFP_KERNEL);
	expect(err(syncmap_store_reserved(other, &id, sizeof(id), &things[0],
					  reservation)) == -EINVAL);
	expect(err(syncmap_store_reserved(map, &id, 4, &things[0],
					  reservation)) == -EINVAL);
	expect(err(syncmap_store_reserved(map, &id, sizeof(id), NULL,
					  reservation)) == -EINVAL);
	expect(!syncmap_len(map) && !syncmap_len(other));
	syncmap_unreserve(reservation);
	syncmap_unreserve(NULL);
	syncmap_unreserve(ERR_PTR(-ENOMEM));
}

/* Keys of different lengths. */
static void lengths(void)
{
	struct syncmap *map = make(&kinds[KEYS_OF_ANY]);
	struct syncmap_reservation *reservation;

	if (!map)
		return;
	reservation = syncmap_reserve(map, 2, 5, GFP_KERNEL);
	expect(!syncmap_store_reserved(map, "12345", 5, &things[0], reservation));
	expect(err(syncmap_store_reserved(map, "123456", 6, &things[0],
					  reservation)) == -E2BIG);
	expect(!syncmap_store_reserved(map, "1", 1, &things[0], reservation));
	expect(syncmap_len(map) == 2);
	syncmap_unreserve(reservation);
	syncmap_destroy(map);
}

void reservations(void)
{
	struct syncmap *map = make(&kinds[KEYS_OF_8]);
	struct syncmap *other = make(&kinds[KEYS_OF_8]);
	u64 i, id;

	if (!map || !other)
		goto out;
	refused(map, other);
	fill(map, 0, 5);
	fill(map, 1000, 3000);
	/* Beside keys that were deleted, in a table that others split. */
	for (i = 1000; i < 2000; i++) {
		id = scattered(i);
		expect(syncmap_delete(map, &id, sizeof(id)) == &things[0]);
	}
	for (i = 5000; i < 6000; i++) {
		id = scattered(i);
		expect(!syncmap_store(map, &id, sizeof(id), &things[0],
				      GFP_KERNEL));
	}
	fill(map, 10000, 2000);
	expect(syncmap_len(map) == 5 + 2000 + 1000 + 2000);
	expect(!syncmap_clear(map));
	for (i = 0; i < 20; i++) {
		fill(map, 1000 * i, 60);
		if (i % 3 == 2)
			expect(!syncmap_clear(map));
	}
	expect(syncmap_len(map) == 120);
out:
	syncmap_destroy(map);
	syncmap_destroy(other);
	lengths();
}
