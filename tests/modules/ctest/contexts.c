// SPDX-License-Identifier: GPL-2.0
/*
 * Every function in every context that its documentation allows.
 */
#include <linux/bottom_half.h>
#include <linux/completion.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#include "ctest.h"

/* Two maps for the contexts; keys 0 to 9 are there, and the others not. */
static struct syncmap *map_here;
static struct syncmap_named *named_here;

/* Makes keys that are not there, and deletes them again. */
static void make_and_delete(void)
{
	const u32 value = 17;

	expect(!syncmap_store(map_here, key(21), 8, &things[21], GFP_ATOMIC));
	expect(!syncmap_load_or_store(map_here, key(22), 8, &things[22],
				      GFP_NOWAIT));
	expect(syncmap_load_or_store(map_here, key(21), 8, things,
				     GFP_ATOMIC) == &things[21]);
	expect(syncmap_len(map_here) == 12);
	expect(syncmap_delete(map_here, key(21), 8) == &things[21]);
	expect(syncmap_compare_and_delete(map_here, key(22), 8,
					  &things[22]) == 1);
	expect(!syncmap_named_store(named_here, key(21), 8, &value,
				    sizeof(value), GFP_ATOMIC));
	expect(syncmap_named_len(named_here) == 11);
	expect(syncmap_named_delete(named_here, key(21), 8) == 1);
}

/* Calls what may be called wherever memory can be allocated; changes nothing. */
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
	make_and_delete();
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
				    sizeof(value), GFP_ATOMIC));
	expect(syncmap_named_delete(named_here, key(4), 8) == 1);
	expect(!syncmap_named_delete(named_here, key(4), 8));
	expect(!syncmap_named_store(named_here, key(4), 8, &value,
				    sizeof(value), GFP_ATOMIC));
}

/*
 * Calls what allocates nothing, which may be called under raw spinlocks and in
 * hard interrupts on PREEMPT_RT too. Deletes the keys 2 and 3.
 */
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
	expect(syncmap_compare_and_delete(map_here, key(3), 8,
					  &things[3]) == 1);
	expect(syncmap_len(map_here) == 8);
	expect(syncmap_named_delete(named_here, key(20), 8) == 0);
}

/* Stores what under_raw_lock() has deleted. */
static void restore(void)
{
	int i;

	for (i = 2; i < 4; i++)
		expect(!syncmap_store(map_here, key(i), 8, &things[i],
				      GFP_KERNEL));
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

/* On PREEMPT_RT in a thread, where memory can be allocated. */
static void in_threaded_work(struct irq_work *work)
{
	expect(in_hardirq() || IS_ENABLED(CONFIG_PREEMPT_RT));
	anywhere();
	complete(&done);
}

static struct irq_work threaded_work = IRQ_WORK_INIT(in_threaded_work);

void contexts(void)
{
	static DEFINE_SPINLOCK(lock);
	static DEFINE_RAW_SPINLOCK(raw_lock);
	const u32 value = 17;
	unsigned long flags;
	int round, i;

	map_here = make(&kinds[KEYS_OF_8]);
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
		spin_lock_irqsave(&lock, flags);
		anywhere();
		spin_unlock_irqrestore(&lock, flags);
		raw_spin_lock_irqsave(&raw_lock, flags);
		under_raw_lock();
		raw_spin_unlock_irqrestore(&raw_lock, flags);
		restore();
		mod_timer(&timer, jiffies);
		wait_for_completion(&done);
		irq_work_queue(&interrupt_work);
		wait_for_completion(&done);
		restore();
		irq_work_queue(&threaded_work);
		wait_for_completion(&done);
		/* A dirty table anew. */
		expect(!syncmap_store(map_here, key(50), 8, things,
				      GFP_KERNEL));
		expect(syncmap_delete(map_here, key(50), 8));
	}
	timer_delete_sync(&timer);
	irq_work_sync(&interrupt_work);
	irq_work_sync(&threaded_work);
	syncmap_destroy(map_here);
	syncmap_named_put(named_here);
}

/*
 * New keys by the thousand, from all contexts at the same time: the table
 * splits under them.
 */

#define NEW_KEYS	3000

struct place {
	const char *name;
	/* Calls make_new() in a context; NULL for timers and the like. */
	void (*enter)(struct place *place, int count);
	/* Whether this kernel allocates nothing there. */
	bool closed;
	/* The number of the place, and that of its next key. */
	u64 number, next;
};

static u64 new_key(const struct place *place, u64 i)
{
	return place->number << 32 | i;
}

/* Values tell the place, and thereby the key. */
static void *value_of(const struct place *place, u64 i)
{
	return things[(place->number * 7 + i) % KEYS];
}

/* Makes the next @count keys of a place, and deletes every fourth again. */
static void make_new(struct place *place, int count)
{
	u64 k, i, end = min(place->next + count, NEW_KEYS);
	void *value;

	for (i = place->next; i < end; i++) {
		k = new_key(place, i);
		value = value_of(place, i);
		if (i % 2)
			expect(!syncmap_store(map_here, &k, 8, value,
					      GFP_ATOMIC));
		else
			expect(!syncmap_load_or_store(map_here, &k, 8, value,
						      GFP_ATOMIC));
		rcu_read_lock();
		expect(syncmap_lookup_u64(map_here, k) == value);
		rcu_read_unlock();
		if (i % 4 == 3)
			expect(syncmap_delete(map_here, &k, 8) == value);
	}
	WRITE_ONCE(place->next, end);
}

