/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arguments of calls: as a program would pass them, and then, for some, one or
 * two members spoiled.
 */
#ifndef SYNCMAP_FUZZ_GENERATE_H
#define SYNCMAP_FUZZ_GENERATE_H

#include <stddef.h>

#include "places.h"

#define FUZZ_KEYS	96
#define FUZZ_NAMES	12
#define FUZZ_OPS	24
#define FUZZ_BUF	(SYNCMAP_VALUE_MAX + PAGE)

/* What one thread passes; all of it may always be written by it. */
struct arguments {
	unsigned long long random;
	struct places *places;
	union {
		unsigned char bytes[2 * PAGE];
		__u32 words[2 * PAGE / 4];
		__u32 size;
		struct syncmap_op op;
		struct syncmap_clear clear;
		struct syncmap_range range;
		struct syncmap_batch batch;
		struct syncmap_info info;
		struct syncmap_stats stats;
		struct syncmap_attach attach;
		struct syncmap_unlink unlink;
	};
	struct syncmap_op ops[FUZZ_OPS];
	/* Where the operations of the batch really are, and how many. */
	struct syncmap_op *passed_ops;
	unsigned char keys[FUZZ_OPS][SYNCMAP_KEY_MAX];
	char name[SYNCMAP_NAME_MAX + 1];
	unsigned char value[FUZZ_BUF];
	unsigned char buf[FUZZ_BUF];
};

static inline unsigned int pick(struct arguments *args, unsigned int count)
{
	return next_random(&args->random) % count;
}

static inline bool once_in(struct arguments *args, unsigned int count)
{
	return !pick(args, count);
}

/* The key of a number: its length and bytes follow from that. */
static inline __u32 make_key(unsigned char *key, unsigned int number)
{
	static const __u32 lengths[] = { 1, 4, 8, 8, 16, 40, 200, 512 };
	__u32 len = lengths[number % ARRAY_SIZE(lengths)];

	memset(key, 'a' + number % 26, len);
	key[len - 1] = number;
	return len;
}

static inline __u32 random_len(struct arguments *args)
{
	switch (pick(args, 64)) {
	case 0:
		return pick(args, SYNCMAP_VALUE_MAX + 1);
	case 1:
		return SYNCMAP_VALUE_MAX;
	case 2 ... 6:
		return pick(args, 3 * PAGE);
	case 7 ... 9:
		return 0;
	default:
		return pick(args, 100);
	}
}

static inline void make_op(struct arguments *args, struct syncmap_op *op,
			   __u32 cmd, unsigned char *key)
{
	*op = new_op(bytes(key, make_key(key, pick(args, FUZZ_KEYS))));
	op->cmd = once_in(args, 2) ? cmd : 0;
	/* Values repeat, so that comparisons often find them equal. */
	if (takes_value(cmd))
		set_value(op, bytes(args->value, random_len(args)));
	if (takes_old(cmd))
		set_old(op, bytes(args->value, pick(args, 4) ?
				  pick(args, 100) : random_len(args)));
	if (takes_buf(cmd) && pick(args, 8))
		set_buf(op, args->buf, pick(args, 8) ? FUZZ_BUF :
			pick(args, 64));
}

/* A name that others use as well, of users that come and go. */
static inline __u32 make_name(struct arguments *args)
{
	return snprintf(args->name, sizeof(args->name), "fuzz-%u",
			pick(args, FUZZ_NAMES));
}

static inline void make_batch(struct arguments *args)
{
	__u32 count = pick(args, FUZZ_OPS + 1);
	__u32 i;

	args->passed_ops = args->ops;
	for (i = 0; i < count; i++) {
		__u32 cmd = pick(args, KEY_COMMANDS);

		make_op(args, &args->ops[i], cmd, args->keys[i]);
		args->ops[i].cmd = cmd;
		args->ops[i].error = 0;
	}
	args->batch = (struct syncmap_batch) {
		.size = sizeof(args->batch),
		.ops = address(args->ops),
		.count = count,
		.done = UNTOUCHED,
	};
}

static inline void make_walk(struct arguments *args, bool names)
{
	args->range = (struct syncmap_range) {
		.size = sizeof(args->range),
		.buf = address(args->buf),
		.buf_len = pick(args, 4) ? FUZZ_BUF : pick(args, 400),
	};
	if (once_in(args, 3))
		return;
	if (names) {
		args->range.cursor_len = make_name(args);
		args->range.cursor = address(args->name);
	} else {
		args->range.cursor_len = make_key(args->keys[0],
						  pick(args, FUZZ_KEYS));
		args->range.cursor = address(args->keys[0]);
	}
}

