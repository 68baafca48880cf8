/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The benchmarks of Go's sync.Map, as they are in Go 1.24, in the order of its
 * map_bench_test.go: the same keys, the same preparation, the same operations.
 *
 * A goroutine is a thread here; where Go hands b.N iterations out as they are
 * asked for, each thread has an equal share of them. As there, thread t counts
 * from t * b.N. Keys are those integers themselves, in words of 8 bytes, and
 * their values bench_value() of one. Maps are made without a hint of their size.
 *
 * Two things are different. AdversarialDelete notes the key that Range finds, and
 * deletes it after Range, since not all contenders let a visitor do that. Range
 * and Clear, whose operations are long, are done by one thread only.
 */
#if KEY_LEN == 8

/* What a thread has found out so far; kept in registers. */
struct go_tally {
	u64 hits, sum, stores, loads;
	int error;
};

static __always_inline struct map_key go_key(u64 i)
{
	return (struct map_key){ .word = { i } };
}

static __always_inline void *go_value(u64 i)
{
	return bench_value(i, 0);
}

/* The methods of Go's map, with integers. */
static __always_inline bool go_load(struct map *map, u64 i)
{
	struct map_key key = go_key(i);
	void *value;

	return map_lookup(map, &key, &value);
}

static __always_inline void go_store(struct map *map, struct go_tally *tally,
				     u64 i, u64 value)
{
	struct map_key key = go_key(i);
	int ret = map_store(map, &key, go_value(value));

	if (ret < 0)
		tally->error = ret;
}

#ifndef MAP_NO_LOAD_OR_STORE
/* Whether the key was there. */
static __always_inline bool go_load_or_store(struct map *map,
					     struct go_tally *tally, u64 i,
					     u64 value)
{
	struct map_key key = go_key(i);
	void *actual;
	int ret = map_load_or_store(map, &key, go_value(value), &actual);

	if (ret < 0)
		tally->error = ret;
	return ret == 1;
}
#endif /* MAP_NO_LOAD_OR_STORE */

static __always_inline bool go_load_and_delete(struct map *map, u64 i)
{
	struct map_key key = go_key(i);
	void *old;

	return map_load_and_delete(map, &key, &old);
}

static __always_inline bool go_delete(struct map *map, u64 i)
{
	struct map_key key = go_key(i);

	return map_delete(map, &key);
}

/* Whether the key was there. */
static __always_inline bool go_swap(struct map *map, struct go_tally *tally,
				    u64 i, u64 value)
{
	struct map_key key = go_key(i);
	void *old;
	int ret = map_swap(map, &key, go_value(value), &old);

	if (ret < 0)
		tally->error = ret;
	return ret == 1;
}

static __always_inline bool go_compare_and_swap(struct map *map,
						struct go_tally *tally, u64 i,
						u64 old, u64 new)
{
	struct map_key key = go_key(i);
	int ret = map_compare_and_swap(map, &key, go_value(old), go_value(new));

	if (ret < 0)
		tally->error = ret;
	return ret == 1;
}

static __always_inline bool go_compare_and_delete(struct map *map, u64 i,
						  u64 old)
{
	struct map_key key = go_key(i);

	return map_compare_and_delete(map, &key, go_value(old));
}

#ifndef MAP_NO_RANGE
/* Visitors: all keys, and the first one. */
static bool go_visit(const struct map_key *key, void *value, void *arg)
{
	return true;
}

static bool go_visit_first(const struct map_key *key, void *value, void *arg)
{
	*(u64 *)arg = key->word[0];
	return false;
}
#endif /* MAP_NO_RANGE */

/* The first of the numbers that a thread counts through. */
static __always_inline u64 go_first(const struct bench_run *run,
				    unsigned int thread)
{
	return thread * run->ops * run->threads;
}

