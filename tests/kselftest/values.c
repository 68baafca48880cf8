// SPDX-License-Identifier: GPL-2.0
/* Keys and values of every shape, and random programs against a model. */
#include "model.h"
#include "walk.h"

static void zero_length_value(void)
{
	const struct bytes key = text("key");
	struct syncmap_op op = new_op(key);
	unsigned char *buf = new_buf(4);
	int map = open_map();

	store(map, key, text("full"));
	store(map, key, text(""));
	set_buf(&op, buf, 4);
	expect_eq(run_op(map, SYNCMAP_CMD_LOAD, &op), SYNCMAP_RESULT_FOUND);
	expect_eq(op.out_len, 0);
	expect(buf_untouched_from(buf, 0, 4));

	set_value(&op, bytes(NULL, 0));
	op.buf = 0;
	op.buf_len = 0;
	expect_eq(run_op(map, SYNCMAP_CMD_SWAP, &op),
		  SYNCMAP_RESULT_FOUND | SYNCMAP_RESULT_STORED);
	expect_eq(op.out_len, 0);
	expect(holds(map, key, text("")));
}

static void zero_length_comparison(void)
{
	struct slot slot = { .live = false };
	struct request request = {
		.cmd = SYNCMAP_CMD_COMPARE_AND_SWAP,
		.key = text("key"),
		.value = text("new"),
		.old = text(""),
	};
	int map = open_map();

	check_request(map, &slot, &request, 0);
	store(map, request.key, text(""));
	slot_set(&slot, text(""));
	check_request(map, &slot, &request, 0);
	check_slot(map, request.key, &slot);
	check_request(map, &slot, &request, 0);
	check_slot(map, request.key, &slot);
}

static void key_lengths(void)
{
	unsigned char key[SYNCMAP_KEY_MAX];
	int map = open_map();
	__u32 len;

	/* Each key is the beginning of all that follow. */
	memset(key, 'k', sizeof(key));
	for (len = 1; len <= sizeof(key); len++)
		store(map, bytes(key, len), bytes(&len, sizeof(len)));
	expect_eq(stats(map).entries, sizeof(key));
	for (len = 1; len <= sizeof(key); len++)
		expect(holds(map, bytes(key, len), bytes(&len, sizeof(len))));
	for (len = 1; len <= sizeof(key); len += 2)
		expect(delete(map, bytes(key, len)));
	for (len = 1; len <= sizeof(key); len++)
		expect_eq(present(map, bytes(key, len)), len % 2 == 0);
}

static void every_byte_in_a_key(void)
{
	unsigned char key[2];
	int map = open_map();
	int i;

	for (i = 0; i < 65536; i += 7) {
		key[0] = i >> 8;
		key[1] = i;
		store(map, bytes(key, 2), bytes(&i, sizeof(i)));
	}
	for (i = 0; i < 65536; i++) {
		key[0] = i >> 8;
		key[1] = i;
		if (i % 7)
			expect(!present(map, bytes(key, 2)));
		else
			expect(holds(map, bytes(key, 2),
				     bytes(&i, sizeof(i))));
	}
}

static void keys_with_nul_bytes(void)
{
	static const struct bytes keys[] = {
		{ "\0", 1 }, { "\0\0", 2 }, { "a", 1 }, { "a\0", 2 },
		{ "a\0b", 3 }, { "a\0c", 3 }, { "\0a", 2 },
	};
	int map = open_map();
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++)
		store(map, keys[i], keys[i]);
	expect_eq(stats(map).entries, ARRAY_SIZE(keys));
	for (i = 0; i < ARRAY_SIZE(keys); i++)
		expect(holds(map, keys[i], keys[i]));
	expect(!present(map, bytes("\0\0\0", 3)));
	expect(!present(map, bytes("a\0b\0", 4)));
}

/* Keys that differ in one byte, wherever it is. */
static void keys_that_differ_in_one_byte(void)
{
	unsigned char key[SYNCMAP_KEY_MAX] = { 0 };
	int map = open_map();
	unsigned int i;

	for (i = 0; i < sizeof(key); i++) {
		key[i] = 1;
		store(map, bytes(key, sizeof(key)), bytes(&i, sizeof(i)));
		key[i] = 0;
	}
	expect(!present(map, bytes(key, sizeof(key))));
	for (i = 0; i < sizeof(key); i++) {
		key[i] = 1;
		expect(holds(map, bytes(key, sizeof(key)),
			     bytes(&i, sizeof(i))));
		key[i] = 2;
		expect(!present(map, bytes(key, sizeof(key))));
		key[i] = 0;
	}
}

static void value_lengths(void)
{
	static const __u32 lengths[] = {
		1, 7, 8, 9, 4095, 4096, 4097, 8192, 65535, SYNCMAP_VALUE_MAX,
	};
	static unsigned char data[SYNCMAP_VALUE_MAX + ARRAY_SIZE(lengths)];
	struct request request = { .key = text("key") };
	struct slot slot = { .live = false };
	int map = open_map();
	unsigned int i;

	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 31 + (i >> 8);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		request.cmd = SYNCMAP_CMD_SWAP;
		request.value = bytes(data, lengths[i]);
		check_request(map, &slot, &request, 0);
		check_slot(map, request.key, &slot);
		request.cmd = SYNCMAP_CMD_COMPARE_AND_SWAP;
		request.old = bytes(data, lengths[i]);
		request.value = bytes(data + i, lengths[i]);
		check_request(map, &slot, &request, 0);
		check_slot(map, request.key, &slot);
	}
}

