// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of every function of the C API fails once: the error is
 * ENOMEM, nothing has changed, and the same call then works. What is said not
 * to allocate does not. Loading the module runs the tests; they report in TAP
 * to the log, each line behind "failnth: ". Whoever loads it has let failslab
 * fail allocations that may sleep.
 */
#define pr_fmt(fmt) "failnth: " fmt

#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/syncmap.h>

/* As many keys fill the first segment of a table, and one that has grown. */
#define SMALL	7
#define LARGE	84
#define KEYS	(LARGE + 1)
/* More allocations than any call makes. */
#define NTH_MAX	200
/*
 * The slab allocator allocates for itself at times, and does without if it must,
 * so the nth of one call is not always the nth of the next: all is done again.
 */
#define ROUNDS	4

static bool failed;

#define expect(condition) do {						\
	if (!(condition)) {						\
		failed = true;						\
		pr_info("# line %d: %s\n", __LINE__, #condition);	\
	}								\
} while (0)

static u32 things[KEYS + 1];

/* How stores allocate. */
static gfp_t flags = GFP_KERNEL;

/* The map of a test, and what it should have. */
static struct syncmap *map;
static size_t key_len;
static void *values[KEYS];

static void *key(int nr)
{
	static u8 keys[KEYS][16];

	memset(keys[nr], nr + 1, sizeof(keys[nr]));
	return keys[nr];
}

static size_t len(void)
{
	return key_len ?: 5;
}

