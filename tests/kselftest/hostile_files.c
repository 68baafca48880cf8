// SPDX-License-Identifier: GPL-2.0
/*
 * As many files as processes can open. The maps of a user, empty ones too,
 * cannot have more memory than the user may; others have theirs; and all of it
 * comes back.
 */
#include <sys/resource.h>
#include <sys/stat.h>

#include "hostile.h"
#include "module.h"
#include "stress.h"

#define MIB		1048576
#define PARAMETERS	"max_owner_bytes=4194304 max_names=10"
#define BOMBERS		8

/* Bytes of an open file that do not count: those of any file, of any kind. */
#define OF_THE_FILE	1000

#define NOBODY		65534

/*
 * Memory of the slab allocator, which all of it is. What is free is no measure:
 * pages that processors keep for themselves do not count there.
 */
static long long slab_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	long long kb = -1;
	char line[128];

	expect(file);
	while (kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Slab: %lld", &kb);
	fclose(file);
	expect(kb >= 0);
	return kb;
}

/* Whether @path has a line with @text in it. */
static bool file_has(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	bool found = false;
	char line[256];

	while (file && !found && fgets(line, sizeof(line), file))
		found = strstr(line, text);
	if (file)
		fclose(file);
	return found;
}

/* Such kernels put zones around everything. */
static bool kernel_has_kasan(void)
{
	return file_has("/proc/kallsyms", " kasan_report\n");
}

static bool is_user_mode_linux(void)
{
	return file_has("/proc/cpuinfo", "User Mode Linux");
}

static void allow_files(rlim_t count)
{
	struct rlimit limit = { count, count };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		skip("cannot have %ld files: %s", (long)count,
		     strerror(errno));
}

static void close_from(int first)
{
	expect_eq(syscall(SYS_close_range, first, ~0U, 0), 0);
}

/* Waits until the machine has so much memory again. */
static void expect_memory_back(long long before_kb, long long slack_kb)
{
	const long long end = now_ms() + SETTLE_MS;

	while (slab_kb() > before_kb + slack_kb) {
		if (now_ms() > end)
			fail("%lld kB in slabs, %lld before", slab_kb(),
			     before_kb);
		nap_ms(20);
	}
}

/* What an open file costs, and what of it counts for its owner. */
static void as_many_as_there_can_be(void)
{
	const int count = repeats(10000, 10);
	long long before, during, held, began;
	__u64 bytes, owned;
	int i, first;

	alarm(TAP_SECONDS * repeats(1, 5));
	allow_files(count + 100);
	bytes = owner_bytes();
	before = slab_kb();
	began = now_ms();
	first = open_map();
	for (i = 1; i < count; i++)
		if (try_open(O_RDWR) < 0)
			fail("file %d: %s", i, strerror(errno));
	during = slab_kb();
	owned = info(first).owner_bytes - bytes;
	diag("%d files in %lld ms: %lld bytes each, of which %llu count",
	     count, now_ms() - began, (during - before) * 1024 / count,
	     owned / count);
	if (!kernel_has_kasan())
		expect((during - before) * 1024 / count <
		       (long long)owned / count + OF_THE_FILE);
	store(first + count - 1, text("key"), text("value"));
	began = now_ms();
	close_from(first);
	diag("closed in %lld ms", now_ms() - began);
	expect_owner_bytes_fall(bytes);
	/* The allocator keeps some, but the next ones make do with that. */
	held = during - before;
	expect_memory_back(before, held / 2 + 8192);
	before = slab_kb();
	for (i = 0; i < count; i++)
		expect(try_open(O_RDWR) >= 0);
	close_from(first);
	expect_owner_bytes_fall(bytes);
	expect_memory_back(before, held / 5 + 2048);
}

/* A map in which something awaits its grace period, and that has two tables. */
static void use(int map)
{
	store(map, text("key"), text("value"));
	expect(present(map, text("key")));
	expect(delete(map, text("key")));
	store(map, text("new"), text("value"));
	expect_eq(stats(map).amended, 1);
}

/*
 * A process that ends closes its files one after the other: they shall not wait
 * for a grace period each.
 */
static void many_maps_in_use(void)
{
	const int count = repeats(1000, 10), some = 10;
	long long began, each;
	__u64 bytes;
	int i, map, first;

	if (is_user_mode_linux())
		skip("irq_work_sync() waits for a grace period here");
	alarm(TAP_SECONDS * repeats(1, 5));
	allow_files(count + 100);
	bytes = owner_bytes();
	began = now_ms();
	for (i = 0; i < some; i++) {
		map = open_map();
		use(map);
		close(map);
	}
	each = (now_ms() - began) / some;
	first = open_map();
	for (i = 1; i < count; i++)
		expect(try_open(O_RDWR) >= 0);
	for (i = 0; i < count; i++)
		use(first + i);
	began = now_ms();
	close_from(first);
	diag("one is closed in %lld ms, %d are in %lld ms", each, count,
	     now_ms() - began);
	expect(now_ms() - began < 1000 + each * count / 5);
	expect_owner_bytes_fall(bytes);
}

