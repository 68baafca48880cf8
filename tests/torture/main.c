// SPDX-License-Identifier: GPL-2.0
/*
 * The torture of the map, in the manner of rcutorture: threads, timers and
 * interrupts use one map in every way there is, for as long as one likes, and
 * all that they see is checked.  The log tells how it goes, and at the end what
 * has come of it.
 *
 * With histories=N nobody is tortured: short programs are run by a few threads
 * each, and recorded, while somebody reads them from debugfs; after seconds=N, if
 * that is given, no more of them than a hundred.
 */
#include <linux/module.h>
#include <linux/random.h>
#include <linux/string.h>

#include "torture.h"

static unsigned int nreaders = 2;
module_param(nreaders, uint, 0444);
MODULE_PARM_DESC(nreaders, "Threads that look keys up (2)");

static unsigned int nwriters = 3;
module_param(nwriters, uint, 0444);
MODULE_PARM_DESC(nwriters,
		 "Threads that store and delete by all operations (3)");

static unsigned int ntriers = 2;
module_param(ntriers, uint, 0444);
MODULE_PARM_DESC(ntriers,
		 "Threads that do so in atomic contexts of all kinds (2)");

static unsigned int nrangers = 2;
module_param(nrangers, uint, 0444);
MODULE_PARM_DESC(nrangers, "Threads that walk (2)");

static unsigned int nclearers = 1;
module_param(nclearers, uint, 0444);
MODULE_PARM_DESC(nclearers, "Threads that clear the map now and then (1)");

static unsigned int npromoters = 1;
module_param(npromoters, uint, 0444);
MODULE_PARM_DESC(npromoters, "Threads that miss in bursts (1)");

static unsigned int ngrowers = 1;
module_param(ngrowers, uint, 0444);
MODULE_PARM_DESC(ngrowers,
		 "Threads that store many keys and delete most of them (1)");

static unsigned int ninserters = 2;
module_param(ninserters, uint, 0444);
MODULE_PARM_DESC(ninserters,
		 "Threads that make keys in atomic contexts of all kinds (2)");

static unsigned int keys = 256;
module_param(keys, uint, 0444);
MODULE_PARM_DESC(keys, "Keys of one writer each, of whom all is known (256)");

static unsigned int shared = 64;
module_param(shared, uint, 0444);
MODULE_PARM_DESC(shared, "Keys of all writers (64)");

static unsigned int grow = 4096;
module_param(grow, uint, 0444);
MODULE_PARM_DESC(grow, "Keys of each grower; inserters have up to 1024 (4096)");

static unsigned int value_bytes = 32;
module_param(value_bytes, uint, 0444);
MODULE_PARM_DESC(value_bytes, "Bytes of each value, but for its head (32)");

static unsigned int max_entries;
module_param(max_entries, uint, 0444);
MODULE_PARM_DESC(max_entries, "Limit of keys in the map, 0 for none (0)");

static unsigned int seconds;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "How long, 0 for until the module is unloaded (0)");

static unsigned int stat_interval = 10;
module_param(stat_interval, uint, 0444);
MODULE_PARM_DESC(stat_interval,
		 "Seconds between two lines of figures, 0 for none (10)");

static unsigned int stutter = 5;
module_param(stutter, uint, 0444);
MODULE_PARM_DESC(stutter,
		 "Seconds between two pauses, in which all is counted (5)");

static unsigned int shuffle_interval = 3;
module_param(shuffle_interval, uint, 0444);
MODULE_PARM_DESC(shuffle_interval,
		 "Seconds after which all move, 0 for never (3)");

static unsigned int onoff_interval;
module_param(onoff_interval, uint, 0444);
MODULE_PARM_DESC(onoff_interval,
		 "Milliseconds after which a CPU comes or goes (0)");

static unsigned int histories;
module_param(histories, uint, 0444);
MODULE_PARM_DESC(histories, "Histories to record, instead of torture (0)");

static unsigned int threads = 3;
module_param(threads, uint, 0444);
MODULE_PARM_DESC(threads,
		 "Threads of a history; a further one is in interrupts (3)");

static unsigned int history_keys = 3;
module_param(history_keys, uint, 0444);
MODULE_PARM_DESC(history_keys, "Keys of a history (3)");

static unsigned int operations = 30;
module_param(operations, uint, 0444);
MODULE_PARM_DESC(operations, "Operations of each thread of a history (30)");

static unsigned long max_bytes;
module_param(max_bytes, ulong, 0444);
MODULE_PARM_DESC(max_bytes, "Bytes that there are, and are fought for (0: any)");

static unsigned long seed;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Where chance begins (0: anywhere; the log says where)");

static bool irq = true;
module_param(irq, bool, 0444);
MODULE_PARM_DESC(irq, "Timers use the map, in softirqs and interrupts (Y)");

static bool faults;
module_param(faults, bool, 0444);
MODULE_PARM_DESC(faults, "Writers are subject to fault injection (N)");

