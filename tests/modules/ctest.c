// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of the C API, from every context. Loading the module runs them; they
 * report in TAP to the log, each line behind "ctest: ".
 */
#define pr_fmt(fmt) "ctest: " fmt

#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/random.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/syncmap.h>
#include <linux/timer.h>

#define KEYS		64
#define TRAFFIC_MS	1500

static bool failed;

#define expect(condition) do {						\
	if (!(condition)) {						\
		failed = true;						\
		pr_info("# line %d: %s\n", __LINE__, #condition);	\
	}								\
} while (0)

/* What values point to. */
static u32 things[KEYS][2];

static int err(const void *pointer)
{
	return PTR_ERR_OR_ZERO(pointer);
}

/* A kind of keys: @nr gives keys that differ. */
struct kind {
	const char *name;
	size_t key_len, len;
};

static const struct kind kinds[] = {
	{ "keys of 4 bytes", 4, 4 },
	{ "keys of 8 bytes", 8, 8 },
	{ "keys of 16 bytes", 16, 16 },
	{ "keys of any length", 0, 5 },
};

static void *key(int nr)
{
	static u8 keys[KEYS][16];

	memset(keys[nr], nr + 1, sizeof(keys[nr]));
	return keys[nr];
}

static struct syncmap *make(const struct kind *kind)
{
	const struct syncmap_params params = { .key_len = kind->key_len };
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);

	expect(!IS_ERR(map));
	return IS_ERR(map) ? NULL : map;
}

static void *look(struct syncmap *map, const struct kind *kind, int nr)
{
	void *value;

	rcu_read_lock();
	value = syncmap_lookup(map, key(nr), kind->len);
	rcu_read_unlock();
	return value;
}

static void operations(const struct kind *kind)
{
	struct syncmap *map = make(kind);
	void *a = &things[0], *b = &things[1];
	const size_t len = kind->len;

	if (!map)
		return;
	expect(!look(map, kind, 0));
	expect(!syncmap_delete(map, key(0), len));
	expect(!syncmap_compare_and_swap(map, key(0), len, a, b));
	expect(!syncmap_compare_and_delete(map, key(0), len, a));
	expect(!syncmap_store(map, key(0), len, a, GFP_KERNEL));
	expect(look(map, kind, 0) == a);
	expect(!look(map, kind, 1));
	expect(syncmap_len(map) == 1);
	expect(syncmap_swap(map, key(0), len, b, GFP_KERNEL) == a);
	expect(syncmap_load_or_store(map, key(0), len, a, GFP_KERNEL) == b);
	expect(!syncmap_load_or_store(map, key(1), len, a, GFP_KERNEL));
	expect(look(map, kind, 1) == a);
	expect(!syncmap_compare_and_swap(map, key(1), len, b, a));
	expect(syncmap_compare_and_swap(map, key(1), len, a, b) == 1);
	expect(!syncmap_compare_and_delete(map, key(1), len, a));
	expect(syncmap_compare_and_delete(map, key(1), len, b) == 1);
	expect(!look(map, kind, 1));
	expect(syncmap_load_and_delete(map, key(0), len) == b);
	expect(!syncmap_len(map));
	expect(!syncmap_store(map, key(2), len, a, GFP_KERNEL));
	expect(!syncmap_clear(map));
	expect(!syncmap_len(map) && !look(map, kind, 2));
	/* Nothing blocks with these, so nothing is created. */
	expect(err(syncmap_store(map, key(3), len, a, GFP_ATOMIC)) ==
	       -EWOULDBLOCK);
	expect(err(syncmap_load_or_store(map, key(3), len, a, GFP_NOWAIT)) ==
	       -EWOULDBLOCK);
	/* These block, but do not do all that GFP_KERNEL may. */
	expect(!syncmap_store(map, key(4), len, a, GFP_NOFS));
	expect(syncmap_store(map, key(4), len, b, GFP_NOIO) == a);
	expect(!syncmap_len(NULL));
	syncmap_destroy(map);
}

static void all_operations(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		operations(&kinds[i]);
}

