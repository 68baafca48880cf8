// SPDX-License-Identifier: GPL-2.0
/*
 * What is shown of maps from the inside: fdinfo, the files in debugfs, and the
 * tracepoints.
 */
#include <fcntl.h>
#include <sys/mount.h>

#include "stress.h"

#define DEBUGFS	"/sys/kernel/debug/syncmap/"

static void need_debugfs(void)
{
	if (access(DEBUGFS "maps", R_OK))
		skip("there is no debugfs at /sys/kernel/debug");
}

/* A figure in the fdinfo of a file of this process. */
static long long figure(int map, const char *what)
{
	char path[64], line[128], name[64];
	long long number = -1, found = -1;
	FILE *fdinfo;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
	fdinfo = fopen(path, "r");
	expect(fdinfo);
	while (fgets(line, sizeof(line), fdinfo))
		if (sscanf(line, "%63[^:]:\t%lld\n", name, &number) == 2 &&
		    !strcmp(name, what)) {
			expect_eq(found, -1);
			found = number;
		}
	fclose(fdinfo);
	return found;
}

/* The name in the fdinfo of a file; an empty one if there is none. */
static struct label name_of(int map)
{
	struct label name = { "" };
	char path[64], line[128];
	FILE *fdinfo;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", map);
	fdinfo = fopen(path, "r");
	expect(fdinfo);
	while (fgets(line, sizeof(line), fdinfo))
		if (sscanf(line, "name:\t%47s\n", name.text) == 1)
			break;
	fclose(fdinfo);
	return name;
}

static void fdinfo(void)
{
	const int map = open_map();
	struct syncmap_stats now;
	int i;

	expect_eq(figure(map, "entries"), 0);
	fill(map, "key", 100);
	for (i = 0; i < 300; i++)
		expect(!present(map, text("missing")));
	for (i = 0; i < 10; i++)
		expect(delete(map, text(label("key", i).text)));
	now = stats(map);
	expect_eq(now.entries, 90);
	expect(now.promotions > 0);
	expect_eq(figure(map, "entries"), 90);
	expect_eq(figure(map, "promotions"), now.promotions);
	expect_eq(figure(map, "amended"), now.amended);
	expect_eq(figure(map, "misses"), now.misses);
	expect(figure(map, "bytes") > 0);
	expect(figure(map, "retired_bytes") >= 0);
	expect(figure(map, "read_slots") >= 90);
	expect(figure(map, "dirty_slots") >= 0);
	expect(figure(map, "expunged") >= 0);
	expect(figure(map, "sweeps") >= 0);
}

static void fdinfo_name(void)
{
	const int map = open_map();

	expect(!*name_of(map).text);
	expect_eq(attach(map, "inside", SYNCMAP_ATTACH_CREATE), 0);
	expect(!strcmp(name_of(map).text, "inside"));
	expect_eq(unlink_name(map, "inside"), 0);
	expect(!*name_of(map).text);
}

/* What debugfs tells of a named map. */
struct shown {
	unsigned long long entries, bytes, retired, read, dirty, amended;
	unsigned long long misses, promotions, expunged, sweeps, probe, users;
};

#define FIGURES	"%llu %llu %llu %llu "

/* How many lines there are for a name; the last one is in @shown. */
static int shown_maps(const char *wanted, struct shown *shown)
{
	FILE *maps = fopen(DEBUGFS "maps", "r");
	char line[512], name[64];
	int count = 0;

	expect(maps);
	expect(fgets(line, sizeof(line), maps));
	expect(!strncmp(line, "entries bytes ", 14));
	while (fgets(line, sizeof(line), maps)) {
		struct shown s;
		int fields;

		fields = sscanf(line, FIGURES FIGURES FIGURES "%63s",
				&s.entries, &s.bytes, &s.retired, &s.read,
				&s.dirty, &s.amended, &s.misses,
				&s.promotions, &s.expunged, &s.sweeps,
				&s.probe, &s.users, name);
		expect_eq(fields, 13);
		if (strcmp(name, wanted))
			continue;
		*shown = s;
		count++;
	}
	fclose(maps);
	return count;
}

