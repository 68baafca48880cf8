/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The demo's middle part: readers look keys up and check every answer while
 * one writer changes the map. What a reader may find depends on the key:
 *
 * - most are left alone, and must always be found with their exact values;
 * - some are overwritten: always found, with a version behind the value,
 *   "80 www v17", that never goes back;
 * - some are deleted and inserted again: found like the former, or absent;
 * - new ones come and go, and have their number as the value;
 * - missing ones never appear.
 */
#ifndef SYNCMAP_DEMO_CHURN_H
#define SYNCMAP_DEMO_CHURN_H

#include "demo_map.h"

enum role {
	LEFT_ALONE,
	OVERWRITTEN,
	DELETED,
};

static enum role role_of(__u32 number)
{
	if (number % 8 == 3)
		return OVERWRITTEN;
	if (number % 8 == 5)
		return DELETED;
	return LEFT_ALONE;
}

/* What one process counts; the parent reads along. */
struct tally {
	__u64 lookups;
	__u64 absent;
	__u64 new_versions;
	__u64 new_keys;
	__u64 overwritten;
	__u64 deleted;
	__u64 inserted;
	__u64 added;
	__u64 ns;
};

#define READERS_MAX	64

/* The readers stop first: to them, what is restored would be older again. */
enum stop {
	NOBODY,
	READERS,
	EVERYBODY,
};

struct churn {
	const struct input *input;
	enum stop stop;
	/* New keys are numbered; these are the ones that may be there. */
	__u32 new_first, new_end;
	struct tally writer;
	struct tally reader[READERS_MAX];
};

static enum stop stopped(const struct churn *churn)
{
	return __atomic_load_n(&churn->stop, __ATOMIC_ACQUIRE);
}

static void stop(struct churn *churn, enum stop stop)
{
	__atomic_store_n(&churn->stop, stop, __ATOMIC_RELEASE);
}

/* The end is a byte that no text file has: no word can be such a key. */
static struct text numbered_key(char *room, const char *kind, __u32 number)
{
	const int len = sprintf(room, "%s %u", kind, number);

	return (struct text) { room, room + len + 1 };
}

/* Readers */

/* The version behind the value of an entry; none is version 0. */
static __u32 version_of(const struct entry *entry, char *buf, __u32 len)
{
	char *version, *end;

	if (same_value(entry, buf, len))
		return 0;
	buf[len] = 0;
	version = buf + entry->value_len;
	if (len <= entry->value_len + 2 ||
	    memcmp(buf, entry->value, entry->value_len) ||
	    memcmp(version, " v", 2))
		failed("\"%.*s\" has the value \"%s\" during the churn",
		       (int)entry->key_len, entry->key, buf);
	len = strtoul(version + 2, &end, 10);
	if (*end)
		failed("\"%s\" does not end with a version", buf);
	return len;
}

static void read_entry(struct churn *churn, struct tally *tally,
		       __u32 *versions, __u32 number)
{
	const struct entry *entry = &churn->input->entries[number];
	struct syncmap_op op = new_op(entry->key, entry->key_len);
	const enum role role = role_of(entry->first);
	char buf[BUF_BYTES + 1];
	__u32 version;

	set_buf(&op, buf);
	if (!(RUN(LOAD, &op) & SYNCMAP_RESULT_FOUND) && role == DELETED) {
		tally->absent++;
		return;
	}
	if (role == LEFT_ALONE || !(op.result & SYNCMAP_RESULT_FOUND)) {
		expect_exact(churn->input, number, &op, buf);
		return;
	}
	entry = &churn->input->entries[entry->first];
	version = version_of(entry, buf, op.out_len);
	if (version < versions[number])
		failed("\"%.*s\" went back from version %u to %u",
		       (int)entry->key_len, entry->key, versions[number],
		       version);
	tally->new_versions += version > versions[number];
	versions[number] = version;
}

