// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every user copy of every operation on a key fails once, by the
 * kernel's fail-nth: the error is ENOMEM or EFAULT, nothing has changed, no
 * memory is lost, and the same call then works. For kernels that can inject
 * failures.
 */
#define _GNU_SOURCE

#include "trial.h"

static const char *const situation_names[] = {
	"in an empty map", "new", "new beside a dirty table", "in read",
	"in dirty", "deleted", "expunged",
};

/* Operations on one key */

struct operation {
	__u32 cmd;
	enum situation situation;
	struct sizes sizes;
};

static struct request operation_request(const struct operation *operation,
					const struct scene *scene)
{
	return (struct request) {
		.cmd = operation->cmd,
		.key = scene->keys[0],
		.value = bytes(new_block, operation->sizes.new),
		.old = bytes(old_block, operation->sizes.old),
	};
}

static void set_operation(struct scene *scene, const void *context)
{
	const struct operation *operation = context;

	set_scene(scene, operation->situation, &operation->sizes);
}

static void prepare_operation(struct scene *scene, const void *context)
{
	const struct operation *operation = context;
	const struct request request = operation_request(operation, scene);

	memset(result_buf, 0xc5, operation->sizes.old + CANARY);
	argument.op = request_op(&request, result_buf, operation->sizes.old);
	request_number = request_of(operation->cmd);
}

/* Nothing looks as if it had come to pass. */
static void check_operation_failed(struct scene *scene, const void *context)
{
	(void)context;
	expect(argument.op.result == UNTOUCHED || !argument.op.result);
	expect(argument.op.out_len == UNTOUCHED || !argument.op.out_len);
	expect_contents(scene);
}

static void check_operation_done(struct scene *scene, const void *context)
{
	const struct operation *operation = context;
	const struct request request = operation_request(operation, scene);

	expect_outcome(&scene->slots[0], &request, &argument.op);
	model_apply(&scene->slots[0], &request);
	expect_contents(scene);
}

static bool is_live(const struct operation *operation)
{
	return operation->situation == IN_READ ||
	       operation->situation == IN_DIRTY;
}

/*
 * Key, value, old value, result buffer and results are copied, each once, but
 * that LOAD_OR_STORE reports what it has found after what it wanted to do. The
 * struct is read again if it cannot be read at once, and of nothing there is
 * no copy that could fail.
 */
static bool copies_were_of(const struct operation *operation)
{
	const struct sizes *sizes = &operation->sizes;
	const __u32 cmd = operation->cmd;
	int copies = 2, empty = 0;

	if (takes_value(cmd))
		*(sizes->new ? &copies : &empty) += 1;
	if (takes_old(cmd))
		*(sizes->old ? &copies : &empty) += 1;
	if (takes_buf(cmd) && is_live(operation))
		*(sizes->old ? &copies : &empty) += 1;
	copies += cmd == SYNCMAP_CMD_LOAD_OR_STORE && is_live(operation);
	return copies_were(copies, 1 + empty);
}

/*
 * The value, and the entry of a new key. Memory that is more than a page, and
 * that for the old value, is asked for twice, so one failure does not show.
 * Deletes and lookups ask for none.
 */
static bool allocations_were_of(const struct operation *operation)
{
	const struct sizes *sizes = &operation->sizes;
	const __u32 cmd = operation->cmd;
	int least = 0;

	least += takes_value(cmd) && sizes->new < page_size() / 2;
	least += takes_value(cmd) && !takes_old(cmd) &&
		 operation->situation <= NEW_BESIDE_DIRTY;
	return takes_value(cmd) ? failed[FAULT_SLAB] >= least :
				  !failed[FAULT_SLAB];
}

static void fail_operation(const struct operation *operation)
{
	const struct trial trial = {
		.set = set_operation,
		.prepare = prepare_operation,
		.run = run_ioctl,
		.check_failed = check_operation_failed,
		.check_done = check_operation_done,
		.context = operation,
	};

	fail_each_expect(&trial, copies_were_of(operation) &&
			 allocations_were_of(operation));
	diag("%s, key of %u bytes %s, values of %u and %u: %s",
	     cmd_name(operation->cmd), operation->sizes.key,
	     situation_names[operation->situation], operation->sizes.old,
	     operation->sizes.new, history);
}

static void operations_on_all_keys(void)
{
	struct operation operation = { .sizes = usual };
	__u64 before;
	int witness;

	begin_faults(false);
	witness = open_map();
	before = info(witness).owner_bytes;
	for (operation.cmd = 0; operation.cmd < KEY_COMMANDS; operation.cmd++)
		for (operation.situation = 0; operation.situation < SITUATIONS;
		     operation.situation++)
			fail_operation(&operation);
	expect_owner_bytes(witness, before);
}

/* Pages can be as large as the largest value. */
static __u32 at_most_a_block(__u32 len)
{
	return len < BLOCK ? len : BLOCK;
}

static void operations_of_all_sizes(void)
{
	const __u32 page = page_size();
	const struct sizes sizes[] = {
		{ 1, 0, 0 }, { 1, 1, 0 }, { SYNCMAP_KEY_MAX, 0, 1 },
		{ 8, page - 64, page },
		{ 8, at_most_a_block(page + 1), at_most_a_block(2 * page) },
		{ SYNCMAP_KEY_MAX, BLOCK, BLOCK },
	};
	static const enum situation situations[] = {
		NEW, IN_READ, EXPUNGED,
	};
	struct operation operation;
	__u64 before;
	int witness;
	size_t i, j;

	begin_faults(false);
	witness = open_map();
	before = info(witness).owner_bytes;
	for (operation.cmd = 0; operation.cmd < KEY_COMMANDS; operation.cmd++) {
		for (i = 0; i < ARRAY_SIZE(sizes); i++) {
			for (j = 0; j < ARRAY_SIZE(situations); j++) {
				operation.sizes = sizes[i];
				operation.situation = situations[j];
				fail_operation(&operation);
			}
		}
	}
	expect_owner_bytes(witness, before);
}

