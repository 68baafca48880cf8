// SPDX-License-Identifier: GPL-2.0
/* A full map: EDQUOT, nothing changed, and room again after deleting. */
#include "module.h"
#include "stress.h"
#include "walk.h"

#define MAX_ENTRIES	1000
#define MAX_BYTES	1048576
#define PARAMETERS	"max_entries=1000 max_bytes=1048576"

#define BLOCK		4096

static const char spare_key[] = "one too many";

static const __u32 creating[] = {
	SYNCMAP_CMD_STORE, SYNCMAP_CMD_LOAD_OR_STORE, SYNCMAP_CMD_SWAP,
};

/* 0 or -errno. */
static int try_store(int map, __u32 cmd, struct bytes key, struct bytes value)
{
	struct syncmap_op op = new_op(key);

	set_value(&op, value);
	return call(map, request_of(cmd), &op);
}

static void expect_full(int map, struct bytes key, struct bytes value)
{
	struct dump before = take_dump(map);
	unsigned int i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(creating); i++) {
		ret = try_store(map, creating[i], key, value);
		if (ret != -EDQUOT)
			fail("%s in a full map returned %d",
			     cmd_name(creating[i]), ret);
	}
	expect(!present(map, key));
	expect_unchanged(map, &before);
}

static void limits_in_info(void)
{
	const struct syncmap_info limits = info(open_map());

	expect_eq(limits.max_entries, MAX_ENTRIES);
	expect_eq(limits.max_bytes, MAX_BYTES);
}

static int full_map(void)
{
	int map = open_map();

	fill(map, "key", MAX_ENTRIES);
	expect_eq(stats(map).entries, MAX_ENTRIES);
	return map;
}

static void entry_limit(void)
{
	int map = full_map();

	expect_full(map, text(spare_key), text("value"));
	expect_full(map, text(spare_key), text(""));
	/* Other maps have limits of their own. */
	store(open_map(), text(spare_key), text("value"));
}

static void entry_limit_in_a_batch(void)
{
	int map = open_map();
	struct syncmap_op ops[3] = {
		new_op(text("key 0")), new_op(text(spare_key)),
		new_op(text("key 2")),
	};
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(ops),
		.count = 3,
	};
	int i;

	fill(map, "key", MAX_ENTRIES);
	for (i = 0; i < 3; i++) {
		ops[i].cmd = SYNCMAP_CMD_STORE;
		set_value(&ops[i], text("batched"));
	}
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, 3);
	expect_eq(ops[0].error, 0);
	expect_eq(ops[1].error, -EDQUOT);
	expect_eq(ops[2].error, 0);
	expect(holds(map, text("key 2"), text("batched")));
}

static void existing_keys_in_a_full_map(void)
{
	struct syncmap_op op = new_op(text("key 7"));
	int map = full_map();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(creating); i++)
		expect_eq(try_store(map, creating[i], text("key 7"),
				    text("overwritten")), 0);
	expect(holds(map, text("key 7"), text("overwritten")));
	set_old(&op, text("overwritten"));
	set_value(&op, text("swapped"));
	expect_eq(run_op(map, SYNCMAP_CMD_COMPARE_AND_SWAP, &op),
		  SYNCMAP_RESULT_FOUND | SYNCMAP_RESULT_STORED);
	expect(holds(map, text("key 7"), text("swapped")));
	expect_eq(stats(map).entries, MAX_ENTRIES);
}

static void room_after_deleting(void)
{
	int map = full_map(), i;
	struct label name;

	for (i = 0; i < 3 * MAX_ENTRIES; i++) {
		name = label(i < MAX_ENTRIES ? "key" : "new",
			     i % MAX_ENTRIES);
		if (i < 2 * MAX_ENTRIES)
			expect(delete(map, text(name.text)));
		name = label("new", i % MAX_ENTRIES);
		store(map, text(name.text), text("value"));
		expect_eq(stats(map).entries, MAX_ENTRIES);
	}
	expect_full(map, text(spare_key), text("value"));
}

