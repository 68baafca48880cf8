// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that stop in the middle: between two calls of a walk, by a signal,
 * by a debugger, by the freezer; and a clock that jumps. Others go on, memory
 * comes back, and who stopped goes on when it is let.
 */
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "group.h"
#include "stress.h"
#include "walk.h"

#define KEYS		2000

/* Memory of a map that has held far more, in bytes. */
#define LITTLE		(KEYS * 1000)

static unsigned char value[SYNCMAP_VALUE_MAX];

/* Everything is replaced many times: megabytes, of which nothing must stay. */
static void churn(int map)
{
	struct label name;
	int round, i;

	for (round = 0; round < repeats(2, 50); round++) {
		for (i = 0; i < KEYS; i++) {
			name = label("stay", i);
			store(map, text(name.text), bytes(value, 300));
			name = label("go", i);
			store(map, text(name.text), bytes(value, 3000));
			if (i >= 100) {
				name = label("go", i - 100);
				expect(delete(map, text(name.text)));
			}
		}
		for (i = KEYS - 100; i < KEYS; i++) {
			name = label("go", i);
			expect(delete(map, text(name.text)));
		}
	}
}

static void expect_little(int map)
{
	const long long end = now_ms() + SETTLE_MS;
	struct syncmap_stats now;

	while (now = stats(map), now.bytes > LITTLE || now.retired_bytes) {
		if (now_ms() > end)
			fail("%llu bytes, %llu of them retired", now.bytes,
			     now.retired_bytes);
		nap_ms(10);
	}
}

/* No key that a walk has seen is kept: then the map is as small as a new one. */
static void expect_nothing_held(int map)
{
	const long long end = now_ms() + SETTLE_MS;
	const __u64 empty = stats(open_map()).bytes;

	clear(map);
	while (stats(map).bytes > empty) {
		if (now_ms() > end)
			fail("%llu bytes in an empty map, %llu in a new one",
			     stats(map).bytes, empty);
		nap_ms(10);
	}
}

/* A walk holds nothing between its calls, and ends as if it had not paused. */
static void paused_walk(void)
{
	const struct syncmap_record *record;
	struct label name;
	int map = open_map(), i, met = 0;
	struct walk walk;

	for (i = 0; i < KEYS; i++) {
		name = label("stay", i);
		store(map, text(name.text), bytes(value, 300));
	}
	walk = new_walk(map, WALK_BUF_MIN);
	/* One record at a time. */
	walk.range.buf_len = 400;
	for (i = 0; (record = walk_next(&walk)); i++) {
		met += record->key_len > 4 &&
		       !memcmp(syncmap_record_key(record), "stay", 4);
		if (i != 500)
			continue;
		churn(map);
		expect_little(map);
		/* Not even the key that it is at. */
		expect(delete(map, record_key(record)));
	}
	expect_eq(met, KEYS);
	end_walk(&walk);
	expect_nothing_held(map);
}

/* A thousand of them do not hold more than one. */
static void paused_walks(void)
{
	static struct walk walks[1000];
	int map = open_map(), i;

	churn(map);
	for (i = 0; i < 1000; i++) {
		walks[i] = new_walk(map, WALK_BUF_MIN);
		walks[i].range.buf_len = 400;
		expect(walk_next(&walks[i]));
	}
	churn(map);
	expect_little(map);
	expect_nothing_held(map);
	for (i = 0; i < 1000; i++)
		expect(!walk_next(&walks[i]));
}

/* Uses the map without end; counts its rounds. */
struct worker {
	int map;
	unsigned int rounds;
};

static void work_without_end(void *context, int number)
{
	struct worker *worker = context;

	for (;;) {
		disturb(worker->map, number * 1000 + worker->rounds);
		store(worker->map, text("large"), bytes(value, sizeof(value)));
		if (worker->rounds % 16 == 0)
			clear(worker->map);
		__atomic_fetch_add(&worker->rounds, 1, __ATOMIC_RELAXED);
	}
}

static void expect_going_on(struct worker *worker)
{
	const unsigned int before = worker->rounds;
	const long long end = now_ms() + SETTLE_MS;

	while (__atomic_load_n(&worker->rounds, __ATOMIC_RELAXED) < before + 3) {
		if (now_ms() > end)
			fail("does not go on after round %u", before);
		nap_ms(1);
	}
}

