// SPDX-License-Identifier: GPL-2.0
/*
 * System calls that stop in the middle, because user memory does not come: each
 * command at each place where it reads or writes. They hold up nobody, keep
 * back next to no memory, can be killed, and go on when they are let.
 */
#include <pthread.h>
#include <stddef.h>

#include "good.h"
#include "hostile.h"
#include "module.h"
#include "stress.h"
#include "trap.h"
#include "walk.h"

/* What a call may keep back: values of its own, and a few that it has seen. */
#define KEPT_BACK	(4 * SYNCMAP_VALUE_MAX)

/* How long a process that is killed may take to go. */
#define DEATH_MS	3000

#define NO_LENGTH	UINT32_MAX

/* Where a command meets the trap. */
struct place {
	__u32 cmd;
	const char *what;
	/* The trap can be read: results cannot be written. */
	bool readable;
	/* Of the pointer to what is in the trap, and of its length. */
	__u32 pointer, length;
};

#define IN(command, type, member) \
	{ SYNCMAP_CMD_##command, #member, false, \
	  offsetof(struct syncmap_##type, member), \
	  offsetof(struct syncmap_##type, member##_len) }
#define UNREAD(command) \
	{ SYNCMAP_CMD_##command, "its argument", false, NO_LENGTH, 0 }
#define RESULTS(command) \
	{ SYNCMAP_CMD_##command, "its results", true, NO_LENGTH, 0 }

static const struct place places[] = {
	IN(LOAD, op, key), IN(LOAD, op, buf), RESULTS(LOAD),
	IN(STORE, op, key), IN(STORE, op, value), RESULTS(STORE),
	IN(LOAD_OR_STORE, op, value), RESULTS(LOAD_OR_STORE),
	IN(LOAD_AND_DELETE, op, buf), RESULTS(LOAD_AND_DELETE),
	IN(DELETE, op, key), RESULTS(DELETE),
	IN(SWAP, op, value), IN(SWAP, op, buf), RESULTS(SWAP),
	IN(COMPARE_AND_SWAP, op, old), IN(COMPARE_AND_SWAP, op, value),
	RESULTS(COMPARE_AND_SWAP),
	IN(COMPARE_AND_DELETE, op, old), RESULTS(COMPARE_AND_DELETE),
	UNREAD(CLEAR),
	IN(RANGE, range, buf), RESULTS(RANGE),
	{ SYNCMAP_CMD_BATCH, "ops", false, offsetof(struct syncmap_batch, ops),
	  NO_LENGTH },
	RESULTS(BATCH), RESULTS(INFO), RESULTS(STATS),
	IN(ATTACH, attach, name), RESULTS(ATTACH),
	IN(UNLINK, unlink, name),
	IN(LIST, range, buf), RESULTS(LIST),
};

/* What the process in the trap and the one that watches it know together. */
struct scene {
	int map;
	const struct place *place;
	int in_trap;
	int release;
	int done;
	int result;
};

static struct scene *scene;

/* Puts what the argument points to into the trap. */
static void bait(struct trap *trap, const struct place *place)
{
	__u64 pointer;
	__u32 len = sizeof(struct syncmap_op);
	__u32 lead = 0;

	if (place->pointer == NO_LENGTH) {
		memcpy(trap->image, &argument, size_of(place->cmd));
		set_trap(trap, place->readable);
		return;
	}
	memcpy(&pointer, argument.bytes + place->pointer, sizeof(pointer));
	if (place->length != NO_LENGTH)
		memcpy(&len, argument.bytes + place->length, sizeof(len));
	else
		/* In the middle: the first one has run by then. */
		lead = sizeof(struct syncmap_op);
	memcpy(trap->image, at_address(pointer),
	       len < page_size() ? len : page_size());
	set_trap(trap, place->readable);
	memcpy(trap->page - lead, trap->image, lead);
	pointer = address(trap->page) - lead;
	memcpy(argument.bytes + place->pointer, &pointer, sizeof(pointer));
	if (lead)
		argument.batch.count = 2;
}

static void *watch(void *context)
{
	struct trap *trap = context;

	wait_for_prey(trap);
	__atomic_store_n(&scene->in_trap, 1, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&scene->release, __ATOMIC_ACQUIRE))
		nap_ms(2);
	release_trap(trap);
	return NULL;
}

static void walk_into_trap(void *context, int number)
{
	const struct place *place = scene->place;
	static struct trap trap;
	void *at = &argument;
	pthread_t watcher;
	int map = scene->map;

	(void)context;
	(void)number;
	good_argument(place->cmd);
	/* Somebody who attaches a file has it alone for that time. */
	if (place->cmd == SYNCMAP_CMD_ATTACH)
		map = open_map();
	if (place->cmd == SYNCMAP_CMD_LIST)
		expect_eq(attach(open_map(), new_name(),
				 SYNCMAP_ATTACH_CREATE), 0);
	bait(&trap, place);
	if (place->pointer == NO_LENGTH)
		at = trap.page;
	expect_eq(pthread_create(&watcher, NULL, watch, &trap), 0);
	scene->result = call(map, request_of(place->cmd), at);
	__atomic_store_n(&scene->done, 1, __ATOMIC_RELEASE);
	expect_eq(pthread_join(watcher, NULL), 0);
}

/* All operations, on the key in question and on others, and all of them at once. */
static void use_map(int map)
{
	static unsigned char large[SYNCMAP_VALUE_MAX];
	struct dump dump;
	int i;

	for (i = 0; i < repeats(30, 20); i++) {
		disturb(map, i);
		store(map, text(live_key), bytes(large, sizeof(large)));
		expect(delete(map, text(live_key)));
		store(map, text(live_key), text("another value"));
	}
	dump = take_dump(map);
	free(dump.data);
	clear(map);
	store(map, text(live_key), text(live_value));
}

static void expect_little_kept(int map)
{
	const long long end = now_ms() + SETTLE_MS;

	while (stats(map).bytes > KEPT_BACK) {
		if (now_ms() > end)
			fail("%llu bytes in a map of one key",
			     stats(map).bytes);
		nap_ms(10);
	}
}

/* The names that calls have made, or were to take away. */
static void forget_names(void)
{
	static unsigned char names[8192];
	struct syncmap_range list = {
		.size = sizeof(list),
		.buf = address(names),
		.buf_len = sizeof(names),
	};
	const struct syncmap_name *name;
	char text[SYNCMAP_NAME_MAX + 1];
	__u32 offset, i;
	int file = open_map();

	expect_eq(call(file, SYNCMAP_IOC_LIST, &list), 0);
	for (i = offset = 0; i < list.count; i++, offset += name->next) {
		name = at_address(address(names) + offset);
		snprintf(text, sizeof(text), "%.*s", (int)name->name_len,
			 (const char *)(name + 1));
		if (!strncmp(text, "good-", 5))
			expect_eq(unlink_name(file, text), 0);
	}
	close(file);
}

static pid_t catch_one(const struct place *place)
{
	const long long end = now_ms() + SETTLE_MS;
	int status;
	pid_t child;

	*scene = (struct scene) { .map = new_map(), .place = place };
	child = spawn(walk_into_trap, NULL, 0);
	while (!__atomic_load_n(&scene->in_trap, __ATOMIC_ACQUIRE)) {
		if (waitpid(child, &status, WNOHANG) == child &&
		    WIFEXITED(status) && WEXITSTATUS(status) == TAP_SKIP)
			_exit(TAP_SKIP);
		if (kill(child, 0) || now_ms() > end)
			fail("%s: does not touch %s", cmd_name(place->cmd),
			     place->what);
		nap_ms(1);
	}
	return child;
}

/* Ends the case if the child is not gone in time; its status. */
static int expect_gone(pid_t child, const struct place *place)
{
	const long long end = now_ms() + DEATH_MS;
	int status;

	if (!tap_reap(child, &status, end))
		fail("%s, with %s in a trap, does not end",
		     cmd_name(place->cmd), place->what);
	return status;
}

static void expect_clean(int map, __u64 before)
{
	use_map(map);
	close(map);
	expect_owner_bytes_fall(before);
}

/* For each place: @then ends it, and says what is to be seen. */
static void each_place(void (*then)(pid_t child, const struct place *place))
{
	long long began, slowest = 0;
	unsigned int i;
	__u64 before;
	pid_t child;
	int other;

	scene = shared_memory(sizeof(*scene));
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		before = owner_bytes();
		child = catch_one(&places[i]);
		began = now_ms();
		use_map(scene->map);
		other = new_map();
		use_map(other);
		close(other);
		began = now_ms() - began;
		slowest = began > slowest ? began : slowest;
		expect_little_kept(scene->map);
		expect(!__atomic_load_n(&scene->done, __ATOMIC_ACQUIRE));
		then(child, &places[i]);
		forget_names();
		expect_clean(scene->map, before);
	}
	diag("%zu places; the others took up to %lld ms", ARRAY_SIZE(places),
	     slowest);
}

static void kill_it(pid_t child, const struct place *place)
{
	int status;

	expect_eq(kill(child, SIGKILL), 0);
	status = expect_gone(child, place);
	expect(WIFSIGNALED(status));
	expect_eq(WTERMSIG(status), SIGKILL);
}

static void killed(void)
{
	each_place(kill_it);
}

static void release_it(pid_t child, const struct place *place)
{
	int status;

	__atomic_store_n(&scene->release, 1, __ATOMIC_RELEASE);
	status = expect_gone(child, place);
	expect(WIFEXITED(status));
	expect_eq(WEXITSTATUS(status), TAP_PASS);
	expect(scene->done);
	if (scene->result)
		fail("%s, with %s in a trap, then released: %s",
		     cmd_name(place->cmd), place->what,
		     strerror(-scene->result));
}

static void released(void)
{
	each_place(release_it);
}

/* For as long as it is stuck, whatever others do. */
static void many_at_once(void)
{
	enum { CALLS = 32 };
	const __u64 before = owner_bytes();
	pid_t children[CALLS];
	int i, map;

	scene = shared_memory(sizeof(*scene));
	map = new_map();
	for (i = 0; i < CALLS; i++) {
		children[i] = catch_one(&places[i % ARRAY_SIZE(places)]);
		close(map);
		map = scene->map;
	}
	if (!no_loading())
		expect(unload_module() == -EAGAIN || unload_module() == -EBUSY);
	use_map(map);
	for (i = 0; i < CALLS; i++)
		kill_it(children[i], &places[i % ARRAY_SIZE(places)]);
	forget_names();
	expect_clean(map, before);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "stuck at each place, then killed", killed },
		{ "stuck at each place, then released", released },
		{ "stuck at all places at once", many_at_once },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
