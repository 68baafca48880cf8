/* SPDX-License-Identifier: GPL-2.0 */
/* The floor: an empty system call, and the same keys and values without a map. */
#ifndef SYNCMAP_BENCH_CONTENDER_LOOP_H
#define SYNCMAP_BENCH_CONTENDER_LOOP_H

#include <sys/syscall.h>

#include "contender.h"

static int empty_call(void)
{
	return syscall(SYS_getppid) < 0 ? -errno : 0;
}

static int loop_make(struct contender *me)
{
	me->calls = zeroed(BATCH, WORDS_MAX * sizeof(uint64_t));
	return 0;
}

static void loop_drop(struct contender *me)
{
	free(me->calls);
}

static int loop_lookup(struct contender *me, const uint64_t *key,
		       uint64_t *value)
{
	make_value(value, me->shape, *key, me->stamp);
	return empty_call();
}

static int loop_update(struct contender *me, const uint64_t *key,
		       const uint64_t *value)
{
	uint64_t *values = me->calls;

	values[0] = *key ^ *value;
	return empty_call();
}

static int loop_lookup_batch(struct contender *me, const uint64_t *keys,
			     uint64_t *values)
{
	const struct shape *shape = me->shape;
	size_t i;

	for (i = 0; i < BATCH; i++)
		make_value(values + i * shape->words, shape, keys[i], me->stamp);
	return empty_call();
}

static int loop_update_batch(struct contender *me, const uint64_t *keys,
			     const uint64_t *values)
{
	uint64_t *copy = me->calls;

	memcpy(copy, values, BATCH * me->shape->words * sizeof(*copy));
	copy[0] ^= keys[0];
	return empty_call();
}

static int loop_walk(struct contender *me, size_t *count, uint64_t *sum)
{
	const struct shape *shape = me->shape;
	int ret;

	*sum = 0;
	for (*count = 0; *count < shape->count; ++*count) {
		if (*count % BATCH == 0) {
			ret = empty_call();
			if (ret)
				return ret;
		}
		*sum += first_word(shape->keys[*count], me->stamp);
	}
	return 0;
}

static const struct contender loop_contender = {
	.name = "loop",
	.make = loop_make,
	.drop = loop_drop,
	.lookup = loop_lookup,
	.update = loop_update,
	.lookup_batch = loop_lookup_batch,
	.update_batch = loop_update_batch,
	.walk = loop_walk,
};

#endif /* SYNCMAP_BENCH_CONTENDER_LOOP_H */
