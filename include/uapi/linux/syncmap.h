/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * syncmap: a concurrent hash map with byte keys and byte values.
 *
 * An open file of /dev/syncmap is a map of its own, private to whoever shares
 * the file: threads, and processes that inherit or are passed the descriptor.
 * It lives until the last descriptor is closed, unless it is given a name
 * (ATTACH): then it lives for as long as it has the name, or anybody uses it.
 * Names are for other processes, and for modules of the kernel. They outlive
 * processes, but not the module: all maps are gone when it is unloaded.
 *
 * Rules that every command follows:
 *
 * - The argument is a pointer to a struct whose first member, @size, is
 *   sizeof() that struct as the caller knows it. A size below the first
 *   published version is EINVAL. Members that the kernel does not know may be
 *   there if they are all zero; a nonzero one, or a size above a page, is
 *   E2BIG.
 * - Pointers travel as __u64; the layout is the same for 32- and 64-bit
 *   callers.
 * - An unknown command is ENOTTY; an unknown flag, a nonzero reserved member,
 *   or a member set that the command does not use is EINVAL.
 * - A bad pointer is EFAULT. Results are written before the map is changed,
 *   so a result that cannot be delivered changes nothing.
 * - A command that reports values needs a descriptor open for reading, one
 *   that changes the map needs one open for writing; otherwise EBADF.
 * - A command that fails has changed nothing, except BATCH, which tells how
 *   many of its operations ran.
 */
#ifndef _UAPI_LINUX_SYNCMAP_H
#define _UAPI_LINUX_SYNCMAP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define SYNCMAP_IOC_TYPE		0xBC

/* A key has 1 to SYNCMAP_KEY_MAX bytes, a value 0 to SYNCMAP_VALUE_MAX. */
#define SYNCMAP_KEY_MAX			512
#define SYNCMAP_VALUE_MAX		65536

/**
 * enum syncmap_cmd - numbers of the commands
 * @SYNCMAP_CMD_LOAD: read the value of a key (read)
 * @SYNCMAP_CMD_STORE: set the value of a key (write)
 * @SYNCMAP_CMD_LOAD_OR_STORE: read the value if there is one, else set it
 * (read and write)
 * @SYNCMAP_CMD_LOAD_AND_DELETE: delete a key and report its value (read and
 * write)
 * @SYNCMAP_CMD_DELETE: delete a key (write)
 * @SYNCMAP_CMD_SWAP: set the value of a key and report the previous one (read
 * and write)
 * @SYNCMAP_CMD_COMPARE_AND_SWAP: set the value of a key if its present value
 * equals another (read and write); never creates a key
 * @SYNCMAP_CMD_COMPARE_AND_DELETE: delete a key if its present value equals
 * another (read and write)
 * @SYNCMAP_CMD_CLEAR: delete all keys (write)
 * @SYNCMAP_CMD_RANGE: read the next keys and values (read)
 * @SYNCMAP_CMD_BATCH: run many of the commands above @SYNCMAP_CMD_CLEAR
 * @SYNCMAP_CMD_INFO: limits of the map, and what this module supports (any)
 * @SYNCMAP_CMD_STATS: counters of the map (any)
 * @SYNCMAP_CMD_ATTACH: give the file the map of a name, or its map a name (any)
 * @SYNCMAP_CMD_UNLINK: take a name away (any)
 * @SYNCMAP_CMD_LIST: read the next names (any)
 */
enum syncmap_cmd {
	SYNCMAP_CMD_LOAD = 0x00,
	SYNCMAP_CMD_STORE,
	SYNCMAP_CMD_LOAD_OR_STORE,
	SYNCMAP_CMD_LOAD_AND_DELETE,
	SYNCMAP_CMD_DELETE,
	SYNCMAP_CMD_SWAP,
	SYNCMAP_CMD_COMPARE_AND_SWAP,
	SYNCMAP_CMD_COMPARE_AND_DELETE,
	SYNCMAP_CMD_CLEAR,
	SYNCMAP_CMD_RANGE,
	SYNCMAP_CMD_BATCH,
	SYNCMAP_CMD_INFO,
	SYNCMAP_CMD_STATS,
	SYNCMAP_CMD_ATTACH,
	SYNCMAP_CMD_UNLINK,
	SYNCMAP_CMD_LIST,
};

