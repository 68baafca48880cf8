// SPDX-License-Identifier: GPL-2.0
/*
 * A table of flows that fills itself: the first packet of a flow makes an entry
 * in softirq context, the next ones find it without a lock and are counted, and
 * flows without packets go. It has what comes in of TCP and UDP over IPv4.
 *
 *	insmod flows.ko max_entries=10000 idle_ms=5000
 *	cat /proc/net/flows
 *	cat /sys/module/flows/parameters/refused
 */
#include <linux/atomic.h>
#include <linux/ip.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syncmap.h>
#include <linux/workqueue.h>
#include <net/net_namespace.h>

static unsigned int max_entries = 65536;
module_param(max_entries, uint, 0444);
MODULE_PARM_DESC(max_entries, "Greatest number of flows, 0: any (default: 65536)");

static unsigned int idle_ms = 60000;
module_param(idle_ms, uint, 0444);
MODULE_PARM_DESC(idle_ms, "Time without packets after which a flow goes, at least 1 (default: 60000)");

/* Counts packets of flows that there was no room or memory for. */
static atomic_t refused;

static int show_refused(char *buffer, const struct kernel_param *param)
{
	return sysfs_emit(buffer, "%d\n", atomic_read(&refused));
}

static const struct kernel_param_ops refused_ops = { .get = show_refused };
module_param_cb(refused, &refused_ops, NULL, 0444);
MODULE_PARM_DESC(refused, "Packets whose flow could not be learnt (read only)");

/* Has no padding but its own: keys are compared byte by byte. */
struct flow_key {
	__be32 saddr, daddr;
	__be16 sport, dport;
	u8 proto;
	u8 zero[3];
};

static_assert(sizeof(struct flow_key) == 16);

struct flow {
	struct kref refs;
	atomic64_t packets, bytes;
	unsigned long seen; /* jiffies at the last packet */
	struct rcu_head rcu;
};

static struct syncmap *flows;

/* Takes a reference, for the map to hand out; false if the flow is about to go. */
static bool get_flow(void *value)
{
	struct flow *flow = value;

	return kref_get_unless_zero(&flow->refs);
}

/* Waits for lookups, which take no references. */
static void free_flow(struct kref *refs)
{
	struct flow *flow = container_of(refs, struct flow, refs);

	kfree_rcu(flow, rcu);
}

static void put_flow(void *value)
{
	struct flow *flow = value;

	kref_put(&flow->refs, free_flow);
}

static void count(struct flow *flow, const struct sk_buff *skb)
{
	atomic64_inc(&flow->packets);
	atomic64_add(skb->len, &flow->bytes);
	WRITE_ONCE(flow->seen, jiffies);
}

/* Learns a flow from its first packet, in any context but NMI. */
static void learn(const struct flow_key *key, const struct sk_buff *skb)
{
	struct flow *new, *old;

	new = kzalloc_obj(*new, GFP_ATOMIC);
	if (!new) {
		atomic_inc(&refused);
		return;
	}
	kref_init(&new->refs); /* belongs to the map, if it is stored */
	count(new, skb);
	old = syncmap_load_or_store(flows, key, sizeof(*key), new, GFP_ATOMIC);
	if (!old)
		return;
	kfree(new); /* nobody has seen it */
	if (IS_ERR(old)) {
		atomic_inc(&refused);
		return;
	}
	/* Counts for the processor that was faster; we have a reference. */
	count(old, skb);
	put_flow(old);
}

/* Returns false for a packet that belongs to no flow. */
static bool get_key(const struct sk_buff *skb, struct flow_key *key)
{
	const struct iphdr *ip = ip_hdr(skb);
	__be16 buffer[2], *ports;

	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return false;
	ports = skb_header_pointer(skb, skb_transport_offset(skb),
				   sizeof(buffer), buffer);
	if (!ports)
		return false;
	*key = (struct flow_key) {
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.sport = ports[0],
		.dport = ports[1],
		.proto = ip->protocol,
	};
	return true;
}

