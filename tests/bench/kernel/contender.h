/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a contender of the bench defines, and what a workload sees.
 *
 * A contender is one C file, compiled once for each length of keys (KEY_LEN: 8,
 * 16 or 64 bytes). It defines CONTENDER, includes this header, defines struct
 * map and the operations below as static inline functions, and then includes
 * workloads.h, whose loops are thus compiled with its operations inlined,
 * as they would be for a user of that map written in C.
 */
#ifndef _BENCH_CONTENDER_H
#define _BENCH_CONTENDER_H

#include <linux/cache.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/hash.h>
#include <linux/log2.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/vmalloc.h>

/* The greatest number of threads. */
#define BENCH_THREADS 2

#ifdef KEY_LEN

struct map_key {
	u64 word[KEY_LEN / 8];
};

/* A contender's own; some need to know it before they can define it. */
struct map;

/*
 * The operations. Each takes the locks that it needs, the read-side critical
 * section of RCU included, and frees what it displaces after a grace period,
 * as a user of the contender would. They are called by kernel threads, which
 * may sleep. Values are words made by bench_value(): not null, and aligned to
 * eight bytes; no contender ever looks behind one.
 *
 * Errors are negative numbers, such as -ENOMEM.
 */

/* An empty map that will have about @n keys, or an ERR_PTR(). */
static inline struct map *map_create(unsigned long n);

/* Frees a map and everything in it. */
static inline void map_destroy(struct map *map);

/* Whether the key is there; if so, its value is in *@value. */
static inline bool map_lookup(struct map *map, const struct map_key *key,
			      void **value);

/* Inserts or overwrites: 0 if the key was new, 1 if it had a value. */
static inline int map_store(struct map *map, const struct map_key *key,
			    void *value);

/* Inserts a key that the caller knows to be new; 0, or -EEXIST if it is not. */
static inline int map_insert(struct map *map, const struct map_key *key,
			     void *value);

/* Overwrites the value of a key that is there; 0, or -ENOENT if it is not. */
static inline int map_replace(struct map *map, const struct map_key *key,
			      void *value);

/* Deletes a key; whether it was there. */
static inline bool map_delete(struct map *map, const struct map_key *key);

/* As map_store(); the value that the key had, or NULL, is in *@old. */
static inline int map_swap(struct map *map, const struct map_key *key,
			   void *value, void **old);

/*
 * 1 if the key has a value, which is in *@actual; 0 if it had none, and @value
 * has been stored (and is in *@actual).
 */
static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual);

/* Deletes a key; whether it was there, and if so its value in *@old. */
static inline bool map_load_and_delete(struct map *map,
				       const struct map_key *key, void **old);

/* 1 if the key had the value @old and now has @new, else 0. */
static inline int map_compare_and_swap(struct map *map,
				       const struct map_key *key, void *old,
				       void *new);

/* Deletes a key if it has the value @old; whether it did. */
static inline bool map_compare_and_delete(struct map *map,
					  const struct map_key *key, void *old);

/*
 * Calls @visit for the keys, in no order, until it returns false. Returns the
 * number of calls. @visit must not sleep.
 */
static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg);

/* Deletes all keys. */
static inline int map_clear(struct map *map);

/*
 * Waits until the map has come to rest: nothing left to be freed, resized,
 * promoted. Never in the timed part.
 */
static inline void map_settle(struct map *map);

/*
 * Bytes of the @n objects that the map is made of now, in the sizes that the
 * allocator has for them, as far as the contender can tell; 0 if it cannot.
 */
static inline unsigned long map_bytes(struct map *map, unsigned long n);

/*
 * A contender that lacks an operation defines one of these before it includes
 * workloads.h, which then has no workload that needs it:
 * MAP_NO_LOAD_OR_STORE, MAP_NO_RANGE, MAP_LOOKUP_ONLY.
 *
 * MAP_HAS_PROMOTE: there are a read and a dirty table, and
 * static inline void map_promote(struct map *map) promotes the latter.
 *
 * MAP_DENSE_KEYS: the keys are integers below bench_key_mask + 1, in random
 * order, since the contender is a bad choice for any others.
 */

