// SPDX-License-Identifier: GPL-2.0
/* Maps with names: who finds them, who may use them, and how long they live. */
#define _GNU_SOURCE

#include <grp.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module.h"
#include "stress.h"

#define CREATE		SYNCMAP_ATTACH_CREATE
#define EXCL		SYNCMAP_ATTACH_EXCL

#define OWNER		1000
#define GROUP		1100
#define OTHER		1003

/* So that owner, group and others have all permissions, not all at once. */
#define MODE_STEP	5

static int named_map(const char *name, __u32 flags)
{
	const int map = open_map();

	expect_eq(attach(map, name, flags), 0);
	return map;
}

/* 0 or -errno of a file that is not needed any more. */
static int try_attach(const char *name, __u32 flags)
{
	const int map = open_map();
	const int ret = attach(map, name, flags);

	close(map);
	return ret;
}

static void found_by_name(void)
{
	const int one = named_map("found", CREATE);
	const int other = named_map("found", 0);

	store(one, text("key"), text("value"));
	expect(holds(other, text("key"), text("value")));
	expect(delete(other, text("key")));
	expect(!present(one, text("key")));
	expect_eq(unlink_name(one, "found"), 0);
}

static void created_or_found(void)
{
	struct syncmap_attach argument = new_attach(text("made"), CREATE);
	int map = open_map();

	argument.result = UNTOUCHED;
	expect_eq(call(map, SYNCMAP_IOC_ATTACH, &argument), 0);
	expect_eq(argument.result, SYNCMAP_ATTACH_CREATED);
	argument.result = UNTOUCHED;
	expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), 0);
	expect_eq(argument.result, 0);
	expect_eq(try_attach("made", CREATE | EXCL), -EEXIST);
	expect_eq(try_attach("not made", 0), -EINVAL);
	expect_eq(try_attach("not-made", 0), -ENOENT);
	expect_eq(unlink_name(map, "made"), 0);
	expect_eq(unlink_name(map, "made"), -ENOENT);
	expect_eq(try_attach("made", 0), -ENOENT);
	map = named_map("made", CREATE | EXCL);
	expect_eq(unlink_name(map, "made"), 0);
}

static void attached_once(void)
{
	const int map = named_map("once", CREATE), full = open_map();

	expect_eq(attach(map, "once", 0), -EBUSY);
	expect_eq(attach(map, "twice", CREATE), -EBUSY);
	expect_eq(try_attach("twice", 0), -ENOENT);
	store(full, text("key"), text("value"));
	expect_eq(attach(full, "once", 0), -ENOTEMPTY);
	expect(holds(full, text("key"), text("value")));
	clear(full);
	expect_eq(attach(full, "once", 0), 0);
	expect_eq(unlink_name(map, "once"), 0);
}

/* A map that is filled before anybody can find it. */
static void keeps_what_is_in_it(void)
{
	const int map = open_map();

	fill(map, "key", 500);
	expect_eq(attach(map, "filled", CREATE), 0);
	expect_eq(stats(named_map("filled", 0)).entries, 500);
	expect(holds(map, text("key 7"), text("key 7")));
	expect_eq(unlink_name(map, "filled"), 0);
}

static void names(void)
{
	static const char * const bad[] = {
		"", ".", "..", ".hidden", "a/b", "a b", "a\n", "\xc3\xa9",
		"a%s", "a\\", "\"",
	};
	static const char * const good[] = {
		"a", "0", "-", "_x", "a.b", "A:Z-0_9.", "a..b",
	};
	char longest[SYNCMAP_NAME_MAX + 2];
	struct syncmap_attach argument;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_eq(try_attach(bad[i], CREATE), -EINVAL);
		expect_eq(unlink_name(open_map(), bad[i]), -EINVAL);
	}
	argument = new_attach(bytes("a\0b", 3), CREATE);
	expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		expect_eq(try_attach(good[i], CREATE), 0);
		expect_eq(unlink_name(open_map(), good[i]), 0);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	expect_eq(try_attach(longest, CREATE), -ENAMETOOLONG);
	longest[SYNCMAP_NAME_MAX] = 0;
	expect_eq(try_attach(longest, CREATE), 0);
	/* Not the same as one that begins alike. */
	longest[SYNCMAP_NAME_MAX - 1] = 0;
	expect_eq(try_attach(longest, 0), -ENOENT);
	longest[SYNCMAP_NAME_MAX - 1] = 'x';
	expect_eq(unlink_name(open_map(), longest), 0);
}

