/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A process of the fuzzer: threads that call, one that knows what comes out,
 * and one that takes memory away from under them.
 */
#ifndef SYNCMAP_FUZZ_WORKER_H
#define SYNCMAP_FUZZ_WORKER_H

#include <malloc.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "../kselftest/inject.h"
#include "generate.h"
#include "tally.h"

#define CALLERS		2
#define THREADS		(CALLERS + 1)
#define WORKERS_MAX	16

/* Files that all processes begin with, and those that are one process's own. */
#define SHARED_FILES	6
#define OWN_FILES	10
#define FILES		(SHARED_FILES + OWN_FILES)
/* Their numbers; low ones are for everything else. */
#define FIRST_FILE	200

/* Users to be, besides root. */
#define FIRST_USER	1001
#define USERS		3

/* What a thread is doing, for who watches. */
struct pulse {
	long long since;
	int row;
	pid_t thread;
};

/* Memory that all processes share. */
struct fuzz {
	struct tally tally;
	unsigned long long seed;
	long long calls_left;
	/* The time, which not everybody need ask for. */
	long long now;
	long long end;
	bool faults;
	int sockets[2];
	/* Set where results were not what they must be. */
	int wrong;
	unsigned long long checked;
	struct pulse pulses[WORKERS_MAX][THREADS];
};

static struct fuzz *fuzz;

struct caller {
	pthread_t thread;
	int worker, number;
	struct arguments *args;
	int nth;
	unsigned int user;
};

static inline long long clock_now(void)
{
	return __atomic_load_n(&fuzz->now, __ATOMIC_RELAXED);
}

static inline bool goes_on(void)
{
	return __atomic_load_n(&fuzz->calls_left, __ATOMIC_RELAXED) > 0 &&
	       !__atomic_load_n(&fuzz->wrong, __ATOMIC_RELAXED) &&
	       clock_now() < fuzz->end;
}

static inline struct pulse *pulse_of(const struct caller *caller)
{
	return &fuzz->pulses[caller->worker][caller->number];
}

static inline void begin_call(struct caller *caller, int row)
{
	struct pulse *pulse = pulse_of(caller);

	pulse->row = row;
	__atomic_store_n(&pulse->since, clock_now(), __ATOMIC_RELEASE);
}

static inline void end_call(struct caller *caller)
{
	__atomic_store_n(&pulse_of(caller)->since, 0, __ATOMIC_RELEASE);
	__atomic_fetch_sub(&fuzz->calls_left, 1, __ATOMIC_RELAXED);
}

/*
 * Lets the @nth allocation or copy fail; 0 for none, which is mostly so. Signals
 * stay out meanwhile: a frame for a handler that cannot be copied to the stack is
 * the end of the process.
 */
static inline void set_nth(struct caller *caller, int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", nth);
	sigset_t signals;

	if (caller->nth < 0)
		return;
	sigemptyset(&signals);
	sigaddset(&signals, SIGALRM);
	if (nth)
		pthread_sigmask(SIG_BLOCK, &signals, NULL);
	while (pwrite(caller->nth, text, len, 0) != len)
		;
	if (!nth)
		pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
}

/* The thread's own effect: another user for files and names that it makes. */
static inline void become(struct caller *caller, unsigned int user)
{
	uid_t uid = user ? FIRST_USER + user - 1 : 0;

	if (user == caller->user)
		return;
	/* glibc would change all threads. */
	syscall(SYS_setresuid, -1, 0, -1);
	syscall(SYS_setresuid, -1, uid, -1);
	caller->user = user;
}

static inline int any_file(struct arguments *args)
{
	return FIRST_FILE + pick(args, FILES);
}

static inline int own_file(struct arguments *args)
{
	return FIRST_FILE + SHARED_FILES + pick(args, OWN_FILES);
}

/* Puts an open file in a place of the process's own. */
static inline void take_file(struct arguments *args, int file)
{
	if (file < 0)
		return;
	dup3(file, own_file(args), O_CLOEXEC);
	close(file);
}

static inline void open_anew(struct arguments *args)
{
	static const int modes[] = {
		O_RDWR, O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY,
		O_ACCMODE,
	};

	take_file(args, try_open(modes[pick(args, ARRAY_SIZE(modes))]));
}

