// SPDX-License-Identifier: GPL-2.0
/*
 * Walks with a cursor: no key twice, every key that lives throughout exactly
 * once, whatever happens to the map and to the cursor's key meanwhile.
 */
#include "walk.h"

#define KEYS		500

/* Which of the keys "PREFIX 0"... a walk has met. */
struct seen {
	const char *prefix;
	int count;
	unsigned char times[4 * KEYS];
};

static struct seen new_seen(const char *prefix)
{
	return (struct seen) { .prefix = prefix };
}

/* The number of a key "PREFIX number", or -1 if it has another prefix. */
static int number_of(const struct syncmap_record *record, const char *prefix)
{
	const size_t len = strlen(prefix);
	char key[64];

	if (record->key_len >= sizeof(key) || record->key_len <= len + 1 ||
	    memcmp(syncmap_record_key(record), prefix, len) ||
	    syncmap_record_key(record)[len] != ' ')
		return -1;
	memcpy(key, syncmap_record_key(record), record->key_len);
	key[record->key_len] = 0;
	return atoi(key + len + 1);
}

/* Counts a record; false if its key has another prefix. Not twice, ever. */
static bool see(struct seen *seen, const struct syncmap_record *record)
{
	const int number = number_of(record, seen->prefix);
	struct label name = label(seen->prefix, number);

	if (number < 0)
		return false;
	expect(number < (int)sizeof(seen->times));
	expect(same_bytes(record_key(record), text(name.text)));
	if (seen->times[number]++)
		fail("%s appeared twice", name.text);
	seen->count++;
	return true;
}

static void expect_walk_sees_all(int map, __u32 buf_len, int keys)
{
	const struct syncmap_record *record;
	struct walk walk = new_walk(map, buf_len);
	struct seen seen = new_seen("key");

	while ((record = walk_next(&walk))) {
		expect(see(&seen, record));
		expect(same_bytes(record_key(record), record_value(record)));
	}
	expect_eq(seen.count, keys);
	end_walk(&walk);
}

static void empty_map(void)
{
	int map = open_map();
	struct walk walk = new_walk(map, 0);

	expect_eq(walk_call(&walk), 0);
	expect(walk.end);
	expect_eq(walk.range.count, 0);
	expect_eq(walk.range.used, 0);
	/* Also if it has been filled and emptied in between. */
	fill(map, "key", KEYS);
	clear(map);
	expect_eq(walk_call(&walk), 0);
	expect(walk.end);
	fill(map, "key", 1);
	expect(delete(map, text("key 0")));
	expect_eq(walk_call(&walk), 0);
	expect(walk.end);
}

static void every_key_once(void)
{
	static const __u32 sizes[] = {
		64, 80, 100, 512, 1000, 4096, 65536, 1 << 20,
	};
	int map = open_map();
	unsigned int i;

	fill(map, "key", KEYS);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		expect_walk_sees_all(map, sizes[i], KEYS);
}

/* Keys that are only in dirty are walked too, deleted ones in read are not. */
static void every_state_of_keys(void)
{
	int map = open_map();
	struct label name;
	int i;

	fill(map, "key", KEYS / 2);
	expect_walk_sees_all(map, 4096, KEYS / 2);
	fill(map, "key", KEYS);
	expect_eq(stats(map).amended, 1);
	expect_walk_sees_all(map, 4096, KEYS);
	for (i = KEYS / 4; i < KEYS; i++) {
		name = label("key", i);
		expect(delete(map, text(name.text)));
	}
	expect_walk_sees_all(map, 4096, KEYS / 4);
	fill(map, "key", KEYS / 2);
	expect_walk_sees_all(map, 100, KEYS / 2);
}

/* A buffer that is asked for as the kernel says holds one record at least. */
static void buffers_grown_on_demand(void)
{
	unsigned char *data = calloc(1, SYNCMAP_VALUE_MAX);
	struct label name;
	struct walk walk;
	int map = open_map(), grown = 0, walked = 0;
	int ret, i;

	expect(data);
	for (i = 0; i < 60; i++) {
		name = label("key", i);
		store(map, text(name.text), bytes(data, i * i * 18));
	}
	walk = new_walk(map, 2 * WALK_BUF_MIN);
	walk.range.buf_len = 0;
	do {
		ret = walk_call(&walk);
		if (ret) {
			expect_eq(ret, -ENOSPC);
			expect(walk.range.used > walk.range.buf_len);
			walk.range.buf_len = walk.range.used;
			grown++;
			expect_eq(walk_call(&walk), 0);
		}
		walked += walk.range.count;
	} while (!walk.end);
	diag("grown %d times, to %u bytes", grown, walk.range.buf_len);
	expect_eq(walked, 60);
	expect(grown > 0);
}

