// SPDX-License-Identifier: GPL-2.0
/*
 * The harness: threads and timers that take turns at the map, pauses in which
 * all is counted, processors that come and go, figures, and the verdict.
 */
#include <linux/cpu.h>
#include <linux/err.h>
#include <linux/hrtimer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/timer.h>
#include <linux/wait.h>

#include "torture.h"

static const char * const kinds[TORTURE_KINDS] = {
	[TORTURE_READER] = "reader",
	[TORTURE_WRITER] = "writer",
	[TORTURE_TRIER] = "trier",
	[TORTURE_RANGER] = "ranger",
	[TORTURE_CLEARER] = "clearer",
	[TORTURE_PROMOTER] = "promoter",
	[TORTURE_GROWER] = "grower",
	[TORTURE_SQUEEZER] = "squeezer",
	[TORTURE_INSERTER] = "inserter",
	[TORTURE_INTERRUPT] = "interrupt",
};

struct actor {
	enum torture_kind kind;
	struct task_struct *task;
	void *state;
};

/*
 * What interrupts, in the order of the actors: a timer in softirqs, one in hardirqs,
 * which is in softirqs on PREEMPT_RT, and one that is in hardirqs there as well.
 */
enum { SOFT, FIRM, HARD, TIMERS };

/* A timer that interrupts, and the time until it does so again. */
struct interrupter {
	struct hrtimer timer;
	enum hrtimer_mode mode;
	unsigned int nsecs;
	struct actor *actor;
};

/* A run of so many seconds makes so many new keys in each context. */
#define LONG_RUN	4
#define ENOUGH_KEYS	100

static struct {
	struct torture_params params;
	struct torture_times times;
	void *world;
	struct actor *actors;
	unsigned int number, threads;
	struct task_struct *main;
	struct interrupter firm, hard;
	struct timer_list soft;
	struct actor *soft_actor;
	bool interrupting;
	bool paused;
	atomic_t parked;
	wait_queue_head_t parking, leaving;
	int off;			/* the processor that is away, or 0 */
	unsigned int moves, pauses, onoffs;
} torture = {
	.firm = { .mode = HRTIMER_MODE_REL, .nsecs = 2 * NSEC_PER_MSEC },
	.hard = {
		.mode = HRTIMER_MODE_REL_HARD,
		.nsecs = 500 * NSEC_PER_USEC,
	},
};

static void park(void)
{
	atomic_inc(&torture.parked);
	wake_up(&torture.parking);
	wait_event_idle(torture.leaving,
			!READ_ONCE(torture.paused) || kthread_should_stop());
	atomic_dec(&torture.parked);
}

static int act(void *arg)
{
	const struct actor *actor = arg;
	u64 rest;

	set_user_nice(current, MAX_NICE);
#ifdef CONFIG_FAULT_INJECTION
	current->make_it_fail = torture.params.faults;
#endif
	while (!kthread_should_stop()) {
		if (READ_ONCE(torture.paused))
			park();
		rest = syncmap_torture_turn(actor->state);
		if (rest)
			schedule_timeout_idle(usecs_to_jiffies(rest));
		else
			cond_resched();
	}
	return 0;
}

static enum hrtimer_restart interrupt(struct hrtimer *timer)
{
	const struct interrupter *interrupter =
		container_of(timer, struct interrupter, timer);

	syncmap_torture_turn(interrupter->actor->state);
	if (!READ_ONCE(torture.interrupting))
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, interrupter->nsecs);
	return HRTIMER_RESTART;
}

static void interrupt_soft(struct timer_list *timer)
{
	syncmap_torture_turn(torture.soft_actor->state);
	if (READ_ONCE(torture.interrupting))
		mod_timer(timer, jiffies + 1);
}

static void set_up(struct interrupter *interrupter)
{
	hrtimer_setup(&interrupter->timer, interrupt, CLOCK_MONOTONIC,
		      interrupter->mode);
}

static void start(struct interrupter *interrupter)
{
	hrtimer_start(&interrupter->timer, interrupter->nsecs,
		      interrupter->mode);
}

static void start_interrupts(void)
{
	if (!torture.times.irq)
		return;
	WRITE_ONCE(torture.interrupting, true);
	start(&torture.firm);
	start(&torture.hard);
	mod_timer(&torture.soft, jiffies + 1);
}

static void stop_interrupts(void)
{
	if (!torture.times.irq)
		return;
	WRITE_ONCE(torture.interrupting, false);
	hrtimer_cancel(&torture.firm.timer);
	hrtimer_cancel(&torture.hard.timer);
	timer_delete_sync(&torture.soft);
}

/* Everybody stops where they are, in no operation, and all is counted. */
static void stutter(void)
{
	WRITE_ONCE(torture.paused, true);
	wait_event(torture.parking,
		   atomic_read(&torture.parked) == torture.threads);
	stop_interrupts();
	syncmap_torture_tally(torture.world);
	torture.pauses++;
	start_interrupts();
	WRITE_ONCE(torture.paused, false);
	wake_up_all(&torture.leaving);
}