static void numbers_as_keys(void)
{
	const u32 small = 0x01020304;
	const u64 large = 0x0102030405060708;
	u8 unaligned[9];
	struct syncmap *map;

	map = make(&kinds[0]);
	memcpy(unaligned + 1, &small, sizeof(small));
	expect(!syncmap_store(map, unaligned + 1, 4, things, GFP_KERNEL));
	rcu_read_lock();
	expect(syncmap_lookup_u32(map, small) == things);
	expect(!syncmap_lookup_u32(map, small + 1));
	expect(!syncmap_lookup_u64(map, small));
	rcu_read_unlock();
	syncmap_destroy(map);

	map = make(&kinds[1]);
	memcpy(unaligned + 1, &large, sizeof(large));
	expect(!syncmap_store(map, unaligned + 1, 8, things, GFP_KERNEL));
	rcu_read_lock();
	expect(syncmap_lookup_u64(map, large) == things);
	expect(!syncmap_lookup_u64(map, large + 1));
	expect(!syncmap_lookup_u32(map, (u32)large));
	rcu_read_unlock();
	syncmap_destroy(map);
}

static bool always(void *value)
{
	return true;
}

static void bad_parameters(void)
{
	struct syncmap_params params = { .key_len = 8 };

	expect(err(syncmap_create(NULL, GFP_KERNEL)) == -EINVAL);
	expect(err(syncmap_create(&params, GFP_ATOMIC)) == -EINVAL);
	params.key_len = SYNCMAP_KEY_MAX + 1;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EINVAL);
	params.key_len = 8;
	params.get = always;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EINVAL);
	params.get = NULL;
	params.max_bytes = 16;
	expect(err(syncmap_create(&params, GFP_KERNEL)) == -EDQUOT);
}

static int never_called(const void *key, size_t len, void *value, void *arg)
{
	expect(false);
	return 1;
}

static void bad_maps(void)
{
	struct syncmap *bad[] = { NULL, ERR_PTR(-ENOMEM) };
	const u64 k = 1;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct syncmap *map = bad[i];

		rcu_read_lock();
		expect(!syncmap_lookup(map, &k, 8));
		expect(!syncmap_lookup_u32(map, 1));
		expect(!syncmap_lookup_u64(map, 1));
		rcu_read_unlock();
		expect(err(syncmap_load(map, &k, 8)) == -EINVAL);
		expect(err(syncmap_store(map, &k, 8, things, GFP_KERNEL)) ==
		       -EINVAL);
		expect(err(syncmap_load_or_store(map, &k, 8, things,
						 GFP_KERNEL)) == -EINVAL);
		expect(err(syncmap_delete(map, &k, 8)) == -EINVAL);
		expect(syncmap_compare_and_swap(map, &k, 8, things,
						things) == -EINVAL);
		expect(syncmap_compare_and_delete(map, &k, 8, things) ==
		       -EINVAL);
		expect(syncmap_range(map, never_called, NULL) == -EINVAL);
		expect(syncmap_clear(map) == -EINVAL);
		expect(!syncmap_len(map));
		syncmap_destroy(map);
	}
}

static void bad_keys(void)
{
	const u8 long_key[SYNCMAP_KEY_MAX + 1] = { 0 };
	struct syncmap *map;
	size_t wrong;
	int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		map = make(&kinds[i]);
		for (wrong = 0; wrong <= SYNCMAP_KEY_MAX + 1;
		     wrong += SYNCMAP_KEY_MAX + 1)
			expect(err(syncmap_store(map, long_key, wrong, things,
						 GFP_KERNEL)) == -EINVAL);
		expect(err(syncmap_store(map, NULL, kinds[i].len, things,
					 GFP_KERNEL)) == -EINVAL);
		if (kinds[i].key_len)
			expect(err(syncmap_store(map, long_key,
						 kinds[i].key_len + 1, things,
						 GFP_KERNEL)) == -EINVAL);
		else
			expect(!syncmap_store(map, long_key, SYNCMAP_KEY_MAX,
					      things, GFP_KERNEL));
		syncmap_destroy(map);
	}
}

static void bad_values(void)
{
	struct syncmap *map = make(&kinds[1]);
	void *bad[] = { NULL, ERR_PTR(-4), ERR_PTR(-MAX_ERRNO),
			(void *)things + 1, (void *)things + 2 };
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect(err(syncmap_store(map, key(0), 8, bad[i], GFP_KERNEL)) ==
		       -EINVAL);
		expect(err(syncmap_store(map, key(0), 8, bad[i], GFP_ATOMIC)) ==
		       -EINVAL);
		expect(err(syncmap_load_or_store(map, key(0), 8, bad[i],
						 GFP_KERNEL)) == -EINVAL);
		expect(syncmap_compare_and_swap(map, key(0), 8, things,
						bad[i]) == -EINVAL);
	}
	expect(err(syncmap_load(map, key(0), 8)) == -EINVAL);
	expect(!syncmap_len(map));
	syncmap_destroy(map);
}

