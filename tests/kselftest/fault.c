// SPDX-License-Identifier: GPL-2.0
/*
 * Addresses that cannot be read or written, and buffers that are too small:
 * EFAULT and ENOSPC for every member that can be wrong in this way, and a map
 * that has not changed.
 */
#include "good.h"
#include "walk.h"

enum bad_address {
	BAD_NULL,
	BAD_UNMAPPED,
	BAD_PROT_NONE,
	BAD_KERNEL,
	BAD_NON_CANONICAL,
	BAD_LAST_PAGE,
	BAD_LAST_BYTE,		/* mapped but for the last byte */
	BAD_READ_ONLY,		/* bad for results only */
};

#define BAD_FOR_INPUT	BAD_READ_ONLY
#define BAD_FOR_OUTPUT	(BAD_READ_ONLY + 1)

/* The length of a buffer for RANGE, with room for more than one record. */
#define RANGE_BUF	4096

static const char *const bad_names[] = {
	"NULL", "unmapped", "PROT_NONE", "in the kernel", "non-canonical",
	"in the last page", "unmapped at its last byte", "read-only",
};

/* Two pages of which the second is gone; @data ends up at the end of the first. */
static unsigned char *place_at_end(const void *data, __u32 len, __u32 beyond)
{
	const __u32 page = page_size();
	unsigned char *pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	expect(pages != MAP_FAILED);
	expect(len <= page && !munmap(pages + page, page));
	pages += page - (len - beyond);
	memcpy(pages, data, len - beyond);
	return pages;
}

/* User Mode Linux reads what nobody may read, in every system call. */
static bool heeds_prot_none(void)
{
	static int heeds = -1;
	int ends[2];
	void *page;

	if (heeds >= 0)
		return heeds;
	page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(page != MAP_FAILED && !pipe(ends));
	memset(page, 1, page_size());
	mprotect(page, page_size(), PROT_NONE);
	heeds = write(ends[1], page, 1) < 0;
	if (!heeds)
		diag("this kernel reads PROT_NONE: unmapped instead");
	close(ends[0]);
	close(ends[1]);
	munmap(page, page_size());
	return heeds;
}

/* An address that is bad in the given way for an access to @len bytes. */
static __u64 place(enum bad_address bad, const void *data, __u32 len)
{
	unsigned char *good = place_at_end(data, len, 0);
	const __u32 size = page_size();
	unsigned char *page = (unsigned char *)
		((uintptr_t)good & ~(uintptr_t)(size - 1));

	switch (bad) {
	case BAD_NULL:
		return 0;
	case BAD_UNMAPPED:
		munmap(page, size);
		break;
	case BAD_PROT_NONE:
		if (heeds_prot_none())
			mprotect(page, size, PROT_NONE);
		else
			munmap(page, size);
		break;
	case BAD_KERNEL:
		return 0xffff888000001000ULL;
	case BAD_NON_CANONICAL:
		return 0x8000000000000000ULL;
	case BAD_LAST_PAGE:
		return -(__u64)size;
	case BAD_LAST_BYTE:
		return address(place_at_end(data, len, 1));
	case BAD_READ_ONLY:
		mprotect(page, size, PROT_READ);
		break;
	}
	return address(good);
}

static void expect_fault(int map, __u32 cmd, void *pointer,
			 enum bad_address bad)
{
	struct dump before = take_dump(map);
	int ret = call(map, request_of(cmd), pointer);

	if (ret != -EFAULT)
		fail("%s with an address %s returned %d", cmd_name(cmd),
		     bad_names[bad], ret);
	expect_unchanged(map, &before);
}

static void expect_fault_in_batch(int map, struct syncmap_op *op,
				  enum bad_address bad)
{
	struct dump before = take_dump(map);
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(op),
		.count = 1,
	};

	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, 1);
	if (op->error != -EFAULT)
		fail("%s in a batch with an address %s: error is %d",
		     cmd_name(op->cmd), bad_names[bad], op->error);
	/* What failed does not look as if it had succeeded. */
	expect_eq(op->result, 0);
	expect_eq(op->out_len, 0);
	expect_unchanged(map, &before);
}

static void expect_op_fault(int map, struct syncmap_op *op,
			    enum bad_address bad)
{
	struct syncmap_op again = *op;

	expect_fault(map, op->cmd, op, bad);
	expect_fault_in_batch(map, &again, bad);
}

static void bad_argument(void)
{
	int map = new_map(), bad;
	__u32 cmd;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		for (bad = 0; bad < BAD_FOR_OUTPUT; bad++) {
			/* These write nothing to their argument. */
			if ((cmd == SYNCMAP_CMD_CLEAR ||
			     cmd == SYNCMAP_CMD_UNLINK) &&
			    bad == BAD_READ_ONLY)
				continue;
			good_argument(cmd);
			expect_fault(map, cmd,
				     (void *)at_address(place(bad, &argument,
							      size_of(cmd))),
				     bad);
		}
	}
}

