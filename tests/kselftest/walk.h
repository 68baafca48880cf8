/* SPDX-License-Identifier: GPL-2.0 */
/* Walks over a map with RANGE that check every rule about its records. */
#ifndef SYNCMAP_TEST_WALK_H
#define SYNCMAP_TEST_WALK_H

#include "map.h"

struct walk {
	int map;
	bool end;
	/* The argument of the last call, and the records it brought. */
	struct syncmap_range range;
	unsigned char *buf;
	/* The last key seen, kept apart from the buffer it came in. */
	unsigned char cursor[SYNCMAP_KEY_MAX];
	/* The record that is next to be handed out, and its offset. */
	__u32 number;
	__u32 offset;
};

/* Room for the largest record, so that a walk never meets ENOSPC. */
#define WALK_BUF_MIN \
	(sizeof(struct syncmap_record) + SYNCMAP_KEY_MAX + \
	 SYNCMAP_VALUE_MAX + 8)

static inline struct walk new_walk(int map, __u32 buf_len)
{
	struct walk walk = {
		.map = map,
		.buf = malloc(buf_len),
		.range = {
			.size = sizeof(walk.range),
			.buf_len = buf_len,
		},
	};

	expect(walk.buf);
	walk.range.buf = address(walk.buf);
	return walk;
}

static inline struct bytes record_key(const struct syncmap_record *record)
{
	return bytes(syncmap_record_key(record), record->key_len);
}

static inline struct bytes record_value(const struct syncmap_record *record)
{
	return bytes(syncmap_record_value(record), record->value_len);
}

/* Checks that the record at @offset lies inside what the call has written. */
static inline const struct syncmap_record *
record_at(const struct syncmap_range *range, __u32 offset)
{
	const struct syncmap_record *record = at_address(range->buf + offset);
	__u64 size;

	expect(offset + sizeof(*record) <= range->used);
	size = sizeof(*record) + (__u64)record->key_len + record->value_len;
	expect(offset + size <= range->used);
	expect(record->next >= size);
	expect(offset + (__u64)record->next <= range->used);
	expect_eq(record->next % 8, 0);
	expect_eq(record->__reserved, 0);
	expect(record->key_len >= 1 && record->key_len <= SYNCMAP_KEY_MAX);
	expect(record->value_len <= SYNCMAP_VALUE_MAX);
	return record;
}

static inline void check_records(const struct syncmap_range *range)
{
	__u32 offset = 0, last = 0;
	__u32 i;

	expect(range->used <= range->buf_len);
	expect(!(range->result & ~SYNCMAP_RANGE_END));
	for (i = 0; i < range->count; i++) {
		last = offset;
		offset += record_at(range, offset)->next;
	}
	expect_eq(offset, range->used);
	expect_eq(range->last, last);
}

/* One call; 0 or -errno. Without records, a walk that is not over would hang. */
static inline int walk_call(struct walk *walk)
{
	const struct syncmap_record *last;
	int ret;

	walk->range.result = UNTOUCHED;
	walk->range.used = UNTOUCHED;
	walk->range.count = UNTOUCHED;
	walk->range.last = UNTOUCHED;
	ret = call(walk->map, SYNCMAP_IOC_RANGE, &walk->range);
	if (ret)
		return ret;
	check_records(&walk->range);
	walk->number = 0;
	walk->offset = 0;
	walk->end = walk->range.result & SYNCMAP_RANGE_END;
	expect(walk->end || walk->range.count);
	if (!walk->range.count)
		return 0;
	last = at_address(walk->range.buf + walk->range.last);
	memcpy(walk->cursor, syncmap_record_key(last), last->key_len);
	walk->range.cursor = address(walk->cursor);
	walk->range.cursor_len = last->key_len;
	return 0;
}

/* The next record of what the last call brought, or NULL after the last. */
static inline const struct syncmap_record *walk_record(struct walk *walk)
{
	const struct syncmap_record *record;

	if (walk->number >= walk->range.count)
		return NULL;
	record = at_address(walk->range.buf + walk->offset);
	walk->offset += record->next;
	walk->number++;
	return record;
}

/* The next record of the walk, or NULL at its end. */
static inline const struct syncmap_record *walk_next(struct walk *walk)
{
	const struct syncmap_record *record;
	int ret;

	while (!(record = walk_record(walk))) {
		if (walk->end)
			return NULL;
		ret = walk_call(walk);
		if (ret)
			fail("RANGE: %s", strerror(-ret));
	}
	return record;
}

static inline void end_walk(struct walk *walk)
{
	free(walk->buf);
}

/* All of a map, in the order of the walk, which is fixed for one map. */
struct dump {
	unsigned char *data;
	size_t len;
	int count;
};

static inline void dump_record(struct dump *dump,
			       const struct syncmap_record *record)
{
	__u32 lengths[] = { record->key_len, record->value_len };
	size_t len = record->key_len + record->value_len;

	dump->data = realloc(dump->data, dump->len + sizeof(lengths) + len);
	expect(dump->data);
	memcpy(dump->data + dump->len, lengths, sizeof(lengths));
	memcpy(dump->data + dump->len + sizeof(lengths),
	       syncmap_record_key(record), len);
	dump->len += sizeof(lengths) + len;
	dump->count++;
}

static inline struct dump take_dump(int map)
{
	const struct syncmap_record *record;
	struct dump dump = { .count = 0 };
	struct walk walk = new_walk(map, 2 * WALK_BUF_MIN);

	while ((record = walk_next(&walk)))
		dump_record(&dump, record);
	end_walk(&walk);
	expect_eq(dump.count, stats(map).entries);
	return dump;
}

/* Ends the case if anything in the map has changed since the dump; frees it. */
static inline void expect_unchanged(int map, struct dump *before)
{
	struct dump now = take_dump(map);

	expect_eq(now.count, before->count);
	expect_eq(now.len, before->len);
	expect(!now.len || !memcmp(now.data, before->data, now.len));
	free(now.data);
	free(before->data);
	*before = (struct dump) { .count = 0 };
}

#endif /* SYNCMAP_TEST_WALK_H */
