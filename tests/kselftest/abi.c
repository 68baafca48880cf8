// SPDX-License-Identifier: GPL-2.0
/*
 * Every rejection that the header names, for every command that it concerns,
 * called alone and inside a batch. A rejected call must have changed nothing;
 * each is one that would have changed the map.
 */
#include <assert.h>
#include <stddef.h>

#include "good.h"
#include "walk.h"

#define ASSERT_LAYOUT(type, size, member, offset) \
	static_assert(sizeof(struct type) == (size) && \
		      offsetof(struct type, member) == (offset), #type)

ASSERT_LAYOUT(syncmap_op, 72, result, 68);
ASSERT_LAYOUT(syncmap_op, 72, error, 12);
ASSERT_LAYOUT(syncmap_op, 72, key, 16);
ASSERT_LAYOUT(syncmap_op, 72, value, 32);
ASSERT_LAYOUT(syncmap_op, 72, old, 40);
ASSERT_LAYOUT(syncmap_op, 72, buf, 56);
ASSERT_LAYOUT(syncmap_op, 72, out_len, 64);
ASSERT_LAYOUT(syncmap_clear, 8, flags, 4);
ASSERT_LAYOUT(syncmap_range, 48, cursor, 8);
ASSERT_LAYOUT(syncmap_range, 48, buf, 24);
ASSERT_LAYOUT(syncmap_range, 48, last, 44);
ASSERT_LAYOUT(syncmap_record, 16, value_len, 8);
ASSERT_LAYOUT(syncmap_record, 16, __reserved, 12);
ASSERT_LAYOUT(syncmap_batch, 24, ops, 8);
ASSERT_LAYOUT(syncmap_batch, 24, done, 20);
ASSERT_LAYOUT(syncmap_info, 72, max_entries, 24);
ASSERT_LAYOUT(syncmap_info, 72, max_bytes, 32);
ASSERT_LAYOUT(syncmap_info, 72, names, 64);
ASSERT_LAYOUT(syncmap_stats, 88, entries, 8);
ASSERT_LAYOUT(syncmap_stats, 88, amended, 48);
ASSERT_LAYOUT(syncmap_stats, 88, misses, 56);
ASSERT_LAYOUT(syncmap_stats, 88, sweeps, 80);
ASSERT_LAYOUT(syncmap_attach, 32, name, 8);
ASSERT_LAYOUT(syncmap_attach, 32, result, 24);
ASSERT_LAYOUT(syncmap_unlink, 24, name, 8);
ASSERT_LAYOUT(syncmap_unlink, 24, __reserved, 20);
ASSERT_LAYOUT(syncmap_name, 40, users, 20);
ASSERT_LAYOUT(syncmap_name, 40, entries, 24);
static_assert(SYNCMAP_IOC_LOAD == 0xbc00 && SYNCMAP_IOC_STATS == 0xbc0c,
	      "numbers of the ioctls");

static void expect_rejected(int map, __u32 cmd, int error)
{
	struct dump before = take_dump(map);
	int ret = call(map, request_of(cmd), &argument);

	if (ret != -error)
		fail("%s returned %d, expected %d", cmd_name(cmd), ret, -error);
	expect_unchanged(map, &before);
}

/* Sizes, for all commands alike */

static void reject_sizes(const __u32 *sizes, int count, int error)
{
	int map = new_map();
	__u32 cmd;
	int i;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		for (i = 0; i < count; i++) {
			good_argument(cmd);
			argument.size = sizes[i];
			expect_rejected(map, cmd, error);
		}
	}
}

static void sizes_too_small(void)
{
	static const __u32 sizes[] = { 0, 1, 4, 7 };
	int map = new_map();
	__u32 cmd;

	reject_sizes(sizes, ARRAY_SIZE(sizes), EINVAL);
	for (cmd = 0; cmd < COMMANDS; cmd++) {
		good_argument(cmd);
		argument.size = size_of(cmd) - 1;
		expect_rejected(map, cmd, EINVAL);
	}
}

static void sizes_over_a_page(void)
{
	const __u32 page = page_size();
	const __u32 sizes[] = { page + 1, page + 8, 2 * page, ~0U };

	reject_sizes(sizes, ARRAY_SIZE(sizes), E2BIG);
}

