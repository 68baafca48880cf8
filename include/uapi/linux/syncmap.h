/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * syncmap: a concurrent hash map with byte keys and byte values.
 *
 * An open file of /dev/syncmap is a map of its own, private to whoever shares
 * the file: threads, and processes that inherit or are passed the descriptor.
 * It lives until the last descriptor is closed.
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
 * @next: offset of the next record from the beginning of this one, a multiple
 * of 8; the distance to the end of the records in the last one
 * @key_len: bytes of the key
 * @value_len: bytes of the value
 * @__reserved: 0
 * @data: the key, and right behind it the value
 */
struct syncmap_record {
	__u32 next;
	__u32 key_len;
	__u32 value_len;
	__u32 __reserved;
	__u8 data[];
};

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
 * written; @done tells how many ran before.
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
 * included
 * @dirty_slots: out: the same of the dirty table; 0 while there is none
 * @amended: out: 1 if there is a dirty table with keys that read lacks
 * @__reserved: out: 0
 * @misses: out: lookups that missed the read table and had to look further,
 * since the map was made
 * @promotions: out: times the dirty table became the read table
 * @expunged: out: entries expunged so far
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

#endif /* _UAPI_LINUX_SYNCMAP_H */