/* A longer argument is read to its end, to see that the end is zero. */
static void bad_tail_of_argument(void)
{
	int map = new_map();
	__u32 cmd, len;
	__u64 pointer;

	for (cmd = 0; cmd < COMMANDS; cmd++) {
		len = size_of(cmd) + 16;
		good_argument(cmd);
		argument.size = len;
		pointer = place(BAD_LAST_BYTE, &argument, len);
		expect_fault(map, cmd, (void *)at_address(pointer),
			     BAD_LAST_BYTE);
	}
}

static void bad_key(void)
{
	int map = new_map(), bad;
	struct syncmap_op op;
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		for (bad = 0; bad < BAD_FOR_INPUT; bad++) {
			op = good_op(cmd);
			op.key = place(bad, at_address(op.key), op.key_len);
			expect_op_fault(map, &op, bad);
		}
	}
}

static void bad_value(void)
{
	int map = new_map(), bad;
	struct syncmap_op op;
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		for (bad = 0; takes_value(cmd) && bad < BAD_FOR_INPUT; bad++) {
			op = good_op(cmd);
			op.value = place(bad, at_address(op.value),
					 op.value_len);
			expect_op_fault(map, &op, bad);
		}
	}
}

static void bad_old_value(void)
{
	int map = new_map(), bad;
	struct syncmap_op op;
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		for (bad = 0; takes_old(cmd) && bad < BAD_FOR_INPUT; bad++) {
			op = good_op(cmd);
			op.old = place(bad, at_address(op.old), op.old_len);
			expect_op_fault(map, &op, bad);
		}
	}
}

/* An operation on the live key, whose value is there to be reported. */
static struct syncmap_op good_op_on_live(__u32 cmd)
{
	struct syncmap_op op = good_op(cmd);

	op.key = address(live_key);
	op.key_len = strlen(live_key);
	op.buf_len = strlen(live_value);
	return op;
}

static void bad_result_buffer(void)
{
	int map = new_map(), bad;
	struct syncmap_op op;
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		for (bad = 0; takes_buf(cmd) && bad < BAD_FOR_OUTPUT; bad++) {
			op = good_op_on_live(cmd);
			op.buf = place(bad, live_value, op.buf_len);
			expect_op_fault(map, &op, bad);
		}
	}
}

static void bad_range_buffer(void)
{
	int map = new_map(), bad;

	for (bad = 0; bad < BAD_FOR_OUTPUT; bad++) {
		good_argument(SYNCMAP_CMD_RANGE);
		argument.range.buf = place(bad, buf, RANGE_BUF);
		argument.range.buf_len = RANGE_BUF;
		/* Records need not reach the bad byte: move it into the first. */
		if (bad == BAD_LAST_BYTE)
			argument.range.buf += RANGE_BUF - 16;
		expect_fault(map, SYNCMAP_CMD_RANGE, &argument, bad);
	}
}

static void bad_cursor(void)
{
	int map = new_map(), bad, ret;

	for (bad = 0; bad < BAD_FOR_INPUT; bad++) {
		good_argument(SYNCMAP_CMD_RANGE);
		argument.range.cursor = place(bad, live_key, strlen(live_key));
		argument.range.cursor_len = strlen(live_key);
		if (bad != BAD_NULL) {
			expect_fault(map, SYNCMAP_CMD_RANGE, &argument, bad);
			continue;
		}
		/* A length without a cursor: wrong in two ways. */
		ret = call(map, SYNCMAP_IOC_RANGE, &argument);
		expect(ret == -EFAULT || ret == -EINVAL);
	}
}

/* The element cannot be read, or its result not be written: it did not run. */
static void bad_array(void)
{
	int map = new_map(), bad;
	struct syncmap_op op;

	for (bad = 0; bad < BAD_FOR_OUTPUT; bad++) {
		op = good_op(SYNCMAP_CMD_STORE);
		good_argument(SYNCMAP_CMD_BATCH);
		argument.batch.ops = place(bad, &op, sizeof(op));
		argument.batch.done = UNTOUCHED;
		expect_fault(map, SYNCMAP_CMD_BATCH, &argument, bad);
		expect_eq(argument.batch.done, 0);
	}
}

/* What is only read may be read-only, up to the last byte before a hole. */
static void read_only_input(void)
{
	const struct bytes key = text(live_key);
	struct syncmap_op op;
	int map = new_map();

	op = good_op(SYNCMAP_CMD_COMPARE_AND_SWAP);
	op.key = place(BAD_READ_ONLY, live_key, op.key_len);
	op.value = place(BAD_READ_ONLY, at_address(op.value), op.value_len);
	op.old = place(BAD_READ_ONLY, live_value, op.old_len);
	expect(run_op(map, op.cmd, &op) & SYNCMAP_RESULT_STORED);
	expect(holds(map, key, text("new value")));

	good_argument(SYNCMAP_CMD_CLEAR);
	expect_eq(call(map, SYNCMAP_IOC_CLEAR,
		       (void *)at_address(place(BAD_READ_ONLY, &argument,
						size_of(SYNCMAP_CMD_CLEAR)))),
		  0);
	expect_eq(stats(map).entries, 0);
}