static void larger_sizes_with_zeros(void)
{
	const __u32 grown[] = { 1, 8, 100 };
	const __u32 page = page_size();
	unsigned int i;
	__u32 cmd;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		for (i = 0; i < ARRAY_SIZE(grown); i++) {
			good_argument(cmd);
			argument.size += grown[i];
			expect_eq(call(new_map(), request_of(cmd), &argument),
				  0);
		}
		good_argument(cmd);
		argument.size = page;
		expect_eq(call(new_map(), request_of(cmd), &argument), 0);
	}
}

/* What lies behind the size is not the kernel's business. */
static void bytes_behind_the_size(void)
{
	const __u32 page = page_size();
	__u32 cmd, i;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		good_argument(cmd);
		memset(argument.bytes + size_of(cmd), 0xff, page);
		expect_eq(call(new_map(), request_of(cmd), &argument), 0);
		for (i = 0; i < page; i++)
			expect_eq(argument.bytes[size_of(cmd) + i], 0xff);
	}
}

static void larger_sizes_with_a_nonzero_byte(void)
{
	const __u32 page = page_size();
	int map = new_map();
	__u32 cmd;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		good_argument(cmd);
		argument.size += 8;
		argument.bytes[size_of(cmd)] = 1;
		expect_rejected(map, cmd, E2BIG);
		argument.bytes[size_of(cmd)] = 0;
		argument.bytes[size_of(cmd) + 7] = 0x80;
		expect_rejected(map, cmd, E2BIG);
		good_argument(cmd);
		argument.size = page;
		argument.bytes[page - 1] = 1;
		expect_rejected(map, cmd, E2BIG);
	}
}

/* Members: one wrong value each */

static bool any_op(__u32 cmd)
{
	return cmd < KEY_COMMANDS;
}

static bool any_other(__u32 cmd)
{
	return cmd >= KEY_COMMANDS && cmd != SYNCMAP_CMD_ATTACH;
}

static bool only_attach(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_ATTACH;
}

static bool only_unlink(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_UNLINK;
}

static bool only_list(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_LIST;
}

static bool only_range(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_RANGE;
}

static bool only_batch(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_BATCH;
}

static bool op_without_value(__u32 cmd)
{
	return any_op(cmd) && !takes_value(cmd);
}

static bool op_without_old(__u32 cmd)
{
	return any_op(cmd) && !takes_old(cmd);
}

static bool op_without_buf(__u32 cmd)
{
	return any_op(cmd) && !takes_buf(cmd);
}

struct rejection {
	const char *name;
	bool (*concerns)(__u32 cmd);
	size_t offset;
	__u32 wrong;
	int error;
};

#define OP(member)	offsetof(struct syncmap_op, member)
#define RANGE(member)	offsetof(struct syncmap_range, member)
#define BATCH(member)	offsetof(struct syncmap_batch, member)
#define ATTACH(member)	offsetof(struct syncmap_attach, member)
#define UNLINK(member)	offsetof(struct syncmap_unlink, member)

