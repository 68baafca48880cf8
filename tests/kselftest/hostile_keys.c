// SPDX-License-Identifier: GPL-2.0
/*
 * Keys that are chosen to collide, by who does not know the seed: patterns that
 * break weak hashes, and keys that lie together in another map. They are stored
 * like any others: none is refused, and they take no more room or time.
 */
#include "hostile.h"
#include "walk.h"

#define KEYS	20000

static unsigned char space[SYNCMAP_KEY_MAX];

static struct bytes key_at(const void *data, __u32 len)
{
	memcpy(space, data, len);
	return bytes(space, len);
}

/* The numbers as they are in memory. */
static struct bytes sequential(__u64 number)
{
	return key_at(&number, sizeof(number));
}

static struct bytes high_bits(__u64 number)
{
	number <<= 44;
	return key_at(&number, sizeof(number));
}

/* All the same but for a few bits in the middle of a long key. */
static struct bytes long_and_alike(__u64 number)
{
	memset(space, 'x', sizeof(space));
	memcpy(space + 251, &number, 3);
	return bytes(space, sizeof(space));
}

/* A few bits set. */
static struct bytes sparse(__u64 number)
{
	memset(space, 0, 256);
	space[number % 256] = 1;
	space[number / 256 % 256] |= 2;
	return bytes(space, 256);
}

/* Zeros, and nothing else, but for the length, then a count of such keys. */
static struct bytes zeros(__u64 number)
{
	memset(space, 0, sizeof(space));
	memcpy(space, &number, 2);
	return bytes(space, 2 + number % 500);
}

/* What "Aa" and "BB" are for Java's hash, and for others that multiply by 31. */
static struct bytes of_pairs(__u64 number)
{
	int i;

	for (i = 0; i < 32; i += 2, number >>= 1)
		memcpy(space + i, number & 1 ? "Aa" : "BB", 2);
	return bytes(space, 32);
}

static struct bytes text_of(__u64 number)
{
	return bytes(space, snprintf((char *)space, 32, "user:%llu", number));
}

struct family {
	const char *name;
	struct bytes (*key)(__u64 number);
};

static long long now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static int try_store(int map, struct bytes key)
{
	struct syncmap_op op = new_op(key);

	return call(map, SYNCMAP_IOC_STORE, &op);
}

/* Bytes of a table for these keys; the keys themselves are subtracted. */
static __u64 room_of(const struct family *family, long long *us)
{
	const __u64 count = KEYS / patience();
	int map = open_map(), ret;
	__u64 number, keys = 0;
	struct bytes key;

	*us = now_us();
	for (number = 0; number < count; number++) {
		key = family->key(number);
		keys += (key.len + 7) & ~7ULL;
		ret = try_store(map, key);
		if (ret)
			fail("%s: key %llu: %s", family->name, number,
			     strerror(-ret));
	}
	for (number = 0; number < count; number++)
		expect(present(map, family->key(number)));
	*us = now_us() - *us;
	number = stats(map).bytes - keys;
	close(map);
	return number;
}

static void patterns(void)
{
	static const struct family families[] = {
		{ "text", text_of },
		{ "sequential numbers", sequential },
		{ "numbers in high bits", high_bits },
		{ "long keys, all alike", long_and_alike },
		{ "pairs that add up to the same", of_pairs },
		{ "few bits", sparse },
		{ "zeros", zeros },
	};
	__u64 room, usual = 0;
	long long us, fastest = 0;
	unsigned int i;
	int tries;

	for (i = 0; i < ARRAY_SIZE(families); i++) {
		room = room_of(&families[i], &us);
		/* Perhaps somebody else was at it. */
		for (tries = 0; i && tries < 3 && us > 20 * fastest; tries++)
			room = room_of(&families[i], &us);
		diag("%-30s %8llu bytes, %8lld us", families[i].name, room,
		     us);
		if (!i) {
			usual = room;
			fastest = us;
			continue;
		}
		/* Some families have fewer keys than that. */
		expect(room <= usual * 5 / 4);
		/* A list of them would take a thousand times as long. */
		expect(us <= 20 * fastest);
	}
}

/* The first keys of a walk, which have the least hashes. */
static int first_of_walk(int map, __u64 *numbers, int count)
{
	const struct syncmap_record *record;
	struct walk walk = new_walk(map, WALK_BUF_MIN);
	int i;

	for (i = 0; i < count; i++) {
		record = walk_next(&walk);
		expect(record);
		memcpy(&numbers[i], syncmap_record_key(record), 8);
	}
	end_walk(&walk);
	return i;
}

static void fill_numbers(int map, __u64 count)
{
	__u64 number;

	for (number = 0; number < count; number++)
		expect_eq(try_store(map, sequential(number)), 0);
}

/* What lies together in one map does not in another: each has its own seed. */
static void neighbours_of_another_map(void)
{
	enum { COUNT = 400 };
	static __u64 numbers[COUNT], again[COUNT];
	int map = open_map(), other = open_map(), i, j, both = 0;

	fill_numbers(map, KEYS);
	first_of_walk(map, numbers, COUNT);
	for (i = 0; i < COUNT; i++)
		expect_eq(try_store(other, sequential(numbers[i])), 0);
	fill_numbers(other, KEYS);
	first_of_walk(other, again, COUNT);
	for (i = 0; i < COUNT; i++)
		for (j = 0; j < COUNT; j++)
			both += numbers[i] == again[j];
	diag("%d of %d in both, %d expected", both, COUNT,
	     COUNT * COUNT / KEYS);
	expect(both < COUNT / 4);
}

/* Who may walk a map knows what lies together in it, since keys stay in order. */
static void neighbours_of_the_same_map(void)
{
	enum { COUNT = 600 };
	static __u64 numbers[COUNT];
	unsigned long long seed = random_seed();
	int map = open_map(), i, j, refused = 0;
	__u64 number;

	fill_numbers(map, COUNT * 300);
	first_of_walk(map, numbers, COUNT);
	clear(map);
	for (i = COUNT - 1; i > 0; i--) {
		j = next_random(&seed) % (i + 1);
		number = numbers[i];
		numbers[i] = numbers[j];
		numbers[j] = number;
	}
	for (i = 0; i < COUNT; i++)
		refused += try_store(map, sequential(numbers[i])) != 0;
	diag("%d of %d refused", refused, COUNT);
	expect_eq(refused, 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "patterns", patterns },
		{ "neighbours of another map", neighbours_of_another_map },
		{ "neighbours of the same map", neighbours_of_the_same_map },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
