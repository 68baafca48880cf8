// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls from several processes and threads at once, most of them valid
 * but for a member or two, on files, maps and names that they share, in memory
 * that goes away under them, with signals, forks and failures in between.
 *
 * Ends in TAP, with a table of what each command has returned. With SYNCMAP_KO
 * it loads the module itself, with low limits, and unloads it at the end, to
 * load it again with the usual ones.
 */
#define _GNU_SOURCE

#include <getopt.h>
#include <sys/stat.h>

#include "../kselftest/module.h"
#include "oracle.h"

/* Few enough for every limit to be met. */
#define PARAMETERS \
	"max_entries=64 max_bytes=131072 max_owner_bytes=4194304 max_names=2"

/* A call of this length is stuck; on a slow kernel with checks, too. */
#define STUCK_MS	120000
#define SHOW_MS		10000

/* What is too little to expect everything of. */
#define ENOUGH_CALLS	150000

static struct {
	unsigned long long seed;
	long long calls;
	int seconds;
	int processes;
} options = { .calls = 200000, .seconds = 3600, .processes = 4 };

static int tests, failures;

static void result(bool good, const char *name)
{
	printf("%sok %d %s\n", good ? "" : "not ", ++tests, name);
	fflush(stdout);
	failures += !good;
}

static void explain(void)
{
	fprintf(stderr,
		"usage: fuzz [--seed N] [--calls N] [--seconds N] [--processes N]\n"
		"  --seed       where the random numbers begin\n"
		"  --calls      how many calls to make (200000)\n"
		"  --seconds    how long at the most (3600)\n"
		"  --processes  how many processes at once, 1 to %d (4)\n",
		WORKERS_MAX);
	exit(TAP_FAIL);
}

static long long number(const char *text, long long least, long long most)
{
	char *end;
	long long value = strtoll(text, &end, 0);

	if (!*text || *end || value < least || value > most)
		explain();
	return value;
}

static void read_options(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "calls", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' },
		{ "processes", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (option == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (option == 'c')
			options.calls = number(optarg, 1, 1LL << 40);
		else if (option == 't')
			options.seconds = number(optarg, 1, 1000000);
		else if (option == 'p')
			options.processes = number(optarg, 1, WORKERS_MAX);
		else
			explain();
	}
	if (optind < argc)
		explain();
	if (!options.seed)
		options.seed = random_seed();
}

/* Processes */

struct worker {
	pid_t pid;
	/* When it was killed, 0 if it was not. */
	long long killed;
};

static struct worker workers[WORKERS_MAX];
static int kills;

static void start_worker(int index)
{
	static unsigned long long generation;
	unsigned long long seed = options.seed +
				  ++generation * 0x9e3779b97f4a7c15ULL;
	pid_t pid = fork();

	if (pid < 0)
		fail("no process: %s", strerror(errno));
	if (!pid) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		next_random(&seed);
		work(index, seed);
		_exit(TAP_PASS);
	}
	setpgid(pid, pid);
	workers[index] = (struct worker) { .pid = pid };
}

static void kill_worker(int index)
{
	/* Its children as well. */
	kill(-workers[index].pid, SIGKILL);
	if (!workers[index].killed)
		workers[index].killed = now_ms();
}

static void show_stack(pid_t pid)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "for t in /proc/%d/task/*; do cat $t/wchan $t/stack; done",
		 pid);
	if (system(command))
		diag("its stack is not known");
}

/* False if a call, or the end of a process, takes too long. */
static bool is_moving(int index)
{
	const struct worker *worker = &workers[index];
	const struct pulse *pulse;
	long long since;
	int i;

	if (worker->killed && now_ms() - worker->killed > STUCK_MS) {
		diag("process %d does not die", worker->pid);
		return false;
	}
	for (i = 0; i < THREADS && !worker->killed; i++) {
		pulse = &fuzz->pulses[index][i];
		since = __atomic_load_n(&pulse->since, __ATOMIC_ACQUIRE);
		if (since && now_ms() - since > STUCK_MS) {
			diag("%s of process %d has not returned",
			     row_name(pulse->row), worker->pid);
			return false;
		}
	}
	return true;
}

