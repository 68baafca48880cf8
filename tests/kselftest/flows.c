// SPDX-License-Identifier: GPL-2.0
/*
 * The sample flows.ko: flows are learnt in softirq context, from real traffic of
 * this process on the loopback interface, and each of its packets is counted.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "module.h"

#define TABLE		"/proc/net/flows"
#define REFUSED		"/sys/module/flows/parameters/refused"
#define HEADER		"proto source destination packets bytes idle_ms\n"

/* Addresses of the loopback interface; nobody listens at most of these ports. */
#define HERE		0x7f000105
#define THERE		0x7f000106
#define PORT		10000

#define MANY		2000
#define MOST		4000

/* What a packet has besides the bytes that are sent over UDP. */
#define HEADERS		(20 + 8)

/* How long an idle flow stays, where that matters. */
#define IDLE_MS		(1000 * patience())

/* What is longer than a tick. */
#define TICK_MS		20

static int flows_file;

/* 0 or -errno. */
static int load_flows(const char *parameters)
{
	const int ret = syscall(SYS_finit_module, flows_file, parameters, 0);

	return ret ? -errno : 0;
}

/* 0 or -errno; does not have to wait for who reads the table. */
static int unload_flows(void)
{
	return syscall(SYS_delete_module, "flows", 0) ? -errno : 0;
}

static void need_flows(const char *parameters)
{
	flows_file = open_module("SYNCMAP_FLOWS_KO", "test_modules/flows.ko");
	unload_flows(); /* a case that failed half-way has left it */
	expect_eq(load_flows(parameters), 0);
}

static int refused(void)
{
	FILE *file = fopen(REFUSED, "r");
	int count;

	expect(file && fscanf(file, "%d", &count) == 1);
	fclose(file);
	return count;
}

struct end {
	in_addr_t address;
	in_port_t port;
};

struct row {
	char proto[4];
	struct end from, to;
	unsigned long long packets, bytes;
	unsigned int idle_ms;
};

static struct row table[MOST];

static struct end end_of(const char *text)
{
	struct in_addr address;
	char dotted[16];
	in_port_t port;

	if (sscanf(text, "%15[0-9.]:%hu", dotted, &port) != 2 ||
	    !inet_aton(dotted, &address))
		fail("%s is no address and port", text);
	return (struct end) { ntohl(address.s_addr), port };
}

static int compare_ends(const struct end *a, const struct end *b)
{
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	return 0;
}

static int compare_rows(const void *one, const void *other)
{
	const struct row *a = one, *b = other;
	int order = compare_ends(&a->to, &b->to);

	order = order ? order : compare_ends(&a->from, &b->from);
	return order ? order : strcmp(a->proto, b->proto);
}

/* Reads what there is into table[], by ports; how many flows, all different. */
static int parse(FILE *file)
{
	char line[128], from[24], to[24], rest;
	int count = 0, i;
	struct row *row;

	if (!fgets(line, sizeof(line), file))
		return -1;
	expect(!strcmp(line, HEADER));
	while (fgets(line, sizeof(line), file)) {
		expect(count < MOST);
		row = &table[count++];
		if (sscanf(line, "%3s %23s %23s %llu %llu %u%c", row->proto,
			   from, to, &row->packets, &row->bytes,
			   &row->idle_ms, &rest) != 7 || rest != '\n')
			fail("no flow: %s", line);
		row->from = end_of(from);
		row->to = end_of(to);
	}
	qsort(table, count, sizeof(table[0]), compare_rows);
	for (i = 1; i < count; i++)
		expect(compare_rows(&table[i - 1], &table[i]));
	return count;
}

static int read_table(void)
{
	FILE *file = fopen(TABLE, "r");
	int count;

	expect(file);
	count = parse(file);
	expect(count >= 0 && !ferror(file));
	fclose(file);
	return count;
}

static unsigned long long packets_in(int count)
{
	unsigned long long sum = 0;

	while (count--)
		sum += table[count].packets;
	return sum;
}

/* Waits until as many packets have come, counted or refused; how many flows. */
static int await_packets(unsigned long long packets)
{
	const long long deadline = now_ms() + 5000 * patience();
	unsigned long long seen;
	int count;

	do {
		count = read_table();
		seen = packets_in(count) + refused();
		if (seen >= packets)
			break;
		nap_ms(5);
	} while (now_ms() < deadline);
	expect_eq(seen, packets);
	return count;
}

static void await_end_of_all(void)
{
	const long long deadline = now_ms() + 10 * IDLE_MS;

	while (read_table()) {
		if (now_ms() > deadline)
			fail("%d flows do not go", read_table());
		nap_ms(5);
	}
}