static const struct rejection rejections[] = {
	{ "lowest flag", any_op, OP(flags), 1, EINVAL },
	{ "highest flag", any_op, OP(flags), 1U << 31, EINVAL },
	{ "lowest flag beside operations", any_other, BATCH(flags), 1,
	  EINVAL },
	{ "highest flag beside operations", any_other, BATCH(flags),
	  1U << 31, EINVAL },
	{ "key of length 0", any_op, OP(key_len), 0, EINVAL },
	{ "key of length 513", any_op, OP(key_len), 513, EINVAL },
	{ "key of length 2^32 - 1", any_op, OP(key_len), ~0U, EINVAL },
	{ "value of length 65537", takes_value, OP(value_len), 65537, E2BIG },
	{ "value of length 2^32 - 1", takes_value, OP(value_len), ~0U, E2BIG },
	{ "value that is not used", op_without_value, OP(value), 1, EINVAL },
	{ "compared value of length 65537", takes_old, OP(old_len), 65537,
	  E2BIG },
	{ "value length that is not used", op_without_value, OP(value_len), 1,
	  EINVAL },
	{ "old value that is not used", op_without_old, OP(old), 1, EINVAL },
	{ "old length that is not used", op_without_old, OP(old_len), 1,
	  EINVAL },
	{ "buffer that is not used", op_without_buf, OP(buf), 1, EINVAL },
	{ "buffer length that is not used", op_without_buf, OP(buf_len), 1,
	  EINVAL },
	{ "cursor of length 513", only_range, RANGE(cursor_len), 513, EINVAL },
	{ "cursor of length 2^32 - 1", only_range, RANGE(cursor_len), ~0U,
	  EINVAL },
	{ "cursor of length 0", only_range, RANGE(cursor), 4096, EINVAL },
	{ "batch of 65537", only_batch, BATCH(count), SYNCMAP_BATCH_MAX + 1,
	  E2BIG },
	{ "batch of 2^32 - 1", only_batch, BATCH(count), ~0U, E2BIG },
	{ "third flag of ATTACH", only_attach, ATTACH(flags), 5, EINVAL },
	{ "no CREATE, but a mode", only_attach, ATTACH(flags), 0, EINVAL },
	{ "EXCL without CREATE", only_attach, ATTACH(flags), 2, EINVAL },
	{ "mode beyond permissions", only_attach, ATTACH(mode), 01000,
	  EINVAL },
	{ "reserved member of ATTACH", only_attach, ATTACH(__reserved), 1,
	  EINVAL },
	{ "attached to a name of length 0", only_attach, ATTACH(name_len), 0,
	  EINVAL },
	{ "attached to a name of length 64", only_attach, ATTACH(name_len), 64,
	  ENAMETOOLONG },
	{ "attached to a name of length 2^32 - 1", only_attach,
	  ATTACH(name_len), ~0U, ENAMETOOLONG },
	{ "reserved member of UNLINK", only_unlink, UNLINK(__reserved), 1,
	  EINVAL },
	{ "unlinked name of length 0", only_unlink, UNLINK(name_len), 0,
	  EINVAL },
	{ "unlinked name of length 64", only_unlink, UNLINK(name_len), 64,
	  ENAMETOOLONG },
	{ "listed behind a name of length 64", only_list, RANGE(cursor_len),
	  64, ENAMETOOLONG },
	{ "listed behind a name of length 0", only_list, RANGE(cursor), 4096,
	  EINVAL },
};

/* Of an address this is the lower half; the upper one is 0 where unused. */
static void spoil(void *of, const struct rejection *rejection)
{
	memcpy((unsigned char *)of + rejection->offset, &rejection->wrong,
	       sizeof(rejection->wrong));
}

static void reject_in_batch(int map, __u32 cmd,
			    const struct rejection *rejection)
{
	struct dump before = take_dump(map);
	struct syncmap_op op = good_op(cmd);
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(&op),
		.count = 1,
	};

	spoil(&op, rejection);
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, 1);
	if (op.error != -rejection->error)
		fail("%s in a batch: error is %d, expected %d", cmd_name(cmd),
		     op.error, -rejection->error);
	expect_unchanged(map, &before);
}

static void reject(void)
{
	const struct rejection *rejection = &rejections[tap_index];
	int map = new_map(), concerned = 0;
	__u32 cmd;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		if (!rejection->concerns(cmd))
			continue;
		concerned++;
		good_argument(cmd);
		spoil(&argument, rejection);
		expect_rejected(map, cmd, rejection->error);
		if (any_op(cmd))
			reject_in_batch(map, cmd, rejection);
	}
	expect(concerned > 0);
}

/* Outside a batch @cmd is 0 or the command itself. */
static void cmd_of_another_command(void)
{
	int map = new_map();
	__u32 cmd, other;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		for (other = 1; other < COMMANDS + 2; other++) {
			if (other == cmd)
				continue;
			good_argument(cmd);
			argument.op.cmd = other;
			expect_rejected(map, cmd, EINVAL);
		}
		good_argument(cmd);
		argument.op.cmd = 0;
		expect_eq(call(new_map(), request_of(cmd), &argument), 0);
	}
}