static void big_keys_and_values(void)
{
	unsigned char *data = calloc(1, SYNCMAP_VALUE_MAX);
	const struct syncmap_record *record;
	unsigned char key[SYNCMAP_KEY_MAX] = { 0 };
	struct walk walk;
	int map = open_map(), walked = 0, i;
	bool seen[20] = { false };

	expect(data);
	for (i = 0; i < 20; i++) {
		key[SYNCMAP_KEY_MAX - 1] = i;
		data[SYNCMAP_VALUE_MAX - 1] = i;
		store(map, bytes(key, sizeof(key)),
		      bytes(data, SYNCMAP_VALUE_MAX));
	}
	walk = new_walk(map, WALK_BUF_MIN);
	while ((record = walk_next(&walk))) {
		expect_eq(record->key_len, SYNCMAP_KEY_MAX);
		expect_eq(record->value_len, SYNCMAP_VALUE_MAX);
		i = syncmap_record_key(record)[SYNCMAP_KEY_MAX - 1];
		expect(i < 20 && !seen[i]);
		seen[i] = true;
		expect_eq(record_value(record).len, SYNCMAP_VALUE_MAX);
		expect_eq(syncmap_record_value(record)[SYNCMAP_VALUE_MAX - 1],
			  i);
		walked++;
	}
	expect_eq(walked, 20);
}

/* The cursor's key goes between the calls, and with it more that was seen. */
static void cursor_key_deleted(void)
{
	const struct syncmap_record *record;
	int map = open_map();
	struct walk walk = new_walk(map, 128);
	struct seen seen = new_seen("key");

	fill(map, "key", KEYS);
	while (!walk.end) {
		expect_eq(walk_call(&walk), 0);
		while ((record = walk_record(&walk))) {
			expect(see(&seen, record));
			expect(delete(map, record_key(record)));
		}
	}
	expect_eq(seen.count, KEYS);
	expect_eq(stats(map).entries, 0);
}

/* What is stored behind the walk's back may appear, but never again. */
static void keys_added_and_deleted(void)
{
	const struct syncmap_record *record;
	int map = open_map();
	struct walk walk = new_walk(map, 256);
	struct seen seen = new_seen("key"), others = new_seen("other");
	struct label name;
	int round = 0;

	fill(map, "key", KEYS);
	while ((record = walk_next(&walk))) {
		expect(see(&seen, record) || see(&others, record));
		name = label("other", round);
		store(map, text(name.text), text("new"));
		name = label("other", round / 2);
		delete(map, text(name.text));
		store(map, text(name.text), text("again"));
		if (++round >= 3 * KEYS)
			fail("the walk does not end");
	}
	expect_eq(seen.count, KEYS);
	diag("%d of %d keys stored meanwhile appeared", others.count, round);
}

static void cleared_in_between(void)
{
	int map = open_map();
	struct walk walk = new_walk(map, 1024);

	fill(map, "key", KEYS);
	expect_eq(walk_call(&walk), 0);
	expect(!walk.end);
	clear(map);
	expect_eq(walk_call(&walk), 0);
	expect(walk.end);
	expect_eq(walk.range.count, 0);
}

/* A key that never was in the map stands at its place in the order too. */
static void cursor_of_a_missing_key(void)
{
	const struct syncmap_record *record;
	int map = open_map(), i, skipped;
	struct walk whole = new_walk(map, 1 << 20), rest;
	struct label name;

	fill(map, "key", KEYS);
	for (i = 0; i < 50; i++) {
		whole.range.cursor = 0;
		whole.range.cursor_len = 0;
		expect_eq(walk_call(&whole), 0);
		expect(whole.end);
		expect_eq(whole.range.count, KEYS);
		rest = new_walk(map, 1 << 20);
		name = label("missing", i);
		rest.range.cursor = address(name.text);
		rest.range.cursor_len = strlen(name.text);
		expect_eq(walk_call(&rest), 0);
		expect(rest.end);
		/* What it brings is the end of the whole walk. */
		for (skipped = KEYS - rest.range.count; skipped; skipped--)
			walk_record(&whole);
		while ((record = walk_record(&rest)))
			expect(same_bytes(record_key(record),
					  record_key(walk_record(&whole))));
		end_walk(&rest);
	}
}