/*
 * Bits of syncmap_op.result. A key that is absent or a comparison that fails
 * is no error: the command succeeds and the bit is clear.
 */
/*
 * The key was in the map. All commands but STORE, which never sets it: a
 * COMPARE_AND_SWAP or COMPARE_AND_DELETE with only this bit set has found
 * another value.
 */
#define SYNCMAP_RESULT_FOUND		(1U << 0)
/* The value was stored (STORE, SWAP, LOAD_OR_STORE, COMPARE_AND_SWAP). */
#define SYNCMAP_RESULT_STORED		(1U << 1)
/* The key was deleted (DELETE, LOAD_AND_DELETE, COMPARE_AND_DELETE). */
#define SYNCMAP_RESULT_DELETED		(1U << 2)

/**
 * struct syncmap_op - one operation on one key
 * @size: sizeof(struct syncmap_op)
 * @cmd: in a batch the command, one of enum syncmap_cmd up to
 * SYNCMAP_CMD_COMPARE_AND_DELETE; otherwise 0 or the command itself
 * @flags: none defined, must be 0
 * @error: out, in a batch: 0 or the negative errno of this operation;
 * otherwise untouched
 * @key: address of the key
 * @key_len: bytes of the key, 1 to SYNCMAP_KEY_MAX, else EINVAL
 * @value_len: bytes of the value to store; above SYNCMAP_VALUE_MAX: E2BIG
 * @value: address of the value to store; unused (0) by LOAD,
 * LOAD_AND_DELETE, DELETE and COMPARE_AND_DELETE
 * @old: address of the value to compare with; used by COMPARE_AND_SWAP and
 * COMPARE_AND_DELETE, 0 elsewhere
 * @old_len: bytes of the value to compare with; above SYNCMAP_VALUE_MAX: E2BIG
 * @buf_len: bytes that fit at @buf; a value that does not fit is ENOSPC,
 * @out_len tells the size needed, and nothing is changed. If @buf and @buf_len
 * are both 0 the value is not wanted, and only its size is reported
 * @buf: where the loaded or previous value goes (LOAD, LOAD_OR_STORE,
 * LOAD_AND_DELETE, SWAP); 0 elsewhere
 * @out_len: out: bytes of the loaded or previous value
 * @result: out: SYNCMAP_RESULT_* bits
 *
 * Ioctls: SYNCMAP_IOC_LOAD ... SYNCMAP_IOC_COMPARE_AND_DELETE.
 *
 * Further errors: EDQUOT if the map is at its limit of entries or bytes, E2BIG
 * if too many keys collide with this one, ENOMEM, and EINTR if a signal arrives
 * while others keep changing the key, or a fatal one while waiting for memory
 * to come back. The new value is allocated first: EDQUOT and ENOMEM are
 * possible even where it would not have been stored.
 */
struct syncmap_op {
	__u32 size;
	__u32 cmd;
	__u32 flags;
	__s32 error;
	__aligned_u64 key;
	__u32 key_len;
	__u32 value_len;
	__aligned_u64 value;
	__aligned_u64 old;
	__u32 old_len;
	__u32 buf_len;
	__aligned_u64 buf;
	__u32 out_len;
	__u32 result;
};

/**
 * struct syncmap_clear - delete all keys
 * @size: sizeof(struct syncmap_clear)
 * @flags: none defined, must be 0
 */
struct syncmap_clear {
	__u32 size;
	__u32 flags;
};

/* syncmap_range.result: the walk is complete, no key follows. */
#define SYNCMAP_RANGE_END		(1U << 0)