static void limits(void)
{
	struct syncmap_params params = { .key_len = 8, .max_entries = 3 };
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	int i;

	for (i = 0; i < 3; i++)
		expect(!syncmap_store(map, key(i), 8, things, GFP_KERNEL));
	expect(err(syncmap_store(map, key(3), 8, things, GFP_KERNEL)) ==
	       -EDQUOT);
	expect(syncmap_store(map, key(2), 8, things + 1, GFP_KERNEL) ==
	       things);
	expect(syncmap_delete(map, key(0), 8));
	expect(!syncmap_store(map, key(3), 8, things, GFP_KERNEL));
	syncmap_destroy(map);

	params.max_entries = 0;
	params.max_bytes = 4096;
	map = syncmap_create(&params, GFP_KERNEL);
	for (i = 0; i < KEYS; i++) {
		int ret = err(syncmap_store(map, key(i), 8, things,
					    GFP_KERNEL));

		expect(!ret || (i > 10 && ret == -EDQUOT));
		if (ret)
			break;
	}
	expect(syncmap_len(map) == i);
	syncmap_destroy(map);
}

static atomic_t released;

static void release(void *value)
{
	might_sleep();
	expect(value >= (void *)things &&
	       value < (void *)(things + ARRAY_SIZE(things)));
	atomic_inc(&released);
}

static void releases(void)
{
	const struct syncmap_params params = {
		.key_len = 4,
		.release = release,
	};
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	int i;

	atomic_set(&released, 0);
	for (i = 0; i < 10; i++)
		expect(!syncmap_store(map, key(i), 4, &things[i], GFP_KERNEL));
	/* Those that come back are the caller's. */
	expect(syncmap_store(map, key(0), 4, &things[10], GFP_KERNEL) ==
	       &things[0]);
	expect(syncmap_delete(map, key(1), 4) == &things[1]);
	expect(!syncmap_clear(map));
	for (i = 0; i < 5; i++)
		expect(!syncmap_store(map, key(i), 4, &things[i], GFP_KERNEL));
	syncmap_destroy(map);
	expect(atomic_read(&released) == 9 + 5);
}

/* A value with references. */
struct counted {
	refcount_t refs;
	struct rcu_head rcu;
};

static bool get_counted(void *value)
{
	struct counted *counted = value;

	return refcount_inc_not_zero(&counted->refs);
}

static atomic_t ended;

static void put_counted(void *value)
{
	struct counted *counted = value;

	if (refcount_dec_and_test(&counted->refs)) {
		atomic_inc(&ended);
		kfree_rcu(counted, rcu);
	}
}

static struct counted *new_counted(void)
{
	struct counted *counted = kzalloc(sizeof(*counted), GFP_KERNEL);

	if (counted)
		refcount_set(&counted->refs, 1);
	return counted;
}

static int count_sleeping(const void *key, size_t len, void *value, void *arg)
{
	int *sum = arg;

	usleep_range(1000, 2000);
	*sum += 1;
	return *sum == KEYS / 2 ? 7 : 0;
}

static int count(const void *key, size_t len, void *value, void *arg)
{
	int *sum = arg;

	expect(rcu_read_lock_held() || !IS_ENABLED(CONFIG_PROVE_RCU));
	expect(len == 8);
	*sum += 1;
	return 0;
}

