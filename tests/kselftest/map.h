/* SPDX-License-Identifier: GPL-2.0 */
/* Calls to the device, with as little between a test and the ABI as possible. */
#ifndef SYNCMAP_TEST_MAP_H
#define SYNCMAP_TEST_MAP_H

#include <fcntl.h>
#include <stdint.h>
#include <sys/ioctl.h>

#include <linux/syncmap.h>

#include "tap.h"

#define DEVICE "/dev/syncmap"

/* What output members hold before a call, to see whether it sets them. */
#define UNTOUCHED 0x5a5a5a5a

struct bytes {
	const void *data;
	__u32 len;
};

static inline struct bytes bytes(const void *data, __u32 len)
{
	return (struct bytes) { data, len };
}

static inline struct bytes text(const char *string)
{
	return bytes(string, strlen(string));
}

static inline bool same_bytes(struct bytes a, struct bytes b)
{
	return a.len == b.len && !memcmp(a.data, b.data, a.len);
}

/* The largest page of the supported architectures: arm64 has 4, 16 or 64 KiB. */
#define PAGE_MAX 65536

static inline __u32 page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static inline __u64 address(const void *pointer)
{
	return (uintptr_t)pointer;
}

static inline const void *at_address(__u64 pointer)
{
	return (const void *)(uintptr_t)pointer;
}

/* The commands on one key come first in the enumeration. */
#define KEY_COMMANDS SYNCMAP_CMD_CLEAR

static inline const char *cmd_name(__u32 cmd)
{
	static const char *const names[] = {
		"LOAD", "STORE", "LOAD_OR_STORE", "LOAD_AND_DELETE", "DELETE",
		"SWAP", "COMPARE_AND_SWAP", "COMPARE_AND_DELETE", "CLEAR",
		"RANGE", "BATCH", "INFO", "STATS", "ATTACH", "UNLINK", "LIST",
	};

	return cmd < ARRAY_SIZE(names) ? names[cmd] : "unknown";
}

static inline bool takes_value(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_STORE || cmd == SYNCMAP_CMD_LOAD_OR_STORE ||
	       cmd == SYNCMAP_CMD_SWAP || cmd == SYNCMAP_CMD_COMPARE_AND_SWAP;
}

static inline bool takes_old(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_COMPARE_AND_SWAP ||
	       cmd == SYNCMAP_CMD_COMPARE_AND_DELETE;
}

static inline bool takes_buf(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_LOAD || cmd == SYNCMAP_CMD_LOAD_OR_STORE ||
	       cmd == SYNCMAP_CMD_LOAD_AND_DELETE || cmd == SYNCMAP_CMD_SWAP;
}

static inline int try_open(int flags)
{
	int map = open(DEVICE, flags | O_CLOEXEC);

	return map < 0 ? -errno : map;
}

/* A map of its own, like every open file. */
static inline int open_map(void)
{
	int map = try_open(O_RDWR);

	if (map < 0)
		fail("cannot open %s: %s", DEVICE, strerror(-map));
	return map;
}

/* 0 or -errno: a successful ioctl of this device returns nothing else. */
static inline int call(int map, unsigned long request, void *argument)
{
	int ret = ioctl(map, request, argument);

	return ret < 0 ? -errno : ret;
}

static inline unsigned long request_of(__u32 cmd)
{
	return _IO(SYNCMAP_IOC_TYPE, cmd);
}

static inline struct syncmap_op new_op(struct bytes key)
{
	return (struct syncmap_op) {
		.size = sizeof(struct syncmap_op),
		.error = UNTOUCHED,
		.key = address(key.data),
		.key_len = key.len,
		.out_len = UNTOUCHED,
		.result = UNTOUCHED,
	};
}

static inline void set_value(struct syncmap_op *op, struct bytes value)
{
	op->value = address(value.data);
	op->value_len = value.len;
}

static inline void set_old(struct syncmap_op *op, struct bytes old)
{
	op->old = address(old.data);
	op->old_len = old.len;
}

static inline void set_buf(struct syncmap_op *op, void *buf, __u32 len)
{
	op->buf = address(buf);
	op->buf_len = len;
}

/* Runs @op and returns its result bits; anything but success ends the case. */
static inline __u32 run_op(int map, __u32 cmd, struct syncmap_op *op)
{
	int ret = call(map, request_of(cmd), op);

	if (ret)
		fail("%s: %s", cmd_name(cmd), strerror(-ret));
	return op->result;
}

