/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The workloads, compiled anew into each contender; see contender.h.
 */
#include <linux/delay.h>
#include <linux/kconfig.h>
#include <linux/math64.h>
#include <linux/sort.h>

#include "contenders.h"

#ifdef MAP_IS_NONE
#define IS_NONE true
#else
#define IS_NONE false
#endif

/* Makes the streams of the threads: draws, moved by @offset. */
static inline void draw_keys(struct bench_run *run, enum bench_draw draw,
			     u32 offset)
{
	unsigned long n = run->threads * (run->mask + 1);

	for (unsigned long i = 0; i < n; i++) {
		run->numbers[i] = bench_draw(run, draw, i) + offset;
		run->keys[i] = bench_key(run->numbers[i]);
		if (!(i & 4095))
			cond_resched();
	}
}

/* Where in the streams the operation @n of a thread has its key. */
static __always_inline u64 place_of(const struct bench_run *run,
				    unsigned int thread, u64 n)
{
	return thread * (run->mask + 1) + (n & run->mask);
}

static void lookup_body(struct bench_run *run, unsigned int thread, u64 from,
			u64 count)
{
	struct map *map = run->map;
	const struct map_key *keys = run->keys;
	u64 hits = 0, sum = 0;
	void *value;

	for (u64 n = from; n < from + count; n++) {
		const u64 i = place_of(run, thread, n);

		if (map_lookup(map, &keys[i], &value)) {
			hits++;
			sum += (u64)value;
		}
	}
	run->thread[thread].hits += hits;
	run->thread[thread].sum += sum;
}

static int hit_setup(struct bench_run *run)
{
	draw_keys(run, BENCH_UNIFORM, 0);
	return 0;
}

static bool hit_check(struct bench_run *run)
{
	for (unsigned int t = 0; t < run->threads; t++) {
		u64 sum = 0, i;

		for (u64 n = 0; n < run->ops; n++) {
			i = place_of(run, t, n);
			sum += (u64)bench_value(run->numbers[i], 0);
		}
		if (run->thread[t].hits != run->ops)
			return false;
		if (!IS_NONE && run->thread[t].sum != sum)
			return false;
	}
	return true;
}

#ifndef MAP_HITS_ONLY
static int miss_setup(struct bench_run *run)
{
	draw_keys(run, BENCH_UNIFORM, run->size);
	return 0;
}

static bool miss_check(struct bench_run *run)
{
	u64 expected = IS_NONE ? run->ops : 0;

	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].hits != expected)
			return false;
	return true;
}
#endif

#ifdef MAP_LOOKUP_ONLY
static int fill_map(struct bench_run *run)
{
	run->map = map_create(run->size);
	return PTR_ERR_OR_ZERO(run->map);
}
#else
/* The keys of these numbers, in this order. */
static void draw_in_order(struct bench_run *run, u32 first, u32 share)
{
	for (unsigned int t = 0; t < run->threads; t++)
		for (unsigned long i = 0; i < share; i++) {
			u64 at = t * (run->mask + 1) + i;

			run->numbers[at] = first + t * share + i;
			run->keys[at] = bench_key(run->numbers[at]);
			if (!(i & 4095))
				cond_resched();
		}
}

static int insert_numbers(struct map *map, u64 from, u64 to)
{
	for (u64 number = from; number < to; number++) {
		struct map_key key = bench_key(number);
		int err = map_insert(map, &key, bench_value(number, 0));

		if (err)
			return err;
		if (!(number & 1023))
			cond_resched();
	}
	return 0;
}

/* How many of the numbers have a key with a value of theirs. */
static u64 count_numbers(struct map *map, u64 from, u64 to, u64 step)
{
	u64 count = 0;

	for (u64 number = from; number < to; number += step) {
		struct map_key key = bench_key(number);
		void *value;

		if (map_lookup(map, &key, &value) &&
		    (u64)value >> 16 == number + 1)
			count++;
		if (!(number & 1023))
			cond_resched();
	}
	return count;
}

/* Brings a map into the state that a map is in most of the time. */
static void rest(struct map *map)
{
#ifdef MAP_HAS_PROMOTE
	map_promote(map);
#endif
	map_settle(map);
}