/* What the next allocations of this task do: the @nth fails, 0 is none. */
static void inject(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Whether one has failed. */
static bool injected(void)
{
	unsigned int left = READ_ONCE(current->fail_nth);

	inject(0);
	return !left;
}

static bool can_fail(void)
{
	void *memory;

	inject(1);
	memory = kmalloc(64, GFP_KERNEL | __GFP_NOWARN);
	kfree(memory);
	return injected() && !memory;
}

/* The states that the key number 0 can be in */

static void put(int nr)
{
	expect(!IS_ERR(syncmap_store(map, key(nr), len(), &things[nr],
				     GFP_KERNEL)));
	values[nr] = &things[nr];
}

/* The entry stays where it is, until it is swept. */
static void take(int nr)
{
	expect(syncmap_compare_and_delete(map, key(nr), len(), values[nr]) == 1);
	values[nr] = NULL;
}

static int visit(const void *a_key, size_t a_len, void *value, void *seen)
{
	(*(int *)seen)++;
	return 0;
}

/* All keys are in read after that. */
static void promote(void)
{
	int seen = 0;

	expect(!syncmap_range(map, visit, &seen));
	expect(seen == syncmap_len(map));
}

static void empty(void)
{
}

static void new(void)
{
	put(1);
	put(2);
	promote();
}

static void new_beside_dirty(void)
{
	new();
	put(3);
}

static void in_read(void)
{
	put(0);
	new();
}

static void in_dirty(void)
{
	new();
	put(0);
}

static void deleted(void)
{
	in_read();
	take(0);
}

static void expunged(void)
{
	deleted();
	put(3);
}

static void fill(int count)
{
	int nr;

	for (nr = 1; nr <= count; nr++)
		put(nr);
}

/* The next new key makes the segment grow. */
static void small_full(void)
{
	fill(SMALL);
}

/* The next new key makes the segment split. */
static void large_full(void)
{
	fill(LARGE);
}

/* The same, where it is shared with a read table that has a deleted key. */
static void large_shared(void)
{
	fill(LARGE);
	promote();
	take(1);
}

static void (*const situations[])(void) = {
	empty, new, new_beside_dirty, in_read, in_dirty, deleted, expunged,
	small_full, large_full, large_shared,
};

static bool get(void *value)
{
	return true;
}

static void put_nothing(void *value)
{
}

static void begin_map(void (*situation)(void))
{
	const struct syncmap_params params = {
		.key_len = key_len,
		.get = get,
		.put = put_nothing,
	};

	memset(values, 0, sizeof(values));
	map = syncmap_create(&params, GFP_KERNEL);
	expect(!IS_ERR(map));
	situation();
}

static void end_map(void)
{
	syncmap_destroy(map);
	map = NULL;
}

static void check_map(void)
{
	int nr, live = 0;

	rcu_read_lock();
	for (nr = 0; nr < KEYS; nr++) {
		expect(syncmap_lookup(map, key(nr), len()) == values[nr]);
		live += !!values[nr];
	}
	rcu_read_unlock();
	expect(syncmap_len(map) == live);
}

/* Calls that need memory, each 0 or -errno */

static int call_store(void)
{
	void *old = syncmap_store(map, key(0), len(), &things[KEYS], flags);

	if (IS_ERR(old))
		return PTR_ERR(old);
	expect(old == values[0]);
	values[0] = &things[KEYS];
	return 0;
}

static int call_load_or_store(void)
{
	void *old = syncmap_load_or_store(map, key(0), len(), &things[KEYS],
					  flags);

	if (IS_ERR(old))
		return PTR_ERR(old);
	expect(old == values[0]);
	if (!old)
		values[0] = &things[KEYS];
	return 0;
}

static int call_clear(void)
{
	int ret = syncmap_clear(map);

	if (!ret)
		memset(values, 0, sizeof(values));
	return ret;
}

/* Lets each allocation of a call fail; returns how often it failed then. */
static int fail_once_each(void (*begin)(void (*situation)(void)),
			  void (*situation)(void), int (*call)(void),
			  void (*check)(void), void (*end)(void))
{
	int nth, ret, failures = 0;
	bool hit = true;

	for (nth = 1; hit && nth < NTH_MAX; nth++) {
		begin(situation);
		inject(nth);
		ret = call();
		hit = injected();
		check();
		if (ret) {
			expect(hit && ret == -ENOMEM);
			failures++;
			expect(!call());
			check();
		}
		end();
	}
	expect(!hit);
	return failures;
}

/* The same, in rounds; returns how often it failed in the worst. */
static int fail_each(void (*begin)(void (*situation)(void)),
		     void (*situation)(void), int (*call)(void),
		     void (*check)(void), void (*end)(void))
{
	int round, failures = 0;

	for (round = 0; round < ROUNDS; round++)
		failures = max(failures, fail_once_each(begin, situation, call,
							check, end));
	return failures;
}

static void stores_with(gfp_t gfp)
{
	static const size_t lengths[] = { 4, 8, 16, 0 };
	int i, j, failures;

	flags = gfp;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		key_len = lengths[i];
		for (j = 0; j < ARRAY_SIZE(situations); j++) {
			failures = fail_each(begin_map, situations[j],
					     call_store, check_map, end_map);
			/* Only a key that there is needs no entry. */
			if (situations[j] == empty || situations[j] == new ||
			    situations[j] == new_beside_dirty)
				expect(failures >= 1);
			/* Beside the entry a segment; or two, and a node. */
			if (situations[j] == small_full)
				expect(failures >= 2);
			if (situations[j] == large_full)
				expect(failures >= 4);
			/* The head of a table, and a copy. */
			if (situations[j] == large_shared)
				expect(failures >= 3);
			if (situations[j] == in_read)
				expect(!failures);
			pr_info("# store, length %zu, situation %d: %d fail\n",
				key_len, j, failures);
			failures = fail_each(begin_map, situations[j],
					     call_load_or_store, check_map,
					     end_map);
			if (situations[j] == empty)
				expect(failures >= 1);
			if (situations[j] == large_full)
				expect(failures >= 4);
			if (situations[j] == in_read)
				expect(!failures);
		}
	}
	flags = GFP_KERNEL;
}

static void stores(void)
{
	stores_with(GFP_KERNEL);
}

static void stores_that_never_sleep(void)
{
	stores_with(GFP_ATOMIC | __GFP_NOWARN);
}

static void clears(void)
{
	int i;

	key_len = 8;
	for (i = 0; i < ARRAY_SIZE(situations); i++)
		expect(!fail_each(begin_map, situations[i], call_clear,
				  check_map, end_map));
}

/* Making maps */

static void begin_nothing(void (*situation)(void))
{
	map = NULL;
}