static inline void store(int map, struct bytes key, struct bytes value)
{
	struct syncmap_op op = new_op(key);

	set_value(&op, value);
	expect(run_op(map, SYNCMAP_CMD_STORE, &op) & SYNCMAP_RESULT_STORED);
}

static inline bool delete(int map, struct bytes key)
{
	struct syncmap_op op = new_op(key);

	return run_op(map, SYNCMAP_CMD_DELETE, &op) & SYNCMAP_RESULT_DELETED;
}

/* Deletes a key with that value; its entry stays where it is, until it is swept. */
static inline void leave_deleted(int map, struct bytes key, struct bytes old)
{
	struct syncmap_op op = new_op(key);

	set_old(&op, old);
	expect(run_op(map, SYNCMAP_CMD_COMPARE_AND_DELETE, &op) &
	       SYNCMAP_RESULT_DELETED);
}

/* Bytes of the value at @buf, or -1 if the key is absent. */
static inline int load(int map, struct bytes key, void *buf, __u32 len)
{
	struct syncmap_op op = new_op(key);

	set_buf(&op, buf, len);
	if (!(run_op(map, SYNCMAP_CMD_LOAD, &op) & SYNCMAP_RESULT_FOUND))
		return -1;
	return op.out_len;
}

static inline bool present(int map, struct bytes key)
{
	return load(map, key, NULL, 0) >= 0;
}

static inline bool holds(int map, struct bytes key, struct bytes value)
{
	static unsigned char buf[SYNCMAP_VALUE_MAX];
	int len = load(map, key, buf, sizeof(buf));

	return len >= 0 && same_bytes(bytes(buf, len), value);
}

static inline void clear(int map)
{
	struct syncmap_clear argument = { .size = sizeof(argument) };

	expect_eq(call(map, SYNCMAP_IOC_CLEAR, &argument), 0);
}

static inline struct syncmap_stats stats(int map)
{
	struct syncmap_stats argument = { .size = sizeof(argument) };

	expect_eq(call(map, SYNCMAP_IOC_STATS, &argument), 0);
	return argument;
}

static inline struct syncmap_info info(int map)
{
	struct syncmap_info argument = { .size = sizeof(argument) };

	expect_eq(call(map, SYNCMAP_IOC_INFO, &argument), 0);
	return argument;
}

static inline struct syncmap_attach new_attach(struct bytes name, __u32 flags)
{
	return (struct syncmap_attach) {
		.size = sizeof(struct syncmap_attach),
		.flags = flags,
		.name = address(name.data),
		.name_len = name.len,
		.mode = flags & SYNCMAP_ATTACH_CREATE ? 0600 : 0,
	};
}

/* 0 or -errno. */
static inline int attach(int map, const char *name, __u32 flags)
{
	struct syncmap_attach argument = new_attach(text(name), flags);

	return call(map, SYNCMAP_IOC_ATTACH, &argument);
}

/* 0 or -errno. */
static inline int unlink_name(int file, const char *name)
{
	struct syncmap_unlink argument = {
		.size = sizeof(argument),
		.name = address(name),
		.name_len = strlen(name),
	};

	return call(file, SYNCMAP_IOC_UNLINK, &argument);
}

/* "PREFIX 17": keys and values made of a number. */
struct label {
	char text[48];
};

static inline struct label label(const char *prefix, int number)
{
	struct label name;

	snprintf(name.text, sizeof(name.text), "%s %d", prefix, number);
	return name;
}

/* Stores @count keys "PREFIX 0"..., each its own value. */
static inline void fill(int map, const char *prefix, int count)
{
	struct label name;
	int i;

	for (i = 0; i < count; i++) {
		name = label(prefix, i);
		store(map, text(name.text), text(name.text));
	}
}

/* A small generator whose whole state is one number, so that it can be given. */
static inline unsigned int next_random(unsigned long long *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545F4914F6CDD1DULL) >> 32;
}

/* The seed in SYNCMAP_SEED, else a new one; shown, so that it can be repeated. */
static inline unsigned long long random_seed(void)
{
	const char *given = getenv("SYNCMAP_SEED");
	unsigned long long seed;

	if (given)
		seed = strtoull(given, NULL, 0);
	else
		seed = now_ms() * 2654435761ULL ^ (unsigned long long)getpid();
	seed |= !seed;
	diag("SYNCMAP_SEED=0x%llx", seed);
	return seed;
}

#endif /* SYNCMAP_TEST_MAP_H */