/**
 * struct syncmap_range - read the next keys and values of a walk
 * @size: sizeof(struct syncmap_range)
 * @flags: none defined, must be 0
 * @cursor: address of the last key that the walk has seen; 0 to begin
 * @cursor_len: bytes of that key, 1 to SYNCMAP_KEY_MAX, or 0 to begin. The key
 * need not be in the map any more
 * @result: out: SYNCMAP_RANGE_END or 0
 * @buf: where the records go, each a struct syncmap_record
 * @buf_len: bytes that fit at @buf; if not even one record fits ENOSPC, and
 * @used tells the size it needs
 * @used: out: bytes written at @buf
 * @count: out: number of records written
 * @last: out: offset at @buf of the last record, whose key is the next cursor
 *
 * A walk reports no key twice, and a key that is in the map from its beginning
 * to its end exactly once; it is no snapshot. Keys come in the order of their
 * secret hashes. A signal may end the call early, with the records so far.
 */
struct syncmap_range {
	__u32 size;
	__u32 flags;
	__aligned_u64 cursor;
	__u32 cursor_len;
	__u32 result;
	__aligned_u64 buf;
	__u32 buf_len;
	__u32 used;
	__u32 count;
	__u32 last;
};

/**
 * struct syncmap_record - a key and its value, as RANGE reports them
 *
 * @next: offset of the next record from the beginning of this one, a multiple
 * of 8; the distance to the end of the records in the last one
 * @key_len: bytes of the key
 * @value_len: bytes of the value
 * @__reserved: 0
 *
 * The key follows behind the struct, and the value right behind the key.
 */
struct syncmap_record {
	__u32 next;
	__u32 key_len;
	__u32 value_len;
	__u32 __reserved;
};

/* The bytes of the key of a record. */
static __inline__ const __u8 *
syncmap_record_key(const struct syncmap_record *record)
{
	return (const __u8 *)(record + 1);
}

/* The bytes of its value. */
static __inline__ const __u8 *
syncmap_record_value(const struct syncmap_record *record)
{
	return syncmap_record_key(record) + record->key_len;
}

/**
 * struct syncmap_batch - run many operations in one system call
 * @size: sizeof(struct syncmap_batch)
 * @flags: none defined, must be 0
 * @ops: address of an array of struct syncmap_op, each with its own @cmd. All
 * have the @size of the first, which is their distance; another one is EINVAL
 * for that operation, a bad first one (EINVAL, E2BIG) for the batch
 * @count: number of operations; 0 to SYNCMAP_BATCH_MAX, above: E2BIG
 * @done: out: number of operations that ran; each of them has its @error,
 * @out_len and @result set
 *
 * Any descriptor will do for the batch itself; operations for which it is not
 * open fail with EBADF each. Operations run in the order of the array, each
 * atomic by itself, the batch is not; an element may be read before those in
 * front of it run. An operation that fails does not stop the
 * batch. The batch stops early, with success and @done < @count, if a signal
 * arrives, and with EFAULT if an element of the array cannot be read or
 * written; @done tells how many ran before. If it is the struct itself that
 * cannot be written any more when they have run, that is EFAULT as well, and
 * @done remains 0.
 */
struct syncmap_batch {
	__u32 size;
	__u32 flags;
	__aligned_u64 ops;
	__u32 count;
	__u32 done;
};

#define SYNCMAP_BATCH_MAX		65536

/**
 * struct syncmap_info - limits and version
 * @size: sizeof(struct syncmap_info)
 * @flags: none defined, must be 0
 * @abi_version: out: 1
 * @key_max: out: SYNCMAP_KEY_MAX
 * @value_max: out: SYNCMAP_VALUE_MAX
 * @batch_max: out: SYNCMAP_BATCH_MAX
 * @max_entries: out: limit on the number of keys in this map
 * @max_bytes: out: limit on the memory of this map, in bytes
 * @max_owner_bytes: out: limit on the memory of all maps of its owner: the user
 * who has opened the file with which it began
 * @owner_bytes: out: that memory; 0 for a map that the kernel has made, whose
 * memory counts for nobody
 * @max_names: out: limit on the number of names that an owner has
 * @names: out: that number
 */
