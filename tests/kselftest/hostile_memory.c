// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody fills maps until there is no memory left: of a control group, or of
 * the machine. The call fails with ENOMEM; nobody is killed, nothing is lost,
 * and all of it comes back.
 */
#include "group.h"
#include "walk.h"

#define MIB		1048576
#define VALUE		4096

static unsigned char value[SYNCMAP_VALUE_MAX];

/* What the child that is greedy has done, and what the last call said. */
struct greed {
	int map;
	int stored;
	int error;
	int children_ready;
	int over;
};

/*
 * Memory of its own must not be what a process dies of: all that it will touch
 * is there before the group is full.
 */
static void settle_in(void)
{
	expect_eq(mlockall(MCL_CURRENT | MCL_FUTURE), 0);
}

static int try_op(int map, __u32 cmd, struct bytes key, __u32 len)
{
	struct syncmap_op op = new_op(key);

	if (takes_value(cmd))
		set_value(&op, bytes(value, len));
	if (takes_old(cmd))
		set_old(&op, bytes(value, VALUE));
	return call(map, request_of(cmd), &op);
}

static int try_batch(int map, struct bytes key, __u32 len)
{
	struct syncmap_op op = new_op(key);
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(&op),
		.count = 1,
	};

	op.cmd = SYNCMAP_CMD_STORE;
	set_value(&op, bytes(value, len));
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, 1);
	return op.error;
}

/* Stores keys until a call fails; its errno, negative. */
static int store_without_end(int map, const char *prefix, __u32 len,
			     int *stored)
{
	struct label name;
	int ret;

	for (;;) {
		name = label(prefix, *stored);
		ret = try_op(map, SYNCMAP_CMD_STORE, text(name.text), len);
		if (ret)
			return ret;
		++*stored;
	}
}

/* Larger than who fills the map: whom the kernel would kill first. */
static void be_innocent(void *context, int number)
{
	struct greed *greed = context;
	char *memory;

	(void)number;
	join_group();
	memory = mmap(NULL, 6 * MIB, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	expect(memory != MAP_FAILED);
	settle_in();
	__atomic_fetch_add(&greed->children_ready, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&greed->over, __ATOMIC_ACQUIRE))
		nap_ms(5);
}

static void expect_all_stored(int map, const char *prefix, int count,
			      __u32 len)
{
	static unsigned char buf[SYNCMAP_VALUE_MAX];
	struct label name;
	int i;

	for (i = 0; i < count; i++) {
		name = label(prefix, i);
		expect_eq(load(map, text(name.text), buf, sizeof(buf)), len);
		expect(!memcmp(buf, value, len));
	}
}

static void be_greedy(void *context, int number)
{
	const struct bytes first = text("key 0"), new = text("one too many");
	static const __u32 storing[] = {
		SYNCMAP_CMD_STORE, SYNCMAP_CMD_SWAP,
		SYNCMAP_CMD_LOAD_OR_STORE, SYNCMAP_CMD_COMPARE_AND_SWAP,
	};
	struct greed *greed = context;
	long long began, took = 0;
	unsigned int i;
	int more = 0;

	(void)number;
	join_group();
	settle_in();
	greed->error = store_without_end(greed->map, "key", VALUE,
					 &greed->stored);
	expect_eq(greed->error, -ENOMEM);
	/* What is left in caches of the allocator is used up by new keys. */
	expect_eq(store_without_end(greed->map, "more", 60000, &more), -ENOMEM);
	for (i = 0; i < ARRAY_SIZE(storing); i++) {
		began = now_ms();
		expect_eq(try_op(greed->map, storing[i], first, 60000),
			  -ENOMEM);
		took = now_ms() - began > took ? now_ms() - began : took;
	}
	expect_eq(try_batch(greed->map, first, 60000), -ENOMEM);
	diag("a call that fails takes up to %lld ms", took);
	expect(!present(greed->map, new));
	expect_all_stored(greed->map, "key", greed->stored, VALUE);
	/* What needs no memory goes on. */
	expect(delete(greed->map, first));
	expect_eq(stats(greed->map).entries, greed->stored + more - 1);
}

/*
 * Nobody in the group is killed, who is outside can go on with the very map,
 * and nothing stays charged.
 */
