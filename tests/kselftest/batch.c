// SPDX-License-Identifier: GPL-2.0
/* Many operations in one call: order, results, and where a batch stops. */
#include "good.h"
#include "walk.h"

static struct syncmap_batch new_batch(struct syncmap_op *ops, __u32 count)
{
	return (struct syncmap_batch) {
		.size = sizeof(struct syncmap_batch),
		.ops = address(ops),
		.count = count,
		.done = UNTOUCHED,
	};
}

/* Runs a batch to its end. */
static void run_batch(int map, struct syncmap_op *ops, __u32 count)
{
	struct syncmap_batch batch = new_batch(ops, count);

	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, count);
}

static struct syncmap_op *new_ops(__u32 count)
{
	struct syncmap_op *ops = calloc(count, sizeof(*ops));

	expect(ops);
	return ops;
}

static struct syncmap_op store_op(const char *key, const char *value)
{
	const struct request request = {
		.cmd = SYNCMAP_CMD_STORE,
		.key = text(key),
		.value = text(value),
	};

	return request_op(&request, NULL, 0);
}

static struct syncmap_op load_op(const char *key)
{
	const struct request request = {
		.cmd = SYNCMAP_CMD_LOAD,
		.key = text(key),
	};

	return request_op(&request, NULL, 0);
}

static void no_operations(void)
{
	int map = new_map();
	struct dump before = take_dump(map);

	run_batch(map, NULL, 0);
	expect_unchanged(map, &before);
}

/* Each operation sees what those before it did. */
static void in_order(void)
{
	static const __u32 cmds[] = {
		SYNCMAP_CMD_LOAD, SYNCMAP_CMD_COMPARE_AND_SWAP,
		SYNCMAP_CMD_LOAD_OR_STORE, SYNCMAP_CMD_LOAD_OR_STORE,
		SYNCMAP_CMD_COMPARE_AND_SWAP, SYNCMAP_CMD_LOAD,
		SYNCMAP_CMD_COMPARE_AND_DELETE, SYNCMAP_CMD_LOAD,
		SYNCMAP_CMD_DELETE, SYNCMAP_CMD_SWAP, SYNCMAP_CMD_SWAP,
		SYNCMAP_CMD_LOAD_AND_DELETE, SYNCMAP_CMD_STORE,
		SYNCMAP_CMD_DELETE, SYNCMAP_CMD_DELETE,
	};
	struct request requests[ARRAY_SIZE(cmds)];
	struct syncmap_op ops[ARRAY_SIZE(cmds)];
	struct slot slot = { .live = false };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		requests[i] = (struct request) {
			.cmd = cmds[i],
			.key = text("key"),
			.value = text("value"),
			.old = text("value"),
		};
		ops[i] = request_op(&requests[i], new_buf(64), 64);
	}
	run_batch(open_map(), ops, ARRAY_SIZE(cmds));
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		expect_eq(ops[i].error, 0);
		expect_outcome(&slot, &requests[i], &ops[i]);
		model_apply(&slot, &requests[i]);
	}
}

#define RANDOM_KEYS	16
#define RANDOM_OPS	400
#define RANDOM_ROUNDS	20

static struct request random_request(struct slot *slots, int key,
				     unsigned long long *seed)
{
	static struct label keys[RANDOM_KEYS], values[RANDOM_KEYS];
	const int number = next_random(seed) % RANDOM_KEYS;

	keys[key] = label("key", key);
	values[number] = label("value", number);
	return (struct request) {
		.cmd = next_random(seed) % KEY_COMMANDS,
		.key = text(keys[key].text),
		.value = text(values[number].text),
		.old = slots[key].live && next_random(seed) % 2 ?
			slots[key].value : text("value 3"),
	};
}

/*
 * The model has to run ahead, so that old values can be made to match: each
 * operation gets a copy of what the model holds at its turn.
 */
