// SPDX-License-Identifier: GPL-2.0
/*
 * A firewall of one rule: packets from addresses that are keys of a named map
 * are dropped. Userspace adds and removes addresses while packets arrive, see
 * client.c; the hook looks them up in softirq context, without a lock.
 *
 *	insmod blocklist.ko
 *	client blocklist set 10.0.0.7 1
 *	cat /sys/module/blocklist/parameters/dropped
 */
#include <linux/ip.h>
#include <linux/module.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/percpu.h>
#include <linux/skbuff.h>
#include <linux/syncmap.h>
#include <net/net_namespace.h>

static char *map = "blocklist";
module_param(map, charp, 0444);
MODULE_PARM_DESC(map, "Name of the map (default: blocklist)");

static struct syncmap_named *blocked;
static DEFINE_PER_CPU(unsigned long, dropped);

static int show_dropped(char *buffer, const struct kernel_param *param)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(dropped, cpu);
	return sysfs_emit(buffer, "%lu\n", sum);
}

static const struct kernel_param_ops dropped_ops = { .get = show_dropped };
module_param_cb(dropped, &dropped_ops, NULL, 0444);
MODULE_PARM_DESC(dropped, "Packets dropped so far (read only)");

/* Hooks are called in read-side critical sections. */
static unsigned int drop_blocked(void *priv, struct sk_buff *skb,
				 const struct nf_hook_state *state)
{
	const __be32 source = ip_hdr(skb)->saddr;

	if (!syncmap_named_lookup(blocked, &source, sizeof(source), NULL))
		return NF_ACCEPT;
	this_cpu_inc(dropped);
	return NF_DROP;
}

static const struct nf_hook_ops hook = {
	.hook = drop_blocked,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_PRE_ROUTING,
	.priority = NF_IP_PRI_FIRST,
};

static int __init blocklist_init(void)
{
	int err;

	blocked = syncmap_named_get(map, SYNCMAP_NAMED_CREATE, 0600);
	if (IS_ERR(blocked)) {
		pr_err("The map %s cannot be used, or made (%ld).\n", map,
		       PTR_ERR(blocked));
		return PTR_ERR(blocked);
	}
	err = nf_register_net_hook(&init_net, &hook);
	if (err)
		syncmap_named_put(blocked);
	return err;
}

static void __exit blocklist_exit(void)
{
	/* Hooks may still be running; the put waits for them. */
	nf_unregister_net_hook(&init_net, &hook);
	syncmap_named_put(blocked);
}

module_init(blocklist_init);
module_exit(blocklist_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Sample of syncmap: drops packets from addresses in a map");
MODULE_LICENSE("GPL");