static void outlives_its_files(void)
{
	int map = named_map("lasting", CREATE), same;

	fill(map, "key", 100);
	close(map);
	map = named_map("lasting", 0);
	expect_eq(stats(map).entries, 100);
	same = named_map("lasting", 0);
	expect_eq(unlink_name(same, "lasting"), 0);
	/* For those who have it, it is still there; the name is free. */
	fill(map, "more", 100);
	expect_eq(stats(same).entries, 200);
	expect_eq(stats(named_map("lasting", CREATE | EXCL)).entries, 0);
	expect_eq(unlink_name(same, "lasting"), 0);
}

/* Finds a name in the list; whether it is there. All of the list is checked. */
static bool listed(const char *wanted, __u32 room, struct syncmap_name *found)
{
	char *buf = malloc(room), cursor[SYNCMAP_NAME_MAX + 1] = "";
	struct syncmap_range list = {
		.size = sizeof(list),
		.buf = address(buf),
		.buf_len = room,
	};
	const struct syncmap_name *name;
	const int file = open_map();
	char text[SYNCMAP_NAME_MAX + 1];
	bool there = false;
	__u32 i, at;

	expect(buf);
	while (!(list.result & SYNCMAP_RANGE_END)) {
		expect_eq(call(file, SYNCMAP_IOC_LIST, &list), 0);
		expect(list.count || list.result & SYNCMAP_RANGE_END);
		expect(list.used <= room);
		for (i = 0, at = 0; i < list.count; i++, at += name->next) {
			name = (const void *)(buf + at);
			expect(name->name_len <= SYNCMAP_NAME_MAX);
			memcpy(text, name + 1, name->name_len);
			text[name->name_len] = 0;
			/* In order, and none twice. */
			expect(strcmp(cursor, text) < 0);
			memcpy(cursor, text, sizeof(cursor));
			expect(i + 1 < list.count || at == list.last);
			if (strcmp(text, wanted))
				continue;
			*found = *name;
			there = true;
		}
		expect_eq(at, list.used);
		list.cursor = address(cursor);
		list.cursor_len = strlen(cursor);
	}
	free(buf);
	close(file);
	return there;
}

static void listing(void)
{
	const __u32 rooms[] = { 104, 200, 4096, 65536 };
	struct syncmap_range list = {
		.size = sizeof(list),
		.buf = address(rooms),
		.buf_len = 8,
	};
	struct syncmap_name name;
	unsigned int i;
	int map, same;

	for (i = 0; i < 30; i++)
		close(named_map(label("list", i).text + 5, CREATE));
	map = named_map("list-me", CREATE);
	same = named_map("list-me", 0);
	fill(map, "key", 50);
	for (i = 0; i < ARRAY_SIZE(rooms); i++) {
		expect(listed("list-me", rooms[i], &name));
		expect_eq(name.entries, 50);
		expect(name.bytes > 50 * 16);
		expect_eq(name.users, 2);
		expect_eq(name.mode, 0600);
		expect_eq(name.uid, 0);
		expect_eq(name.gid, 0);
		expect(listed("17", rooms[i], &name));
		expect_eq(name.users, 0);
		expect(!listed("170", rooms[i], &name));
	}
	close(same);
	expect(listed("list-me", 4096, &name));
	expect_eq(name.users, 1);
	/* Nothing fits, so the size that is needed is told. */
	expect_eq(call(map, SYNCMAP_IOC_LIST, &list), -ENOSPC);
	expect(list.used > 40 && list.used <= 104 && !list.count);
	for (i = 0; i < 30; i++)
		expect_eq(unlink_name(map, label("list", i).text + 5), 0);
	expect_eq(unlink_name(map, "list-me"), 0);
	expect(!listed("list-me", 4096, &name));
}

/* Becomes somebody else, for good. */
static void become(int uid, int gid, int another_group)
{
	const gid_t group = another_group;

	expect(!setgroups(another_group ? 1 : 0, &group));
	expect(!setresgid(gid, gid, gid));
	expect(!setresuid(uid, uid, uid));
}

static void open_to_all(void)
{
	if (geteuid())
		skip("not root");
	expect(!chmod(DEVICE, 0666));
	umask(0);
}

static const struct user {
	const char *name;
	int uid, gid, another_group;
	/* Where its permissions are in a mode; -1 if it needs none. */
	int shift;
} users[] = {
	{ "the owner", OWNER, GROUP, 0, 6 },
	{ "the owner in another group", OWNER, OTHER, 0, 6 },
	{ "the group", OTHER, GROUP, 0, 3 },
	{ "another group of a user", OTHER, OTHER, GROUP, 3 },
	{ "others", OTHER, OTHER, 0, 0 },
	{ "root", 0, 0, 0, -1 },
};

