/* SPDX-License-Identifier: GPL-2.0 */
/* Maps in which a key is in a known state, and what must be in them. */
#ifndef SYNCMAP_TEST_SCENE_H
#define SYNCMAP_TEST_SCENE_H

#include <pthread.h>

#include "model.h"
#include "walk.h"

#define KEYS		8
#define CLOSERS		16
#define BLOCK		SYNCMAP_VALUE_MAX

/* What the key of an operation is, when the operation comes. */
enum situation {
	IN_EMPTY_MAP,
	NEW,
	NEW_BESIDE_DIRTY,
	IN_READ,
	IN_DIRTY,
	DELETED,
	EXPUNGED,
	SITUATIONS,
};

/* A map, and what is in it. The operations are on the first key. */
struct scene {
	int map;
	struct label labels[KEYS];
	struct bytes keys[KEYS];
	struct slot slots[KEYS];
};

/* Sizes of a key, and of the values before and after. */
struct sizes {
	__u32 key, old, new;
};

static const struct sizes usual = { 8, 20, 24 };

static char long_key[SYNCMAP_KEY_MAX];
static unsigned char old_block[BLOCK];

/*
 * Closing a map waits for grace periods; threads that nothing is injected into
 * do that for many maps at once.
 */
static int closers[2] = { -1, -1 };

static inline void *close_maps(void *context)
{
	int map;

	while (read(closers[0], &map, sizeof(map)) == sizeof(map))
		close(map);
	return context;
}

static inline void begin_closing(void)
{
	pthread_t thread;
	int i;

	if (closers[0] >= 0)
		return;
	expect(!pipe(closers));
	for (i = 0; i < CLOSERS; i++)
		expect(!pthread_create(&thread, NULL, close_maps, NULL));
}

/* Nothing of the map awaits a grace period. */
static inline __u64 settled_bytes(int map)
{
	const long long deadline = now_ms() + 20000;
	struct syncmap_stats now = stats(map);

	while (now.retired_bytes) {
		if (now_ms() > deadline)
			fail("%llu bytes stay retired", now.retired_bytes);
		nap_ms(1);
		now = stats(map);
	}
	return now.bytes;
}

static inline void expect_owner_bytes(int witness, __u64 bytes)
{
	const long long deadline = now_ms() + 20000;

	while (info(witness).owner_bytes != bytes) {
		if (now_ms() > deadline)
			fail("the owner has %llu bytes, and had %llu",
			     info(witness).owner_bytes, bytes);
		nap_ms(1);
	}
}

static inline void store_slot(struct scene *scene, int index, struct bytes value)
{
	store(scene->map, scene->keys[index], value);
	slot_set(&scene->slots[index], value);
}

static inline void new_scene(struct scene *scene, const struct sizes *sizes)
{
	int i;

	memset(scene, 0, sizeof(*scene));
	scene->map = open_map();
	scene->keys[0] = bytes(long_key, sizes->key);
	for (i = 1; i < KEYS; i++) {
		scene->labels[i] = label("other", i);
		scene->keys[i] = text(scene->labels[i].text);
	}
}

static inline void store_others(struct scene *scene, int from, int to)
{
	for (; from < to; from++)
		store_slot(scene, from, scene->keys[from]);
}

static inline void promote(struct scene *scene)
{
	struct dump dump = take_dump(scene->map);

	free(dump.data);
	expect(!stats(scene->map).amended);
}

static inline void set_scene(struct scene *scene, enum situation situation,
			     const struct sizes *sizes)
{
	const bool was_there = situation >= IN_READ && situation != IN_DIRTY;

	new_scene(scene, sizes);
	if (situation == IN_EMPTY_MAP)
		return;
	store_others(scene, 1, 5);
	if (was_there)
		store_slot(scene, 0, bytes(old_block, sizes->old));
	promote(scene);
	if (situation == DELETED || situation == EXPUNGED) {
		leave_deleted(scene->map, scene->keys[0],
			      bytes(old_block, sizes->old));
		slot_clear(&scene->slots[0]);
	}
	if (situation == NEW_BESIDE_DIRTY || situation == EXPUNGED)
		store_others(scene, 5, 6);
	if (situation == IN_DIRTY)
		store_slot(scene, 0, bytes(old_block, sizes->old));
	if (situation == EXPUNGED)
		expect(stats(scene->map).expunged);
}

static inline void end_scene(struct scene *scene)
{
	int i;

	expect_eq(write(closers[1], &scene->map, sizeof(int)), sizeof(int));
	for (i = 0; i < KEYS; i++)
		slot_clear(&scene->slots[i]);
}

static inline int find_key(const struct scene *scene, struct bytes key)
{
	int i;

	for (i = 0; i < KEYS; i++)
		if (same_bytes(scene->keys[i], key))
			return i;
	fail("a key of %u bytes that nobody has stored", key.len);
}

/* The map has what it should have, all of it and nothing else. */
static inline void expect_contents(const struct scene *scene)
{
	struct walk walk = new_walk(scene->map, 2 * WALK_BUF_MIN);
	const struct syncmap_record *record;
	int i, live = 0, seen = 0;

	for (i = 0; i < KEYS; i++)
		live += scene->slots[i].live;
	while ((record = walk_next(&walk))) {
		i = find_key(scene, record_key(record));
		expect(scene->slots[i].live);
		expect(same_bytes(record_value(record),
				  scene->slots[i].value));
		seen++;
	}
	end_walk(&walk);
	expect_eq(seen, live);
	expect_eq(stats(scene->map).entries, live);
}

#endif /* SYNCMAP_TEST_SCENE_H */