static struct sockaddr_in at(struct end end)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(end.address),
		.sin_port = htons(end.port),
	};
}

/* A socket with an address, and a port that nobody else has. */
static int bound(int type, in_addr_t address, struct end *end)
{
	const int bound = socket(AF_INET, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in here = at((struct end) { address, 0 });
	socklen_t len = sizeof(here);

	expect(bound >= 0);
	expect(!bind(bound, (const void *)&here, sizeof(here)));
	expect(!getsockname(bound, (void *)&here, &len));
	*end = (struct end) { address, ntohs(here.sin_port) };
	return bound;
}

static void send_bytes(int udp, struct end end, size_t len)
{
	static const char data[1400];
	const struct sockaddr_in to = at(end);

	expect_eq(sendto(udp, data, len, 0, (const void *)&to, sizeof(to)), len);
}

/* A packet to each of these ports, no faster than softirqs take them. */
static void send_to_each(int udp, int first, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		send_bytes(udp, (struct end) { THERE, PORT + first + i }, 1);
		if (i % 100 == 99)
			nap_ms(1);
	}
}

/* One flow for each of the ports, with so many packets of one byte. */
static void expect_each(int count, struct end from, int first, int packets)
{
	int i;

	for (i = 0; i < count; i++) {
		expect_eq(table[i].from.address, from.address);
		expect_eq(table[i].from.port, from.port);
		expect_eq(table[i].to.address, THERE);
		expect_eq(table[i].to.port, PORT + first + i);
		expect_eq(table[i].packets, packets);
		expect_eq(table[i].bytes, packets * (HEADERS + 1));
		expect(!strcmp(table[i].proto, "udp"));
	}
}

/* Each part of a key makes another flow of it; and there are no others. */
static void exactly_the_flows(void)
{
	static const struct end to[] = {
		{ HERE, PORT }, { THERE, PORT }, { THERE, PORT + 1 },
	};
	struct end from[2];
	const int udp[] = {
		bound(SOCK_DGRAM, HERE, &from[0]),
		bound(SOCK_DGRAM, THERE, &from[1]),
	};
	unsigned long long packets[2][3] = {}, bytes[2][3] = {};
	int i, j, k, count, sum = 0;
	const struct row *row;

	need_flows("");
	expect_eq(read_table(), 0);
	for (k = 0; k < 20; k++)
		for (i = 0; i < 2; i++)
			for (j = 0; j < 3; j++) {
				if ((k * (i + 1)) % (j + 2))
					continue;
				send_bytes(udp[i], to[j], 1 + 67 * k);
				bytes[i][j] += HEADERS + 1 + 67 * k;
				packets[i][j]++;
				sum++;
			}
	count = await_packets(sum);
	expect_eq(count, 6);
	for (k = 0; k < count; k++) {
		row = &table[k];
		i = row->from.address == HERE ? 0 : 1;
		j = row->to.address == HERE ? 0 : 1 + row->to.port - PORT;
		expect(j < 3);
		expect_eq(row->from.address, from[i].address);
		expect_eq(row->from.port, from[i].port);
		expect_eq(row->to.port, to[j].port);
		expect(!strcmp(row->proto, "udp"));
		expect_eq(row->packets, packets[i][j]);
		expect_eq(row->bytes, bytes[i][j]);
	}
	expect_eq(refused(), 0);
	expect_eq(unload_flows(), 0);
}

static struct tcp_info tcp_info(int tcp)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	expect(!getsockopt(tcp, IPPROTO_TCP, TCP_INFO, &info, &len));
	return info;
}

static int listening(struct end *end)
{
	const int tcp = bound(SOCK_STREAM, THERE, end);

	expect(!listen(tcp, 1));
	return tcp;
}

static void say_and_hear(int one, int other, const char *word)
{
	char heard[16];

	expect_eq(send(one, word, strlen(word), 0), strlen(word));
	expect_eq(recv(other, heard, sizeof(heard), 0), strlen(word));
}