static void limit_of_a_group(void)
{
	struct greed *greed = shared_memory(sizeof(*greed));
	int status;
	pid_t child, innocent;

	new_group("20971520");
	greed->map = open_map();
	innocent = spawn(be_innocent, greed, 0);
	while (!__atomic_load_n(&greed->children_ready, __ATOMIC_ACQUIRE))
		nap_ms(5);
	child = spawn(be_greedy, greed, 0);
	expect_eq(waitpid(child, &status, 0), child);
	diag("%d values of %d bytes, then %s; \"max\" %lld, oom_kill %lld",
	     greed->stored, VALUE, strerror(-greed->error),
	     group_events("max"), group_events("oom_kill"));
	expect(WIFEXITED(status) && WEXITSTATUS(status) == TAP_PASS);
	expect_eq(waitpid(innocent, &status, WNOHANG), 0);
	expect_eq(group_events("oom_kill"), 0);
	expect(greed->stored > 256);
	/* Whoever is not in the group is not concerned. */
	expect_eq(try_op(greed->map, SYNCMAP_CMD_STORE, text("key 0"), VALUE),
		  0);
	expect_all_stored(greed->map, "key", greed->stored, VALUE);
	__atomic_store_n(&greed->over, 1, __ATOMIC_RELEASE);
	join(1);
	clear(greed->map);
	expect_group_memory_below(MIB);
	expect_drained_group_below(2 * 65536);
	diag("%lld bytes charged in the end", group_memory());
	store(greed->map, text("key"), text("usable"));
	expect_eq(rmdir(GROUP), 0);
}

/* Groups that are gone, but for what is charged to them. */
static long long dying_groups(void)
{
	return number_in(GROUPS "/cgroup.stat", "nr_dying_descendants");
}

static void fill_in_the_group(void *context, int number)
{
	struct greed *greed = context;
	struct label name;

	(void)number;
	join_group();
	for (; greed->stored < 1000; greed->stored++) {
		name = label("key", greed->stored);
		store(greed->map, text(name.text), bytes(value, VALUE));
	}
}

static void outlives_its_group(void)
{
	struct greed *greed = shared_memory(sizeof(*greed));
	const long long dying = dying_groups();
	const long long end = now_ms() + SETTLE_MS;

	new_group("max");
	greed->map = open_map();
	spawn_and_join(fill_in_the_group, greed, 1);
	expect(group_memory() >= 1000 * VALUE);
	expect_eq(rmdir(GROUP), 0);
	expect_all_stored(greed->map, "key", greed->stored, VALUE);
	fill(greed->map, "key", 500);
	expect_eq(stats(greed->map).entries, 1000);
	clear(greed->map);
	store(greed->map, text("key"), text("usable"));
	while (dying_groups() > dying) {
		if (now_ms() > end)
			fail("%lld groups cannot go", dying_groups());
		nap_ms(20);
	}
}

#define MAPS_MAX	16

static long long kills(void)
{
	return number_in("/proc/vmstat", "oom_kill");
}

static void fill_the_machine(void *context, int number)
{
	int *stored = context, map[MAPS_MAX], maps = 0, i;
	struct label prefix;
	int ret;

	(void)number;
	/* If somebody must die, then not the test. */
	write_file("/proc/self/oom_score_adj", "1000");
	settle_in();
	do {
		expect(maps < MAPS_MAX);
		prefix = label("map", maps);
		map[maps] = open_map();
		ret = store_without_end(map[maps], prefix.text, 32768,
					&stored[maps]);
		maps++;
	} while (ret == -EDQUOT && stored[maps - 1]);
	/* Before anything else can need memory. */
	for (i = 0; i < maps; i++)
		expect_eq(stats(map[i]).entries, stored[i]);
	prefix = label("map", 0);
	expect_all_stored(map[0], prefix.text, 64, 32768);
	for (i = 0; i < maps; i++)
		close(map[i]);
	diag("%d maps, then %s", maps, strerror(-ret));
	if (ret == -EDQUOT)
		skip("the limit of a user is less than the memory here");
	expect_eq(ret, -ENOMEM);
}

static void memory_of_the_machine(void)
{
	int *stored = shared_memory(MAPS_MAX * sizeof(*stored));
	const long long before = kills();
	int total = 0, i;

	spawn_and_join(fill_the_machine, stored, 1);
	for (i = 0; i < MAPS_MAX; i++)
		total += stored[i];
	diag("%d values of 32 KiB stored", total);
	expect_eq(kills(), before);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "limit of a control group", limit_of_a_group },
		{ "a map that outlives its control group",
		  outlives_its_group },
		{ "memory of the machine", memory_of_the_machine },
	};

	memset(value, 1, sizeof(value));
	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