/* What the bombers have opened, and what stopped them. */
struct bomb {
	int opened[BOMBERS];
	int error[BOMBERS];
	int ready, over;
};

static void open_without_end(void *context, int number)
{
	struct bomb *bomb = context;
	int file;

	allow_files(65536);
	do {
		file = try_open(O_RDWR);
		if (file < 0)
			break;
		bomb->opened[number]++;
	} while (true);
	bomb->error[number] = file;
	__atomic_fetch_add(&bomb->ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&bomb->over, __ATOMIC_ACQUIRE))
		nap_ms(5);
}

static void start_bombs(struct bomb *bomb)
{
	int i;

	for (i = 0; i < BOMBERS; i++)
		spawn(open_without_end, bomb, i);
	while (__atomic_load_n(&bomb->ready, __ATOMIC_ACQUIRE) < BOMBERS)
		nap_ms(5);
}

/* For somebody else, all is as usual. */
static void be_somebody_else(void *context, int number)
{
	int map;

	(void)context;
	(void)number;
	expect_eq(setgid(NOBODY), 0);
	expect_eq(setuid(NOBODY), 0);
	map = open_map();
	disturb(map, 0);
	fill(map, "key", 1000);
	expect_eq(attach(map, "of-nobody", SYNCMAP_ATTACH_CREATE), 0);
	expect_eq(unlink_name(map, "of-nobody"), 0);
}

static void more_than_the_owner_may(void)
{
	struct bomb *bomb = shared_memory(sizeof(*bomb));
	long long before, during;
	struct syncmap_info now;
	int map, i, total = 0;
	__u64 bytes;

	need_loading();
	expect_eq(reload_module(PARAMETERS), 0);
	chmod(DEVICE, 0666);
	map = open_map();
	bytes = owner_bytes();
	before = slab_kb();
	start_bombs(bomb);
	during = slab_kb();
	for (i = 0; i < BOMBERS; i++) {
		expect_eq(bomb->error[i], -EDQUOT);
		total += bomb->opened[i];
	}
	now = info(map);
	diag("%d files in %d processes: %llu of %llu bytes, %lld kB", total,
	     BOMBERS, now.owner_bytes, now.max_owner_bytes, during - before);
	expect(now.owner_bytes <= now.max_owner_bytes);
	expect(now.owner_bytes > now.max_owner_bytes * 9 / 10);
	/* Besides, there are the processes, and their tables of files. */
	expect(during - before <
	       (4 * MIB + total * OF_THE_FILE) / 1024 + BOMBERS * 512);
	expect_eq(try_open(O_RDWR), -EDQUOT);
	spawn_and_join(be_somebody_else, NULL, 1);
	__atomic_store_n(&bomb->over, 1, __ATOMIC_RELEASE);
	join(BOMBERS);
	expect_owner_bytes_fall(bytes);
	fill(map, "key", 1000);
}

/* Many are killed while they open and fill. */
static void killed_while_opening(void)
{
	struct bomb *bomb = shared_memory(sizeof(*bomb));
	int children[BOMBERS], round, i;
	__u64 bytes;

	need_loading();
	expect_eq(reload_module(PARAMETERS), 0);
	bytes = owner_bytes();
	for (round = 0; round < repeats(5, 20); round++) {
		for (i = 0; i < BOMBERS; i++)
			children[i] = spawn(open_without_end, bomb, i);
		nap_ms(10 + 10 * (round % 5));
		for (i = 0; i < BOMBERS; i++) {
			kill(children[i], SIGKILL);
			expect_eq(waitpid(children[i], NULL, 0), children[i]);
		}
		expect_owner_bytes_fall(bytes);
	}
}

/* Names hold maps, though nobody has the files open any more. */
static void names_without_end(void)
{
	struct syncmap_info now;
	struct label name;
	int map, i, ret;
	__u64 bytes;

	need_loading();
	expect_eq(reload_module(PARAMETERS), 0);
	bytes = owner_bytes();
	for (i = 0; ; i++) {
		expect(i <= 10);
		map = open_map();
		store(map, text("key"), text("value"));
		snprintf(name.text, sizeof(name.text), "name-%d", i);
		ret = attach(map, name.text, SYNCMAP_ATTACH_CREATE);
		close(map);
		if (ret)
			break;
	}
	expect_eq(ret, -EDQUOT);
	expect_eq(i, 10);
	map = open_map();
	now = info(map);
	expect_eq(now.names, 10);
	while (i--) {
		snprintf(name.text, sizeof(name.text), "name-%d", i);
		expect_eq(unlink_name(map, name.text), 0);
	}
	expect_eq(info(map).names, 0);
	close(map);
	expect_owner_bytes_fall(bytes);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "as many files as there can be", as_many_as_there_can_be },
		{ "many maps in use", many_maps_in_use },
		{ "more files than the owner may have",
		  more_than_the_owner_may },
		{ "killed while they open files", killed_while_opening },
		{ "names without end", names_without_end },
	};
	const int ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);

	/* With the usual limits, for those who come next. */
	if (!no_loading())
		reload_module("");
	return ret;
}
