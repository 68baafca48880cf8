/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A map that nobody else has, and what must be in it: calls that succeed do
 * what the model says, calls that fail have changed nothing.
 */
#ifndef SYNCMAP_FUZZ_ORACLE_H
#define SYNCMAP_FUZZ_ORACLE_H

#include "../kselftest/model.h"
#include "../kselftest/walk.h"
#include "worker.h"

#define ORACLE_KEYS	40
#define ORACLE_VALUE	3000
/* A user for whom there is always room. */
#define ORACLE_USER	(USERS + 1)

struct oracle {
	int map;
	struct slot slots[ORACLE_KEYS];
};

static inline void oracle_begin(struct caller *caller, struct oracle *oracle)
{
	become(caller, ORACLE_USER);
	do {
		oracle->map = try_open(O_RDWR);
	} while (oracle->map == -EINTR || oracle->map == -ENOMEM);
	if (oracle->map < 0)
		fail("open: %s", strerror(-oracle->map));
}

static inline void oracle_end(struct oracle *oracle)
{
	int i;

	close(oracle->map);
	for (i = 0; i < ORACLE_KEYS; i++)
		slot_clear(&oracle->slots[i]);
}

/* All of it, by a walk. */
static inline void oracle_compare(struct oracle *oracle)
{
	struct walk walk = new_walk(oracle->map, WALK_BUF_MIN);
	const struct syncmap_record *record;
	unsigned char key[SYNCMAP_KEY_MAX];
	int i, live = 0, seen = 0;
	struct bytes expected;

	for (i = 0; i < ORACLE_KEYS; i++)
		live += oracle->slots[i].live;
	while ((record = walk_next(&walk))) {
		i = record_key(record).len ?
			syncmap_record_key(record)[record->key_len - 1] : 0;
		expect(i < ORACLE_KEYS);
		expected = bytes(key, make_key(key, i));
		expect(same_bytes(record_key(record), expected));
		expect(oracle->slots[i].live);
		expect(same_bytes(record_value(record),
				  oracle->slots[i].value));
		seen++;
	}
	end_walk(&walk);
	expect_eq(seen, live);
	expect_eq(stats(oracle->map).entries, live);
}

static inline void oracle_clear(struct caller *caller, struct oracle *oracle,
				int ret)
{
	int i;

	(void)caller;
	for (i = 0; !ret && i < ORACLE_KEYS; i++)
		slot_clear(&oracle->slots[i]);
}

/* A request that may fail, of which the model knows what it does otherwise. */
static inline void oracle_request(struct caller *caller, struct oracle *oracle)
{
	struct arguments *args = caller->args;
	int number = pick(args, ORACLE_KEYS);
	struct slot *slot = &oracle->slots[number];
	__u32 len = slot->live ? slot->value.len : 0;
	struct request request = {
		.cmd = pick(args, KEY_COMMANDS),
		.key = bytes(args->keys[0], make_key(args->keys[0], number)),
		.value = bytes(args->value, random_len(args) % ORACLE_VALUE),
		.old = once_in(args, 2) ? slot->value :
			bytes(args->value, pick(args, 100)),
	};
	const bool fails = fuzz->faults && once_in(args, 4);
	int ret;

	memset(args->value, pick(args, 256), 64);
	memset(args->buf, 0xc5, len + CANARY + 8);
	args->op = request_op(&request, args->buf, len + 8);
	if (once_in(args, 16))
		args->op.buf = bad_address(args->places, len, &args->random);
	begin_call(caller, request.cmd);
	if (fails)
		set_nth(caller, 1 + pick(args, 10));
	ret = call(oracle->map, request_of(request.cmd), &args->op);
	if (fails)
		set_nth(caller, 0);
	end_call(caller);
	count_call(&fuzz->tally, request.cmd, ret);
	if (ret) {
		/* Only what was asked for may fail. */
		expect(ret == -EFAULT || ret == -EDQUOT || ret == -EINTR ||
		       ret == -EINVAL || (fails && ret == -ENOMEM));
		return;
	}
	if (args->op.buf != address(args->buf))
		args->op.buf = 0;
	expect_outcome(slot, &request, &args->op);
	model_apply(slot, &request);
	__atomic_fetch_add(&fuzz->checked, 1, __ATOMIC_RELAXED);
}

static inline void *oracle_thread(void *context)
{
	struct caller *caller = context;
	struct oracle oracle = { .map = -1 };
	struct syncmap_clear all = { .size = sizeof(all) };
	unsigned int round;

	caller->nth = fuzz->faults ? open(FAIL_NTH, O_WRONLY | O_CLOEXEC) : -1;
	oracle_begin(caller, &oracle);
	for (round = 1; goes_on(); round++) {
		oracle_request(caller, &oracle);
		if (!(round % 512))
			oracle_compare(&oracle);
		if (!(round % 4096))
			oracle_clear(caller, &oracle,
				     call(oracle.map, SYNCMAP_IOC_CLEAR, &all));
		if (!(round % 16384)) {
			oracle_compare(&oracle);
			oracle_end(&oracle);
			oracle_begin(caller, &oracle);
		}
	}
	oracle_compare(&oracle);
	oracle_end(&oracle);
	return NULL;
}

#endif /* SYNCMAP_FUZZ_ORACLE_H */
