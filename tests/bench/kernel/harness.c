// SPDX-License-Identifier: GPL-2.0
/*
 * The bench of the map against its peers in the kernel: loading this module
 * measures, and prints a line of JSON for each result.
 *
 * Rounds are outermost, and within a round all contenders do the same, one
 * after the other. The time of a pass is that from its first to its last
 * operation, with the processor yielded in between, so that what a map leaves
 * to workers and to RCU is paid for too where there is one processor only. With
 * several, workloads that may be shared are run by 1, 2, 4 ... threads, each on a
 * processor of its own.
 * Latencies come from passes of their own, since they need the clock twice for
 * each operation; that of the contender loop is the clock's.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>
#include <linux/vmstat.h>

#include "contender.h"
#include "contenders.h"

static char *contenders = "";
module_param(contenders, charp, 0444);
MODULE_PARM_DESC(contenders, "Who takes part, with commas (default: all)");

static char *workloads = "";
module_param(workloads, charp, 0444);
MODULE_PARM_DESC(workloads, "What is measured (default: all that can be)");

static unsigned int sizes[8] = { 65536 };
static unsigned int nr_sizes = 1;
module_param_array(sizes, uint, &nr_sizes, 0444);
MODULE_PARM_DESC(sizes, "Keys in the maps, powers of two (default: 65536)");

static unsigned int keys[4] = { 8 };
static unsigned int nr_keys = 1;
module_param_array(keys, uint, &nr_keys, 0444);
MODULE_PARM_DESC(keys, "Bytes of a key: 4, 8, 16, 64 (default: 8)");

static unsigned int rounds = 7;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "Rounds (default: 7)");

static unsigned int first_round = 1;
module_param(first_round, uint, 0444);
MODULE_PARM_DESC(first_round, "Number of the first round (default: 1)");

static unsigned int ops = 200000;
module_param(ops, uint, 0444);
MODULE_PARM_DESC(ops, "Operations of each thread for a result (default: 200000)");

static unsigned int samples = 20000;
module_param(samples, uint, 0444);
MODULE_PARM_DESC(samples, "Latencies for a result, 0 for none (default: 20000)");

static bool go;
module_param(go, bool, 0444);
MODULE_PARM_DESC(go, "Go's benchmarks instead of the others (default: no)");

static bool instructions;
module_param(instructions, bool, 0444);
MODULE_PARM_DESC(instructions,
		 "A nanosecond is an instruction, as with -icount of QEMU (default: no)");

/* Operations between two chances for others to run. */
#define BATCH 1024
/* Passes for a result, where each needs a new map. */
#define MAX_PASSES 3
#define MIN_STREAM 8192

static const struct bench_contender *const all[] = {
	&bench_syncmap_8,
	&bench_syncmap_16,
	&bench_syncmap_64,
	&bench_syncmap_counted_8,
	&bench_syncmap_counted_16,
	&bench_syncmap_counted_64,
	&bench_syncmap_c_4,
	&bench_syncmap_c_8,
	&bench_syncmap_c_16,
	&bench_syncmap_c_64,
	&bench_rhashtable_4,
	&bench_rhashtable_8,
	&bench_rhashtable_16,
	&bench_rhashtable_64,
	&bench_xarray_8,
	&bench_hashtable_8,
	&bench_hashtable_16,
	&bench_hashtable_64,
	&bench_rbtree_8,
	&bench_rbtree_16,
	&bench_rbtree_64,
	&bench_limit_8,
	&bench_loop_8,
	&bench_loop_16,
	&bench_loop_64,
};

/*
 * The clock of User Mode Linux ticks every 256 ns, so short times are taken
 * from the processor's own, which is compared with it once.
 */
static u64 clock_scale; /* ns for 2^32 ticks */

u64 bench_clock(void)
{
	return mul_u64_u64_shr(__builtin_ia32_rdtsc(), clock_scale, 32);
}

static void calibrate_clock(void)
{
	u64 ns = ktime_get_ns(), ticks = __builtin_ia32_rdtsc(), elapsed;

	do {
		elapsed = ktime_get_ns() - ns;
	} while (elapsed < 50 * NSEC_PER_MSEC);
	ticks = __builtin_ia32_rdtsc() - ticks;
	clock_scale = div64_u64(elapsed << 32, ticks);
}

