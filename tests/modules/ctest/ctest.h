/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tests of the C API share.
 */
#ifndef SYNCMAP_CTEST_H
#define SYNCMAP_CTEST_H

#include <linux/printk.h>
#include <linux/syncmap.h>

#define KEYS	64

/* A line of the report. */
#define say(fmt, ...)	pr_info("ctest: " fmt, ##__VA_ARGS__)

/* Whether the test that runs has failed. */
extern bool failed;

#define expect(condition) do {						\
	if (!(condition)) {						\
		failed = true;						\
		say("# line %d: %s\n", __LINE__, #condition);		\
	}								\
} while (0)

/* What values point to. */
extern u32 things[KEYS][2];

static inline int err(const void *pointer)
{
	return PTR_ERR_OR_ZERO(pointer);
}

/* A kind of keys: @nr gives keys that differ. */
struct kind {
	const char *name;
	size_t key_len, len;
};

enum { KEYS_OF_4, KEYS_OF_8, KEYS_OF_16, KEYS_OF_ANY, KINDS };

extern const struct kind kinds[KINDS];

/* Key number @nr, of up to 16 bytes. */
void *key(int nr);

/* An empty map for keys of a kind; NULL is a failed test. */
struct syncmap *make(const struct kind *kind);

/* Must not be called: a visitor of empty maps. */
int never_called(const void *key, size_t len, void *value, void *arg);

/* operations.c */
void all_operations(void);
void numbers_as_keys(void);
void limits(void);
void bytes_come_back(void);
void ranges(void);
void stopped_ranges(void);

/* arguments.c */
void bad_parameters(void);
void bad_maps(void);
void bad_keys(void);
void bad_values(void);

/* references.c */
void releases(void);
void references(void);
void loads_in_sections(void);

/* contexts.c */
void contexts(void);
void new_keys(void);

/* reserve.c */
void reservations(void);

/* named.c */
void named_maps(void);
void waiting(void);

/* traffic.c */
void traffic(void);
void flows_in_timer(void);

#endif