static void two_walks_interleaved(void)
{
	const struct syncmap_record *record;
	int map = open_map();
	struct walk one = new_walk(map, 100), other = new_walk(map, 777);
	struct seen by_one = new_seen("key"), by_other = new_seen("key");

	fill(map, "key", KEYS);
	while (!one.end || !other.end) {
		if (!one.end)
			expect_eq(walk_call(&one), 0);
		while ((record = walk_record(&one)))
			see(&by_one, record);
		if (!other.end)
			expect_eq(walk_call(&other), 0);
		while ((record = walk_record(&other)))
			see(&by_other, record);
	}
	expect_eq(by_one.count, KEYS);
	expect_eq(by_other.count, KEYS);
}

/* Concurrent writers */

#define WRITERS		2
#define CHURNED		KEYS
#define WALKS		30

struct churn {
	int map;
	int stop;
	int rounds[WRITERS];
};

static bool stopped(struct churn *churn)
{
	return __atomic_load_n(&churn->stop, __ATOMIC_RELAXED);
}

/* Values of the stable keys change too: "key 7", "key 7+", "key 7++"... */
static void overwrite_stable(int map, int number, int version)
{
	struct label name = label("key", number);
	char value[64];

	snprintf(value, sizeof(value), "%s%.*s", name.text, version % 8,
		 "++++++++");
	store(map, text(name.text), text(value));
}

static void churn_others(void *context, int writer)
{
	struct churn *churn = context;
	const char *prefix = writer ? "left" : "right";
	struct label name;
	int i, round;

	for (round = 0; !stopped(churn); round++) {
		for (i = 0; i < CHURNED && !stopped(churn); i++) {
			name = label(prefix, i);
			if (i % 3 == round % 3)
				delete(churn->map, text(name.text));
			else
				store(churn->map, text(name.text),
				      text(name.text));
			overwrite_stable(churn->map, i, round);
		}
		__atomic_store_n(&churn->rounds[writer], round + 1,
				 __ATOMIC_RELAXED);
	}
}

static bool all_have_written(struct churn *churn)
{
	int i;

	for (i = 0; i < WRITERS; i++)
		if (!__atomic_load_n(&churn->rounds[i], __ATOMIC_RELAXED))
			return false;
	return true;
}

static void expect_stable_value(const struct syncmap_record *record)
{
	const struct bytes key = record_key(record);
	const struct bytes value = record_value(record);
	const unsigned char *data = value.data;
	__u32 i;

	expect(value.len >= key.len && !memcmp(data, key.data, key.len));
	for (i = key.len; i < value.len; i++)
		expect_eq(data[i], '+');
}

static void walk_among_writers(int map, __u32 buf_len)
{
	const struct syncmap_record *record;
	struct seen seen = new_seen("key");
	struct seen left = new_seen("left"), right = new_seen("right");
	struct walk walk = new_walk(map, buf_len);

	while ((record = walk_next(&walk))) {
		if (see(&seen, record))
			expect_stable_value(record);
		else
			expect(see(&left, record) || see(&right, record));
	}
	expect_eq(seen.count, KEYS);
	end_walk(&walk);
}

static void among_writers(void)
{
	struct churn *churn = shared_memory(sizeof(*churn));
	int i;

	churn->map = open_map();
	fill(churn->map, "key", KEYS);
	for (i = 0; i < WRITERS; i++)
		spawn(churn_others, churn, i);
	/* On a busy machine the writers may take their time to begin. */
	for (i = 0; i < WALKS || !all_have_written(churn); i++)
		walk_among_writers(churn->map, i % 2 ? 4096 : 128);
	__atomic_store_n(&churn->stop, 1, __ATOMIC_RELAXED);
	join(WRITERS);
	walk_among_writers(churn->map, 4096);
	diag("%d walks beside %d and %d rounds of writers", i,
	     churn->rounds[0], churn->rounds[1]);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "empty map", empty_map },
		{ "every key once, in buffers of any size", every_key_once },
		{ "keys in every state", every_state_of_keys },
		{ "buffers grown on demand", buffers_grown_on_demand },
		{ "keys and values of full size", big_keys_and_values },
		{ "cursor key deleted", cursor_key_deleted },
		{ "keys added and deleted during a walk",
		  keys_added_and_deleted },
		{ "cleared during a walk", cleared_in_between },
		{ "cursor of a missing key", cursor_of_a_missing_key },
		{ "two walks interleaved", two_walks_interleaved },
		{ "walks among writers", among_writers },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
