// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: XArray. Its keys are integers, and it is meant for such as lie
 * close together: random 64-bit keys would make it allocate some ten nodes of
 * 576 bytes for each. So it gets integers below four times the size of the
 * map, in random order, of which a quarter are present.
 */
#include <linux/xarray.h>

#define CONTENDER xarray
#define CONTENDER_NAME "xarray"
#define MAP_DENSE_KEYS
#include "contender.h"

struct map {
	struct xarray array;
};

static inline unsigned long index_of(const struct map_key *key)
{
	return key->word[0];
}

static inline struct map *map_create(unsigned long n)
{
	struct map *map = kzalloc(sizeof(*map), GFP_KERNEL);

	if (!map)
		return ERR_PTR(-ENOMEM);
	xa_init(&map->array);
	return map;
}

static inline int map_clear(struct map *map)
{
	xa_destroy(&map->array);
	return 0;
}

static inline void map_destroy(struct map *map)
{
	xa_destroy(&map->array);
	kfree(map);
}

/* xa_load() has its read-side section inside. */
static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	void *found = xa_load(&map->array, index_of(key));

	if (found)
		*value = found;
	return found;
}

static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old)
{
	*old = xa_store(&map->array, index_of(key), value, GFP_KERNEL);
	if (xa_is_err(*old))
		return xa_err(*old);
	return *old ? 1 : 0;
}

static inline int map_store(struct map *map, const struct map_key *key,
			    void *value)
{
	void *old;

	return map_swap(map, key, value, &old);
}

static inline int map_insert(struct map *map, const struct map_key *key,
			     void *value)
{
	int err = xa_insert(&map->array, index_of(key), value, GFP_KERNEL);

	return err == -EBUSY ? -EEXIST : err;
}

static inline int map_replace(struct map *map, const struct map_key *key,
			      void *value)
{
	int ret = map_store(map, key, value);

	return ret == 0 ? -ENOENT : min(ret, 0);
}

static inline bool map_load_and_delete(struct map *map,
				       const struct map_key *key, void **old)
{
	*old = xa_erase(&map->array, index_of(key));
	return *old;
}

static inline bool map_delete(struct map *map, const struct map_key *key)
{
	return xa_erase(&map->array, index_of(key));
}

static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual)
{
	void *old;

	if (map_lookup(map, key, actual))
		return 1;
	old = xa_cmpxchg(&map->array, index_of(key), NULL, value, GFP_KERNEL);
	if (xa_is_err(old))
		return xa_err(old);
	*actual = old ?: value;
	return old ? 1 : 0;
}

static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new)
{
	void *was = xa_cmpxchg(&map->array, index_of(key), old, new,
			       GFP_KERNEL);

	if (xa_is_err(was))
		return xa_err(was);
	return was == old;
}

static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old)
{
	return xa_cmpxchg(&map->array, index_of(key), old, NULL, 0) == old;
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	unsigned long index, calls = 0;
	void *value;

	xa_for_each(&map->array, index, value) {
		struct map_key key = { .word = { index } };

		calls++;
		if (!visit(&key, value, arg))
			break;
	}
	return calls;
}

static inline void map_settle(struct map *map)
{
	rcu_barrier();
}

/* It does not tell how many nodes it has. */
static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	return 0;
}

#include "workloads.h"
