// SPDX-License-Identifier: GPL-2.0
/*
 * Several processes on one map: what each operation promises to be atomic is
 * counted exactly, while another process keeps the tables moving.
 */
#include <pthread.h>

#include "stress.h"
#include "walk.h"

#define WORKERS		3

/* The memory that the processes of a case share. */
struct arena {
	int map;
	pthread_barrier_t barrier;
	/* What each worker counted, and the sum to be compared with. */
	__u64 counted[WORKERS + 1];
	__u64 gained[WORKERS + 1];
};

static struct arena *new_arena(void)
{
	struct arena *arena = shared_memory(sizeof(*arena));
	pthread_barrierattr_t attributes;

	arena->map = open_map();
	pthread_barrierattr_init(&attributes);
	pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&arena->barrier, &attributes, WORKERS);
	return arena;
}

static __u64 sum(const __u64 *of_workers)
{
	__u64 total = 0;
	int i;

	for (i = 0; i <= WORKERS; i++)
		total += of_workers[i];
	return total;
}

/* Runs @work in WORKERS processes, and one more that disturbs them. */
static void disturbance(void *context, int number)
{
	struct arena *arena = context;

	(void)number;
	disturb_for_a_while(arena->map);
}

static void race(struct arena *arena, void (*work)(void *arena, int number))
{
	int i;

	for (i = 0; i < WORKERS; i++)
		spawn(work, arena, i);
	spawn(disturbance, arena, WORKERS);
	join(WORKERS + 1);
}

/* Increments by comparing and swapping: none is lost. */

static const struct bytes counter = { "counter", 7 };

static void increment(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	struct arena *arena = context;
	__u64 value;

	while (now_ms() < end) {
		expect(load_number(arena->map, counter, &value));
		if (compare_and_swap_number(arena->map, counter, value,
					    value + 1))
			arena->counted[number]++;
	}
}

static void expect_counted(struct arena *arena)
{
	__u64 value;

	expect(load_number(arena->map, counter, &value));
	diag("%llu increments", value);
	expect_eq(value, sum(arena->counted));
	expect(value > 0);
}

static void increments(void)
{
	struct arena *arena = new_arena();

	store_number(arena->map, counter, 0);
	race(arena, increment);
	expect_counted(arena);
}

static void *increment_in_a_thread(void *context)
{
	static int numbers;

	increment(context, __atomic_fetch_add(&numbers, 1, __ATOMIC_RELAXED));
	return NULL;
}