static void room_after_clear(void)
{
	int map = full_map(), i;

	for (i = 0; i < 20; i++) {
		clear(map);
		fill(map, i % 2 ? "key" : "new", MAX_ENTRIES);
	}
	expect_full(map, text(spare_key), text("value"));
}

/* Workers want more keys than there is room for: exactly the limit get in. */

#define WORKERS		3

struct rush {
	int map;
	int stored[WORKERS];
};

static void rush_in(void *context, int number)
{
	struct rush *rush = context;
	struct label name;
	int i, ret;

	for (i = number; i < 2 * MAX_ENTRIES; i += WORKERS) {
		name = label("key", i);
		ret = try_store(rush->map, creating[i % 3], text(name.text),
				text("value"));
		expect(!ret || ret == -EDQUOT);
		rush->stored[number] += !ret;
		expect(stats(rush->map).entries <= MAX_ENTRIES);
	}
}

static void rush_for_the_last_entries(void)
{
	struct rush *rush = shared_memory(sizeof(*rush));
	struct dump dump;

	rush->map = open_map();
	spawn_and_join(rush_in, rush, WORKERS);
	expect_eq(rush->stored[0] + rush->stored[1] + rush->stored[2],
		  MAX_ENTRIES);
	expect_eq(stats(rush->map).entries, MAX_ENTRIES);
	dump = take_dump(rush->map);
	expect_eq(dump.count, MAX_ENTRIES);
}

/* The limit of bytes */

static unsigned char block[SYNCMAP_VALUE_MAX];

/* Stores values under new keys until there is no room; returns their number. */
static int fill_with(int map, size_t size)
{
	struct label name;
	int i, ret;

	for (i = 0; i < MAX_ENTRIES; i++) {
		name = label("block", i);
		ret = try_store(map, SYNCMAP_CMD_STORE, text(name.text),
				bytes(block, size));
		expect(stats(map).bytes <= MAX_BYTES);
		if (!ret)
			continue;
		expect_eq(ret, -EDQUOT);
		return i;
	}
	fail("%d blocks of %zu bytes fit into %d", i, size, MAX_BYTES);
}

static int fill_with_blocks(int map)
{
	return fill_with(map, BLOCK);
}

static void byte_limit(void)
{
	int map = open_map(), blocks = fill_with_blocks(map);

	diag("%d blocks of %d bytes fit into %d", blocks, BLOCK, MAX_BYTES);
	expect(blocks > MAX_BYTES / BLOCK / 3);
	expect_eq(stats(map).entries, blocks);
	expect_full(map, text(spare_key), bytes(block, BLOCK));
	/* A value that is larger than all the map may have. */
	expect_full(map, text(spare_key), bytes(block, sizeof(block)));
	expect(delete(map, text("block 0")));
	store(map, text("block 0"), bytes(block, BLOCK));
}

/* Half of the blocks go and come back; tables may have grown a little. */
static int replace_half(int map, int blocks, int odd)
{
	struct label name;
	int i, refused = 0;

	for (i = odd; i < blocks; i += 2) {
		name = label("block", i);
		delete(map, text(name.text));
	}
	for (i = odd; i < blocks; i += 2) {
		name = label("block", i);
		refused += try_store(map, SYNCMAP_CMD_STORE, text(name.text),
				     bytes(block, BLOCK)) != 0;
	}
	expect(stats(map).bytes <= MAX_BYTES);
	return refused;
}

static void bytes_after_deleting(void)
{
	int map = open_map(), blocks = fill_with_blocks(map), round, refused;

	for (round = 0; round < 8; round++) {
		refused = replace_half(map, blocks, round % 2);
		if (refused > blocks / 20)
			fail("round %d: %d of %d blocks refused", round,
			     refused, blocks / 2);
	}
}

/*
 * Each overwritten value awaits a grace period and counts until then. A writer
 * that meets the limit waits for that memory, it does not fail.
 */
static void overwriting_waits_for_memory(void)
{
	struct syncmap_stats now;
	__u64 most = 0;
	int map = open_map(), i;

	for (i = 0; i < 300; i++) {
		block[0] = i;
		store(map, text("key"), bytes(block, SYNCMAP_VALUE_MAX));
		now = stats(map);
		expect(now.bytes <= MAX_BYTES);
		if (now.retired_bytes > most)
			most = now.retired_bytes;
	}
	diag("up to %llu bytes awaited a grace period", most);
	expect(holds(map, text("key"), bytes(block, SYNCMAP_VALUE_MAX)));
}