/* A map with the keys of the numbers below @n. */
static int make_map(struct bench_run *run, u64 n)
{
	int err;

	run->map = map_create(run->size);
	if (IS_ERR(run->map)) {
		err = PTR_ERR(run->map);
		run->map = NULL;
		return err;
	}
	err = insert_numbers(run->map, 0, n);
	if (err) {
		map_destroy(run->map);
		run->map = NULL;
		return err;
	}
	rest(run->map);
	return 0;
}

static int fill_map(struct bench_run *run)
{
	int err = make_map(run, run->size);

	/* Once, for all that use this map. */
	if (!err && count_numbers(run->map, 0, 2 * run->size, 1) != run->size)
		err = -EUCLEAN;
	return err;
}
#endif /* !MAP_LOOKUP_ONLY */

static void destroy_map(struct bench_run *run)
{
	map_destroy(run->map);
	run->map = NULL;
}

#ifndef MAP_LOOKUP_ONLY

/* Overwrite: each thread has keys of its own. */
static int overwrite_setup(struct bench_run *run)
{
	unsigned long n = run->threads * (run->mask + 1);

	draw_keys(run, BENCH_UNIFORM, 0);
	for (unsigned long i = 0; i < n; i++) {
		run->numbers[i] = (run->numbers[i] & ~(run->threads - 1)) |
			i / (run->mask + 1);
		run->keys[i] = bench_key(run->numbers[i]);
	}
	return 0;
}

static void overwrite_body(struct bench_run *run, unsigned int thread, u64 from,
			   u64 count)
{
	struct map *map = run->map;
	u64 hits = 0;

	for (u64 n = from; n < from + count; n++) {
		const u64 i = place_of(run, thread, n);

		hits += !map_replace(map, &run->keys[i],
				     bench_value(run->numbers[i], 1));
	}
	run->thread[thread].hits += hits;
}

static bool overwrite_check(struct bench_run *run)
{
	u64 n = run->size, step = max(n / 65536, 1);

	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].hits != run->ops)
			return false;
	return count_numbers(run->map, 0, n, step) == n / step;
}

/* Churn: a new key comes, and goes with the next operation. */
static int churn_setup(struct bench_run *run)
{
	draw_in_order(run, run->size, run->size / run->threads);
	return 0;
}

static void churn_body(struct bench_run *run, unsigned int thread, u64 from,
		       u64 count)
{
	struct map *map = run->map;
	unsigned long first = thread * (run->mask + 1);
	unsigned long mask = run->size / run->threads - 1;
	u64 hits = 0;

	for (u64 n = from; n < from + count; n++) {
		u64 i = first + (n / 2 & mask);

		if (n & 1)
			hits += map_delete(map, &run->keys[i]);
		else
			hits += !map_insert(map, &run->keys[i],
					    bench_value(run->numbers[i], 0));
	}
	run->thread[thread].hits += hits;
}

static bool churn_check(struct bench_run *run)
{
	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].hits != run->ops)
			return false;
	return true;
}

/* Turnover: with each operation a new key comes, and the oldest goes. */
static int turnover_setup(struct bench_run *run)
{
	run->ops = min(run->ops, run->size);
	draw_in_order(run, 0, 2 * run->size / run->threads);
	return make_map(run, run->size);
}

static void turnover_body(struct bench_run *run, unsigned int thread, u64 from,
			  u64 count)
{
	struct map *map = run->map;
	u64 hits = 0;

	for (u64 n = from; n < from + count; n++) {
		const struct map_key *old = &run->keys[n];
		const u64 i = run->size + n;

		hits += !map_insert(map, &run->keys[i],
				    bench_value(run->numbers[i], 0));
		hits += map_delete(map, old);
	}
	run->thread[thread].hits += hits;
}

static bool turnover_check(struct bench_run *run)
{
	return run->thread[0].hits == 2 * run->ops &&
		count_numbers(run->map, 0, 2 * run->size, 1) == run->size;
}

