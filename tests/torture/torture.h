/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the two halves of the torture module tell each other: the harness in C
 * (threads, contexts, pauses, processors, the log), and what the participants
 * do with a map, in Rust.
 */
#ifndef SYNCMAP_TORTURE_H
#define SYNCMAP_TORTURE_H

#include <linux/types.h>

#undef pr_fmt
#define pr_fmt(fmt) "syncmap-torture:" fmt

struct seq_file;

/* Who takes part.  In kinds.rs too. */
enum torture_kind {
	TORTURE_READER,
	TORTURE_WRITER,
	TORTURE_TRIER,		/* in atomic contexts of all kinds */
	TORTURE_RANGER,
	TORTURE_CLEARER,
	TORTURE_PROMOTER,
	TORTURE_GROWER,
	TORTURE_SQUEEZER,
	TORTURE_INSERTER,	/* makes keys where it must not sleep */
	TORTURE_INTERRUPT,	/* what interrupts all others: timers */
	TORTURE_KINDS,
};

/* In params.rs too: 64 bits each, so that there is no padding. */
struct torture_params {
	u64 count[TORTURE_KINDS];
	u64 keys, shared, grow;
	u64 value_bytes, max_bytes, max_entries;
	u64 seed, plant, faults;
};

/* Contexts, as the participants find them. */
enum torture_context {
	CONTEXT_PROCESS,
	CONTEXT_LOCKED,		/* under a spinlock, interrupts disabled */
	CONTEXT_SOFTIRQ,
	CONTEXT_HARDIRQ,	/* a timer's; a softirq on PREEMPT_RT */
	/* These two are no place to allocate in on PREEMPT_RT. */
	CONTEXT_RAW,		/* under a raw spinlock, interrupts disabled */
	CONTEXT_IPI,		/* of another processor, if there is one */
	CONTEXTS,
};

struct torture_figures {
	u64 operations[TORTURE_KINDS];
	u64 inserted[CONTEXTS];	/* new keys by inserters and timers */
	u64 faults, refused, made, dropped;
	u64 promotions, expunged, sweeps, entries, bytes;
};

/* A mistake that the harness makes itself, to see that it is noticed. */
enum torture_plant {
	PLANT_NONE,
	PLANT_CHECKSUM,
	PLANT_GENERATION,
	PLANT_LOST,
	PLANT_LEAK,
	PLANT_TWICE,
	PLANT_RANGE,
	PLANT_LEN,
	PLANT_BYTES,
	PLANTS,
};

/* syncmap_torture.rs */
void *syncmap_torture_begin(const struct torture_params *params);
void *syncmap_torture_actor(void *world, u64 kind, u64 number);
/* One turn; returns the microseconds that the actor wants to rest. */
u64 syncmap_torture_turn(void *actor);
void syncmap_torture_actor_free(void *actor);
/* Nobody is at it. */
void syncmap_torture_tally(void *world);
void syncmap_torture_figures(void *world, struct torture_figures *figures);
/* The same, and nobody will be any more; the figures are the last ones. */
void syncmap_torture_end(void *world, struct torture_figures *figures);

/* history.rs, by way of syncmap_torture.rs */
void *syncmap_record_begin(u64 threads, u64 keys, u64 operations, u64 seed);
int syncmap_record_open(void *recorder, u64 number);
void syncmap_record_play(void *recorder, u64 thread);
void syncmap_record_close(void *recorder);
void syncmap_record_show(void *recorder, struct seq_file *file);
void syncmap_record_end(void *recorder);

/* contexts.c: calls @fn in a context, and waits for it. */
void torture_call(u64 context, void (*fn)(void *arg), void *arg);
/* Whether GFP_ATOMIC is allowed in a context, by this kernel and its checks. */
bool torture_allocates(u64 context);
/* The context that this is called in, as far as that can be told. */
u64 torture_context(void);
void torture_pause(u64 usecs);
void torture_spin(u64 loops);

/* threads.c */
struct torture_times {
	unsigned int seconds, stat_interval, stutter, shuffle_interval;
	unsigned int onoff_interval;
	bool irq, verbose;
};

int torture_start(const struct torture_params *params,
		  const struct torture_times *times);
void torture_stop(void);

/* histories.c */
struct torture_history {
	unsigned int threads, keys, operations, histories, seconds;
	u64 seed;
};

int torture_record_init(const struct torture_history *params);
void torture_record_exit(void);

#endif /* SYNCMAP_TORTURE_H */
