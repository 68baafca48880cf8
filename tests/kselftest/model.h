/* SPDX-License-Identifier: GPL-2.0 */
/* What the header promises for every operation on one key, as a plain model. */
#ifndef SYNCMAP_TEST_MODEL_H
#define SYNCMAP_TEST_MODEL_H

#include "map.h"

/* A key in the model: live with a copy of its value, or not in the map. */
struct slot {
	bool live;
	struct bytes value;
};

/* One operation; members that the command does not take are ignored. */
struct request {
	__u32 cmd;
	struct bytes key;
	struct bytes value;
	struct bytes old;
};

/* Bytes behind a result buffer that no call may touch. */
#define CANARY 16

static inline void slot_clear(struct slot *slot)
{
	free((void *)slot->value.data);
	*slot = (struct slot) { .live = false };
}

static inline void slot_set(struct slot *slot, struct bytes value)
{
	void *copy = malloc(value.len + 1);

	expect(copy);
	if (value.len)
		memcpy(copy, value.data, value.len);
	slot_clear(slot);
	slot->live = true;
	slot->value = bytes(copy, value.len);
}

static inline bool model_stores(const struct slot *slot,
				const struct request *request)
{
	switch (request->cmd) {
	case SYNCMAP_CMD_STORE:
	case SYNCMAP_CMD_SWAP:
		return true;
	case SYNCMAP_CMD_LOAD_OR_STORE:
		return !slot->live;
	case SYNCMAP_CMD_COMPARE_AND_SWAP:
		return slot->live && same_bytes(slot->value, request->old);
	}
	return false;
}

static inline bool model_deletes(const struct slot *slot,
				 const struct request *request)
{
	switch (request->cmd) {
	case SYNCMAP_CMD_DELETE:
	case SYNCMAP_CMD_LOAD_AND_DELETE:
		return slot->live;
	case SYNCMAP_CMD_COMPARE_AND_DELETE:
		return slot->live && same_bytes(slot->value, request->old);
	}
	return false;
}

static inline __u32 model_result(const struct slot *slot,
				 const struct request *request)
{
	__u32 result = 0;

	if (slot->live && request->cmd != SYNCMAP_CMD_STORE)
		result |= SYNCMAP_RESULT_FOUND;
	if (model_stores(slot, request))
		result |= SYNCMAP_RESULT_STORED;
	if (model_deletes(slot, request))
		result |= SYNCMAP_RESULT_DELETED;
	return result;
}

static inline void model_apply(struct slot *slot,
			       const struct request *request)
{
	if (model_stores(slot, request))
		slot_set(slot, request->value);
	else if (model_deletes(slot, request))
		slot_clear(slot);
}

/* The op for a request; the value found, if any, goes to @buf. */
static inline struct syncmap_op request_op(const struct request *request,
					   void *buf, __u32 buf_len)
{
	struct syncmap_op op = new_op(request->key);

	op.cmd = request->cmd;
	if (takes_value(request->cmd))
		set_value(&op, request->value);
	if (takes_old(request->cmd))
		set_old(&op, request->old);
	if (takes_buf(request->cmd))
		set_buf(&op, buf, buf_len);
	return op;
}

/* A result buffer of @len bytes, with a canary behind. */
static inline unsigned char *new_buf(__u32 len)
{
	unsigned char *buf = malloc(len + CANARY);

	expect(buf);
	memset(buf, 0xc5, len + CANARY);
	return buf;
}

static inline bool buf_untouched_from(const unsigned char *buf, __u32 from,
				      __u32 len)
{
	for (; from < len + CANARY; from++)
		if (buf[from] != 0xc5)
			return false;
	return true;
}

/*
 * Compares what an op reported with what the model says of @slot as it was
 * before: result bits, length, and the exact bytes with nothing behind them.
 */
static inline void expect_outcome(const struct slot *slot,
				  const struct request *request,
				  const struct syncmap_op *op)
{
	const unsigned char *buf = at_address(op->buf);
	__u32 found = slot->live ? slot->value.len : 0;

	if (op->result != model_result(slot, request))
		fail("%s of a key that is %s: result is 0x%x, expected 0x%x",
		     cmd_name(request->cmd), slot->live ? "live" : "absent",
		     op->result, model_result(slot, request));
	if (!takes_buf(request->cmd))
		return;
	expect_eq(op->out_len, found);
	if (!buf)
		return;
	expect(!found || !memcmp(buf, slot->value.data, found));
	expect(buf_untouched_from(buf, found, op->buf_len));
}

/* Runs a request with @spare bytes more room than the value needs. */
static inline void check_request(int map, struct slot *slot,
				 const struct request *request, __u32 spare)
{
	__u32 len = (slot->live ? slot->value.len : 0) + spare;
	unsigned char *buf = new_buf(len);
	struct syncmap_op op = request_op(request, buf, len);

	run_op(map, request->cmd, &op);
	expect_eq(op.error, UNTOUCHED);
	expect_outcome(slot, request, &op);
	model_apply(slot, request);
	free(buf);
}

/* The same without a buffer: only the size is reported. */
static inline void check_request_size(int map, struct slot *slot,
				      const struct request *request)
{
	struct syncmap_op op = request_op(request, NULL, 0);

	run_op(map, request->cmd, &op);
	expect_outcome(slot, request, &op);
	model_apply(slot, request);
}

static inline void check_slot(int map, struct bytes key, struct slot *slot)
{
	const struct request request = {
		.cmd = SYNCMAP_CMD_LOAD,
		.key = key,
	};

	check_request(map, slot, &request, 8);
}

#endif /* SYNCMAP_TEST_MODEL_H */
