// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: this map, as modules in C use it: through the functions that
 * syncmap.ko exports, of which those for numbers are specialised inside.
 */
#define CONTENDER syncmap_c
#define CONTENDER_NAME "syncmap-c"
#include <linux/delay.h>
#include <linux/syncmap.h>
#include "contender.h"

static inline struct syncmap *of(struct map *map)
{
	return (struct syncmap *)map;
}

static inline struct map *map_create(unsigned long n)
{
	const struct syncmap_params params = { .key_len = KEY_LEN };

	return (struct map *)syncmap_create(&params, GFP_KERNEL);
}

static inline void map_destroy(struct map *map)
{
	syncmap_destroy(of(map));
}

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	void *found;

	rcu_read_lock();
#if KEY_LEN == 4
	found = syncmap_lookup_u32(of(map), key->word[0]);
#elif KEY_LEN == 8
	found = syncmap_lookup_u64(of(map), key->word[0]);
#else
	found = syncmap_lookup(of(map), key, KEY_LEN);
#endif
	rcu_read_unlock();
	if (!found)
		return false;
	*value = found;
	return true;
}

static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old)
{
	*old = syncmap_swap(of(map), key, KEY_LEN, value, GFP_KERNEL);
	return IS_ERR(*old) ? PTR_ERR(*old) : !!*old;
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
	int ret = map_store(map, key, value);

	return ret == 1 ? -EEXIST : ret;
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
	*old = syncmap_load_and_delete(of(map), key, KEY_LEN);
	return *old;
}

static inline bool map_delete(struct map *map, const struct map_key *key)
{
	void *old;

	return map_load_and_delete(map, key, &old);
}

static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual)
{
	void *found = syncmap_load_or_store(of(map), key, KEY_LEN, value,
					    GFP_KERNEL);

	if (IS_ERR(found))
		return PTR_ERR(found);
	*actual = found ?: value;
	return !!found;
}

static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new)
{
	return syncmap_compare_and_swap(of(map), key, KEY_LEN, old, new);
}

static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old)
{
	return syncmap_compare_and_delete(of(map), key, KEY_LEN, old) > 0;
}

struct map_visit {
	bool (*visit)(const struct map_key *key, void *value, void *arg);
	void *arg;
	unsigned long calls;
};

static inline int map_visit(const void *key, size_t len, void *value,
			    void *arg)
{
	struct map_visit *visit = arg;

	visit->calls++;
	return !visit->visit(key, value, visit->arg);
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	struct map_visit visitor = { .visit = visit, .arg = arg };

	syncmap_range(of(map), map_visit, &visitor);
	return visitor.calls;
}

#define MAP_HAS_WALK

static inline int map_count(const void *key, size_t len, void *value, void *arg)
{
	++*(unsigned long *)arg;
	return 0;
}

static inline unsigned long map_walk(struct map *map)
{
	unsigned long count = 0;

	syncmap_range(of(map), map_count, &count);
	return count;
}

static inline int map_clear(struct map *map)
{
	return syncmap_clear(of(map));
}

static inline int map_stop(const void *key, size_t len, void *value, void *arg)
{
	return 1;
}

/*
 * A walk promotes. There is no way to see whether all has been freed; deleted
 * keys are swept a second later.
 */
static inline void map_settle(struct map *map)
{
	syncmap_range(of(map), map_stop, NULL);
	msleep(1500);
}

/* Nor how much there is. */
static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	return 0;
}

#include "workloads.h"