union passed {
	char space[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* A file goes to whoever takes it, or comes from whoever has given it. */
static inline void pass_file(struct arguments *args, bool give)
{
	union passed passed = { .space = "" };
	char byte = 0;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &passed,
		.msg_controllen = sizeof(passed),
	};
	struct cmsghdr *head;
	int file = any_file(args);

	if (give) {
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(head), &file, sizeof(int));
		sendmsg(fuzz->sockets[0], &message, MSG_DONTWAIT);
		return;
	}
	if (recvmsg(fuzz->sockets[1], &message,
		    MSG_DONTWAIT | MSG_CMSG_CLOEXEC) < 0)
		return;
	head = CMSG_FIRSTHDR(&message);
	if (!head || head->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&file, CMSG_DATA(head), sizeof(int));
	take_file(args, file);
}

/* System calls that the device does not know. */
static inline void other_call(struct arguments *args)
{
	int file = any_file(args);

	switch (pick(args, 5)) {
	case 0:
		if (read(file, args->buf, 8) > 0)
			__atomic_store_n(&fuzz->wrong, __LINE__,
					 __ATOMIC_RELAXED);
		break;
	case 1:
		if (write(file, args->buf, 8) > 0)
			__atomic_store_n(&fuzz->wrong, __LINE__,
					 __ATOMIC_RELAXED);
		break;
	case 2:
		if (mmap(NULL, PAGE, PROT_READ, MAP_SHARED, file, 0) !=
		    MAP_FAILED)
			__atomic_store_n(&fuzz->wrong, __LINE__,
					 __ATOMIC_RELAXED);
		break;
	case 3:
		lseek(file, 0, SEEK_CUR);
		break;
	default:
		fcntl(file, F_SETFL, O_NONBLOCK);
	}
}

static inline void fuzz_call(struct caller *caller);

/* A child that uses what it inherits, for a few calls. */
static inline void fork_once(struct caller *caller)
{
	pid_t child = fork();
	int i;

	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		caller->nth = -1;
		for (i = 0; i < 20; i++)
			fuzz_call(caller);
		_exit(0);
	}
	if (child > 0)
		while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
			;
}

/* Something happens to files, users or processes. */
static inline void fuzz_files(struct caller *caller)
{
	struct arguments *args = caller->args;

	switch (pick(args, 64)) {
	case 0 ... 23:
		open_anew(args);
		break;
	case 24 ... 31:
		dup3(any_file(args), own_file(args), O_CLOEXEC);
		break;
	case 32 ... 39:
		pass_file(args, pick(args, 2));
		break;
	case 40 ... 41:
		close(own_file(args));
		break;
	case 42 ... 47:
		other_call(args);
		break;
	case 48:
		/* Which takes the right to write from pages, for a time. */
		fork_once(caller);
		break;
	default:
		become(caller, pick(args, 3) ? 0 : pick(args, USERS + 1));
	}
}

static inline __u32 random_cmd(struct arguments *args)
{
	/* What changes keys comes more often. */
	if (pick(args, 3))
		return pick(args, KEY_COMMANDS);
	/* And what would undo all that, rarely. */
	if (once_in(args, 3))
		return SYNCMAP_CMD_BATCH;
	return KEY_COMMANDS + pick(args, SYNCMAP_CMD_LIST + 1 - KEY_COMMANDS);
}

static inline void count_batch(struct arguments *args, int ret, bool spoiled)
{
	int error;
	__u32 i, cmd;

	if (ret || args->passed_ops != args->ops ||
	    args->batch.done > args->batch.count)
		return;
	for (i = 0; i < args->batch.done && i < FUZZ_OPS; i++) {
		cmd = args->ops[i].cmd;
		error = args->ops[i].error;
		/* Values may have been written over other operations. */
		if (spoiled && (cmd >= KEY_COMMANDS || error > 0 ||
				error < -4095))
			continue;
		count_call(&fuzz->tally, ROW_BATCHED + cmd, error);
	}
}

static inline unsigned long random_request(struct arguments *args)
{
	static const unsigned long known[] = {
		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LIST + 1),
		_IO(SYNCMAP_IOC_TYPE, 0xff),
		_IOWR(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LOAD, struct syncmap_op),
		_IO(SYNCMAP_IOC_TYPE + 1, SYNCMAP_CMD_LOAD),
		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LOAD) | 1U << 16,
	};

	return known[pick(args, ARRAY_SIZE(known))];
}

