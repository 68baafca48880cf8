// SPDX-License-Identifier: GPL-2.0
/*
 * Readers and writers at the same time, in processes and in a timer, with values that
 * tell if they were freed too soon; and a table of flows, as a network module has it.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/hash.h>
#include <linux/kref.h>
#include <linux/kthread.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/timer.h>

#include "ctest.h"

#define TRAFFIC_MS	1500

static struct syncmap *map_here;

/* A value that readers can tell from a freed one. */
struct checked {
	u64 key, check;
	struct rcu_head rcu;
};

#define CHECK(key)	hash_64((key) + 1, 64)

static struct checked *new_checked(u64 key)
{
	struct checked *checked = kmalloc(sizeof(*checked), GFP_KERNEL);

	if (checked) {
		checked->key = key;
		checked->check = CHECK(key);
	}
	return checked;
}

static void free_checked(struct checked *checked)
{
	if (IS_ERR_OR_NULL(checked))
		return;
	expect(checked->check == CHECK(checked->key));
	kfree_rcu(checked, rcu);
}

static void release_checked(void *value)
{
	struct checked *checked = value;

	expect(checked->check == CHECK(checked->key));
	kfree(checked);
}

static int check_visited(const void *key, size_t len, void *value, void *arg)
{
	const struct checked *checked = value;

	expect(checked->key == *(const u64 *)key);
	expect(checked->check == CHECK(checked->key));
	return 0;
}

static void read_all(struct syncmap *map)
{
	const struct checked *checked;
	u64 k;

	for (k = 0; k < KEYS; k++) {
		rcu_read_lock();
		checked = syncmap_lookup_u64(map, k);
		expect(!checked || (checked->key == k &&
				    checked->check == CHECK(k)));
		rcu_read_unlock();
	}
}

static void read_in_timer(struct timer_list *timer)
{
	read_all(map_here);
	mod_timer(timer, jiffies + 1);
}

static DEFINE_TIMER(reader, read_in_timer);

static int change_all(void *arg)
{
	struct syncmap *map = arg;
	struct checked *new;
	int i = 0;
	u64 k;

	while (!kthread_should_stop()) {
		k = get_random_u32_below(KEYS);
		switch (i++ % 4) {
		case 0:
		case 1:
			new = new_checked(k);
			if (!new)
				break;
			free_checked(syncmap_store(map, &k, 8, new,
						   GFP_KERNEL));
			break;
		case 2:
			free_checked(syncmap_delete(map, &k, 8));
			break;
		case 3:
			new = new_checked(k);
			/* Others may free what is there; we do not look. */
			if (new && syncmap_load_or_store(map, &k, 8, new,
							 GFP_KERNEL))
				kfree(new);
			break;
		}
		if (!(i % 1024))
			expect(!syncmap_range(map, check_visited, NULL));
		if (!(i % 4096))
			expect(!syncmap_clear(map));
		cond_resched();
	}
	return 0;
}

static int read_steadily(void *map)
{
	while (!kthread_should_stop()) {
		read_all(map);
		cond_resched();
	}
	return 0;
}

void traffic(void)
{
	const struct syncmap_params params = {
		.key_len = 8,
		.release = release_checked,
	};
	struct task_struct *tasks[4];
	int i;

	map_here = syncmap_create(&params, GFP_KERNEL);
	if (IS_ERR(map_here)) {
		expect(false);
		return;
	}
	for (i = 0; i < ARRAY_SIZE(tasks); i++) {
		tasks[i] = kthread_run(i % 2 ? read_steadily : change_all,
				       map_here, "ctest/%d", i);
		expect(!IS_ERR(tasks[i]));
	}
	mod_timer(&reader, jiffies + 1);
	msleep(TRAFFIC_MS);
	for (i = 0; i < ARRAY_SIZE(tasks); i++)
		if (!IS_ERR(tasks[i]))
			kthread_stop(tasks[i]);
	timer_shutdown_sync(&reader);
	syncmap_destroy(map_here);
}

