/* SPDX-License-Identifier: GPL-2.0 */
/* What a map must offer to be measured. */
#ifndef SYNCMAP_BENCH_CONTENDER_H
#define SYNCMAP_BENCH_CONTENDER_H

#include "keys.h"

/*
 * Operations return 0 or -errno.  A key that is not there, or a batch that does
 * less than it was asked for, is an error: all keys are in the map.
 */
struct contender {
	const char *name;
	/* Why it is not here, or NULL; called once, before all else. */
	const char *(*missing)(void);
	int (*make)(struct contender *me);
	void (*drop)(struct contender *me);
	int (*lookup)(struct contender *me, const uint64_t *key, uint64_t *value);
	int (*update)(struct contender *me, const uint64_t *key,
		      const uint64_t *value);
	/* BATCH keys, and as many values. */
	int (*lookup_batch)(struct contender *me, const uint64_t *keys,
			    uint64_t *values);
	int (*update_batch)(struct contender *me, const uint64_t *keys,
			    const uint64_t *values);
	/*
	 * The whole map, about BATCH keys at a time: their number, and the sum of
	 * the first words of their values.
	 */
	int (*walk)(struct contender *me, size_t *count, uint64_t *sum);

	const struct shape *shape;
	uint64_t stamp; /* of the values that are in the map now */
	int file;
	void *calls; /* what is passed to the system calls */
};

#endif /* SYNCMAP_BENCH_CONTENDER_H */
