/* SPDX-License-Identifier: GPL-2.0 */
/* Calls whose allocations and user copies fail, each once. */
#ifndef SYNCMAP_TEST_TRIAL_H
#define SYNCMAP_TEST_TRIAL_H

#include "good.h"
#include "inject.h"
#include "scene.h"

static struct injector injector;
static unsigned char new_block[BLOCK];
static unsigned char result_buf[BLOCK + CANARY];
/* How often each kind of failure made a call fail, and how often it did not. */
static int failed[FAULT_KINDS], absorbed[FAULT_KINDS];
/* The same, in order: s, p, c for slab, page and copy, in capitals if it failed. */
static char history[1024];

static inline int error_of(enum fault kind)
{
	return kind == FAULT_COPY ? -EFAULT : -ENOMEM;
}

static inline bool copies_fail(void)
{
	return injector.left[FAULT_COPY] >= 0;
}

/* Everything that the calls touch is there, so that faults are theirs. */
static inline void begin_faults(bool pages)
{
	const char *reason = no_injection();

	if (reason)
		skip("%s", reason);
	memset(long_key, 'k', sizeof(long_key));
	memset(old_block, 'o', sizeof(old_block));
	memset(new_block, 'n', sizeof(new_block));
	memset(result_buf, 0, sizeof(result_buf));
	begin_closing();
	expect(!mlockall(MCL_CURRENT | MCL_FUTURE));
	set_up_faults(pages);
	injector = new_injector();
	if (pages && injector.left[FAULT_PAGE] < 0)
		skip("this kernel has no fail_page_alloc");
}

/* Calls that are let fail: what they are made of, and what follows. */
struct trial {
	void (*set)(struct scene *scene, const void *context);
	/* Readies the argument. */
	void (*prepare)(struct scene *scene, const void *context);
	/* 0 or -errno; makes no other system call. */
	int (*run)(struct scene *scene, const void *context);
	/* After a failure: nothing has changed. */
	void (*check_failed)(struct scene *scene, const void *context);
	void (*check_done)(struct scene *scene, const void *context);
	const void *context;
};

static inline int run_trial(const struct trial *trial, struct scene *scene)
{
	trial->prepare(scene, trial->context);
	return trial->run(scene, trial->context);
}

/* One failure; false if there was none left to inject. */
static inline bool fail_once(const struct trial *trial, int nth)
{
	struct scene scene;
	enum fault kind;
	__u64 before;
	int ret;

	trial->set(&scene, trial->context);
	before = settled_bytes(scene.map);
	trial->prepare(&scene, trial->context);
	inject(&injector, nth);
	ret = trial->run(&scene, trial->context);
	kind = injected(&injector);
	if (kind == FAULT_NONE) {
		expect_eq(ret, 0);
	} else if (!ret) {
		absorbed[kind]++;
		history[nth - 1] = "spc"[kind];
	} else {
		failed[kind]++;
		history[nth - 1] = "SPC"[kind];
		if (ret != error_of(kind))
			fail("failure %d, of %s: %s", nth, fault_names[kind],
			     strerror(-ret));
		expect_eq(settled_bytes(scene.map), before);
		trial->check_failed(&scene, trial->context);
		expect_eq(run_trial(trial, &scene), 0);
	}
	trial->check_done(&scene, trial->context);
	end_scene(&scene);
	return kind != FAULT_NONE;
}

/* All of them, one after the other; counts them anew. */
static inline void fail_each(const struct trial *trial)
{
	int nth = 1;

	memset(failed, 0, sizeof(failed));
	memset(absorbed, 0, sizeof(absorbed));
	memset(history, 0, sizeof(history));
	while (fail_once(trial, nth))
		expect(nth++ < 1000);
}

static inline bool copies_were(int failing, int harmless)
{
	return !copies_fail() || (failed[FAULT_COPY] == failing &&
				  absorbed[FAULT_COPY] == harmless);
}

/*
 * All of them, after which the condition holds. The slab allocator allocates for
 * itself now and then, and does without if it must: the nth of one call is not
 * always that of the next, one is left out or comes twice, and all is done again.
 */
#define ROUNDS 4
#define fail_each_expect(trial, condition) do {				\
	int rounds = ROUNDS;						\
	bool met;							\
									\
	do {								\
		fail_each(trial);					\
		met = (condition);					\
	} while (!met && --rounds);					\
	if (!met)							\
		fail("%s; slab %d, copies %d and %d harmless: %s",	\
		     #condition, failed[FAULT_SLAB],			\
		     failed[FAULT_COPY], absorbed[FAULT_COPY], history); \
} while (0)

/* An ioctl, whatever its argument. */

static unsigned long request_number;

static inline int run_ioctl(struct scene *scene, const void *context)
{
	(void)context;
	return call(scene->map, request_number, &argument);
}

static inline void check_contents(struct scene *scene, const void *context)
{
	(void)context;
	expect_contents(scene);
}

#endif /* SYNCMAP_TEST_TRIAL_H */
