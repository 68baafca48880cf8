/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _SYNCMAP_HELPERS_H
#define _SYNCMAP_HELPERS_H

#include <linux/percpu_counter.h>
#include <linux/spinlock_types.h>
#include <linux/types.h>
#include <linux/workqueue.h>

struct irq_work;
struct wait_queue_head;

/* In worker.rs. */
void syncmap_worker_kicked(struct irq_work *kick);

void syncmap_helper_init_kick(struct irq_work *kick);
void syncmap_helper_init_rcu_work(struct rcu_work *work, work_func_t func);
void syncmap_helper_init_delayed_work(struct delayed_work *work,
				      work_func_t func);
void syncmap_helper_init_waitqueue(struct wait_queue_head *queue);
bool syncmap_helper_queue_rcu_work(struct rcu_work *work);
void syncmap_helper_queue_delayed_work(struct delayed_work *work,
				       unsigned long delay);
void syncmap_helper_mod_delayed_work(struct delayed_work *work,
				     unsigned long delay);
long syncmap_helper_wait_cycle(struct wait_queue_head *queue,
			       const unsigned long *cycles, unsigned long seen,
			       unsigned long ticks);
void syncmap_helper_wait_cycle_or_idle(struct wait_queue_head *queue,
				       const unsigned long *cycles,
				       unsigned long seen, const bool *busy);
void syncmap_helper_wake_up_all(struct wait_queue_head *queue);
void syncmap_helper_raw_spin_lock_init(raw_spinlock_t *lock, const char *name,
				       struct lock_class_key *key);
unsigned long syncmap_helper_raw_spin_lock(raw_spinlock_t *lock);
bool syncmap_helper_raw_spin_trylock(raw_spinlock_t *lock, unsigned long *flags);
void syncmap_helper_raw_spin_unlock(raw_spinlock_t *lock, unsigned long flags);
void syncmap_helper_raw_spin_assert_held(raw_spinlock_t *lock);
unsigned long syncmap_helper_segment_lock(u32 *lock, unsigned int subclass);
void syncmap_helper_segment_unlock(u32 *lock, unsigned long flags);
void *syncmap_helper_kmalloc(size_t size, gfp_t gfp);
int syncmap_helper_counters_init(struct percpu_counter *counters,
				 unsigned int number, gfp_t gfp);
void syncmap_helper_counters_destroy(struct percpu_counter *counters,
				     unsigned int number);
void syncmap_helper_counter_add(struct percpu_counter *counter, s64 by,
				s32 batch);
s64 syncmap_helper_counter_sum(struct percpu_counter *counter);
bool syncmap_helper_preemptible(void);
bool syncmap_helper_is_worker(void);
void syncmap_helper_report_ended_by_itself(void);
unsigned long syncmap_helper_jiffies(void);
void syncmap_helper_cond_resched(void);

/* See syncmap_trace.h. */
void syncmap_helper_trace_dirty(const void *map, size_t entries, bool in_place);
void syncmap_helper_trace_promote(const void *map, size_t entries, size_t misses);
void syncmap_helper_trace_clear(const void *map, size_t entries);
void syncmap_helper_trace_sweep(const void *map, size_t before, size_t after);
void syncmap_helper_trace_freed(const void *map, size_t bytes);

#endif /* _SYNCMAP_HELPERS_H */