static __always_inline void
go_each(struct bench_run *run, unsigned int thread, u64 from, u64 count,
	void (*step)(struct map *map, struct go_tally *tally, u64 i))
{
	struct bench_thread *me = &run->thread[thread];
	struct go_tally tally = {
		.hits = me->hits,
		.sum = me->sum,
		.stores = me->state[0],
		.loads = me->state[1],
	};
	struct map *map = run->map;
	u64 i = go_first(run, thread) + from;

	for (u64 end = i + count; i < end; i++)
		step(map, &tally, i);
	me->hits = tally.hits;
	me->sum = tally.sum;
	me->state[0] = tally.stores;
	me->state[1] = tally.loads;
	if (tally.error)
		me->error = tally.error;
}

/* The body of a workload, made of one iteration. */
#define GO_BODY(name)							\
static void name##_body(struct bench_run *run, unsigned int thread,	\
			u64 from, u64 count)				\
{									\
	go_each(run, thread, from, count, name);			\
}

/* Without waiting until it has come to rest, as nobody looks at it any more. */
static void go_end(struct bench_run *run)
{
	map_destroy(run->map);
	run->map = NULL;
}

/*
 * Preparations: the keys below @n are there. @prime looks each up twice, which
 * gets Go's map promoted there and then; here a worker may have been asked to,
 * which is not waited for otherwise.
 */
static int go_prepare(struct bench_run *run, u64 n, bool prime)
{
	struct go_tally tally = { 0 };
	u64 found = 0;

	run->map = map_create(1);
	if (IS_ERR(run->map)) {
		int err = PTR_ERR(run->map);

		run->map = NULL;
		return err;
	}
	for (u64 i = 0; i < n && !tally.error; i++)
		go_store(run->map, &tally, i, i);
	for (u64 i = 0; prime && i < n * 2; i++)
		found += go_load(run->map, i % n);
	if (!tally.error && found != (prime ? n * 2 : 0))
		tally.error = -EUCLEAN;
	if (tally.error)
		go_end(run);
	else if (prime)
		rest(run->map);
	else if (n)
		map_settle(run->map);
	return tally.error;
}

static int go_nothing(struct bench_run *run)
{
	return go_prepare(run, 0, false);
}

static int go_one_key(struct bench_run *run)
{
	return go_prepare(run, 1, false);
}

#ifndef MAP_NO_RANGE
static int go_1024_keys(struct bench_run *run)
{
	return go_prepare(run, 1024, false);
}
#endif /* MAP_NO_RANGE */

/* Loads them twice, as Go says, to get the map into a steady state. */
static int go_primed_1023(struct bench_run *run)
{
	return go_prepare(run, 1023, true);
}

static int go_primed_1(struct bench_run *run)
{
	return go_prepare(run, 1, true);
}

static int go_primed_128(struct bench_run *run)
{
	return go_prepare(run, 128, true);
}

#ifndef MAP_NO_LOAD_OR_STORE
/*
 * Those that add keys for as long as they run: the more, the larger the map. A
 * pass adds no more than half a million for each thread.
 */
static int go_growing(struct bench_run *run)
{
	run->ops = min(run->ops, 1 << 19);
	return go_nothing(run);
}

static int go_growing_primed_128(struct bench_run *run)
{
	run->ops = min(run->ops, 1 << 20);
	return go_primed_128(run);
}
#endif /* MAP_NO_LOAD_OR_STORE */

/* Numbers below @n whose remainder by @size is less than @hits. */
static u64 go_below(u64 n, u64 hits, u64 size)
{
	return n / size * hits + min(n % size, hits);
}

/* How many of a thread's numbers those are. */
static u64 go_expected(struct bench_run *run, unsigned int thread, u64 hits,
		       u64 size)
{
	u64 first = go_first(run, thread);

	return go_below(first + run->ops, hits, size) -
		go_below(first, hits, size);
}

static bool go_hits_are(struct bench_run *run, u64 hits, u64 size)
{
	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].hits != go_expected(run, t, hits, size))
			return false;
	return true;
}

static u64 go_all_hits(struct bench_run *run)
{
	u64 hits = 0;

	for (unsigned int t = 0; t < run->threads; t++)
		hits += run->thread[t].hits;
	return hits;
}

