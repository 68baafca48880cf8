/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failures that the kernel injects into the calls of one thread: its n-th
 * allocation or user copy fails (/proc/thread-self/fail-nth). Which it was is
 * told by the kernel's own counters.
 */
#ifndef SYNCMAP_TEST_INJECT_H
#define SYNCMAP_TEST_INJECT_H

#include <fcntl.h>

#include "tap.h"

#define FAULTS		"/sys/kernel/debug/"
#define FAIL_NTH	"/proc/thread-self/fail-nth"

enum fault { FAULT_SLAB, FAULT_PAGE, FAULT_COPY, FAULT_KINDS, FAULT_NONE };

/* The folders of what can fail; a kernel need not have all. */
static const char *const fault_names[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

/* Each failure takes one of these away. */
#define FAULT_TIMES	1000000000

struct injector {
	int nth;
	/* The counters, -1 for what the kernel does not have. */
	long left[FAULT_KINDS];
};

static inline int fault_open(enum fault kind, const char *name)
{
	char path[96];

	snprintf(path, sizeof(path), FAULTS "%s/%s", fault_names[kind], name);
	return open(path, O_RDWR | O_CLOEXEC);
}

/* True if the kernel has this, and took it. */
static inline bool fault_set(enum fault kind, const char *name,
			     const char *value)
{
	int file = fault_open(kind, name);
	bool done;

	if (file < 0)
		return false;
	done = write(file, value, strlen(value)) == (ssize_t)strlen(value);
	close(file);
	return done;
}

static inline bool fault_exists(enum fault kind)
{
	return fault_set(kind, "verbose", "0");
}

/* Why nothing can be made to fail here, or NULL if it can. */
static inline const char *no_injection(void)
{
	if (access(FAIL_NTH, W_OK))
		return "this kernel has no " FAIL_NTH;
	if (!fault_exists(FAULT_SLAB))
		return "there is no " FAULTS "failslab to be set";
	return NULL;
}

/*
 * Allocations that may sleep are let fail as well, quietly. Pages only if
 * @pages: the slab allocator asks for some whenever it has none left, and so
 * calls would not fail in the same places again.
 */
static inline void set_up_faults(bool pages)
{
	fault_set(FAULT_SLAB, "verbose", "0");
	fault_set(FAULT_SLAB, "ignore-gfp-wait", "N");
	fault_set(FAULT_PAGE, "verbose", "0");
	fault_set(FAULT_PAGE, "ignore-gfp-wait", pages ? "N" : "Y");
	fault_set(FAULT_PAGE, "min-order", pages ? "0" : "30");
	fault_set(FAULT_COPY, "verbose", "0");
}

/* -1 if the kernel does not have this. The file tells its number once. */
static inline long fault_left(enum fault kind)
{
	int file = fault_open(kind, "times");
	char text[24] = "";

	if (file < 0)
		return -1;
	if (read(file, text, sizeof(text) - 1) <= 0)
		fail("the counter of %s cannot be read", fault_names[kind]);
	close(file);
	return strtol(text, NULL, 10);
}

/* An injector for the calling thread. */
static inline struct injector new_injector(void)
{
	struct injector injector = { .nth = open(FAIL_NTH, O_RDWR | O_CLOEXEC) };
	char times[16];
	int kind;

	if (injector.nth < 0)
		fail("%s: %s", FAIL_NTH, strerror(errno));
	snprintf(times, sizeof(times), "%d", FAULT_TIMES);
	for (kind = 0; kind < FAULT_KINDS; kind++) {
		fault_set(kind, "times", times);
		injector.left[kind] = fault_left(kind);
	}
	return injector;
}

/* Lets the @nth allocation or user copy from now on fail. */
static inline void inject(struct injector *injector, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);

	if (pwrite(injector->nth, text, len, 0) != len)
		fail("%s cannot be set", FAIL_NTH);
}

/*
 * Lets nothing fail any more. False if the failure was still to come: it has
 * then met this function, which tries again.
 */
static inline bool withdraw(struct injector *injector)
{
	bool first = true;

	while (pwrite(injector->nth, "0", 1, 0) != 1)
		first = false;
	return first;
}

/* Withdraws, and tells what has failed since inject(). */
static inline enum fault injected(struct injector *injector)
{
	bool met = withdraw(injector);
	enum fault seen = FAULT_NONE;
	int kind, count = 0;
	long left;

	for (kind = 0; kind < FAULT_KINDS; kind++) {
		left = fault_left(kind);
		if (left == injector->left[kind])
			continue;
		count += injector->left[kind] - left;
		injector->left[kind] = left;
		seen = kind;
	}
	if (count > 1)
		fail("%d failures where there should be one", count);
	return met ? seen : FAULT_NONE;
}

#endif /* SYNCMAP_TEST_INJECT_H */
