/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that calls are pointed at: good, none, read-only, ending at a hole,
 * unmapped and mapped again by another thread, changed while it is read.
 */
#ifndef SYNCMAP_FUZZ_PLACES_H
#define SYNCMAP_FUZZ_PLACES_H

#include <sched.h>

#include "../kselftest/map.h"

#define PAGE		4096UL
#define SHAKY_PAGES	48
/* What the greatest value needs, and one more. */
#define HOLE_PAGES	17

/*
 * The memory of one thread. @steady is a second view of the pages of @shaky
 * that is always there, so that nobody who writes to it can fault.
 */
struct places {
	int file;
	unsigned char *steady;
	unsigned char *shaky;
	unsigned char *read_only;
	/* The first byte that is not there, behind pages that are. */
	unsigned char *hole;
	/* The page where the last argument was: the one to be changed. */
	unsigned int hot;
};

/* Pages, and one behind them that ends whatever runs over them. */
static inline void *map_pages(int file, unsigned long pages, int prot)
{
	const int flags = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *memory = mmap(NULL, (pages + 1) * PAGE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED ||
	    mmap(memory, pages * PAGE, prot, flags | MAP_FIXED | MAP_POPULATE,
		 file, 0) ==
	    MAP_FAILED)
		return NULL;
	return memory;
}

static inline bool new_places(struct places *places)
{
	char path[] = "/tmp/fuzz-XXXXXX";
	const int rw = PROT_READ | PROT_WRITE;

	places->file = mkstemp(path);
	if (places->file < 0 || unlink(path) ||
	    ftruncate(places->file, SHAKY_PAGES * PAGE))
		return false;
	places->steady = map_pages(places->file, SHAKY_PAGES, rw);
	places->shaky = map_pages(places->file, SHAKY_PAGES, rw);
	places->read_only = map_pages(-1, HOLE_PAGES, PROT_READ);
	places->hole = map_pages(-1, HOLE_PAGES, rw);
	if (!places->steady || !places->shaky || !places->read_only ||
	    !places->hole)
		return false;
	places->hole += HOLE_PAGES * PAGE;
	return true;
}

/* Changes an argument that is perhaps being read: lengths, mostly. */
static inline void flip(struct places *places, unsigned long long *random)
{
	unsigned int page = __atomic_load_n(&places->hot, __ATOMIC_RELAXED);
	__u32 *word = (__u32 *)(places->steady + page * PAGE) +
		      next_random(random) % 20;

	__atomic_store_n(word, next_random(random) % 2000, __ATOMIC_RELAXED);
}

/* One thing happens to the shaky pages. */
static inline void shake(struct places *places, unsigned long long *random)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
	};
	const int rw = PROT_READ | PROT_WRITE;
	const int again = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
	unsigned int page = next_random(random) % SHAKY_PAGES;
	unsigned int pages = 1 + next_random(random) % 4;
	unsigned char *at = places->shaky + page * PAGE;

	if (pages > SHAKY_PAGES - page)
		pages = SHAKY_PAGES - page;
	switch (next_random(random) % 4) {
	case 0:
		mmap(at, pages * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 1:
		mmap(at, pages * PAGE, rw, again, places->file, page * PAGE);
		break;
	case 2:
		mprotect(at, pages * PAGE, prots[next_random(random) % 4]);
		break;
	default:
		munmap(at, pages * PAGE);
		sched_yield();
		mmap(at, pages * PAGE, rw, again, places->file, page * PAGE);
	}
}

static inline __u64 wild_address(unsigned long long *random)
{
	static const __u64 wild[] = {
		0, 1, 8, 0xfff, 0x7fffffffffffULL, 0x7ffffffff000ULL,
		0x800000000000ULL, 0x8000000000000000ULL,
		0xffff888000001000ULL, 0xffffffff81000000ULL,
		0xfffffffffffff000ULL, 0xffffffffffffffffULL,
	};

	if (next_random(random) % 4)
		return wild[next_random(random) % ARRAY_SIZE(wild)];
	return (__u64)next_random(random) << 32 | next_random(random);
}

/* An address for @len bytes that may well be bad. */
static inline __u64 bad_address(struct places *places, __u32 len,
				unsigned long long *random)
{
	__u32 within = len % (16 * PAGE) + 1;

	switch (next_random(random) % 5) {
	case 0:
		return wild_address(random);
	case 1:
		return address(places->read_only);
	case 2:
		/* From all of it in front of the hole to none. */
		return address(places->hole) - next_random(random) % within;
	default:
		return address(places->shaky) +
		       next_random(random) % (SHAKY_PAGES * PAGE);
	}
}

#endif /* SYNCMAP_FUZZ_PLACES_H */
