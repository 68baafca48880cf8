// SPDX-License-Identifier: GPL-2.0
/*
 * What system calls on maps cost: /dev/syncmap against the hash maps of bpf(2),
 * and against an empty system call.
 *
 * All maps have the same keys, random words of 8 bytes, and are asked for them
 * in the same random order.  Rounds are interleaved, and every answer is
 * checked.  The results are lines of JSON behind "bench: ".  "ns" is time per
 * key.  The percentiles are of single calls, whole batches included, and come
 * from runs of their own.
 *
 * bpf(2) has no batch of lookups: BPF_MAP_LOOKUP_BATCH takes no keys, it walks.
 * So sys-batch-lookup-256 is 256 calls there, and sys-walk-256 compares the walk
 * with SYNCMAP_IOC_RANGE.  All three maps of bpf(2) have that walk, and batches of
 * updates.
 */
#include "base.h"

#include <getopt.h>

#include "contender.h"
#include "contender_bpf.h"
#include "contender_loop.h"
#include "contender_syncmap.h"
#include "keys.h"
#include "measure.h"

#define LIST_MAX 16

/* Of sorted ticks. */
struct latency {
	size_t samples;
	double p50, p99, p999, max;
};

struct plan {
	const char *where;
	/* A nanosecond is one, as with -icount of QEMU. */
	bool instructions;
	size_t first_round, rounds, milliseconds, samples;
	size_t sizes[LIST_MAX], size_count;
	size_t values[LIST_MAX], value_count;
	struct contender contenders[LIST_MAX];
	size_t contender_count;
};

static const struct contender *const all_contenders[] = {
	&syncmap_contender,
	&bpf_contender,
	&bpf_no_prealloc_contender,
	&bpf_rhash_contender,
	&loop_contender,
};

static int compare_ticks(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Sorts @times. */
static struct latency latency_of(uint64_t *times, size_t samples)
{
	qsort(times, samples, sizeof(*times), compare_ticks);
	return (struct latency) {
		.samples = samples,
		.p50 = times[samples / 2] * ns_per_tick,
		.p99 = times[samples * 99 / 100] * ns_per_tick,
		.p999 = times[samples * 999 / 1000] * ns_per_tick,
		.max = times[samples - 1] * ns_per_tick,
	};
}

static void report(const struct plan *plan, const struct contender *me,
		   const struct workload *workload, size_t round, size_t ops,
		   double ns, const struct latency *latency)
{
	const size_t bytes = me->shape->words * sizeof(uint64_t);
	char name[64];

	snprintf(name, sizeof(name), bytes == 8 ? "%s" : "%s-v%zu",
		 workload->name, bytes);
	printf("bench: {\"where\":\"%s\",\"contender\":\"%s\",", plan->where,
	       me->name);
	printf("\"workload\":\"%s\",\"size\":%zu,\"key\":8,\"threads\":1,", name,
	       me->shape->count);
	printf("\"round\":%zu,\"ops\":%zu,\"%s\":%.2f", round, ops,
	       plan->instructions ? "instructions" : "ns", ns / ops);
	if (latency->samples)
		printf(",\"p50\":%.0f,\"p99\":%.0f", latency->p50,
		       latency->p99);
	/* A thousandth of fewer than a thousand is no more than the maximum. */
	if (latency->samples >= 1000)
		printf(",\"p999\":%.0f", latency->p999);
	if (latency->samples)
		printf(",\"max\":%.0f", latency->max);
	printf("}\n");
}

/* Calls that fill the time of one measurement, by the speed of @me. */
static size_t calls_for(const struct plan *plan, struct contender *me,
			const struct workload *workload)
{
	const size_t probes = workload->keys_per_call == 1 ? 1000 : 4;
	const double ns = measure(me, workload, probes, NULL) / probes;
	const double calls = plan->milliseconds * 1e6 / ns;

	return calls < 1 ? 1 : (size_t)calls;
}

static size_t samples_for(const struct plan *plan,
			  const struct workload *workload)
{
	if (!workload->keys_per_call || plan->instructions)
		return 0;
	return workload->keys_per_call == 1 ? plan->samples :
		1 + plan->samples / 64;
}

/* @round: 0 if it does not count. */
static void bench_one(const struct plan *plan, struct contender *me,
		      const struct workload *workload, size_t round,
		      size_t calls, uint64_t *times)
{
	const size_t samples = samples_for(plan, workload);
	struct latency latency = { 0 };
	double ns;

	ns = measure(me, workload, calls, NULL);
	if (samples) {
		measure(me, workload, samples, times);
		latency = latency_of(times, samples);
	}
	if (round)
		report(plan, me, workload, round,
		       calls * keys_per_call(me, workload), ns, &latency);
}

static void bench_shape(struct plan *plan, const struct shape *shape)
{
	const size_t count = plan->contender_count;
	uint64_t *times = zeroed(plan->samples + 1, sizeof(*times));
	size_t calls[ARRAY_SIZE(workloads)], round, i, w;
	struct contender *me;

	for (i = 0; i < count; i++) {
		me = &plan->contenders[i];
		me->shape = shape;
		me->stamp = 1;
		check(me, "making the map", me->make(me));
		fill(me);
	}
	for (w = 0; w < ARRAY_SIZE(workloads); w++)
		calls[w] = calls_for(plan, &plan->contenders[0], &workloads[w]);
	/* The first is for warming up. */
	for (round = 0; round <= plan->rounds; round++) {
		const size_t number = round ? plan->first_round + round - 1 : 0;

		for (w = 0; w < ARRAY_SIZE(workloads); w++) {
			/* Each comes first in its turn. */
			for (i = 0; i < count; i++)
				bench_one(plan,
					  &plan->contenders[(i + number) % count],
					  &workloads[w], number, calls[w], times);
		}
		fprintf(stderr,
			"system calls: %zu keys, values of %zu bytes: round %zu of %zu\n",
			shape->count, shape->words * sizeof(uint64_t), round,
			plan->rounds);
	}
	for (i = 0; i < count; i++) {
		me = &plan->contenders[i];
		verify_all(me);
		me->drop(me);
	}
	free(times);
}

static void usage(FILE *to)
{
	fprintf(to,
		"Usage: bench_syscall [OPTION...]\n"
		"Measures system calls on maps.\n"
		"\n"
		"  -c, --contender=NAME   measure this one; may be repeated\n"
		"                         (syncmap, bpf-hash, bpf-hash-noprealloc,\n"
		"                         bpf-rhash, loop; all of them)\n"
		"  -s, --size=KEYS        with so many keys, a multiple of %d; may\n"
		"                         be repeated (1024, 65536)\n"
		"  -v, --value=BYTES      values so long, 8 to %zu, a multiple of 8;\n"
		"                         may be repeated (8, 64)\n"
		"  -r, --rounds=N         rounds (7)\n"
		"  -f, --first-round=N    the number of the first round (1)\n"
		"  -m, --milliseconds=N   time of one measurement (50)\n"
		"  -l, --samples=N        calls whose latency is taken (20000)\n"
		"  -w, --where=NAME       what the results say (syscall)\n"
		"  -i, --instructions     a nanosecond is one, as with -icount of QEMU\n"
		"  -h, --help             this text\n",
		BATCH, WORDS_MAX * sizeof(uint64_t));
}

static size_t number(const char *text, const char *what, size_t min, size_t max,
		     size_t step)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || value < min || value > max ||
	    value % step || *text == '-')
		die("--%s wants a multiple of %zu from %zu to %zu, not \"%s\"",
		    what, step, min, max, text);
	return value;
}

