// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: the least that a lookup of a key that is there can cost. It makes the
 * two loads that a lookup in syncmap makes, one after the other, in as much memory:
 * a bucket of a cache line, then an entry of 32 bytes, with whose key it compares.
 * There is nothing else: no hash but a multiplication, no probe, no RCU.
 *
 * A segment of syncmap has 15 buckets, and 58 keys on average; here each bucket has
 * four keys. That each slot has one key takes dense keys.
 */
#define CONTENDER limit
#define CONTENDER_NAME "limit"
#define MAP_LOOKUP_ONLY
#define MAP_HITS_ONLY
#define MAP_DENSE_KEYS
#include "contender.h"

#define PER_BUCKET 4

struct entry {
	u64 unused[2];
	void *value;
	struct map_key key;
};

struct bucket {
	u64 unused;
	struct entry *entry[PER_BUCKET];
	u64 slack[7 - PER_BUCKET];
};

struct map {
	struct bucket *buckets;
	unsigned long mask;
};

/* Another one for each key: an odd factor permutes the numbers below a power of two. */
static __always_inline struct entry **place(struct map *map,
					    const struct map_key *key)
{
	u64 slot = (key->word[0] * 0xd1342543de82ef95ULL) & map->mask;

	return &map->buckets[slot / PER_BUCKET].entry[slot % PER_BUCKET];
}

static inline void map_destroy(struct map *map)
{
	for (unsigned long slot = 0; slot <= map->mask; slot++) {
		kfree(map->buckets[slot / PER_BUCKET].entry[slot % PER_BUCKET]);
		if (!(slot & 4095))
			cond_resched();
	}
	kvfree(map->buckets);
	kfree(map);
}

/* With all of its @n keys, since there is no other way to put them in. */
static inline struct map *map_create(unsigned long n)
{
	struct map *map = kzalloc(sizeof(*map), GFP_KERNEL);

	BUILD_BUG_ON(sizeof(struct bucket) != 64 || sizeof(struct entry) != 32);
	if (!map)
		return ERR_PTR(-ENOMEM);
	map->mask = n - 1;
	map->buckets = kvcalloc(n / PER_BUCKET, sizeof(*map->buckets),
				GFP_KERNEL);
	if (!map->buckets) {
		kfree(map);
		return ERR_PTR(-ENOMEM);
	}
	for (u64 number = 0; number < n; number++) {
		struct map_key key = bench_key(number);
		struct entry *entry = kmalloc(sizeof(*entry), GFP_KERNEL);

		if (!entry) {
			map_destroy(map);
			return ERR_PTR(-ENOMEM);
		}
		entry->value = bench_value(number, 0);
		entry->key = key;
		*place(map, &key) = entry;
		if (!(number & 4095))
			cond_resched();
	}
	return map;
}

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	const struct entry *entry = READ_ONCE(*place(map, key));

	if (!bench_key_equal(&entry->key, key))
		return false;
	*value = READ_ONCE(entry->value);
	return true;
}

#include "workloads.h"