/* What became of a process that has ended; false if it should not have. */
static bool ended_well(int index, int status)
{
	const struct worker *worker = &workers[index];

	if (WIFEXITED(status) && WEXITSTATUS(status) == TAP_PASS)
		return true;
	if (WIFSIGNALED(status) && worker->killed)
		return true;
	if (WIFSIGNALED(status))
		diag("process %d died of signal %d", worker->pid,
		     WTERMSIG(status));
	else
		diag("process %d found something wrong", worker->pid);
	return false;
}

static int running(void)
{
	int i, count = 0;

	for (i = 0; i < options.processes; i++)
		count += workers[i].pid != 0;
	return count;
}

static bool reap(bool restart)
{
	bool good = true;
	int i, status;

	for (i = 0; i < options.processes; i++) {
		if (!workers[i].pid ||
		    waitpid(workers[i].pid, &status, WNOHANG) <= 0)
			continue;
		good &= ended_well(i, status);
		kill(-workers[i].pid, SIGKILL);
		workers[i].pid = 0;
		if (good && restart && goes_on())
			start_worker(i);
	}
	return good;
}

static void show_progress(long long begin)
{
	static long long shown;
	const long long now = now_ms();

	if (now - shown < SHOW_MS)
		return;
	shown = now;
	diag("%llu of %lld calls, %llu of them checked, %d kills, %lld s",
	     fuzz->tally.calls, options.calls, fuzz->checked, kills,
	     (now - begin) / 1000);
}

/* Whether all went on to the end, and nobody found anything wrong. */
static bool watch(void)
{
	unsigned long long random = options.seed;
	const long long begin = now_ms();
	long long next_kill = begin + 500;
	int i;

	while (goes_on() || running()) {
		show_progress(begin);
		nap_ms(10);
		__atomic_store_n(&fuzz->now, now_ms(), __ATOMIC_RELAXED);
		if (!reap(true))
			return false;
		for (i = 0; i < options.processes; i++) {
			if (workers[i].pid && !is_moving(i)) {
				show_stack(workers[i].pid);
				return false;
			}
		}
		if (now_ms() < next_kill || !goes_on())
			continue;
		next_kill = now_ms() + next_random(&random) % 1000;
		i = next_random(&random) % options.processes;
		if (workers[i].pid && !workers[i].killed) {
			kill_worker(i);
			kills++;
		}
	}
	diag("%llu calls in %lld ms, %d processes killed", fuzz->tally.calls,
	     now_ms() - begin, kills);
	if (fuzz->wrong)
		diag("worker.h, line %d: a call that should have failed",
		     fuzz->wrong);
	return !fuzz->wrong;
}

static void end_workers(void)
{
	const long long deadline = now_ms() + STUCK_MS;
	int i;

	for (i = 0; i < options.processes; i++)
		if (workers[i].pid)
			kill_worker(i);
	while (running() && now_ms() < deadline) {
		reap(false);
		nap_ms(10);
	}
}

/* What there is before and after */

struct user_memory {
	__u64 bytes[USERS + 2];
};

/* The memory that a user has who has just opened a first map. */
static __u64 memory_of(unsigned int user)
{
	struct caller me = { .user = 0 };
	__u64 bytes;
	int map;

	become(&me, user);
	map = open_map();
	bytes = info(map).owner_bytes;
	close(map);
	become(&me, 0);
	return bytes;
}

static struct user_memory all_memory(void)
{
	struct user_memory all;
	int i;

	for (i = 0; i < USERS + 2; i++)
		all.bytes[i] = memory_of(i);
	return all;
}

static bool memory_returns(const struct user_memory *before)
{
	const long long deadline = now_ms() + 30000;
	struct user_memory now = all_memory();
	int i;

	while (memcmp(&now, before, sizeof(now))) {
		if (now_ms() > deadline) {
			for (i = 0; i < USERS + 2; i++)
				diag("user %d: %llu bytes, and had %llu", i,
				     now.bytes[i], before->bytes[i]);
			return false;
		}
		nap_ms(20);
		now = all_memory();
	}
	return true;
}