static int call_create(void)
{
	const struct syncmap_params params = { .key_len = key_len };
	struct syncmap *made = syncmap_create(&params, GFP_KERNEL);

	if (IS_ERR(made))
		return PTR_ERR(made);
	memset(values, 0, sizeof(values));
	map = made;
	return 0;
}

static void check_created(void)
{
	if (map)
		check_map();
}

static void creates(void)
{
	static const size_t lengths[] = { 4, 8, 16, 0 };
	int i, failures;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		key_len = lengths[i];
		failures = fail_each(begin_nothing, NULL, call_create,
				     check_created, end_map);
		/* The map, two tables of two parts, their eras, the holder. */
		expect(failures >= 8);
		pr_info("# create, length %zu: %d fail\n", key_len, failures);
	}
}

/* Nobody can refuse to end a map, nor need memory for it. */
static void destroys(void)
{
	int i, nth;
	bool hit;

	key_len = 8;
	for (i = 0; i < ARRAY_SIZE(situations); i++) {
		for (hit = true, nth = 1; hit && nth < NTH_MAX; nth++) {
			begin_map(situations[i]);
			inject(nth);
			end_map();
			hit = injected();
		}
		expect(!hit);
	}
}

/*
 * What is said to allocate nothing: its very first allocation would fail, which
 * @calls tells. The kernel's own checks of objects refill a pool of theirs now
 * and then, in whichever task comes by, but not in each round.
 */
static void expect_no_allocation(bool (*calls)(void))
{
	int round = 0;

	while (calls() && ++round < ROUNDS)
		;
	expect(round < ROUNDS);
}

static bool calls_without_memory(void)
{
	bool allocated;
	u64 number;
	int seen = 0;

	key_len = 8;
	begin_map(new_beside_dirty);
	memcpy(&number, key(1), sizeof(number));
	inject(1);
	rcu_read_lock();
	expect(syncmap_lookup(map, key(1), 8) == &things[1]);
	expect(syncmap_lookup_u64(map, number) == &things[1]);
	expect(!syncmap_lookup_u32(map, 1));
	rcu_read_unlock();
	expect(syncmap_load(map, key(3), 8) == &things[3]);
	expect(syncmap_store(map, key(1), 8, &things[0], GFP_ATOMIC) ==
	       &things[1]);
	expect(syncmap_load_or_store(map, key(3), 8, &things[0], GFP_ATOMIC) ==
	       &things[3]);
	expect(syncmap_compare_and_swap(map, key(1), 8, &things[0],
					&things[1]) == 1);
	expect(syncmap_compare_and_delete(map, key(1), 8, &things[1]) == 1);
	expect(syncmap_delete(map, key(2), 8) == &things[2]);
	expect(!syncmap_range(map, visit, &seen));
	expect(seen == 1);
	expect(syncmap_len(map) == 1);
	allocated = injected();
	end_map();
	return allocated;
}

static void without_memory(void)
{
	expect_no_allocation(calls_without_memory);
}

/* A call that fails gives back what it was charged for. */
static void charges(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.max_bytes = 65536,
	};
	void *done;
	u64 i, failures = 0;

	map = syncmap_create(&params, GFP_KERNEL);
	expect(!IS_ERR(map));
	for (i = 0; i < 20000; i++) {
		inject(1 + i % 3);
		done = syncmap_store(map, &i, 8, things, GFP_KERNEL);
		injected();
		if (!IS_ERR(done)) {
			expect(syncmap_delete(map, &i, 8) == things);
			continue;
		}
		expect(done == ERR_PTR(-ENOMEM));
		failures++;
	}
	expect(failures >= 5000);
	expect(!syncmap_len(map));
	end_map();
}

/* Named maps */

static struct syncmap_named *named;
static bool has_key;

/* Only userspace takes names away: each time it is another one. */
static char name[32];
static int name_count;

static void begin_named(void (*situation)(void))
{
	snprintf(name, sizeof(name), "failnth-%d", name_count++);
	named = NULL;
	has_key = false;
}

static int call_named_get(void)
{
	struct syncmap_named *made;

	made = syncmap_named_get(name, SYNCMAP_NAMED_CREATE, 0600);
	if (IS_ERR(made))
		return PTR_ERR(made);
	named = made;
	return 0;
}