static void random_batch(int map, struct slot *slots, unsigned long long *seed)
{
	struct request requests[RANDOM_OPS];
	struct slot found[RANDOM_OPS] = { { .live = false } };
	struct slot olds[RANDOM_OPS] = { { .live = false } };
	struct syncmap_op ops[RANDOM_OPS];
	int i, key;

	for (i = 0; i < RANDOM_OPS; i++) {
		key = next_random(seed) % RANDOM_KEYS;
		requests[i] = random_request(slots, key, seed);
		slot_set(&olds[i], requests[i].old);
		requests[i].old = olds[i].value;
		if (slots[key].live)
			slot_set(&found[i], slots[key].value);
		ops[i] = request_op(&requests[i], new_buf(32), 32);
		model_apply(&slots[key], &requests[i]);
	}
	run_batch(map, ops, RANDOM_OPS);
	for (i = 0; i < RANDOM_OPS; i++) {
		expect_eq(ops[i].error, 0);
		expect_outcome(&found[i], &requests[i], &ops[i]);
		slot_clear(&found[i]);
		slot_clear(&olds[i]);
		free((void *)at_address(ops[i].buf));
	}
}

static void random_batches(void)
{
	struct slot slots[RANDOM_KEYS] = { { .live = false } };
	unsigned long long seed = random_seed();
	struct label key;
	int map = open_map();
	int i;

	for (i = 0; i < RANDOM_ROUNDS; i++)
		random_batch(map, slots, &seed);
	for (i = 0; i < RANDOM_KEYS; i++) {
		key = label("key", i);
		check_slot(map, text(key.text), &slots[i]);
	}
}

/* An operation that fails does not stop the others. */
static void failures_in_the_middle(void)
{
	char small[2];
	struct syncmap_op ops[] = {
		store_op("first", "1"),
		store_op("no key", "2"),
		store_op("bad value", "3"),
		store_op("long value", "4"),
		load_op(live_key),
		store_op("flags", "6"),
		store_op("last", "7"),
	};
	static const int errors[] = {
		0, -EINVAL, -EFAULT, -E2BIG, -ENOSPC, -EINVAL, 0,
	};
	int map = new_map();
	const __u64 entries = stats(map).entries;
	unsigned int i;

	ops[1].key_len = 0;
	ops[2].value = 0;
	ops[3].value_len = SYNCMAP_VALUE_MAX + 1;
	set_buf(&ops[4], small, sizeof(small));
	ops[5].flags = 1;
	run_batch(map, ops, ARRAY_SIZE(ops));
	for (i = 0; i < ARRAY_SIZE(ops); i++)
		expect_eq(ops[i].error, errors[i]);
	expect_eq(ops[4].out_len, strlen(live_value));
	expect_eq(stats(map).entries, entries + 2);
	expect(holds(map, text("first"), text("1")));
	expect(holds(map, text("last"), text("7")));
}

/* Only the commands on one key go into a batch. */
static void other_commands_inside(void)
{
	static const __u32 cmds[] = {
		SYNCMAP_CMD_CLEAR, SYNCMAP_CMD_RANGE, SYNCMAP_CMD_BATCH,
		SYNCMAP_CMD_INFO, SYNCMAP_CMD_STATS, SYNCMAP_CMD_STATS + 1,
		0xff, ~0U,
	};
	struct syncmap_op ops[ARRAY_SIZE(cmds) + 1];
	int map = new_map();
	struct dump before = take_dump(map);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		ops[i] = good_op(SYNCMAP_CMD_LOAD);
		ops[i].cmd = cmds[i];
	}
	ops[i] = good_op(SYNCMAP_CMD_LOAD);
	run_batch(map, ops, ARRAY_SIZE(ops));
	for (i = 0; i < ARRAY_SIZE(cmds); i++)
		expect_eq(ops[i].error, -EINVAL);
	expect_eq(ops[i].error, 0);
	expect_unchanged(map, &before);
}

#define RUNNING 5