/* Delete: one key after the other. */
static int delete_setup(struct bench_run *run)
{
	u64 share = run->size / run->threads;

	run->ops = min(run->ops, share);
	draw_in_order(run, 0, share);
	return make_map(run, run->size);
}

static void delete_body(struct bench_run *run, unsigned int thread, u64 from,
			u64 count)
{
	struct map *map = run->map;
	u64 hits = 0;

	for (u64 n = from; n < from + count; n++)
		hits += map_delete(map, &run->keys[place_of(run, thread, n)]);
	run->thread[thread].hits += hits;
}

static bool delete_check(struct bench_run *run)
{
	u64 n = run->size;

	for (unsigned int t = 0; t < run->threads; t++) {
		if (run->thread[t].hits != run->ops)
			return false;
		n -= run->ops;
	}
	return count_numbers(run->map, 0, run->size, 1) == n;
}

/* Insert: the second half of the keys. */
static int insert_setup(struct bench_run *run)
{
	u64 share = run->size / 2 / run->threads;

	run->ops = min(run->ops, share);
	draw_in_order(run, run->size / 2, share);
	return make_map(run, run->size / 2);
}

/* Fill: all keys, from none on. */
static int first_setup(struct bench_run *run)
{
	run->ops = run->size;
	draw_in_order(run, 0, run->size / run->threads);
	return make_map(run, 0);
}

static bool first_check(struct bench_run *run)
{
	return run->thread[0].hits == run->ops &&
		count_numbers(run->map, 0, run->size, 1) == run->size;
}

static int fill_setup(struct bench_run *run)
{
	run->ops = run->size / 2 / run->threads;
	return insert_setup(run);
}

static void insert_body(struct bench_run *run, unsigned int thread, u64 from,
			u64 count)
{
	struct map *map = run->map;
	u64 hits = 0;

	for (u64 n = from; n < from + count; n++) {
		const u64 i = place_of(run, thread, n);

		hits += !map_insert(map, &run->keys[i],
				    bench_value(run->numbers[i], 0));
	}
	run->thread[thread].hits += hits;
}

static bool insert_check(struct bench_run *run)
{
	u64 n = run->size / 2;

	for (unsigned int t = 0; t < run->threads; t++) {
		if (run->thread[t].hits != run->ops)
			return false;
		n += run->ops;
	}
	return count_numbers(run->map, 0, run->size, 1) == n;
}

/*
 * Percentages of operations, the rest being overwrites, upon twice as many keys
 * as are there in the beginning.
 */
struct mix {
	u8 lookup, insert, delete;
};

static __always_inline void mix_body(struct bench_run *run, unsigned int thread,
				     u64 from, u64 count, const struct mix *mix)
{
	struct bench_thread *me = &run->thread[thread];
	struct map *map = run->map;
	unsigned int place = (me->state[0] + thread * 1000) % BENCH_DICE;
	long grown = 0;
	u64 sum = 0;
	void *value;

	for (u64 n = from; n < from + count; n++) {
		const u64 i = place_of(run, thread, n);
		const struct map_key *key = &run->keys[i];
		u8 side = bench_dice[place];

		if (++place == BENCH_DICE)
			place = 0;
		if (side < mix->lookup) {
			if (map_lookup(map, key, &value))
				sum += (u64)value;
		} else if (side >= mix->lookup + mix->insert &&
			   side < mix->lookup + mix->insert + mix->delete) {
			grown -= map_delete(map, key);
		} else {
			int ret = map_store(map, key,
					    bench_value(run->numbers[i], 0));

			if (ret < 0)
				me->error = ret;
			grown += !ret;
		}
	}
	me->state[0] += count;
	me->hits += grown;
	me->sum += sum;
}

static int mix_uniform_setup(struct bench_run *run)
{
	draw_keys(run, BENCH_MIX_UNIFORM, 0);
	return make_map(run, run->size);
}

static int mix_zipf_setup(struct bench_run *run)
{
	draw_keys(run, BENCH_MIX_ZIPF, 0);
	return make_map(run, run->size);
}

