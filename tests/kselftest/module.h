/* SPDX-License-Identifier: GPL-2.0 */
/* Loading and unloading of the module by the tests that need to. */
#ifndef SYNCMAP_TEST_MODULE_H
#define SYNCMAP_TEST_MODULE_H

#include <sys/syscall.h>

#include "map.h"

#define MODULE "syncmap"

/* The path of the module, from the environment; NULL to leave it to modprobe. */
static inline const char *module_path(void)
{
	return getenv("SYNCMAP_KO");
}

/* Runs modprobe with @options and @parameters; returns whether it succeeded. */
static inline bool run_modprobe(const char *options, const char *parameters)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "PATH=$PATH:/usr/sbin:/sbin; modprobe %s " MODULE " %s",
		 options, parameters);
	return !system(command);
}

static inline bool module_loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

/* A driver that is built into the kernel has no state of a module. */
static inline bool module_built_in(void)
{
	return !access(DEVICE, F_OK) &&
	       access("/sys/module/" MODULE "/initstate", F_OK);
}

/* Returns why these tests cannot load the module here, or NULL if they can. */
static inline const char *no_loading(void)
{
	if (geteuid())
		return "not root";
	if (module_built_in())
		return MODULE " is built into this kernel";
	if (module_path())
		return access(module_path(), R_OK) ?
		       "the module that SYNCMAP_KO names cannot be read" : NULL;
	/* This loads nothing, and busybox has it as well as kmod. */
	if (!run_modprobe("-D", ">/dev/null 2>&1"))
		return "SYNCMAP_KO is not set, and modprobe finds no " MODULE;
	return NULL;
}

/* Skips the case if it cannot load the module. */
static inline void need_loading(void)
{
	const char *reason = no_loading();

	if (reason)
		skip("%s", reason);
}

/*
 * Opens another module: the file that the environment variable names, else @built,
 * which the machinery builds, unless it is NULL. Skips the case if there is none.
 */
static inline int open_module(const char *variable, const char *built)
{
	const char *path = getenv(variable);
	int file;

	if (geteuid())
		skip("not root");
	if (!path)
		path = built;
	if (!path)
		skip("%s does not name the other module", variable);
	file = open(path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		skip("%s, which %s may name: %s", path, variable,
		     strerror(errno));
	return file;
}

/* Returns 0 or -errno, which is -EIO whenever modprobe fails. */
static inline int load_module(const char *parameters)
{
	int file, ret;

	if (!module_path())
		return run_modprobe("", parameters) ? 0 : -EIO;
	file = open(module_path(), O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return -errno;
	ret = syscall(SYS_finit_module, file, parameters, 0) ? -errno : 0;
	close(file);
	return ret;
}

/* 0 or -errno; does not wait for users to go. */
static inline int unload_module(void)
{
	return syscall(SYS_delete_module, MODULE, O_NONBLOCK) ? -errno : 0;
}

/* Users that have been killed may take a moment to close their files. */
static inline int unload_module_soon(void)
{
	const long long deadline = now_ms() + 5000 * patience();
	int ret;

	do {
		ret = unload_module();
		if (ret != -EAGAIN && ret != -EBUSY)
			return ret;
		nap_ms(10);
	} while (now_ms() < deadline);
	return ret;
}

/* 0 or -errno: the module is loaded anew, whether it was loaded or not. */
static inline int reload_module(const char *parameters)
{
	int ret = module_loaded() ? unload_module_soon() : 0;

	return ret ? ret : load_module(parameters);
}

#endif /* SYNCMAP_TEST_MODULE_H */
