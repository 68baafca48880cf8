// SPDX-License-Identifier: GPL-2.0
/*
 * Real data through /dev/syncmap: loads the services database and a list of
 * words, looks everything up from several processes while another one changes
 * the map, walks it, clears it, and checks every answer against the files.
 *
 * A user of the device needs no more than <linux/syncmap.h>; demo_map.h has
 * the calls.
 */
#include "demo_churn.h"
#include "demo_report.h"

#include <getopt.h>

#define SERVICES	"/etc/services"
#define WORDS		"/usr/share/dict/words"

/* The limits of a map must leave room for what the writer adds. */
#define SPARE_KEYS	1000

#define MISSING_KEYS	10000
#define TIMED_STORES	20000

/* How long memory may take to come back after CLEAR. */
#define PATIENCE_MS	10000

struct options {
	const char *services;
	const char *words;
	int readers;
	int seconds;
};

static struct batch batch;

/* Times to be shown at the end. */
static struct timing loading, loads_alone, loads_batched;
static struct timing stores_alone, stores_batched, churn_loads, churn_changes;

static void show_file(const char *path, __u32 lines)
{
	const int over = (int)strlen(path) - 44;

	/* The end of a long path tells more than its beginning. */
	if (over > 0)
		printf("  ...%-41s%10u lines\n", path + over + 3, lines);
	else
		printf("  %-44s%10u lines\n", path, lines);
}

static void read_input(struct input *input, const struct options *options)
{
	puts("\nInput");
	read_services(input, options->services);
	show_file(options->services, input->service_lines);
	read_words(input, options->words);
	show_file(options->words, input->word_lines);
	show("services", "%10u names, %u aliases", input->services,
	     input->aliases);
	show("words", "%10u", input->words);
	if (input->ambiguous)
		show("ambiguous aliases", "%10u, left out", input->ambiguous);
	if (input->long_lines)
		show("lines over 512 bytes", "%10u, left out",
		     input->long_lines);
	if (input->empty_lines)
		show("empty lines", "%10u, left out", input->empty_lines);
	if (input->odd_lines)
		show("lines without a service", "%10u, left out",
		     input->odd_lines);
	if (!input->count)
		failed("the input files hold nothing to store");
	show("keys", "%10u different ones, %u duplicates",
	     input->count - input->duplicates, input->duplicates);
}

static void check_limits(const struct input *input)
{
	const struct syncmap_info info = get_info();
	const __u64 needed = input->count - input->duplicates + SPARE_KEYS;

	show("limits of a map", "%10llu keys, %llu MiB", info.max_entries,
	     info.max_bytes >> 20);
	if (info.max_entries < needed)
		failed("the limit is %llu keys; load the module with max_entries=%llu",
		       info.max_entries, needed);
}

/* Loading: whoever comes first under a key stays */

static __u32 check_loaded(const struct input *input)
{
	const struct entry *entry;
	__u32 i, kept = 0;

	for (i = 0; i < batch.count; i++) {
		entry = &input->entries[batch.about[i]];
		if (entry->first == batch.about[i]) {
			if (batch.ops[i].result == SYNCMAP_RESULT_STORED)
				continue;
			failed("\"%.*s\" was there before it was stored",
			       (int)entry->key_len, entry->key);
		}
		expect_exact(input, batch.about[i], &batch.ops[i],
			     batch.bufs[i]);
		kept++;
	}
	return kept;
}

static void show_progress(__u64 done, __u64 of, __u32 *quarter)
{
	for (; *quarter <= 4 && 4 * done >= of * *quarter; ++*quarter)
		printf("%3u %%  ", 25 * *quarter);
	fflush(stdout);
}

static void load_input(const struct input *input)
{
	__u32 i = 0, kept = 0, quarter = 1;
	struct syncmap_op *op;
	__u64 began;

	puts("\nLoading, LOAD_OR_STORE in batches of 256");
	printf("  ");
	while (i < input->count) {
		for (batch.count = 0; batch.count < BATCH && i < input->count;
		     i++) {
			op = batch_op(&batch, SYNCMAP_CMD_LOAD_OR_STORE, input,
				      i);
			set_value(op, input->entries[i].value,
				  input->entries[i].value_len);
			set_buf(op, batch_buf(&batch, op));
		}
		began = now_ns();
		run_batch(&batch);
		loading.ns += now_ns() - began;
		kept += check_loaded(input);
		show_progress(i, input->count, &quarter);
	}
	putchar('\n');
	loading.operations = input->count;
	show("stored", "%10u", input->count - kept);
	show("kept their first value", "%10u", kept);
	if (get_stats().entries != input->count - input->duplicates)
		failed("the map holds %llu keys instead of %u",
		       get_stats().entries, input->count - input->duplicates);
}