static inline void make_attach(struct arguments *args)
{
	static const __u32 modes[] = { 0, 0600, 0640, 0666, 0777, 0400 };
	static const __u32 all_flags[] = {
		0, SYNCMAP_ATTACH_CREATE,
		SYNCMAP_ATTACH_CREATE | SYNCMAP_ATTACH_EXCL,
		SYNCMAP_ATTACH_CREATE | SYNCMAP_ATTACH_EXCL,
	};
	__u32 flags = all_flags[pick(args, ARRAY_SIZE(all_flags))];

	make_name(args);
	args->attach = new_attach(text(args->name), flags);
	if (flags)
		args->attach.mode = modes[pick(args, ARRAY_SIZE(modes))];
}

static inline void make_argument(struct arguments *args, __u32 cmd)
{
	memset(args->bytes, 0, sizeof(args->bytes));
	switch (cmd) {
	case SYNCMAP_CMD_CLEAR:
		args->clear.size = sizeof(args->clear);
		break;
	case SYNCMAP_CMD_RANGE:
	case SYNCMAP_CMD_LIST:
		make_walk(args, cmd == SYNCMAP_CMD_LIST);
		break;
	case SYNCMAP_CMD_BATCH:
		make_batch(args);
		break;
	case SYNCMAP_CMD_INFO:
		args->info.size = sizeof(args->info);
		break;
	case SYNCMAP_CMD_STATS:
		args->stats.size = sizeof(args->stats);
		break;
	case SYNCMAP_CMD_ATTACH:
		make_attach(args);
		break;
	case SYNCMAP_CMD_UNLINK:
		args->unlink.size = sizeof(args->unlink);
		args->unlink.name_len = make_name(args);
		args->unlink.name = address(args->name);
		break;
	default:
		make_op(args, &args->op, cmd, args->keys[0]);
	}
}

static inline __u32 wild_number(struct arguments *args)
{
	static const __u32 wild[] = {
		0, 1, 2, 3, 4, 7, 8, 63, 64, 511, 512, 513, 4095, 4096, 4097,
		65535, 65536, 65537, 0x7fffffff, 0x80000000, 0xfffffff8,
		0xffffffff,
	};

	if (once_in(args, 4))
		return 1U << pick(args, 32);
	return wild[pick(args, ARRAY_SIZE(wild))];
}

static inline void spoil_size(struct arguments *args, __u32 *size)
{
	switch (pick(args, 4)) {
	case 0:
		*size += 8 * pick(args, 4);
		break;
	case 1:
		*size = *size % PAGE + 8;
		args->bytes[*size - 1 - pick(args, 8)] ^= once_in(args, 2);
		break;
	case 2:
		*size = PAGE - 2 + pick(args, 4);
		break;
	default:
		*size = wild_number(args);
	}
}

static inline void spoil_op(struct arguments *args, struct syncmap_op *op)
{
	__u64 *pointers[] = { &op->key, &op->value, &op->old, &op->buf };
	__u32 *numbers[] = {
		&op->cmd, &op->flags, &op->key_len, &op->value_len,
		&op->old_len, &op->buf_len,
	};
	unsigned int which;

	switch (pick(args, 9)) {
	case 8:
		/* What goes with the pointer that is there. */
		*(op->old ? &op->old_len : op->value ? &op->value_len :
		  op->buf ? &op->buf_len : &op->key_len) = wild_number(args);
		break;
	case 0:
	case 1:
		*numbers[pick(args, 6)] = wild_number(args);
		break;
	case 2:
		spoil_size(args, &op->size);
		break;
	case 3:
		/* Results go where arguments are, or where they come from. */
		op->buf = address(op) + pick(args, 2 * sizeof(*op));
		if (once_in(args, 2))
			op->buf = op->key + pick(args, 16);
		break;
	default:
		which = pick(args, 4);
		if (!*pointers[which] && pick(args, 4))
			which = 0;
		*pointers[which] = bad_address(args->places, op->value_len,
					       &args->random);
	}
}

