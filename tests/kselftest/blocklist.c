// SPDX-License-Identifier: GPL-2.0
/*
 * The sample blocklist.ko: packets are dropped in softirq context by what this
 * process writes into a named map, with real traffic; every packet is counted.
 */
#define _GNU_SOURCE

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "module.h"
#include "stress.h"

#define MAP		"blocklist"
#define DROPPED		"/sys/module/blocklist/parameters/dropped"
#define PACKETS		500

/* Addresses of the loopback interface. */
#define BLOCKED		0x7f000009
#define FREE		0x7f000008
#define TOGGLED		0x7f000007
#define TARGET		0x7f000001

static int blocklist_file;

/* 0 or -errno. */
static int load_blocklist(void)
{
	const int ret = syscall(SYS_finit_module, blocklist_file, "", 0);

	return ret ? -errno : 0;
}

static int unload_blocklist(void)
{
	return syscall(SYS_delete_module, "blocklist", 0) ? -errno : 0;
}

static void need_blocklist(void)
{
	blocklist_file = open_module("SYNCMAP_BLOCKLIST_KO",
				     "test_modules/blocklist.ko");
	expect_eq(load_blocklist(), 0);
}

static unsigned long dropped(void)
{
	FILE *file = fopen(DROPPED, "r");
	unsigned long count;

	expect(file && fscanf(file, "%lu", &count) == 1);
	fclose(file);
	return count;
}

static int open_blocklist(void)
{
	const int map = open_map();

	expect_eq(attach(map, MAP, 0), 0);
	return map;
}

static void block(int map, in_addr_t address)
{
	const in_addr_t key = htonl(address);

	store(map, bytes(&key, sizeof(key)), text("1"));
}

static bool unblock(int map, in_addr_t address)
{
	const in_addr_t key = htonl(address);

	return delete(map, bytes(&key, sizeof(key)));
}

static struct sockaddr_in at(in_addr_t address, in_port_t port)
{
	return (struct sockaddr_in) {
		.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(address),
		.sin_port = port,
	};
}

static int bound(in_addr_t address)
{
	const struct sockaddr_in here = at(address, 0);
	const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int room = 1 << 20;

	expect(udp >= 0);
	expect(!bind(udp, (const void *)&here, sizeof(here)));
	setsockopt(udp, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room));
	return udp;
}

static int receiver(in_port_t *port)
{
	const int udp = bound(TARGET);
	struct sockaddr_in here;
	socklen_t len = sizeof(here);

	expect(!getsockname(udp, (void *)&here, &len));
	*port = here.sin_port;
	return udp;
}

static void send_one(int udp, in_port_t port)
{
	const struct sockaddr_in to = at(TARGET, port);

	expect_eq(sendto(udp, "x", 1, 0, (const void *)&to, sizeof(to)), 1);
}

/* Receives all that has arrived; how many, all from this address. */
static int receive(int udp, in_addr_t from)
{
	struct sockaddr_in source;
	socklen_t len;
	int count = 0;
	char byte;

	for (;;) {
		len = sizeof(source);
		if (recvfrom(udp, &byte, 1, MSG_DONTWAIT, (void *)&source,
			     &len) < 0) {
			expect_eq(errno, EAGAIN);
			return count;
		}
		if (from && ntohl(source.sin_addr.s_addr) != from)
			fail("a packet from %s came through",
			     inet_ntoa(source.sin_addr));
		count++;
	}
}

/* Packets from both addresses, in turn: those of one of them are dropped. */
static void expect_exact(int rounds)
{
	const int blocked = bound(BLOCKED), free_one = bound(FREE);
	unsigned long before;
	in_port_t port;
	int to = receiver(&port), round, i, came;

	for (round = 0; round < rounds; round++) {
		before = dropped();
		came = 0;
		for (i = 0; i < PACKETS; i++) {
			send_one(blocked, port);
			send_one(free_one, port);
			if (i % 50 == 49)
				came += receive(to, FREE);
		}
		nap_ms(10);
		came += receive(to, FREE);
		expect_eq(came, PACKETS);
		expect_eq(dropped() - before, PACKETS);
	}
	close(blocked);
	close(free_one);
	close(to);
}

static void exact_counts(void)
{
	in_port_t port;
	int map, to, from, i;

	need_blocklist();
	map = open_blocklist();
	block(map, BLOCKED);
	expect_exact(3);
	/* The next packet after a change sees it. */
	to = receiver(&port);
	from = bound(BLOCKED);
	for (i = 0; i < 200; i++) {
		expect(unblock(map, BLOCKED));
		send_one(from, port);
		expect_eq(receive(to, BLOCKED), 1);
		block(map, BLOCKED);
		send_one(from, port);
		expect_eq(receive(to, BLOCKED), 0);
	}
	expect(unblock(map, BLOCKED));
	expect_eq(unload_blocklist(), 0);
}

