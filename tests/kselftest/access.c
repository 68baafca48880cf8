// SPDX-License-Identifier: GPL-2.0
/* The device node, the modes of open files, and system calls other than ioctl. */
#define _GNU_SOURCE

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>

#include "good.h"
#include "walk.h"

static void device_node(void)
{
	struct stat node;

	expect(!stat(DEVICE, &node));
	expect(S_ISCHR(node.st_mode));
	expect_eq(node.st_mode & 07777, 0600);
	expect_eq(node.st_uid, 0);
	/* Misc devices have this major number. */
	expect_eq(major(node.st_rdev), 10);
}

static bool needs_read(__u32 cmd)
{
	switch (cmd) {
	case SYNCMAP_CMD_STORE:
	case SYNCMAP_CMD_DELETE:
	case SYNCMAP_CMD_CLEAR:
	case SYNCMAP_CMD_BATCH:
	case SYNCMAP_CMD_INFO:
	case SYNCMAP_CMD_STATS:
	case SYNCMAP_CMD_ATTACH:
	case SYNCMAP_CMD_UNLINK:
	case SYNCMAP_CMD_LIST:
		return false;
	}
	return true;
}

static bool needs_write(__u32 cmd)
{
	switch (cmd) {
	case SYNCMAP_CMD_LOAD:
	case SYNCMAP_CMD_RANGE:
	case SYNCMAP_CMD_BATCH:
	case SYNCMAP_CMD_INFO:
	case SYNCMAP_CMD_STATS:
	case SYNCMAP_CMD_ATTACH:
	case SYNCMAP_CMD_UNLINK:
	case SYNCMAP_CMD_LIST:
		return false;
	}
	return true;
}

static int expected_error(__u32 cmd, bool reads, bool writes)
{
	if (cmd == SYNCMAP_CMD_ATTACH && !reads && !writes)
		return -EBADF;
	if (needs_read(cmd) && !reads)
		return -EBADF;
	if (needs_write(cmd) && !writes)
		return -EBADF;
	return 0;
}

static void check_command(int map, __u32 cmd, bool reads, bool writes)
{
	int ret;

	good_argument(cmd);
	ret = call(map, request_of(cmd), &argument);
	if (ret != expected_error(cmd, reads, writes))
		fail("%s returned %d, expected %d", cmd_name(cmd), ret,
		     expected_error(cmd, reads, writes));
}

/* The batch itself needs nothing; each of its operations what it does alone. */
static void check_batch(int map, bool reads, bool writes)
{
	struct syncmap_op ops[KEY_COMMANDS];
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(ops),
		.count = KEY_COMMANDS,
	};
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++)
		ops[cmd] = good_op(cmd);
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, KEY_COMMANDS);
	for (cmd = 0; cmd < KEY_COMMANDS; cmd++)
		if (ops[cmd].error != expected_error(cmd, reads, writes))
			fail("%s in a batch: error is %d, expected %d",
			     cmd_name(cmd), ops[cmd].error,
			     expected_error(cmd, reads, writes));
}

static void check_mode(int flags, bool reads, bool writes)
{
	const int map = try_open(flags);
	__u32 cmd;

	expect(map >= 0);
	for (cmd = 0; cmd < COMMANDS; cmd++)
		check_command(map, cmd, reads, writes);
	check_batch(map, reads, writes);
	if (!writes)
		expect_eq(stats(map).entries, 0);
}

static void read_only(void)
{
	check_mode(O_RDONLY, true, false);
}

static void write_only(void)
{
	check_mode(O_WRONLY, false, true);
}

static void read_and_write(void)
{
	check_mode(O_RDWR, true, true);
}

/* Linux knows a fourth mode, for ioctls only. */
static void neither(void)
{
	check_mode(O_ACCMODE, false, false);
}

/* A file opened by its path alone is no open file of the device. */
static void path_only(void)
{
	const int map = try_open(O_PATH);

	expect(map >= 0);
	good_argument(SYNCMAP_CMD_INFO);
	expect_eq(call(map, SYNCMAP_IOC_INFO, &argument), -EBADF);
}

static void expect_errno(const char *what, long ret, int one, int other)
{
	if (ret != -1 || (errno != one && errno != other))
		fail("%s returned %ld, %s", what, ret, strerror(errno));
}

static void no_reading_or_writing(void)
{
	char data[16] = "";
	struct iovec vector = { data, sizeof(data) };
	int map = new_map();
	struct dump before = take_dump(map);

	expect_errno("read", read(map, data, sizeof(data)), EINVAL, EINVAL);
	expect_errno("write", write(map, data, sizeof(data)), EINVAL, EINVAL);
	expect_errno("readv", readv(map, &vector, 1), EINVAL, EINVAL);
	expect_errno("writev", writev(map, &vector, 1), EINVAL, EINVAL);
	expect_errno("pread", pread(map, data, 1, 0), EINVAL, ESPIPE);
	expect_errno("pwrite", pwrite(map, data, 1, 0), EINVAL, ESPIPE);
	expect_unchanged(map, &before);
}

static void no_mapping_or_truncating(void)
{
	int map = new_map();
	struct dump before = take_dump(map);
	void *memory = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
			    MAP_SHARED, map, 0);

	expect_errno("mmap", memory == MAP_FAILED ? -1 : 0, ENODEV, ENODEV);
	memory = mmap(NULL, page_size(), PROT_READ, MAP_PRIVATE, map, 0);
	expect_errno("mmap", memory == MAP_FAILED ? -1 : 0, ENODEV, ENODEV);
	expect_errno("ftruncate", ftruncate(map, 0), EINVAL, EINVAL);
	expect_unchanged(map, &before);
}

/* Opened again through /proc, the device gives a new map, not the same. */
static void opened_again(void)
{
	int map = new_map(), other;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", map);
	other = open(path, O_RDWR);
	expect(other >= 0);
	expect_eq(stats(other).entries, 0);
	clear(other);
	expect(stats(map).entries > 0);
}

/* O_NONBLOCK, O_APPEND and the like mean nothing here, and do no harm. */
static void other_flags(void)
{
	int map = try_open(O_RDWR | O_NONBLOCK | O_APPEND);

	expect(map >= 0);
	store(map, text("key"), text("value"));
	expect(holds(map, text("key"), text("value")));
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "device node of mode 0600", device_node },
		{ "every command on O_RDONLY", read_only },
		{ "every command on O_WRONLY", write_only },
		{ "every command on O_RDWR", read_and_write },
		{ "every command on the mode for ioctls only", neither },
		{ "O_PATH", path_only },
		{ "no read and write", no_reading_or_writing },
		{ "no mmap and ftruncate", no_mapping_or_truncating },
		{ "opened again through /proc", opened_again },
		{ "other flags of open", other_flags },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