static void references(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.release = put_counted,
		.get = get_counted,
		.put = put_counted,
	};
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	struct counted *a = new_counted(), *b = new_counted();
	int i, sum = 0;

	atomic_set(&ended, 0);
	expect(!syncmap_load(map, key(0), 8));
	expect(!syncmap_store(map, key(0), 8, a, GFP_KERNEL));
	expect(syncmap_load(map, key(0), 8) == a);
	expect(refcount_read(&a->refs) == 2);
	expect(syncmap_load_or_store(map, key(0), 8, b, GFP_KERNEL) == a);
	expect(syncmap_load_or_store(map, key(0), 8, b, GFP_ATOMIC) == a);
	expect(refcount_read(&a->refs) == 4);
	expect(syncmap_store(map, key(0), 8, b, GFP_KERNEL) == a);
	for (i = 0; i < 4; i++)
		put_counted(a);
	expect(atomic_read(&ended) == 1);
	/* Without references left, though still there: a mistake of ours. */
	refcount_set(&b->refs, 0);
	expect(err(syncmap_load(map, key(0), 8)) == -EBUSY);
	expect(!syncmap_range(map, count_sleeping, &sum) && !sum);
	refcount_set(&b->refs, 1);

	for (i = 1; i < KEYS; i++)
		expect(!syncmap_store(map, key(i), 8, new_counted(),
				      GFP_KERNEL));
	expect(syncmap_range(map, count_sleeping, &sum) == 7);
	expect(sum == KEYS / 2);
	syncmap_destroy(map);
	expect(atomic_read(&ended) == KEYS + 1);
}

static void ranges(void)
{
	struct syncmap *map = make(&kinds[1]);
	int i, sum = 0;

	expect(!syncmap_range(map, never_called, NULL));
	expect(syncmap_range(map, NULL, NULL) == -EINVAL);
	for (i = 0; i < KEYS; i++)
		expect(!syncmap_store(map, key(i), 8, &things[i], GFP_KERNEL));
	expect(!syncmap_range(map, count, &sum) && sum == KEYS);
	syncmap_destroy(map);
}

/* Two maps for the contexts; keys 0 to 9 are there, and the others not. */
static struct syncmap *map_here;
static struct syncmap_named *named_here;

/* What may be done anywhere, and leaves things as they were. */
static void anywhere(void)
{
	const u32 value = 17;
	size_t len = 0;
	int i;

	rcu_read_lock();
	expect(syncmap_lookup(map_here, key(1), 8) == &things[1]);
	expect(!syncmap_lookup(map_here, key(20), 8));
	expect(syncmap_named_lookup(named_here, key(1), 8, &len) && len == 4);
	expect(!syncmap_named_lookup(named_here, key(20), 8, &len));
	rcu_read_unlock();
	expect(syncmap_len(map_here) == 10);
	expect(syncmap_named_len(named_here) == 10);
	expect(syncmap_store(map_here, key(1), 8, &things[20], GFP_ATOMIC) ==
	       &things[1]);
	expect(syncmap_compare_and_swap(map_here, key(1), 8, &things[20],
					&things[1]) == 1);
	expect(syncmap_load_or_store(map_here, key(1), 8, &things[20],
				     GFP_ATOMIC) == &things[1]);
	expect(err(syncmap_store(map_here, key(21), 8, things, GFP_ATOMIC)) ==
	       -EWOULDBLOCK);
	expect(syncmap_delete(map_here, key(2), 8) == &things[2]);
	expect(!syncmap_delete(map_here, key(2), 8));
	expect(!syncmap_store(map_here, key(2), 8, &things[2], GFP_ATOMIC));
	expect(syncmap_compare_and_delete(map_here, key(3), 8,
					  &things[3]) == 1);
	expect(!syncmap_load_or_store(map_here, key(3), 8, &things[3],
				      GFP_ATOMIC));
	/* Enough to make promotions due. */
	for (i = 0; i < 3 * KEYS; i++) {
		rcu_read_lock();
		expect(!syncmap_lookup(map_here, key(20 + i % 20), 8));
		rcu_read_unlock();
		expect(!syncmap_compare_and_delete(map_here, key(30), 8,
						   things));
	}
	expect(!syncmap_named_store(named_here, key(1), 8, &value,
				    sizeof(value), GFP_ATOMIC | __GFP_NOWARN));
	expect(syncmap_named_store(named_here, key(21), 8, &value,
				   sizeof(value), GFP_ATOMIC) == -EWOULDBLOCK);
	expect(syncmap_named_delete(named_here, key(4), 8) == 1);
	expect(!syncmap_named_delete(named_here, key(4), 8));
	expect(!syncmap_named_store(named_here, key(4), 8, &value,
				    sizeof(value), GFP_ATOMIC));
}

