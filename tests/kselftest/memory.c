// SPDX-License-Identifier: GPL-2.0
/*
 * Memory comes back without anybody storing again, and is charged to whoever
 * stores.
 */
#include "group.h"
#include "stress.h"
#include "walk.h"

#define KEYS		10000
#define VALUE		400

#define MIB		1048576

static unsigned char value[SYNCMAP_VALUE_MAX];

static int filled_map(void)
{
	struct label name;
	int map = open_map(), i;

	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		store(map, text(name.text), bytes(value, VALUE));
	}
	return map;
}

/* Waits until the map needs no more than @most bytes, without touching it. */
static void expect_bytes_fall(int map, __u64 most)
{
	const long long began = now_ms();
	const __u64 high = stats(map).bytes;
	struct syncmap_stats now;

	do {
		nap_ms(20);
		now = stats(map);
		if (now_ms() - began > SETTLE_MS)
			fail("%llu bytes, %llu retired: more than %llu", now.bytes,
			     now.retired_bytes, most);
	} while (now.bytes > most || now.retired_bytes);
	diag("from %llu to %llu bytes in %lld ms", high, now.bytes,
	     now_ms() - began);
}

static void bytes_of_a_full_map(void)
{
	const __u64 empty = stats(open_map()).bytes;
	const __u64 full = stats(filled_map()).bytes;

	diag("%llu bytes empty, %llu with %d values of %d", empty, full, KEYS,
	     VALUE);
	expect(full - empty >= KEYS * VALUE);
	expect(full - empty <= 3 * KEYS * VALUE);
}

static void after_clear(void)
{
	const __u64 empty = stats(open_map()).bytes;
	int map = filled_map();

	clear(map);
	expect_bytes_fall(map, 2 * empty + 65536);
	expect_eq(stats(map).entries, 0);
	store(map, text("key"), text("usable"));
}

static void after_deleting_most(void)
{
	int map = filled_map(), i;
	struct label name;
	__u64 full;

	full = stats(map).bytes;
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		if (i % 10)
			expect(delete(map, text(name.text)));
	}
	expect_bytes_fall(map, full / 4);
	expect_eq(stats(map).entries, KEYS / 10);
	expect_eq(stats(map).read_slots > KEYS / 5, 0);
	for (i = 0; i < KEYS; i += 10) {
		name = label("key", i);
		expect(holds(map, text(name.text), bytes(value, VALUE)));
	}
}

static void after_deleting_all_in_read(void)
{
	const __u64 empty = stats(open_map()).bytes;
	int map = filled_map(), i;
	struct label name;
	struct dump dump;

	dump = take_dump(map);
	free(dump.data);
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		expect(delete(map, text(name.text)));
	}
	expect_bytes_fall(map, 2 * empty + 262144);
	expect_eq(stats(map).entries, 0);
}

static void after_overwriting_with_less(void)
{
	int map = filled_map(), i;
	struct label name;
	__u64 full;

	full = stats(map).bytes;
	for (i = 0; i < KEYS; i++) {
		name = label("key", i);
		store(map, text(name.text), text("x"));
	}
	expect_bytes_fall(map, full / 2);
	expect_eq(stats(map).entries, KEYS);
}

static long free_kb(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	long kb = -1;

	expect(file);
	while (kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "MemFree: %ld", &kb);
	fclose(file);
	expect(kb >= 0);
	return kb;
}

static void close_full_maps(int count)
{
	while (count--)
		close(filled_map());
	nap_ms(500);
}

/* Maps that are closed full leave nothing behind. */
static void after_close(void)
{
	const long map_kb = KEYS * VALUE / 1024;
	long before, after;

	/* The first ones fill caches that stay. */
	close_full_maps(3);
	before = free_kb();
	close_full_maps(10);
	after = free_kb();
	diag("%ld kB free before, %ld kB after 10 maps of %ld kB", before,
	     after, map_kb);
	expect(before - after < 5 * map_kb);
}

/* Charges are kept in batches for each CPU: the sums are not exact. */
static void fill_in_a_group(void *context, int number)
{
	long long before, full;
	int map;

	(void)context;
	(void)number;
	join_group();
	before = group_memory();
	map = filled_map();
	full = group_memory();
	diag("charged %lld bytes before, %lld with %d values of %d", before,
	     full, KEYS, VALUE);
	expect(full - before >= KEYS * VALUE);
	close(map);
	expect_group_memory_below(before + MIB);
}

static void charged_to_the_group(void)
{
	new_group("max");
	spawn_and_join(fill_in_a_group, NULL, 1);
	rmdir(GROUP);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "bytes of a full map", bytes_of_a_full_map },
		{ "memory after CLEAR", after_clear },
		{ "memory after deleting most keys", after_deleting_most },
		{ "memory after deleting all keys in read",
		  after_deleting_all_in_read },
		{ "memory after overwriting with less",
		  after_overwriting_with_less },
		{ "memory after close", after_close },
		{ "memory charged to the control group",
		  charged_to_the_group },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
