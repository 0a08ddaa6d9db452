/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How often each kind of request came, how often it failed and how long it
 * took. Recording is a few relaxed atomic additions, so it is always on.
 *
 * Times are counted in buckets, four for each doubling from 256 ns to 68 s:
 * a percentile read from them is at most a quarter too high.
 */

#include <stdatomic.h>
#include <stdint.h>

enum op {
	OP_LOOKUP,
	OP_FORGET,
	OP_GETATTR,
	OP_SETATTR,
	OP_READLINK,
	OP_MKNOD,
	OP_TMPFILE,
	OP_MKDIR,
	OP_SYMLINK,
	OP_UNLINK,
	OP_RMDIR,
	OP_RENAME,
	OP_LINK,
	OP_READ,
	OP_WRITE,
	OP_FSYNC,
	OP_READDIR,
	OP_READDIRPLUS,
	OP_FSYNCDIR,
	OP_STATFS,
	OP_SETXATTR,
	OP_GETXATTR,
	OP_LISTXATTR,
	OP_REMOVEXATTR,
	OP_FALLOCATE,
	OP_LSEEK,
	OP_COPY_RANGE,
	OP_IOCTL,
	OP_OPEN,
	OP_FLUSH,
	OP_RELEASE,
	OP_COUNT,
};

/* As in .stats: "lookup". */
const char *op_name(enum op op);

#define OPSTATS_BUCKET_FIRST_LOG2 8 /* below 256 ns: bucket 0 */
#define OPSTATS_BUCKET_LAST_LOG2 36 /* from 68 s on: the last bucket */
#define OPSTATS_BUCKET_COUNT \
	(4 * (OPSTATS_BUCKET_LAST_LOG2 - OPSTATS_BUCKET_FIRST_LOG2) + 2)

struct op_counter {
	_Atomic uint64_t count;
	_Atomic uint64_t error_count;
	_Atomic uint64_t time_ns;
	_Atomic uint64_t max_ns;
	_Atomic uint64_t buckets[OPSTATS_BUCKET_COUNT];
};

/* Zero-initialised is ready. */
struct opstats {
	struct op_counter ops[OP_COUNT];
	_Atomic uint64_t io_error_count; /* of all kinds: EIO told */
	_Atomic uint64_t read_bytes;
	_Atomic uint64_t write_bytes;
};

/* error: 0 or a negative errno, as replied. */
void opstats_record(struct opstats *stats, enum op op, uint64_t time_ns,
		    int error);

/* What was counted of one kind so far. */
struct op_figures {
	uint64_t count;
	uint64_t error_count;
	uint64_t time_ns;
	uint64_t max_ns; /* the longest */
	uint64_t buckets[OPSTATS_BUCKET_COUNT];
};

void opstats_read(const struct opstats *stats, enum op op,
		  struct op_figures *ret_figures);

/* The bucket that a time falls into, and the first time beyond a bucket. */
unsigned int opstats_bucket(uint64_t time_ns);
uint64_t opstats_bucket_end_ns(unsigned int bucket);

/* So many of a thousand took at most the time returned; 0 when none came. */
uint64_t op_figures_percentile_ns(const struct op_figures *figures,
				  unsigned int per_mille);
/* How many took less than 2^log2 ns. */
uint64_t op_figures_count_below(const struct op_figures *figures,
				unsigned int log2_ns);