static bool go_always(struct bench_run *run)
{
	return go_hits_are(run, 1, 1);
}

static bool go_never(struct bench_run *run)
{
	return go_hits_are(run, 0, 1);
}

static bool go_1023_of_1024(struct bench_run *run)
{
	return go_hits_are(run, 1023, 1024);
}

static bool go_1_of_1024(struct bench_run *run)
{
	return go_hits_are(run, 1, 1024);
}

/* One thread takes away what another one would have found. */
static bool go_always_if_alone(struct bench_run *run)
{
	return run->threads == 1 ? go_always(run) : go_all_hits(run) > 0;
}

static bool go_1023_of_1024_if_alone(struct bench_run *run)
{
	return run->threads == 1 ? go_1023_of_1024(run) : go_all_hits(run) > 0;
}

static bool go_1_of_1024_if_alone(struct bench_run *run)
{
	return run->threads == 1 ? go_1_of_1024(run) : go_all_hits(run) > 0;
}

static bool go_once(struct bench_run *run)
{
	return go_all_hits(run) == 1;
}

/* So many operations of those that each look at the whole map, or free it. */
#define GO_LONG_OPS 2000

static int go_measure(struct bench_run *run, const char *name,
		      int (*setup)(struct bench_run *run),
		      void (*body)(struct bench_run *run, unsigned int thread,
				   u64 from, u64 count),
		      bool (*check)(struct bench_run *run))
{
	struct bench_figures figures = {
		.ops = GO_LONG_OPS,
		.bytes = -1,
		.peak = -1,
	};
	u64 start;
	int err;

	memset(run->thread, 0, sizeof(run->thread));
	run->ops = GO_LONG_OPS;
	err = setup(run);
	if (err)
		return err;
	start = ktime_get_ns();
	bench_begin();
	for (u64 i = 0; i < GO_LONG_OPS; i++) {
		body(run, 0, i, 1);
		cond_resched();
	}
	bench_end();
	figures.centi_ns = (ktime_get_ns() - start) * 100 / GO_LONG_OPS;
	err = run->thread[0].error;
	if (!err && !check(run))
		err = -EUCLEAN;
	go_end(run);
	if (!err)
		bench_report(run, name, &figures);
	return err;
}

static void go_load_mostly_hits(struct map *map, struct go_tally *tally, u64 i)
{
	tally->hits += go_load(map, i % 1024);
}

GO_BODY(go_load_mostly_hits)

#ifndef MAP_NO_LOAD_OR_STORE
static void go_load_or_store_balanced(struct map *map, struct go_tally *tally,
				      u64 i)
{
	u64 j = i % 256;

	if (j < 128)
		tally->hits += go_load_or_store(map, tally, j, i);
	else
		/* Never there. */
		tally->sum += go_load_or_store(map, tally, i, i);
}

GO_BODY(go_load_or_store_balanced)

static bool go_half(struct bench_run *run)
{
	return go_hits_are(run, 128, 256);
}

static bool go_load_or_store_balanced_check(struct bench_run *run)
{
	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].sum)
			return false;
	return go_half(run);
}

static void go_load_or_store_unique(struct map *map, struct go_tally *tally,
				    u64 i)
{
	tally->hits += go_load_or_store(map, tally, i, i);
}

GO_BODY(go_load_or_store_unique)

static void go_load_or_store_collision(struct map *map, struct go_tally *tally,
				       u64 i)
{
	tally->hits += go_load_or_store(map, tally, 0, 0);
}

GO_BODY(go_load_or_store_collision)
#endif /* MAP_NO_LOAD_OR_STORE */

static void go_load_and_delete_balanced(struct map *map, struct go_tally *tally,
					u64 i)
{
	u64 j = i % 256;

	tally->hits += go_load_and_delete(map, j < 128 ? j : i);
}

GO_BODY(go_load_and_delete_balanced)

/* Each of the 128 keys, once its number has come. */
static bool go_load_and_delete_balanced_check(struct bench_run *run)
{
	u64 hits = go_all_hits(run);

	return run->ops < 256 ? hits <= 128 : hits == 128;
}

