/* SPDX-License-Identifier: GPL-2.0 */
/* The keys and values, the same for every contender. */
#ifndef SYNCMAP_BENCH_KEYS_H
#define SYNCMAP_BENCH_KEYS_H

#include "base.h"

/* Keys of one call of a batch. */
#define BATCH 256

/* A value is made of words. */
#define WORDS_MAX 8

/* What is in a map: @count keys, a multiple of BATCH. */
struct shape {
	const uint64_t *keys;
	size_t count;
	size_t words;
};

/* A bijection (splitmix64), so that different numbers give different keys. */
static uint64_t mixed(uint64_t number)
{
	number += 0x9e3779b97f4a7c15ull;
	number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9ull;
	number = (number ^ number >> 27) * 0x94d049bb133111ebull;
	return number ^ number >> 31;
}

/* The order of the keys is as random as they are. */
static const uint64_t *make_keys(size_t count)
{
	uint64_t *keys = zeroed(count, sizeof(*keys));
	size_t i;

	for (i = 0; i < count; i++)
		keys[i] = mixed(i);
	return keys;
}

/* The value of @key that was stored with @stamp: its words differ by one. */
static inline uint64_t first_word(uint64_t key, uint64_t stamp)
{
	return key ^ stamp * 0x9e3779b97f4a7c15ull;
}

static inline void make_value(uint64_t *value, const struct shape *shape,
			      uint64_t key, uint64_t stamp)
{
	const uint64_t first = first_word(key, stamp);
	size_t i;

	for (i = 0; i < shape->words; i++)
		value[i] = first + i;
}

static bool value_is(const uint64_t *value, const struct shape *shape,
		     uint64_t key, uint64_t stamp)
{
	uint64_t expected[WORDS_MAX];

	make_value(expected, shape, key, stamp);
	return !memcmp(value, expected, shape->words * sizeof(*value));
}

#endif /* SYNCMAP_BENCH_KEYS_H */
