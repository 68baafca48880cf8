// SPDX-License-Identifier: GPL-2.0
/*
 * The userspace side of the samples: fills and shows named maps. A key that is
 * an IPv4 address in dots is stored as its 4 bytes, as blocklist.c wants it; all
 * other keys and values are text. The list shows keys of 4 bytes as addresses,
 * unless they are letters.
 */
#include <ctype.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/syncmap.h>

#define RECORDS		65536

static void usage(FILE *to)
{
	fputs("Usage: client NAME set KEY VALUE    store, and make the map if need be\n"
	      "       client NAME get KEY          show the value of a key\n"
	      "       client NAME del KEY          delete a key\n"
	      "       client NAME list             show all keys and values\n"
	      "       client NAME unlink           take the name away\n"
	      "       client names                 show all named maps\n",
	      to);
}

static void fail(const char *what)
{
	fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_device(void)
{
	const int file = open("/dev/syncmap", O_RDWR | O_CLOEXEC);

	if (file < 0)
		fail("/dev/syncmap cannot be opened (is the module loaded?)");
	return file;
}

static int open_map(const char *name, __u32 flags)
{
	const int map = open_device();
	struct syncmap_attach attach = {
		.size = sizeof(attach),
		.flags = flags,
		.name = (uintptr_t)name,
		.name_len = strlen(name),
		.mode = flags & SYNCMAP_ATTACH_CREATE ? 0600 : 0,
	};

	if (ioctl(map, SYNCMAP_IOC_ATTACH, &attach))
		fail(name);
	return map;
}

/* The bytes of a key, in @space or where they are. */
static void set_key(struct syncmap_op *op, const char *key,
		    struct in_addr *space)
{
	if (inet_pton(AF_INET, key, space) == 1) {
		op->key = (uintptr_t)space;
		op->key_len = sizeof(*space);
	} else {
		op->key = (uintptr_t)key;
		op->key_len = strlen(key);
	}
}

static void set(int map, const char *key, const char *value)
{
	struct syncmap_op op = {
		.size = sizeof(op),
		.value = (uintptr_t)value,
		.value_len = strlen(value),
	};
	struct in_addr space;

	set_key(&op, key, &space);
	if (ioctl(map, SYNCMAP_IOC_STORE, &op))
		fail(key);
}

static int get(int map, const char *key)
{
	char *value = malloc(SYNCMAP_VALUE_MAX);
	struct syncmap_op op = {
		.size = sizeof(op),
		.buf = (uintptr_t)value,
		.buf_len = SYNCMAP_VALUE_MAX,
	};
	struct in_addr space;
	int found;

	if (!value)
		fail("the value");
	set_key(&op, key, &space);
	if (ioctl(map, SYNCMAP_IOC_LOAD, &op))
		fail(key);
	found = op.result & SYNCMAP_RESULT_FOUND;
	if (found)
		printf("%.*s\n", (int)op.out_len, value);
	free(value);
	return found ? 0 : 1;
}

static int del(int map, const char *key)
{
	struct syncmap_op op = { .size = sizeof(op) };
	struct in_addr space;

	set_key(&op, key, &space);
	if (ioctl(map, SYNCMAP_IOC_DELETE, &op))
		fail(key);
	return op.result & SYNCMAP_RESULT_DELETED ? 0 : 1;
}

static int is_address(const struct syncmap_record *record)
{
	const __u8 *key = syncmap_record_key(record);

	return record->key_len == 4 && !(isalpha(key[0]) && isalpha(key[1]) &&
					 isalpha(key[2]) && isalpha(key[3]));
}

static void show(const struct syncmap_record *record)
{
	char address[INET_ADDRSTRLEN];

	if (is_address(record) && inet_ntop(AF_INET, syncmap_record_key(record),
					    address, sizeof(address)))
		printf("%s", address);
	else
		printf("%.*s", (int)record->key_len,
		       (const char *)syncmap_record_key(record));
	printf("\t%.*s\n", (int)record->value_len,
	       (const char *)syncmap_record_value(record));
}

/* Calls @each for all records that @command reports. */
static void walk(int file, unsigned long command,
		 void (*each)(const void *record), const char *what)
{
	const size_t len = RECORDS + SYNCMAP_KEY_MAX + SYNCMAP_VALUE_MAX;
	char *buf = malloc(len), cursor[SYNCMAP_KEY_MAX];
	struct syncmap_range range = {
		.size = sizeof(range),
		.buf = (uintptr_t)buf,
		.buf_len = len,
	};
	const __u32 *head;
	__u32 i, at;

	if (!buf)
		fail(what);
	while (!(range.result & SYNCMAP_RANGE_END)) {
		if (ioctl(file, command, &range))
			fail(what);
		for (i = 0, at = 0; i < range.count; i++) {
			/* Records of both kinds begin with these. */
			head = (const void *)(buf + at);
			each(head);
			range.cursor_len = head[1];
			memcpy(cursor, command == SYNCMAP_IOC_LIST ?
			       buf + at + sizeof(struct syncmap_name) :
			       buf + at + sizeof(struct syncmap_record),
			       range.cursor_len);
			range.cursor = (uintptr_t)cursor;
			at += head[0];
		}
	}
	free(buf);
}

static void show_record(const void *record)
{
	show(record);
}

static void show_name(const void *record)
{
	const struct syncmap_name *name = record;

	printf("%04o %5u %5u %5u %10llu %12llu  %.*s\n", name->mode, name->uid,
	       name->gid, name->users, (unsigned long long)name->entries,
	       (unsigned long long)name->bytes, (int)name->name_len,
	       (const char *)(name + 1));
}

static void unlink_name(const char *name)
{
	struct syncmap_unlink unlink = {
		.size = sizeof(unlink),
		.name = (uintptr_t)name,
		.name_len = strlen(name),
	};

	if (ioctl(open_device(), SYNCMAP_IOC_UNLINK, &unlink))
		fail(name);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	const char *verb = argc > 2 ? argv[2] : "";

	if (argc == 2 && !strcmp(name, "--help")) {
		usage(stdout);
	} else if (argc == 2 && !strcmp(name, "names")) {
		puts("mode   uid   gid users       keys        bytes  name");
		walk(open_device(), SYNCMAP_IOC_LIST, show_name, "the names");
	} else if (argc == 5 && !strcmp(verb, "set")) {
		set(open_map(name, SYNCMAP_ATTACH_CREATE), argv[3], argv[4]);
	} else if (argc == 4 && !strcmp(verb, "get")) {
		return get(open_map(name, 0), argv[3]);
	} else if (argc == 4 && !strcmp(verb, "del")) {
		return del(open_map(name, 0), argv[3]);
	} else if (argc == 3 && !strcmp(verb, "list")) {
		walk(open_map(name, 0), SYNCMAP_IOC_RANGE, show_record, name);
	} else if (argc == 3 && !strcmp(verb, "unlink")) {
		unlink_name(name);
	} else {
		usage(stderr);
		return 2;
	}
	return 0;
}
