/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of hostile use share. */
#ifndef SYNCMAP_TEST_HOSTILE_H
#define SYNCMAP_TEST_HOSTILE_H

#include "map.h"

/* For grace periods, and for the second that the sweep waits. */
#define SETTLE_MS	(15000 * patience())

/* @quick, or many times that if LONG=1 says that there is time. */
static inline int repeats(int quick, int times)
{
	const char *given = getenv("LONG");

	return given && *given && *given != '0' ? quick * times : quick;
}

/* Bytes of all maps of this user. */
static inline __u64 owner_bytes(void)
{
	int map = open_map();
	const __u64 bytes = info(map).owner_bytes;

	close(map);
	return bytes;
}

/* Waits until the maps of this user need no more than that. */
static inline void expect_owner_bytes_fall(__u64 most)
{
	const long long end = now_ms() + SETTLE_MS;
	__u64 now;

	while ((now = owner_bytes()) > most) {
		if (now_ms() > end)
			fail("%llu bytes are left, %llu before", now, most);
		nap_ms(5);
	}
}

#endif /* SYNCMAP_TEST_HOSTILE_H */
