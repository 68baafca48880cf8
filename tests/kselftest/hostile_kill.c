// SPDX-License-Identifier: GPL-2.0
/*
 * Processes that are killed in the middle of whatever they do. What they have
 * been told is done, each operation that was under way is done or not, those of
 * a batch in their order; and nothing is left of the process.
 */
#include "hostile.h"
#include "module.h"
#include "stress.h"
#include "walk.h"

#define KEYS		16
#define BATCHES		512

/* How long a process that is killed may take to go. */
#define DEATH_MS	2000

static const __u32 sizes[] = { 8, 200, 4096, 40000 };

/* What the victim is about, for the one who looks after it. */
struct diary {
	__u32 cmd;
	/* Versions of the keys, 0 if absent, before and after a call. */
	__u32 versions[2][BATCHES];
	/* The keys that the call is about. */
	int first, count;
	/*
	 * Counts beginnings and ends of calls: odd in a call. The one store that
	 * ends a call also makes what was to be what is.
	 */
	unsigned int calls;
	int started;
};

static struct diary *diary;
static int map;

static __u32 *before(void)
{
	return diary->versions[diary->calls / 2 % 2];
}

static __u32 *after(void)
{
	return diary->versions[(diary->calls / 2 + 1) % 2];
}

static struct label key_of(int number)
{
	return label("key", number);
}

static struct bytes value_of(__u32 *words, __u32 version)
{
	return fill_value(words, sizes[version % ARRAY_SIZE(sizes)], version);
}

/* The plan of the next call: all stays as it is. */
static __u32 *plan(void)
{
	return memcpy(after(), before(), sizeof(diary->versions[0]));
}

static void begin(__u32 cmd, int first, int count)
{
	diary->cmd = cmd;
	diary->first = first;
	diary->count = count;
	__atomic_fetch_add(&diary->calls, 1, __ATOMIC_SEQ_CST);
}

static void done(void)
{
	__atomic_fetch_add(&diary->calls, 1, __ATOMIC_SEQ_CST);
}

/* The version of a key after a command, if the new one is @version. */
static __u32 version_after(__u32 cmd, __u32 before, __u32 version)
{
	switch (cmd) {
	case SYNCMAP_CMD_STORE:
	case SYNCMAP_CMD_SWAP:
		return version;
	case SYNCMAP_CMD_LOAD_OR_STORE:
		return before ? before : version;
	case SYNCMAP_CMD_COMPARE_AND_SWAP:
		return before ? version : 0;
	case SYNCMAP_CMD_LOAD:
		return before;
	default:
		return 0;
	}
}

static void one_operation(__u32 cmd, __u32 version)
{
	static __u32 value[SYNCMAP_VALUE_MAX / 4], old[SYNCMAP_VALUE_MAX / 4];
	static unsigned char buf[SYNCMAP_VALUE_MAX];
	const int number = version % KEYS;
	struct label key = key_of(number);
	struct syncmap_op op = new_op(text(key.text));

	if (takes_value(cmd))
		set_value(&op, value_of(value, version));
	if (takes_old(cmd))
		set_old(&op, value_of(old, before()[number]));
	if (takes_buf(cmd))
		set_buf(&op, buf, sizeof(buf));
	plan()[number] = version_after(cmd, before()[number], version);
	begin(cmd, number, 1);
	run_op(map, cmd, &op);
	done();
}