/* The two flows of a connection have the packets that its ends have seen. */
static void tcp_connection(void)
{
	struct end ends[2];
	const int server = listening(&ends[1]);
	const int client = bound(SOCK_STREAM, HERE, &ends[0]);
	const struct sockaddr_in to = at(ends[1]);
	unsigned int came[2], i, k;
	int peer;

	need_flows("");
	expect(!connect(client, (const void *)&to, sizeof(to)));
	peer = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	expect(peer >= 0);
	for (i = 0; i < 10; i++) {
		say_and_hear(client, peer, "question");
		say_and_hear(peer, client, "answer");
	}
	/* Some acknowledgements come late. */
	nap_ms(500 * patience());
	came[0] = tcp_info(peer).tcpi_segs_in;
	came[1] = tcp_info(client).tcpi_segs_in;
	expect(came[0] > 10 && came[1] > 10);
	expect_eq(await_packets(came[0] + came[1]), 2);
	for (i = 0; i < 2; i++) {
		k = table[i].from.address == HERE ? 0 : 1;
		expect_eq(table[i].from.address, ends[k].address);
		expect_eq(table[i].from.port, ends[k].port);
		expect_eq(table[i].to.address, ends[!k].address);
		expect_eq(table[i].to.port, ends[!k].port);
		expect_eq(table[i].packets, came[k]);
		expect(table[i].bytes > 10 * (20 + 20 + strlen("answer")));
		expect(!strcmp(table[i].proto, "tcp"));
	}
	diag("%u packets there, %u back", came[0], came[1]);
	expect_eq(unload_flows(), 0);
}

static void none_lost(void)
{
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE, &from);
	int round;

	need_flows("");
	for (round = 1; round <= 3; round++) {
		send_to_each(udp, 0, MANY);
		expect_eq(await_packets(round * MANY), MANY);
		expect_each(MANY, from, 0, round);
	}
	expect_eq(refused(), 0);
	expect_eq(unload_flows(), 0);
}

#define RACERS	2

struct race {
	int udp;
	int arrived;
};

/* Sends a first packet at the same time as the other. */
static void send_in_step(void *context, int number)
{
	struct race *race = context;
	int i, waited;

	for (i = 0; i < MANY; i++) {
		__atomic_add_fetch(&race->arrived, 1, __ATOMIC_SEQ_CST);
		for (waited = 0; __atomic_load_n(&race->arrived, __ATOMIC_SEQ_CST) <
				 RACERS * (i + 1); waited++)
			if (waited % 1000 == 999)
				sched_yield();
		send_to_each(race->udp, i, 1);
	}
	(void)number;
}

/* They meet at flows that neither has learnt yet. */
static void none_lost_while_racing(void)
{
	struct race *race = shared_memory(sizeof(*race));
	struct end from;

	need_flows("");
	race->udp = bound(SOCK_DGRAM, HERE, &from);
	spawn_and_join(send_in_step, race, RACERS);
	expect_eq(await_packets(RACERS * MANY), MANY);
	expect_each(MANY, from, 0, RACERS);
	expect_eq(refused(), 0);
	expect_eq(unload_flows(), 0);
}

/* A flow in each millisecond. */
static void send_more(void *context, int number)
{
	const long long begin = now_ms();
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE, &from);
	int i;

	for (i = 0; i < MANY; i++) {
		while (now_ms() < begin + i)
			nap_ms(1);
		send_to_each(udp, i, 1);
	}
	(void)context;
	(void)number;
}

/* Whoever reads sees every flow that is there throughout, and none twice. */
static void read_while_learning(void)
{
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE, &from);
	int i, reads = 0, count, before, kept;

	need_flows("");
	send_to_each(udp, 0, MANY / 2);
	before = await_packets(MANY / 2);
	expect_eq(before, MANY / 2);
	spawn(send_more, NULL, 0);
	do {
		count = read_table();
		kept = 0;
		for (i = 0; i < count; i++)
			kept += table[i].from.port == from.port;
		expect_eq(kept, MANY / 2);
		expect(count >= before);
		before = count;
		reads++;
	} while (count < MANY / 2 + MANY);
	join(1);
	diag("%d reads, %d flows", reads, count);
	expect_eq(await_packets(MANY / 2 + MANY), MANY / 2 + MANY);
	expect_eq(unload_flows(), 0);
}

static struct label parameters(int max_entries, int idle_ms)
{
	struct label text;

	snprintf(text.text, sizeof(text.text), "max_entries=%d idle_ms=%d",
		 max_entries, idle_ms);
	return text;
}

static void idle_ones_go(void)
{
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE, &from);
	long long last;
	int sent;

	need_flows("idle_ms=1");
	expect_eq(unload_flows(), 0);
	expect_eq(load_flows("idle_ms=0"), -EINVAL);
	expect_eq(load_flows(parameters(0, IDLE_MS).text), 0);
	/* Those that are idle go, not too soon; the other keeps its counts. */
	last = now_ms();
	send_to_each(udp, 0, 100);
	expect_eq(await_packets(100), 100);
	for (sent = 0; now_ms() < last + 3 * IDLE_MS; sent++) {
		send_to_each(udp, 0, 1);
		nap_ms(IDLE_MS / 50);
		if (read_table() < 100)
			expect(now_ms() >= last + IDLE_MS - TICK_MS);
	}
	expect_eq(read_table(), 1);
	expect_each(1, from, 0, 1 + sent);
	expect(table[0].idle_ms < (unsigned int)IDLE_MS);
	last = now_ms();
	send_to_each(udp, 0, 1);
	await_end_of_all();
	expect(now_ms() >= last + IDLE_MS - TICK_MS);
	/* What comes back counts anew. */
	send_to_each(udp, 0, 1);
	expect_eq(await_packets(1), 1);
	expect_each(1, from, 0, 1);
	expect_eq(unload_flows(), 0);
}

