// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every user copy of every call fails once, by the
 * kernel's fail-nth: the error is ENOMEM or EFAULT, nothing has changed, no
 * memory is lost, and the same call then works. For kernels that can inject
 * failures.
 */
#define _GNU_SOURCE


#include <pthread.h>

#include "good.h"
#include "inject.h"
#include "walk.h"

#define KEYS		8
#define CLOSERS		16
#define BLOCK		SYNCMAP_VALUE_MAX

/* What the key of an operation is, when the operation comes. */
enum situation {
	IN_EMPTY_MAP,
	NEW,
	NEW_BESIDE_DIRTY,
	IN_READ,
	IN_DIRTY,
	DELETED,
	EXPUNGED,
	SITUATIONS,
};

static const char *const situation_names[] = {
	"in an empty map", "new", "new beside a dirty table", "in read",
	"in dirty", "deleted", "expunged",
};

/* A map, and what is in it. The operations are on the first key. */
struct scene {
	int map;
	struct label labels[KEYS];
	struct bytes keys[KEYS];
	struct slot slots[KEYS];
};

/* Sizes of a key, and of the values before and after. */
struct sizes {
	__u32 key, old, new;
};

static const struct sizes usual = { 8, 20, 24 };

static struct injector injector;
static char long_key[SYNCMAP_KEY_MAX];
static unsigned char old_block[BLOCK], new_block[BLOCK];
static unsigned char result_buf[BLOCK + CANARY];
/* How often each kind of failure made a call fail, and how often it did not. */
static int failed[FAULT_KINDS], absorbed[FAULT_KINDS];
/* The same, in order: s, p, c for slab, page and copy, in capitals if it failed. */
static char history[1024];

static int error_of(enum fault kind)
{
	return kind == FAULT_COPY ? -EFAULT : -ENOMEM;
}

static bool copies_fail(void)
{
	return injector.left[FAULT_COPY] >= 0;
}

/*
 * Closing a map waits for grace periods; threads that nothing is injected into
 * do that for many maps at once.
 */
static int closers[2] = { -1, -1 };

static void *close_maps(void *context)
{
	int map;

	while (read(closers[0], &map, sizeof(map)) == sizeof(map))
		close(map);
	return context;
}

static void begin_closing(void)
{
	pthread_t thread;
	int i;

	if (closers[0] >= 0)
		return;
	expect(!pipe(closers));
	for (i = 0; i < CLOSERS; i++)
		expect(!pthread_create(&thread, NULL, close_maps, NULL));
}

/* Everything that the calls touch is there, so that faults are theirs. */
static void begin_faults(bool pages)
{
	const char *reason = no_injection();

	if (reason)
		skip("%s", reason);
	memset(long_key, 'k', sizeof(long_key));
	memset(old_block, 'o', sizeof(old_block));
	memset(new_block, 'n', sizeof(new_block));
	memset(result_buf, 0, sizeof(result_buf));
	begin_closing();
	expect(!mlockall(MCL_CURRENT | MCL_FUTURE));
	set_up_faults(pages);
	injector = new_injector();
	if (pages && injector.left[FAULT_PAGE] < 0)
		skip("this kernel has no fail_page_alloc");
}

/* Nothing of the map awaits a grace period. */
static __u64 settled_bytes(int map)
{
	const long long deadline = now_ms() + 20000;
	struct syncmap_stats now = stats(map);

	while (now.retired_bytes) {
		if (now_ms() > deadline)
			fail("%llu bytes stay retired", now.retired_bytes);
		nap_ms(1);
		now = stats(map);
	}
	return now.bytes;
}

static void expect_owner_bytes(int witness, __u64 bytes)
{
	const long long deadline = now_ms() + 20000;

	while (info(witness).owner_bytes != bytes) {
		if (now_ms() > deadline)
			fail("the owner has %llu bytes, and had %llu",
			     info(witness).owner_bytes, bytes);
		nap_ms(1);
	}
}

static void store_slot(struct scene *scene, int index, struct bytes value)
{
	store(scene->map, scene->keys[index], value);
	slot_set(&scene->slots[index], value);
}

static void new_scene(struct scene *scene, const struct sizes *sizes)
{
	int i;

	memset(scene, 0, sizeof(*scene));
	scene->map = open_map();
	scene->keys[0] = bytes(long_key, sizes->key);
	for (i = 1; i < KEYS; i++) {
		scene->labels[i] = label("other", i);
		scene->keys[i] = text(scene->labels[i].text);
	}
}

