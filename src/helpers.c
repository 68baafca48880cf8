// SPDX-License-Identifier: GPL-2.0
/*
 * What the Rust bindings of the kernel lack: static inline functions and
 * macros. Linked with the library object into every user; never exported.
 */
#include <linux/irq_work.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/percpu_counter.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "helpers.h"

#define CREATE_TRACE_POINTS
#include "syncmap_trace.h"

static void kicked(struct irq_work *kick)
{
	syncmap_worker_kicked(kick);
}

/*
 * In hard interrupt context on PREEMPT_RT too, where who waits for the end of one
 * that runs in a thread waits for a grace period as well.
 */
void syncmap_helper_init_kick(struct irq_work *kick)
{
	*kick = IRQ_WORK_INIT_HARD(kicked);
}

void syncmap_helper_init_rcu_work(struct rcu_work *work, work_func_t func)
{
	INIT_RCU_WORK(work, func);
}

void syncmap_helper_init_delayed_work(struct delayed_work *work,
				      work_func_t func)
{
	INIT_DELAYED_WORK(work, func);
}

void syncmap_helper_init_waitqueue(struct wait_queue_head *queue)
{
	init_waitqueue_head(queue);
}

bool syncmap_helper_queue_rcu_work(struct rcu_work *work)
{
	return queue_rcu_work(system_dfl_wq, work);
}

void syncmap_helper_queue_delayed_work(struct delayed_work *work,
				       unsigned long delay)
{
	queue_delayed_work(system_dfl_wq, work, delay);
}

void syncmap_helper_mod_delayed_work(struct delayed_work *work,
				     unsigned long delay)
{
	mod_delayed_work(system_dfl_wq, work, delay);
}

/*
 * Waits, killably, until *@cycles is no longer @seen, for @ticks at most.
 * Returns 0 if it still is, else what is left of the time, or -ERESTARTSYS.
 */
long syncmap_helper_wait_cycle(struct wait_queue_head *queue,
			       const unsigned long *cycles, unsigned long seen,
			       unsigned long ticks)
{
	return wait_event_killable_timeout(*queue, READ_ONCE(*cycles) != seen,
					   ticks);
}

/* Waits until *@cycles is no longer @seen, or *@busy is false. */
void syncmap_helper_wait_cycle_or_idle(struct wait_queue_head *queue,
				       const unsigned long *cycles,
				       unsigned long seen, const bool *busy)
{
	wait_event(*queue, READ_ONCE(*cycles) != seen || !READ_ONCE(*busy));
}

void syncmap_helper_wake_up_all(struct wait_queue_head *queue)
{
	wake_up_all(queue);
}

void syncmap_helper_raw_spin_lock_init(raw_spinlock_t *lock, const char *name,
				       struct lock_class_key *key)
{
#ifdef CONFIG_DEBUG_SPINLOCK
	__raw_spin_lock_init(lock, name, key, LD_WAIT_SPIN);
#else
	raw_spin_lock_init(lock);
#endif
}

unsigned long syncmap_helper_raw_spin_lock(raw_spinlock_t *lock)
{
	unsigned long flags;

	raw_spin_lock_irqsave(lock, flags);
	return flags;
}

bool syncmap_helper_raw_spin_trylock(raw_spinlock_t *lock, unsigned long *flags)
{
	return raw_spin_trylock_irqsave(lock, *flags);
}

void syncmap_helper_raw_spin_unlock(raw_spinlock_t *lock, unsigned long flags)
{
	raw_spin_unlock_irqrestore(lock, flags);
}

void syncmap_helper_raw_spin_assert_held(raw_spinlock_t *lock)
{
	lockdep_assert_held(lock);
}

/*
 * The lock of a segment: one word of it, as those of the buckets of rhashtable
 * are one bit. All have one class, in which the second of two is another.
 */
