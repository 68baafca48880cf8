// SPDX-License-Identifier: GPL-2.0
/*
 * Every function in every context that its documentation allows.
 */
#include <linux/completion.h>
#include <linux/irq_work.h>
#include <linux/spinlock.h>
#include <linux/timer.h>

#include "ctest.h"

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