static void with_mode(char *name, int mode)
{
	sprintf(name, "mode-%03o", mode);
}

static void create_all_modes(void *context, int number)
{
	struct syncmap_attach argument;
	char name[16];
	int mode;

	become(OWNER, GROUP, 0);
	for (mode = 0; mode <= 0777; mode += MODE_STEP) {
		with_mode(name, mode);
		argument = new_attach(text(name), CREATE | EXCL);
		argument.mode = mode;
		expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), 0);
	}
	(void)context;
	(void)number;
}

static void try_all_modes(void *context, int number)
{
	static const int opened[] = { O_RDONLY, O_WRONLY, O_RDWR };
	static const int wanted[] = { 4, 2, 6 };
	const struct user *user = &users[number];
	int mode, i, map, ret, want;
	char name[16];

	become(user->uid, user->gid, user->another_group);
	for (mode = 0; mode <= 0777; mode += MODE_STEP) {
		with_mode(name, mode);
		for (i = 0; i < 3; i++) {
			map = try_open(opened[i]);
			expect(map >= 0);
			ret = attach(map, name, 0);
			want = user->shift < 0 ||
			       !(wanted[i] & ~(mode >> user->shift)) ? 0 :
			       -EACCES;
			if (ret != want)
				fail("%s, %s, open for %d: %d, expected %d",
				     name, user->name, wanted[i], ret, want);
			close(map);
		}
		if (user->shift != 6 && user->shift != -1)
			expect_eq(unlink_name(open_map(), name), -EPERM);
	}
	(void)context;
}

static void unlink_all_modes(void *context, int number)
{
	char name[16];
	int mode;

	become(OWNER, GROUP, 0);
	for (mode = 0; mode <= 0777; mode += MODE_STEP) {
		with_mode(name, mode);
		expect_eq(unlink_name(open_map(), name), 0);
	}
	(void)context;
	(void)number;
}

static void permission_matrix(void)
{
	unsigned int i;

	open_to_all();
	spawn_and_join(create_all_modes, NULL, 1);
	for (i = 0; i < ARRAY_SIZE(users); i++)
		spawn(try_all_modes, NULL, i);
	join(ARRAY_SIZE(users));
	spawn_and_join(unlink_all_modes, NULL, 1);
	chmod(DEVICE, 0600);
}

static void umask_of_creator(void)
{
	struct syncmap_attach argument = new_attach(text("masked"), CREATE);
	struct syncmap_name name;

	umask(027);
	argument.mode = 0777;
	expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), 0);
	expect(listed("masked", 4096, &name));
	expect_eq(name.mode, 0750);
	expect_eq(unlink_name(open_map(), "masked"), 0);
}

static void write_file(const char *path, const char *text)
{
	const int file = open(path, O_WRONLY);

	expect(file >= 0);
	expect_eq(write(file, text, strlen(text)), strlen(text));
	close(file);
}

/* Root in a user namespace of its own, which is OWNER outside. */
static void root_of_a_namespace(void *context, int number)
{
	struct syncmap_attach argument;
	struct syncmap_name name;

	become(OWNER, GROUP, 0);
	prctl(PR_SET_DUMPABLE, 1);
	if (unshare(CLONE_NEWUSER))
		skip("no user namespaces: %s", strerror(errno));
	write_file("/proc/self/uid_map", "0 1000 1");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/gid_map", "0 1100 1");
	expect_eq(geteuid(), 0);
	/* All capabilities, but not for the maps of others. */
	expect_eq(try_attach("of-root", 0), -EACCES);
	expect_eq(try_attach("of-other", 0), -EACCES);
	expect_eq(unlink_name(open_map(), "of-root"), -EPERM);
	expect(listed("of-root", 4096, &name));
	expect_eq(name.uid, 65534);
	/* For those of the namespace. */
	argument = new_attach(text("of-namespace"), CREATE | EXCL);
	argument.mode = 0;
	expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), 0);
	expect_eq(try_attach("of-namespace", 0), 0);
	expect(listed("of-namespace", 4096, &name));
	expect_eq(name.uid, 0);
	expect_eq(name.gid, 0);
	(void)context;
	(void)number;
}

static void create_as_other(void *context, int number)
{
	become(OTHER, OTHER, 0);
	close(named_map("of-other", CREATE));
	(void)context;
	(void)number;
}