/* Allocating is not for raw spinlocks on PREEMPT_RT; all the rest is. */
static void under_raw_lock(void)
{
	int i;

	rcu_read_lock();
	expect(syncmap_lookup(map_here, key(1), 8) == &things[1]);
	expect(syncmap_named_lookup(named_here, key(1), 8, NULL));
	for (i = 0; i < 3 * KEYS; i++)
		expect(!syncmap_lookup(map_here, key(20 + i % 20), 8));
	rcu_read_unlock();
	expect(syncmap_store(map_here, key(1), 8, &things[20], GFP_NOWAIT) ==
	       &things[1]);
	expect(syncmap_compare_and_swap(map_here, key(1), 8, &things[20],
					&things[1]) == 1);
	expect(syncmap_delete(map_here, key(2), 8) == &things[2]);
	expect(!syncmap_store(map_here, key(2), 8, &things[2], GFP_NOWAIT));
	expect(syncmap_compare_and_delete(map_here, key(3), 8,
					  &things[3]) == 1);
	expect(!syncmap_store(map_here, key(3), 8, &things[3], GFP_NOWAIT));
	expect(syncmap_named_delete(named_here, key(20), 8) == 0);
}

static DECLARE_COMPLETION(done);

static void in_timer(struct timer_list *timer)
{
	expect(in_softirq());
	anywhere();
	complete(&done);
}

static DEFINE_TIMER(timer, in_timer);

static void in_interrupt_work(struct irq_work *work)
{
	expect(in_hardirq());
	under_raw_lock();
	complete(&done);
}

static struct irq_work interrupt_work = IRQ_WORK_INIT_HARD(in_interrupt_work);

static void contexts(void)
{
	static DEFINE_SPINLOCK(lock);
	static DEFINE_RAW_SPINLOCK(raw_lock);
	const u32 value = 17;
	unsigned long flags;
	int round, i;

	map_here = make(&kinds[1]);
	named_here = syncmap_named_get("ctest-anywhere", SYNCMAP_NAMED_CREATE,
				       0600);
	if (!map_here || IS_ERR(named_here)) {
		expect(false);
		return;
	}
	for (i = 0; i < 10; i++) {
		expect(!syncmap_store(map_here, key(i), 8, &things[i],
				      GFP_KERNEL));
		expect(!syncmap_named_store(named_here, key(i), 8, &value,
					    sizeof(value), GFP_KERNEL));
	}
	for (round = 0; round < 20; round++) {
		anywhere();
		spin_lock_bh(&lock);
		anywhere();
		spin_unlock_bh(&lock);
		raw_spin_lock_irqsave(&raw_lock, flags);
		under_raw_lock();
		raw_spin_unlock_irqrestore(&raw_lock, flags);
		mod_timer(&timer, jiffies);
		wait_for_completion(&done);
		irq_work_queue(&interrupt_work);
		wait_for_completion(&done);
		/* A dirty table anew. */
		expect(!syncmap_store(map_here, key(50), 8, things,
				      GFP_KERNEL));
		expect(syncmap_delete(map_here, key(50), 8));
	}
	timer_delete_sync(&timer);
	irq_work_sync(&interrupt_work);
	syncmap_destroy(map_here);
	syncmap_named_put(named_here);
}

static int count_named(const void *key, size_t len, const void *value,
		       size_t value_len, void *arg)
{
	int *sum = arg;

	expect(len == 2 && value_len == 3);
	*sum += 1;
	return 0;
}

