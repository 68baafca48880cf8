// SPDX-License-Identifier: GPL-2.0
/*
 * Histories, by debugfs: whoever reads syncmap_torture/histories has each made
 * for him, in a map of its own, by threads that wait for it here.
 */
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "torture.h"

/* So many are recorded however long it takes. */
#define HISTORIES_MIN	100

struct player {
	struct task_struct *task;
	struct recording *recording;
	unsigned int number;
};

struct recording {
	void *recorder;
	wait_queue_head_t waiting;
	u64 round;		/* the history that is being played, from 1 */
	unsigned long end;	/* in jiffies, if time is limited */
	atomic_t ready, left;
	struct completion done;
	unsigned int threads;
	struct player players[];
};

static struct torture_history params;
static struct dentry *dir;

static int play(void *arg)
{
	struct player *player = arg;
	struct recording *rec = player->recording;
	u64 seen = 0;

	for (;;) {
		wait_event_idle(rec->waiting, READ_ONCE(rec->round) != seen ||
				kthread_should_stop());
		if (kthread_should_stop())
			return 0;
		seen = READ_ONCE(rec->round);
		/* All at the same time. */
		if (atomic_dec_and_test(&rec->ready))
			wake_up_all(&rec->waiting);
		else
			wait_event_idle(rec->waiting,
					!atomic_read(&rec->ready));
		syncmap_record_play(rec->recorder, player->number);
		if (atomic_dec_and_test(&rec->left))
			complete(&rec->done);
	}
}

static int record(struct recording *rec, loff_t number)
{
	int ret = syncmap_record_open(rec->recorder, number);

	if (ret)
		return ret;
	reinit_completion(&rec->done);
	atomic_set(&rec->ready, rec->threads);
	atomic_set(&rec->left, rec->threads);
	WRITE_ONCE(rec->round, number + 1);
	wake_up_all(&rec->waiting);
	wait_for_completion(&rec->done);
	syncmap_record_close(rec->recorder);
	return 0;
}

static void *history_at(struct seq_file *file, loff_t number)
{
	struct recording *rec = file->private;
	int ret;

	if (number >= params.histories)
		return NULL;
	/* What did not fit is shown again. */
	if (number + 1 == rec->round)
		return rec;
	if (params.seconds && number >= HISTORIES_MIN &&
	    time_after(jiffies, rec->end))
		return NULL;
	ret = record(rec, number);
	return ret ? ERR_PTR(ret) : rec;
}

static void *histories_start(struct seq_file *file, loff_t *pos)
{
	return history_at(file, *pos);
}

static void *histories_next(struct seq_file *file, void *v, loff_t *pos)
{
	return history_at(file, ++*pos);
}

static void histories_stop(struct seq_file *file, void *v)
{
}

static int histories_show(struct seq_file *file, void *v)
{
	struct recording *rec = v;

	syncmap_record_show(rec->recorder, file);
	return 0;
}

static const struct seq_operations histories_ops = {
	.start = histories_start,
	.next = histories_next,
	.stop = histories_stop,
	.show = histories_show,
};

static void dismiss(struct recording *rec)
{
	unsigned int i;

	for (i = 0; i < rec->threads; i++)
		if (rec->players[i].task)
			kthread_stop(rec->players[i].task);
	syncmap_record_end(rec->recorder);
	kfree(rec);
}

static struct recording *engage(void)
{
	/* A further one, whose operations are done in interrupts. */
	const unsigned int threads = params.threads + 1;
	struct recording *rec;
	struct task_struct *task;
	unsigned int i;

	rec = kzalloc(struct_size(rec, players, threads), GFP_KERNEL);
	if (!rec)
		return NULL;
	rec->recorder = syncmap_record_begin(threads, params.keys,
					     params.operations, params.seed);
	if (!rec->recorder) {
		kfree(rec);
		return NULL;
	}
	init_waitqueue_head(&rec->waiting);
	init_completion(&rec->done);
	rec->threads = threads;
	rec->end = jiffies + params.seconds * HZ;
	for (i = 0; i < threads; i++) {
		rec->players[i].recording = rec;
		rec->players[i].number = i;
		task = kthread_run(play, &rec->players[i], "smt_player/%u", i);
		if (IS_ERR(task)) {
			dismiss(rec);
			return NULL;
		}
		rec->players[i].task = task;
	}
	return rec;
}

static int histories_open(struct inode *inode, struct file *file)
{
	struct recording *rec = engage();
	int ret;

	if (!rec)
		return -ENOMEM;
	ret = seq_open(file, &histories_ops);
	if (ret) {
		dismiss(rec);
		return ret;
	}
	((struct seq_file *)file->private_data)->private = rec;
	return 0;
}

static int histories_release(struct inode *inode, struct file *file)
{
	dismiss(((struct seq_file *)file->private_data)->private);
	return seq_release(inode, file);
}

static const struct file_operations histories_fops = {
	.owner = THIS_MODULE,
	.open = histories_open,
	.read = seq_read,
	.release = histories_release,
};

int torture_record_init(const struct torture_history *wanted)
{
	params = *wanted;
	dir = debugfs_create_dir("syncmap_torture", NULL);
	debugfs_create_file("histories", 0400, dir, NULL, &histories_fops);
	if (IS_ERR(dir)) {
		pr_err(" histories=%u: debugfs, where they would be read, is not there.\n",
		       params.histories);
		return PTR_ERR(dir);
	}
	pr_info("--- %u histories, seed=%llu\n", params.histories, params.seed);
	return 0;
}

void torture_record_exit(void)
{
	debugfs_remove(dir);
}