/* Looking up, from one process or several */

struct lookups {
	const struct input *input;
	struct timing alone[READERS_MAX];
	struct timing batched[READERS_MAX];
};

static void look_up_alone(const struct input *input, struct timing *timing)
{
	const __u64 began = now_ns();
	char buf[BUF_BYTES];
	struct syncmap_op op;
	__u32 i;

	for (i = 0; i < input->count; i++) {
		op = new_op(input->entries[i].key, input->entries[i].key_len);
		set_buf(&op, buf);
		RUN(LOAD, &op);
		expect_exact(input, i, &op, buf);
	}
	timing->operations += input->count;
	timing->ns += now_ns() - began;
}

static void look_up_batched(const struct input *input, struct timing *timing)
{
	const __u64 began = now_ns();
	struct syncmap_op *op;
	__u32 i = 0, j;

	while (i < input->count) {
		for (batch.count = 0; batch.count < BATCH && i < input->count;
		     i++) {
			op = batch_op(&batch, SYNCMAP_CMD_LOAD, input, i);
			set_buf(op, batch_buf(&batch, op));
		}
		run_batch(&batch);
		for (j = 0; j < batch.count; j++)
			expect_exact(input, batch.about[j], &batch.ops[j],
				     batch.bufs[j]);
	}
	timing->operations += input->count;
	timing->ns += now_ns() - began;
}

static void look_up(void *context, int number)
{
	struct lookups *lookups = context;

	look_up_alone(lookups->input, &lookups->alone[number]);
	look_up_batched(lookups->input, &lookups->batched[number]);
}

static void add_timing(struct timing *sum, struct timing timing)
{
	sum->operations += timing.operations;
	sum->ns += timing.ns;
}

static void look_up_from_processes(const struct input *input, int readers)
{
	struct lookups *lookups = shared_memory(sizeof(*lookups));
	int i;

	puts("\nLooking everything up from several processes");
	lookups->input = input;
	for (i = 0; i < readers; i++)
		start_process(look_up, lookups, i);
	for (i = 0; i < readers; i++)
		wait_for_process();
	for (i = 0; i < readers; i++) {
		add_timing(&loads_alone, lookups->alone[i]);
		add_timing(&loads_batched, lookups->batched[i]);
	}
	show("processes", "%10d", readers);
	show("found, one by one", "%10llu, all exact",
	     loads_alone.operations);
	show("found, in batches", "%10llu, all exact",
	     loads_batched.operations);
}

/* Stores the values that are there already: only the time is new. */
static void time_stores(const struct input *input)
{
	__u32 i = 0, count = input->count;
	const struct entry *entry;
	struct syncmap_op op;
	__u64 began;

	if (count > TIMED_STORES)
		count = TIMED_STORES;
	began = now_ns();
	for (i = 0; i < count; i++) {
		entry = &input->entries[input->entries[i].first];
		op = new_op(entry->key, entry->key_len);
		set_value(&op, entry->value, entry->value_len);
		RUN(STORE, &op);
	}
	stores_alone = (struct timing) { count, now_ns() - began };
	began = now_ns();
	for (i = 0; i < count;) {
		for (batch.count = 0; batch.count < BATCH && i < count; i++) {
			entry = &input->entries[input->entries[i].first];
			set_value(batch_op(&batch, SYNCMAP_CMD_STORE, input, i),
				  entry->value, entry->value_len);
		}
		run_batch(&batch);
	}
	stores_batched = (struct timing) { count, now_ns() - began };
}

/* Readers beside a writer */

static __u64 changes(const struct tally *writer)
{
	return writer->overwritten + writer->deleted + writer->inserted +
	       writer->added;
}

static struct tally sum_of_readers(const struct churn *churn, int readers)
{
	struct tally sum = { .lookups = 0 };
	int i;

	for (i = 0; i < readers; i++) {
		sum.lookups += churn->reader[i].lookups;
		sum.absent += churn->reader[i].absent;
		sum.new_versions += churn->reader[i].new_versions;
		sum.new_keys += churn->reader[i].new_keys;
		sum.ns += churn->reader[i].ns;
	}
	return sum;
}