static void named_maps(void)
{
	static const char * const bad[] = { "", ".x", "a/b", "a b", "\xff" };
	struct syncmap_named *map, *same;
	char long_name[SYNCMAP_NAME_MAX + 2];
	size_t len = 1;
	int i, sum = 0;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(err(syncmap_named_get(bad[i], SYNCMAP_NAMED_CREATE,
					     0600)) == -EINVAL);
	expect(err(syncmap_named_get(NULL, 0, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 0, 0)) == -ENOENT);
	expect(err(syncmap_named_get("ctest", 8, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 3, 0)) == -EINVAL);
	expect(err(syncmap_named_get("ctest", 1, 01000)) == -EINVAL);
	memset(long_name, 'n', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	expect(err(syncmap_named_get(long_name, 0, 0)) == -ENAMETOOLONG);
	long_name[SYNCMAP_NAME_MAX] = 0;
	expect(err(syncmap_named_get(long_name, 0, 0)) == -ENOENT);

	map = syncmap_named_get("ctest", SYNCMAP_NAMED_CREATE, 0640);
	same = syncmap_named_get("ctest", SYNCMAP_NAMED_WAIT, 0);
	expect(!IS_ERR(map) && map == same);
	if (IS_ERR(map))
		return;
	expect(!syncmap_named_len(map));
	expect(!syncmap_named_store(map, "ab", 2, "xyz", 3, GFP_KERNEL));
	expect(!syncmap_named_store(map, "cd", 2, "xyz", 3, GFP_KERNEL));
	expect(!syncmap_named_range(map, count_named, &sum) && sum == 2);
	expect(!syncmap_named_store(map, "cd", 2, NULL, 0, GFP_KERNEL));
	rcu_read_lock();
	expect(!memcmp(syncmap_named_lookup(same, "ab", 2, &len), "xyz", 3));
	expect(len == 3);
	expect(syncmap_named_lookup(same, "cd", 2, &len) && !len);
	expect(!syncmap_named_lookup(same, "ab", 0, &len));
	expect(!syncmap_named_lookup(NULL, "ab", 2, &len));
	expect(!syncmap_named_lookup(ERR_PTR(-ENOENT), "ab", 2, &len));
	rcu_read_unlock();
	expect(syncmap_named_store(map, "ab", 2, "xyz",
				   SYNCMAP_VALUE_MAX + 1, GFP_KERNEL) ==
	       -E2BIG);
	expect(syncmap_named_store(map, "ab", 2, NULL, 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_store(map, NULL, 2, "x", 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_store(NULL, "ab", 2, "x", 1, GFP_KERNEL) ==
	       -EINVAL);
	expect(syncmap_named_delete(map, "ab", SYNCMAP_KEY_MAX + 1) ==
	       -EINVAL);
	expect(syncmap_named_range(map, NULL, NULL) == -EINVAL);
	expect(syncmap_named_delete(map, "ab", 2) == 1);
	expect(syncmap_named_len(map) == 1);
	syncmap_named_put(map);
	syncmap_named_put(same);
	syncmap_named_put(NULL);
	syncmap_named_put(ERR_PTR(-ENOENT));
}

static int wait_for_map(void *name)
{
	struct syncmap_named *map = syncmap_named_get(name, SYNCMAP_NAMED_WAIT,
						      0);

	expect(!IS_ERR(map));
	syncmap_named_put(map);
	complete(&done);
	return 0;
}

/* Keys that are not in read, until a promotion is due, in sections of ours. */
static void loads_in_sections(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.release = put_counted,
		.get = get_counted,
		.put = put_counted,
	};
	struct syncmap *map = syncmap_create(&params, GFP_KERNEL);
	static DEFINE_SPINLOCK(lock);
	struct counted *seen;
	int round, i;

	for (i = 0; i < KEYS; i++)
		expect(!syncmap_store(map, key(i), 8, new_counted(),
				      GFP_KERNEL));
	for (round = 0; round < 10; round++) {
		/* Something deleted, which the next new key expunges. */
		for (i = 0; i < KEYS / 2; i++)
			put_counted(syncmap_delete(map, key(i), 8));
		for (i = 0; i < KEYS / 2; i++)
			expect(!syncmap_store(map, key(i), 8, new_counted(),
					      GFP_KERNEL));
		spin_lock(&lock);
		rcu_read_lock();
		for (i = 0; i < 2 * KEYS; i++) {
			seen = syncmap_load(map, key(i % KEYS), 8);
			expect(!IS_ERR_OR_NULL(seen));
			put_counted(seen);
			expect(!syncmap_load(map, "absent 8", 8));
		}
		rcu_read_unlock();
		spin_unlock(&lock);
	}
	syncmap_destroy(map);
}

static void waiting(void)
{
	struct task_struct *waiter;
	struct syncmap_named *map;

	waiter = kthread_run(wait_for_map, "ctest-awaited", "ctest");
	expect(!IS_ERR(waiter));
	if (IS_ERR(waiter))
		return;
	expect(!wait_for_completion_timeout(&done, HZ / 10));
	map = syncmap_named_get("ctest-awaited", SYNCMAP_NAMED_CREATE, 0600);
	wait_for_completion(&done);
	syncmap_named_put(map);
}

/* A value that readers can tell from a freed one. */
struct checked {
	u64 key, check;
	struct rcu_head rcu;
};

#define CHECK(key)	hash_64((key) + 1, 64)

static struct checked *new_checked(u64 key)
{
	struct checked *checked = kmalloc(sizeof(*checked), GFP_KERNEL);

	if (checked) {
		checked->key = key;
		checked->check = CHECK(key);
	}
	return checked;
}

static void free_checked(struct checked *checked)
{
	if (IS_ERR_OR_NULL(checked))
		return;
	expect(checked->check == CHECK(checked->key));
	kfree_rcu(checked, rcu);
}

static void release_checked(void *value)
{
	struct checked *checked = value;

	expect(checked->check == CHECK(checked->key));
	kfree(checked);
}

static int check_visited(const void *key, size_t len, void *value, void *arg)
{
	const struct checked *checked = value;

	expect(checked->key == *(const u64 *)key);
	expect(checked->check == CHECK(checked->key));
	return 0;
}

static void read_all(struct syncmap *map)
{
	const struct checked *checked;
	u64 k;

	for (k = 0; k < KEYS; k++) {
		rcu_read_lock();
		checked = syncmap_lookup_u64(map, k);
		expect(!checked || (checked->key == k &&
				    checked->check == CHECK(k)));
		rcu_read_unlock();
	}
}

static void read_in_timer(struct timer_list *timer)
{
	read_all(map_here);
	mod_timer(timer, jiffies + 1);
}

static DEFINE_TIMER(reader, read_in_timer);

static int change_all(void *arg)
{
	struct syncmap *map = arg;
	struct checked *new;
	int i = 0;
	u64 k;

	while (!kthread_should_stop()) {
		k = get_random_u32_below(KEYS);
		switch (i++ % 4) {
		case 0:
		case 1:
			new = new_checked(k);
			if (!new)
				break;
			free_checked(syncmap_store(map, &k, 8, new,
						   GFP_KERNEL));
			break;
		case 2:
			free_checked(syncmap_delete(map, &k, 8));
			break;
		case 3:
			new = new_checked(k);
			/* Others may free what is there; we do not look. */
			if (new && syncmap_load_or_store(map, &k, 8, new,
							 GFP_KERNEL))
				kfree(new);
			break;
		}
		if (!(i % 1024))
			expect(!syncmap_range(map, check_visited, NULL));
		if (!(i % 4096))
			expect(!syncmap_clear(map));
		cond_resched();
	}
	return 0;
}

static int read_steadily(void *map)
{
	while (!kthread_should_stop()) {
		read_all(map);
		cond_resched();
	}
	return 0;
}

static void traffic(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.release = release_checked,
	};
	struct task_struct *tasks[4];
	int i;

	map_here = syncmap_create(&params, GFP_KERNEL);
	if (IS_ERR(map_here)) {
		expect(false);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(i % 2 ? read_steadily : change_all,
				       map_here, "ctest/%d", i);
		expect(!IS_ERR(tasks[i]));
	}
	mod_timer(&reader, jiffies + 1);
	msleep(TRAFFIC_MS);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	timer_shutdown_sync(&reader);
	syncmap_destroy(map_here);
}

static const struct {
	const char *name;
	void (*run)(void);
} tests[] = {
	{ "all operations, for all kinds of keys", all_operations },
	{ "numbers as keys", numbers_as_keys },
	{ "bad parameters are refused", bad_parameters },
	{ "bad maps are refused", bad_maps },
	{ "bad keys are refused", bad_keys },
	{ "bad values are refused", bad_values },
	{ "limits", limits },
	{ "clear and destroy release what is left", releases },
	{ "references", references },
	{ "ranges", ranges },
	{ "contexts: process, softirq, hardirq, under locks", contexts },
	{ "named maps", named_maps },
	{ "references taken in atomic sections", loads_in_sections },
	{ "waiting for a named map", waiting },
	{ "readers and writers at the same time", traffic },
};

static int __init ctest_init(void)
{
	int i;

	pr_info("1..%zu\n", ARRAY_SIZE(tests));
	for (i = 0; i < ARRAY_SIZE(tests); i++) {
		failed = false;
		tests[i].run();
		pr_info("%s %d %s\n", failed ? "not ok" : "ok", i + 1,
			tests[i].name);
	}
	/* What kfree_rcu() has still to free is no leak. */
	rcu_barrier();
	return 0;
}

static void __exit ctest_exit(void)
{
}

module_init(ctest_init);
module_exit(ctest_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Tests of the C API of syncmap");
MODULE_LICENSE("GPL");
