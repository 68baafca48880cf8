/* SPDX-License-Identifier: GPL-2.0 */
/* The demo's verdict, its clock and its processes. */
#ifndef SYNCMAP_DEMO_BASE_H
#define SYNCMAP_DEMO_BASE_H

#define _GNU_SOURCE

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/types.h>

/* Why a child gives up, for the parent to print; in shared memory. */
struct failure {
	int taken;
	char reason[256];
};

static struct failure *failure;
static pid_t main_process;

static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		printf("demo: FAIL: no memory to share with the readers\n");
		exit(1);
	}
	return memory;
}

static noreturn void give_up(const char *reason)
{
	if (getpid() == main_process) {
		printf("\ndemo: FAIL: %s\n", reason);
		exit(1);
	}
	/* The first reason counts, the others may follow from it. */
	if (!__atomic_exchange_n(&failure->taken, 1, __ATOMIC_ACQ_REL))
		snprintf(failure->reason, sizeof(failure->reason), "%s",
			 reason);
	_exit(1);
}

/* Ends the demo with the reason, from whichever process finds it. */
#define failed(format, ...) \
	do { \
		char *reason_; \
		\
		if (asprintf(&reason_, format, ##__VA_ARGS__) < 0) \
			give_up("no memory"); \
		give_up(reason_); \
	} while (0)

static void *allocate(size_t count, size_t size)
{
	void *memory = calloc(count + !count, size);

	if (!memory)
		failed("no memory for the input");
	return memory;
}

static pid_t start_process(void (*work)(void *context, int number),
			   void *context, int number)
{
	pid_t child;

	/* Or the child would print what is still in the buffer, too. */
	fflush(stdout);
	child = fork();
	if (child < 0)
		failed("no process: %s", strerror(errno));
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	work(context, number);
	_exit(0);
}

/* Waits for a child; one that failed ends the demo, and with it the others. */
static void wait_for_process(void)
{
	int status;

	if (wait(&status) < 0)
		failed("lost a process: %s", strerror(errno));
	if (WIFSIGNALED(status))
		failed("a process died of signal %d", WTERMSIG(status));
	if (WEXITSTATUS(status))
		failed("%s", failure->reason);
}

static __u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void nap_ms(long ms)
{
	struct timespec nap = {
		.tv_sec = ms / 1000,
		.tv_nsec = ms % 1000 * 1000000,
	};

	nanosleep(&nap, NULL);
}

/* A small generator; the state is its only memory. */
static __u32 next_random(__u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545F4914F6CDD1DULL) >> 32;
}

#endif /* SYNCMAP_DEMO_BASE_H */