/* Values are copies: what the caller does with its memory later is its own. */
static void values_are_copies(void)
{
	char key[] = "key", value[] = "value";
	int map = open_map();

	store(map, text(key), text(value));
	key[0] = 'K';
	value[0] = 'V';
	expect(holds(map, text("key"), text("value")));
	expect(!present(map, text("Key")));
}

/* Key, value, old value and result may overlap: all are read before it. */
static void one_buffer_for_all(void)
{
	char buf[] = "same bytes";
	struct syncmap_op op = new_op(text(buf));
	int map = open_map();

	set_value(&op, text(buf));
	set_buf(&op, buf, sizeof(buf));
	store(map, text("same bytes"), text("old bytes"));
	expect_eq(run_op(map, SYNCMAP_CMD_SWAP, &op),
		  SYNCMAP_RESULT_FOUND | SYNCMAP_RESULT_STORED);
	expect(same_bytes(bytes(buf, op.out_len), text("old bytes")));
	expect(holds(map, text("same bytes"), text("same bytes")));

	/* The key is read once: the result takes its place. */
	memcpy(buf, "same bytes", sizeof(buf));
	store(map, text(buf), text("old bytes"));
	op = new_op(text(buf));
	set_buf(&op, buf, sizeof(buf));
	expect_eq(run_op(map, SYNCMAP_CMD_LOAD_AND_DELETE, &op),
		  SYNCMAP_RESULT_FOUND | SYNCMAP_RESULT_DELETED);
	expect(same_bytes(bytes(buf, op.out_len), text("old bytes")));
	expect(!present(map, text("same bytes")));
}

static void every_open_is_a_map(void)
{
	int one = open_map(), other = open_map(), same = dup(one);

	store(one, text("key"), text("one"));
	expect(!present(other, text("key")));
	store(other, text("key"), text("other"));
	expect(holds(same, text("key"), text("one")));
	close(one);
	expect(holds(same, text("key"), text("one")));
	clear(other);
	expect(holds(same, text("key"), text("one")));
}

/* Random programs */

#define KEYS		48
#define STEPS		20000
#define DUMP_EVERY	1000

static unsigned long long seed;

static __u32 random_below(__u32 limit)
{
	return next_random(&seed) % limit;
}

/* Keys of all lengths; those of one length differ in one byte. */
static struct bytes random_program_key(int number)
{
	static unsigned char keys[KEYS][SYNCMAP_KEY_MAX];
	static const __u32 lengths[] = { 1, 2, 8, 15, 64, 511, 512 };

	keys[number][0] = number;
	return bytes(keys[number], lengths[number % ARRAY_SIZE(lengths)]);
}

static struct bytes random_value(void)
{
	static unsigned char data[SYNCMAP_VALUE_MAX];
	__u32 len = random_below(64), i;

	if (!random_below(100))
		len = random_below(SYNCMAP_VALUE_MAX + 1);
	if (!random_below(10))
		len = 0;
	for (i = 0; i < len; i += 16)
		data[i] = next_random(&seed);
	return bytes(data, len);
}

static void random_step(int map, struct slot *slots)
{
	const int number = random_below(KEYS);
	struct slot *slot = &slots[number];
	struct request request = {
		.cmd = random_below(KEY_COMMANDS),
		.key = random_program_key(number),
		.value = random_value(),
		.old = text("not the value"),
	};

	if (slot->live && random_below(2))
		request.old = slot->value;
	if (random_below(8))
		check_request(map, slot, &request, random_below(3));
	else
		check_request_size(map, slot, &request);
}

static void compare_with_model(int map, const struct slot *slots)
{
	const struct syncmap_record *record;
	struct walk walk = new_walk(map, WALK_BUF_MIN);
	bool seen[KEYS] = { false };
	int i, live = 0, walked = 0;

	for (i = 0; i < KEYS; i++)
		live += slots[i].live;
	while ((record = walk_next(&walk))) {
		i = syncmap_record_key(record)[0];
		expect(i < KEYS && !seen[i] && slots[i].live);
		expect(same_bytes(record_key(record), random_program_key(i)));
		expect(same_bytes(record_value(record), slots[i].value));
		seen[i] = true;
		walked++;
	}
	end_walk(&walk);
	expect_eq(walked, live);
	expect_eq(stats(map).entries, live);
}

static void random_program(void)
{
	struct slot slots[KEYS] = { { .live = false } };
	int map = open_map();
	int step, i;

	seed = random_seed();
	for (step = 0; step < STEPS; step++) {
		random_step(map, slots);
		if (!random_below(500)) {
			clear(map);
			for (i = 0; i < KEYS; i++)
				slot_clear(&slots[i]);
		}
		if (step % DUMP_EVERY == 0)
			compare_with_model(map, slots);
	}
	compare_with_model(map, slots);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "value of length zero", zero_length_value },
		{ "comparison with length zero", zero_length_comparison },
		{ "keys of 1 to 512 bytes", key_lengths },
		{ "keys of every byte", every_byte_in_a_key },
		{ "keys with NUL bytes", keys_with_nul_bytes },
		{ "keys that differ in one byte",
		  keys_that_differ_in_one_byte },
		{ "values up to 64 KiB", value_lengths },
		{ "values are copies", values_are_copies },
		{ "one buffer for key, value and result", one_buffer_for_all },
		{ "every open file is a map of its own", every_open_is_a_map },
		{ "random program against a model", random_program },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
