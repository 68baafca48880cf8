// SPDX-License-Identifier: GPL-2.0
/*
 * A misc device that has the minor number that syncmap would like to have.
 */

#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

static const struct file_operations minor_fops = {
	.owner = THIS_MODULE,
};

static struct miscdevice minor_device = {
	.minor = 247,
	.name = "syncmap_minor",
	.fops = &minor_fops,
};

module_misc_device(minor_device);

MODULE_AUTHOR("The syncmap developers");
MODULE_DESCRIPTION("Test of syncmap: has its minor number");
MODULE_LICENSE("GPL");
