// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation and every user copy of every other call fails once, by the
 * kernel's fail-nth: the error is ENOMEM or EFAULT, nothing has changed, no
 * memory is lost, and the same call then works. For kernels that can inject
 * failures.
 */
#define _GNU_SOURCE

#include "trial.h"

/* Calls on the whole map */

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
	set_scene(scene, IN_READ, &usual);
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
	/* None of them needs memory that may not be had. */
	fail_each_expect(&trial, !failed[FAULT_SLAB] && copies_were(copies, 1));
	diag("%s: %s", cmd_name(cmd), history);
}

static void clear_range_info_stats(void)
{
	fail_command(SYNCMAP_CMD_CLEAR, check_cleared, 0);
	fail_command(SYNCMAP_CMD_RANGE, check_range, 2);
	fail_command(SYNCMAP_CMD_INFO, check_told, 1);
	fail_command(SYNCMAP_CMD_STATS, check_told, 1);
}

/*
 * A walk that goes on behind a key, with records that nearly fill the 4096 bytes
 * that the module collects before it copies them.
 */
static void set_large(struct scene *scene, const void *context)
{
	static const struct sizes large = { 8, 4096 - 64, 0 };

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
	/* The cursor, perhaps records, and the results. */
	fail_each_expect(&trial, !failed[FAULT_SLAB] &&
			 (!copies_fail() || failed[FAULT_COPY] >= 2));
}

/* Batches */

static struct syncmap_op batch_ops[KEYS];

/* The part of result_buf that each has. */
#define RESULT_BUF (BLOCK / KEYS)

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
		batch_ops[i] = request_op(&request, result_buf + RESULT_BUF * i,
					  RESULT_BUF);
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

static bool all_batches_failed(void)
{
	if (!copies_fail())
		return batch_failures >= 1;
	/* The count, the size; each error; the count. */
	return batch_failures >= 10 && batch_stops == 2 + KEYS + 1 &&
	       batch_late == 1;
}

/* In rounds, as in fail_each_expect(). */
static void fail_batches(void)
{
	int nth, rounds = ROUNDS;

	begin_faults(false);
	do {
		batch_failures = 0;
		batch_stops = 0;
		batch_late = 0;
		for (nth = 1; fail_batch_once(nth); nth++)
			expect(nth < 1000);
		diag("%d operations failed, %d batches stopped",
		     batch_failures, batch_stops);
	} while (!all_batches_failed() && --rounds);
	expect(all_batches_failed());
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

	__u64 before;
	int witness;

	begin_faults(false);
	witness = open_map();
	before = info(witness).owner_bytes;
	/* The name, and what is reported. */
	fail_each_expect(&trial, failed[FAULT_SLAB] && copies_were(2, 1));
	expect_eq(info(witness).names, 0);
	expect_owner_bytes(witness, before);
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
	fail_each_expect(&trial, !failed[FAULT_SLAB] && copies_were(2, 1));
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
	fail_each_expect(&trial, !failed[FAULT_SLAB] && copies_were(1, 1));
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
	/* The cursor; head, name and padding of the record, and the results. */
	fail_each_expect(&trial, !failed[FAULT_SLAB] &&
			 (!copies_fail() || failed[FAULT_COPY] >= 4));
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
	/* The map, two tables of two parts, their eras, and the file. */
	fail_each_expect(&trial, failed[FAULT_SLAB] >= 8);
	diag("open: %s", history);
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

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "CLEAR, RANGE, INFO and STATS", clear_range_info_stats },
		{ "RANGE behind a key", range_behind_a_key },
		{ "BATCH", fail_batches },
		{ "ATTACH makes a name", creating_a_name },
		{ "ATTACH to a name", attaching },
		{ "UNLINK", unlinking },
		{ "LIST", listing },
		{ "open, dup and close", files },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
