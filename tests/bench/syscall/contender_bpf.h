/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hash maps of bpf(2): with all elements allocated beforehand; without; and the one
 * that grows (BPF_MAP_TYPE_RHASH, since 7.2).
 */
#ifndef SYNCMAP_BENCH_CONTENDER_BPF_H
#define SYNCMAP_BENCH_CONTENDER_BPF_H

#include <sys/syscall.h>

#include <linux/bpf.h>

#include "contender.h"

/* The headers may be older than the kernel. */
#define MAP_TYPE_RHASH ((enum bpf_map_type)35)

/* Filled in once; each call changes only the addresses of keys and values. */
struct bpf_calls {
	union bpf_attr element, batch;
	uint64_t keys[BATCH];
	uint64_t values[BATCH * WORDS_MAX];
};

/* Only as much as a command has is passed, since the kernel copies it all. */
#define CREATE_SIZE (offsetof(union bpf_attr, map_flags) + sizeof(__u32))
#define ELEMENT_SIZE (offsetof(union bpf_attr, flags) + sizeof(__u64))
#define BATCH_SIZE sizeof(((union bpf_attr *)0)->batch)

/* A file or 0, or -errno. */
static int bpf(int command, union bpf_attr *attr, size_t size)
{
	int ret = syscall(SYS_bpf, command, attr, size);

	return ret < 0 ? -errno : ret;
}

static int bpf_create(const struct shape *shape, enum bpf_map_type type,
		      uint32_t flags)
{
	union bpf_attr attr;

	memset(&attr, 0, sizeof(attr));
	attr.map_type = type;
	attr.key_size = sizeof(uint64_t);
	attr.value_size = shape->words * sizeof(uint64_t);
	attr.max_entries = shape->count;
	attr.map_flags = flags;
	return bpf(BPF_MAP_CREATE, &attr, CREATE_SIZE);
}

static const char *bpf_missing(void)
{
	const struct shape shape = { .count = 1, .words = 1 };
	int file = bpf_create(&shape, BPF_MAP_TYPE_HASH, 0);

	if (file >= 0) {
		close(file);
		return NULL;
	}
	if (file == -EPERM)
		return "bpf(2) is forbidden here; run this as root, with CAP_BPF";
	if (access("/proc/sys/kernel/unprivileged_bpf_disabled", F_OK))
		return "this kernel has no bpf(2): it lacks CONFIG_BPF_SYSCALL";
	return strerror(-file);
}

static const char *bpf_rhash_missing(void)
{
	const struct shape shape = { .count = 1, .words = 1 };
	const char *reason = bpf_missing();
	int file;

	if (reason)
		return reason;
	file = bpf_create(&shape, MAP_TYPE_RHASH, BPF_F_NO_PREALLOC);
	if (file < 0)
		return "this kernel has no BPF_MAP_TYPE_RHASH: it is older than 7.2";
	close(file);
	return NULL;
}

static int bpf_make(struct contender *me, enum bpf_map_type type, uint32_t flags)
{
	struct bpf_calls *calls = zeroed(1, sizeof(*calls));

	me->calls = calls;
	me->file = bpf_create(me->shape, type, flags);
	calls->element.map_fd = me->file;
	calls->batch.batch.map_fd = me->file;
	return me->file < 0 ? me->file : 0;
}

static int bpf_make_prealloc(struct contender *me)
{
	return bpf_make(me, BPF_MAP_TYPE_HASH, 0);
}

static int bpf_make_no_prealloc(struct contender *me)
{
	return bpf_make(me, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC);
}

static int bpf_make_rhash(struct contender *me)
{
	return bpf_make(me, MAP_TYPE_RHASH, BPF_F_NO_PREALLOC);
}

static void bpf_drop(struct contender *me)
{
	close(me->file);
	free(me->calls);
}

static int bpf_lookup(struct contender *me, const uint64_t *key,
		      uint64_t *value)
{
	struct bpf_calls *calls = me->calls;

	calls->element.key = (uintptr_t)key;
	calls->element.value = (uintptr_t)value;
	return bpf(BPF_MAP_LOOKUP_ELEM, &calls->element, ELEMENT_SIZE);
}