static void read_new_key(struct churn *churn, struct tally *tally,
			 __u64 *random)
{
	const __u32 end = __atomic_load_n(&churn->new_end, __ATOMIC_RELAXED);
	const __u32 number = end - next_random(random) % 64;
	char key[32], buf[BUF_BYTES];
	struct text name = numbered_key(key, "new key", number);
	struct syncmap_op op = new_op(name.begin, length(name));
	char value[16];

	if (!end || number > end)
		return;
	set_buf(&op, buf);
	if (!(RUN(LOAD, &op) & SYNCMAP_RESULT_FOUND))
		return;
	sprintf(value, "%u", number);
	if (op.out_len != strlen(value) || memcmp(buf, value, op.out_len))
		failed("new key %u has the value \"%.*s\"", number,
		       (int)op.out_len, buf);
	tally->new_keys++;
}

static void expect_missing(__u32 number)
{
	char key[32];
	struct text name = numbered_key(key, "missing key", number);
	struct syncmap_op op = new_op(name.begin, length(name));

	if (RUN(LOAD, &op) & SYNCMAP_RESULT_FOUND)
		failed("\"%s\" is in the map, but nobody stored it", key);
}

static void read_churned(void *context, int number)
{
	struct churn *churn = context;
	struct tally *tally = &churn->reader[number];
	__u32 *versions = allocate(churn->input->count, sizeof(*versions));
	__u64 random = number + 1, began = now_ns();

	while (stopped(churn) == NOBODY) {
		switch (next_random(&random) % 16) {
		case 0:
			expect_missing(next_random(&random) % 10000);
			break;
		case 1:
			read_new_key(churn, tally, &random);
			break;
		default:
			read_entry(churn, tally, versions,
				   next_random(&random) % churn->input->count);
		}
		tally->lookups++;
	}
	tally->ns = now_ns() - began;
}

/* The writer */

struct writer {
	struct churn *churn;
	struct tally *tally;
	__u64 random;
	/* Of every entry: its version, and whether it is in the map. */
	__u32 *versions;
	bool *gone;
};

static __u32 print_version(const struct entry *entry, __u32 version,
			   char *buf)
{
	if (!version)
		return sprintf(buf, "%s", entry->value);
	return sprintf(buf, "%s v%u", entry->value, version);
}

/* Nobody else writes: what was there before is known to the last byte. */
static void expect_previous(const struct writer *writer, __u32 number,
			    const struct syncmap_op *op, const char *buf)
{
	const struct entry *entry = &writer->churn->input->entries[number];
	char value[BUF_BYTES];
	__u32 len = print_version(entry, writer->versions[number], value);

	if (op->out_len != len || memcmp(buf, value, len))
		failed("the value before was \"%.*s\" instead of \"%s\"",
		       (int)op->out_len, buf, value);
}

/* A value that no operation may store: each comes when it must not. */
#define WRONG "must not be stored"

static void overwrite(struct writer *writer, __u32 number)
{
	const struct entry *entry = &writer->churn->input->entries[number];
	struct syncmap_op op = new_op(entry->key, entry->key_len);
	char value[BUF_BYTES], old[BUF_BYTES], buf[BUF_BYTES];
	__u32 version = writer->versions[number];

	set_value(&op, value, print_version(entry, version + 1, value));
	switch (next_random(&writer->random) % 3) {
	case 0:
		set_buf(&op, buf);
		if (!(RUN(SWAP, &op) & SYNCMAP_RESULT_FOUND))
			failed("SWAP found nothing under \"%.*s\"",
			       (int)entry->key_len, entry->key);
		expect_previous(writer, number, &op, buf);
		break;
	case 1:
		RUN(STORE, &op);
		break;
	default:
		set_old(&op, old, print_version(entry, version, old));
		if (!(RUN(COMPARE_AND_SWAP, &op) & SYNCMAP_RESULT_STORED))
			failed("COMPARE_AND_SWAP did not find \"%s\"", old);
		/* A second time the comparison must fail. */
		set_value(&op, WRONG, strlen(WRONG));
		if (RUN(COMPARE_AND_SWAP, &op) & SYNCMAP_RESULT_STORED)
			failed("COMPARE_AND_SWAP found \"%s\" again", old);
	}
	writer->versions[number]++;
	writer->tally->overwritten++;
}