static void user_namespaces(void)
{
	struct syncmap_name name;

	open_to_all();
	close(named_map("of-root", CREATE));
	spawn_and_join(create_as_other, NULL, 1);
	spawn_and_join(root_of_a_namespace, NULL, 1);
	expect(listed("of-namespace", 4096, &name));
	expect_eq(name.uid, OWNER);
	expect_eq(name.gid, GROUP);
	expect_eq(unlink_name(open_map(), "of-namespace"), 0);
	expect_eq(unlink_name(open_map(), "of-other"), 0);
	expect_eq(unlink_name(open_map(), "of-root"), 0);
	chmod(DEVICE, 0600);
}

static int opened_by(int uid)
{
	int map;

	expect(!seteuid(uid));
	map = open_map();
	expect(!seteuid(0));
	return map;
}

/* Who passes a file on, and keeps it, gets no more by what others do with it. */
static void opened_by_another(void)
{
	struct syncmap_attach argument = new_attach(text("for-all"), CREATE);
	struct syncmap_name name;
	int theirs, ours;

	open_to_all();
	close(named_map("of-root", CREATE));
	theirs = opened_by(OTHER);
	store(theirs, text("key"), text("theirs"));
	expect_eq(attach(theirs, "a-trap", CREATE), -EACCES);
	expect(!listed("a-trap", 4096, &name));
	clear(theirs);
	expect_eq(attach(theirs, "of-root", 0), -EACCES);
	argument.mode = 0666;
	expect_eq(call(open_map(), SYNCMAP_IOC_ATTACH, &argument), 0);
	expect_eq(attach(theirs, "for-all", 0), 0);

	ours = opened_by(0);
	expect(!seteuid(OTHER));
	expect_eq(attach(ours, "of-root", 0), -EACCES);
	expect_eq(attach(ours, "of-other", CREATE), 0);
	expect(!seteuid(0));
	expect(listed("of-other", 4096, &name));
	expect_eq(name.uid, OTHER);
	expect_eq(unlink_name(open_map(), "of-root"), 0);
	expect_eq(unlink_name(open_map(), "for-all"), 0);
	expect_eq(unlink_name(open_map(), "of-other"), 0);
	chmod(DEVICE, 0600);
}

static void reload(const char *parameters)
{
	need_loading();
	expect_eq(reload_module(parameters), 0);
	open_to_all();
}

static void create_three(void *context, int number)
{
	int i;

	become(OWNER, OWNER, 0);
	for (i = 0; i < 3; i++)
		close(named_map(label("x", 10 * number + i).text + 2, CREATE));
	expect_eq(try_attach("one-too-many", CREATE), -EDQUOT);
	expect_eq(info(open_map()).names, 3);
	expect_eq(info(open_map()).max_names, 3);
	expect_eq(unlink_name(open_map(), label("x", 10 * number).text + 2), 0);
	close(named_map("another", CREATE));
	(void)context;
}

static void names_run_out(void)
{
	reload("max_names=3");
	spawn_and_join(create_three, NULL, 1);
	/* That is their business alone. */
	close(named_map("of-root", CREATE));
	expect_eq(info(named_map("of-root", 0)).names, 1);
	closefrom(3);
	expect_eq(reload_module(""), 0);
}

#define OWNER_BYTES	1048576

static int fill_up(int map, const char *prefix)
{
	struct label name;
	struct syncmap_op op;
	int i, ret;

	for (i = 0; ; i++) {
		name = label(prefix, i);
		op = new_op(text(name.text));
		set_value(&op, text(name.text));
		ret = call(map, SYNCMAP_IOC_STORE, &op);
		if (ret == -EDQUOT)
			return i;
		expect_eq(ret, 0);
		expect(i < OWNER_BYTES);
	}
}

static void fill_as_other(void *context, int number)
{
	become(OTHER, OTHER, 0);
	fill(open_map(), "key", 1000);
	(void)context;
	(void)number;
}

static void memory_of_an_owner(void)
{
	int one, two, first, second, i;

	reload("max_owner_bytes=1048576");
	one = open_map();
	two = named_map("two", CREATE);
	first = fill_up(one, "key");
	second = fill_up(two, "key");
	diag("%d and %d keys", first, second);
	expect(first > 3000 && second < first / 10);
	expect(info(one).owner_bytes <= OWNER_BYTES);
	expect(info(one).owner_bytes > OWNER_BYTES * 9 / 10);
	expect_eq(info(one).max_owner_bytes, OWNER_BYTES);
	/* Others have an account of their own. */
	spawn_and_join(fill_as_other, NULL, 1);
	/* What one map gives back, another may have. */
	clear(one);
	for (i = 0; i < 500 && info(one).owner_bytes > OWNER_BYTES / 2; i++)
		nap_ms(10);
	expect(fill_up(two, "more") > first / 2);
	close(one);
	close(two);
	/* A name keeps a map, and so its memory. */
	one = open_map();
	expect(info(one).owner_bytes > OWNER_BYTES / 2);
	expect_eq(unlink_name(one, "two"), 0);
	expect(fill_up(one, "key") > first / 2);
	close(one);
	expect_eq(reload_module(""), 0);
}