static inline void spoil_walk(struct arguments *args)
{
	__u32 *numbers[] = {
		&args->range.flags, &args->range.cursor_len,
		&args->range.buf_len,
	};

	switch (pick(args, 4)) {
	case 0:
		*numbers[pick(args, 3)] = wild_number(args);
		break;
	case 1:
		args->range.cursor = bad_address(args->places, 64,
						 &args->random);
		break;
	case 2:
		args->range.buf = address(args->bytes) + pick(args, 64);
		break;
	default:
		args->range.buf = bad_address(args->places, 600, &args->random);
	}
}

static inline void spoil_batch(struct arguments *args)
{
	switch (pick(args, 5)) {
	case 0:
		args->batch.flags = wild_number(args);
		break;
	case 1:
		args->batch.count = wild_number(args);
		break;
	case 2:
		args->batch.ops = bad_address(args->places, sizeof(args->ops),
					      &args->random);
		break;
	default:
		/* Several may be wrong at once. */
		do {
			spoil_op(args, &args->ops[pick(args, args->batch.count +
						       1) % FUZZ_OPS]);
		} while (pick(args, 8));
	}
}

static inline void spoil_name(struct arguments *args, __u32 cmd)
{
	static const char *const names[] = {
		".hidden", "a/b", "", "fuzz 1", "UPPER.lower_0-9:x",
	};
	/* Both structs begin alike. */
	struct syncmap_attach *attach = &args->attach;
	__u32 *numbers[] = {
		&attach->flags, &attach->name_len,
		cmd == SYNCMAP_CMD_ATTACH ? &attach->mode : &attach->name_len,
		cmd == SYNCMAP_CMD_ATTACH ? &attach->__reserved :
		&args->unlink.__reserved,
	};

	switch (pick(args, 4)) {
	case 0:
	case 1:
		*numbers[pick(args, 4)] = wild_number(args);
		break;
	case 2:
		attach->name = bad_address(args->places, attach->name_len,
					   &args->random);
		break;
	default:
		attach->name = address(names[pick(args, ARRAY_SIZE(names))]);
		attach->name_len = strlen(at_address(attach->name));
	}
}

static inline void spoil(struct arguments *args, __u32 cmd)
{
	if (once_in(args, 6)) {
		spoil_size(args, &args->size);
		return;
	}
	switch (cmd) {
	case SYNCMAP_CMD_CLEAR:
	case SYNCMAP_CMD_INFO:
	case SYNCMAP_CMD_STATS:
		args->clear.flags = wild_number(args);
		break;
	case SYNCMAP_CMD_RANGE:
	case SYNCMAP_CMD_LIST:
		spoil_walk(args);
		break;
	case SYNCMAP_CMD_BATCH:
		spoil_batch(args);
		break;
	case SYNCMAP_CMD_ATTACH:
	case SYNCMAP_CMD_UNLINK:
		spoil_name(args, cmd);
		break;
	default:
		spoil_op(args, &args->op);
	}
}

/* Copies the batch's operations to the shaky pages, through the steady view. */
static inline void move_ops(struct arguments *args, unsigned long at)
{
	memcpy(args->places->steady + at, args->ops, sizeof(args->ops));
	args->batch.ops = address(args->places->shaky + at);
	args->passed_ops = (void *)(args->places->steady + at);
}

/*
 * Where the call finds its argument: mostly where it is, but sometimes in
 * memory that others change and unmap, or in none.
 */
static inline void *place_argument(struct arguments *args, __u32 cmd)
{
	unsigned long at = pick(args, SHAKY_PAGES - 2) * PAGE +
			   8 * pick(args, 2 * PAGE / 8);

	if (cmd == SYNCMAP_CMD_BATCH && once_in(args, 6) &&
	    args->batch.ops == address(args->ops))
		move_ops(args, at & ~(PAGE - 1));
	switch (pick(args, 32)) {
	case 0:
		return (void *)(uintptr_t)bad_address(args->places, 64,
						      &args->random);
	case 1 ... 3:
		/* At the beginning of a page, where words are changed. */
		at &= ~(PAGE - 1);
		__atomic_store_n(&args->places->hot, at / PAGE,
				 __ATOMIC_RELAXED);
		memcpy(args->places->steady + at, args->bytes, 128);
		return args->places->shaky + at;
	case 4:
		memcpy(args->places->steady + at, args->bytes, 128);
		return args->places->shaky + at;
	case 5:
		memmove(args->bytes + 1, args->bytes, PAGE);
		return args->bytes + 1;
	}
	return args->bytes;
}

#endif /* SYNCMAP_FUZZ_GENERATE_H */
