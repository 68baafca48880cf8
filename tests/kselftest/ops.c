// SPDX-License-Identifier: GPL-2.0
/* Every operation on one key in every state that the key can be in. */
#include "model.h"
#include "walk.h"

#define OTHERS	40

static const char subject[] = "the key";
static const char first[] = "value A";

/* A walk promotes the dirty table: afterwards every key is in read. */
static void promote(int map)
{
	struct dump dump = take_dump(map);

	free(dump.data);
	expect_eq(stats(map).amended, 0);
}

static void store_subject(int map)
{
	store(map, text(subject), text(first));
}

static void delete_subject(int map)
{
	expect(delete(map, text(subject)));
}

static void leave_subject_deleted(int map)
{
	leave_deleted(map, text(subject), text(first));
}

static void in_an_empty_map(int map)
{
	expect_eq(stats(map).entries, 0);
}

static void absent_from_read(int map)
{
	fill(map, "other", OTHERS);
	promote(map);
}

static void absent_from_both(int map)
{
	absent_from_read(map);
	fill(map, "newer", 1);
	expect_eq(stats(map).amended, 1);
}

static void live_alone(int map)
{
	store_subject(map);
}

static void live_in_read(int map)
{
	fill(map, "other", OTHERS);
	store_subject(map);
	promote(map);
}

static void live_in_both(int map)
{
	live_in_read(map);
	fill(map, "newer", 1);
	expect_eq(stats(map).amended, 1);
}

static void live_only_in_dirty(int map)
{
	absent_from_read(map);
	store_subject(map);
	expect_eq(stats(map).amended, 1);
}

static void live_after_misses(int map)
{
	struct syncmap_stats earlier;
	int i;

	live_only_in_dirty(map);
	earlier = stats(map);
	for (i = 0; i < 100000 && stats(map).amended; i++)
		expect(!present(map, text("no such key")));
	expect_eq(stats(map).amended, 0);
	expect(stats(map).promotions > earlier.promotions);
	expect(stats(map).misses > earlier.misses);
}

static void deleted_in_read(int map)
{
	live_in_read(map);
	leave_subject_deleted(map);
}

static void deleted_in_both(int map)
{
	live_in_both(map);
	leave_subject_deleted(map);
}

static void removed_from_read(int map)
{
	live_in_read(map);
	delete_subject(map);
	expect_eq(stats(map).read_slots, OTHERS);
	expect_eq(stats(map).sweeps, 0);
}

static void removed_from_both(int map)
{
	live_in_both(map);
	delete_subject(map);
}

static void deleted_only_in_dirty(int map)
{
	live_only_in_dirty(map);
	delete_subject(map);
}

/* New keys copy the table, which leaves the deleted ones behind. */
static void expunged(int map)
{
	deleted_in_read(map);
	fill(map, "newer", OTHERS);
	expect_eq(stats(map).amended, 1);
}

static void expunged_and_promoted(int map)
{
	expunged(map);
	promote(map);
}

static void swept(int map)
{
	const long long deadline = now_ms() + 10000;

	deleted_in_read(map);
	while (stats(map).read_slots > OTHERS) {
		if (now_ms() > deadline)
			fail("the deleted key is still there after 10 s");
		nap_ms(20);
	}
	expect(stats(map).sweeps > 0);
}

static void stored_again(int map)
{
	deleted_in_read(map);
	store_subject(map);
}

static void stored_again_in_dirty(int map)
{
	deleted_only_in_dirty(map);
	store_subject(map);
}

static void stored_again_after_expunging(int map)
{
	expunged(map);
	store_subject(map);
}

static void stored_again_and_promoted(int map)
{
	stored_again_after_expunging(map);
	promote(map);
}

static void stored_after_sweep(int map)
{
	swept(map);
	store_subject(map);
}

static void cleared(int map)
{
	live_in_both(map);
	clear(map);
	expect_eq(stats(map).entries, 0);
}

