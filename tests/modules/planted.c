// SPDX-License-Identifier: GPL-2.0
/*
 * A module with bugs, one for each value of its parameter, to show that the debug
 * kernels notice such bugs, and that whoever runs the tests hears of it. It has
 * nothing to do with syncmap.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/irq_work.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static char *bug = "none";
module_param(bug, charp, 0444);
MODULE_PARM_DESC(bug, "which");

/* What all of them do something wrong with. */
struct object {
	struct rcu_head rcu;
	struct work_struct work;
	struct object __rcu *next;
	refcount_t count;
	int number;
};

static DEFINE_MUTEX(mutex_a);
static DEFINE_MUTEX(mutex_b);
static DEFINE_SPINLOCK(lock);
static DEFINE_RAW_SPINLOCK(raw_lock);
static int sink;

static struct object *new_object(void)
{
	struct object *object = kzalloc(sizeof(*object), GFP_KERNEL);

	/* Not even the compiler knows where it comes from. */
	OPTIMIZER_HIDE_VAR(object);
	return object;
}

static void nothing(struct rcu_head *rcu)
{
}

static void no_work(struct work_struct *work)
{
}

static void leak(struct object *object)
{
	object->number = 1;
}

static void use_after_free(struct object *object)
{
	kfree(object);
	sink = READ_ONCE(object->number);
}

static void use_after_rcu(struct object *object)
{
	kfree_rcu(object, rcu);
	rcu_barrier();
	sink = READ_ONCE(object->number);
}

static void past_the_end(struct object *object)
{
	struct object *end = object + 1;

	OPTIMIZER_HIDE_VAR(end);
	sink = *(u8 *)end;
	kfree(object);
}

static void past_the_end_of_pages(struct object *object)
{
	u8 *pages = vmalloc(PAGE_SIZE + 8);

	OPTIMIZER_HIDE_VAR(pages);
	sink = pages[PAGE_SIZE + 8];
	vfree(pages);
	kfree(object);
}

static void free_twice(struct object *object)
{
	struct object *again = object;

	OPTIMIZER_HIDE_VAR(again);
	kfree(object);
	kfree(again);
}

static void call_rcu_twice(struct object *object)
{
	rcu_read_lock();
	call_rcu(&object->rcu, nothing);
	call_rcu(&object->rcu, nothing);
	rcu_read_unlock();
	rcu_barrier();
	kfree(object);
}

static void free_a_waiting_rcu_head(struct object *object)
{
	rcu_read_lock();
	call_rcu(&object->rcu, nothing);
	kfree(object);
	rcu_read_unlock();
	rcu_barrier();
}

static void free_a_waiting_work(struct object *object)
{
	INIT_WORK(&object->work, no_work);
	local_bh_disable();
	queue_work(system_percpu_wq, &object->work);
	kfree(object);
	local_bh_enable();
}

static void put_too_often(struct object *object)
{
	refcount_set(&object->count, 1);
	refcount_dec(&object->count);
	refcount_dec(&object->count);
	kfree(object);
}

static void sleep_under_spinlock(struct object *object)
{
	spin_lock(&lock);
	kfree(kmalloc(object->number + 8, GFP_KERNEL));
	spin_unlock(&lock);
	kfree(object);
}

static void sleep_under_rcu(struct object *object)
{
	rcu_read_lock();
	mutex_lock(&mutex_a);
	mutex_unlock(&mutex_a);
	rcu_read_unlock();
	kfree(object);
}

static void dereference_without_rcu(struct object *object)
{
	sink = !!rcu_dereference(object->next);
	kfree(object);
}

static void wait_under_rcu(struct object *object)
{
	rcu_read_lock();
	synchronize_rcu();
	rcu_read_unlock();
	kfree(object);
}

/* Nobody is in anybody's way; the order alone is wrong. */
static void deadlock_perhaps(struct object *object)
{
	mutex_lock(&mutex_a);
	mutex_lock(&mutex_b);
	mutex_unlock(&mutex_b);
	mutex_unlock(&mutex_a);
	mutex_lock(&mutex_b);
	mutex_lock(&mutex_a);
	mutex_unlock(&mutex_a);
	mutex_unlock(&mutex_b);
	kfree(object);
}

static void take_lock(struct irq_work *work)
{
	raw_spin_lock(&raw_lock);
	raw_spin_unlock(&raw_lock);
}

/* The interrupt does not come while the lock is held, but it might. */
static void deadlock_by_interrupt(struct object *object)
{
	struct irq_work work = IRQ_WORK_INIT_HARD(take_lock);

	irq_work_queue(&work);
	irq_work_sync(&work);
	raw_spin_lock(&raw_lock);
	raw_spin_unlock(&raw_lock);
	kfree(object);
}

/* With PREEMPT_RT, the inner one would sleep. */
static void spinlock_under_raw(struct object *object)
{
	raw_spin_lock(&raw_lock);
	spin_lock(&lock);
	spin_unlock(&lock);
	raw_spin_unlock(&raw_lock);
	kfree(object);
}

static void keep_a_lock(struct object *object)
{
	mutex_lock(&mutex_a);
	kfree(object);
}

static void copy_too_much(struct object *object)
{
	size_t size = 2 * sizeof(*object);

	OPTIMIZER_HIDE_VAR(size);
	check_object_size(object, size, true);
	kfree(object);
}

static void null_pointer(struct object *object)
{
	struct object *nowhere = NULL;

	kfree(object);
	OPTIMIZER_HIDE_VAR(nowhere);
	sink = READ_ONCE(nowhere->number);
}

static void wait_forever(struct object *object)
{
	DECLARE_COMPLETION_ONSTACK(never);

	kfree(object);
	wait_for_completion(&never);
}

static void none(struct object *object)
{
	kfree(object);
}

#define ROW(name) { #name, name }
static const struct {
	const char *name;
	void (*run)(struct object *object);
} bugs[] = {
	ROW(call_rcu_twice),
	ROW(copy_too_much),
	ROW(deadlock_by_interrupt),
	ROW(deadlock_perhaps),
	ROW(dereference_without_rcu),
	ROW(free_a_waiting_rcu_head),
	ROW(free_a_waiting_work),
	ROW(free_twice),
	ROW(keep_a_lock),
	ROW(leak),
	ROW(none),
	ROW(null_pointer),
	ROW(past_the_end),
	ROW(past_the_end_of_pages),
	ROW(put_too_often),
	ROW(sleep_under_rcu),
	ROW(sleep_under_spinlock),
	ROW(spinlock_under_raw),
	ROW(use_after_free),
	ROW(use_after_rcu),
	ROW(wait_forever),
	ROW(wait_under_rcu),
};

static int __init planted_init(void)
{
	struct object *object;
	int i;

	for (i = 0; i < ARRAY_SIZE(bugs); i++) {
		if (strcmp(bugs[i].name, bug))
			continue;
		object = new_object();
		if (!object)
			return -ENOMEM;
		bugs[i].run(object);
		return 0;
	}
	pr_err("planted: there is no bug %s\n", bug);
	return -EINVAL;
}
module_init(planted_init);

static void __exit planted_exit(void)
{
}
module_exit(planted_exit);

MODULE_DESCRIPTION("Bugs that a debug kernel notices");
MODULE_AUTHOR("The syncmap developers");
MODULE_LICENSE("GPL");
