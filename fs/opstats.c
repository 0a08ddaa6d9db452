/* SPDX-License-Identifier: MIT */

/*
 * Counters and time buckets of requests. Every field is a relaxed atomic: a
 * reader may see one request counted and not yet in a bucket, which no figure
 * minds.
 *
 * A time with highest bit b and the two bits below it q falls into bucket
 * 1 + 4 * (b - 8) + q: 1000 ns, binary 11.1110 1000, has b = 9 and q = 3.
 */

#include "fs/opstats.h"

#include <assert.h>
#include <errno.h>

static const char *const op_names[OP_COUNT] = {
	[OP_LOOKUP] = "lookup",
	[OP_FORGET] = "forget",
	[OP_GETATTR] = "getattr",
	[OP_SETATTR] = "setattr",
	[OP_READLINK] = "readlink",
	[OP_MKNOD] = "mknod",
	[OP_TMPFILE] = "tmpfile",
	[OP_MKDIR] = "mkdir",
	[OP_SYMLINK] = "symlink",
	[OP_UNLINK] = "unlink",
	[OP_RMDIR] = "rmdir",
	[OP_RENAME] = "rename",
	[OP_LINK] = "link",
	[OP_READ] = "read",
	[OP_WRITE] = "write",
	[OP_FSYNC] = "fsync",
	[OP_READDIR] = "readdir",
	[OP_READDIRPLUS] = "readdirplus",
	[OP_FSYNCDIR] = "fsyncdir",
	[OP_STATFS] = "statfs",
	[OP_SETXATTR] = "setxattr",
	[OP_GETXATTR] = "getxattr",
	[OP_LISTXATTR] = "listxattr",
	[OP_REMOVEXATTR] = "removexattr",
	[OP_FALLOCATE] = "fallocate",
	[OP_LSEEK] = "lseek",
	[OP_COPY_RANGE] = "copy_range",
	[OP_IOCTL] = "ioctl",
	[OP_OPEN] = "open",
	[OP_FLUSH] = "flush",
	[OP_RELEASE] = "release",
};

const char *op_name(enum op op)
{
	assert(op < OP_COUNT);
	return op_names[op];
}

unsigned int opstats_bucket(uint64_t time_ns)
{
	unsigned int bit;

	if (time_ns < (uint64_t)1 << OPSTATS_BUCKET_FIRST_LOG2)
		return 0;
	if (time_ns >= (uint64_t)1 << OPSTATS_BUCKET_LAST_LOG2)
		return OPSTATS_BUCKET_COUNT - 1;
	bit = 63 - (unsigned int)__builtin_clzll(time_ns);
	return 1 + 4 * (bit - OPSTATS_BUCKET_FIRST_LOG2) +
	       (unsigned int)((time_ns >> (bit - 2)) & 3);
}

uint64_t opstats_bucket_end_ns(unsigned int bucket)
{
	unsigned int bit = bucket / 4 + OPSTATS_BUCKET_FIRST_LOG2;

	if (bucket >= OPSTATS_BUCKET_COUNT - 1)
		return UINT64_MAX;
	return (4 + (uint64_t)(bucket % 4)) << (bit - 2);
}

static void add(_Atomic uint64_t *counter, uint64_t value)
{
	atomic_fetch_add_explicit(counter, value, memory_order_relaxed);
}

static void raise(_Atomic uint64_t *highest, uint64_t value)
{
	uint64_t seen = atomic_load_explicit(highest, memory_order_relaxed);

	while (value > seen &&
	       !atomic_compare_exchange_weak_explicit(highest, &seen, value,
						      memory_order_relaxed,
						      memory_order_relaxed)) {
	}
}

void opstats_record(struct opstats *stats, enum op op, uint64_t time_ns,
		    int error)
{
	struct op_counter *counter = &stats->ops[op];

	add(&counter->count, 1);
	add(&counter->time_ns, time_ns);
	raise(&counter->max_ns, time_ns);
	add(&counter->buckets[opstats_bucket(time_ns)], 1);
	if (error)
		add(&counter->error_count, 1);
	if (error == -EIO)
		add(&stats->io_error_count, 1);
}

void opstats_read(const struct opstats *stats, enum op op,
		  struct op_figures *ret_figures)
{
	const struct op_counter *counter = &stats->ops[op];

	ret_figures->count =
		atomic_load_explicit(&counter->count, memory_order_relaxed);
	ret_figures->error_count = atomic_load_explicit(&counter->error_count,
							memory_order_relaxed);
	ret_figures->time_ns =
		atomic_load_explicit(&counter->time_ns, memory_order_relaxed);
	ret_figures->max_ns =
		atomic_load_explicit(&counter->max_ns, memory_order_relaxed);
	for (unsigned int i = 0; i < OPSTATS_BUCKET_COUNT; i++)
		ret_figures->buckets[i] = atomic_load_explicit(
			&counter->buckets[i], memory_order_relaxed);
}

uint64_t op_figures_percentile_ns(const struct op_figures *figures,
				  unsigned int per_mille)
{
	uint64_t total = 0;
	uint64_t seen = 0;
	uint64_t rank;

	for (unsigned int i = 0; i < OPSTATS_BUCKET_COUNT; i++)
		total += figures->buckets[i];
	if (total == 0)
		return 0;
	/* The rank-th of them, counted from 1, rounded up. */
	rank = total / 1000 * per_mille +
	       (total % 1000 * per_mille + 999) / 1000;
	for (unsigned int i = 0; i < OPSTATS_BUCKET_COUNT; i++) {
		seen += figures->buckets[i];
		if (seen >= rank && seen)
			return opstats_bucket_end_ns(i);
	}
	return UINT64_MAX;
}

uint64_t op_figures_count_below(const struct op_figures *figures,
				unsigned int log2_ns)
{
	unsigned int end = opstats_bucket((uint64_t)1 << log2_ns);
	uint64_t count = 0;

	for (unsigned int i = 0; i < end; i++)
		count += figures->buckets[i];
	return count;
}
