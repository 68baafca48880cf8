/* SPDX-License-Identifier: GPL-2.0 */
/* /dev/syncmap. */
#ifndef SYNCMAP_BENCH_CONTENDER_SYNCMAP_H
#define SYNCMAP_BENCH_CONTENDER_SYNCMAP_H

#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/syncmap.h>

#include "contender.h"

#define SYNCMAP_DEVICE "/dev/syncmap"

/* Filled in once; each call changes only the addresses of keys and values. */
struct syncmap_calls {
	struct syncmap_op load, store;
	struct syncmap_op loads[BATCH], stores[BATCH];
	struct syncmap_range range;
	uint8_t records[BATCH * (sizeof(struct syncmap_record) +
				 (1 + WORDS_MAX) * sizeof(uint64_t))]
		__attribute__((aligned(8)));
};

static const char *syncmap_missing(void)
{
	int file = open(SYNCMAP_DEVICE, O_RDWR | O_CLOEXEC);

	if (file >= 0) {
		close(file);
		return NULL;
	}
	switch (errno) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		return "there is no " SYNCMAP_DEVICE "; load syncmap.ko first";
	case EACCES:
	case EPERM:
		return SYNCMAP_DEVICE " is for root alone; run this as root";
	default:
		return strerror(errno);
	}
}

static int syncmap_make(struct contender *me)
{
	const uint32_t value_len = me->shape->words * sizeof(uint64_t);
	struct syncmap_calls *calls = zeroed(1, sizeof(*calls));
	size_t i;

	calls->load = (struct syncmap_op) {
		.size = sizeof(struct syncmap_op),
		.cmd = SYNCMAP_CMD_LOAD,
		.key_len = sizeof(uint64_t),
		.buf_len = value_len,
	};
	calls->store = (struct syncmap_op) {
		.size = sizeof(struct syncmap_op),
		.cmd = SYNCMAP_CMD_STORE,
		.key_len = sizeof(uint64_t),
		.value_len = value_len,
	};
	for (i = 0; i < BATCH; i++) {
		calls->loads[i] = calls->load;
		calls->stores[i] = calls->store;
	}
	calls->range = (struct syncmap_range) {
		.size = sizeof(struct syncmap_range),
		.buf = (uintptr_t)calls->records,
		.buf_len = BATCH * (sizeof(struct syncmap_record) +
				    sizeof(uint64_t) + value_len),
	};
	me->calls = calls;
	me->file = open(SYNCMAP_DEVICE, O_RDWR | O_CLOEXEC);
	return me->file < 0 ? -errno : 0;
}

static void syncmap_drop(struct contender *me)
{
	close(me->file);
	free(me->calls);
}

static int syncmap_lookup(struct contender *me, const uint64_t *key,
			  uint64_t *value)
{
	struct syncmap_calls *calls = me->calls;

	calls->load.key = (uintptr_t)key;
	calls->load.buf = (uintptr_t)value;
	if (ioctl(me->file, SYNCMAP_IOC_LOAD, &calls->load))
		return -errno;
	return calls->load.result & SYNCMAP_RESULT_FOUND ? 0 : -ENOENT;
}

static int syncmap_update(struct contender *me, const uint64_t *key,
			  const uint64_t *value)
{
	struct syncmap_calls *calls = me->calls;

	calls->store.key = (uintptr_t)key;
	calls->store.value = (uintptr_t)value;
	return ioctl(me->file, SYNCMAP_IOC_STORE, &calls->store) ? -errno : 0;
}

/* Runs @ops, each of which must report @result. */
static int syncmap_batch(struct contender *me, struct syncmap_op *ops,
			 uint32_t result)
{
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = (uintptr_t)ops,
		.count = BATCH,
	};
	size_t i;

	if (ioctl(me->file, SYNCMAP_IOC_BATCH, &batch))
		return -errno;
	if (batch.done != BATCH)
		return -EINTR;
	for (i = 0; i < BATCH; i++) {
		if (ops[i].error)
			return ops[i].error;
		if (ops[i].result != result)
			return -ENOENT;
	}
	return 0;
}

static int syncmap_lookup_batch(struct contender *me, const uint64_t *keys,
				uint64_t *values)
{
	struct syncmap_calls *calls = me->calls;
	size_t i;

	for (i = 0; i < BATCH; i++) {
		calls->loads[i].key = (uintptr_t)(keys + i);
		calls->loads[i].buf =
			(uintptr_t)(values + i * me->shape->words);
	}
	return syncmap_batch(me, calls->loads, SYNCMAP_RESULT_FOUND);
}

static int syncmap_update_batch(struct contender *me, const uint64_t *keys,
				const uint64_t *values)
{
	struct syncmap_calls *calls = me->calls;
	size_t i;

	for (i = 0; i < BATCH; i++) {
		calls->stores[i].key = (uintptr_t)(keys + i);
		calls->stores[i].value =
			(uintptr_t)(values + i * me->shape->words);
	}
	return syncmap_batch(me, calls->stores, SYNCMAP_RESULT_STORED);
}

static int syncmap_walk(struct contender *me, size_t *count, uint64_t *sum)
{
	struct syncmap_calls *calls = me->calls;
	struct syncmap_range *range = &calls->range;
	const struct syncmap_record *record;
	uint64_t cursor, word;
	uint32_t at, i;

	*count = 0;
	*sum = 0;
	range->cursor = 0;
	range->cursor_len = 0;
	do {
		if (ioctl(me->file, SYNCMAP_IOC_RANGE, range))
			return -errno;
		for (i = 0, at = 0; i < range->count; i++, at += record->next) {
			record = (const void *)(calls->records + at);
			memcpy(&word, syncmap_record_value(record),
			       sizeof(word));
			*sum += word;
		}
		*count += range->count;
		record = (const void *)(calls->records + range->last);
		memcpy(&cursor, syncmap_record_key(record), sizeof(cursor));
		range->cursor = (uintptr_t)&cursor;
		range->cursor_len = sizeof(cursor);
	} while (!(range->result & SYNCMAP_RANGE_END));
	return 0;
}

static const struct contender syncmap_contender = {
	.name = "syncmap",
	.missing = syncmap_missing,
	.make = syncmap_make,
	.drop = syncmap_drop,
	.lookup = syncmap_lookup,
	.update = syncmap_update,
	.lookup_batch = syncmap_lookup_batch,
	.update_batch = syncmap_update_batch,
	.walk = syncmap_walk,
};

#endif /* SYNCMAP_BENCH_CONTENDER_SYNCMAP_H */