static void store_others(struct scene *scene, int from, int to)
{
	for (; from < to; from++)
		store_slot(scene, from, scene->keys[from]);
}

static void promote(struct scene *scene)
{
	struct dump dump = take_dump(scene->map);

	free(dump.data);
	expect(!stats(scene->map).amended);
}

static void set_scene(struct scene *scene, enum situation situation,
		      const struct sizes *sizes)
{
	const bool was_there = situation >= IN_READ && situation != IN_DIRTY;

	new_scene(scene, sizes);
	if (situation == IN_EMPTY_MAP)
		return;
	store_others(scene, 1, 5);
	if (was_there)
		store_slot(scene, 0, bytes(old_block, sizes->old));
	promote(scene);
	if (situation == DELETED || situation == EXPUNGED) {
		expect(delete(scene->map, scene->keys[0]));
		slot_clear(&scene->slots[0]);
	}
	if (situation == NEW_BESIDE_DIRTY || situation == EXPUNGED)
		store_others(scene, 5, 6);
	if (situation == IN_DIRTY)
		store_slot(scene, 0, bytes(old_block, sizes->old));
	if (situation == EXPUNGED)
		expect(stats(scene->map).expunged);
}

static void end_scene(struct scene *scene)
{
	int i;

	expect_eq(write(closers[1], &scene->map, sizeof(int)), sizeof(int));
	for (i = 0; i < KEYS; i++)
		slot_clear(&scene->slots[i]);
}

static int find_key(const struct scene *scene, struct bytes key)
{
	int i;

	for (i = 0; i < KEYS; i++)
		if (same_bytes(scene->keys[i], key))
			return i;
	fail("a key of %u bytes that nobody has stored", key.len);
}

/* The map has what it should have, all of it and nothing else. */
static void expect_contents(const struct scene *scene)
{
	struct walk walk = new_walk(scene->map, 2 * WALK_BUF_MIN);
	const struct syncmap_record *record;
	int i, live = 0, seen = 0;

	for (i = 0; i < KEYS; i++)
		live += scene->slots[i].live;
	while ((record = walk_next(&walk))) {
		i = find_key(scene, record_key(record));
		expect(scene->slots[i].live);
		expect(same_bytes(record_value(record),
				  scene->slots[i].value));
		seen++;
	}
	end_walk(&walk);
	expect_eq(seen, live);
	expect_eq(stats(scene->map).entries, live);
}

/* Calls that are let fail: what they are made of, and what follows. */
struct trial {
	void (*set)(struct scene *scene, const void *context);
	/* Readies the argument. */
	void (*prepare)(struct scene *scene, const void *context);
	/* 0 or -errno; makes no other system call. */
	int (*run)(struct scene *scene, const void *context);
	/* After a failure: nothing has changed. */
	void (*check_failed)(struct scene *scene, const void *context);
	void (*check_done)(struct scene *scene, const void *context);
	const void *context;
};

static int run_trial(const struct trial *trial, struct scene *scene)
{
	trial->prepare(scene, trial->context);
	return trial->run(scene, trial->context);
}

/* One failure; false if there was none left to inject. */
static bool fail_once(const struct trial *trial, int nth)
{
	struct scene scene;
	enum fault kind;
	__u64 before;
	int ret;

	trial->set(&scene, trial->context);
	before = settled_bytes(scene.map);
	trial->prepare(&scene, trial->context);
	inject(&injector, nth);
	ret = trial->run(&scene, trial->context);
	kind = injected(&injector);
	if (kind == FAULT_NONE) {
		expect_eq(ret, 0);
	} else if (!ret) {
		absorbed[kind]++;
		history[nth - 1] = "spc"[kind];
	} else {
		failed[kind]++;
		history[nth - 1] = "SPC"[kind];
		if (ret != error_of(kind))
			fail("failure %d, of %s: %s", nth, fault_names[kind],
			     strerror(-ret));
		expect_eq(settled_bytes(scene.map), before);
		trial->check_failed(&scene, trial->context);
		expect_eq(run_trial(trial, &scene), 0);
	}
	trial->check_done(&scene, trial->context);
	end_scene(&scene);
	return kind != FAULT_NONE;
}