/* Everywhere, all but one processor, everywhere, all but the next one ... */
static void shuffle(void)
{
	cpumask_var_t mask;
	unsigned int i;

	if (!zalloc_cpumask_var(&mask, GFP_KERNEL))
		return;
	cpus_read_lock();
	cpumask_copy(mask, cpu_possible_mask);
	i = torture.moves++;
	if (i % 2 && num_online_cpus() > 1)
		cpumask_clear_cpu(i / 2 % nr_cpu_ids, mask);
	for (i = 0; i < torture.number; i++)
		if (torture.actors[i].task)
			set_cpus_allowed_ptr(torture.actors[i].task, mask);
	cpus_read_unlock();
	free_cpumask_var(mask);
}

static void on_or_off(void)
{
#ifdef CONFIG_HOTPLUG_CPU
	const int last = cpumask_last(cpu_present_mask);

	if (torture.off) {
		if (!add_cpu(torture.off)) {
			torture.off = 0;
			torture.onoffs++;
		}
	} else if (last > 0 && !remove_cpu(last)) {
		torture.off = last;
		torture.onoffs++;
	}
#endif
}

static void show(const char *title, const struct torture_figures *now)
{
	const u64 *done = now->operations, *new = now->inserted;

	pr_info(" %s: %llu faults; %llu new keys in softirqs, %llu new keys in hardirqs, %llu new keys under spinlocks, %llu new keys under raw spinlocks; %llu lookups, %llu changes, %llu in atomic contexts, %llu in timers, %llu walks, %llu clears, %llu misses, %llu of growers, %llu squeezed, %llu refused; %llu promotions, %llu expunged, %llu sweeps; %llu values, %llu dropped; %llu keys, %llu bytes; %u pauses, %u moves, %u on/off\n",
		title, now->faults, new[CONTEXT_SOFTIRQ],
		new[CONTEXT_HARDIRQ] + new[CONTEXT_IPI], new[CONTEXT_LOCKED],
		new[CONTEXT_RAW], done[TORTURE_READER], done[TORTURE_WRITER],
		done[TORTURE_TRIER], done[TORTURE_INTERRUPT],
		done[TORTURE_RANGER], done[TORTURE_CLEARER],
		done[TORTURE_PROMOTER], done[TORTURE_GROWER],
		done[TORTURE_SQUEEZER], now->refused, now->promotions,
		now->expunged, now->sweeps, now->made, now->dropped,
		now->entries, now->bytes, torture.pauses, torture.moves,
		torture.onoffs);
}

static void stop_actors(void)
{
	unsigned int i;

	stop_interrupts();
	for (i = 0; i < torture.number; i++) {
		if (torture.times.verbose && torture.actors[i].task)
			pr_info(" stopping %s\n", torture.actors[i].task->comm);
		if (torture.actors[i].task)
			kthread_stop_put(torture.actors[i].task);
	}
	for (i = 0; i < torture.number; i++)
		syncmap_torture_actor_free(torture.actors[i].state);
	kfree(torture.actors);
}

/* Whether so many new keys in a context will do; says so if not. */
static bool enough(const char *where, u64 keys)
{
	/* Where there is a limit, it may be used up most of the time. */
	const bool limited = torture.params.max_bytes ||
			     torture.params.max_entries;

	if (keys >= (limited ? 1 : ENOUGH_KEYS))
		return true;
	pr_err(" fault: Idle: %llu new keys %s\n", keys, where);
	return false;
}

/* Counts the contexts in which no keys were made to speak of. */
static u64 idle_contexts(const struct torture_figures *last)
{
	const u64 *new = last->inserted;
	u64 idle = 0;

	if (torture.times.irq) {
		idle += !enough("in softirqs", new[CONTEXT_SOFTIRQ]);
		if (!IS_ENABLED(CONFIG_PREEMPT_RT))
			idle += !enough("in hardirqs", new[CONTEXT_HARDIRQ]);
	}
	if (torture.params.count[TORTURE_INSERTER]) {
		idle += !enough("under spinlocks", new[CONTEXT_LOCKED]);
		if (torture_allocates(CONTEXT_RAW))
			idle += !enough("under raw spinlocks",
					new[CONTEXT_RAW]);
	}
	return idle;
}