static void check_named(void)
{
	struct syncmap_named *other = syncmap_named_get(name, 0, 0);

	if (named) {
		expect(other == named);
		expect(!syncmap_named_len(named));
		syncmap_named_put(other);
	} else {
		expect(other == ERR_PTR(-ENOENT));
	}
}

static void end_named(void)
{
	syncmap_named_put(named);
	named = NULL;
}

static void begin_with_map(void (*situation)(void))
{
	begin_named(NULL);
	expect(!call_named_get());
}

static void begin_with_key(void (*situation)(void))
{
	begin_with_map(NULL);
	expect(!syncmap_named_store(named, "key", 3, "old", 3, GFP_KERNEL));
	has_key = true;
}

static const char *expected = "old";

static int call_named_store(void)
{
	int ret = syncmap_named_store(named, "key", 3, "new", 3, flags);

	if (!ret) {
		has_key = true;
		expected = "new";
	}
	return ret;
}

static void check_named_key(void)
{
	const void *value;
	size_t size;

	rcu_read_lock();
	value = syncmap_named_lookup(named, "key", 3, &size);
	expect(has_key == !!value);
	if (value)
		expect(size == 3 && !memcmp(value, expected, 3));
	rcu_read_unlock();
	expect(syncmap_named_len(named) == has_key);
}

static void end_named_key(void)
{
	expected = "old";
	end_named();
}

static int visit_named(const void *a_key, size_t a_len, const void *value,
		       size_t value_len, void *seen)
{
	(*(int *)seen)++;
	return 0;
}

static bool named_calls_without_memory(void)
{
	bool allocated;
	size_t size;
	int seen = 0;

	begin_with_key(NULL);
	inject(1);
	rcu_read_lock();
	expect(syncmap_named_lookup(named, "key", 3, &size));
	rcu_read_unlock();
	expect(!syncmap_named_range(named, visit_named, &seen) && seen == 1);
	expect(syncmap_named_delete(named, "key", 3) == 1);
	expect(!syncmap_named_len(named));
	allocated = injected();
	end_named_key();
	return allocated;
}

static void named_maps(void)
{
	int failures;

	failures = fail_each(begin_named, NULL, call_named_get, check_named,
			     end_named);
	pr_info("# named_get: %d fail\n", failures);
	/* As for a map, and the name's own. */
	expect(failures >= 9);
	/* The value and the entry. */
	failures = fail_each(begin_with_map, NULL, call_named_store,
			     check_named_key, end_named_key);
	expect(failures >= 2);
	flags = GFP_ATOMIC | __GFP_NOWARN;
	failures = fail_each(begin_with_map, NULL, call_named_store,
			     check_named_key, end_named_key);
	flags = GFP_KERNEL;
	expect(failures >= 2);
	failures = fail_each(begin_with_key, NULL, call_named_store,
			     check_named_key, end_named_key);
	expect(failures >= 1);

	begin_with_key(NULL);
	inject(1);
	expect(syncmap_named_store(named, "key", 3, "new", 3, GFP_NOWAIT |
				   __GFP_NOWARN) == -ENOMEM);
	expect(injected());
	check_named_key();
	end_named_key();

	expect_no_allocation(named_calls_without_memory);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "syncmap_create()", creates },
	{ "syncmap_store() and syncmap_load_or_store()", stores },
	{ "the same with GFP_ATOMIC", stores_that_never_sleep },
	{ "syncmap_clear() does not fail", clears },
	{ "syncmap_destroy() does not fail", destroys },
	{ "all others allocate nothing", without_memory },
	{ "what has failed is not charged for", charges },
	{ "named maps", named_maps },
};

static int __init failnth_init(void)
{
	int i;

	if (!can_fail()) {
		pr_info("1..0 # SKIP failslab lets no allocation fail that may sleep\n");
		return 0;
	}
	pr_info("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		failed = false;
		tests[i].run();
		pr_info("%s %d %s\n", failed ? "not ok" : "ok", i + 1,
			tests[i].name);
	}
	return 0;
}

static void __exit failnth_exit(void)
{
}

module_init(failnth_init);
module_exit(failnth_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Tests of the C API of syncmap: no memory");
MODULE_LICENSE("GPL");