static void in_process(struct place *place, int count)
{
	make_new(place, count);
}

static void in_section(struct place *place, int count)
{
	rcu_read_lock();
	make_new(place, count);
	rcu_read_unlock();
}

static void under_spinlock(struct place *place, int count)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	make_new(place, count);
	spin_unlock(&lock);
}

static void under_irqsave(struct place *place, int count)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	make_new(place, count);
	spin_unlock_irqrestore(&lock, flags);
}

static void without_bottom_halves(struct place *place, int count)
{
	local_bh_disable();
	make_new(place, count);
	local_bh_enable();
}

static void without_preemption(struct place *place, int count)
{
	preempt_disable();
	make_new(place, count);
	preempt_enable();
}

static void without_interrupts(struct place *place, int count)
{
	unsigned long flags;

	local_irq_save(flags);
	make_new(place, count);
	local_irq_restore(flags);
}

static void under_raw_spinlock(struct place *place, int count)
{
	static DEFINE_RAW_SPINLOCK(lock);
	unsigned long flags;

	raw_spin_lock_irqsave(&lock, flags);
	make_new(place, count);
	raw_spin_unlock_irqrestore(&lock, flags);
}

static struct place places[] = {
	{ "a timer" },
	{ "an hrtimer" },
	{ "interrupt work" },
	{ "process context", in_process },
	{ "a read-side section", in_section },
	{ "a spinlock", under_spinlock },
	{ "a spinlock, interrupts off", under_irqsave },
	{ "bottom halves off", without_bottom_halves },
	{ "preemption off", without_preemption,
	  IS_ENABLED(CONFIG_PREEMPT_RT) },
	{ "interrupts off", without_interrupts,
	  IS_ENABLED(CONFIG_PREEMPT_RT) },
	/* Lockdep reports what would be wrong on PREEMPT_RT. */
	{ "a raw spinlock", under_raw_spinlock,
	  IS_ENABLED(CONFIG_PREEMPT_RT) ||
	  IS_ENABLED(CONFIG_PROVE_RAW_LOCK_NESTING) },
};

enum { PLACE_TIMER, PLACE_HRTIMER, PLACE_WORK };

static bool complete_at(const struct place *place)
{
	return READ_ONCE(place->next) == NEW_KEYS;
}

static void new_in_timer(struct timer_list *timer)
{
	expect(in_serving_softirq());
	make_new(&places[PLACE_TIMER], 100);
	if (!complete_at(&places[PLACE_TIMER]))
		mod_timer(timer, jiffies + 1);
}

static void new_in_work(struct irq_work *work)
{
	expect(in_hardirq() || IS_ENABLED(CONFIG_PREEMPT_RT));
	make_new(&places[PLACE_WORK], 100);
}

static DEFINE_TIMER(new_timer, new_in_timer);
static struct hrtimer new_hrtimer;
static struct irq_work new_work = IRQ_WORK_INIT(new_in_work);

static enum hrtimer_restart new_in_hrtimer(struct hrtimer *timer)
{
	/* In a softirq on PREEMPT_RT. */
	expect(in_hardirq() || IS_ENABLED(CONFIG_PREEMPT_RT));
	make_new(&places[PLACE_HRTIMER], 20);
	if (complete_at(&places[PLACE_HRTIMER]))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, 100 * NSEC_PER_USEC);
	return HRTIMER_RESTART;
}

/* Checks that what a place has made is there, and what it has deleted is not. */
static void check_new(const struct place *place)
{
	u64 i;

	expect(place->next == NEW_KEYS);
	for (i = 0; i < place->next; i++) {
		rcu_read_lock();
		expect(syncmap_lookup_u64(map_here, new_key(place, i)) ==
		       (i % 4 == 3 ? NULL : value_of(place, i)));
		rcu_read_unlock();
	}
	say("# %llu new keys in %s\n", place->next, place->name);
}

static int count_keys(const void *key, size_t len, void *value, void *arg)
{
	*(size_t *)arg += 1;
	return 0;
}

static bool all_complete(void)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (!places[i].closed && !complete_at(&places[i]))
			return false;
	return true;
}

void new_keys(void)
{
	const unsigned long end = jiffies + 60 * HZ;
	size_t live = 0, seen = 0;
	int i;

	map_here = make(&kinds[KEYS_OF_8]);
	if (!map_here)
		return;
	for (i = 0; i < ARRAY_SIZE(places); i++)
		places[i].number = i;
	hrtimer_setup(&new_hrtimer, new_in_hrtimer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
	mod_timer(&new_timer, jiffies + 1);
	hrtimer_start(&new_hrtimer, 100 * NSEC_PER_USEC, HRTIMER_MODE_REL);
	while (!all_complete() && time_before(jiffies, end)) {
		/* It could run on two processors at the same time. */
		irq_work_sync(&new_work);
		irq_work_queue(&new_work);
		for (i = 0; i < ARRAY_SIZE(places); i++)
			if (places[i].enter && !places[i].closed)
				places[i].enter(&places[i], 50);
		schedule_timeout_uninterruptible(1);
	}
	timer_shutdown_sync(&new_timer);
	hrtimer_cancel(&new_hrtimer);
	irq_work_sync(&new_work);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i].closed)
			continue;
		check_new(&places[i]);
		live += NEW_KEYS - NEW_KEYS / 4;
	}
	expect(syncmap_len(map_here) == live);
	expect(!syncmap_range(map_here, count_keys, &seen) && seen == live);
	syncmap_destroy(map_here);
}