/* Output members may hold anything before a call; @error is left alone. */
static void garbage_in_output_members(void)
{
	struct syncmap_range *range = &argument.range;
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		good_argument(cmd);
		argument.op.error = -12345;
		argument.op.out_len = ~0U;
		argument.op.result = ~0U;
		expect_eq(call(new_map(), request_of(cmd), &argument), 0);
		expect_eq(argument.op.error, -12345);
		expect(argument.op.result != ~0U);
	}
	good_argument(SYNCMAP_CMD_RANGE);
	range->result = ~0U;
	range->used = ~0U;
	range->count = ~0U;
	range->last = ~0U;
	expect_eq(call(new_map(), SYNCMAP_IOC_RANGE, range), 0);
	check_records(range);
	good_argument(SYNCMAP_CMD_BATCH);
	argument.batch.done = ~0U;
	expect_eq(call(new_map(), SYNCMAP_IOC_BATCH, &argument), 0);
	expect_eq(argument.batch.done, 1);
}

static void output_of_info_and_stats(void)
{
	int map = new_map();

	memset(&argument, 0xff, sizeof(argument));
	argument.info.size = sizeof(argument.info);
	argument.info.flags = 0;
	expect_eq(call(map, SYNCMAP_IOC_INFO, &argument), 0);
	expect_eq(argument.info.abi_version, 1);
	expect_eq(argument.info.key_max, SYNCMAP_KEY_MAX);
	expect_eq(argument.info.value_max, SYNCMAP_VALUE_MAX);
	expect_eq(argument.info.batch_max, SYNCMAP_BATCH_MAX);
	expect(argument.info.max_entries > 0);
	expect(argument.info.max_bytes > 0);

	memset(&argument, 0xff, sizeof(argument));
	argument.stats.size = sizeof(argument.stats);
	argument.stats.flags = 0;
	expect_eq(call(map, SYNCMAP_IOC_STATS, &argument), 0);
	expect_eq(argument.stats.entries, 6);
	expect_eq(argument.stats.__reserved, 0);
	expect(argument.stats.amended <= 1);
	expect(argument.stats.bytes > 0);
	expect(argument.stats.bytes >= argument.stats.retired_bytes);
}

static void unknown_commands(void)
{
	static const unsigned long unknown[] = {
		_IO(SYNCMAP_IOC_TYPE, COMMANDS),
		_IO(SYNCMAP_IOC_TYPE, 0x7f),
		_IO(SYNCMAP_IOC_TYPE, 0xff),
		_IO(SYNCMAP_IOC_TYPE - 1, SYNCMAP_CMD_CLEAR),
		_IO(SYNCMAP_IOC_TYPE + 1, SYNCMAP_CMD_CLEAR),
		_IOW(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_CLEAR, struct syncmap_clear),
		_IOR(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_CLEAR, struct syncmap_clear),
		_IOWR(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_CLEAR,
		      struct syncmap_clear),
		_IOC(_IOC_NONE, SYNCMAP_IOC_TYPE, SYNCMAP_CMD_CLEAR, 8),
	};
	struct dump before;
	int map = new_map();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(unknown); i++) {
		before = take_dump(map);
		good_argument(SYNCMAP_CMD_CLEAR);
		expect_eq(call(map, unknown[i], &argument), -ENOTTY);
		expect_eq(call(map, unknown[i], NULL), -ENOTTY);
		expect_unchanged(map, &before);
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case others[] = {
		{ "sizes below the first version", sizes_too_small },
		{ "sizes over a page", sizes_over_a_page },
		{ "larger sizes with zeros", larger_sizes_with_zeros },
		{ "larger sizes with a nonzero byte",
		  larger_sizes_with_a_nonzero_byte },
		{ "bytes behind the size", bytes_behind_the_size },
		{ "cmd of another command", cmd_of_another_command },
		{ "garbage in output members", garbage_in_output_members },
		{ "output of INFO and STATS", output_of_info_and_stats },
		{ "unknown commands", unknown_commands },
	};
	struct tap_case cases[ARRAY_SIZE(rejections) + ARRAY_SIZE(others)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rejections); i++)
		cases[i] = (struct tap_case) { rejections[i].name, reject };
	memcpy(cases + i, others, sizeof(others));
	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