u64 bench_key_mask;
u8 bench_dice[BENCH_DICE];

/* Draws of the streams, of the present size. */
static u32 *draws[BENCH_DRAWS];

u32 bench_draw(const struct bench_run *run, enum bench_draw draw,
	       unsigned long i)
{
	return draws[draw][i];
}

/*
 * Fixed-point arithmetic with 32 bits behind the point, for Zipf's law: the
 * kernel has no other. 1 / i^0.99 is 1 / i * 2^(0.01 * log2(i)).
 */
static u64 log2_fixed(u32 x)
{
	u64 whole = ilog2(x), y = ((u64)x << 32) >> whole, log = whole << 32;

	for (int bit = 31; bit >= 0; bit--) {
		y = mul_u64_u64_shr(y, y, 32);
		if (y >> 33) {
			y >>= 1;
			log |= 1ULL << bit;
		}
	}
	return log;
}

/* 2^x for a small x, by the series of the exponential function. */
static u64 exp2_fixed(u64 x)
{
	const u64 ln2 = 2977044472ULL;
	u64 y = mul_u64_u64_shr(x, ln2, 32), term = 1ULL << 32, sum = term;

	for (int i = 1; i < 10; i++) {
		term = div_u64(mul_u64_u64_shr(term, y, 32), i);
		sum += term;
	}
	return sum;
}

static int draw_zipf(u32 *to, unsigned long n, u32 size)
{
	u32 ranks = 2 * size;
	u64 *below = vmalloc_array(ranks, sizeof(*below)), sum = 0;

	if (!below)
		return -ENOMEM;
	for (u32 rank = 0; rank < ranks; rank++) {
		u64 factor = exp2_fixed(div_u64(log2_fixed(rank + 1), 100));

		sum += div_u64(factor << 8, rank + 1);
		below[rank] = sum;
		if (!(rank & 1023))
			cond_resched();
	}
	for (unsigned long i = 0; i < n; i++) {
		u64 at = mul_u64_u64_shr(bench_mix(~i), sum, 64);
		u32 low = 0, high = ranks - 1;

		while (low < high) {
			u32 middle = (low + high) / 2;

			if (below[middle] > at)
				high = middle;
			else
				low = middle + 1;
		}
		/* Alternately keys that are there in the beginning or not. */
		to[i] = low / 2 + (low & 1 ? size : 0);
		if (!(i & 1023))
			cond_resched();
	}
	vfree(below);
	return 0;
}

static void free_streams(struct bench_run *run)
{
	for (unsigned int i = 0; i < BENCH_DRAWS; i++) {
		vfree(draws[i]);
		draws[i] = NULL;
	}
	vfree(run->keys);
	vfree(run->numbers);
	run->keys = NULL;
	run->numbers = NULL;
}

static unsigned int max_threads(void)
{
	return min(num_online_cpus(), BENCH_THREADS);
}

/* For all contenders at one size. */
static int make_streams(struct bench_run *run, u32 size)
{
	unsigned int key_len = 8;
	unsigned long n;

	if (run->size == size)
		return 0;
	free_streams(run);
	run->size = size;
	run->mask = max(size, MIN_STREAM) - 1;
	bench_key_mask = 4ULL * size - 1;
	/* One thread may need twice as many as there are keys: turnover. */
	n = max(max_threads(), 2U) * (run->mask + 1);
	for (unsigned int k = 0; k < nr_keys; k++)
		key_len = max(key_len, keys[k]);
	run->keys = vmalloc_array(n, key_len);
	run->numbers = vmalloc_array(n, sizeof(u32));
	if (!run->keys || !run->numbers)
		return -ENOMEM;
	for (unsigned int i = 0; i < BENCH_DRAWS; i++) {
		draws[i] = vmalloc_array(n, sizeof(u32));
		if (!draws[i])
			return -ENOMEM;
	}
	for (unsigned long i = 0; i < n; i++) {
		u64 random = bench_mix(i + (1ULL << 40));

		draws[BENCH_UNIFORM][i] = random & (size - 1);
		draws[BENCH_MIX_UNIFORM][i] = random >> 32 & (2 * size - 1);
	}
	for (unsigned int i = 0; i < BENCH_DICE; i++)
		bench_dice[i] = bench_mix(i + (1ULL << 41)) % 100;
	return draw_zipf(draws[BENCH_MIX_ZIPF], n, size);
}

