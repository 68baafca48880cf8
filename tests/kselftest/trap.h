/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory that does not come: whoever touches it, also the kernel on behalf of a
 * system call, sleeps until it is released, or killed.
 */
#ifndef SYNCMAP_TEST_TRAP_H
#define SYNCMAP_TEST_TRAP_H

#include <poll.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "map.h"

struct trap {
	int file;
	/* Can be read, but not written. */
	bool readable;
	unsigned char *page;
	/* What will be there. */
	unsigned char image[PAGE_MAX];
};

static inline void trap_control(struct trap *trap, unsigned long request,
				void *argument)
{
	if (ioctl(trap->file, request, argument))
		fail("userfaultfd: %s", strerror(errno));
}

static inline struct uffdio_range trap_range(struct trap *trap)
{
	return (struct uffdio_range) {
		.start = address(trap->page),
		.len = page_size(),
	};
}

static inline void trap_protect(struct trap *trap, bool protect)
{
	struct uffdio_writeprotect argument = {
		.range = trap_range(trap),
		.mode = protect ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	trap_control(trap, UFFDIO_WRITEPROTECT, &argument);
}

/* Sets the trap, on a page that will hold @image, behind a page that is there. */
static inline void set_trap(struct trap *trap, bool readable)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	struct uffdio_register argument = {
		.mode = readable ? UFFDIO_REGISTER_MODE_WP :
				   UFFDIO_REGISTER_MODE_MISSING,
	};

	trap->file = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (trap->file < 0)
		skip("no userfaultfd: %s", strerror(errno));
	/* User Mode Linux has userfaultfd, but protects nothing by it. */
	if (ioctl(trap->file, UFFDIO_API, &api))
		skip("no write protection by userfaultfd: %s",
		     strerror(errno));
	trap->readable = readable;
	trap->page = mmap(NULL, 2 * page_size(), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	expect(trap->page != MAP_FAILED);
	trap->page += page_size();
	if (readable)
		memcpy(trap->page, trap->image, page_size());
	argument.range = trap_range(trap);
	trap_control(trap, UFFDIO_REGISTER, &argument);
	if (readable)
		trap_protect(trap, true);
}

/* Waits until somebody is in it. */
static inline void wait_for_prey(struct trap *trap)
{
	struct pollfd poll_for = { .fd = trap->file, .events = POLLIN };
	struct uffd_msg message;

	expect_eq(poll(&poll_for, 1, -1), 1);
	expect_eq(read(trap->file, &message, sizeof(message)),
		  sizeof(message));
	expect_eq(message.event, UFFD_EVENT_PAGEFAULT);
}

/* Lets go whoever is in it. */
static inline void release_trap(struct trap *trap)
{
	struct uffdio_copy copy = {
		.dst = address(trap->page),
		.src = address(trap->image),
		.len = page_size(),
	};

	if (trap->readable)
		trap_protect(trap, false);
	else
		trap_control(trap, UFFDIO_COPY, &copy);
}

#endif /* SYNCMAP_TEST_TRAP_H */