/* A flow table: the first packet of each flow makes it, in a timer. */

#define FLOWS		5000
#define PACKETS		20000
/* As many come in a tick. */
#define BURST		200

struct flow_key {
	__be32 saddr, daddr;
	__be16 sport, dport;
	u8 proto;
	u8 pad[3];
};

struct flow {
	struct flow_key key;
	struct kref refs;
	atomic_t packets;
	struct rcu_head rcu;
};

static struct syncmap *flow_table;
static atomic_t flows_made, flows_freed, hits, errors;

static void free_flow(struct kref *refs)
{
	struct flow *flow = container_of(refs, struct flow, refs);

	atomic_inc(&flows_freed);
	kfree_rcu(flow, rcu);
}

static bool get_flow(void *value)
{
	struct flow *flow = value;

	return kref_get_unless_zero(&flow->refs);
}

static void put_flow(void *value)
{
	struct flow *flow = value;

	kref_put(&flow->refs, free_flow);
}

/* Makes the flow of a packet, unless another processor was faster. */
static void make_flow(const struct flow_key *key)
{
	struct flow *flow = kzalloc(sizeof(*flow), GFP_ATOMIC);
	struct flow *other;

	if (!flow) {
		atomic_inc(&errors);
		return;
	}
	flow->key = *key;
	kref_init(&flow->refs);
	atomic_set(&flow->packets, 1);
	other = syncmap_load_or_store(flow_table, key, sizeof(*key), flow,
				      GFP_ATOMIC);
	if (!other) {
		atomic_inc(&flows_made);
		return;
	}
	kfree(flow);
	if (IS_ERR(other)) {
		atomic_inc(&errors);
		return;
	}
	atomic_inc(&other->packets);
	atomic_inc(&hits);
	put_flow(other);
}

static void receive(const struct flow_key *key)
{
	struct flow *flow;

	rcu_read_lock();
	flow = syncmap_lookup(flow_table, key, sizeof(*key));
	if (flow) {
		atomic_inc(&flow->packets);
		atomic_inc(&hits);
	}
	rcu_read_unlock();
	if (!flow)
		make_flow(key);
}

static DECLARE_COMPLETION(received);
static int packets;

static void receive_some(struct timer_list *timer)
{
	int i;

	for (i = 0; i < BURST; i++) {
		const struct flow_key key = {
			.saddr = cpu_to_be32(packets++ % FLOWS),
			.proto = 6,
		};

		receive(&key);
	}
	if (packets < PACKETS)
		mod_timer(timer, jiffies + 1);
	else
		complete(&received);
}

static DEFINE_TIMER(receiver, receive_some);

static int check_flow(const void *key, size_t len, void *value, void *arg)
{
	const struct flow *flow = value;

	might_sleep();
	expect(!memcmp(key, &flow->key, sizeof(flow->key)));
	expect(atomic_read(&flow->packets) == PACKETS / FLOWS);
	*(int *)arg += 1;
	return 0;
}

void flows_in_timer(void)
{
	const struct syncmap_params params = {
		.key_len = sizeof(struct flow_key),
		.release = put_flow,
		.get = get_flow,
		.put = put_flow,
	};
	int seen = 0;

	flow_table = syncmap_create(&params, GFP_KERNEL);
	if (IS_ERR(flow_table)) {
		expect(false);
		return;
	}
	mod_timer(&receiver, jiffies + 1);
	wait_for_completion(&received);
	timer_shutdown_sync(&receiver);
	say("# %d flows made, %d hits, %d errors\n", atomic_read(&flows_made),
	    atomic_read(&hits), atomic_read(&errors));
	expect(atomic_read(&flows_made) == FLOWS);
	expect(atomic_read(&hits) == PACKETS - FLOWS);
	expect(!atomic_read(&errors));
	expect(!syncmap_range(flow_table, check_flow, &seen) && seen == FLOWS);
	expect(syncmap_len(flow_table) == FLOWS);
	syncmap_destroy(flow_table);
	expect(atomic_read(&flows_freed) == FLOWS);
}