/* The array runs into a hole after RUNNING elements and @extra bytes. */
static void check_hole(__u32 extra)
{
	const __u32 page = page_size();
	unsigned char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct syncmap_op next = store_op("next", "value");
	struct label keys[RUNNING];
	struct syncmap_batch batch;
	struct syncmap_op *ops;
	int map = open_map();
	int i;

	expect(pages != MAP_FAILED && !munmap(pages + page, page));
	ops = (void *)(pages + page - RUNNING * sizeof(*ops) - extra);
	/* What there is of the next element looks good. */
	memcpy(ops + RUNNING, &next, extra);
	for (i = 0; i < RUNNING; i++) {
		keys[i] = label("key", i);
		ops[i] = store_op(keys[i].text, keys[i].text);
	}
	batch = new_batch(ops, RUNNING + 3);
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), -EFAULT);
	expect_eq(batch.done, RUNNING);
	expect_eq(stats(map).entries, RUNNING);
	for (i = 0; i < RUNNING; i++) {
		expect_eq(ops[i].error, 0);
		expect(ops[i].result & SYNCMAP_RESULT_STORED);
		expect(holds(map, text(keys[i].text), text(keys[i].text)));
	}
}

static void array_with_a_hole(void)
{
	check_hole(0);
	check_hole(4);
	check_hole(sizeof(struct syncmap_op) - 4);
}

/* The second page of the array can be read but not written. */
static void array_partly_read_only(void)
{
	const __u32 page = page_size();
	const __u32 writable = page / sizeof(struct syncmap_op);
	const __u32 count = 2 * writable;
	struct label *keys = calloc(count, sizeof(*keys));
	struct syncmap_op *ops = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct syncmap_batch batch = new_batch(ops, count);
	int map = open_map();
	__u32 i;

	expect(keys && ops != MAP_FAILED);
	for (i = 0; i < count; i++) {
		keys[i] = label("key", i);
		ops[i] = store_op(keys[i].text, keys[i].text);
	}
	expect(!mprotect((char *)ops + page, page, PROT_READ));
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), -EFAULT);
	expect_eq(batch.done, writable);
	for (i = 0; i < count; i++)
		expect_eq(present(map, text(keys[i].text)), i < writable);
}

/* An array of a later version: longer elements, zeros in what is new. */
static void longer_elements(void)
{
	struct longer_op {
		struct syncmap_op op;
		__u64 future;
	} ops[4] = {
		{ store_op("a", "1"), 0 }, { store_op("b", "2"), 1 },
		{ store_op("c", "3"), 0 }, { load_op("a"), 0 },
	};
	int map = open_map();
	int i;

	for (i = 0; i < 4; i++)
		ops[i].op.size = sizeof(ops[i]);
	run_batch(map, &ops[0].op, 4);
	expect_eq(ops[0].op.error, 0);
	expect_eq(ops[1].op.error, -E2BIG);
	expect_eq(ops[2].op.error, 0);
	expect_eq(ops[3].op.result, SYNCMAP_RESULT_FOUND);
	expect_eq(stats(map).entries, 2);
	expect_eq(ops[1].future, 1);
}

/* Sizes that differ: the first one is the distance between the elements. */
static void sizes_that_differ(void)
{
	struct syncmap_op ops[] = {
		store_op("a", "1"), store_op("b", "2"), store_op("c", "3"),
		store_op("d", "4"),
	};
	int map = open_map();

	ops[1].size = sizeof(ops[1]) + 8;
	ops[2].size = 0;
	run_batch(map, ops, ARRAY_SIZE(ops));
	expect_eq(ops[0].error, 0);
	expect_eq(ops[1].error, -EINVAL);
	expect_eq(ops[2].error, -EINVAL);
	expect_eq(ops[3].error, 0);
	expect_eq(stats(map).entries, 2);
}

/* Without a good size in the first element nothing can run. */
static void first_size_wrong(void)
{
	const __u32 page = page_size();
	const struct {
		__u32 size;
		int error;
	} wrong[] = {
		{ 0, -EINVAL }, { 4, -EINVAL }, { 71, -EINVAL },
		{ page + 8, -E2BIG }, { ~0U, -E2BIG },
	};
	struct syncmap_op *ops = new_ops(page);
	struct syncmap_batch batch = new_batch(ops, 2);
	struct syncmap_op other;
	int map = new_map();
	struct dump before;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		before = take_dump(map);
		other = store_op("b", "2");
		ops[0] = store_op("a", "1");
		ops[1] = other;
		ops[0].size = wrong[i].size;
		batch.done = UNTOUCHED;
		expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), wrong[i].error);
		expect_eq(batch.done, 0);
		expect_unchanged(map, &before);
	}
}

