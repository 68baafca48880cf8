// SPDX-License-Identifier: GPL-2.0
/*
 * A map belongs to whoever has its file: processes that inherit or are passed
 * the descriptor, until the last one closes it, however the others died.
 */
#include <pthread.h>
#include <sys/socket.h>

#include "stress.h"
#include "walk.h"

static void inherit(void *context, int number)
{
	const int map = *(int *)context;
	struct label name = label("from child", number);

	expect(holds(map, text("from parent"), text("hello")));
	store(map, text(name.text), text(name.text));
}

static void inherited_descriptor(void)
{
	int map = open_map();

	store(map, text("from parent"), text("hello"));
	spawn_and_join(inherit, &map, 4);
	expect_eq(stats(map).entries, 5);
	expect(holds(map, text("from child 3"), text("from child 3")));
}

static void outlive_parent_descriptor(void *context, int number)
{
	const int map = *(int *)context;

	(void)number;
	/* The parent has closed its descriptor when this key is there. */
	while (!present(map, text("closing")))
		nap_ms(1);
	nap_ms(50);
	expect(holds(map, text("from parent"), text("hello")));
	store(map, text("alone"), text("still here"));
	expect(holds(map, text("alone"), text("still here")));
}

static void map_lives_in_the_last_descriptor(void)
{
	int map = open_map();

	store(map, text("from parent"), text("hello"));
	spawn(outlive_parent_descriptor, &map, 0);
	store(map, text("closing"), text(""));
	close(map);
	join(1);
}

/* Descriptors sent through a socket */

