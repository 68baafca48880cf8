/* SPDX-License-Identifier: GPL-2.0 */
/* Arguments that are right in every member, for tests that spoil one. */
#ifndef SYNCMAP_TEST_GOOD_H
#define SYNCMAP_TEST_GOOD_H

#include <unistd.h>

#include "model.h"

#define COMMANDS	(SYNCMAP_CMD_LIST + 1)

/* The argument of the call under test, with room for sizes over a page. */
static union {
	unsigned char bytes[2 * PAGE_MAX];
	__u32 size;
	struct syncmap_op op;
	struct syncmap_clear clear;
	struct syncmap_range range;
	struct syncmap_batch batch;
	struct syncmap_info info;
	struct syncmap_stats stats;
	struct syncmap_attach attach;
	struct syncmap_unlink unlink;
} argument;

static const char live_key[] = "live", live_value[] = "value";
static const char absent_key[] = "absent";
static unsigned char buf[16384];

static inline __u32 size_of(__u32 cmd)
{
	static const __u32 sizes[] = {
		[SYNCMAP_CMD_CLEAR] = sizeof(struct syncmap_clear),
		[SYNCMAP_CMD_RANGE] = sizeof(struct syncmap_range),
		[SYNCMAP_CMD_BATCH] = sizeof(struct syncmap_batch),
		[SYNCMAP_CMD_INFO] = sizeof(struct syncmap_info),
		[SYNCMAP_CMD_STATS] = sizeof(struct syncmap_stats),
		[SYNCMAP_CMD_ATTACH] = sizeof(struct syncmap_attach),
		[SYNCMAP_CMD_UNLINK] = sizeof(struct syncmap_unlink),
		[SYNCMAP_CMD_LIST] = sizeof(struct syncmap_range),
	};

	return cmd < KEY_COMMANDS ? sizeof(struct syncmap_op) : sizes[cmd];
}

/* An operation that does what its name says if it is let through. */
static inline struct syncmap_op good_op(__u32 cmd)
{
	const struct request request = {
		.cmd = cmd,
		.key = text(cmd == SYNCMAP_CMD_LOAD_OR_STORE ? absent_key :
			    live_key),
		.value = text("new value"),
		.old = text(live_value),
	};

	return request_op(&request, buf, sizeof(buf));
}

/* A name that there has not been. */
static inline const char *new_name(void)
{
	static char name[SYNCMAP_NAME_MAX + 1];
	static int count;

	snprintf(name, sizeof(name), "good-%d-%d", getpid(), count++);
	return name;
}

static inline void good_argument(__u32 cmd)
{
	int map;

	static struct syncmap_op op;

	memset(&argument, 0, sizeof(argument));
	argument.size = size_of(cmd);
	if (cmd < KEY_COMMANDS) {
		argument.op = good_op(cmd);
	} else if (cmd == SYNCMAP_CMD_RANGE) {
		argument.range.buf = address(buf);
		argument.range.buf_len = sizeof(buf);
	} else if (cmd == SYNCMAP_CMD_BATCH) {
		op = good_op(SYNCMAP_CMD_STORE);
		argument.batch.ops = address(&op);
		argument.batch.count = 1;
	} else if (cmd == SYNCMAP_CMD_LIST) {
		argument.range.buf = address(buf);
		argument.range.buf_len = sizeof(buf);
	} else if (cmd == SYNCMAP_CMD_ATTACH) {
		argument.attach = new_attach(text(new_name()),
					     SYNCMAP_ATTACH_CREATE);
	} else if (cmd == SYNCMAP_CMD_UNLINK) {
		map = open_map();
		argument.unlink.name = address(new_name());
		argument.unlink.name_len = strlen(at_address(argument.unlink.name));
		expect_eq(attach(map, at_address(argument.unlink.name),
				 SYNCMAP_ATTACH_CREATE), 0);
		close(map);
	}
}

static inline int new_map(void)
{
	int map = open_map();

	fill(map, "other", 5);
	store(map, text(live_key), text(live_value));
	return map;
}

#endif /* SYNCMAP_TEST_GOOD_H */