static int bpf_update(struct contender *me, const uint64_t *key,
		      const uint64_t *value)
{
	struct bpf_calls *calls = me->calls;

	calls->element.key = (uintptr_t)key;
	calls->element.value = (uintptr_t)value;
	return bpf(BPF_MAP_UPDATE_ELEM, &calls->element, ELEMENT_SIZE);
}

/* BPF_MAP_LOOKUP_BATCH asks for no keys: it walks.  So it is one by one. */
static int bpf_lookup_batch(struct contender *me, const uint64_t *keys,
			    uint64_t *values)
{
	size_t i;
	int ret;

	for (i = 0; i < BATCH; i++) {
		ret = bpf_lookup(me, keys + i, values + i * me->shape->words);
		if (ret)
			return ret;
	}
	return 0;
}

static int bpf_update_batch(struct contender *me, const uint64_t *keys,
			    const uint64_t *values)
{
	struct bpf_calls *calls = me->calls;
	int ret;

	calls->batch.batch.in_batch = 0;
	calls->batch.batch.out_batch = 0;
	calls->batch.batch.keys = (uintptr_t)keys;
	calls->batch.batch.values = (uintptr_t)values;
	calls->batch.batch.count = BATCH;
	ret = bpf(BPF_MAP_UPDATE_BATCH, &calls->batch, BATCH_SIZE);
	if (ret)
		return ret;
	return calls->batch.batch.count == BATCH ? 0 : -EINTR;
}

static int bpf_walk(struct contender *me, size_t *count, uint64_t *sum)
{
	struct bpf_calls *calls = me->calls;
	/* A bucket's number, or the key to go on with. */
	uint64_t place = 0;
	uint32_t found, i;
	int ret;

	*count = 0;
	*sum = 0;
	calls->batch.batch.in_batch = 0;
	calls->batch.batch.out_batch = (uintptr_t)&place;
	calls->batch.batch.keys = (uintptr_t)calls->keys;
	calls->batch.batch.values = (uintptr_t)calls->values;
	do {
		calls->batch.batch.count = BATCH;
		ret = bpf(BPF_MAP_LOOKUP_BATCH, &calls->batch, BATCH_SIZE);
		if (ret && ret != -ENOENT)
			return ret;
		found = calls->batch.batch.count;
		for (i = 0; i < found; i++)
			*sum += calls->values[i * me->shape->words];
		*count += found;
		calls->batch.batch.in_batch = (uintptr_t)&place;
	} while (!ret); /* ENOENT: that was the last bucket */
	return 0;
}

static const struct contender bpf_contender = {
	.name = "bpf-hash",
	.missing = bpf_missing,
	.make = bpf_make_prealloc,
	.drop = bpf_drop,
	.lookup = bpf_lookup,
	.update = bpf_update,
	.lookup_batch = bpf_lookup_batch,
	.update_batch = bpf_update_batch,
	.walk = bpf_walk,
};

static const struct contender bpf_no_prealloc_contender = {
	.name = "bpf-hash-noprealloc",
	.missing = bpf_missing,
	.make = bpf_make_no_prealloc,
	.drop = bpf_drop,
	.lookup = bpf_lookup,
	.update = bpf_update,
	.lookup_batch = bpf_lookup_batch,
	.update_batch = bpf_update_batch,
	.walk = bpf_walk,
};

static const struct contender bpf_rhash_contender = {
	.name = "bpf-rhash",
	.missing = bpf_rhash_missing,
	.make = bpf_make_rhash,
	.drop = bpf_drop,
	.lookup = bpf_lookup,
	.update = bpf_update,
	.lookup_batch = bpf_lookup_batch,
	.update_batch = bpf_update_batch,
	.walk = bpf_walk,
};

#endif /* SYNCMAP_BENCH_CONTENDER_BPF_H */