union control {
	char room[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

static void send_descriptor(int via, int descriptor)
{
	union control control = { .room = "" };
	struct iovec byte = { "", 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(descriptor));
	memcpy(CMSG_DATA(header), &descriptor, sizeof(descriptor));
	expect_eq(sendmsg(via, &message, 0), 1);
}

static int receive_descriptor(int via)
{
	union control control;
	char data;
	struct iovec byte = { &data, 1 };
	struct msghdr message = {
		.msg_iov = &byte,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control.room),
	};
	struct cmsghdr *header;
	int descriptor;

	expect_eq(recvmsg(via, &message, 0), 1);
	header = CMSG_FIRSTHDR(&message);
	expect(header && header->cmsg_type == SCM_RIGHTS);
	memcpy(&descriptor, CMSG_DATA(header), sizeof(descriptor));
	return descriptor;
}

/* Started before the map was opened: it has no other way to get at it. */
static void use_received(void *context, int number)
{
	const int via = *(int *)context;
	const int map = receive_descriptor(via);

	(void)number;
	expect(holds(map, text("question"), text("sent before closing")));
	store(map, text("answer"), text("from the receiver"));
	send_descriptor(via, map);
}

static void passed_descriptor(void)
{
	int sockets[2], map, back;

	expect(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	spawn(use_received, &sockets[1], 0);
	map = open_map();
	store(map, text("question"), text("sent before closing"));
	send_descriptor(sockets[0], map);
	/* In flight, the file is held by the socket alone. */
	close(map);
	back = receive_descriptor(sockets[0]);
	expect(holds(back, text("answer"), text("from the receiver")));
	join(1);
	expect_eq(stats(back).entries, 2);
}

/* Killed in the middle of calls */

#define KILLS		25
#define VICTIM_KEYS	4
#define VICTIM_WORDS	4096

/* What the victim was about to do with each key, and what it has done. */
struct ledger {
	int map;
	__u32 begun[VICTIM_KEYS];
	__u32 done[VICTIM_KEYS];
};

/* Odd steps store a version, even ones delete it. */
static void victim(void *context, int number)
{
	static __u32 words[VICTIM_WORDS];
	struct ledger *ledger = context;
	struct label name;
	__u32 step;
	int key;

	(void)number;
	for (key = 0;; key = (key + 1) % VICTIM_KEYS) {
		name = label("victim", key);
		step = ledger->done[key] + 1;
		__atomic_store_n(&ledger->begun[key], step, __ATOMIC_SEQ_CST);
		if (step % 2)
			store(ledger->map, text(name.text),
			      fill_value(words, sizeof(words), step));
		else
			expect(delete(ledger->map, text(name.text)));
		__atomic_store_n(&ledger->done[key], step, __ATOMIC_SEQ_CST);
	}
}

/* The key is as the last finished step left it, or the one after. */
static void check_victim_key(struct ledger *ledger, int key)
{
	static __u32 words[VICTIM_WORDS];
	struct label name = label("victim", key);
	int len = load(ledger->map, text(name.text), words, sizeof(words));
	__u32 done = ledger->done[key], begun = ledger->begun[key], found;

	if (len < 0) {
		expect(done % 2 == 0 || begun % 2 == 0);
		found = done % 2 ? begun : done;
	} else {
		expect_eq(len, sizeof(words));
		found = value_version(words, len);
		expect(found == done || found == begun);
	}
	ledger->done[key] = found;
	ledger->begun[key] = found;
}

static void kill_and_reap(pid_t child)
{
	const long long killed = now_ms();
	int status;

	kill(child, SIGKILL);
	expect_eq(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("the child ended before it was killed");
	expect(now_ms() - killed < 5000);
}

static void killed_in_calls(void)
{
	struct ledger *ledger = shared_memory(sizeof(*ledger));
	unsigned long long seed = random_seed();
	struct dump dump;
	pid_t child;
	int i, key;

	ledger->map = open_map();
	for (i = 0; i < KILLS; i++) {
		child = spawn(victim, ledger, 0);
		nap_ms(5 + next_random(&seed) % 40);
		kill_and_reap(child);
		for (key = 0; key < VICTIM_KEYS; key++)
			check_victim_key(ledger, key);
		disturb(ledger->map, i);
		dump = take_dump(ledger->map);
		free(dump.data);
	}
	diag("killed %d times after %u steps on each key", KILLS,
	     ledger->done[0]);
	expect(ledger->done[0] > KILLS);
}

/* A whole batch runs for longer than anyone wants to wait for a killed one. */
static void batch_victim(void *context, int number)
{
	struct syncmap_op *ops = calloc(SYNCMAP_BATCH_MAX, sizeof(*ops));
	static __u32 words[VICTIM_WORDS];
	struct syncmap_batch batch = {
		.size = sizeof(batch),
		.ops = address(ops),
		.count = SYNCMAP_BATCH_MAX,
	};
	struct ledger *ledger = context;
	int i;

	(void)number;
	expect(ops);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++) {
		ops[i] = new_op(text("batched"));
		ops[i].cmd = SYNCMAP_CMD_STORE;
		set_value(&ops[i], fill_value(words, sizeof(words), 0));
	}
	for (;;) {
		ledger->begun[0]++;
		expect_eq(call(ledger->map, SYNCMAP_IOC_BATCH, &batch), 0);
		expect_eq(batch.done, SYNCMAP_BATCH_MAX);
		ledger->done[0]++;
	}
}

static void killed_in_a_batch(void)
{
	struct ledger *ledger = shared_memory(sizeof(*ledger));
	static __u32 words[VICTIM_WORDS];
	pid_t child;
	int i;

	ledger->map = open_map();
	for (i = 0; i < 5; i++) {
		child = spawn(batch_victim, ledger, 0);
		while (ledger->begun[0] == ledger->done[0])
			nap_ms(1);
		nap_ms(20 + 10 * i);
		kill_and_reap(child);
		ledger->begun[0] = ledger->done[0];
		expect_eq(value_version(words,
					load(ledger->map, text("batched"),
					     words, sizeof(words))), 0);
		expect(delete(ledger->map, text("batched")));
		expect_eq(stats(ledger->map).entries, 0);
	}
}

/* A thread in a call keeps the map alive while another closes the file. */

struct closing {
	int map;
	int ret;
	struct syncmap_batch batch;
};

static void *run_closed_batch(void *context)
{
	struct closing *closing = context;

	closing->ret = call(closing->map, SYNCMAP_IOC_BATCH, &closing->batch);
	return NULL;
}

static void closed_during_a_call(void)
{
	struct syncmap_op *ops = calloc(SYNCMAP_BATCH_MAX, sizeof(*ops));
	struct closing closing = {
		.map = open_map(),
		.batch = {
			.size = sizeof(closing.batch),
			.ops = address(ops),
			.count = SYNCMAP_BATCH_MAX,
		},
	};
	pthread_t thread;
	int i;

	expect(ops);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++) {
		ops[i] = new_op(text("key"));
		ops[i].cmd = SYNCMAP_CMD_STORE;
		set_value(&ops[i], text("value"));
	}
	expect(!pthread_create(&thread, NULL, run_closed_batch, &closing));
	while (__atomic_load_n(&ops[0].error, __ATOMIC_RELAXED) == UNTOUCHED)
		sched_yield();
	expect(!close(closing.map));
	expect_eq(fcntl(closing.map, F_GETFD), -1);
	i = __atomic_load_n(&ops[SYNCMAP_BATCH_MAX - 1].error,
			    __ATOMIC_RELAXED) == UNTOUCHED;
	diag("closed %s the batch ended", i ? "before" : "after");
	pthread_join(thread, NULL);
	expect_eq(closing.ret, 0);
	expect_eq(closing.batch.done, SYNCMAP_BATCH_MAX);
	for (i = 0; i < SYNCMAP_BATCH_MAX; i++)
		expect_eq(ops[i].error, 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "inherited descriptor", inherited_descriptor },
		{ "map lives in its last descriptor",
		  map_lives_in_the_last_descriptor },
		{ "descriptor passed through a socket", passed_descriptor },
		{ "killed in the middle of calls", killed_in_calls },
		{ "killed in the middle of a batch", killed_in_a_batch },
		{ "closed during a call", closed_during_a_call },
	};

	return tap_run(cases, ARRAY_SIZE(cases), argc, argv);
}