/*
 * Latencies, in a histogram: exact below 16 ns, else 16 buckets for each power
 * of two, of which the upper bound is reported.
 */
#define BUCKETS (64 * 16)

struct histogram {
	u32 count[BUCKETS];
	u64 max;
};

static struct histogram histograms[BENCH_THREADS];

static unsigned int bucket_of(u64 ns)
{
	unsigned int shift;

	if (ns < 16)
		return ns;
	shift = ilog2(ns) - 4;
	return (shift + 1) * 16 + ((ns >> shift) & 15);
}

static u64 bound_of(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 16)
		return bucket;
	shift = bucket / 16 - 1;
	return ((16ULL + bucket % 16 + 1) << shift) - 1;
}

static u64 percentile(u64 total, unsigned int per_mille)
{
	u64 wanted = max(div_u64(total * per_mille + 999, 1000), 1), seen = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		for (unsigned int t = 0; t < BENCH_THREADS; t++)
			seen += histograms[t].count[i];
		if (seen >= wanted)
			return bound_of(i);
	}
	return 0;
}

static void summarize(struct bench_figures *figures)
{
	u64 total = 0;

	for (unsigned int t = 0; t < BENCH_THREADS; t++) {
		figures->max = max(figures->max, histograms[t].max);
		for (unsigned int i = 0; i < BUCKETS; i++)
			total += histograms[t].count[i];
	}
	figures->p50 = min(percentile(total, 500), figures->max);
	figures->p99 = min(percentile(total, 990), figures->max);
	figures->p999 = min(percentile(total, 999), figures->max);
}

u64 bench_memory_used(void)
{
	/*
	 * Free pages would be the wrong thing to count: those on the lists of
	 * each processor, which may be many, are not among them.
	 */
	return (global_node_page_state_pages(NR_SLAB_RECLAIMABLE_B) +
		global_node_page_state_pages(NR_SLAB_UNRECLAIMABLE_B) +
		global_node_page_state(NR_VMALLOC)) << PAGE_SHIFT;
}

u64 bench_memory_at_rest(void)
{
	u64 used = bench_memory_used(), before;
	int rounds = 0, calm = 0;

	/* What is freed by RCU may free more; workers take their time. */
	do {
		before = used;
		rcu_barrier();
		msleep(20);
		used = bench_memory_used();
		calm = used == before ? calm + 1 : 0;
	} while (calm < 3 && ++rounds < 200);
	return used;
}

/* Passes so far: those of the profile are counted, too. */
unsigned int bench_passes;

#define ADD(...) \
	(at += scnprintf(line + at, sizeof(line) - at, __VA_ARGS__))

void bench_report(const struct bench_run *run, const char *workload,
		  const struct bench_figures *figures)
{
	char line[400];
	size_t at = 0;

	ADD("{\"where\":\"%s\",\"contender\":\"%s\",\"workload\":\"%s\"",
	    instructions ? "stock" : num_online_cpus() > 1 ? "smp" : "up",
	    run->contender->name, workload);
	ADD(",\"size\":%lu,\"key\":%u,\"threads\":%u,\"round\":%u", run->size,
	    run->contender->key_len, run->threads, run->round);
	if (figures->ops)
		ADD(",\"ops\":%llu", figures->ops);
	if (instructions)
		ADD(",\"pass\":%u", bench_passes);
	if (figures->centi_ns)
		ADD(",\"%s\":%llu.%02llu", instructions ? "instructions" : "ns",
		    figures->centi_ns / 100, figures->centi_ns % 100);
	if (figures->p50)
		ADD(",\"p50\":%llu", figures->p50);
	if (figures->p99)
		ADD(",\"p99\":%llu,\"p999\":%llu", figures->p99, figures->p999);
	if (figures->max)
		ADD(",\"max\":%llu", figures->max);
	if (figures->bytes >= 0)
		ADD(",\"bytes\":%lld", figures->bytes);
	if (figures->peak >= 0)
		ADD(",\"peak\":%lld", figures->peak);
	pr_info("bench: %s}\n", line);
}