#endif /* KEY_LEN */

/* Keys are numbers below this, a power of two, when they have to be dense. */
extern u64 bench_key_mask;

/* Mixes a number: another one for each (splitmix64). */
static __always_inline u64 bench_mix(u64 x)
{
	x += 0x9e3779b97f4a7c15ULL;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

#ifdef KEY_LEN
/*
 * The key of a number. Different numbers have different keys, which are the
 * same for all contenders, but for those with MAP_DENSE_KEYS.
 */
static __always_inline struct map_key bench_key(u64 number)
{
	struct map_key key;
	u64 word;

#ifdef MAP_DENSE_KEYS
	/* An odd factor permutes the numbers below a power of two. */
	word = (number * 0x9e3779b97f4a7c15ULL) & bench_key_mask;
#else
	word = bench_mix(number);
#endif
	for (unsigned int i = 0; i < KEY_LEN / 8; i++) {
		key.word[i] = word;
		word = bench_mix(word);
	}
	return key;
}

static __always_inline bool bench_key_equal(const struct map_key *a,
					    const struct map_key *b)
{
	return !memcmp(a, b, KEY_LEN);
}
#endif /* KEY_LEN */

/* The value of a number, in its @version'th edition. */
static __always_inline void *bench_value(u64 number, unsigned int version)
{
	return (void *)(((number + 1) << 16) | ((version & 0x1fff) << 3));
}

/* What one thread has done. */
struct bench_thread {
	/* What the body of the workload finds out; sums that check() compares. */
	u64 hits;
	u64 sum;
	/* Kept by the harness: operations done, and the time that they took. */
	u64 ops;
	u64 ns;
	int error;
	/* For the workload's own use: next new key, and so on. */
	u64 state[4];
} ____cacheline_aligned_in_smp;

struct bench_latency;

/* One run of one workload by one contender. */
struct bench_run {
	struct map *map;
	unsigned long size;
	unsigned int threads;
	/* Operations that each thread is to do. */
	u64 ops;
	/* Whether index draws are Zipf-distributed (s = 0.99), or uniform. */
	bool zipf;
	struct bench_thread thread[BENCH_THREADS];

	/* What the threads look up: keys, and the numbers that they are of. */
	struct map_key *keys;
	u32 *numbers;
	unsigned long keys_mask;

	/* Where a workload measures for itself, it leaves its figures here. */
	struct bench_latency *latency;
	u64 ns, p50, max;
	u64 bytes, peak;
	bool own_figures;

	/* For the workload's own use. */
	void *private;
};

/* How a workload runs. */
#define BENCH_LOOKUP	1	/* only looks up: measured with SMP */
#define BENCH_UPDATE	2	/* measured without SMP */
#define BENCH_SCALE	4	/* also measured with all threads */
#define BENCH_OURS	8	/* measured with SMP too for contenders that do
				 * not disable interrupts for it
				 */
#define BENCH_MIX	16	/* once uniform, once with zipf */
#define BENCH_GO	32	/* one of Go's: size and keys are its own */

/*
 * A workload. The harness calls setup(), then body() in each thread with all
 * threads starting together, then check() if there is one, then teardown().
 *
 * body() does the operations @from to @from + @count - 1 of a thread; it is
 * called for a batch at a time, and the time between two batches does not
 * count. To get latencies, it is called for one operation at a time. It must
 * not sleep for other reasons than its map's.
 */
struct bench_workload {
	const char *name;
	unsigned int flags;
	/* Fewest operations of a thread that make sense; 0: any number. */
	u64 ops_max;
	int (*setup)(struct bench_run *run);
	void (*body)(struct bench_run *run, unsigned int thread, u64 from,
		     u64 count);
	/* 0, or an error if the answers were wrong; it says which. */
	int (*check)(struct bench_run *run);
	void (*teardown)(struct bench_run *run);
};

/* A contender, for one length of keys. */
struct bench_contender {
	const char *name;
	unsigned int key_len;
	const struct bench_workload *workloads; /* ends with one without a name */
	const struct bench_workload *go_workloads; /* likewise, or NULL */
};

#endif /* _BENCH_CONTENDER_H */
