/* SPDX-License-Identifier: GPL-2.0 */
/* The calls of the device that the demo makes, alone and in batches. */
#ifndef SYNCMAP_DEMO_MAP_H
#define SYNCMAP_DEMO_MAP_H

#include "demo_input.h"

#include <sys/ioctl.h>

#define DEVICE		"/dev/syncmap"
#define BATCH		256

/* Room for a value and the version that the writer adds to it. */
#define BUF_BYTES	(VALUE_BYTES + 32)

static int map;

static void open_map(void)
{
	map = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (map < 0)
		failed("cannot open %s: %s%s", DEVICE, strerror(errno),
		       errno == ENOENT ? " (is the module loaded?)" : "");
}

static const char *error_sentence(int error)
{
	if (error == EDQUOT)
		return "the map is full; load the module with higher limits";
	return strerror(error);
}

static void must_call(unsigned long request, void *argument, const char *name)
{
	if (ioctl(map, request, argument))
		failed("%s: %s", name, error_sentence(errno));
}

static struct syncmap_op new_op(const char *key, __u32 len)
{
	return (struct syncmap_op) {
		.size = sizeof(struct syncmap_op),
		.key = (uintptr_t)key,
		.key_len = len,
	};
}

static void set_value(struct syncmap_op *op, const char *value, __u32 len)
{
	op->value = (uintptr_t)value;
	op->value_len = len;
}

static void set_old(struct syncmap_op *op, const char *value, __u32 len)
{
	op->old = (uintptr_t)value;
	op->old_len = len;
}

static void set_buf(struct syncmap_op *op, char *buf)
{
	op->buf = (uintptr_t)buf;
	op->buf_len = BUF_BYTES;
}

/* Runs one operation alone and returns its result bits. */
static __u32 run(unsigned long request, struct syncmap_op *op,
		 const char *name)
{
	must_call(request, op, name);
	return op->result;
}

#define RUN(command, op) run(SYNCMAP_IOC_##command, op, #command)

/* Operations on their way to the kernel, each with room for a value found. */
struct batch {
	__u32 count;
	/* Numbers of the entries that the operations are about. */
	__u32 about[BATCH];
	struct syncmap_op ops[BATCH];
	char bufs[BATCH][BUF_BYTES];
};

/* The next operation of a batch, on the key of an entry. */
static struct syncmap_op *batch_op(struct batch *batch, __u32 cmd,
				   const struct input *input, __u32 number)
{
	const struct entry *entry = &input->entries[number];
	struct syncmap_op *op = &batch->ops[batch->count];

	*op = new_op(entry->key, entry->key_len);
	op->cmd = cmd;
	batch->about[batch->count++] = number;
	return op;
}

/* Its value may be missing from the operations: STORE has no buffer. */
static char *batch_buf(struct batch *batch, const struct syncmap_op *op)
{
	return batch->bufs[op - batch->ops];
}

/* A signal may end the system call early: the rest needs another. */
static void run_batch(struct batch *batch)
{
	struct syncmap_batch call = { .size = sizeof(call) };
	__u32 done, i;

	for (done = 0; done < batch->count; done += call.done) {
		call.ops = (uintptr_t)&batch->ops[done];
		call.count = batch->count - done;
		must_call(SYNCMAP_IOC_BATCH, &call, "BATCH");
	}
	for (i = 0; i < batch->count; i++)
		if (batch->ops[i].error)
			failed("an operation of a batch: %s",
			       error_sentence(-batch->ops[i].error));
}

static bool same_value(const struct entry *entry, const char *buf,
		       __u32 len)
{
	return len == entry->value_len && !memcmp(buf, entry->value, len);
}

/* What was found under the key of an entry must be what the file says. */
static void expect_exact(const struct input *input, __u32 number,
			 const struct syncmap_op *op, const char *buf)
{
	const struct entry *entry = &input->entries[number];

	entry = &input->entries[entry->first];
	if (!(op->result & SYNCMAP_RESULT_FOUND))
		failed("\"%.*s\" is not in the map", (int)entry->key_len,
		       entry->key);
	if (!same_value(entry, buf, op->out_len))
		failed("\"%.*s\" has the value \"%.*s\" instead of \"%s\"",
		       (int)entry->key_len, entry->key, (int)op->out_len, buf,
		       entry->value);
}

static struct syncmap_stats get_stats(void)
{
	struct syncmap_stats stats = { .size = sizeof(stats) };

	must_call(SYNCMAP_IOC_STATS, &stats, "STATS");
	return stats;
}

static struct syncmap_info get_info(void)
{
	struct syncmap_info info = { .size = sizeof(info) };

	must_call(SYNCMAP_IOC_INFO, &info, "INFO");
	return info;
}

static void clear_map(void)
{
	struct syncmap_clear clear = { .size = sizeof(clear) };

	must_call(SYNCMAP_IOC_CLEAR, &clear, "CLEAR");
}

#endif /* SYNCMAP_DEMO_MAP_H */