/* A result may end at the last byte before a hole. */
static void output_before_a_hole(void)
{
	struct syncmap_op op = good_op_on_live(SYNCMAP_CMD_SWAP);
	int map = new_map();

	op.buf = address(place_at_end(buf, op.buf_len, 0));
	run_op(map, op.cmd, &op);
	expect_eq(op.out_len, strlen(live_value));
	expect(!memcmp(at_address(op.buf), live_value, op.out_len));
}

/* Buffers that are too small */

static void expect_no_space(int map, struct syncmap_op *op)
{
	const __u32 needed = strlen(live_value);
	struct dump before = take_dump(map);
	struct syncmap_op again = *op;
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(&again),
		.count = 1,
	};

	if (call(map, request_of(op->cmd), op) != -ENOSPC)
		fail("%s with %u bytes: not ENOSPC", cmd_name(op->cmd),
		     op->buf_len);
	expect_eq(op->out_len, needed);
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, 1);
	expect_eq(again.error, -ENOSPC);
	expect_eq(again.out_len, needed);
	expect_unchanged(map, &before);
}

static void small_result_buffer(void)
{
	unsigned char *small = new_buf(0);
	int map = new_map();
	struct syncmap_op op;
	__u32 cmd, len;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		if (!takes_buf(cmd))
			continue;
		for (len = 0; len < strlen(live_value); len++) {
			op = good_op_on_live(cmd);
			set_buf(&op, small, len);
			expect_no_space(map, &op);
			/* No part of a value either. */
			expect(buf_untouched_from(small, 0, 0));
		}
		op = good_op_on_live(cmd);
		set_buf(&op, small, strlen(live_value));
		run_op(new_map(), cmd, &op);
		expect(!memcmp(small, live_value, op.out_len));
		memset(small, 0xc5, CANARY);
	}
}

/* An absent key and an empty value fit into no space at all. */
static void no_buffer_needed(void)
{
	unsigned char *none = new_buf(0);
	struct syncmap_op op;
	int map = new_map();
	__u32 cmd;

	for (cmd = 0; cmd < KEY_COMMANDS; cmd++) {
		if (!takes_buf(cmd))
			continue;
		op = good_op_on_live(cmd);
		op.key = address("absent");
		op.key_len = 6;
		set_buf(&op, none, 0);
		run_op(map, cmd, &op);
		store(map, text("absent"), text(""));
		expect(run_op(map, cmd, &op) & SYNCMAP_RESULT_FOUND);
		expect_eq(op.out_len, 0);
		delete(map, text("absent"));
	}
}

static void small_range_buffer(void)
{
	unsigned char *small = new_buf(RANGE_BUF);
	struct dump before;
	int map = open_map();
	__u32 needed, len;

	store(map, text(live_key), text(live_value));
	good_argument(SYNCMAP_CMD_RANGE);
	expect_eq(call(map, SYNCMAP_IOC_RANGE, &argument), 0);
	expect_eq(argument.range.count, 1);
	needed = argument.range.used;
	before = take_dump(map);
	for (len = 0; len < needed; len++) {
		good_argument(SYNCMAP_CMD_RANGE);
		argument.range.buf = address(small);
		argument.range.buf_len = len;
		expect_eq(call(map, SYNCMAP_IOC_RANGE, &argument), -ENOSPC);
		expect_eq(argument.range.used, needed);
		expect(buf_untouched_from(small, 0, RANGE_BUF));
	}
	argument.range.buf_len = needed;
	expect_eq(call(map, SYNCMAP_IOC_RANGE, &argument), 0);
	check_records(&argument.range);
	expect_eq(argument.range.count, 1);
	expect(buf_untouched_from(small, needed, RANGE_BUF));
	expect_unchanged(map, &before);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "bad address of the argument", bad_argument },
		{ "bad tail of a longer argument", bad_tail_of_argument },
		{ "bad address of the key", bad_key },
		{ "bad address of the value", bad_value },
		{ "bad address of the old value", bad_old_value },
		{ "bad address of the result buffer", bad_result_buffer },
		{ "bad address of the RANGE buffer", bad_range_buffer },
		{ "bad address of the cursor", bad_cursor },
		{ "bad address of the array of a batch", bad_array },
		{ "read-only input is good", read_only_input },
		{ "output right before a hole is good", output_before_a_hole },
		{ "result buffer too small", small_result_buffer },
		{ "no buffer for nothing", no_buffer_needed },
		{ "RANGE buffer too small", small_range_buffer },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
