/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whose a named map is, and who may use it. The Rust side is in registry.rs.
 */
#ifndef SYNCMAP_ACCESS_H
#define SYNCMAP_ACCESS_H

#include <linux/types.h>

struct file;
struct user_namespace;

/* Ids are those of the initial user namespace. */
struct syncmap_access {
	u32 uid;
	u32 gid;
	u32 mode;
	/* Where capabilities count; a reference. */
	struct user_namespace *ns;
};

u32 syncmap_access_uid(void);
void syncmap_access_of_caller(struct syncmap_access *access, u32 mode);
void syncmap_access_of_kernel(struct syncmap_access *access, u32 mode);
void syncmap_access_end(struct syncmap_access *access);
bool syncmap_access_permits(const struct syncmap_access *access, u32 wanted);
bool syncmap_access_permits_opener(const struct syncmap_access *access,
				   const struct file *file, u32 wanted);
bool syncmap_access_answers_for(const struct file *file);
bool syncmap_access_owns(const struct syncmap_access *access);
bool syncmap_access_is_kernels(const struct syncmap_access *access);
u32 syncmap_access_uid_here(const struct syncmap_access *access);
u32 syncmap_access_gid_here(const struct syncmap_access *access);

#endif /* SYNCMAP_ACCESS_H */