/* A pass: all threads at once. */
struct pass {
	struct bench_run *run;
	const struct bench_workload *workload;
	bool latency;
	atomic_t waiting;
	/* When the last thread was there, and whether that has been. */
	u64 start;
	bool started;
};

static struct worker {
	struct pass *pass;
	unsigned int thread;
	struct completion done;
	struct task_struct *task;
} workers[BENCH_THREADS];

static void run_latency(struct pass *pass, unsigned int thread)
{
	struct histogram *histogram = &histograms[thread];

	for (u64 i = 0; i < pass->run->ops; i++) {
		u64 ns = bench_clock();

		pass->workload->body(pass->run, thread, i, 1);
		ns = bench_clock() - ns;
		histogram->count[bucket_of(ns)]++;
		histogram->max = max(histogram->max, ns);
		if (i % BATCH == BATCH - 1)
			cond_resched();
	}
}

static void run_batches(struct pass *pass, unsigned int thread)
{
	struct bench_run *run = pass->run;

	for (u64 from = 0; from < run->ops; from += BATCH) {
		pass->workload->body(run, thread, from,
				     min(run->ops - from, BATCH));
		cond_resched();
	}
}

static int work(void *arg)
{
	struct worker *me = arg;
	struct pass *pass = me->pass;
	struct bench_thread *thread = &pass->run->thread[me->thread];

	if (atomic_dec_and_test(&pass->waiting)) {
		pass->start = bench_clock();
		/* Pairs with the acquire below: all have the same start. */
		smp_store_release(&pass->started, true);
	}
	/* Pairs with the release above. */
	while (!smp_load_acquire(&pass->started)) {
		cpu_relax();
		cond_resched();
	}
	bench_begin();
	if (pass->latency)
		run_latency(pass, me->thread);
	else
		run_batches(pass, me->thread);
	bench_end();
	/*
	 * Since all could start: threads that took turns, since the host had but
	 * one processor for them, would seem not to disturb each other.
	 */
	thread->ns = bench_clock() - pass->start;
	thread->ops = pass->run->ops;
	complete(&me->done);
	return 0;
}

static int run_threads(struct pass *pass)
{
	unsigned int n = pass->run->threads, made;
	struct task_struct *task;
	int err = 0;

	atomic_set(&pass->waiting, n);
	pass->started = false;
	for (made = 0; made < n; made++) {
		workers[made].pass = pass;
		workers[made].thread = made;
		init_completion(&workers[made].done);
		task = kthread_create(work, &workers[made], "bench/%u", made);
		if (IS_ERR(task)) {
			err = PTR_ERR(task);
			break;
		}
		workers[made].task = get_task_struct(task);
		kthread_bind(task, made);
	}
	for (unsigned int i = 0; i < made; i++) {
		if (!err)
			wake_up_process(workers[i].task);
	}
	for (unsigned int i = 0; i < made; i++) {
		if (!err)
			wait_for_completion(&workers[i].done);
		kthread_stop_put(workers[i].task);
	}
	return err;
}

/* Passes until there have been so many operations of each thread. */
static int run_passes(struct bench_run *run, const struct bench_workload *load,
		      u64 wanted, bool latency, struct bench_figures *figures)
{
	struct pass pass = { .run = run, .workload = load, .latency = latency };
	struct map *common = run->map;
	u64 ns = 0, done = 0;

	for (unsigned int i = 0; i < MAX_PASSES && done < wanted; i++) {
		bool right = true;
		int err = 0;

		memset(run->thread, 0, sizeof(run->thread));
		run->ops = wanted - done;
		run->grown = 0;
		if (load->setup)
			err = load->setup(run);
		if (err)
			return err;
		err = run_threads(&pass);
		if (!err && load->check)
			right = load->check(run);
		for (unsigned int t = 0; t < run->threads; t++) {
			err = err ?: run->thread[t].error;
			ns += run->thread[t].ns;
		}
		done += run->ops;
		if (load->teardown)
			load->teardown(run);
		if (load->flags & BENCH_OWN_MAP)
			run->map = common;
		/* So that nobody pays for another one's objects. */
		rcu_barrier();
		if (err)
			return err;
		if (!right)
			return -EUCLEAN;
		if (load->flags & BENCH_LATENCY)
			break;
	}
	if (latency) {
		summarize(figures);
	} else {
		figures->ops = done * run->threads;
		figures->centi_ns = div64_u64(ns * 100, figures->ops);
	}
	return 0;
}

