/* SPDX-License-Identifier: GPL-2.0 */
/* The workloads, and how one of them is measured. */
#ifndef SYNCMAP_BENCH_MEASURE_H
#define SYNCMAP_BENCH_MEASURE_H

#include "contender.h"

struct workload {
	const char *name;
	/* One call, at the keys from @position on; what it found is in *@sum. */
	int (*call)(struct contender *me, size_t position, uint64_t *sum);
	size_t keys_per_call; /* 0: all */
	bool updates;
};

static uint64_t batch_values[BATCH * WORDS_MAX];

static int call_lookup(struct contender *me, size_t position, uint64_t *sum)
{
	uint64_t value[WORDS_MAX] = { 0 };
	int ret = me->lookup(me, me->shape->keys + position, value);

	*sum = value[0];
	return ret;
}

static int call_update(struct contender *me, size_t position, uint64_t *sum)
{
	const uint64_t *key = me->shape->keys + position;
	uint64_t value[WORDS_MAX];

	make_value(value, me->shape, *key, me->stamp);
	*sum = value[0];
	return me->update(me, key, value);
}

static int call_lookup_batch(struct contender *me,
			     size_t position, uint64_t *sum)
{
	const uint64_t *keys = me->shape->keys + position;
	int ret = me->lookup_batch(me, keys, batch_values);
	size_t i;

	*sum = 0;
	for (i = 0; i < BATCH; i++)
		*sum += batch_values[i * me->shape->words];
	return ret;
}

static int call_update_batch(struct contender *me,
			     size_t position, uint64_t *sum)
{
	const struct shape *shape = me->shape;
	const uint64_t *keys = shape->keys + position;
	size_t i;

	*sum = 0;
	for (i = 0; i < BATCH; i++) {
		make_value(batch_values + i * shape->words, shape, keys[i],
			   me->stamp);
		*sum += batch_values[i * shape->words];
	}
	return me->update_batch(me, keys, batch_values);
}

static int call_walk(struct contender *me, size_t position, uint64_t *sum)
{
	size_t count;
	int ret = me->walk(me, &count, sum);

	return !ret && count - position != me->shape->count ? -ENOENT : ret;
}

static const struct workload workloads[] = {
	{ "sys-lookup", call_lookup, 1, false },
	{ "sys-update", call_update, 1, true },
	{ "sys-batch-lookup-256", call_lookup_batch, BATCH, false },
	{ "sys-batch-update-256", call_update_batch, BATCH, true },
	{ "sys-walk-256", call_walk, 0, false },
};

static size_t keys_per_call(const struct contender *me,
			    const struct workload *workload)
{
	return workload->keys_per_call ? workload->keys_per_call :
		me->shape->count;
}

/* Calls, one after the other, round and round the keys. */
static int run(struct contender *me, const struct workload *workload,
	       size_t calls, uint64_t *sum)
{
	const size_t keys = keys_per_call(me, workload);
	uint64_t found;
	size_t position = 0;
	int ret;

	for (; calls; calls--) {
		ret = workload->call(me, position, &found);
		if (ret)
			return ret;
		*sum += found;
		position += keys;
		if (position == me->shape->count)
			position = 0;
	}
	return 0;
}

/* The same, with the ticks of each call. */
static int run_timed(struct contender *me, const struct workload *workload,
		     size_t calls, uint64_t *sum, uint64_t *times)
{
	const size_t keys = keys_per_call(me, workload);
	uint64_t found, start;
	size_t position = 0;
	int ret;

	for (; calls; calls--) {
		start = ticks();
		ret = workload->call(me, position, &found);
		*times++ = ticks() - start;
		if (ret)
			return ret;
		*sum += found;
		position += keys;
		if (position == me->shape->count)
			position = 0;
	}
	return 0;
}

static void check(const struct contender *me, const char *doing, int ret)
{
	if (ret)
		die("%s, %zu keys, %zu bytes each: %s fails: %s", me->name,
		    me->shape->count, me->shape->words * sizeof(uint64_t), doing,
		    strerror(-ret));
}

/* What @keys keys, from the first on and round and round, add up to. */
static uint64_t expected_sum(const struct contender *me, size_t keys)
{
	const struct shape *shape = me->shape;
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < keys; i++)
		sum += first_word(shape->keys[i % shape->count], me->stamp);
	return sum;
}

/* Everything is in the map, once, with the last value that was stored. */
static void verify_all(struct contender *me)
{
	const struct shape *shape = me->shape;
	uint64_t sum, value[WORDS_MAX];
	size_t count, i;

	check(me, "a walk", me->walk(me, &count, &sum));
	if (count != shape->count || sum != expected_sum(me, shape->count))
		die("%s: a walk finds %zu keys, not %zu, or wrong values",
		    me->name, count, shape->count);
	for (i = 0; i < shape->count; i += shape->count / BATCH) {
		check(me, "a lookup", me->lookup(me, shape->keys + i, value));
		if (!value_is(value, shape, shape->keys[i], me->stamp))
			die("%s: a lookup finds a wrong value", me->name);
	}
}

/* Brings the keys behind the first @done to the present stamp, too. */
static void finish_updates(struct contender *me, size_t done)
{
	size_t position = done / BATCH * BATCH;
	uint64_t sum;

	for (; position < me->shape->count; position += BATCH)
		check(me, "a batch of updates",
		      call_update_batch(me, position, &sum));
}

/*
 * One by one, with patience: where the kernel cannot interrupt itself, as on
 * User Mode Linux, a map of bpf(2) without preallocation is given new memory
 * only at the next tick.
 */
static void fill(struct contender *me)
{
	const uint64_t end = now_ns() + 60ull * 1000000000;
	const struct timespec pause = { .tv_nsec = 1000000 };
	uint64_t sum;
	size_t i;
	int ret;

	for (i = 0; i < me->shape->count; i++) {
		while ((ret = call_update(me, i, &sum)) == -ENOMEM &&
		       now_ns() < end)
			nanosleep(&pause, NULL);
		check(me, "filling the map", ret);
	}
	verify_all(me);
}

/* Runs @calls calls; their nanoseconds, or with @times those of each in there. */
static double measure(struct contender *me, const struct workload *workload,
		      size_t calls, uint64_t *times)
{
	const size_t keys = calls * keys_per_call(me, workload);
	uint64_t sum = 0, start, ns;
	int ret;

	if (workload->updates)
		me->stamp++;
	start = now_ns();
	if (times)
		ret = run_timed(me, workload, calls, &sum, times);
	else
		ret = run(me, workload, calls, &sum);
	ns = now_ns() - start;
	check(me, workload->name, ret);
	if (sum != expected_sum(me, keys))
		die("%s: %s finds wrong values", me->name, workload->name);
	if (workload->updates) {
		finish_updates(me, keys);
		verify_all(me);
	}
	return ns;
}

#endif /* SYNCMAP_BENCH_MEASURE_H */
