/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests with several processes share: values that show whether they
 * are whole, an end of time, and a process that keeps the tables moving.
 */
#ifndef SYNCMAP_TEST_STRESS_H
#define SYNCMAP_TEST_STRESS_H

#include "map.h"

/* How long a race is kept up; enough for thousands of rounds when emulated. */
#define STRESS_MS 1500

/* Each word of a value says which value it belongs to and where in it. */
static inline struct bytes fill_value(__u32 *words, __u32 len, __u32 version)
{
	__u32 i;

	for (i = 0; i < len / sizeof(*words); i++)
		words[i] = version + i * 0x9e3779b9U;
	return bytes(words, len);
}

/* The version of a whole value; one that is not whole ends the case. */
static inline __u32 value_version(const __u32 *words, __u32 len)
{
	__u32 i;

	expect(len >= sizeof(*words));
	expect_eq(len % sizeof(*words), 0);
	for (i = 1; i < len / sizeof(*words); i++)
		if (words[i] != words[0] + i * 0x9e3779b9U)
			fail("value of %u bytes, version 0x%x, torn at word %u",
			     len, words[0], i);
	return words[0];
}

/* One number as a value, as the counters have them. */
static inline bool load_number(int map, struct bytes key, __u64 *number)
{
	int len = load(map, key, number, sizeof(*number));

	expect(len < 0 || len == sizeof(*number));
	return len >= 0;
}

static inline void store_number(int map, struct bytes key, __u64 number)
{
	store(map, key, bytes(&number, sizeof(number)));
}

static inline bool compare_and_swap_number(int map, struct bytes key,
					   __u64 old, __u64 number)
{
	struct syncmap_op op = new_op(key);

	set_old(&op, bytes(&old, sizeof(old)));
	set_value(&op, bytes(&number, sizeof(number)));
	return run_op(map, SYNCMAP_CMD_COMPARE_AND_SWAP, &op) &
	       SYNCMAP_RESULT_STORED;
}

/*
 * Stores new keys, deletes them later and looks for missing ones, so that the
 * tables are copied, promoted, swept, grown and shrunk under the others.
 */
static inline void disturb(int map, int round)
{
	struct label name = label("noise", round % 1000);
	int i;

	store(map, text(name.text), text("noise"));
	name = label("noise", (round + 700) % 1000);
	delete(map, text(name.text));
	for (i = 0; i < 4; i++) {
		name = label("missing", round % 100);
		expect(!present(map, text(name.text)));
	}
}

static inline void disturb_for_a_while(int map)
{
	const long long end = now_ms() + STRESS_MS;
	int round;

	for (round = 0; now_ms() < end; round++)
		disturb(map, round);
}

#endif /* SYNCMAP_TEST_STRESS_H */
