// SPDX-License-Identifier: GPL-2.0
/*
 * Unloading: refused while a file is open, and at any other moment complete,
 * also right after work that still waits for grace periods.
 */
#include <pthread.h>

#include "module.h"
#include "stress.h"
#include "walk.h"

#define RELOADS		20

static void need_module(void)
{
	need_loading();
	if (!module_loaded())
		expect_eq(load_module(""), 0);
}

static void expect_busy(void)
{
	const int ret = unload_module();

	if (!ret)
		fail("the module went in spite of an open file");
	expect(ret == -EAGAIN || ret == -EBUSY);
	expect(module_loaded());
}

static void refused_with_an_open_file(void)
{
	int map, same;

	need_module();
	map = open_map();
	store(map, text("key"), text("value"));
	expect_busy();
	expect(holds(map, text("key"), text("value")));
	same = dup(map);
	close(map);
	expect_busy();
	expect(holds(same, text("key"), text("value")));
	close(same);
	expect_eq(unload_module_soon(), 0);
	expect(!module_loaded());
	expect_eq(access(DEVICE, F_OK), -1);
	expect_eq(load_module(""), 0);
}

static void hold_open(void *context, int number)
{
	*(int *)context = open_map();
	(void)number;
	pause();
}

static void refused_with_a_file_of_another_process(void)
{
	int *opened = shared_memory(sizeof(*opened));
	pid_t child;

	need_module();
	child = spawn(hold_open, opened, 0);
	while (!__atomic_load_n(opened, __ATOMIC_RELAXED))
		nap_ms(1);
	expect_busy();
	kill(child, SIGKILL);
	expect_eq(waitpid(child, NULL, 0), child);
	expect_eq(unload_module_soon(), 0);
	expect_eq(load_module(""), 0);
}

static void unload_right_after_use(void)
{
	int i, map;

	need_module();
	for (i = 0; i < RELOADS; i++) {
		map = open_map();
		fill(map, "key", 200);
		/* Leave something to do for every kind of deferred work. */
		fill(map, "key", 100);
		expect(delete(map, text("key 7")));
		if (i % 3 == 1)
			clear(map);
		if (i % 3 == 2)
			disturb(map, i);
		close(map);
		expect_eq(unload_module(), 0);
		expect(!module_loaded());
		expect_eq(load_module(""), 0);
	}
}

/*
 * Whether to unload it once more under traffic, which takes luck: three times at
 * least, and as often as the torture wants, if it does not take too long.
 */
static bool once_more(int unloaded, long long begun)
{
	const char *const wanted = getenv("SYNCMAP_UNLOADS");

	if (unloaded < 3 || now_ms() < begun + 2 * STRESS_MS)
		return true;
	return wanted && unloaded < atoi(wanted) && now_ms() < begun + 40000;
}

struct traffic {
	int stop;
	int opened;
};

static void open_and_use(void *context, int number)
{
	struct traffic *traffic = context;
	int i, map;

	while (!__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED)) {
		/* Gone, going or coming: anything but a crash. */
		map = try_open(O_RDWR);
		if (map < 0) {
			nap_ms(1);
			continue;
		}
		for (i = 0; i < 20; i++)
			disturb(map, i + number);
		close(map);
		__atomic_fetch_add(&traffic->opened, 1, __ATOMIC_RELAXED);
		nap_ms(1);
	}
}

/* Until it has been unloaded a few times, which takes luck. */
static void unload_under_traffic(void)
{
	struct traffic *traffic = shared_memory(sizeof(*traffic));
	const long long begun = now_ms();
	int unloaded = 0, i;

	need_module();
	for (i = 0; i < 2; i++)
		spawn(open_and_use, traffic, i);
	while (once_more(unloaded, begun)) {
		if (unload_module()) {
			nap_ms(1);
			continue;
		}
		unloaded++;
		expect_eq(load_module(""), 0);
	}
	__atomic_store_n(&traffic->stop, 1, __ATOMIC_RELAXED);
	join(2);
	diag("unloaded %d times, opened %d times", unloaded, traffic->opened);
	expect(traffic->opened > 0);
}

/* The sample in Rust, which has a map of its own and one with a name. */
static const char user[] = "rust_user";

static int load_user(int file)
{
	return syscall(SYS_finit_module, file, "", 0) ? -errno : 0;
}

static int unload_user(void)
{
	return syscall(SYS_delete_module, user, O_NONBLOCK) ? -errno : 0;
}

/* Uses the named map of that module, which is there or not, and makes others. */
static void name_and_use(void *context, int number)
{
	struct traffic *traffic = context;
	const char *const name = number % 2 ? "settings" : "torture";
	int i, map;

	while (!__atomic_load_n(&traffic->stop, __ATOMIC_RELAXED)) {
		map = try_open(O_RDWR);
		if (map < 0) {
			nap_ms(1);
			continue;
		}
		if (!attach(map, name, SYNCMAP_ATTACH_CREATE)) {
			for (i = 0; i < 10; i++)
				disturb(map, i + number);
			store(map, text("sessions"), text("20"));
		}
		if (i % 3 == 0)
			unlink_name(map, name);
		close(map);
		__atomic_fetch_add(&traffic->opened, 1, __ATOMIC_RELAXED);
		nap_ms(3);
	}
}

/* Both modules come and go, while maps with names are made and used. */
static void unload_with_a_user(void)
{
	struct traffic *traffic = shared_memory(sizeof(*traffic));
	const long long begun = now_ms();
	int unloaded = 0, i, file;

	need_module();
	/* A module in Rust needs more of syncmap's build than the machinery has. */
	file = open_module("SYNCMAP_USER_KO", NULL);
	for (i = 0; i < 2; i++)
		spawn(name_and_use, traffic, i);
	spawn(open_and_use, traffic, 2);
	while (once_more(unloaded, begun)) {
		expect_eq(load_user(file), 0);
		/* A user, and it alone, keeps it from going at any rate. */
		expect_eq(unload_module(), -EAGAIN);
		nap_ms(unloaded % 4);
		expect_eq(unload_user(), 0);
		while (unload_module())
			nap_ms(1);
		unloaded++;
		expect_eq(load_module(""), 0);
	}
	__atomic_store_n(&traffic->stop, 1, __ATOMIC_RELAXED);
	join(3);
	diag("unloaded %d times, opened %d times", unloaded, traffic->opened);
	expect(traffic->opened > 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "refused with an open file", refused_with_an_open_file },
		{ "refused with a file of another process",
		  refused_with_a_file_of_another_process },
		{ "unloaded right after use, 20 times",
		  unload_right_after_use },
		{ "unloaded under traffic", unload_under_traffic },
		{ "unloaded with a user, under traffic", unload_with_a_user },
	};
	const int ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);

	/* A case that failed half-way must not take the module from others. */
	if (!no_loading() && !module_loaded())
		load_module("");
	return ret;
}
