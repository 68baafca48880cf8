/* SPDX-License-Identifier: GPL-2.0 */
/* How the benchmark of system calls gives up, and its two clocks. */
#ifndef SYNCMAP_BENCH_BASE_H
#define SYNCMAP_BENCH_BASE_H

#define _GNU_SOURCE

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdnoreturn.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* Ends the program with a sentence. */
#define die(format, ...) \
	do { \
		fprintf(stderr, "bench_syscall: " format "\n", ##__VA_ARGS__); \
		exit(1); \
	} while (0)

static void *zeroed(size_t count, size_t size)
{
	void *memory = calloc(count, size);

	if (!memory)
		die("no memory for %zu times %zu bytes; give the guest more",
		    count, size);
	return memory;
}

/* For what takes long: nanoseconds. */
static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

/*
 * For single calls: ticks.  On User Mode Linux reading the clock is a system
 * call itself, so where the processor has a counter that is used.
 */
static inline uint64_t ticks(void)
{
#ifdef __x86_64__
	uint32_t low, high;

	__asm__ __volatile__("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	return now_ns();
#endif
}

static double ns_per_tick = 1;

/* Compares the two clocks for a twentieth of a second. */
static void calibrate_ticks(void)
{
	const uint64_t start_ns = now_ns(), start = ticks();
	uint64_t end_ns, end;

	do {
		end_ns = now_ns();
		end = ticks();
	} while (end_ns - start_ns < 50000000);
	if (end <= start)
		die("the processor's time stamp counter does not advance");
	ns_per_tick = (double)(end_ns - start_ns) / (end - start);
}

#endif /* SYNCMAP_BENCH_BASE_H */
