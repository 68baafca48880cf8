// SPDX-License-Identifier: GPL-2.0
/*
 * Contender: no map at all. Reads the keys that the others look up and derives
 * the values from them, so that its times are those of the loops.
 */
#define CONTENDER loop
#define CONTENDER_NAME "loop"
#define MAP_LOOKUP_ONLY
#define MAP_IS_NONE
#include "contender.h"

struct map {
	int nothing;
};

static struct map no_map;

static inline struct map *map_create(unsigned long n)
{
	return &no_map;
}

static inline void map_destroy(struct map *map)
{
}

static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value)
{
	u64 word = 0;

	for (unsigned int i = 0; i < KEY_LEN / 8; i++)
		word ^= READ_ONCE(key->word[i]);
	*value = (void *)word;
	return true;
}

static inline void map_settle(struct map *map)
{
}

#include "workloads.h"
