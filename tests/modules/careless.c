// SPDX-License-Identifier: GPL-2.0
/*
 * A module that makes the mistakes that syncmap is to notice; one for each
 * value of its parameter.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/syncmap.h>

static char *mistake = "none";
module_param(mistake, charp, 0444);
MODULE_PARM_DESC(mistake,
		 "forget_map, forget_named, leave_reader, destroy_twice, destroy_in_release, put_twice or none");

static bool is(const char *what)
{
	return !strcmp(mistake, what);
}

static int value;
static bool looking;

/* Must not run when the module is gone, or about to. */
static void release(void *what)
{
	pr_err("careless: a value is released too late\n");
}

static struct syncmap *own;
static DECLARE_COMPLETION(destroyed);

/* Ends the map that waits for it. */
static void destroy(void *what)
{
	syncmap_destroy(own);
	complete(&destroyed);
}

static int destroy_in_release(void)
{
	const struct syncmap_params params = { .key_len = 8, .release = destroy };
	const u64 key = 1;
	void *old;

	own = syncmap_create(&params, GFP_KERNEL);
	if (IS_ERR(own))
		return PTR_ERR(own);
	old = syncmap_store(own, &key, sizeof(key), &value, GFP_KERNEL);
	if (!IS_ERR(old))
		syncmap_clear(own);
	if (!wait_for_completion_timeout(&destroyed, 10 * HZ)) {
		pr_err("careless: the map does not end\n");
		return -ETIMEDOUT;
	}
	/* destroy() is about to return, and nothing else waits for that. */
	msleep(100);
	return 0;
}

/* Looks a value up, for longer than it takes the module to go. */
static int look(void *named)
{
	const unsigned long end = jiffies + HZ;
	const u64 key = 1;
	const u8 *found;
	size_t len;
	u32 sum = 0;

	rcu_read_lock();
	WRITE_ONCE(looking, true);
	do {
		found = syncmap_named_lookup(named, &key, sizeof(key), &len);
		if (!IS_ERR_OR_NULL(found))
			sum += READ_ONCE(found[len - 1]);
		cpu_relax();
	} while (time_before(jiffies, end));
	rcu_read_unlock();
	return sum;
}

static int visit(const void *key, size_t len, const void *value,
		 size_t value_len, void *arg)
{
	return 0;
}

/* Has it looked up by a thread which nobody waits for. */
static int leave_reader(struct syncmap_named *named)
{
	const u64 key = 1;
	struct task_struct *reader;
	int err;

	err = syncmap_named_store(named, &key, sizeof(key), "value", 5, GFP_KERNEL);
	if (err)
		return err;
	/*
	 * A walk promotes. The key is to be in read, and nothing of the map to
	 * await a grace period: that would help.
	 */
	syncmap_named_range(named, visit, NULL);
	synchronize_rcu();
	msleep(50);
	reader = kthread_run(look, named, "careless");
	if (IS_ERR(reader))
		return PTR_ERR(reader);
	while (!READ_ONCE(looking))
		msleep(20);
	return 0;
}

static int __init careless_init(void)
{
	const struct syncmap_params params = { .key_len = 8, .release = release };
	struct syncmap_named *named;
	struct syncmap *map;
	u64 key;

	if (is("forget_named") || is("leave_reader") || is("put_twice")) {
		named = syncmap_named_get("careless", SYNCMAP_NAMED_CREATE,
					  0600);
		if (IS_ERR(named))
			return PTR_ERR(named);
		if (is("put_twice")) {
			syncmap_named_put(named);
			syncmap_named_put(named);
		} else if (is("forget_named")) {
			/* Twice as careless. */
			syncmap_named_get("careless", 0, 0);
		} else {
			return leave_reader(named);
		}
	}
	if (is("destroy_in_release"))
		return destroy_in_release();
	if (is("forget_map") || is("destroy_twice")) {
		map = syncmap_create(&params, GFP_KERNEL);
		if (IS_ERR(map))
			return PTR_ERR(map);
		if (is("destroy_twice")) {
			syncmap_destroy(map);
			syncmap_destroy(map);
			return 0;
		}
		for (key = 0; key < 3; key++)
			syncmap_store(map, &key, 8, &value, GFP_KERNEL);
	}
	return 0;
}

static void __exit careless_exit(void)
{
}

module_init(careless_init);
module_exit(careless_exit);
MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Tests of syncmap: a module that makes mistakes");
MODULE_LICENSE("GPL");