static void go_load_and_delete_unique(struct map *map, struct go_tally *tally,
				      u64 i)
{
	tally->hits += go_load_and_delete(map, i);
}

GO_BODY(go_load_and_delete_unique)

static void go_load_and_delete_collision(struct map *map,
					 struct go_tally *tally, u64 i)
{
	if (go_load_and_delete(map, 0)) {
		tally->hits++;
		go_store(map, tally, 0, 0);
	}
}

GO_BODY(go_load_and_delete_collision)

#ifndef MAP_NO_RANGE
static void go_range(struct map *map, struct go_tally *tally, u64 i)
{
	tally->hits += map_range(map, go_visit, NULL) == 1024;
}

GO_BODY(go_range)

static int go_range_measure(struct bench_run *run)
{
	return go_measure(run, "go/Range", go_1024_keys, go_range_body,
			  go_always);
}
#endif /* MAP_NO_RANGE */

#ifndef MAP_NO_LOAD_OR_STORE
/*
 * Stores a new value whenever the map has been promoted, and otherwise looks for
 * a key that has never been there.
 */
static void go_adversarial_alloc(struct map *map, struct go_tally *tally, u64 i)
{
	tally->hits += go_load(map, i);
	if (++tally->loads > tally->stores) {
		tally->hits += go_load_or_store(map, tally, i, tally->stores);
		tally->loads = 0;
		tally->stores++;
	}
}

GO_BODY(go_adversarial_alloc)
#endif /* MAP_NO_LOAD_OR_STORE */

#ifndef MAP_NO_RANGE
/* Now and then deletes one key, and adds another one, in a large map. */
static void go_adversarial_delete(struct map *map, struct go_tally *tally,
				  u64 i)
{
	u64 first = 0;

	tally->hits += go_load(map, i);
	if (i % 1024 == 0) {
		tally->sum += map_range(map, go_visit_first, &first);
		go_delete(map, first);
		go_store(map, tally, i, i);
	}
}

GO_BODY(go_adversarial_delete)

/*
 * Range has found a key each time. Only the first 1024 numbers can be hits, but
 * for the keys that were deleted before their number came.
 */
static bool go_adversarial_delete_check(struct bench_run *run)
{
	u64 deletes = 0, initial = min(run->ops, 1024), hits = go_all_hits(run);

	for (unsigned int t = 0; t < run->threads; t++) {
		u64 expected = go_expected(run, t, 1, 1024);

		if (run->thread[t].sum != expected)
			return false;
		deletes += expected;
	}
	return hits <= 1024 && hits + deletes >= initial;
}
#endif /* MAP_NO_RANGE */

static void go_delete_collision(struct map *map, struct go_tally *tally, u64 i)
{
	tally->hits += go_delete(map, 0);
}

GO_BODY(go_delete_collision)

static void go_swap_collision(struct map *map, struct go_tally *tally, u64 i)
{
	tally->hits += go_swap(map, tally, 0, 0);
}

GO_BODY(go_swap_collision)

static __always_inline void go_swap_hits(struct map *map,
					 struct go_tally *tally, u64 i,
					 u64 hits)
{
	u64 j = i % 1024;

	if (j < hits) {
		tally->hits += go_swap(map, tally, j, j);
	} else {
		tally->sum += go_swap(map, tally, i, i);
		tally->sum += !go_delete(map, i);
	}
}

static void go_swap_mostly_hits(struct map *map, struct go_tally *tally, u64 i)
{
	go_swap_hits(map, tally, i, 1023);
}

GO_BODY(go_swap_mostly_hits)

static void go_swap_mostly_misses(struct map *map, struct go_tally *tally,
				  u64 i)
{
	go_swap_hits(map, tally, i, 1);
}

GO_BODY(go_swap_mostly_misses)

/* The others were not there before, and were when they were deleted. */
static bool go_swap_is(struct bench_run *run, u64 hits)
{
	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].sum)
			return false;
	return go_hits_are(run, hits, 1024);
}