/* All of them, one after the other; counts them anew. */
static void fail_each(const struct trial *trial)
{
	int nth = 1;

	memset(failed, 0, sizeof(failed));
	memset(absorbed, 0, sizeof(absorbed));
	memset(history, 0, sizeof(history));
	while (fail_once(trial, nth))
		expect(nth++ < 1000);
}

static void expect_copies(int failing, int harmless)
{
	if (!copies_fail())
		return;
	expect_eq(failed[FAULT_COPY], failing);
	expect_eq(absorbed[FAULT_COPY], harmless);
}

/* An ioctl, whatever its argument. */

static unsigned long request_number;

static int run_ioctl(struct scene *scene, const void *context)
{
	(void)context;
	return call(scene->map, request_number, &argument);
}

static void check_contents(struct scene *scene, const void *context)
{
	(void)context;
	expect_contents(scene);
}

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
static void expect_copies_of(const struct operation *operation)
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
	expect_copies(copies, 1 + empty);
}

/*
 * The value, and the entry of a new key. Memory that is more than a page, and
 * that for the old value, is asked for twice, so one failure does not show.
 * Deletes and lookups ask for none.
 */
static void expect_allocations_of(const struct operation *operation)
{
	const struct sizes *sizes = &operation->sizes;
	const __u32 cmd = operation->cmd;
	int least = 0;

	least += takes_value(cmd) && sizes->new < PAGE / 2;
	least += takes_value(cmd) && !takes_old(cmd) &&
		 operation->situation <= NEW_BESIDE_DIRTY;
	expect(failed[FAULT_SLAB] >= least);
	if (!takes_value(cmd))
		expect_eq(failed[FAULT_SLAB], 0);
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

	fail_each(&trial);
	diag("%s, key of %u bytes %s, values of %u and %u: %s",
	     cmd_name(operation->cmd), operation->sizes.key,
	     situation_names[operation->situation], operation->sizes.old,
	     operation->sizes.new, history);
	expect_copies_of(operation);
	expect_allocations_of(operation);
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

static void operations_of_all_sizes(void)
{
	static const struct sizes sizes[] = {
		{ 1, 0, 0 }, { 1, 1, 0 }, { SYNCMAP_KEY_MAX, 0, 1 },
		{ 8, PAGE - 64, PAGE }, { 8, PAGE + 1, 2 * PAGE },
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

	begin_faults(false);
	for (operation.cmd = 0; operation.cmd < KEY_COMMANDS; operation.cmd++) {
		if (!takes_buf(operation.cmd))
			continue;
		fail_each(&trial);
		expect_copies(2 + takes_value(operation.cmd) +
			      (operation.cmd == SYNCMAP_CMD_LOAD_OR_STORE), 1);
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

/* Calls on the whole map */

static const struct operation many_keys = {
	.situation = IN_READ, .sizes = { 8, 20, 24 },
};

static void prepare_good(struct scene *scene, const void *context)
{
	const __u32 cmd = *(const __u32 *)context;

	(void)scene;
	good_argument(cmd);
	request_number = request_of(cmd);
}

static void set_many(struct scene *scene, const void *context)
{
	(void)context;
	set_operation(scene, &many_keys);
}

static void check_cleared(struct scene *scene, const void *context)
{
	int i;

	(void)context;
	for (i = 0; i < KEYS; i++)
		slot_clear(&scene->slots[i]);
	expect_contents(scene);
}

static void check_range(struct scene *scene, const void *context)
{
	check_records(&argument.range);
	expect_eq(argument.range.count, 5);
	check_contents(scene, context);
}

static void check_told(struct scene *scene, const void *context)
{
	if (request_number == SYNCMAP_IOC_INFO)
		expect_eq(argument.info.key_max, SYNCMAP_KEY_MAX);
	else
		expect_eq(argument.stats.entries, 5);
	check_contents(scene, context);
}

static void fail_command(__u32 cmd, void (*check)(struct scene *, const void *),
			 int copies)
{
	const struct trial trial = {
		.set = set_many,
		.prepare = prepare_good,
		.run = run_ioctl,
		.check_failed = check_contents,
		.check_done = check,
		.context = &cmd,
	};

	begin_faults(false);
	fail_each(&trial);
	diag("%s: %s", cmd_name(cmd), history);
	/* None of them needs memory that may not be had. */
	expect_eq(failed[FAULT_SLAB], 0);
	expect_copies(copies, 1);
}

static void clear_range_info_stats(void)
{
	fail_command(SYNCMAP_CMD_CLEAR, check_cleared, 0);
	fail_command(SYNCMAP_CMD_RANGE, check_range, 2);
	fail_command(SYNCMAP_CMD_INFO, check_told, 1);
	fail_command(SYNCMAP_CMD_STATS, check_told, 1);
}

/* A walk that goes on behind a key, with a record that is copied alone. */
static void set_large(struct scene *scene, const void *context)
{
	static const struct sizes large = { 8, PAGE - 64, 0 };

	(void)context;
	set_scene(scene, IN_READ, &large);
}

static void prepare_cursor(struct scene *scene, const void *context)
{
	prepare_good(scene, context);
	argument.range.cursor = address(scene->keys[1].data);
	argument.range.cursor_len = scene->keys[1].len;
}

static void check_some(struct scene *scene, const void *context)
{
	check_records(&argument.range);
	check_contents(scene, context);
}

static void range_behind_a_key(void)
{
	static const __u32 cmd = SYNCMAP_CMD_RANGE;
	const struct trial trial = {
		.set = set_large,
		.prepare = prepare_cursor,
		.run = run_ioctl,
		.check_failed = check_contents,
		.check_done = check_some,
		.context = &cmd,
	};

	begin_faults(false);
	fail_each(&trial);
	expect_eq(failed[FAULT_SLAB], 0);
	/* The cursor, perhaps records, and the results. */
	if (copies_fail())
		expect(failed[FAULT_COPY] >= 2);
}

/* Batches */

static struct syncmap_op batch_ops[KEYS];

/* Each on a key of its own: a change, a look, and what changes nothing. */
static const __u32 batch_cmds[] = {
	SYNCMAP_CMD_SWAP, SYNCMAP_CMD_STORE, SYNCMAP_CMD_LOAD,
	SYNCMAP_CMD_DELETE, SYNCMAP_CMD_COMPARE_AND_SWAP,
	SYNCMAP_CMD_LOAD_OR_STORE, SYNCMAP_CMD_LOAD_AND_DELETE,
	SYNCMAP_CMD_COMPARE_AND_DELETE,
};

static struct request batch_request(const struct scene *scene, int index)
{
	return (struct request) {
		.cmd = batch_cmds[index],
		.key = scene->keys[index],
		.value = bytes(new_block, 33),
		.old = scene->keys[index],
	};
}

static void prepare_batch(struct scene *scene)
{
	struct request request;
	int i;

	memset(&argument, 0, sizeof(argument));
	argument.batch = (struct syncmap_batch) {
		.size = sizeof(argument.batch),
		.ops = address(batch_ops),
		.count = KEYS,
		.done = UNTOUCHED,
	};
	for (i = 0; i < KEYS; i++) {
		request = batch_request(scene, i);
		batch_ops[i] = request_op(&request, result_buf + PAGE * i, PAGE);
	}
}

/* What the model says of the operations that ran, one of which has failed. */
static int apply_batch(struct scene *scene, __u32 done, int error)
{
	struct request request;
	int errors = 0;
	__u32 i;

	for (i = 0; i < done; i++) {
		request = batch_request(scene, i);
		if (batch_ops[i].error) {
			expect_eq(batch_ops[i].error, error);
			expect_eq(batch_ops[i].result, 0);
			expect_eq(batch_ops[i].out_len, 0);
			errors++;
			continue;
		}
		expect_eq(batch_ops[i].result,
			  model_result(&scene->slots[i], &request));
		model_apply(&scene->slots[i], &request);
	}
	return errors;
}

static int batch_failures, batch_stops, batch_late;

static bool fail_batch_once(int nth)
{
	struct scene scene;
	enum fault kind;
	__u32 done;
	int ret;

	set_many(&scene, NULL);
	settled_bytes(scene.map);
	prepare_batch(&scene);
	inject(&injector, nth);
	ret = call(scene.map, SYNCMAP_IOC_BATCH, &argument);
	kind = injected(&injector);
	done = argument.batch.done;
	if (!ret) {
		expect_eq(done, KEYS);
		batch_failures += apply_batch(&scene, done, kind == FAULT_NONE ?
					      0 : error_of(kind));
	} else {
		/* Not memory: that stops an operation, not the batch. */
		expect_eq(kind, FAULT_COPY);
		expect_eq(ret, -EFAULT);
		batch_stops++;
		expect(done == UNTOUCHED || done < KEYS);
		/* All have run, and only the last report was lost. */
		if (!done && batch_ops[KEYS - 1].error != UNTOUCHED) {
			done = KEYS;
			batch_late++;
		}
		expect_eq(apply_batch(&scene, done == UNTOUCHED ? 0 : done, 0),
			  0);
	}
	expect_contents(&scene);
	end_scene(&scene);
	return kind != FAULT_NONE;
}

static void batches(void)
{
	int nth = 1;

	begin_faults(false);
	while (fail_batch_once(nth))
		expect(nth++ < 1000);
	diag("%d operations failed, %d batches stopped", batch_failures,
	     batch_stops);
	expect(batch_failures >= 10);
	if (!copies_fail())
		return;
	/* The count, the size; each error; the count. */
	expect_eq(batch_stops, 2 + KEYS + 1);
	expect_eq(batch_late, 1);
}

/* Names */

static char name_space[64];

static void set_unnamed(struct scene *scene, const void *context)
{
	static int count;

	(void)context;
	snprintf(name_space, sizeof(name_space), "failnth-%d-%d", getpid(),
		 count++);
	set_scene(scene, IN_READ, &usual);
}

static bool name_exists(void)
{
	int file = open_map();
	int ret = attach(file, name_space, 0);

	close(file);
	expect(!ret || ret == -ENOENT);
	return !ret;
}

static void prepare_create(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	argument.attach = new_attach(text(name_space), SYNCMAP_ATTACH_CREATE |
				     SYNCMAP_ATTACH_EXCL);
	argument.attach.result = UNTOUCHED;
	request_number = SYNCMAP_IOC_ATTACH;
}

static void check_not_created(struct scene *scene, const void *context)
{
	(void)context;
	expect(argument.attach.result == UNTOUCHED || !argument.attach.result);
	expect(!name_exists());
	expect_contents(scene);
}

static void check_created(struct scene *scene, const void *context)
{
	int other = open_map();

	(void)context;
	expect_eq(argument.attach.result, SYNCMAP_ATTACH_CREATED);
	expect_eq(attach(other, name_space, 0), 0);
	expect_eq(stats(other).entries, 5);
	close(other);
	expect_eq(attach(scene->map, name_space, 0), -EBUSY);
	expect_contents(scene);
	expect_eq(unlink_name(scene->map, name_space), 0);
}

static void creating_a_name(void)
{
	static const struct trial trial = {
		.set = set_unnamed,
		.prepare = prepare_create,
		.run = run_ioctl,
		.check_failed = check_not_created,
		.check_done = check_created,
	};

	begin_faults(false);
	fail_each(&trial);
	expect_eq(info(open_map()).names, 0);
	expect(failed[FAULT_SLAB] >= 1);
	/* The name, and what is reported. */
	expect_copies(2, 1);
}

/* The map of the scene is empty; another has the name, and five keys. */
static struct scene named_scene;

static void set_attaching(struct scene *scene, const void *context)
{
	set_unnamed(&named_scene, context);
	expect_eq(attach(named_scene.map, name_space, SYNCMAP_ATTACH_CREATE), 0);
	set_scene(scene, IN_EMPTY_MAP, &usual);
}

static void prepare_attach(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	argument.attach = new_attach(text(name_space), 0);
	request_number = SYNCMAP_IOC_ATTACH;
}

static void check_attached(struct scene *scene, const void *context)
{
	(void)context;
	expect_eq(stats(scene->map).entries, 5);
	expect_eq(unlink_name(scene->map, name_space), 0);
	end_scene(&named_scene);
}

static void attaching(void)
{
	static const struct trial trial = {
		.set = set_attaching,
		.prepare = prepare_attach,
		.run = run_ioctl,
		.check_failed = check_contents,
		.check_done = check_attached,
	};

	begin_faults(false);
	fail_each(&trial);
	expect_eq(failed[FAULT_SLAB], 0);
	expect_copies(2, 1);
}

static void prepare_unlink(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	argument.unlink = (struct syncmap_unlink) {
		.size = sizeof(argument.unlink),
		.name = address(name_space),
		.name_len = strlen(name_space),
	};
	request_number = SYNCMAP_IOC_UNLINK;
}

static void check_not_unlinked(struct scene *scene, const void *context)
{
	expect(name_exists());
	check_contents(scene, context);
}

static void check_unlinked(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	expect(!name_exists());
	end_scene(&named_scene);
}

static void unlinking(void)
{
	static const struct trial trial = {
		.set = set_attaching,
		.prepare = prepare_unlink,
		.run = run_ioctl,
		.check_failed = check_not_unlinked,
		.check_done = check_unlinked,
	};

	begin_faults(false);
	fail_each(&trial);
	expect_eq(failed[FAULT_SLAB], 0);
	expect_copies(1, 1);
}

static void prepare_list(struct scene *scene, const void *context)
{
	static const __u32 cmd = SYNCMAP_CMD_LIST;

	(void)context;
	prepare_good(scene, &cmd);
	/* Names that begin with an f come behind it. */
	argument.range.cursor = address("e");
	argument.range.cursor_len = 1;
}

static void check_listed(struct scene *scene, const void *context)
{
	const struct syncmap_name *record = (const void *)buf;

	(void)scene;
	(void)context;
	expect_eq(argument.range.count, 1);
	expect_eq(argument.range.result, SYNCMAP_RANGE_END);
	expect(same_bytes(bytes(record + 1, record->name_len),
			  text(name_space)));
	expect_eq(unlink_name(named_scene.map, name_space), 0);
	end_scene(&named_scene);
}

static void listing(void)
{
	static const struct trial trial = {
		.set = set_attaching,
		.prepare = prepare_list,
		.run = run_ioctl,
		.check_failed = check_contents,
		.check_done = check_listed,
	};

	begin_faults(false);
	fail_each(&trial);
	expect_eq(failed[FAULT_SLAB], 0);
	/* The cursor; head, name and padding of the record, and the results. */
	if (copies_fail())
		expect(failed[FAULT_COPY] >= 4);
}

/* Files: opening fails cleanly, closing and what is done to others never. */

static int new_file;

static void prepare_nothing(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
}

static int run_open(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	new_file = try_open(O_RDWR);
	return new_file < 0 ? new_file : 0;
}

static void check_open(struct scene *scene, const void *context)
{
	store(new_file, text("key"), text("value"));
	expect(holds(new_file, text("key"), text("value")));
	close(new_file);
	check_contents(scene, context);
}

static int run_dup(struct scene *scene, const void *context)
{
	(void)context;
	new_file = fcntl(scene->map, F_DUPFD_CLOEXEC, 0);
	return new_file < 0 ? -errno : 0;
}

static void check_dup(struct scene *scene, const void *context)
{
	expect(holds(new_file, scene->keys[1], scene->keys[1]));
	close(new_file);
	check_contents(scene, context);
}

static void prepare_close(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	new_file = open_map();
	fill(new_file, "key", 20);
}

static int run_close(struct scene *scene, const void *context)
{
	(void)scene;
	(void)context;
	return close(new_file) ? -errno : 0;
}

static void files(void)
{
	struct trial trial = {
		.set = set_many,
		.prepare = prepare_nothing,
		.run = run_open,
		.check_failed = check_contents,
		.check_done = check_open,
	};
	__u64 before;
	int witness;

	begin_faults(false);
	witness = open_map();
	before = info(witness).owner_bytes;
	fail_each(&trial);
	diag("open: %s", history);
	/* The map, two tables of two parts, their eras, and the file. */
	expect(failed[FAULT_SLAB] >= 8);
	expect_owner_bytes(witness, before);

	trial.run = run_dup;
	trial.check_done = check_dup;
	fail_each(&trial);
	expect_owner_bytes(witness, before);

	trial.prepare = prepare_close;
	trial.run = run_close;
	trial.check_done = check_contents;
	fail_each(&trial);
	expect_eq(failed[FAULT_SLAB], 0);
	expect_owner_bytes(witness, before);
}

/* Pages as well: values that do not fit into one. */
static void pages(void)
{
	static const struct sizes sizes[] = {
		{ 8, PAGE, PAGE }, { 8, 2 * PAGE, 3 * PAGE },
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
		{ "CLEAR, RANGE, INFO and STATS", clear_range_info_stats },
		{ "RANGE behind a key", range_behind_a_key },
		{ "BATCH", batches },
		{ "ATTACH makes a name", creating_a_name },
		{ "ATTACH to a name", attaching },
		{ "UNLINK", unlinking },
		{ "LIST", listing },
		{ "open, dup and close", files },
		{ "pages", pages },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