struct syncmap_info {
	__u32 size;
	__u32 flags;
	__u32 abi_version;
	__u32 key_max;
	__u32 value_max;
	__u32 batch_max;
	__aligned_u64 max_entries;
	__aligned_u64 max_bytes;
	__aligned_u64 max_owner_bytes;
	__aligned_u64 owner_bytes;
	__aligned_u64 max_names;
	__aligned_u64 names;
};

/**
 * struct syncmap_stats - counters of a map, each read by itself
 * @size: sizeof(struct syncmap_stats)
 * @flags: none defined, must be 0
 * @entries: out: keys in the map
 * @bytes: out: memory of the map, tables and what awaits a grace period
 * included
 * @retired_bytes: out: the part of @bytes that awaits a grace period
 * @read_slots: out: entries that the read table refers to, deleted ones
 * included; perhaps less than that while the dirty table is the same one
 * @dirty_slots: out: the same of the dirty table; 0 while there is none
 * @amended: out: 1 if there is a dirty table with keys that read lacks
 * @__reserved: out: 0
 * @misses: out: lookups that missed the read table and had to look further,
 * since the map was made
 * @promotions: out: times the dirty table became the read table
 * @expunged: out: entries of deleted keys that new dirty tables, and
 * sweeps, have left out so far
 * @sweeps: out: sweeps that freed deleted keys
 */
struct syncmap_stats {
	__u32 size;
	__u32 flags;
	__aligned_u64 entries;
	__aligned_u64 bytes;
	__aligned_u64 retired_bytes;
	__aligned_u64 read_slots;
	__aligned_u64 dirty_slots;
	__u32 amended;
	__u32 __reserved;
	__aligned_u64 misses;
	__aligned_u64 promotions;
	__aligned_u64 expunged;
	__aligned_u64 sweeps;
};

/*
 * A name has 1 to SYNCMAP_NAME_MAX bytes: letters, digits and . _ - : of ASCII,
 * the first of which is no dot. It is not terminated.
 */
#define SYNCMAP_NAME_MAX		63

/* syncmap_attach.flags: if there is no map of the name, make one. */
#define SYNCMAP_ATTACH_CREATE		(1U << 0)
/* The same, and fail if there is one. */
#define SYNCMAP_ATTACH_EXCL		(1U << 1)

/* syncmap_attach.result: there was no map of the name. */
#define SYNCMAP_ATTACH_CREATED		(1U << 0)

/**
 * struct syncmap_attach - give the file the map of a name, or its map a name
 * @size: sizeof(struct syncmap_attach)
 * @flags: SYNCMAP_ATTACH_* bits; EXCL only with CREATE
 * @name: address of the name
 * @name_len: bytes of the name; above SYNCMAP_NAME_MAX: ENAMETOOLONG
 * @mode: permissions, if the map is made: bits as of a file (0 to 0777), subject
 * to the umask; 0 without CREATE
 * @result: out: SYNCMAP_ATTACH_CREATED or 0
 * @__reserved: 0
 *
 * If there is a map of this name, the file is attached to it: all further
 * commands go to that map. The file's own map must be empty, else ENOTEMPTY.
 *
 * If there is none, and CREATE is set, the file's own map, with what is in it,
 * gets the name. It belongs to the file system user and group of the caller.
 *
 * A file is attached once, for good: EBUSY otherwise, and while another thread is
 * about it. Attach it before it is shared: an operation that is in flight goes to
 * the file's own map.
 *
 * Permissions are checked here: a descriptor that is open for reading needs
 * the right to read the map, one that is open for writing the right to write
 * it, as the owner, the group or others have it, or CAP_DAC_OVERRIDE in the
 * user namespace of who made it; else EACCES. So must who has opened the file,
 * if that was somebody else, since he may have it still; and to give the map
 * of such a file a name, the caller must be the same user, or whoever opened it
 * have had CAP_DAC_OVERRIDE. Names are the same in all namespaces. EBADF if the
 * descriptor is open for neither. The map's memory counts for its owner for as
 * long as anybody uses it, with a name or without.
 *
 * ENOENT if there is no map of this name; EEXIST if there is one, and EXCL is
 * set; EDQUOT if the owner has as many names as may be; EINVAL if the name is
 * none; ENOMEM; EINTR if a signal arrives while others keep making and taking
 * away the name.
 */
