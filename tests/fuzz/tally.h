/* SPDX-License-Identifier: GPL-2.0 */
/* What calls have returned, counted by all processes together. */
#ifndef SYNCMAP_FUZZ_TALLY_H
#define SYNCMAP_FUZZ_TALLY_H

#include "../kselftest/map.h"

/* One row for each command, one for each in a batch, and one for all others. */
enum {
	ROW_BATCHED = SYNCMAP_CMD_LIST + 1,
	ROW_UNKNOWN = ROW_BATCHED + KEY_COMMANDS,
	ROWS,
};

/* Columns of the table; everything else is none that a call may return. */
static const struct {
	int error;
	const char *name;
} columns[] = {
	{ 0, "ok" }, { EINVAL, "INVAL" }, { E2BIG, "2BIG" },
	{ EFAULT, "FAULT" }, { EBADF, "BADF" }, { ENOSPC, "NOSPC" },
	{ EDQUOT, "DQUOT" }, { ENOMEM, "NOMEM" }, { EINTR, "INTR" },
	{ ENOENT, "NOENT" }, { EEXIST, "EXIST" }, { EBUSY, "BUSY" },
	{ ENOTEMPTY, "NOTEMPTY" }, { EACCES, "ACCES" }, { EPERM, "PERM" },
	{ ENAMETOOLONG, "TOOLONG" }, { ENOTTY, "NOTTY" },
};

#define COLUMNS ARRAY_SIZE(columns)

struct tally {
	unsigned long long counts[ROWS][COLUMNS];
	unsigned long long calls;
	/* Errors that no call may return: the first of them. */
	int stray_row, stray_error;
	unsigned long long strays;
};

static inline const char *row_name(int row)
{
	static char name[40];

	if (row == ROW_UNKNOWN)
		return "unknown";
	if (row < ROW_BATCHED)
		return cmd_name(row);
	snprintf(name, sizeof(name), "%s in BATCH", cmd_name(row - ROW_BATCHED));
	return name;
}

static inline bool is_key_command(int row)
{
	return row < KEY_COMMANDS || (row >= ROW_BATCHED && row < ROW_UNKNOWN);
}

/* The command of a row, in a batch or not. */
static inline __u32 row_cmd(int row)
{
	return row >= ROW_BATCHED ? row - ROW_BATCHED : row;
}

static inline bool has_name(__u32 cmd)
{
	return cmd == SYNCMAP_CMD_ATTACH || cmd == SYNCMAP_CMD_UNLINK ||
	       cmd == SYNCMAP_CMD_LIST;
}

/*
 * Whether the header lets a call return this. Any descriptor may be closed by
 * now, and any allocation be made to fail.
 */
static inline bool may_return(int row, int error)
{
	const __u32 cmd = row_cmd(row);
	const bool keyed = is_key_command(row);

	if (row == ROW_UNKNOWN)
		return error == ENOTTY || error == EBADF;
	switch (error) {
	case 0:
	case EINVAL:
	case E2BIG:
	case EFAULT:
	case EBADF:
		return true;
	case ENOSPC:
		return (keyed && takes_buf(cmd)) ||
		       cmd == SYNCMAP_CMD_RANGE || cmd == SYNCMAP_CMD_LIST;
	case EDQUOT:
		return (keyed && takes_value(cmd)) ||
		       cmd == SYNCMAP_CMD_ATTACH;
	case ENOMEM:
		return (keyed && (takes_value(cmd) || takes_old(cmd))) ||
		       cmd == SYNCMAP_CMD_ATTACH;
	case EINTR:
		return (keyed && cmd != SYNCMAP_CMD_LOAD) ||
		       cmd == SYNCMAP_CMD_CLEAR || cmd == SYNCMAP_CMD_ATTACH;
	case ENAMETOOLONG:
		return has_name(cmd);
	case ENOENT:
		return cmd == SYNCMAP_CMD_ATTACH || cmd == SYNCMAP_CMD_UNLINK;
	case EEXIST:
	case EBUSY:
	case ENOTEMPTY:
	case EACCES:
		return cmd == SYNCMAP_CMD_ATTACH;
	case EPERM:
		return cmd == SYNCMAP_CMD_UNLINK;
	}
	return false;
}

/*
 * Whether a run of some length must have seen this. Signals rarely come while
 * a call would heed them. Memory fails only if the kernel lets it, and for
 * nothing as often as for values.
 */
static inline bool must_return(int row, int error, bool faults)
{
	if (!may_return(row, error) || error == EINTR)
		return false;
	/* What is wrong with an argument as a whole is the batch's to tell. */
	if (row >= ROW_BATCHED && row < ROW_UNKNOWN && error == E2BIG)
		return false;
	if (error == ENOMEM)
		return faults && row < KEY_COMMANDS && takes_value(row);
	return true;
}

static inline void count_call(struct tally *tally, int row, int ret)
{
	size_t i;

	__atomic_fetch_add(&tally->calls, row < ROW_BATCHED ||
			   row == ROW_UNKNOWN, __ATOMIC_RELAXED);
	for (i = 0; i < COLUMNS; i++) {
		if (columns[i].error != -ret)
			continue;
		__atomic_fetch_add(&tally->counts[row][i], 1, __ATOMIC_RELAXED);
		if (may_return(row, -ret))
			return;
		break;
	}
	if (!__atomic_fetch_add(&tally->strays, 1, __ATOMIC_RELAXED)) {
		tally->stray_row = row;
		tally->stray_error = ret;
	}
}

/* One line for each row that has anything: its name, and what it returned. */
static inline void show_tally(const struct tally *tally)
{
	char line[512];
	size_t i, len;
	int row;

	for (row = 0; row < ROWS; row++) {
		len = snprintf(line, sizeof(line), "%-29s", row_name(row));
		for (i = 0; i < COLUMNS; i++)
			if (tally->counts[row][i])
				len += snprintf(line + len, sizeof(line) - len,
						" %s %llu", columns[i].name,
						tally->counts[row][i]);
		diag("%s", line);
	}
}

/* How many things never happened that should have; says which. */
static inline int count_missing(const struct tally *tally, bool faults)
{
	int row, missing = 0;
	size_t i;

	for (row = 0; row < ROWS; row++) {
		for (i = 0; i < COLUMNS; i++) {
			if (tally->counts[row][i] ||
			    !must_return(row, columns[i].error, faults))
				continue;
			diag("never: %s, %s", row_name(row), columns[i].name);
			missing++;
		}
	}
	return missing;
}

#endif /* SYNCMAP_FUZZ_TALLY_H */