static bool go_swap_mostly_hits_check(struct bench_run *run)
{
	return go_swap_is(run, 1023);
}

static bool go_swap_mostly_misses_check(struct bench_run *run)
{
	return go_swap_is(run, 1);
}

static void go_cas_collision(struct map *map, struct go_tally *tally, u64 i)
{
	if (go_compare_and_swap(map, tally, 0, 0, 42)) {
		tally->hits++;
		tally->sum += go_compare_and_swap(map, tally, 0, 42, 0);
	}
}

GO_BODY(go_cas_collision)

/* Whoever has put 42 there finds it. */
static bool go_cas_collision_check(struct bench_run *run)
{
	for (unsigned int t = 0; t < run->threads; t++)
		if (run->thread[t].sum != run->thread[t].hits)
			return false;
	return go_always_if_alone(run);
}

static void go_cas_no_existing_key(struct map *map, struct go_tally *tally,
				   u64 i)
{
	if (go_compare_and_swap(map, tally, i, 0, 0)) {
		tally->hits++;
		go_delete(map, i);
	}
}

GO_BODY(go_cas_no_existing_key)

static void go_cas_value_not_equal(struct map *map, struct go_tally *tally,
				   u64 i)
{
	tally->hits += go_compare_and_swap(map, tally, 0, 1, 2);
}

GO_BODY(go_cas_value_not_equal)

/* The key that stands for a number: itself, or one of the first. */
static __always_inline u64 go_chosen(u64 i, u64 hits)
{
	return i % 1024 < hits ? i % 1024 : i;
}

static __always_inline void go_cas_hits(struct map *map, struct go_tally *tally,
					u64 v)
{
	tally->hits += go_compare_and_swap(map, tally, v, v, v);
}

static void go_cas_mostly_hits(struct map *map, struct go_tally *tally, u64 i)
{
	go_cas_hits(map, tally, go_chosen(i, 1023));
}

GO_BODY(go_cas_mostly_hits)

static void go_cas_mostly_misses(struct map *map, struct go_tally *tally, u64 i)
{
	go_cas_hits(map, tally, go_chosen(i, 1));
}

GO_BODY(go_cas_mostly_misses)

static __always_inline void go_cad_hits(struct map *map, struct go_tally *tally,
					u64 v)
{
	if (go_compare_and_delete(map, v, v)) {
		tally->hits++;
		go_store(map, tally, v, v);
	}
}

static void go_cad_collision(struct map *map, struct go_tally *tally, u64 i)
{
	go_cad_hits(map, tally, 0);
}

GO_BODY(go_cad_collision)

static void go_cad_mostly_hits(struct map *map, struct go_tally *tally, u64 i)
{
	go_cad_hits(map, tally, go_chosen(i, 1023));
}

GO_BODY(go_cad_mostly_hits)

static void go_cad_mostly_misses(struct map *map, struct go_tally *tally, u64 i)
{
	go_cad_hits(map, tally, go_chosen(i, 1));
}

GO_BODY(go_cad_mostly_misses)

static void go_clear(struct map *map, struct go_tally *tally, u64 i)
{
	int ret = map_clear(map);

	if (ret < 0)
		tally->error = ret;
	go_store(map, tally, i % 256, i % 256);
}

GO_BODY(go_clear)

/* What was stored last is there, and nothing else of what was stored. */
static bool go_clear_check(struct bench_run *run)
{
	u64 found = 0;

	for (u64 i = 0; i < 256; i++)
		found += go_load(run->map, i);
	return found == 1 && go_load(run->map, (run->ops - 1) % 256);
}

static int go_clear_measure(struct bench_run *run)
{
	return go_measure(run, "go/Clear", go_nothing, go_clear_body,
			  go_clear_check);
}

#define GO_WORKLOAD	(BENCH_SMP | BENCH_OWN_MAP)