struct syncmap_attach {
	__u32 size;
	__u32 flags;
	__aligned_u64 name;
	__u32 name_len;
	__u32 mode;
	__u32 result;
	__u32 __reserved;
};

/**
 * struct syncmap_unlink - take a name away
 * @size: sizeof(struct syncmap_unlink)
 * @flags: none defined, must be 0
 * @name: address of the name
 * @name_len: bytes of the name
 * @__reserved: 0
 *
 * The map lives on for those who use it, and is freed after the last of them.
 * Only its owner may do this, or who has CAP_FOWNER in the user namespace of
 * who made it; else EPERM. ENOENT if there is no such name.
 */
struct syncmap_unlink {
	__u32 size;
	__u32 flags;
	__aligned_u64 name;
	__u32 name_len;
	__u32 __reserved;
};

/**
 * struct syncmap_name - a named map, as LIST reports it
 * @next: offset of the next record from the beginning of this one, a multiple
 * of 8; the distance to the end of the records in the last one
 * @name_len: bytes of the name, which follows behind the struct
 * @uid: owner, in the caller's user namespace
 * @gid: group, in the caller's user namespace
 * @mode: permissions
 * @users: open files that are attached to it, and references of modules
 * @entries: keys in the map
 * @bytes: memory of the map, in bytes
 *
 * LIST takes a struct syncmap_range, whose cursor is the last name that was
 * seen. Names come in the order of their bytes. It lists all names, whoever
 * may use them, as a folder does.
 */
struct syncmap_name {
	__u32 next;
	__u32 name_len;
	__u32 uid;
	__u32 gid;
	__u32 mode;
	__u32 users;
	__aligned_u64 entries;
	__aligned_u64 bytes;
};

#define SYNCMAP_IOC_LOAD		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LOAD)
#define SYNCMAP_IOC_STORE		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_STORE)
#define SYNCMAP_IOC_LOAD_OR_STORE \
	_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LOAD_OR_STORE)
#define SYNCMAP_IOC_LOAD_AND_DELETE \
	_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LOAD_AND_DELETE)
#define SYNCMAP_IOC_DELETE		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_DELETE)
#define SYNCMAP_IOC_SWAP		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_SWAP)
#define SYNCMAP_IOC_COMPARE_AND_SWAP \
	_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_COMPARE_AND_SWAP)
#define SYNCMAP_IOC_COMPARE_AND_DELETE \
	_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_COMPARE_AND_DELETE)
#define SYNCMAP_IOC_CLEAR		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_CLEAR)
#define SYNCMAP_IOC_RANGE		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_RANGE)
#define SYNCMAP_IOC_BATCH		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_BATCH)
#define SYNCMAP_IOC_INFO		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_INFO)
#define SYNCMAP_IOC_STATS		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_STATS)
#define SYNCMAP_IOC_ATTACH		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_ATTACH)
#define SYNCMAP_IOC_UNLINK		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_UNLINK)
#define SYNCMAP_IOC_LIST		_IO(SYNCMAP_IOC_TYPE, SYNCMAP_CMD_LIST)

#endif /* _UAPI_LINUX_SYNCMAP_H */
