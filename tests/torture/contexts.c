// SPDX-License-Identifier: GPL-2.0
/*
 * The contexts that a map may be used in, for threads: what is called there is
 * waited for, so that it may borrow from its caller.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/preempt.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>

#include "torture.h"

struct call {
	struct tasklet_struct tasklet;
	struct hrtimer timer;
	struct completion done;
	void (*fn)(void *arg);
	void *arg;
};

static void run_tasklet(struct tasklet_struct *tasklet)
{
	struct call *call = from_tasklet(call, tasklet, tasklet);

	call->fn(call->arg);
	complete(&call->done);
}

static void call_in_softirq(void (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	init_completion(&call.done);
	tasklet_setup(&call.tasklet, run_tasklet);
	/* Runs when softirqs are enabled again, unless a thread does it. */
	local_bh_disable();
	tasklet_schedule(&call.tasklet);
	local_bh_enable();
	wait_for_completion(&call.done);
	tasklet_kill(&call.tasklet);
}

static enum hrtimer_restart run_timer(struct hrtimer *timer)
{
	struct call *call = container_of(timer, struct call, timer);

	call->fn(call->arg);
	complete(&call->done);
	return HRTIMER_NORESTART;
}

/* Not HRTIMER_MODE_REL_HARD: PREEMPT_RT allocates in no hard interrupt. */
static void call_in_hardirq(void (*fn)(void *arg), void *arg)
{
	struct call call = { .fn = fn, .arg = arg };

	init_completion(&call.done);
	hrtimer_setup_on_stack(&call.timer, run_timer, CLOCK_MONOTONIC,
			       HRTIMER_MODE_REL);
	hrtimer_start(&call.timer, 0, HRTIMER_MODE_REL);
	wait_for_completion(&call.done);
	hrtimer_cancel(&call.timer);
	destroy_hrtimer_on_stack(&call.timer);
}

static void call_by_ipi(void (*fn)(void *arg), void *arg)
{
	unsigned int cpu = cpumask_any_but(cpu_online_mask,
					   raw_smp_processor_id());

	/* It may go at any moment; this one cannot, while we are on it. */
	if (cpu < nr_cpu_ids && !smp_call_function_single(cpu, fn, arg, 1))
		return;
	smp_call_function_single(get_cpu(), fn, arg, 1);
	put_cpu();
}

void torture_call(u64 context, void (*fn)(void *arg), void *arg)
{
	static DEFINE_SPINLOCK(lock);
	static DEFINE_RAW_SPINLOCK(raw_lock);
	unsigned long flags;

	switch (context) {
	case CONTEXT_LOCKED:
		spin_lock_irqsave(&lock, flags);
		fn(arg);
		spin_unlock_irqrestore(&lock, flags);
		break;
	case CONTEXT_RAW:
		raw_spin_lock_irqsave(&raw_lock, flags);
		fn(arg);
		raw_spin_unlock_irqrestore(&raw_lock, flags);
		break;
	case CONTEXT_SOFTIRQ:
		call_in_softirq(fn, arg);
		break;
	case CONTEXT_HARDIRQ:
		call_in_hardirq(fn, arg);
		break;
	case CONTEXT_IPI:
		call_by_ipi(fn, arg);
		break;
	default:
		fn(arg);
	}
}

bool torture_allocates(u64 context)
{
	if (context != CONTEXT_RAW && context != CONTEXT_IPI)
		return true;
	/* Lockdep reports what would be wrong on PREEMPT_RT. */
	return !IS_ENABLED(CONFIG_PREEMPT_RT) &&
	       !IS_ENABLED(CONFIG_PROVE_RAW_LOCK_NESTING);
}

u64 torture_context(void)
{
	if (in_hardirq())
		return CONTEXT_HARDIRQ;
	if (in_serving_softirq())
		return CONTEXT_SOFTIRQ;
	if (irqs_disabled())
		return CONTEXT_LOCKED;
	return CONTEXT_PROCESS;
}

void torture_pause(u64 usecs)
{
	usleep_range(usecs, 2 * usecs);
}

void torture_spin(u64 loops)
{
	while (loops--)
		cpu_relax();
}