/* Runs in softirq context, in a read-side critical section. */
static unsigned int see_packet(void *priv, struct sk_buff *skb,
			       const struct nf_hook_state *state)
{
	struct flow_key key;
	struct flow *flow;

	if (!get_key(skb, &key))
		return NF_ACCEPT;
	flow = syncmap_lookup(flows, &key, sizeof(key));
	if (flow)
		count(flow, skb);
	else
		learn(&key, skb);
	return NF_ACCEPT;
}

/* Comes where fragments have been put together. */
static const struct nf_hook_ops hook = {
	.hook = see_packet,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_LOCAL_IN,
	.priority = NF_IP_PRI_FIRST,
};

/* May use the map, and sleep: the walk has a reference to the flow. */
static int remove_if_idle(const void *key, size_t len, void *value, void *arg)
{
	const unsigned long idle = msecs_to_jiffies(idle_ms);
	struct flow *flow = value;

	if (time_before(jiffies, READ_ONCE(flow->seen) + idle))
		return 0;
	/* Loses a packet that comes at this moment: it goes with the flow. */
	if (syncmap_compare_and_delete(flows, key, len, flow) == 1)
		put_flow(flow); /* what the map had is ours now */
	return 0;
}

/* Looks twice in the time that a flow may be idle. */
static void remove_idle(struct work_struct *work)
{
	syncmap_range(flows, remove_if_idle, NULL);
	queue_delayed_work(system_dfl_wq, to_delayed_work(work),
			   max(1, msecs_to_jiffies(idle_ms) / 2));
}

static DECLARE_DELAYED_WORK(removal, remove_idle);

static int show_flow(const void *at, size_t len, void *value, void *arg)
{
	const struct flow *flow = value;
	const unsigned long seen = READ_ONCE(flow->seen); /* before jiffies */
	struct seq_file *file = arg;
	struct flow_key key;

	memcpy(&key, at, sizeof(key)); /* aligns it */
	seq_printf(file, "%s %pI4:%u %pI4:%u %lld %lld %u\n",
		   key.proto == IPPROTO_TCP ? "tcp" : "udp",
		   &key.saddr, ntohs(key.sport), &key.daddr, ntohs(key.dport),
		   atomic64_read(&flow->packets), atomic64_read(&flow->bytes),
		   jiffies_to_msecs(jiffies - seen));
	/* Ends the walk if there will be another, with a larger buffer. */
	return seq_has_overflowed(file);
}

static int show_flows(struct seq_file *file, void *unused)
{
	seq_puts(file, "proto source destination packets bytes idle_ms\n");
	syncmap_range(flows, show_flow, file);
	return 0;
}

static int __init flows_init(void)
{
	const struct syncmap_params params = {
		.key_len = sizeof(struct flow_key),
		.max_entries = max_entries,
		.release = put_flow,
		.get = get_flow,
		.put = put_flow,
	};
	int err;

	if (!idle_ms)
		return -EINVAL;
	flows = syncmap_create(&params, GFP_KERNEL);
	if (IS_ERR(flows))
		return PTR_ERR(flows);
	err = -ENOMEM;
	if (!proc_create_single("flows", 0400, init_net.proc_net, show_flows))
		goto destroy;
	err = nf_register_net_hook(&init_net, &hook);
	if (err)
		goto remove;
	queue_delayed_work(system_dfl_wq, &removal, 0);
	return 0;

remove:
	remove_proc_entry("flows", init_net.proc_net);
destroy:
	syncmap_destroy(flows);
	return err;
}

static void __exit flows_exit(void)
{
	cancel_delayed_work_sync(&removal);
	nf_unregister_net_hook(&init_net, &hook);
	remove_proc_entry("flows", init_net.proc_net); /* waits for readers */
	/* Waits for hooks that are still running: they may store something. */
	synchronize_rcu();
	syncmap_destroy(flows);
	/* Needs no rcu_barrier(): kfree_rcu() calls nothing of this module. */
}

module_init(flows_init);
module_exit(flows_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Sample of syncmap: a table of flows that learns in softirq context");
MODULE_LICENSE("GPL");
