/* SPDX-License-Identifier: GPL-2.0 */
/* A memory control group, for the tests that fill one. */
#ifndef SYNCMAP_TEST_GROUP_H
#define SYNCMAP_TEST_GROUP_H

#include <sys/stat.h>

#include "hostile.h"

#define GROUPS	"/sys/fs/cgroup"
#define GROUP	GROUPS "/syncmap-test"

/* 0 or -errno. */
static inline int write_file(const char *path, const char *string)
{
	int file = open(path, O_WRONLY | O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	ret = write(file, string, strlen(string)) < 0 ? -errno : 0;
	close(file);
	return ret;
}

/* The number behind @name in a file of names and numbers; -1 without one. */
static inline long long number_in(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	long long number, found = -1;
	char line[128], seen[64];

	if (!file)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), file))
		if (sscanf(line, "%63s %lld", seen, &number) == 2 &&
		    !strcmp(seen, name))
			found = number;
	fclose(file);
	return found;
}

static inline long long group_memory(void)
{
	FILE *file = fopen(GROUP "/memory.current", "r");
	long long number;

	expect(file && fscanf(file, "%lld", &number) == 1);
	fclose(file);
	return number;
}

/* How often something has happened to the group: "max", "oom_kill". */
static inline long long group_events(const char *name)
{
	const long long number = number_in(GROUP "/memory.events", name);

	expect(number >= 0);
	return number;
}

/* Makes the group, whose processes may have @limit bytes, or "max". */
static inline void new_group(const char *limit)
{
	if (geteuid())
		skip("not root");
	if (write_file(GROUPS "/cgroup.subtree_control", "+memory"))
		skip("no memory controller of cgroup2 in %s", GROUPS);
	rmdir(GROUP);
	if (mkdir(GROUP, 0755))
		skip("cannot make %s: %s", GROUP, strerror(errno));
	if (write_file(GROUP "/memory.max", limit))
		skip("cannot limit the memory of %s", GROUP);
}

static inline void join_group(void)
{
	expect_eq(write_file(GROUP "/cgroup.procs", "0"), 0);
}

static inline void expect_group_memory_below(long long most)
{
	const long long end = now_ms() + SETTLE_MS;

	while (group_memory() > most) {
		if (now_ms() > end)
			fail("%lld bytes are still charged", group_memory());
		nap_ms(20);
	}
}

/*
 * What is kept for each CPU is given back when the limit falls, and is kept anew
 * by whatever is freed after that: hence each time.
 */
static inline void expect_drained_group_below(long long most)
{
	const long long end = now_ms() + SETTLE_MS;

	while (write_file(GROUP "/memory.high", "0"), group_memory() > most) {
		if (now_ms() > end)
			fail("%lld bytes are still charged", group_memory());
		nap_ms(20);
	}
}

#endif /* SYNCMAP_TEST_GROUP_H */
