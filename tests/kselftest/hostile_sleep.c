// SPDX-License-Identifier: GPL-2.0
/*
 * The machine sleeps, and wakes up by its clock, while processes use maps, and
 * the workers of the kernel free what they leave.
 */
#include <time.h>

#include "group.h"
#include "stress.h"

#define STATE	"/sys/power/state"
#define WAKEUPS	"/sys/power/wakeup_count"
#define CLOCK	"/sys/class/rtc/rtc0"
#define WORKERS	4
#define KEYS	500

struct load {
	int map;
	/* Counted by each worker in the map as well, in a key of its own. */
	__u64 counts[WORKERS];
	int over;
};

static struct load *load_of;

static struct label key_of(int number)
{
	return label("counter", number);
}

static void work(void *context, int number)
{
	struct load *load = context;
	struct label key = key_of(number);
	__u64 count = 0, seen;
	int other;

	store_number(load->map, text(key.text), 0);
	while (!__atomic_load_n(&load->over, __ATOMIC_ACQUIRE)) {
		expect(load_number(load->map, text(key.text), &seen));
		expect_eq(seen, count);
		expect(compare_and_swap_number(load->map, text(key.text),
					       count, count + 1));
		count++;
		__atomic_store_n(&load->counts[number], count,
				 __ATOMIC_RELEASE);
		disturb(load->map, number * 1000 + count % 1000);
		other = open_map();
		fill(other, "short", 10);
		close(other);
	}
}

/* From here on, what wakes the machine up keeps it from sleeping as well. */
static void take_wakeups(void)
{
	char count[32] = "";
	int file;

	do {
		file = open(WAKEUPS, O_RDONLY | O_CLOEXEC);
		expect(file >= 0);
		expect(read(file, count, sizeof(count) - 1) > 0);
		close(file);
	} while (write_file(WAKEUPS, count));
}

/*
 * 0 or -errno, when the machine is awake again. If its clock rings before it
 * sleeps, as it may where everything is slow, the kernel says EBUSY, since it
 * was told what had woken it up so far; otherwise it would sleep for ever.
 */
static int sleep_for(int seconds)
{
	char wake[16];
	int err = -EBUSY;

	for (; err == -EBUSY && seconds < 100; seconds *= 3) {
		take_wakeups();
		snprintf(wake, sizeof(wake), "+%d", seconds);
		write_file(CLOCK "/wakealarm", "0");
		if (write_file(CLOCK "/wakealarm", wake))
			skip("no clock that wakes the machine");
		err = write_file(STATE, "mem");
	}
	return err;
}

static void need_sleep(void)
{
	char states[64] = "";
	int file = open(STATE, O_RDONLY | O_CLOEXEC);

	if (geteuid())
		skip("not root");
	if (!getenv("SYNCMAP_SLEEP"))
		skip("SYNCMAP_SLEEP does not say that the machine may sleep");
	if (file < 0 || read(file, states, sizeof(states) - 1) < 0 ||
	    !strstr(states, "mem"))
		skip("this kernel cannot sleep");
	close(file);
	if (access(CLOCK "/wakealarm", W_OK))
		skip("no clock that wakes the machine");
}

static void asleep_under_load(void)
{
	__u64 count, total = 0, before_all;
	struct timespec before, after;
	struct label name;
	int i, round;

	need_sleep();
	before_all = owner_bytes();
	load_of = shared_memory(sizeof(*load_of));
	load_of->map = open_map();
	fill(load_of->map, "key", KEYS);
	for (i = 0; i < WORKERS; i++)
		spawn(work, load_of, i);
	for (round = 0; round < repeats(2, 10); round++) {
		nap_ms(200);
		clock_gettime(CLOCK_BOOTTIME, &before);
		expect_eq(sleep_for(2), 0);
		clock_gettime(CLOCK_BOOTTIME, &after);
		diag("away for %lld s", (long long)(after.tv_sec -
						   before.tv_sec));
	}
	nap_ms(200);
	__atomic_store_n(&load_of->over, 1, __ATOMIC_RELEASE);
	join(WORKERS);
	for (i = 0; i < WORKERS; i++) {
		name = key_of(i);
		expect(load_number(load_of->map, text(name.text), &count));
		expect_eq(count, load_of->counts[i]);
		total += count;
	}
	diag("%llu rounds of %d processes", total, WORKERS);
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		expect(holds(load_of->map, text(name.text), text(name.text)));
	}
	close(load_of->map);
	expect_owner_bytes_fall(before_all);
}

/* What was retired before the machine slept, and is due while it does. */
static void retired_before_sleep(void)
{
	static unsigned char value[SYNCMAP_VALUE_MAX];
	struct label name;
	__u64 before_all;
	int map, i;

	need_sleep();
	before_all = owner_bytes();
	map = open_map();
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		store(map, text(name.text), bytes(value, 4000));
	}
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		expect(delete(map, text(name.text)));
	}
	expect_eq(sleep_for(2), 0);
	store(map, text("key"), text("value"));
	expect(holds(map, text("key"), text("value")));
	close(map);
	expect_owner_bytes_fall(before_all);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "asleep under load", asleep_under_load },
		{ "retired before sleep", retired_before_sleep },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
