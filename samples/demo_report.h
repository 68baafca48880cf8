/* SPDX-License-Identifier: GPL-2.0 */
/* What the demo tells about times and memory, and about the machine. */
#ifndef SYNCMAP_DEMO_REPORT_H
#define SYNCMAP_DEMO_REPORT_H

#include "demo_map.h"

/* What it is, and the figure with what it means. */
#define show(what, format, ...) \
	printf("  %-28s" format "\n", what, ##__VA_ARGS__)

/* How long a number of operations took, in one or more processes. */
struct timing {
	__u64 operations;
	__u64 ns;
};

static void show_time(struct timing timing)
{
	if (timing.operations)
		printf("%12.2f us", timing.ns / 1000.0 / timing.operations);
	else
		printf("%15s", "-");
}

static void show_times(const char *what, struct timing alone,
		       struct timing batched)
{
	printf("  %-34s", what);
	show_time(alone);
	show_time(batched);
	putchar('\n');
}

static bool file_has(const char *path, const char *line_begin,
		     const char *word, const char *other)
{
	FILE *file = fopen(path, "r");
	bool found = false;
	char line[256];

	if (!file)
		return false;
	while (!found && fgets(line, sizeof(line), file))
		found = !strncmp(line, line_begin, strlen(line_begin)) &&
			(strstr(line, word) || strstr(line, other));
	fclose(file);
	return found;
}

static void warn_of_emulation(void)
{
	const char *machine = "Under an emulator";

	if (file_has("/proc/cpuinfo", "model name", "QEMU", "TCG"))
		machine = "On this machine, emulated by QEMU,";
	else if (file_has("/sys/class/dmi/id/sys_vendor", "", "QEMU", "qemu"))
		machine = "Under QEMU, unless it uses KVM,";
	printf("  %s these times are meaningless.\n", machine);
}

/* Memory of the map by its own account, and of all slabs of the kernel. */
struct memory {
	__u64 map_bytes;
	__u64 retired_bytes;
	__u64 slab_bytes;
	__u64 free_bytes;
};

static struct memory get_memory(void)
{
	const struct syncmap_stats stats = get_stats();
	struct memory memory = {
		.map_bytes = stats.bytes,
		.retired_bytes = stats.retired_bytes,
	};
	FILE *file = fopen("/proc/meminfo", "r");
	unsigned long kb;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Slab: %lu", &kb) == 1)
			memory.slab_bytes = kb * 1024ULL;
		if (sscanf(line, "MemFree: %lu", &kb) == 1)
			memory.free_bytes = kb * 1024ULL;
	}
	if (file)
		fclose(file);
	return memory;
}

static void show_memory(const char *what, __u64 empty, __u64 full,
			__u64 cleared)
{
	printf("  %-19s%14.1f KiB%14.1f KiB%14.1f KiB\n", what,
	       empty / 1024.0, full / 1024.0, cleared / 1024.0);
}

#endif /* SYNCMAP_DEMO_REPORT_H */