static void stored_after_clear(int map)
{
	cleared(map);
	store_subject(map);
}

struct state {
	const char *name;
	void (*prepare)(int map);
	bool live;
};

/* A fresh map in the state under test, and the model's view of the key. */
static int new_map(const struct state *state, struct slot *slot)
{
	int map = open_map();

	*slot = (struct slot) { .live = false };
	state->prepare(map);
	if (state->live)
		slot_set(slot, text(first));
	return map;
}

static void check_alone(const struct state *state,
			const struct request *request, bool with_buf)
{
	struct slot slot;
	__u64 entries;
	int map = new_map(state, &slot);

	entries = stats(map).entries - slot.live;
	if (with_buf)
		check_request(map, &slot, request, 0);
	else
		check_request_size(map, &slot, request);
	check_slot(map, text(subject), &slot);
	expect_eq(stats(map).entries, entries + slot.live);
	promote(map);
	check_slot(map, text(subject), &slot);
	expect_eq(stats(map).entries, entries + slot.live);
	slot_clear(&slot);
	close(map);
}

/* Old values that match, differ in the last byte, in the length, in all. */
static const char *const olds[] = {
	first, "value B", "value ", "value A.", "",
};

static const char *const values[] = { "another value", first, "" };

static void check_old_values(const struct state *state, struct request *request)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(olds); i++) {
		request->old = text(olds[i]);
		check_alone(state, request, true);
	}
}

static void check_values(const struct state *state, struct request *request)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		request->value = text(values[i]);
		if (takes_old(request->cmd))
			check_old_values(state, request);
		else
			check_alone(state, request, true);
		if (!takes_value(request->cmd))
			break;
	}
	if (takes_buf(request->cmd))
		check_alone(state, request, false);
}

static const struct state states[] = {
	{ "key in an empty map", in_an_empty_map, false },
	{ "key absent, no dirty table", absent_from_read, false },
	{ "key absent from both tables", absent_from_both, false },
	{ "key alone in the map", live_alone, true },
	{ "key live in read", live_in_read, true },
	{ "key live in read and dirty", live_in_both, true },
	{ "key live only in dirty", live_only_in_dirty, true },
	{ "key promoted by misses", live_after_misses, true },
	{ "key deleted in read", deleted_in_read, false },
	{ "key deleted in read and dirty", deleted_in_both, false },
	{ "key removed from read", removed_from_read, false },
	{ "key removed from read and dirty", removed_from_both, false },
	{ "key deleted only in dirty", deleted_only_in_dirty, false },
	{ "key expunged", expunged, false },
	{ "key expunged and promoted away", expunged_and_promoted, false },
	{ "key stored again after deletion", stored_again, true },
	{ "key stored again in dirty", stored_again_in_dirty, true },
	{ "key stored again after expunging", stored_again_after_expunging,
	  true },
	{ "key stored again and promoted", stored_again_and_promoted, true },
	{ "key cleared", cleared, false },
	{ "key stored after clear", stored_after_clear, true },
};

static void check_state(void)
{
	struct request request = { .key = text(subject) };

	for (; request.cmd < KEY_COMMANDS; request.cmd++)
		check_values(&states[tap_index], &request);
}

/* The sweep takes a second to begin: these states get one operation each. */
static void check_sweep(void)
{
	const struct state absent = { "key swept", swept, false };
	const struct state again = { "key stored after it", stored_after_sweep,
				     true };
	const struct request request = {
		.cmd = SYNCMAP_CMD_LOAD_OR_STORE,
		.key = text(subject),
		.value = text("another value"),
	};

	check_alone(&absent, &request, true);
	check_alone(&again, &request, true);
}

int main(int argc, char **argv)
{
	struct tap_case cases[ARRAY_SIZE(states) + 1];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		cases[i] = (struct tap_case) { states[i].name, check_state };
	cases[i] = (struct tap_case) { "key swept away", check_sweep };
	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
