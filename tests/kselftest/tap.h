/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP for the device tests. Every case runs in a process of its own and under
 * a time limit, so that one that crashes, hangs or leaves descriptors behind
 * cannot spoil the next. A case that returns has passed; a check that fails
 * says where, and ends the case.
 */
#ifndef SYNCMAP_TEST_TAP_H
#define SYNCMAP_TEST_TAP_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TAP_PASS	0
#define TAP_FAIL	1
#define TAP_SKIP	4

/* Many times what a case takes under emulation. */
#define TAP_SECONDS	(60 * patience())

/* How long a killed case may take to go, before it counts as stuck. */
#define TAP_GRACE_MS	(10000 * patience())

/* How many times slower than others this machine is, says who runs the tests. */
static inline int patience(void)
{
	const char *times = getenv("SYNCMAP_PATIENCE");

	return times && atoi(times) > 0 ? atoi(times) : 1;
}

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

struct tap_case {
	const char *name;
	void (*run)(void);
};

/* One write per line, so that lines of several processes do not mix. */
#define diag(format, ...) \
	dprintf(STDOUT_FILENO, "# " format "\n", ##__VA_ARGS__)

/* Ends the process, also from a thread: the case has failed. */
#define fail(format, ...) \
	do { \
		diag("%s, line %d: " format, __func__, __LINE__, \
		     ##__VA_ARGS__); \
		_exit(TAP_FAIL); \
	} while (0)

#define expect(condition) \
	do { \
		if (!(condition)) \
			fail("expected %s", #condition); \
	} while (0)

#define expect_eq(got, want) \
	tap_compare(got, want, #got, __func__, __LINE__)

static inline void tap_compare(long long got, long long want, const char *what,
			       const char *function, int line)
{
	if (got == want)
		return;
	diag("%s, line %d: %s is %lld (0x%llx), expected %lld (0x%llx)",
	     function, line, what, got, got, want, want);
	_exit(TAP_FAIL);
}

/* Memory that is shared with the processes forked later. */
static inline void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		fail("no shared memory: %s", strerror(errno));
	return memory;
}

static inline long long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static inline void nap_ms(long ms)
{
	struct timespec nap = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};

	nanosleep(&nap, NULL);
}

/* Runs work(context, number) in a process that dies with this one. */
static inline pid_t spawn(void (*work)(void *context, int number),
			  void *context, int number)
{
	pid_t child = fork();

	if (child < 0)
		fail("no process: %s", strerror(errno));
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(context, number);
	_exit(TAP_PASS);
}

/*
 * Waits for @count children in whatever order they end. The first that failed
 * ends the case: the others may be waiting for it.
 */
static inline void join(int count)
{
	int status;

	while (count--) {
		if (wait(&status) < 0)
			fail("no child to wait for: %s", strerror(errno));
		if (WIFSIGNALED(status))
			fail("a child died of signal %d", WTERMSIG(status));
		if (WEXITSTATUS(status) != TAP_PASS)
			_exit(WEXITSTATUS(status));
	}
}

static inline void spawn_and_join(void (*work)(void *context, int number),
				  void *context, int count)
{
	int i;

	for (i = 0; i < count; i++)
		spawn(work, context, i);
	join(count);
}

/* Index of the running case, for programs whose cases are rows of a table. */
static int tap_index;

/* A skipped case leaves its reason here for the process that reports it. */
static char *tap_reason;

#define TAP_REASON_SIZE 128

#define skip(format, ...) \
	do { \
		snprintf(tap_reason, TAP_REASON_SIZE, format, \
			 ##__VA_ARGS__); \
		_exit(TAP_SKIP); \
	} while (0)

/* False if the process is still there at the deadline, e.g. stuck in a call. */
static inline bool tap_reap(pid_t child, int *status, long long deadline)
{
	while (!waitpid(child, status, WNOHANG)) {
		if (now_ms() > deadline)
			return false;
		nap_ms(2);
	}
	return true;
}

static inline int tap_verdict(int status)
{
	if (WIFEXITED(status))
		return WEXITSTATUS(status);
	if (WTERMSIG(status) == SIGALRM)
		diag("took more than %d seconds", TAP_SECONDS);
	else
		diag("died of signal %d", WTERMSIG(status));
	return TAP_FAIL;
}

static inline int tap_run_case(const struct tap_case *test)
{
	pid_t child = fork();
	int verdict = TAP_FAIL;
	int status;

	if (child < 0) {
		diag("no process: %s", strerror(errno));
		return TAP_FAIL;
	}
	if (!child) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		alarm(TAP_SECONDS);
		test->run();
		_exit(TAP_PASS);
	}
	setpgid(child, child);
	if (tap_reap(child, &status,
		     now_ms() + TAP_SECONDS * 1000 + TAP_GRACE_MS))
		verdict = tap_verdict(status);
	else
		diag("does not die of SIGALRM: stuck in the kernel?");
	/* Processes that the case left behind hold the device open. */
	kill(-child, SIGKILL);
	return verdict;
}

static inline void tap_report(const struct tap_case *test, int number,
			      int verdict)
{
	if (verdict == TAP_PASS)
		printf("ok %d %s\n", number, test->name);
	else if (verdict == TAP_SKIP)
		printf("ok %d %s # SKIP %s\n", number, test->name,
		       tap_reason);
	else
		printf("not ok %d %s\n", number, test->name);
	fflush(stdout);
}

/* Returns why the device cannot be tested here, or NULL if it can. */
static inline const char *tap_no_device(void)
{
	if (!access("/dev/syncmap", R_OK | W_OK))
		return NULL;
	return errno == ENOENT ? "no /dev/syncmap: load the module first" :
	       "this user may not open /dev/syncmap: run as root";
}

/*
 * Runs the cases of a program and returns its exit code. An argument, if there
 * is one, is a part of the names of the cases to run.
 */
static inline int tap_run(const struct tap_case *cases, int count,
			  int argc, char **argv)
{
	int verdict, planned = 0, number = 0, failed = 0, skipped = 0;
	const char *filter = argc > 1 ? argv[1] : NULL;
	const char *reason = tap_no_device();
	int i;

	for (i = 0; i < count; i++)
		planned += !filter || strstr(cases[i].name, filter);
	printf("TAP version 13\n");
	if (reason) {
		printf("1..0 # SKIP %s\n", reason);
		return TAP_SKIP;
	}
	printf("1..%d\n", planned);
	fflush(stdout);
	tap_reason = shared_memory(TAP_REASON_SIZE);
	for (i = 0; i < count; i++) {
		if (filter && !strstr(cases[i].name, filter))
			continue;
		tap_index = i;
		verdict = tap_run_case(&cases[i]);
		tap_report(&cases[i], ++number, verdict);
		skipped += verdict == TAP_SKIP;
		failed += verdict != TAP_PASS && verdict != TAP_SKIP;
	}
	printf("# passed %d, failed %d, skipped %d\n",
	       planned - failed - skipped, failed, skipped);
	fflush(stdout);
	if (failed || !planned)
		return TAP_FAIL;
	return skipped == planned ? TAP_SKIP : TAP_PASS;
}

#endif /* SYNCMAP_TEST_TAP_H */