static void finish(unsigned long start)
{
	const unsigned long secs = (jiffies - start) / HZ;
	struct torture_figures last;

	stop_actors();
	while (torture.off)
		on_or_off();
	rcu_barrier();
	syncmap_torture_end(torture.world, &last);
	if (secs >= LONG_RUN)
		last.faults += idle_contexts(&last);
	show("in all", &last);
	pr_info("--- End of test: %s: %llu faults in %lu seconds, seed=%llu nreaders=%llu nwriters=%llu ntriers=%llu nrangers=%llu nclearers=%llu npromoters=%llu ngrowers=%llu ninserters=%llu keys=%llu shared=%llu grow=%llu value_bytes=%llu max_bytes=%llu\n",
		last.faults ? "FAILURE" : "SUCCESS", last.faults, secs,
		torture.params.seed, torture.params.count[TORTURE_READER],
		torture.params.count[TORTURE_WRITER],
		torture.params.count[TORTURE_TRIER],
		torture.params.count[TORTURE_RANGER],
		torture.params.count[TORTURE_CLEARER],
		torture.params.count[TORTURE_PROMOTER],
		torture.params.count[TORTURE_GROWER],
		torture.params.count[TORTURE_INSERTER], torture.params.keys,
		torture.params.shared, torture.params.grow,
		torture.params.value_bytes, torture.params.max_bytes);
}

/* Whether it is time for something that happens every @interval jiffies. */
static bool due(unsigned long *next, unsigned long interval)
{
	if (!interval || time_before(jiffies, *next))
		return false;
	*next = jiffies + interval;
	return true;
}

static int run(void *arg)
{
	const struct torture_times *times = &torture.times;
	const unsigned long onoff = msecs_to_jiffies(times->onoff_interval);
	const unsigned long start = jiffies;
	unsigned long stat = start + times->stat_interval * HZ;
	unsigned long pause = start + times->stutter * HZ;
	unsigned long move = start + times->shuffle_interval * HZ;
	unsigned long toggle = start + onoff;
	struct torture_figures now;
	char title[32];

	while (!kthread_should_stop() &&
	       (!times->seconds ||
		time_before(jiffies, start + times->seconds * HZ))) {
		schedule_timeout_idle(onoff ? min(onoff, HZ / 20) : HZ / 20);
		if (due(&toggle, onoff))
			on_or_off();
		if (due(&move, times->shuffle_interval * HZ))
			shuffle();
		if (due(&pause, times->stutter * HZ))
			stutter();
		if (due(&stat, times->stat_interval * HZ)) {
			syncmap_torture_figures(torture.world, &now);
			snprintf(title, sizeof(title), "%lu s",
				 (jiffies - start) / HZ);
			show(title, &now);
		}
	}
	finish(start);
	while (!kthread_should_stop())
		schedule_timeout_idle(HZ / 10);
	return 0;
}

static struct task_struct *create(const struct actor *actor, u64 number)
{
	struct task_struct *task;

	task = kthread_create(act, (void *)actor, "smt_%s/%llu",
			      kinds[actor->kind], number);
	if (IS_ERR(task))
		return NULL;
	if (torture.times.verbose)
		pr_info(" starting %s\n", task->comm);
	return get_task_struct(task);
}

static bool create_actors(void)
{
	struct actor *actor = torture.actors;
	u64 kind, number;

	for (kind = 0; kind < TORTURE_KINDS; kind++) {
		for (number = 0; number < torture.params.count[kind];
		     number++, actor++) {
			actor->kind = kind;
			actor->state = syncmap_torture_actor(torture.world,
							     kind, number);
			if (!actor->state)
				return false;
			if (kind == TORTURE_INTERRUPT)
				continue;
			actor->task = create(actor, number);
			if (!actor->task)
				return false;
			torture.threads++;
		}
	}
	if (torture.times.irq) {
		actor = &torture.actors[torture.number - TIMERS];
		torture.soft_actor = &actor[SOFT];
		torture.firm.actor = &actor[FIRM];
		torture.hard.actor = &actor[HARD];
	}
	return true;
}

int torture_start(const struct torture_params *params,
		  const struct torture_times *times)
{
	struct torture_figures last;
	unsigned int i;

	torture.params = *params;
	torture.times = *times;
	init_waitqueue_head(&torture.parking);
	init_waitqueue_head(&torture.leaving);
	set_up(&torture.firm);
	set_up(&torture.hard);
	timer_setup(&torture.soft, interrupt_soft, 0);
	for (i = 0; i < TORTURE_KINDS; i++)
		torture.number += params->count[i];
	torture.actors = kcalloc(torture.number, sizeof(*torture.actors),
				 GFP_KERNEL);
	if (!torture.actors)
		return -ENOMEM;
	torture.world = syncmap_torture_begin(params);
	if (!torture.world) {
		kfree(torture.actors);
		return -ENOMEM;
	}
	if (create_actors())
		torture.main = kthread_create(run, NULL, "smt_main");
	if (IS_ERR_OR_NULL(torture.main)) {
		torture.times.irq = false;
		stop_actors();
		syncmap_torture_end(torture.world, &last);
		return -ENOMEM;
	}
	pr_info("--- Start of test: seed=%llu\n", params->seed);
	get_task_struct(torture.main);
	for (i = 0; i < torture.number; i++)
		if (torture.actors[i].task)
			wake_up_process(torture.actors[i].task);
	start_interrupts();
	wake_up_process(torture.main);
	return 0;
}

void torture_stop(void)
{
	kthread_stop_put(torture.main);
}