static void add_number(size_t *list, size_t *count, size_t value)
{
	if (*count == LIST_MAX)
		die("no more than %d of a kind, please", LIST_MAX);
	list[(*count)++] = value;
}

static void add_contender(struct plan *plan, const char *name)
{
	size_t i;

	if (plan->contender_count == LIST_MAX)
		die("no more than %d contenders, please", LIST_MAX);
	for (i = 0; i < ARRAY_SIZE(all_contenders); i++) {
		if (!strcmp(all_contenders[i]->name, name)) {
			plan->contenders[plan->contender_count++] =
				*all_contenders[i];
			return;
		}
	}
	die("there is no contender \"%s\"; --help names them", name);
}

static void parse(struct plan *plan, int argc, char **argv)
{
	static const struct option options[] = {
		{ "contender", required_argument, NULL, 'c' },
		{ "size", required_argument, NULL, 's' },
		{ "value", required_argument, NULL, 'v' },
		{ "rounds", required_argument, NULL, 'r' },
		{ "first-round", required_argument, NULL, 'f' },
		{ "milliseconds", required_argument, NULL, 'm' },
		{ "samples", required_argument, NULL, 'l' },
		{ "where", required_argument, NULL, 'w' },
		{ "instructions", no_argument, NULL, 'i' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "c:s:v:r:f:m:l:w:ih", options,
				     NULL)) != -1) {
		switch (option) {
		case 'c':
			add_contender(plan, optarg);
			break;
		case 's':
			add_number(plan->sizes, &plan->size_count,
				   number(optarg, "size", BATCH, 1 << 24, BATCH));
			break;
		case 'v':
			add_number(plan->values, &plan->value_count,
				   number(optarg, "value", 8,
					  WORDS_MAX * sizeof(uint64_t), 8));
			break;
		case 'r':
			plan->rounds = number(optarg, "rounds", 1, 1000, 1);
			break;
		case 'f':
			plan->first_round = number(optarg, "first-round", 1,
						   1000, 1);
			break;
		case 'm':
			plan->milliseconds = number(optarg, "milliseconds", 1,
						    100000, 1);
			break;
		case 'l':
			plan->samples = number(optarg, "samples", 1, 100000000,
					       1);
			break;
		case 'w':
			plan->where = optarg;
			break;
		case 'i':
			plan->instructions = true;
			break;
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			exit(2);
		}
	}
	if (optind < argc)
		die("\"%s\" is not an option; see --help", argv[optind]);
}

int main(int argc, char **argv)
{
	struct plan plan = {
		.where = "syscall",
		.first_round = 1,
		.rounds = 7,
		.milliseconds = 50,
		.samples = 20000,
	};
	struct shape shape;
	const char *reason;
	size_t i, j;

	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&plan, argc, argv);
	if (!plan.size_count) {
		add_number(plan.sizes, &plan.size_count, 1024);
		add_number(plan.sizes, &plan.size_count, 65536);
	}
	if (!plan.value_count) {
		add_number(plan.values, &plan.value_count, 8);
		add_number(plan.values, &plan.value_count, 64);
	}
	if (!plan.contender_count) {
		for (i = 0; i < ARRAY_SIZE(all_contenders); i++)
			add_contender(&plan, all_contenders[i]->name);
	}
	for (i = 0; i < plan.contender_count; i++) {
		reason = plan.contenders[i].missing ?
			plan.contenders[i].missing() : NULL;
		if (reason)
			die("%s cannot be measured: %s", plan.contenders[i].name,
			    reason);
	}
	calibrate_ticks();
	for (i = 0; i < plan.size_count; i++) {
		shape.count = plan.sizes[i];
		shape.keys = make_keys(shape.count);
		for (j = 0; j < plan.value_count; j++) {
			shape.words = plan.values[j] / sizeof(uint64_t);
			bench_shape(&plan, &shape);
		}
		free((void *)shape.keys);
	}
	return 0;
}