/*
 * So does a batch, also where it is its own values that await theirs: here there
 * is room for one or two besides those that are in the map.
 */
static void overwriting_in_a_batch(void)
{
	enum { OPS = 100, SIZE = 1500 };
	struct syncmap_op ops[OPS];
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(ops),
		.count = OPS,
	};
	int map = open_map(), i;

	fill_with(map, SIZE);
	expect(delete(map, text("block 0")));
	for (i = 0; i < OPS; i++) {
		ops[i] = new_op(text("block 1"));
		ops[i].cmd = SYNCMAP_CMD_STORE;
		set_value(&ops[i], bytes(block, SIZE));
	}
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, OPS);
	for (i = 0; i < OPS; i++) {
		expect_eq(ops[i].error, 0);
		expect_eq(ops[i].result, SYNCMAP_RESULT_STORED);
	}
	expect(stats(map).bytes <= MAX_BYTES);
}

static void clear_in_a_full_map(void)
{
	int map = open_map(), blocks = fill_with_blocks(map), i;

	for (i = 0; i < 10; i++) {
		clear(map);
		expect_eq(stats(map).entries, 0);
		expect(fill_with_blocks(map) >= blocks * 9 / 10);
	}
}

/* A writer that waits for memory can be killed. */
static void overwrite_forever(void *context, int number)
{
	const int map = *(int *)context;

	block[0] = number;
	for (;;)
		store(map, text("key"), bytes(block, SYNCMAP_VALUE_MAX));
}

static void killed_while_waiting(void)
{
	int map = open_map(), round, i;
	pid_t writers[WORKERS];
	long long killed;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < WORKERS; i++)
			writers[i] = spawn(overwrite_forever, &map, i);
		nap_ms(100 + 37 * round);
		killed = now_ms();
		for (i = 0; i < WORKERS; i++)
			kill(writers[i], SIGKILL);
		for (i = 0; i < WORKERS; i++)
			expect_eq(waitpid(writers[i], NULL, 0), writers[i]);
		expect(now_ms() - killed < 3000);
		expect_eq(stats(map).entries, 1);
		store(map, text("key"), text("usable"));
	}
}

/* The cases below load the module with limits of their own. */
static void reload(const char *parameters)
{
	expect_eq(reload_module(parameters), 0);
}

/*
 * The limit is exact: where there is no other key, none is refused, whatever
 * others do with this one at the same time.
 */

#define ONE_KEY		"max_entries=1"
#define TOGETHER	4

struct contest {
	int map;
	int stored[TOGETHER], refused[TOGETHER];
};

static void store_and_delete(void *context, int number)
{
	const long long end = now_ms() + 2 * STRESS_MS;
	struct contest *contest = context;
	int i, ret;

	for (i = number; now_ms() < end; i++) {
		ret = try_store(contest->map, creating[i % 3], text("key"),
				text("value"));
		expect(!ret || ret == -EDQUOT);
		contest->stored[number] += !ret;
		contest->refused[number] += !!ret;
		delete(contest->map, text("key"));
	}
}

static void one_key_and_room_for_one(void)
{
	struct contest *contest = shared_memory(sizeof(*contest));
	int i, stored = 0, refused = 0;

	reload(ONE_KEY);
	contest->map = open_map();
	spawn_and_join(store_and_delete, contest, TOGETHER);
	for (i = 0; i < TOGETHER; i++) {
		stored += contest->stored[i];
		refused += contest->refused[i];
	}
	diag("%d stored, %d refused", stored, refused);
	expect(stored > 1000);
	expect_eq(refused, 0);
	expect_eq(stats(contest->map).entries, 0);
	store(contest->map, text("key"), text("value"));
	expect_full(contest->map, text(spare_key), text("value"));
}

/* EDQUOT is the last word: a promotion afterwards makes no room. */

#define FOUR_MIB	"max_bytes=4194304"
#define MANY_KEYS	40000