static void named_maps(void)
{
	const int map = open_map();
	struct shown shown;

	need_debugfs();
	expect_eq(shown_maps("inside", &shown), 0);
	expect_eq(attach(map, "inside", SYNCMAP_ATTACH_CREATE), 0);
	fill(map, "key", 5000);
	expect_eq(shown_maps("inside", &shown), 1);
	expect_eq(shown.entries, 5000);
	expect_eq(shown.users, 1);
	expect_eq(shown.promotions, stats(map).promotions);
	expect(shown.bytes > 5000 * 8);
	/* At least the home, and with SipHash never a long way from it. */
	expect(shown.probe >= 1);
	expect(shown.probe <= 21);
	expect_eq(unlink_name(map, "inside"), 0);
	expect_eq(shown_maps("inside", &shown), 0);
}

static void look(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	struct shown shown;

	(void)context;
	(void)number;
	while (now_ms() < end)
		expect(shown_maps("inside-0", &shown) <= 1);
}

static void come_and_go(void *context, int number)
{
	const long long end = now_ms() + STRESS_MS;
	char name[32];
	int map;

	(void)context;
	if (number == 2)
		look(context, number);
	snprintf(name, sizeof(name), "inside-%d", number);
	while (now_ms() < end) {
		map = open_map();
		expect_eq(attach(map, name, SYNCMAP_ATTACH_CREATE), 0);
		fill(map, "key", 20);
		expect_eq(figure(map, "entries"), 20);
		expect_eq(unlink_name(map, name), 0);
		close(map);
	}
}

static void while_they_come_and_go(void)
{
	need_debugfs();
	spawn_and_join(come_and_go, NULL, 3);
}

static void modules(void)
{
	FILE *modules;
	char line[256];

	need_debugfs();
	modules = fopen(DEBUGFS "modules", "r");
	expect(modules);
	expect(fgets(line, sizeof(line), modules));
	expect(!strcmp(line, "module kind key_len entries bytes references\n"));
	fclose(modules);
}

#define TRACING	"/sys/kernel/tracing/"

static void tell(const char *path, const char *what)
{
	FILE *file = fopen(path, "w");

	expect(file);
	fputs(what, file);
	expect_eq(fclose(file), 0);
}

/* How many of an event have come so far. */
static int traced(const char *event)
{
	FILE *trace = fopen(TRACING "trace", "r");
	char line[512], wanted[64];
	int count = 0;

	expect(trace);
	snprintf(wanted, sizeof(wanted), " %s: map=", event);
	while (fgets(line, sizeof(line), trace))
		count += !!strstr(line, wanted);
	fclose(trace);
	return count;
}

/* A map in which everything happens that has an event. */
static void live_through_it_all(void)
{
	const int map = open_map();
	const long long end = now_ms() + 15000 * patience();
	const struct label first = label("key", 0);

	fill(map, "key", 10);
	while (stats(map).amended)
		present(map, text("missing"));
	leave_deleted(map, text(first.text), text(first.text));
	store(map, text("new"), text("value"));
	clear(map);
	while (stats(map).retired_bytes || !stats(map).sweeps) {
		expect(now_ms() < end);
		nap_ms(10);
	}
	close(map);
}

static void trace_it_all(void)
{
	static const char *const events[] = {
		"syncmap_dirty", "syncmap_promote", "syncmap_clear",
		"syncmap_sweep", "syncmap_freed",
	};
	size_t i;

	mount("tracefs", TRACING, "tracefs", 0, NULL);
	if (access(TRACING "events/syncmap/enable", W_OK))
		skip("there are no tracepoints at " TRACING);
	tell(TRACING "trace", "");
	live_through_it_all();
	for (i = 0; i < ARRAY_SIZE(events); i++)
		expect_eq(traced(events[i]), 0);
	tell(TRACING "events/syncmap/enable", "1");
	live_through_it_all();
	tell(TRACING "events/syncmap/enable", "0");
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		diag("%s: %d", events[i], traced(events[i]));
		expect(traced(events[i]) > 0);
	}
	/* In place for the first keys, and apart after a deletion. */
	expect(traced("syncmap_dirty") >= 2);
	tell(TRACING "trace", "");
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "fdinfo has the figures of a map", fdinfo },
		{ "and its name, as long as it has one", fdinfo_name },
		{ "debugfs lists the named maps", named_maps },
		{ "also while they come and go", while_they_come_and_go },
		{ "and what modules hold", modules },
		{ "tracepoints", trace_it_all },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