static void watch_churn(const struct churn *churn,
			const struct options *options)
{
	const __u64 began = now_ns();
	int second;

	for (second = 1; second <= options->seconds; second++) {
		while (now_ns() - began < second * 1000000000ULL) {
			nap_ms(50);
			if (__atomic_load_n(&failure->taken, __ATOMIC_ACQUIRE))
				return;
		}
		printf("  %4d s %12llu lookups %12llu changes %8llu promotions\n",
		       second, sum_of_readers(churn, options->readers).lookups,
		       changes(&churn->writer), get_stats().promotions);
	}
}

static void show_churn(const struct churn *churn, const struct options *options)
{
	const struct tally all = sum_of_readers(churn, options->readers);
	const struct tally *writer = &churn->writer;

	churn_loads = (struct timing) { all.lookups, all.ns };
	churn_changes = (struct timing) { changes(writer), writer->ns };
	show("lookups", "%10llu, every answer right",
	     all.lookups);
	show("new versions seen", "%10llu, none older than one seen before",
	     all.new_versions);
	show("deleted keys seen absent", "%10llu",
	     all.absent);
	show("new keys seen", "%10llu", all.new_keys);
	show("overwritten", "%10llu", writer->overwritten);
	show("deleted", "%10llu", writer->deleted);
	show("inserted again", "%10llu", writer->inserted);
	show("new keys stored", "%10llu", writer->added);
}

static void churn(const struct input *input, const struct options *options)
{
	struct churn *churn = shared_memory(sizeof(*churn));
	int i;

	puts("\nLookups from several processes while one changes the map");
	churn->input = input;
	for (i = 0; i < options->readers; i++)
		start_process(read_churned, churn, i);
	start_process(write_churn, churn, 0);
	watch_churn(churn, options);
	stop(churn, READERS);
	for (i = 0; i < options->readers; i++)
		wait_for_process();
	stop(churn, EVERYBODY);
	wait_for_process();
	show_churn(churn, options);
}

/* After the writer has restored everything */

static void check_record(const struct input *input, bool *seen,
			 const struct syncmap_record *record)
{
	const char *key = (const char *)syncmap_record_key(record);
	const struct entry *entry = find_entry(input, key, record->key_len);

	if (!entry)
		failed("RANGE reports \"%.*s\", which nobody stored",
		       (int)record->key_len, key);
	if (seen[entry - input->entries])
		failed("RANGE reports \"%.*s\" twice", (int)record->key_len,
		       key);
	if (!same_value(entry, key + record->key_len, record->value_len))
		failed("RANGE reports a wrong value of \"%.*s\"",
		       (int)record->key_len, key);
	seen[entry - input->entries] = true;
}

static void walk(const struct input *input)
{
	const __u32 room = 1 << 18;
	char *buf = allocate(1, room), cursor[SYNCMAP_KEY_MAX];
	struct syncmap_range range = {
		.size = sizeof(range),
		.buf = (uintptr_t)buf,
		.buf_len = room,
	};
	bool *seen = allocate(input->count, sizeof(*seen));
	const struct syncmap_record *record;
	__u32 keys = 0, calls = 0, i, at;

	while (!(range.result & SYNCMAP_RANGE_END)) {
		must_call(SYNCMAP_IOC_RANGE, &range, "RANGE");
		calls++;
		for (i = 0, at = 0; i < range.count; i++) {
			record = (const void *)(buf + at);
			check_record(input, seen, record);
			at += record->next;
		}
		keys += range.count;
		if (!range.count)
			break;
		/* The last key is the cursor; its place will be overwritten. */
		record = (const void *)(buf + range.last);
		memcpy(cursor, syncmap_record_key(record), record->key_len);
		range.cursor = (uintptr_t)cursor;
		range.cursor_len = record->key_len;
	}
	if (keys != input->count - input->duplicates)
		failed("RANGE reports %u keys instead of %u", keys,
		       input->count - input->duplicates);
	show("walked with RANGE", "%10u keys, each once, %u calls", keys,
	     calls);
	free(seen);
	free(buf);
}

static void check_restored(const struct input *input)
{
	struct timing timing = { 0, 0 };
	__u32 i;

	puts("\nThe writer has put everything back");
	look_up_batched(input, &timing);
	show("looked up again", "%10llu, all exact",
	     timing.operations);
	walk(input);
	for (i = 0; i < MISSING_KEYS; i++)
		expect_missing(i);
	show("missing keys", "%10d, all absent", MISSING_KEYS);
}