static void take_out(struct writer *writer, __u32 number)
{
	const struct entry *entry = &writer->churn->input->entries[number];
	struct syncmap_op op = new_op(entry->key, entry->key_len);
	char old[BUF_BYTES], buf[BUF_BYTES];

	switch (next_random(&writer->random) % 3) {
	case 0:
		set_buf(&op, buf);
		RUN(LOAD_AND_DELETE, &op);
		expect_previous(writer, number, &op, buf);
		break;
	case 1:
		RUN(DELETE, &op);
		break;
	default:
		set_old(&op, old, print_version(entry,
						writer->versions[number], old));
		RUN(COMPARE_AND_DELETE, &op);
	}
	if (!(op.result & SYNCMAP_RESULT_DELETED))
		failed("\"%.*s\" could not be deleted", (int)entry->key_len,
		       entry->key);
	writer->gone[number] = true;
	writer->tally->deleted++;
}

static void put_back(struct writer *writer, __u32 number)
{
	const struct entry *entry = &writer->churn->input->entries[number];
	struct syncmap_op op = new_op(entry->key, entry->key_len);
	char value[BUF_BYTES], buf[BUF_BYTES];

	writer->versions[number]++;
	set_value(&op, value, print_version(entry, writer->versions[number],
					    value));
	if (RUN(LOAD_OR_STORE, &op) != SYNCMAP_RESULT_STORED)
		failed("\"%.*s\" is back before it was stored",
		       (int)entry->key_len, entry->key);
	/* A second time the first value stays, and is reported. */
	set_value(&op, WRONG, strlen(WRONG));
	set_buf(&op, buf);
	if (RUN(LOAD_OR_STORE, &op) != SYNCMAP_RESULT_FOUND)
		failed("LOAD_OR_STORE stored over \"%s\"", value);
	expect_previous(writer, number, &op, buf);
	writer->gone[number] = false;
	writer->tally->inserted++;
}

static void add_new_key(struct writer *writer)
{
	struct churn *churn = writer->churn;
	char key[32], value[16];
	struct text name = numbered_key(key, "new key", churn->new_end);
	struct syncmap_op op = new_op(name.begin, length(name));

	set_value(&op, value, sprintf(value, "%u", churn->new_end));
	RUN(STORE, &op);
	__atomic_store_n(&churn->new_end, churn->new_end + 1, __ATOMIC_RELAXED);
	writer->tally->added++;
}

static void delete_new_key(struct churn *churn)
{
	char key[32];
	struct text name = numbered_key(key, "new key", churn->new_first);
	struct syncmap_op op = new_op(name.begin, length(name));

	if (!(RUN(DELETE, &op) & SYNCMAP_RESULT_DELETED))
		failed("\"%s\" could not be deleted", key);
	churn->new_first++;
}

static void change_something(struct writer *writer)
{
	struct churn *churn = writer->churn;
	const __u32 number =
		next_random(&writer->random) % churn->input->count;

	/* Duplicates have no place of their own in the map. */
	if (churn->input->entries[number].first != number)
		return;
	switch (role_of(number)) {
	case OVERWRITTEN:
		overwrite(writer, number);
		break;
	case DELETED:
		if (writer->gone[number])
			put_back(writer, number);
		else
			take_out(writer, number);
		break;
	case LEFT_ALONE:
		if (number % 8)
			break;
		add_new_key(writer);
		if (churn->new_end - churn->new_first > 500)
			delete_new_key(churn);
	}
}

/* Puts everything back as the files have it. */
static void restore(struct writer *writer)
{
	struct churn *churn = writer->churn;
	const struct entry *entry;
	struct syncmap_op op;
	__u32 i;

	while (churn->new_first < churn->new_end)
		delete_new_key(churn);
	for (i = 0; i < churn->input->count; i++) {
		if (!writer->versions[i] && !writer->gone[i])
			continue;
		entry = &churn->input->entries[i];
		op = new_op(entry->key, entry->key_len);
		set_value(&op, entry->value, entry->value_len);
		RUN(STORE, &op);
	}
}

static void write_churn(void *context, int number)
{
	struct churn *churn = context;
	struct writer writer = {
		.churn = churn,
		.tally = &churn->writer,
		.random = 4711,
		.versions = allocate(churn->input->count, sizeof(__u32)),
		.gone = allocate(churn->input->count, sizeof(bool)),
	};
	const __u64 began = now_ns();

	(void)number;
	while (stopped(churn) != EVERYBODY)
		change_something(&writer);
	writer.tally->ns = now_ns() - began;
	restore(&writer);
}

#endif /* SYNCMAP_DEMO_CHURN_H */