static int store_key(int map, int number)
{
	const struct label name = label("key", number);

	return try_store(map, SYNCMAP_CMD_STORE, text(name.text), text(""));
}

/* Stores keys from @number on until there is no room; returns how many. */
static int fill_from(int map, int number)
{
	int i, ret = 0;

	for (i = number; !ret; i++)
		ret = store_key(map, i);
	expect_eq(ret, -EDQUOT);
	return i - 1 - number;
}

/* A walk begins with a promotion; what that frees has a grace period to go. */
static void promote(int map)
{
	struct walk walk = new_walk(map, WALK_BUF_MIN);

	expect(walk_next(&walk));
	end_walk(&walk);
	nap_ms(300);
}

static void no_room_by_a_promotion(void)
{
	int map, i, more, again;

	reload(FOUR_MIB);
	map = open_map();
	for (i = 0; i < MANY_KEYS; i++)
		expect_eq(store_key(map, i), 0);
	promote(map);
	expect(delete(map, text("key 0")));
	/* The first of these makes a dirty table apart from read. */
	more = fill_from(map, MANY_KEYS);
	promote(map);
	again = fill_from(map, MANY_KEYS + more);
	diag("%d keys in 4 MiB, and %d after a promotion", MANY_KEYS + more - 1,
	     again);
	expect(again <= MANY_KEYS / 500);
	expect(stats(map).bytes <= 4 * MAX_BYTES);
}

/*
 * A writer at the limit of its owner waits for what comes back from other maps:
 * after CLEAR for a grace period, after DELETE for the sweep as well.
 */

#define OWNER		"max_owner_bytes=1048576"

static void room_from_another_map(void)
{
	int map, other, blocks, round, i;
	struct label name;

	reload(OWNER);
	map = open_map();
	other = open_map();
	for (round = 0; round < 8; round++) {
		clear(map);
		blocks = fill_with_blocks(map);
		expect(blocks > MAX_BYTES / BLOCK * 4 / 5);
		expect_eq(try_store(other, SYNCMAP_CMD_STORE, text("key"),
				    bytes(block, sizeof(block))), -EDQUOT);
		if (round % 2)
			clear(map);
		/* Few enough for the sweep to wait for a second. */
		for (i = 0; i < blocks / 5 && !(round % 2); i++) {
			name = label("block", i);
			expect(delete(map, text(name.text)));
		}
		store(other, text("key"), bytes(block, sizeof(block)));
		expect(delete(other, text("key")));
	}
	expect(info(map).owner_bytes <= MAX_BYTES);
}

static const struct tap_case cases[] = {
	{ "limits in INFO", limits_in_info },
	{ "entry limit", entry_limit },
	{ "entry limit in a batch", entry_limit_in_a_batch },
	{ "existing keys in a full map", existing_keys_in_a_full_map },
	{ "room after deleting", room_after_deleting },
	{ "room after CLEAR", room_after_clear },
	{ "rush for the last entries", rush_for_the_last_entries },
	{ "byte limit", byte_limit },
	{ "bytes after deleting", bytes_after_deleting },
	{ "overwriting waits for memory", overwriting_waits_for_memory },
	{ "overwriting in a batch waits, too", overwriting_in_a_batch },
	{ "CLEAR in a full map", clear_in_a_full_map },
	{ "killed while waiting for memory", killed_while_waiting },
	{ "one key, where there is room for one", one_key_and_room_for_one },
	{ "no room by a promotion", no_room_by_a_promotion },
	{ "room from another map of the owner", room_from_another_map },
};

int main(int argc, char **argv)
{
	const char *reason = no_loading();
	int ret;

	if (reason) {
		printf("TAP version 13\n1..0 # SKIP %s\n", reason);
		return TAP_SKIP;
	}
	ret = reload_module(PARAMETERS);
	if (ret) {
		printf("Bail out! cannot load the module with %s: %s\n",
		       PARAMETERS, strerror(-ret));
		return TAP_FAIL;
	}
	ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);
	if (reload_module("")) {
		printf("Bail out! cannot load the module with its defaults\n");
		return TAP_FAIL;
	}
	return ret;
}