/* Every third one deletes. */
static void one_batch(__u32 version)
{
	static __u32 value[SYNCMAP_VALUE_MAX / 4];
	static struct syncmap_op ops[BATCHES];
	static struct label keys[BATCHES];
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(ops),
		.count = BATCHES,
	};
	const struct bytes all = fill_value(value, 200, version);
	__u32 *versions = plan();
	int i;

	for (i = 0; i < BATCHES; i++) {
		keys[i] = key_of(i);
		ops[i] = new_op(text(keys[i].text));
		ops[i].cmd = SYNCMAP_CMD_STORE;
		versions[i] = version;
		if ((version + i) % 3) {
			set_value(&ops[i], all);
		} else {
			ops[i].cmd = SYNCMAP_CMD_DELETE;
			versions[i] = 0;
		}
	}
	begin(SYNCMAP_CMD_BATCH, 0, BATCHES);
	expect_eq(call(map, SYNCMAP_IOC_BATCH, &batch), 0);
	expect_eq(batch.done, BATCHES);
	done();
}

static void clear_all(void)
{
	memset(plan(), 0, sizeof(diary->versions[0]));
	begin(SYNCMAP_CMD_CLEAR, 0, BATCHES);
	clear(map);
	done();
}

/* What changes nothing of the map. */
static void look(__u32 cmd)
{
	struct dump dump;
	char name[32];
	int file;

	plan();
	begin(cmd, 0, BATCHES);
	switch (cmd) {
	case SYNCMAP_CMD_RANGE:
		dump = take_dump(map);
		free(dump.data);
		break;
	case SYNCMAP_CMD_INFO:
		info(map);
		break;
	case SYNCMAP_CMD_STATS:
		stats(map);
		break;
	default:
		snprintf(name, sizeof(name), "kill-%d", getpid());
		file = open_map();
		store(file, text("key"), text("value"));
		expect_eq(attach(file, name, SYNCMAP_ATTACH_CREATE), 0);
		expect_eq(unlink_name(file, name), 0);
		close(file);
	}
	done();
}

static void be_victim(void *context, int number)
{
	const __u32 cmd = *(__u32 *)context;
	/* Versions of other victims must not be taken for those of this one. */
	__u32 version = number * 0x10000 + 1;

	__atomic_store_n(&diary->started, 1, __ATOMIC_RELEASE);
	for (;; version++) {
		if (cmd == SYNCMAP_CMD_BATCH)
			one_batch(version);
		else if (cmd > SYNCMAP_CMD_BATCH || cmd == SYNCMAP_CMD_RANGE)
			look(cmd);
		else if (cmd != SYNCMAP_CMD_CLEAR)
			one_operation(cmd, version);
		else
			clear_all();
		/* So that there is something to delete, clear and compare. */
		if (cmd >= SYNCMAP_CMD_LOAD_OR_STORE)
			one_operation(SYNCMAP_CMD_STORE, version);
	}
}

static __u32 version_of(int number)
{
	static __u32 words[SYNCMAP_VALUE_MAX / 4];
	struct label key = key_of(number);
	int len = load(map, text(key.text), words, sizeof(words));

	return len < 0 ? 0 : value_version(words, len);
}

static bool in_call(void)
{
	return diary->calls % 2;
}

/*
 * A key that is about to change may be as it was, and then so are those behind
 * it: a batch keeps to its order, and CLEAR is one instant.
 */
static void look_after(int number, __u32 now, bool *ended)
{
	const __u32 was = before()[number], will = after()[number];
	const bool concerned = in_call() && number >= diary->first &&
			       number < diary->first + diary->count;

	if (!concerned && now == was)
		return;
	if (!concerned || (now != was && now != will))
		fail("killed in %s: key %d is 0x%x, was 0x%x, was to be 0x%x",
		     cmd_name(diary->cmd), number, now, was, will);
	if (was == will)
		return;
	if (now == was)
		*ended = true;
	else if (*ended)
		fail("killed in %s: key %d has changed, one before it has not",
		     cmd_name(diary->cmd), number);
}