static void no_more_than_max_entries(void)
{
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE, &from);

	need_flows("max_entries=100");
	send_to_each(udp, 0, 150);
	expect_eq(await_packets(150), 100);
	expect_each(100, from, 0, 1);
	expect_eq(refused(), 50);
	/* Those that are there are counted on. */
	send_to_each(udp, 0, 100);
	expect_eq(await_packets(250), 100);
	expect_each(100, from, 0, 2);
	expect_eq(refused(), 50);
	/* Those that go leave room for others. */
	expect_eq(unload_flows(), 0);
	expect_eq(load_flows(parameters(100, IDLE_MS).text), 0);
	send_to_each(udp, 0, 101);
	expect_eq(await_packets(101), 100);
	expect_eq(refused(), 1);
	await_end_of_all();
	send_to_each(udp, 100, 100);
	expect_eq(await_packets(101), 100);
	expect_each(100, from, 100, 1);
	expect_eq(refused(), 1);
	expect_eq(unload_flows(), 0);
}

#define SENDERS	4

static void send_to_some(void *udp, int number)
{
	send_to_each(*(const int *)udp, number * 100, 100);
}

static void no_more_than_max_entries_while_racing(void)
{
	struct end from;
	int udp = bound(SOCK_DGRAM, HERE, &from);
	int round;

	for (round = 0; round < 10; round++) {
		need_flows("max_entries=150");
		spawn_and_join(send_to_some, &udp, SENDERS);
		expect_eq(await_packets(100 * SENDERS), 150);
		expect_eq(refused(), 100 * SENDERS - 150);
		expect_eq(unload_flows(), 0);
		close(flows_file);
	}
}

static void send_steadily(void *context, int number)
{
	const int *stop = context;
	struct end from;
	const int udp = bound(SOCK_DGRAM, HERE + number, &from);
	int i;

	for (i = 0; !__atomic_load_n(stop, __ATOMIC_RELAXED); i++)
		send_bytes(udp, (struct end) { THERE, PORT + i % MANY }, 1);
}

/* The module may go at any time; as far as it can be read, a line is whole. */
static void read_steadily(void *context, int number)
{
	const int *stop = context;
	FILE *file;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		file = fopen(TABLE, "r");
		if (!file)
			continue;
		parse(file);
		fclose(file);
	}
	(void)number;
}

/* The hook comes and goes, and syncmap itself, with packets in flight. */
static void loaded_and_unloaded_under_traffic(void)
{
	int *stop = shared_memory(sizeof(*stop));
	int i;

	need_loading();
	need_flows("");
	for (i = 0; i < 2; i++)
		spawn(send_steadily, stop, i);
	spawn(read_steadily, stop, 0);
	for (i = 0; i < 20; i++) {
		while (!read_table())
			nap_ms(1);
		nap_ms(20);
		/* Refused while a module is there that uses it. */
		expect(unload_module());
		expect_eq(unload_flows(), 0);
		if (i % 5 == 4) {
			expect_eq(unload_module_soon(), 0);
			expect_eq(load_module(""), 0);
		}
		/* In turn, much that goes, much that is refused, and neither. */
		expect_eq(load_flows(i % 3 == 0 ? "idle_ms=1" :
				     i % 3 == 1 ? "max_entries=50" : ""), 0);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	join(3);
	expect_eq(unload_flows(), 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "exactly the flows", exactly_the_flows },
		{ "a TCP connection", tcp_connection },
		{ "2000 flows, none lost", none_lost },
		{ "2000 flows, none lost while racing", none_lost_while_racing },
		{ "read while learning", read_while_learning },
		{ "idle ones go", idle_ones_go },
		{ "no more than max_entries", no_more_than_max_entries },
		{ "no more than max_entries while racing",
		  no_more_than_max_entries_while_racing },
		{ "loaded and unloaded under traffic",
		  loaded_and_unloaded_under_traffic },
	};
	const int ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);

	/* A case that failed half-way must not leave it to others. */
	unload_flows();
	if (!no_loading() && !module_loaded())
		load_module("");
	return ret;
}