static int run_workload(struct bench_run *run,
			const struct bench_workload *load)
{
	struct bench_figures figures = { .bytes = -1, .peak = -1 };
	u64 nr_ops = ops;
	int err = 0;

	/* So that a pass is long beside the time in which its threads begin. */
	if (!instructions)
		nr_ops *= run->contender->repeat;
	if (load->measure)
		return load->measure(run);
	/* What is not to begin with a new map begins with a warm one. */
	if (!(load->flags & BENCH_OWN_MAP))
		err = run_passes(run, load, min(ops, run->size), false,
				 &figures);
	memset(histograms, 0, sizeof(histograms));
	if (!err && !(load->flags & BENCH_LATENCY))
		err = run_passes(run, load, nr_ops, false, &figures);
	if (!err && samples)
		err = run_passes(run, load, samples, true, &figures);
	if (!err)
		bench_report(run, load->name, &figures);
	return err;
}

/* Whether a list with commas, which when empty has everything, has a name. */
static bool listed(const char *list, const char *name)
{
	size_t len = strlen(name);

	if (!*list)
		return true;
	for (;;) {
		if (!strncmp(list, name, len) &&
		    (!list[len] || list[len] == ','))
			return true;
		list = strchr(list, ',');
		if (!list)
			return false;
		list++;
	}
}

static bool wanted(const struct bench_run *run,
		   const struct bench_workload *load)
{
	if (num_online_cpus() > 1 && !(load->flags & BENCH_SMP))
		return false;
	/* Memory wants an allocator that others have not used: only if named. */
	if (load->flags & BENCH_MEMORY && !*workloads)
		return false;
	return listed(workloads, load->name);
}

static int run_list(struct bench_run *run, const struct bench_workload *load,
		    bool own_map)
{
	int err = 0;

	for (; load && load->name && !err; load++) {
		if (!wanted(run, load) ||
		    !!(load->flags & BENCH_OWN_MAP) != own_map)
			continue;
		if (!own_map && !run->map) {
			err = run->contender->fill(run);
			if (err)
				return err;
		}
		for (run->threads = 1; run->threads <= max_threads();
		     run->threads *= 2) {
			err = run_workload(run, load);
			if (err) {
				pr_err("%s gave a wrong answer in %s (%d).\n",
				       run->contender->name, load->name, err);
				break;
			}
			if (load->measure)
				break;
		}
	}
	return err;
}

static int run_contender(struct bench_run *run)
{
	int err;

	if (go)
		return run_list(run, run->contender->go_workloads, true);
	err = run_list(run, run->contender->workloads, false);
	if (run->map)
		run->contender->empty(run);
	return err ?: run_list(run, run->contender->workloads, true);
}

static int run_all(struct bench_run *run, u32 size, u32 key)
{
	int err = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(all) && !err; i++) {
		/* Each round begins with another one. */
		run->contender = all[(i + run->round) % ARRAY_SIZE(all)];
		if (run->contender->key_len == key &&
		    listed(contenders, run->contender->name))
			err = run_contender(run);
	}
	return err;
}

static int __init bench_init(void)
{
	struct bench_run *run = kzalloc(sizeof(*run), GFP_KERNEL);
	int err = 0;

	if (!run)
		return -ENOMEM;
	calibrate_clock();
	for (unsigned int s = 0; s < nr_sizes && !err; s++) {
		if (!is_power_of_2(sizes[s]) || sizes[s] < 16 ||
		    sizes[s] < 4 * max_threads()) {
			pr_err("Sizes must be powers of two, at least 16, and four for each processor.\n");
			err = -EINVAL;
			break;
		}
		err = make_streams(run, sizes[s]);
		for (run->round = first_round;
		     run->round < first_round + rounds && !err; run->round++)
			for (unsigned int k = 0; k < nr_keys && !err; k++)
				err = run_all(run, sizes[s], keys[k]);
	}
	free_streams(run);
	kfree(run);
	return err;
}

static void __exit bench_exit(void)
{
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Bench of the concurrent hash map against its peers");
MODULE_LICENSE("GPL");
