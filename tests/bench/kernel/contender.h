/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a contender of the bench defines, and what a workload sees.
 *
 * A contender is one C file, compiled once for each length of keys (KEY_LEN: 4, 8,
 * 16 or 64 bytes). It defines CONTENDER, includes this header, defines struct
 * map and the operations below as static inline functions, and then includes
 * workloads.h, whose loops are thus compiled with its operations inlined,
 * as they would be for a user of that map written in C.
 */
#ifndef _BENCH_CONTENDER_H
#define _BENCH_CONTENDER_H

#include <linux/cache.h>
#include <linux/compiler.h>
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

/* The greatest number of threads; the numbers in use are powers of two. */
#define BENCH_THREADS 64

#ifdef KEY_LEN

/* A key of four bytes is half of one. */
#if KEY_LEN == 4
typedef u32 map_word;
#else
typedef u64 map_word;
#endif

struct map_key {
	map_word word[KEY_LEN / sizeof(map_word)];
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

#ifndef MAP_LOOKUP_ONLY
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

#ifndef MAP_NO_LOAD_OR_STORE
/*
 * 1 if the key has a value, which is in *@actual; 0 if it had none, and @value
 * has been stored (and is in *@actual).
 */
static inline int map_load_or_store(struct map *map, const struct map_key *key,
				    void *value, void **actual);
#endif

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

#ifndef MAP_NO_RANGE
/*
 * Calls @visit for the keys, in no order, until it returns false. Returns the
 * number of calls. @visit must not sleep.
 */
static inline unsigned long map_range(struct map *map,
				      bool (*visit)(const struct map_key *key,
						    void *value, void *arg),
				      void *arg);
#endif

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
#endif /* !MAP_LOOKUP_ONLY */

/*
 * A contender that lacks operations defines one of these before it includes this
 * header, and then takes no part in workloads that need them:
 * MAP_NO_LOAD_OR_STORE, MAP_NO_RANGE, MAP_LOOKUP_ONLY, MAP_HITS_ONLY. One that is
 * made for lookups only has its keys from map_create().
 *
 * MAP_IS_NONE: there is no map, so that each lookup finds something, no matter what.
 *
 * MAP_HAS_PROMOTE: there are a read and a dirty table, and
 * static inline void map_promote(struct map *map) promotes the latter.
 *
 * MAP_HAS_WALK: there is static inline unsigned long map_walk(struct map *map),
 * which visits all keys and returns their number, in the way that costs least.
 *
 * MAP_DENSE_KEYS: the keys are integers below bench_key_mask + 1, in random
 * order, since the contender is a bad choice for any others.
 */

#endif /* KEY_LEN */

/* Keys are numbers below this, a power of two, when they have to be dense. */
extern u64 bench_key_mask;

/* Mixes a number of 32 bits: another one for each (as murmur does in the end). */
static __always_inline u32 bench_mix_u32(u32 x)
{
	x = (x ^ (x >> 16)) * 0x85ebca6bU;
	x = (x ^ (x >> 13)) * 0xc2b2ae35U;
	return x ^ (x >> 16);
}

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
#elif KEY_LEN == 4
	word = bench_mix_u32(number);
#else
	word = bench_mix(number);
#endif
	for (unsigned int i = 0; i < ARRAY_SIZE(key.word); i++) {
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

/* What one thread has done in a pass; zero when it begins. */
struct bench_thread {
	/* What the body finds out, for check() to judge. */
	u64 hits;
	u64 sum;
	/* For the workload's own use. */
	u64 state[4];
	/* The harness's: operations done, the time that they took. */
	u64 ops;
	u64 ns;
	int error;
} ____cacheline_aligned_in_smp;

/* What a line of results says; what was not measured is 0 and left out. */
struct bench_figures {
	u64 ops;
	/* Hundredths of a nanosecond for an operation of one thread. */
	u64 centi_ns;
	u64 p50, p99, p999, max;
	/* Bytes for a key, and while the map was filled; -1: not measured. */
	s64 bytes, peak;
};

/* One contender, with keys of one length, at one size. */
struct bench_run {
	const struct bench_contender *contender;
	/*
	 * A map with the keys of the numbers below size, for all workloads that
	 * leave its keys as they are; others make their own in setup().
	 */
	struct map *map;
	/* Keys of the map; a power of two. */
	unsigned long size;
	unsigned int threads;
	unsigned int round;
	/* Operations that each thread is to do in this pass. */
	u64 ops;
	struct bench_thread thread[BENCH_THREADS];

	/*
	 * A stream for each thread, one behind the other: keys, and the numbers
	 * that they are of. A thread that comes to its end begins anew.
	 */
	struct map_key *keys;
	u32 *numbers;
	/* Keys of a stream, a power of two and at least size; less one. */
	unsigned long mask;

	/* For the workload's own use. */
	long grown;
	void *private;
};

/* How a workload runs. */
#define BENCH_SMP	BIT(0)	/* where there are several processors, too */
#define BENCH_OWN_MAP	BIT(1)	/* setup() and teardown() make and destroy it */
#define BENCH_LATENCY	BIT(2)	/* latencies only, of one pass */
#define BENCH_MEMORY	BIT(3)	/* about bytes: only if asked for by name */

/*
 * A workload: either measure(), which does and reports everything by itself;
 * or else, for each pass, the harness calls setup(), then body() in all threads
 * at once, check(), and teardown(). All but body() and measure() may be absent.
 *
 * body() does the operations @from to @from + @count - 1 of a thread; it is
 * called for a batch at a time, and to get latencies for one operation.
 */
struct bench_workload {
	const char *name;
	unsigned int flags;
	/* May lower run->ops; the harness then makes more passes. */
	int (*setup)(struct bench_run *run);
	void (*body)(struct bench_run *run, unsigned int thread, u64 from,
		     u64 count);
	/* Whether the answers were right. */
	bool (*check)(struct bench_run *run);
	void (*teardown)(struct bench_run *run);
	int (*measure)(struct bench_run *run);
};

/* A contender, for one length of keys. */
struct bench_contender {
	const char *name;
	unsigned int key_len;
	/* How many times as many operations as others, if one takes no time. */
	unsigned int repeat;
	/* Makes run->map, and destroys it. */
	int (*fill)(struct bench_run *run);
	void (*empty)(struct bench_run *run);
	/* Each ends with one without a name; either may be NULL. */
	const struct bench_workload *workloads;
	const struct bench_workload *go_workloads;
};

/* Random numbers for the streams, from harness.c. */
enum bench_draw {
	BENCH_UNIFORM,		/* below size */
	BENCH_MIX_UNIFORM,	/* below 2 * size */
	BENCH_MIX_ZIPF,		/* the same, by Zipf's law (s = 0.99) */
	BENCH_DRAWS,
};

u32 bench_draw(const struct bench_run *run, enum bench_draw draw,
	       unsigned long i);

/* Random numbers below 100, a prime number of them. */
#define BENCH_DICE 65521
extern u8 bench_dice[BENCH_DICE];

void bench_report(const struct bench_run *run, const char *workload,
		  const struct bench_figures *figures);

/*
 * Where what is measured begins and ends: instructions that do nothing, for the
 * profile (tests/bench/profile).
 */
extern unsigned int bench_passes;

static __always_inline void bench_begin(void)
{
	bench_passes++;
#ifdef CONFIG_X86_64
	asm volatile(".byte 0x0f, 0x1f, 0x80; .ascii \"sync\"" ::: "memory");
#endif
}

static __always_inline void bench_end(void)
{
#ifdef CONFIG_X86_64
	asm volatile(".byte 0x0f, 0x1f, 0x80; .ascii \"tync\"" ::: "memory");
#endif
}

/* Nanoseconds since some moment. */
u64 bench_clock(void);

/* Bytes that the kernel has allocated for itself, slack included. */
u64 bench_memory_used(void);

/* The same, when nothing is being freed any more. Sleeps. */
u64 bench_memory_at_rest(void);

#endif /* _BENCH_CONTENDER_H */