static bool verbose;
module_param(verbose, bool, 0444);
MODULE_PARM_DESC(verbose, "Tell who begins and ends (N)");

static char *plant = "none";
module_param(plant, charp, 0444);
MODULE_PARM_DESC(plant, "A mistake to be made, and noticed (none)");

static const char * const plants[PLANTS] = {
	[PLANT_NONE] = "none",
	[PLANT_CHECKSUM] = "checksum",
	[PLANT_GENERATION] = "generation",
	[PLANT_LOST] = "lost",
	[PLANT_LEAK] = "leak",
	[PLANT_TWICE] = "twice",
	[PLANT_RANGE] = "range",
	[PLANT_LEN] = "len",
	[PLANT_BYTES] = "bytes",
};

struct bounds {
	const char *name;
	unsigned int value, min, max;
};

static int check_range(const struct bounds *range)
{
	if (range->value >= range->min && range->value <= range->max)
		return 0;
	pr_err(" %s=%u: choose a number from %u to %u.\n", range->name,
	       range->value, range->min, range->max);
	return -EINVAL;
}

static int check_params(void)
{
	const struct bounds ranges[] = {
		{ "nreaders", nreaders, 0, 64 },
		{ "nwriters", nwriters, 1, 64 },
		{ "ntriers", ntriers, 0, 64 },
		{ "nrangers", nrangers, 0, 64 },
		{ "nclearers", nclearers, 0, 64 },
		{ "npromoters", npromoters, 0, 64 },
		{ "ngrowers", ngrowers, 0, 64 },
		{ "ninserters", ninserters, 0, 64 },
		{ "keys", keys, nwriters, 1 << 16 },
		{ "shared", shared, 1, 1 << 16 },
		{ "grow", grow, 64, 1 << 22 },
		{ "value_bytes", value_bytes, 0, 1 << 16 },
		{ "threads", threads, 1, 8 },
		{ "history_keys", history_keys, 1, 8 },
		{ "operations", operations, 1, 60 },
		{ "onoff_interval", onoff_interval, 0, 1 << 20 },
	};
	int i, ret;

	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		ret = check_range(&ranges[i]);
		if (ret)
			return ret;
	}
	if (match_string(plants, PLANTS, plant) < 0) {
		pr_err(" plant=%s: there is no such mistake; choose checksum, generation, lost, leak, twice, range, len or bytes.\n",
		       plant);
		return -EINVAL;
	}
	if (onoff_interval && !IS_ENABLED(CONFIG_HOTPLUG_CPU)) {
		pr_err(" onoff_interval=%u: CPUs do not come and go in this kernel (CONFIG_HOTPLUG_CPU).\n",
		       onoff_interval);
		return -EINVAL;
	}
	if (faults && !IS_ENABLED(CONFIG_FAULT_INJECTION)) {
		pr_err(" faults=Y: this kernel injects no faults (CONFIG_FAULT_INJECTION).\n");
		return -EINVAL;
	}
	return 0;
}

static int __init torture_init(void)
{
	struct torture_params params;
	struct torture_times times;
	int ret = check_params();

	if (ret)
		return ret;
	while (!seed)
		seed = get_random_long();
	if (histories) {
		const struct torture_history history = {
			.threads = threads,
			.keys = history_keys,
			.operations = operations,
			.histories = histories,
			.seconds = seconds,
			.seed = seed,
		};

		return torture_record_init(&history);
	}
	params = (struct torture_params) {
		.count = {
			[TORTURE_READER] = nreaders,
			[TORTURE_WRITER] = nwriters,
			[TORTURE_TRIER] = ntriers,
			[TORTURE_RANGER] = nrangers,
			[TORTURE_CLEARER] = nclearers,
			[TORTURE_PROMOTER] = npromoters,
			[TORTURE_GROWER] = ngrowers,
			[TORTURE_SQUEEZER] = max_bytes ? 1 : 0,
			[TORTURE_INSERTER] = ninserters,
			[TORTURE_INTERRUPT] = irq ? 3 : 0,
		},
		.keys = keys,
		.shared = shared,
		.grow = grow,
		.value_bytes = value_bytes,
		.max_bytes = max_bytes,
		.max_entries = max_entries,
		.seed = seed,
		.plant = match_string(plants, PLANTS, plant),
		.faults = faults,
	};
	times = (struct torture_times) {
		.seconds = seconds,
		.stat_interval = stat_interval,
		.stutter = stutter,
		.shuffle_interval = shuffle_interval,
		.onoff_interval = onoff_interval,
		.irq = irq,
		.verbose = verbose,
	};
	return torture_start(&params, &times);
}

static void __exit torture_exit(void)
{
	if (histories)
		torture_record_exit();
	else
		torture_stop();
}

module_init(torture_init);
module_exit(torture_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Torture of the concurrent hash map");
MODULE_LICENSE("GPL");
