// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: this map, through functions that ours.rs exports to C, with the
 * pointers of the caller as values (policy Borrowed). Compiled again by
 * syncmap-counted.c for values in counted nodes.
 */
#ifndef CONTENDER
#define CONTENDER syncmap
#define CONTENDER_NAME "syncmap"
#endif
#define MAP_HAS_PROMOTE
#include <linux/delay.h>
#include "contender.h"

#define OURS(op) \
	__PASTE(__PASTE(__PASTE(CONTENDER, _), __PASTE(KEY_LEN, _)), op)

/* In ours.rs; what they return is what the operations below return. */
struct map *OURS(create)(unsigned long n);
void OURS(destroy)(struct map *map);
void *OURS(lookup)(struct map *map, const struct map_key *key);
int OURS(swap)(struct map *map, const struct map_key *key, void *value,
	       void **old);
int OURS(store)(struct map *map, const struct map_key *key, void *value);
bool OURS(delete)(struct map *map, const struct map_key *key);
bool OURS(load_and_delete)(struct map *map, const struct map_key *key,
			   void **old);
int OURS(compare_and_swap)(struct map *map, const struct map_key *key,
			   void *old, void *new);
bool OURS(compare_and_delete)(struct map *map, const struct map_key *key,
			      void *old);
int OURS(clear)(struct map *map);
void OURS(promote)(struct map *map);
bool OURS(settle)(struct map *map);
unsigned long OURS(bytes)(struct map *map);
int OURS(load_or_store)(struct map *map, const struct map_key *key,
			void *value, void **actual);
unsigned long OURS(range)(struct map *map,
			  bool (*visit)(const struct map_key *key, void *value,
					void *arg),
			  void *arg);

static inline struct map *map_create(unsigned long n)
{
	return OURS(create)(n) ?: ERR_PTR(-ENOMEM);
}

static inline void map_destroy(struct map *map)
{
	OURS(destroy)(map);
}

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	void *found;

	rcu_read_lock();
	found = OURS(lookup)(map, key);
	rcu_read_unlock();
	if (!found)
		return false;
	*value = found;
	return true;
}

static inline int map_store(struct map *map, const struct map_key *key,
			    void *value)
{
	return OURS(store)(map, key, value);
}

static inline int map_insert(struct map *map, const struct map_key *key,
			     void *value)
{
	int ret = OURS(store)(map, key, value);

	return ret == 1 ? -EEXIST : ret;
}

static inline int map_replace(struct map *map, const struct map_key *key,
			      void *value)
{
	int ret = OURS(store)(map, key, value);

	return ret == 0 ? -ENOENT : min(ret, 0);
}

static inline bool map_delete(struct map *map, const struct map_key *key)
{
	return OURS(delete)(map, key);
}

static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old)
{
	return OURS(swap)(map, key, value, old);
}

static inline bool map_load_and_delete(struct map *map,
				       const struct map_key *key, void **old)
{
	return OURS(load_and_delete)(map, key, old);
}

static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual)
{
	return OURS(load_or_store)(map, key, value, actual);
}

static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new)
{
	return OURS(compare_and_swap)(map, key, old, new);
}

static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old)
{
	return OURS(compare_and_delete)(map, key, old);
}

static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg)
{
	return OURS(range)(map, visit, arg);
}

static inline int map_clear(struct map *map)
{
	return OURS(clear)(map);
}

static inline void map_promote(struct map *map)
{
	OURS(promote)(map);
}

static inline void map_settle(struct map *map)
{
	/* Deleted keys are swept a second later, unless they are many. */
	for (int i = 0; i < 50 && !OURS(settle)(map); i++)
		msleep(100);
}

static inline unsigned long map_bytes(struct map *map, unsigned long n)
{
	return OURS(bytes)(map);
}

#include "workloads.h"