static bool mix_check(struct bench_run *run)
{
	long expected = run->size;

	for (unsigned int t = 0; t < run->threads; t++)
		expected += run->thread[t].hits;
	return count_numbers(run->map, 0, 2 * run->size, 1) == expected;
}

static void read_heavy_body(struct bench_run *run, unsigned int thread, u64 from,
			    u64 count)
{
	static const struct mix mix = { 98, 1, 1 };

	mix_body(run, thread, from, count, &mix);
}

static void exchange_body(struct bench_run *run, unsigned int thread, u64 from,
			  u64 count)
{
	static const struct mix mix = { 10, 40, 40 };

	mix_body(run, thread, from, count, &mix);
}

static void rapid_grow_body(struct bench_run *run, unsigned int thread, u64 from,
			    u64 count)
{
	static const struct mix mix = { 5, 80, 5 };

	mix_body(run, thread, from, count, &mix);
}

/* The time to build a map from nothing, as one operation. */
static int copy_all_measure(struct bench_run *run)
{
	struct bench_figures figures = { .ops = 1, .bytes = -1, .peak = -1 };
	struct map *map = map_create(run->size);
	u64 start;
	int err;

	if (IS_ERR(map))
		return PTR_ERR(map);
	start = bench_clock();
	err = insert_numbers(map, 0, run->size);
	figures.centi_ns = (bench_clock() - start) * 100;
	if (!err && count_numbers(map, 0, 2 * run->size, 1) != run->size)
		err = -EUCLEAN;
	map_destroy(map);
	if (!err)
		bench_report(run, "copy-all", &figures);
	return err;
}

#ifndef MAP_NO_RANGE
#ifndef MAP_HAS_WALK
static bool walk_visit(const struct map_key *key, void *value, void *arg)
{
	return true;
}

/* Visits all keys, and does nothing with them; how many there were. */
static inline unsigned long map_walk(struct map *map)
{
	return map_range(map, walk_visit, NULL);
}
#endif

/* Walk: all keys. */
static int walk_measure(struct bench_run *run)
{
	struct bench_figures figures = { .bytes = -1, .peak = -1 };
	unsigned long visited;
	u64 start = bench_clock();

	bench_begin();
	visited = map_walk(run->map);
	bench_end();
	figures.ops = run->size;
	figures.centi_ns = div64_u64((bench_clock() - start) * 100, run->size);
	if (visited != run->size)
		return -EUCLEAN;
	bench_report(run, "walk", &figures);
	return 0;
}
#endif

/* Bytes for each of @n keys. */
static s64 bytes_each(u64 before, u64 n)
{
	s64 used = bench_memory_at_rest() - before;

	return div64_s64(max(used, 0), n);
}

static int delete_nine_tenths(struct bench_run *run, struct map *map,
			      bool in_order)
{
	u64 deleted = run->size - run->size / 10;

	for (u64 i = 0; i < deleted; i++) {
		/* An odd factor permutes the numbers below a power of two. */
		u64 number = in_order ? i :
			(i * 0x9e3779b97f4a7c15ULL) & (run->size - 1);
		struct map_key key = bench_key(number);

		if (!map_delete(map, &key))
			return -EUCLEAN;
		if (!(i & 1023))
			cond_resched();
	}
#ifdef MAP_HAS_PROMOTE
	/* Segments that are left nearly empty are merged a second later. */
	msleep(1500);
#endif
	rest(map);
	if (count_numbers(map, 0, run->size, 1) != run->size - deleted)
		return -EUCLEAN;
	return 0;
}

/* Two lines: what the kernel has allocated, and what the map itself says. */
static void report_memory(struct bench_run *run, struct map *map,
			  const char *name, u64 before, u64 keys, u64 divisor,
			  s64 peak)
{
	struct bench_figures figures = { .peak = -1 };
	u64 objects = map_bytes(map, keys);
	char line[40];

	figures.bytes = bytes_each(before, divisor);
	if (peak >= 0)
		figures.peak = max(div64_s64(peak, divisor), figures.bytes);
	bench_report(run, name, &figures);
	if (!objects)
		return;
	figures.bytes = div64_u64(objects, divisor);
	figures.peak = -1;
	snprintf(line, sizeof(line), "%s-objects", name);
	bench_report(run, line, &figures);
}