static void increments_by_threads(void)
{
	struct arena *arena = new_arena();
	pthread_t threads[WORKERS];
	int i;

	store_number(arena->map, counter, 0);
	for (i = 0; i < WORKERS; i++)
		expect(!pthread_create(&threads[i], NULL, increment_in_a_thread,
				       arena));
	disturb_for_a_while(arena->map);
	for (i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	expect_counted(arena);
}

/*
 * Increments of a counter that is taken away and begun anew all the time:
 * what was taken and what is left is what was put in. The key goes through
 * deleted, expunged and stored again, with and without the lock.
 */

static void put(struct arena *arena, int number)
{
	__u64 one = 1, found;
	struct syncmap_op op = new_op(counter);

	set_value(&op, bytes(&one, sizeof(one)));
	set_buf(&op, &found, sizeof(found));
	if (run_op(arena->map, SYNCMAP_CMD_LOAD_OR_STORE, &op) &
	    SYNCMAP_RESULT_STORED) {
		arena->counted[number]++;
		return;
	}
	expect_eq(op.result, SYNCMAP_RESULT_FOUND);
	if (compare_and_swap_number(arena->map, counter, found, found + 1))
		arena->counted[number]++;
}

static void take(struct arena *arena, int number)
{
	struct syncmap_op op = new_op(counter);
	__u64 found = 0;

	set_buf(&op, &found, sizeof(found));
	if (run_op(arena->map, SYNCMAP_CMD_LOAD_AND_DELETE, &op) &
	    SYNCMAP_RESULT_DELETED)
		arena->gained[number] += found;
}

static void take_if_known(struct arena *arena, int number)
{
	struct syncmap_op op = new_op(counter);
	__u64 found;

	if (!load_number(arena->map, counter, &found))
		return;
	set_old(&op, bytes(&found, sizeof(found)));
	if (run_op(arena->map, SYNCMAP_CMD_COMPARE_AND_DELETE, &op) &
	    SYNCMAP_RESULT_DELETED)
		arena->gained[number] += found;
}

static void take_by_swap(struct arena *arena, int number)
{
	__u64 one = 1, found = 0;
	struct syncmap_op op = new_op(counter);

	set_value(&op, bytes(&one, sizeof(one)));
	set_buf(&op, &found, sizeof(found));
	arena->counted[number]++;
	if (run_op(arena->map, SYNCMAP_CMD_SWAP, &op) & SYNCMAP_RESULT_FOUND)
		arena->gained[number] += found;
}

static void put_and_take(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	struct arena *arena = context;
	unsigned long long seed = number + 1;

	while (now_ms() < end) {
		switch (next_random(&seed) % 8) {
		case 0:
			take(arena, number);
			break;
		case 1:
			take_if_known(arena, number);
			break;
		case 2:
			take_by_swap(arena, number);
			break;
		default:
			put(arena, number);
		}
	}
}

static void nothing_lost_in_deletion(void)
{
	struct arena *arena = new_arena();
	__u64 left = 0;

	race(arena, put_and_take);
	load_number(arena->map, counter, &left);
	diag("put in %llu, taken %llu, left %llu", sum(arena->counted),
	     sum(arena->gained), left);
	expect_eq(sum(arena->gained) + left, sum(arena->counted));
	expect(sum(arena->gained) > 0);
}

/*
 * One winner: rounds over the same keys, begun by all workers at once, some
 * from the first key and some from the last, so that they meet on the way.
 */

#define ROUND_KEYS	32
#define ROUNDS		60

static struct label round_key(struct arena *arena, int step, int number)
{
	const int begin = step - step % ROUND_KEYS;

	if (step == begin)
		pthread_barrier_wait(&arena->barrier);
	if (number % 2)
		step = begin + ROUND_KEYS - 1 - step % ROUND_KEYS;
	return label("key", step);
}

static void win_by_storing(void *context, int number)
{
	struct arena *arena = context;
	__u64 mine = number, found;
	struct syncmap_op op;
	struct label name;
	int i;

	for (i = 0; i < ROUNDS * ROUND_KEYS; i++) {
		name = round_key(arena, i, number);
		op = new_op(text(name.text));
		set_value(&op, bytes(&mine, sizeof(mine)));
		set_buf(&op, &found, sizeof(found));
		if (run_op(arena->map, SYNCMAP_CMD_LOAD_OR_STORE, &op) ==
		    SYNCMAP_RESULT_STORED) {
			arena->counted[number]++;
			found = number;
		}
		/* All workers must have read the same winners. */
		arena->gained[number] += (found + 1) * (atoi(name.text + 4) + 1);
	}
}

static void one_winner_stores(void)
{
	struct arena *arena = new_arena();
	const __u64 *won = arena->counted;

	race(arena, win_by_storing);
	diag("won %llu, %llu and %llu times", won[0], won[1], won[2]);
	expect_eq(sum(won), ROUNDS * ROUND_KEYS);
	expect_eq(arena->gained[1], arena->gained[0]);
	expect_eq(arena->gained[2], arena->gained[0]);
}

static bool delete_in_some_way(int map, struct bytes key, int way)
{
	static const __u32 ways[] = {
		SYNCMAP_CMD_LOAD_AND_DELETE, SYNCMAP_CMD_DELETE,
		SYNCMAP_CMD_COMPARE_AND_DELETE,
	};
	struct syncmap_op op = new_op(key);

	if (takes_old(ways[way]))
		set_old(&op, key);
	return run_op(map, ways[way], &op) & SYNCMAP_RESULT_DELETED;
}

static void win_by_deleting(void *context, int number)
{
	struct arena *arena = context;
	struct label name;
	int i;

	for (i = 0; i < ROUNDS * ROUND_KEYS; i++) {
		name = round_key(arena, i, number);
		arena->counted[number] +=
			delete_in_some_way(arena->map, text(name.text),
					   (i + number) % 3);
	}
}

static void one_winner_deletes(void)
{
	struct arena *arena = new_arena();
	const __u64 *won = arena->counted;

	fill(arena->map, "key", ROUNDS * ROUND_KEYS);
	race(arena, win_by_deleting);
	diag("won %llu, %llu and %llu times", won[0], won[1], won[2]);
	expect_eq(sum(won), ROUNDS * ROUND_KEYS);
	expect(!present(arena->map, text("key 0")));
}

/* Old values come back: each one that was swapped in comes out once. */

#define SWAPS_MAX	200000

static unsigned char *swapped_out;

static void swap_tokens(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	struct arena *arena = context;
	__u64 token = number * SWAPS_MAX, out;
	struct syncmap_op op;

	while (now_ms() < end && arena->counted[number] < SWAPS_MAX) {
		op = new_op(counter);
		set_value(&op, bytes(&token, sizeof(token)));
		set_buf(&op, &out, sizeof(out));
		run_op(arena->map, SYNCMAP_CMD_SWAP, &op);
		if (op.result & SYNCMAP_RESULT_FOUND)
			__atomic_fetch_add(&swapped_out[out], 1,
					   __ATOMIC_RELAXED);
		arena->counted[number]++;
		token++;
	}
}

static void every_value_comes_out_once(void)
{
	struct arena *arena = new_arena();
	__u64 last;
	int number;
	__u64 i;

	swapped_out = shared_memory(WORKERS * SWAPS_MAX);
	race(arena, swap_tokens);
	expect(load_number(arena->map, counter, &last));
	swapped_out[last]++;
	diag("%llu swaps", sum(arena->counted));
	for (number = 0; number < WORKERS; number++)
		for (i = 0; i < SWAPS_MAX; i++)
			expect_eq(swapped_out[number * SWAPS_MAX + i],
				  i < arena->counted[number]);
}

/* Values are whole, and never older than one that was seen before. */

#define WHOLE_KEYS	8
#define WHOLE_WORDS	256

static void write_versions(struct arena *arena)
{
	const long long end = now_ms() + STRESS_MS;
	__u32 words[WHOLE_WORDS];
	struct label name;
	__u32 version;

	for (version = 1; now_ms() < end; version++) {
		name = label("whole", version % WHOLE_KEYS);
		store(arena->map, text(name.text),
		      fill_value(words, version % 2 ? sizeof(words) :
				 sizeof(words) / 4, version));
		arena->counted[0]++;
	}
}

static void read_versions(struct arena *arena, int number)
{
	const long long end = now_ms() + STRESS_MS;
	__u32 words[WHOLE_WORDS], seen[WHOLE_KEYS] = { 0 }, version;
	struct label name;
	int i, len;

	for (i = 0; now_ms() < end; i = (i + 1) % WHOLE_KEYS) {
		name = label("whole", i);
		len = load(arena->map, text(name.text), words, sizeof(words));
		expect(len >= 0);
		version = value_version(words, len);
		if (version < seen[i])
			fail("version %u of key %d after version %u", version,
			     i, seen[i]);
		arena->gained[number] += version > seen[i];
		seen[i] = version;
		arena->counted[number]++;
	}
}

static void write_or_read(void *context, int number)
{
	if (number)
		read_versions(context, number);
	else
		write_versions(context);
}

static void values_are_whole(void)
{
	struct arena *arena = new_arena();
	__u32 words[WHOLE_WORDS];
	struct label name;
	int i;

	for (i = 0; i < WHOLE_KEYS; i++) {
		name = label("whole", i);
		store(arena->map, text(name.text),
		      fill_value(words, sizeof(words), 0));
	}
	race(arena, write_or_read);
	diag("%llu stores, %llu and %llu loads, %llu versions seen",
	     arena->counted[0], arena->counted[1], arena->counted[2],
	     sum(arena->gained));
	expect(sum(arena->gained) > 0);
}

/* Keys that nobody deletes are found by every lookup. */

#define STABLE_KEYS	300

static void look_for_stable(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	struct arena *arena = context;
	struct label name;
	int i;

	for (i = number; now_ms() < end; i++) {
		name = label("stable", i % STABLE_KEYS);
		if (!holds(arena->map, text(name.text), text(name.text)))
			fail("%s is not there", name.text);
		arena->counted[number]++;
	}
}

static void stable_keys_are_found(void)
{
	struct arena *arena = new_arena();
	struct syncmap_stats after;

	fill(arena->map, "stable", STABLE_KEYS);
	race(arena, look_for_stable);
	after = stats(arena->map);
	diag("%llu lookups, %llu misses, %llu promotions, %llu expunged",
	     sum(arena->counted), after.misses, after.promotions,
	     after.expunged);
	expect(after.promotions > 0);
}

/*
 * Clear against writers: each worker has keys that only it writes, so what it
 * finds there is what it stored last, or nothing.
 */

#define OWN_KEYS	20

static void store_and_look(struct arena *arena, int number)
{
	const long long end = now_ms() + STRESS_MS;
	__u64 version, found;
	struct label name;

	for (version = 1; now_ms() < end; version++) {
		name = label("own", number * OWN_KEYS + version % OWN_KEYS);
		store_number(arena->map, text(name.text), version);
		if (load_number(arena->map, text(name.text), &found))
			expect_eq(found, version);
		else
			arena->gained[number]++;
		arena->counted[number]++;
	}
}

static void clear_for_a_while(struct arena *arena)
{
	const long long end = now_ms() + STRESS_MS;

	while (now_ms() < end) {
		clear(arena->map);
		arena->counted[0]++;
	}
}

static void clear_or_store(void *context, int number)
{
	if (number)
		store_and_look(context, number);
	else
		clear_for_a_while(context);
}

static void clear_beside_writers(void)
{
	struct arena *arena = new_arena();
	struct dump dump;

	race(arena, clear_or_store);
	diag("%llu clears, %llu and %llu stores, %llu cleared at once",
	     arena->counted[0], arena->counted[1], arena->counted[2],
	     sum(arena->gained));
	/* Late stores into what was cleared must not be counted as keys. */
	dump = take_dump(arena->map);
	diag("%d keys left", dump.count);
	free(dump.data);
	clear(arena->map);
	expect_eq(stats(arena->map).entries, 0);
	dump = take_dump(arena->map);
	expect_eq(dump.count, 0);
	store(arena->map, counter, text("usable"));
	expect_eq(stats(arena->map).entries, 1);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "increments are not lost", increments },
		{ "increments by threads", increments_by_threads },
		{ "nothing is lost in deletion", nothing_lost_in_deletion },
		{ "one winner of LOAD_OR_STORE", one_winner_stores },
		{ "one winner of a deletion", one_winner_deletes },
		{ "every value comes out of SWAP once",
		  every_value_comes_out_once },
		{ "values are whole and in order", values_are_whole },
		{ "stable keys are always found", stable_keys_are_found },
		{ "CLEAR beside writers", clear_beside_writers },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