/* A result that does not fit is ENOSPC, if its size can be told. */
static void prepare_small_buffer(struct scene *scene, const void *context)
{
	prepare_operation(scene, context);
	argument.op.buf_len--;
}

static int run_small_buffer(struct scene *scene, const void *context)
{
	int ret = run_ioctl(scene, context);

	/* That the size is told is this call's success. */
	return ret == -ENOSPC ? 0 : ret;
}

static void check_small_buffer(struct scene *scene, const void *context)
{
	const struct operation *operation = context;

	expect_eq(argument.op.out_len, operation->sizes.old);
	expect_contents(scene);
}

static void small_buffers(void)
{
	struct operation operation = { .situation = IN_READ, .sizes = usual };
	const struct trial trial = {
		.set = set_operation,
		.prepare = prepare_small_buffer,
		.run = run_small_buffer,
		.check_failed = check_operation_failed,
		.check_done = check_small_buffer,
		.context = &operation,
	};
	int copies;

	begin_faults(false);
	for (operation.cmd = 0; operation.cmd < KEY_COMMANDS; operation.cmd++) {
		if (!takes_buf(operation.cmd))
			continue;
		copies = 2 + takes_value(operation.cmd) +
			 (operation.cmd == SYNCMAP_CMD_LOAD_OR_STORE);
		fail_each_expect(&trial, copies_were(copies, 1));
	}
}

/* New keys, one after the other, until tables have grown many times. */

#define GROWTH		400

/* What has failed, if the store was let through or not. */
static enum fault grow_once(int map, struct bytes key, int nth, int *ret)
{
	struct syncmap_op op = new_op(key);
	enum fault kind;

	set_value(&op, key);
	inject(&injector, nth);
	*ret = call(map, SYNCMAP_IOC_STORE, &op);
	kind = injected(&injector);
	if (kind == FAULT_NONE || !*ret)
		expect_eq(*ret, 0);
	else
		expect_eq(*ret, error_of(kind));
	if (kind != FAULT_NONE)
		*(*ret ? &failed[kind] : &absorbed[kind]) += 1;
	return kind;
}

static void expect_still(int map, const char *key, int entries,
			 struct dump *before)
{
	expect_eq(stats(map).entries, entries);
	expect(!present(map, text(key)));
	if (!before->data)
		return;
	expect_unchanged(map, before);
	*before = take_dump(map);
}

static void growth(void)
{
	struct dump before = { .count = 0 };
	int map, i, ret, nth = 2, most = 0;
	struct label name;
	enum fault kind;

	begin_faults(false);
	map = open_map();
	for (i = 0; i < GROWTH; i++) {
		name = label("growing", i);
		if (!(i % 16))
			before = take_dump(map);
		/* A failure that does no harm leaves the rest to the next key. */
		do {
			kind = grow_once(map, text(name.text), nth, &ret);
			if (ret)
				expect_still(map, name.text, i, &before);
			most = nth > most ? nth : most;
			nth = kind == FAULT_NONE ? 2 : nth + 1;
		} while (ret);
		free(before.data);
		before = (struct dump) { .count = 0 };
		expect(holds(map, text(name.text), text(name.text)));
	}
	for (i = 0; i < GROWTH; i++) {
		name = label("growing", i);
		expect(holds(map, text(name.text), text(name.text)));
	}
	diag("%d allocations and %d copies failed, at most %d calls for a key",
	     failed[FAULT_SLAB], failed[FAULT_COPY], most);
	/* Value and entry, and now and then a part of a table. */
	expect(failed[FAULT_SLAB] > GROWTH / 2);
}

/* Pages as well: values that do not fit into one. */
static void values_of_pages(void)
{
	const __u32 page = page_size();
	const struct sizes sizes[] = {
		{ 8, page, page },
		{ 8, at_most_a_block(2 * page), at_most_a_block(3 * page) },
		{ 8, BLOCK, BLOCK },
	};
	static const __u32 cmds[] = {
		SYNCMAP_CMD_STORE, SYNCMAP_CMD_SWAP,
		SYNCMAP_CMD_COMPARE_AND_SWAP, SYNCMAP_CMD_CLEAR,
	};
	struct operation operation = { .situation = IN_READ };
	const struct trial trial = {
		.set = set_operation,
		.prepare = prepare_operation,
		.run = run_ioctl,
		.check_failed = check_operation_failed,
		.check_done = check_operation_done,
		.context = &operation,
	};
	int hits = 0;
	size_t i, j;

	begin_faults(true);
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; cmds[j] != SYNCMAP_CMD_CLEAR; j++) {
			operation.sizes = sizes[i];
			operation.cmd = cmds[j];
			fail_each(&trial);
			hits += failed[FAULT_PAGE] + absorbed[FAULT_PAGE];
		}
	}
	set_up_faults(false);
	diag("%d allocations of pages", hits);
	expect(hits);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "operations on keys in all states", operations_on_all_keys },
		{ "operations on values of all sizes", operations_of_all_sizes },
		{ "buffers that are too small", small_buffers },
		{ "new keys while tables grow", growth },
		{ "pages", values_of_pages },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