static void change_others(void *context, int number)
{
	unsigned long long random = number + 1;
	const int map = open_blocklist();
	const int *stop = context;
	in_addr_t other;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		other = 0x7f010000 + next_random(&random) % 2000;
		if (next_random(&random) % 2)
			block(map, other);
		else
			unblock(map, other);
	}
}

/* Promotions, new segments and sweeps go on meanwhile. */
static void exact_while_others_change(void)
{
	int *stop = shared_memory(sizeof(*stop));
	int map, i;

	need_blocklist();
	map = open_blocklist();
	block(map, BLOCKED);
	for (i = 0; i < 2; i++)
		spawn(change_others, stop, i);
	expect_exact(10);
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	join(2);
	diag("%llu promotions, %llu expunged",
	     (unsigned long long)stats(map).promotions,
	     (unsigned long long)stats(map).expunged);
	clear(map);
	expect_eq(unload_blocklist(), 0);
}

static void toggle(void *context, int number)
{
	const int map = open_blocklist();
	const int *stop = context;

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		block(map, TOGGLED);
		unblock(map, TOGGLED);
	}
	(void)number;
}

/* Which ones are dropped is a matter of luck; that none is lost is not. */
static void none_lost_while_toggled(void)
{
	int *stop = shared_memory(sizeof(*stop));
	unsigned long before, gone;
	in_port_t port;
	int from, to, i, came = 0;

	need_blocklist();
	to = receiver(&port);
	from = bound(TOGGLED);
	before = dropped();
	spawn(toggle, stop, 0);
	for (i = 0; i < 20 * PACKETS; i++) {
		send_one(from, port);
		if (i % 50 == 49)
			came += receive(to, TOGGLED);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	join(1);
	nap_ms(10);
	came += receive(to, TOGGLED);
	gone = dropped() - before;
	diag("%d came, %lu were dropped", came, gone);
	expect_eq(came + gone, 20 * PACKETS);
	expect(came > 0 && gone > 0);
	expect_eq(unload_blocklist(), 0);
}

static void send_steadily(void *context, int number)
{
	const int *stop = context;
	const int from = bound(BLOCKED + 2 * number);
	in_port_t port;
	const int to = receiver(&port);

	while (!__atomic_load_n(stop, __ATOMIC_RELAXED)) {
		send_one(from, port);
		receive(to, 0);
	}
}

/* The hook comes and goes, and syncmap itself, with packets in flight. */
static void loaded_and_unloaded_under_traffic(void)
{
	int *stop = shared_memory(sizeof(*stop));
	int i, map;

	need_loading();
	need_blocklist();
	for (i = 0; i < 2; i++)
		spawn(send_steadily, stop, i);
	for (i = 0; i < 10; i++) {
		map = open_blocklist();
		block(map, BLOCKED);
		nap_ms(5);
		close(map);
		/* Refused while a module is there that uses it. */
		expect(unload_module());
		expect_eq(unload_blocklist(), 0);
		if (i % 2) {
			/* The map was kept by its name alone, until now. */
			expect_eq(unload_module_soon(), 0);
			expect_eq(load_module(""), 0);
		}
		expect_eq(load_blocklist(), 0);
		map = open_blocklist();
		expect_eq(unblock(map, BLOCKED), !(i % 2));
		close(map);
	}
	__atomic_store_n(stop, 1, __ATOMIC_RELAXED);
	join(2);
	expect_eq(unload_blocklist(), 0);
}

static void take_the_name(void *context, int number)
{
	expect(!setresuid(65534, 65534, 65534));
	expect_eq(attach(open_map(), MAP, SYNCMAP_ATTACH_CREATE), 0);
	(void)context;
	(void)number;
}

/* Who may open the device may take any name; that is not to fool a module. */
static void not_with_the_map_of_a_user(void)
{
	need_blocklist();
	expect_eq(unload_blocklist(), 0);
	expect_eq(unlink_name(open_map(), MAP), 0);
	expect(!chmod(DEVICE, 0666));
	spawn_and_join(take_the_name, NULL, 1);
	chmod(DEVICE, 0600);
	expect_eq(load_blocklist(), -EPERM);
	expect_eq(unlink_name(open_map(), MAP), 0);
	expect_eq(load_blocklist(), 0);
	expect_eq(unload_blocklist(), 0);
}

int main(int argc, char **argv)
{
	static const struct tap_case cases[] = {
		{ "dropped exactly", exact_counts },
		{ "dropped exactly while others change",
		  exact_while_others_change },
		{ "none lost while toggled", none_lost_while_toggled },
		{ "not with the map of a user", not_with_the_map_of_a_user },
		{ "loaded and unloaded under traffic",
		  loaded_and_unloaded_under_traffic },
	};
	const int ret = tap_run(cases, ARRAY_SIZE(cases), argc, argv);

	/* A case that failed half-way must not leave it to others. */
	unload_blocklist();
	if (!no_loading() && !module_loaded())
		load_module("");
	return ret;
}