static const struct bench_workload go_workloads[] = {
	{ "go/LoadMostlyHits", GO_WORKLOAD, go_primed_1023,
	  go_load_mostly_hits_body, go_1023_of_1024, go_end },
	{ "go/LoadMostlyMisses", GO_WORKLOAD, go_primed_1,
	  go_load_mostly_hits_body, go_1_of_1024, go_end },
#ifndef MAP_NO_LOAD_OR_STORE
	{ "go/LoadOrStoreBalanced", GO_WORKLOAD, go_growing_primed_128,
	  go_load_or_store_balanced_body, go_load_or_store_balanced_check,
	  go_end },
	{ "go/LoadOrStoreUnique", GO_WORKLOAD, go_growing,
	  go_load_or_store_unique_body, go_never, go_end },
	{ "go/LoadOrStoreCollision", GO_WORKLOAD, go_one_key,
	  go_load_or_store_collision_body, go_always, go_end },
#endif
	{ "go/LoadAndDeleteBalanced", GO_WORKLOAD, go_primed_128,
	  go_load_and_delete_balanced_body, go_load_and_delete_balanced_check,
	  go_end },
	{ "go/LoadAndDeleteUnique", GO_WORKLOAD, go_nothing,
	  go_load_and_delete_unique_body, go_never, go_end },
	{ "go/LoadAndDeleteCollision", GO_WORKLOAD, go_one_key,
	  go_load_and_delete_collision_body, go_always_if_alone, go_end },
#ifndef MAP_NO_RANGE
	{ "go/Range", BENCH_OWN_MAP, .measure = go_range_measure },
#endif
#ifndef MAP_NO_LOAD_OR_STORE
	{ "go/AdversarialAlloc", GO_WORKLOAD, go_nothing,
	  go_adversarial_alloc_body, go_never, go_end },
#endif
#ifndef MAP_NO_RANGE
	{ "go/AdversarialDelete", GO_WORKLOAD, go_1024_keys,
	  go_adversarial_delete_body, go_adversarial_delete_check, go_end },
#endif
	{ "go/DeleteCollision", GO_WORKLOAD, go_one_key,
	  go_delete_collision_body, go_once, go_end },
	{ "go/SwapCollision", GO_WORKLOAD, go_one_key,
	  go_swap_collision_body, go_always, go_end },
	{ "go/SwapMostlyHits", GO_WORKLOAD, go_primed_1023,
	  go_swap_mostly_hits_body, go_swap_mostly_hits_check, go_end },
	{ "go/SwapMostlyMisses", GO_WORKLOAD, go_primed_1,
	  go_swap_mostly_misses_body, go_swap_mostly_misses_check,
	  go_end },
	{ "go/CompareAndSwapCollision", GO_WORKLOAD, go_one_key,
	  go_cas_collision_body, go_cas_collision_check, go_end },
	{ "go/CompareAndSwapNoExistingKey", GO_WORKLOAD, go_nothing,
	  go_cas_no_existing_key_body, go_never, go_end },
	{ "go/CompareAndSwapValueNotEqual", GO_WORKLOAD, go_one_key,
	  go_cas_value_not_equal_body, go_never, go_end },
	{ "go/CompareAndSwapMostlyHits", GO_WORKLOAD, go_primed_1023,
	  go_cas_mostly_hits_body, go_1023_of_1024, go_end },
	{ "go/CompareAndSwapMostlyMisses", GO_WORKLOAD, go_primed_1,
	  go_cas_mostly_misses_body, go_1_of_1024, go_end },
	{ "go/CompareAndDeleteCollision", GO_WORKLOAD, go_one_key,
	  go_cad_collision_body, go_always_if_alone, go_end },
	{ "go/CompareAndDeleteMostlyHits", GO_WORKLOAD, go_primed_1023,
	  go_cad_mostly_hits_body, go_1023_of_1024_if_alone, go_end },
	{ "go/CompareAndDeleteMostlyMisses", GO_WORKLOAD, go_primed_1,
	  go_cad_mostly_misses_body, go_1_of_1024_if_alone, go_end },
	{ "go/Clear", BENCH_OWN_MAP, .measure = go_clear_measure },
	{ }
};

#else /* Go's keys are integers. */
static const struct bench_workload go_workloads[] = { { } };
#endif