static void largest_batch(void)
{
	struct syncmap_op *ops = new_ops(SYNCMAP_BATCH_MAX);
	__u32 *numbers = calloc(SYNCMAP_BATCH_MAX, sizeof(*numbers));
	struct request request = { .cmd = SYNCMAP_CMD_LOAD_OR_STORE };
	const __u32 keys = 1000;
	int map = open_map();
	__u32 i, first;

	expect(numbers);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++) {
		numbers[i] = i % keys;
		request.key = bytes(&numbers[i], sizeof(numbers[i]));
		request.value = request.key;
		ops[i] = request_op(&request, NULL, 0);
	}
	run_batch(map, ops, SYNCMAP_BATCH_MAX);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++) {
		first = i < keys ? SYNCMAP_RESULT_STORED : SYNCMAP_RESULT_FOUND;
		expect_eq(ops[i].error, 0);
		expect_eq(ops[i].result, first);
	}
	expect_eq(stats(map).entries, keys);
}

/* Signals */

static void on_signal(int number)
{
	(void)number;
}

static void send_signals(void *context, int number)
{
	(void)context;
	for (;;) {
		nap_ms(5 + number);
		kill(getppid(), SIGUSR1);
	}
}

/* Operations below @done have run, the others have not been touched. */
static void check_stopped(const struct syncmap_op *ops, __u32 done)
{
	__u32 i;

	for (i = 0; i < done; i++) {
		expect_eq(ops[i].error, 0);
		expect(ops[i].result & SYNCMAP_RESULT_STORED);
	}
	for (; i < SYNCMAP_BATCH_MAX; i++) {
		expect_eq(ops[i].error, UNTOUCHED);
		expect_eq(ops[i].result, UNTOUCHED);
	}
}

static void reset_ops(struct syncmap_op *ops, const __u32 *values)
{
	struct request request = {
		.cmd = SYNCMAP_CMD_STORE,
		.key = text("key"),
	};
	__u32 i;

	for (i = 0; i < SYNCMAP_BATCH_MAX; i++) {
		request.value = bytes(&values[i], sizeof(values[i]));
		ops[i] = request_op(&request, NULL, 0);
	}
}

static void signal_in_a_batch(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct syncmap_op *ops = new_ops(SYNCMAP_BATCH_MAX);
	__u32 *values = calloc(SYNCMAP_BATCH_MAX, sizeof(*values));
	struct syncmap_batch batch = new_batch(ops, SYNCMAP_BATCH_MAX);
	int i, map = open_map(), stopped = 0;

	expect(values);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++)
		values[i] = i;
	expect(!sigaction(SIGUSR1, &action, NULL));
	spawn(send_signals, NULL, 0);
	for (i = 0; i < 50 && stopped < 3; i++) {
		reset_ops(ops, values);
		batch.done = UNTOUCHED;
		expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
		expect(batch.done <= SYNCMAP_BATCH_MAX);
		check_stopped(ops, batch.done);
		if (!batch.done || batch.done == SYNCMAP_BATCH_MAX)
			continue;
		stopped++;
		/* Exactly the operations reported have had an effect. */
		expect(holds(map, text("key"), bytes(&values[batch.done - 1],
						     sizeof(*values))));
	}
	diag("%d of %d batches stopped early", stopped, i);
	expect_eq(stopped, 3);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "no operations", no_operations },
		{ "operations in order", in_order },
		{ "random batches against a model", random_batches },
		{ "failures in the middle", failures_in_the_middle },
		{ "other commands inside", other_commands_inside },
		{ "array with a hole", array_with_a_hole },
		{ "array partly read-only", array_partly_read_only },
		{ "longer elements", longer_elements },
		{ "sizes that differ", sizes_that_differ },
		{ "wrong size of the first element", first_size_wrong },
		{ "65536 operations", largest_batch },
		{ "signal in a batch", signal_in_a_batch },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