static inline void fuzz_call(struct caller *caller)
{
	struct arguments *args = caller->args;
	const bool fails = fuzz->faults && once_in(args, 8);
	__u32 cmd = random_cmd(args);
	int file = any_file(args);
	bool spoiled;
	void *at;
	int ret;

	if (once_in(args, 256)) {
		begin_call(caller, ROW_UNKNOWN);
		ret = call(file, random_request(args), args->bytes);
		count_call(&fuzz->tally, ROW_UNKNOWN, ret);
		end_call(caller);
		return;
	}
	spoiled = once_in(args, 3);
	if (cmd == SYNCMAP_CMD_CLEAR && !spoiled && pick(args, 8))
		cmd = SYNCMAP_CMD_STATS;
	make_argument(args, cmd);
	if (spoiled)
		spoil(args, cmd);
	at = place_argument(args, cmd);
	begin_call(caller, cmd);
	if (fails)
		set_nth(caller, 1 + pick(args, 12));
	ret = call(file, request_of(cmd), at);
	if (fails)
		set_nth(caller, 0);
	count_call(&fuzz->tally, cmd, ret);
	end_call(caller);
	if (cmd == SYNCMAP_CMD_BATCH && at == args->bytes)
		count_batch(args, ret, spoiled);
}

static inline void *caller_thread(void *context)
{
	struct caller *caller = context;

	caller->nth = fuzz->faults ? open(FAIL_NTH, O_WRONLY | O_CLOEXEC) : -1;
	while (goes_on()) {
		if (once_in(caller->args, 24))
			fuzz_files(caller);
		else if (once_in(caller->args, 64))
			shake(caller->args->places, &caller->args->random);
		else
			fuzz_call(caller);
	}
	return NULL;
}

/* Has the memory of all callers. */
struct shaker {
	struct caller *callers;
	unsigned long long random;
};

static inline void *shaker_thread(void *context)
{
	struct shaker *shaker = context;
	int i, j;

	while (goes_on()) {
		for (i = 0; i < THREADS; i++) {
			for (j = 0; j < 64; j++)
				flip(shaker->callers[i].args->places,
				     &shaker->random);
			shake(shaker->callers[i].args->places,
			      &shaker->random);
		}
		/* Not always asleep, and not always running. */
		if (next_random(&shaker->random) % 2)
			nap_ms(next_random(&shaker->random) % 2);
	}
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
}

/* Signals that interrupt calls, every few milliseconds. */
static inline void begin_signals(unsigned int ms)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct itimerval timer = {
		.it_interval.tv_usec = 1000 * ms,
		.it_value.tv_usec = 1000 * ms,
	};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
}

static inline struct arguments *new_arguments(unsigned long long random)
{
	struct arguments *args = map_pages(-1, sizeof(*args) / PAGE + 1,
					   PROT_READ | PROT_WRITE);
	struct places *places = malloc(sizeof(*places));

	if (!args || !places || !new_places(places))
		fail("no memory for arguments: %s", strerror(errno));
	memset(args, 0, sizeof(*args));
	args->random = random | !random;
	args->places = places;
	memset(args->value, 'v', sizeof(args->value));
	return args;
}

static inline void *oracle_thread(void *context);

/* The life of a process: until all calls are made, or it is killed. */
static inline void work(int worker, unsigned long long seed)
{
	struct caller callers[THREADS];
	struct shaker shaker = { .callers = callers, .random = seed };
	pthread_t shaking;
	int i;

	/* Memory comes from the heap alone, so that holes stay holes. */
	mallopt(M_MMAP_MAX, 0);
	mallopt(M_ARENA_MAX, 1);
	for (i = 0; i < THREADS; i++) {
		callers[i] = (struct caller) {
			.worker = worker,
			.number = i,
			.args = new_arguments(seed * (2 * i + 1)),
		};
		/* The first numbers of neighbouring seeds are alike. */
		next_random(&callers[i].args->random);
		pulse_of(&callers[i])->since = 0;
	}
	for (i = 0; i < OWN_FILES; i++)
		open_anew(callers[0].args);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&callers[i].thread, NULL, i < CALLERS ?
				   caller_thread : oracle_thread, &callers[i]))
			fail("no thread");
	if (pthread_create(&shaking, NULL, shaker_thread, &shaker))
		fail("no thread");
	begin_signals(1 + seed % 20);
	for (i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	pthread_join(shaking, NULL);
}

#endif /* SYNCMAP_FUZZ_WORKER_H */