static void gone_with_the_module(void)
{
	reload("");
	fill(named_map("mortal", CREATE), "key", 100);
	closefrom(3);
	/* A name keeps the map, but not the module. */
	expect_eq(unload_module_soon(), 0);
	expect_eq(load_module(""), 0);
	expect_eq(try_attach("mortal", 0), -ENOENT);
}

struct crowd {
	int stop;
	int attached, created;
};

static void come_and_go(void *context, int number)
{
	static const char * const contested[] = { "these", "three", "names" };
	unsigned long long random = number + 1;
	struct syncmap_attach argument;
	struct crowd *crowd = context;
	int map, ret;

	while (!__atomic_load_n(&crowd->stop, __ATOMIC_RELAXED)) {
		argument = new_attach(text(contested[next_random(&random) % 3]),
				      next_random(&random) % 2 ? CREATE : 0);
		map = open_map();
		ret = call(map, SYNCMAP_IOC_ATTACH, &argument);
		expect(!ret || ret == -ENOENT);
		if (!ret) {
			__atomic_fetch_add(argument.result ? &crowd->created :
					   &crowd->attached, 1,
					   __ATOMIC_RELAXED);
			disturb(map, number);
		}
		if (!(next_random(&random) % 4)) {
			ret = unlink_name(map, at_address(argument.name));
			expect(!ret || ret == -ENOENT);
		}
		close(map);
	}
}

static void all_at_once(void)
{
	struct crowd *crowd = shared_memory(sizeof(*crowd));
	int i;

	for (i = 0; i < 4; i++)
		spawn(come_and_go, crowd, i);
	nap_ms(STRESS_MS);
	__atomic_store_n(&crowd->stop, 1, __ATOMIC_RELAXED);
	join(4);
	diag("made %d, found %d", crowd->created, crowd->attached);
	expect(crowd->created > 0 && crowd->attached > 0);
	unlink_name(open_map(), "these");
	unlink_name(open_map(), "three");
	unlink_name(open_map(), "names");
}

/* Threads that share a file: one of them attaches it, the others are late. */
static void attach_the_same(void *context, int number)
{
	const int *map = context;
	int ret = attach(*map, number % 2 ? "same-a" : "same-b", CREATE);

	_exit(!ret ? 42 : ret == -EBUSY ? TAP_PASS : TAP_FAIL);
}

static void attached_by_several(void)
{
	int round, i, status, first, map;

	for (round = 0; round < 50; round++) {
		map = open_map();
		for (i = 0; i < 3; i++)
			spawn(attach_the_same, &map, i);
		for (i = 0, first = 0; i < 3; i++) {
			expect(wait(&status) > 0);
			expect(WIFEXITED(status));
			expect(WEXITSTATUS(status) == 42 ||
			       WEXITSTATUS(status) == TAP_PASS);
			first += WEXITSTATUS(status) == 42;
		}
		expect_eq(first, 1);
		close(map);
		/* Only one of the names was made. */
		map = open_map();
		expect_eq(!unlink_name(map, "same-a") +
			  !unlink_name(map, "same-b"), 1);
		close(map);
	}
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "found by name", found_by_name },
		{ "created or found", created_or_found },
		{ "attached once", attached_once },
		{ "attached by several processes", attached_by_several },
		{ "what is in a map stays", keeps_what_is_in_it },
		{ "names, good and bad", names },
		{ "outlives its files, and its name", outlives_its_files },
		{ "listing", listing },
		{ "the umask", umask_of_creator },
		{ "permissions: 103 modes, 6 users, 3 ways to open",
		  permission_matrix },
		{ "user namespaces", user_namespaces },
		{ "opened by another user", opened_by_another },
		{ "all at once", all_at_once },
		{ "names run out", names_run_out },
		{ "the memory of an owner", memory_of_an_owner },
		{ "gone with the module", gone_with_the_module },
	};
	const int ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);

	/* A case that failed half-way must not take the module from others. */
	if (!no_loading() && !module_loaded())
		load_module("");
	chmod(DEVICE, 0600);
	return ret;
}