static void show_counters(void)
{
	const struct syncmap_stats stats = get_stats();

	puts("\nCounters of the map");
	show("keys", "%10llu", stats.entries);
	show("lookups that missed read", "%10llu", stats.misses);
	show("promotions of dirty", "%10llu", stats.promotions);
	show("entries expunged", "%10llu", stats.expunged);
	show("sweeps of deleted keys", "%10llu", stats.sweeps);
}

static void show_all_times(void)
{
	const struct timing none = { 0, 0 };

	printf("\n%-36s%15s%15s\n", "Time per operation", "one per call",
	       "256 per call");
	show_times("LOAD_OR_STORE of new keys", none, loading);
	show_times("LOAD, in each process", loads_alone, loads_batched);
	show_times("STORE over a value", stores_alone, stores_batched);
	show_times("LOAD, beside the writer", churn_loads, none);
	show_times("changes, beside the readers", churn_changes, none);
	warn_of_emulation();
}

/* Clears the map and waits for the grace periods that its memory needs. */
static void clear_and_show_memory(const struct memory *empty)
{
	const struct memory full = get_memory();
	__u64 began = now_ns(), cleared;
	struct memory after;

	clear_map();
	cleared = now_ns();
	if (get_stats().entries)
		failed("%llu keys are left after CLEAR", get_stats().entries);
	do {
		nap_ms(10);
		after = get_memory();
		if (now_ns() - cleared > PATIENCE_MS * 1000000ULL)
			failed("%llu bytes are left after CLEAR, %llu retired",
			       after.map_bytes, after.retired_bytes);
	} while (after.retired_bytes || after.map_bytes > full.map_bytes / 10 +
					empty->map_bytes);
	printf("\n%-21s%18s%18s%18s\n", "Memory", "empty", "before CLEAR",
	       "after CLEAR");
	show_memory("of the map", empty->map_bytes, full.map_bytes,
		    after.map_bytes);
	show_memory("of all slabs", empty->slab_bytes, full.slab_bytes,
		    after.slab_bytes);
	show_memory("free", empty->free_bytes, full.free_bytes,
		    after.free_bytes);
	printf("  CLEAR took %.2f ms; the memory was back %.0f ms later.\n",
	       (cleared - began) / 1e6, (now_ns() - cleared) / 1e6);
}

static void usage(FILE *to, const char *name)
{
	fprintf(to,
		"Usage: %s [OPTION...] [SERVICES WORDS]\n"
		"Puts real data through /dev/syncmap and checks every answer.\n"
		"\n"
		"  SERVICES        services database, default " SERVICES "\n"
		"  WORDS           one word per line, default " WORDS "\n"
		"  --readers N     processes that look up, 1 to %d, default 2\n"
		"  --seconds N     length of the churn, 0 to 3600, default 5\n"
		"  --help          this text\n"
		"\n"
		"Exits with 0 if every answer was right, with 1 if not.\n",
		name, READERS_MAX);
}

static int number_option(const char *name, const char *string, int least,
			 int most)
{
	char *end;
	const long number = strtol(string, &end, 10);

	if (end == string || *end || number < least || number > most) {
		fprintf(stderr, "demo: --%s needs a number from %d to %d.\n",
			name, least, most);
		exit(1);
	}
	return number;
}

static void parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "readers", required_argument, NULL, 'r' },
		{ "seconds", required_argument, NULL, 's' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'r':
			options->readers = number_option("readers", optarg, 1,
							 READERS_MAX);
			break;
		case 's':
			options->seconds = number_option("seconds", optarg, 0,
							 3600);
			break;
		case 'h':
			usage(stdout, argv[0]);
			exit(0);
		default:
			usage(stderr, argv[0]);
			exit(1);
		}
	}
	if (argc - optind == 2) {
		options->services = argv[optind];
		options->words = argv[optind + 1];
	} else if (argc != optind) {
		usage(stderr, argv[0]);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	struct options options = { SERVICES, WORDS, 2, 5 };
	struct input input = { .count = 0 };
	struct memory empty;

	main_process = getpid();
	parse_options(argc, argv, &options);
	failure = shared_memory(sizeof(*failure));
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("syncmap: real data through %s, every answer checked\n", DEVICE);
	open_map();
	read_input(&input, &options);
	check_limits(&input);
	empty = get_memory();
	load_input(&input);
	look_up_from_processes(&input, options.readers);
	time_stores(&input);
	churn(&input, &options);
	check_restored(&input);
	show_counters();
	show_all_times();
	clear_and_show_memory(&empty);
	printf("\ndemo: PASS\n");
	return 0;
}