/* @halt and @resume a process in the middle of whatever it does, many times. */
static void halted(void (*halt)(pid_t), void (*resume)(pid_t), int rounds)
{
	struct worker *worker = shared_memory(sizeof(*worker));
	unsigned int seen;
	pid_t child;
	int i;

	worker->map = open_map();
	child = spawn(work_without_end, worker, 0);
	for (i = 0; i < rounds; i++) {
		expect_going_on(worker);
		nap_ms(i % 3);
		halt(child);
		seen = worker->rounds;
		/* The lock is free, and grace periods end. */
		disturb(worker->map, i);
		clear(worker->map);
		expect_little(worker->map);
		if (i % 16 == 0)
			churn(worker->map);
		expect_eq(worker->rounds, seen);
		resume(child);
	}
	expect_going_on(worker);
	halt(child);
	kill(child, SIGKILL);
	expect_eq(waitpid(child, NULL, 0), child);
	expect_little(worker->map);
}

static void halt_by_signal(pid_t child)
{
	int status;

	kill(child, SIGSTOP);
	expect_eq(waitpid(child, &status, WUNTRACED), child);
	expect(WIFSTOPPED(status));
}

static void resume_by_signal(pid_t child)
{
	kill(child, SIGCONT);
}

static void stopped(void)
{
	halted(halt_by_signal, resume_by_signal, repeats(40, 20));
}

static void halt_by_tracer(pid_t child)
{
	int status;

	expect_eq(ptrace(PTRACE_SEIZE, child, 0, 0), 0);
	expect_eq(ptrace(PTRACE_INTERRUPT, child, 0, 0), 0);
	expect_eq(waitpid(child, &status, 0), child);
	expect(WIFSTOPPED(status));
}

static void resume_by_tracer(pid_t child)
{
	expect_eq(ptrace(PTRACE_DETACH, child, 0, 0), 0);
}

static void traced(void)
{
	halted(halt_by_tracer, resume_by_tracer, repeats(40, 20));
}

static void set_frozen(bool frozen)
{
	const long long end = now_ms() + SETTLE_MS;

	expect_eq(write_file(GROUP "/cgroup.freeze", frozen ? "1" : "0"), 0);
	while (number_in(GROUP "/cgroup.events", "frozen") != frozen)
		if (now_ms() > end)
			fail("the group does not %s",
			     frozen ? "freeze" : "thaw");
}

static void halt_by_freezer(pid_t child)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", child);
	expect_eq(write_file(GROUP "/cgroup.procs", number), 0);
	set_frozen(true);
}

static void resume_by_freezer(pid_t child)
{
	(void)child;
	set_frozen(false);
}

static void frozen(void)
{
	new_group("max");
	halted(halt_by_freezer, resume_by_freezer, repeats(40, 20));
	/* Empty, it thaws by itself. */
	expect_eq(rmdir(GROUP), 0);
}

static void set_clock(time_t seconds)
{
	struct timespec now = { .tv_sec = seconds };

	if (clock_settime(CLOCK_REALTIME, &now))
		skip("cannot set the clock: %s", strerror(errno));
}

/* Nothing depends on the time of day. */
static void clock_that_jumps(void)
{
	static const time_t times[] = {
		100000000, 4102444800, 2147483646, 4294967294, 1000000000,
	};
	struct worker *worker = shared_memory(sizeof(*worker));
	const time_t now = time(NULL);
	const long long began = now_ms();
	int map = open_map();
	unsigned int i;
	pid_t child;

	worker->map = open_map();
	child = spawn(work_without_end, worker, 0);
	for (i = 0; i < ARRAY_SIZE(times); i++) {
		set_clock(times[i]);
		expect_going_on(worker);
		churn(map);
		expect_little(map);
	}
	set_clock(now + (now_ms() - began) / 1000);
	kill(child, SIGKILL);
	expect_eq(waitpid(child, NULL, 0), child);
	expect_little(worker->map);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "a walk that pauses", paused_walk },
		{ "a thousand walks that pause", paused_walks },
		{ "stopped by a signal", stopped },
		{ "stopped by a debugger", traced },
		{ "frozen", frozen },
		{ "a clock that jumps", clock_that_jumps },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