/* Whatever names there are: they may have come from anywhere. */
static bool unlink_all(void)
{
	static unsigned char space[PAGE];
	const struct syncmap_name *first = (const void *)space;
	struct syncmap_range list;
	int file = open_map(), ret;
	char name[SYNCMAP_NAME_MAX + 1];

	do {
		list = (struct syncmap_range) {
			.size = sizeof(list),
			.buf = address(space),
			.buf_len = sizeof(space),
		};
		ret = call(file, SYNCMAP_IOC_LIST, &list);
		if (ret || !list.count)
			break;
		snprintf(name, sizeof(name), "%.*s", first->name_len,
			 (const char *)(first + 1));
		ret = unlink_name(file, name);
	} while (!ret);
	close(file);
	return !ret && !list.count && list.result == SYNCMAP_RANGE_END;
}

static bool still_works(void)
{
	int map = open_map();

	fill(map, "key", 50);
	clear(map);
	store(map, text("key"), text("value"));
	return holds(map, text("key"), text("value")) && !close(map);
}

static void make_shared_files(void)
{
	static const int modes[SHARED_FILES] = {
		O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, O_ACCMODE,
	};
	int i, file;

	for (i = 0; i < SHARED_FILES; i++) {
		file = try_open(modes[i]);
		if (file < 0 || dup2(file, FIRST_FILE + i) < 0)
			fail("no file to share");
		close(file);
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fuzz->sockets)) {
		fuzz->sockets[0] = -1;
		fuzz->sockets[1] = -1;
		diag("no files are passed: this kernel has no sockets");
	}
}

static void close_shared_files(void)
{
	int i;

	for (i = 0; i < SHARED_FILES; i++)
		close(FIRST_FILE + i);
	close(fuzz->sockets[0]);
	close(fuzz->sockets[1]);
}

static void set_up(void)
{
	const char *missing = no_injection();
	int ret = module_path() ? reload_module(PARAMETERS) : 0;

	if (ret)
		fail("the module cannot be loaded: %s", strerror(-ret));
	if (missing)
		diag("nothing is made to fail: %s", missing);
	else
		set_up_faults(false);
	/* For the users that come and go. */
	if (chmod(DEVICE, 0666))
		fail("%s: %s", DEVICE, strerror(errno));
	fuzz = shared_memory(sizeof(*fuzz));
	fuzz->faults = !missing;
	fuzz->calls_left = options.calls;
	fuzz->now = now_ms();
	fuzz->end = fuzz->now + options.seconds * 1000LL;
}

int main(int argc, char **argv)
{
	struct user_memory before;
	bool enough, good;
	int i;

	read_options(argc, argv);
	diag("--seed 0x%llx --calls %lld --processes %d", options.seed,
	     options.calls, options.processes);
	set_up();
	before = all_memory();
	make_shared_files();
	for (i = 0; i < options.processes; i++)
		start_worker(i);
	good = watch();
	end_workers();
	close_shared_files();
	show_tally(&fuzz->tally);
	if (fuzz->tally.strays)
		diag("%s returned %d, and %llu more like that",
		     row_name(fuzz->tally.stray_row), fuzz->tally.stray_error,
		     fuzz->tally.strays - 1);

	enough = module_path() && fuzz->tally.calls >= ENOUGH_CALLS;
	printf("TAP version 13\n1..%d\n", 6 + !!module_path());
	result(good, "every call returned, and did what the model says");
	result(!fuzz->tally.strays, "only errors that the header names");
	if (enough)
		result(!count_missing(&fuzz->tally,
				      fuzz->faults),
		       "every command has succeeded, and failed in every way");
	else
		printf("ok %d every command # SKIP too short, or no module to load\n",
		       ++tests);
	result(unlink_all(), "every name can be unlinked");
	result(still_works(), "a map still works");
	result(memory_returns(&before), "all memory has come back");
	if (module_path()) {
		result(!unload_module_soon(), "the module unloads");
		/* For whoever comes next. */
		load_module("");
	}
	return failures ? TAP_FAIL : TAP_PASS;
}
