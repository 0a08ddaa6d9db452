/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A struct io that fails on command. It stands on another one, counts every
 * raw call, and makes chosen calls fail, be interrupted or come out short.
 * The usual loop fails each call of a piece of work in turn:
 *
 *	struct fault fault = { .ops = FAULT_ANY, .error = -EIO };
 *
 *	do {
 *		fault.nth++;
 *		fault_io_arm(&f, &fault);
 *		work(&f.io);
 *		... what has to hold now ...
 *	} while (fault_io_hit_count(&f) > 0);
 *
 * A call that fails has not happened, but for close and unmap, which release
 * what they were given all the same, as the system's do.
 *
 * Over record_io, not under it, when both are used: then what a failing write
 * did write is recorded. Any number of threads may use it.
 *
 * It also keeps account: of descriptors and maps that are not given back, and
 * of syncs that failed where that must end all writing.
 */

#include "engine/io.h"
#include "engine/lock.h"

enum fault_op {
	OP_OPEN_DIR,
	OP_MAKE_DIR,
	OP_OPEN,
	OP_CLOSE,
	OP_PREAD,
	OP_PWRITEV,
	OP_SYNC_DATA,
	OP_SYNC_DIR,
	OP_TRUNCATE,
	OP_ALLOCATE,
	OP_RENAME,
	OP_UNLINK,
	OP_SIZE,
	OP_LOCK,
	OP_LIST,
	OP_STATVFS,
	OP_MAP,
	OP_UNMAP,
	OP_TOUCH,
	OP_COUNT,
};

/* For struct fault's ops, to be combined by |. */
#define FAULT_OP(op) (1u << (op))
#define FAULT_ANY (FAULT_OP(OP_COUNT) - 1)
#define FAULT_SYNCS (FAULT_OP(OP_SYNC_DATA) | FAULT_OP(OP_SYNC_DIR))
/* What needs space on the disk: all that a full one fails. */
#define FAULT_GROWTH                                                        \
	(FAULT_OP(OP_MAKE_DIR) | FAULT_OP(OP_OPEN) | FAULT_OP(OP_PWRITEV) | \
	 FAULT_OP(OP_ALLOCATE))

#define FAULT_FOR_EVER UINT64_MAX

/* Descriptors beyond are not told apart by name. */
#define FAULT_IO_FDS_MAX 1024

/*
 * Which calls to hit, and how. EINTR k times is { .error = -EINTR, .times = k
 * }; a disk that filled up is { .ops = FAULT_GROWTH, .error = -ENOSPC, .times
 * = FAULT_FOR_EVER }.
 */
struct fault {
	unsigned int ops; /* the calls that count */
	uint64_t nth;     /* the first of them to hit since arming; 0 is 1 */
	uint64_t times;   /* so many of them in a row; 0 is 1 */
	int error;        /* the result, -errno; 0: shortened, no error */
	/*
	 * What a pread or pwritev that is hit moves at most. With an error: a
	 * pwritev writes that much before it fails. Without: the result, even
	 * 0; other operations are then not counted.
	 */
	size_t limit_bytes;
};

struct fault_io {
	struct io io; /* first: this is what is passed on */
	struct io *below;
	struct mutex lock;

	/* Guarded by lock. */
	struct fault fault;
	uint64_t candidate_count; /* since arming */
	uint64_t hit_count;       /* since arming */
	unsigned int hit_ops;     /* which they were, since arming */
	uint64_t call_counts[OP_COUNT];
	int64_t open_count;            /* descriptors not closed */
	int64_t map_count;             /* mappings not undone */
	bool is_log[FAULT_IO_FDS_MAX]; /* by descriptor: it is a .seg */
	/* A sync of a directory or of a .seg failed, not by EINTR: what it
	 * should have covered may be lost, whatever later syncs say. */
	bool lost_sync;
};

/* Disarmed. `below` is borrowed. */
void fault_io_init(struct fault_io *f, struct io *below);
void fault_io_release(struct fault_io *f);

/* Replaces the fault, counting from the next call on. NULL disarms. */
void fault_io_arm(struct fault_io *f, const struct fault *fault);

/* Descriptors and mappings that were opened and not given back; descriptors
 * alone. */
int64_t fault_io_open_count(struct fault_io *f);
int64_t fault_io_descriptor_count(struct fault_io *f);
/* Whether a sync that covers the log failed since arming. */
bool fault_io_lost_sync(struct fault_io *f);

/* Calls that were hit since arming. */
uint64_t fault_io_hit_count(struct fault_io *f);

/* What kinds of call were hit since arming. */
unsigned int fault_io_hit_ops(struct fault_io *f);

/* Calls of any of `ops` since init or reset. Hit ones are counted too. */
uint64_t fault_io_call_count(struct fault_io *f, unsigned int ops);
void fault_io_reset_counts(struct fault_io *f);