#ifdef CONFIG_DEBUG_LOCK_ALLOC
static struct lock_class_key segment_key;
static struct lockdep_map segment_map = {
	.name = "syncmap_segment",
	.key = &segment_key,
	.wait_type_inner = LD_WAIT_SPIN,
};
#endif

unsigned long syncmap_helper_segment_lock(u32 *lock, unsigned int subclass)
{
	unsigned long flags;

	local_irq_save(flags);
	lock_acquire_exclusive(&segment_map, subclass, 0, NULL, _RET_IP_);
	while (unlikely(cmpxchg_acquire(lock, 0, 1))) {
		do {
			cpu_relax();
		} while (READ_ONCE(*lock));
	}
	return flags;
}

/* Fully ordered. */
void syncmap_helper_segment_unlock(u32 *lock, unsigned long flags)
{
	lock_release(&segment_map, _RET_IP_);
	xchg(lock, 0);
	local_irq_restore(flags);
}

/*
 * kmalloc(). Where the compiler knows the size, it finds the cache; what looks for it at
 * run time, behind krealloc() as Rust has it, takes half as many instructions again. The
 * sizes are those of the caches, so nothing is lost.
 */
void *syncmap_helper_kmalloc(size_t size, gfp_t gfp)
{
	if (!IS_ENABLED(CONFIG_KASAN)) {
		if (size <= 32)
			return kmalloc(32, gfp);
		if (size <= 64)
			return kmalloc(64, gfp);
		if (size == 128)
			return kmalloc(128, gfp);
		if (size == 1024)
			return kmalloc(1024, gfp);
	}
	return kmalloc(size, gfp);
}

int syncmap_helper_counters_init(struct percpu_counter *counters,
				 unsigned int number, gfp_t gfp)
{
	return percpu_counter_init_many(counters, 0, gfp, number);
}

void syncmap_helper_counters_destroy(struct percpu_counter *counters,
				     unsigned int number)
{
	percpu_counter_destroy_many(counters, number);
}

/*
 * percpu_counter_add_batch(), without its loop where that is not needed: what the
 * processor has counted by itself may be more than a batch for an instant.
 */
void syncmap_helper_counter_add(struct percpu_counter *counter, s64 by,
				s32 batch)
{
#ifdef CONFIG_SMP
	if (likely(by < batch && by > -batch)) {
		s32 count = this_cpu_add_return(*counter->counters, (s32)by);

		if (unlikely(count >= batch || count <= -batch))
			percpu_counter_sync(counter);
		return;
	}
#endif
	percpu_counter_add_batch(counter, by, batch);
}

s64 syncmap_helper_counter_sum(struct percpu_counter *counter)
{
	return percpu_counter_sum(counter);
}

/* Whether the caller holds no spinlock and is in process context, for sure. */
bool syncmap_helper_preemptible(void)
{
	return preemptible();
}

/* Whether the caller runs on a workqueue. */
bool syncmap_helper_is_worker(void)
{
	return current->flags & PF_WQ_WORKER;
}

void syncmap_helper_report_ended_by_itself(void)
{
	pr_err("syncmap: a map has been ended by the destructor of one of its own values: its memory is lost.\n");
}

unsigned long syncmap_helper_jiffies(void)
{
	return jiffies;
}

void syncmap_helper_cond_resched(void)
{
	cond_resched();
}

void syncmap_helper_trace_dirty(const void *map, size_t entries, bool in_place)
{
	trace_syncmap_dirty(map, entries, in_place);
}

void syncmap_helper_trace_promote(const void *map, size_t entries, size_t misses)
{
	trace_syncmap_promote(map, entries, misses);
}

void syncmap_helper_trace_clear(const void *map, size_t entries)
{
	trace_syncmap_clear(map, entries);
}

void syncmap_helper_trace_sweep(const void *map, size_t before, size_t after)
{
	trace_syncmap_sweep(map, before, after);
}

void syncmap_helper_trace_freed(const void *map, size_t bytes)
{
	trace_syncmap_freed(map, bytes);
}