static int memory_once(struct bench_run *run, bool in_order)
{
	u64 before = bench_memory_at_rest(), left = run->size / 10;
	u64 step = max(run->size / 256, 1);
	struct map *map = map_create(run->size);
	s64 peak = 0;
	int err = 0;

	if (IS_ERR(map))
		return PTR_ERR(map);
	for (u64 number = 0; number < run->size && !err; number += step) {
		s64 used;

		err = insert_numbers(map, number, number + step);
		used = bench_memory_used() - before;
		peak = max(peak, used);
	}
	if (err)
		goto out;
	rest(map);
	if (!in_order)
		report_memory(run, map, "memory", before, run->size, run->size,
			      peak);
	err = delete_nine_tenths(run, map, in_order);
	if (err)
		goto out;
	report_memory(run, map,
		      in_order ? "memory-tenth-in-order" : "memory-tenth",
		      before, left, left, -1);
	if (in_order)
		goto out;
	/* Clear a full map, not what is left. */
	err = insert_numbers(map, 2 * run->size, 3 * run->size);
	if (!err)
		err = map_clear(map);
	if (err)
		goto out;
	rest(map);
	if (count_numbers(map, 0, 3 * run->size, 1))
		err = -EUCLEAN;
	else
		report_memory(run, map, "memory-cleared", before, 0, run->size,
			      -1);
out:
	map_destroy(map);
	return err;
}

static int memory_measure(struct bench_run *run)
{
	return memory_once(run, false);
}

static int memory_in_order_measure(struct bench_run *run)
{
	return memory_once(run, true);
}

#ifdef MAP_HAS_PROMOTE

/*
 * Half of the keys are in read, the others only in dirty; those whose numbers
 * have the bit @which are looked up.
 */
static int amended_setup(struct bench_run *run, u64 which)
{
	int err;

	/* So that the misses do not get it promoted. */
	run->ops = min(run->ops, run->size / 2 / run->threads);
	for (unsigned int t = 0; t < run->threads; t++)
		for (unsigned long i = 0; i <= run->mask; i++) {
			u64 at = t * (run->mask + 1) + i;

			run->numbers[at] = (bench_draw(run, BENCH_UNIFORM, at) &
					    (run->size / 2 - 1)) | which;
			run->keys[at] = bench_key(run->numbers[at]);
			if (!(i & 4095))
				cond_resched();
		}
	err = make_map(run, run->size / 2);
	if (err)
		return err;
	err = insert_numbers(run->map, run->size / 2, run->size);
	/* So that all is warm; the keys of dirty are missed once each. */
	if (!err && count_numbers(run->map, 0, run->size, 1) != run->size)
		err = -EIO;
	return err;
}

static int dirty_setup(struct bench_run *run)
{
	return amended_setup(run, run->size / 2);
}

static int read_setup(struct bench_run *run)
{
	return amended_setup(run, 0);
}