/* Looks at all keys, and goes on from what is there. */
static void examine(void)
{
	const int keys = diary->cmd == SYNCMAP_CMD_BATCH ? BATCHES : KEYS;
	static __u32 versions[BATCHES];
	bool ended = false;
	__u32 count = 0;
	int i;

	for (i = 0; i < BATCHES; i++) {
		/* Only batches get so far; the count tells of others. */
		if (i < keys || before()[i] || after()[i])
			versions[i] = version_of(i);
		else
			versions[i] = 0;
		look_after(i, versions[i], &ended);
		count += versions[i] != 0;
	}
	expect_eq(stats(map).entries, count);
	diary->calls = 0;
	memcpy(before(), versions, sizeof(versions));
}

/* The names of those who were killed between ATTACH and UNLINK. */
static bool forget_name(pid_t child)
{
	char name[32];
	int file = open_map(), ret;

	snprintf(name, sizeof(name), "kill-%d", child);
	ret = unlink_name(file, name);
	expect(!ret || ret == -ENOENT);
	close(file);
	return !ret;
}

static void nap_us(unsigned int us)
{
	struct timespec nap = { .tv_nsec = us * 1000 };

	nanosleep(&nap, NULL);
}

static void killed_in(__u32 cmd, int rounds)
{
	unsigned long long seed = random_seed();
	long long began, took, slowest = 0;
	int round, status, inside = 0, names = 0;
	const __u64 bytes = owner_bytes();
	pid_t child;

	map = open_map();
	diary = shared_memory(sizeof(*diary));
	for (round = 0; round < rounds; round++) {
		diary->started = 0;
		child = spawn(be_victim, &cmd, round % 0x8000);
		while (!__atomic_load_n(&diary->started, __ATOMIC_ACQUIRE))
			nap_us(20);
		nap_us(next_random(&seed) % 3000);
		began = now_ms();
		expect_eq(kill(child, SIGKILL), 0);
		if (!tap_reap(child, &status, began + DEATH_MS))
			fail("does not die in %s", cmd_name(diary->cmd));
		took = now_ms() - began;
		slowest = took > slowest ? took : slowest;
		expect(WIFSIGNALED(status));
		expect_eq(WTERMSIG(status), SIGKILL);
		inside += in_call() && diary->cmd == cmd;
		examine();
		if (cmd > SYNCMAP_CMD_STATS)
			names += forget_name(child);
	}
	clear(map);
	disturb(map, 0);
	close(map);
	expect_owner_bytes_fall(bytes);
	diag("%d killed, %d in the call, in %lld ms at most; %d names left",
	     rounds, inside, slowest, names);
	expect(inside);
}

static void killed(void)
{
	static const __u32 cmds[] = {
		SYNCMAP_CMD_LOAD, SYNCMAP_CMD_STORE, SYNCMAP_CMD_LOAD_OR_STORE,
		SYNCMAP_CMD_LOAD_AND_DELETE, SYNCMAP_CMD_DELETE,
		SYNCMAP_CMD_SWAP, SYNCMAP_CMD_COMPARE_AND_SWAP,
		SYNCMAP_CMD_COMPARE_AND_DELETE, SYNCMAP_CMD_CLEAR,
		SYNCMAP_CMD_RANGE, SYNCMAP_CMD_BATCH, SYNCMAP_CMD_INFO,
		SYNCMAP_CMD_STATS, SYNCMAP_CMD_ATTACH,
	};

	alarm(TAP_SECONDS * repeats(1, 5));
	killed_in(cmds[tap_index], repeats(60, 20));
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "killed in LOAD", killed },
		{ "killed in STORE", killed },
		{ "killed in LOAD_OR_STORE", killed },
		{ "killed in LOAD_AND_DELETE", killed },
		{ "killed in DELETE", killed },
		{ "killed in SWAP", killed },
		{ "killed in COMPARE_AND_SWAP", killed },
		{ "killed in COMPARE_AND_DELETE", killed },
		{ "killed in CLEAR", killed },
		{ "killed in RANGE", killed },
		{ "killed in BATCH", killed },
		{ "killed in INFO", killed },
		{ "killed in STATS", killed },
		{ "killed in ATTACH and UNLINK", killed },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
