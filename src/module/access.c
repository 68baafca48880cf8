// SPDX-License-Identifier: GPL-2.0
/*
 * Whose a named map is, and who may use it: as for a file, by file system ids,
 * groups and capabilities, which are static inline functions and macros.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "access.h"

#define MODE_BITS	0777

/* The user that the maps of a caller belong to. */
u32 syncmap_access_uid(void)
{
	return __kuid_val(current_fsuid());
}

/* Of what the caller creates with @mode. */
void syncmap_access_of_caller(struct syncmap_access *access, u32 mode)
{
	access->uid = __kuid_val(current_fsuid());
	access->gid = __kgid_val(current_fsgid());
	access->mode = mode & MODE_BITS & ~current_umask();
	access->ns = get_user_ns(current_user_ns());
}

/* Of what the kernel creates with @mode. */
void syncmap_access_of_kernel(struct syncmap_access *access, u32 mode)
{
	access->uid = __kuid_val(GLOBAL_ROOT_UID);
	access->gid = __kgid_val(GLOBAL_ROOT_GID);
	access->mode = mode & MODE_BITS;
	access->ns = get_user_ns(&init_user_ns);
}

void syncmap_access_end(struct syncmap_access *access)
{
	put_user_ns(access->ns);
}

/* Whether the caller may do all that @wanted says: 4 to read, 2 to write. */
bool syncmap_access_permits(const struct syncmap_access *access, u32 wanted)
{
	u32 granted = access->mode;

	if (uid_eq(KUIDT_INIT(access->uid), current_fsuid()))
		granted >>= 6;
	else if (in_group_p(KGIDT_INIT(access->gid)))
		granted >>= 3;
	return !(wanted & ~granted) ||
	       ns_capable(access->ns, CAP_DAC_OVERRIDE);
}

/*
 * Whether who has opened @file may do so as well: somebody whose file it is as
 * well, and who has passed it on, gets no more by that.
 */
bool syncmap_access_permits_opener(const struct syncmap_access *access,
				   const struct file *file, u32 wanted)
{
	const struct cred *caller = override_creds(file->f_cred);
	const bool permits = syncmap_access_permits(access, wanted);

	revert_creds(caller);
	return permits;
}

/* Whether the caller may make what who has opened @file will share. */
bool syncmap_access_answers_for(const struct file *file)
{
	return uid_eq(file->f_cred->fsuid, current_fsuid()) ||
	       file_ns_capable(file, current_user_ns(), CAP_DAC_OVERRIDE);
}

/* Whether the caller may do what only the owner may. */
bool syncmap_access_owns(const struct syncmap_access *access)
{
	return uid_eq(KUIDT_INIT(access->uid), current_fsuid()) ||
	       ns_capable(access->ns, CAP_FOWNER);
}

/* Whether it belongs to whom also what the kernel creates belongs to. */
bool syncmap_access_is_kernels(const struct syncmap_access *access)
{
	return uid_eq(KUIDT_INIT(access->uid), GLOBAL_ROOT_UID) &&
	       access->ns == &init_user_ns;
}

/* The ids, as the caller's user namespace knows them. */
u32 syncmap_access_uid_here(const struct syncmap_access *access)
{
	return from_kuid_munged(current_user_ns(), KUIDT_INIT(access->uid));
}

u32 syncmap_access_gid_here(const struct syncmap_access *access)
{
	return from_kgid_munged(current_user_ns(), KGIDT_INIT(access->gid));
}