static int compare_u64(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* The insert of a new key after a promotion. */
static int start_dirty_measure(struct bench_run *run)
{
	struct bench_figures figures = { .bytes = -1, .peak = -1 };
	u64 times[9];
	int err = make_map(run, run->size);

	for (unsigned int i = 0; i < ARRAY_SIZE(times) && !err; i++) {
		u64 number = run->size + i, start;
		struct map_key key = bench_key(number), gone = bench_key(i);

		rest(run->map);
		/* Something to leave out; else dirty would be read, with a mark. */
		if (!map_delete(run->map, &gone))
			err = -EUCLEAN;
		start = bench_clock();
		err = err ?: map_insert(run->map, &key, bench_value(number, 0));
		times[i] = bench_clock() - start;
	}
	if (!run->map)
		return err;
	if (!err && count_numbers(run->map, 0, 2 * run->size, 1) != run->size)
		err = -EUCLEAN;
	destroy_map(run);
	if (err)
		return err;
	sort(times, ARRAY_SIZE(times), sizeof(u64), compare_u64, NULL);
	figures.ops = ARRAY_SIZE(times);
	figures.p50 = times[ARRAY_SIZE(times) / 2];
	figures.max = times[ARRAY_SIZE(times) - 1];
	bench_report(run, "start-dirty-worst", &figures);
	return 0;
}

#endif /* MAP_HAS_PROMOTE */
#endif /* !MAP_LOOKUP_ONLY */

/* Those that use the common map come first. */
static const struct bench_workload workloads[] = {
	{ "lookup-hit", BENCH_SMP, hit_setup, lookup_body, hit_check },
#ifndef MAP_HITS_ONLY
	{ "lookup-miss", BENCH_SMP, miss_setup, lookup_body, miss_check },
#endif
#ifndef MAP_LOOKUP_ONLY
	{ "overwrite", BENCH_SMP, overwrite_setup, overwrite_body,
	  overwrite_check },
	{ "churn", BENCH_SMP, churn_setup, churn_body, churn_check },
#ifndef MAP_NO_RANGE
	{ "walk", 0, .measure = walk_measure },
#endif
#ifdef MAP_HAS_PROMOTE
	{ "lookup-dirty", BENCH_SMP | BENCH_OWN_MAP, dirty_setup, lookup_body,
	  hit_check, destroy_map },
	{ "lookup-read", BENCH_SMP | BENCH_OWN_MAP, read_setup, lookup_body,
	  hit_check, destroy_map },
	{ "start-dirty-worst", BENCH_OWN_MAP,
	  .measure = start_dirty_measure },
#endif
	{ "insert", BENCH_SMP | BENCH_OWN_MAP, insert_setup, insert_body,
	  insert_check, destroy_map },
	{ "fill", BENCH_OWN_MAP, first_setup, insert_body, first_check,
	  destroy_map },
	{ "turnover", BENCH_OWN_MAP, turnover_setup, turnover_body,
	  turnover_check, destroy_map },
	{ "delete", BENCH_SMP | BENCH_OWN_MAP, delete_setup, delete_body,
	  delete_check, destroy_map },
	{ "fill-worst", BENCH_OWN_MAP | BENCH_LATENCY, fill_setup,
	  insert_body, insert_check, destroy_map },
	{ "copy-all", BENCH_OWN_MAP, .measure = copy_all_measure },
	{ "read-heavy-uniform", BENCH_OWN_MAP, mix_uniform_setup,
	  read_heavy_body, mix_check, destroy_map },
	{ "read-heavy-zipf", BENCH_OWN_MAP, mix_zipf_setup,
	  read_heavy_body, mix_check, destroy_map },
	{ "exchange-uniform", BENCH_OWN_MAP, mix_uniform_setup,
	  exchange_body, mix_check, destroy_map },
	{ "exchange-zipf", BENCH_OWN_MAP, mix_zipf_setup,
	  exchange_body, mix_check, destroy_map },
	{ "rapid-grow-uniform", BENCH_OWN_MAP, mix_uniform_setup,
	  rapid_grow_body, mix_check, destroy_map },
	{ "rapid-grow-zipf", BENCH_OWN_MAP, mix_zipf_setup,
	  rapid_grow_body, mix_check, destroy_map },
	{ "memory", BENCH_OWN_MAP | BENCH_MEMORY,
	  .measure = memory_measure },
	{ "memory-in-order", BENCH_OWN_MAP | BENCH_MEMORY,
	  .measure = memory_in_order_measure },
#endif
	{ }
};

#if __has_include("go_workloads.h") && !defined(MAP_LOOKUP_ONLY)
#include "go_workloads.h"
#define GO_WORKLOADS go_workloads
#else
#define GO_WORKLOADS NULL
#endif

#define BENCH_CONTENDER_NAME(name, len) \
	__PASTE(__PASTE(bench_, name), __PASTE(_, len))

const struct bench_contender BENCH_CONTENDER_NAME(CONTENDER, KEY_LEN) = {
	.name = CONTENDER_NAME,
	.key_len = KEY_LEN,
	.repeat = IS_NONE ? 64 : 1,
	.fill = fill_map,
	.empty = destroy_map,
	.workloads = workloads,
	.go_workloads = GO_WORKLOADS,
};
