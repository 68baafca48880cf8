/* SPDX-License-Identifier: GPL-2.0 */
/* Loading and unloading of the module by the tests that need to. */
#ifndef SYNCMAP_TEST_MODULE_H
#define SYNCMAP_TEST_MODULE_H

#include <sys/syscall.h>

#include "map.h"

#define MODULE "syncmap"

/* The path of the module, from the environment; NULL if it is not known. */
static inline const char *module_path(void)
{
	return getenv("SYNCMAP_KO");
}

/* Why these tests cannot load modules here, or NULL if they can. */
static inline const char *no_loading(void)
{
	if (geteuid())
		return "not root";
	if (!module_path())
		return "SYNCMAP_KO does not say where the module is";
	if (access(module_path(), R_OK))
		return "the module that SYNCMAP_KO names cannot be read";
	return NULL;
}

static inline bool module_loaded(void)
{
	return !access("/sys/module/" MODULE, F_OK);
}

/*
 * Another module, which the case is skipped without: what the variable of the
 * environment names, or what the machinery has built.
 */
static inline int open_module(const char *variable, const char *built)
{
	const char *path = getenv(variable);
	int file;

	if (geteuid())
		skip("not root");
	file = open(path ? path : built, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		skip("%s, which %s may name: %s", path ? path : built, variable,
		     strerror(errno));
	return file;
}

/* 0 or -errno. */
static inline int load_module(const char *parameters)
{
	int file = open(module_path(), O_RDONLY | O_CLOEXEC);
	int ret;

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
