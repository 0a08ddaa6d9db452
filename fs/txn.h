/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A transaction: the working memory of one operation. It holds the batch that
 * the operation commits, and an arena for what the batch borrows: encoded
 * records and rewritten blocks live until the transaction ends. Transactions
 * are pooled, so that a common operation allocates nothing.
 *
 * A transaction is used by one thread. It takes no inode locks: the operation
 * does.
 */

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "engine/kv.h"
#include "engine/lock.h"
#include "fs/schema.h"

struct fs;

struct txn_chunk {
	struct txn_chunk *next;
	size_t capacity;
	size_t used;
	_Alignas(16) uint8_t bytes[];
};

/* What the batch changes in a partition. */
struct txn_account {
	struct txn_account *next; /* by number */
	struct partition *partition;
	int64_t keys, bytes; /* added */
	bool removed;        /* with its directory */
};

struct txn {
	struct fs *fs;
	struct txn *next_free;
	struct timespec now; /* of the operation, by the clock of the kernel's
			      * filesystems */
	struct kv_batch batch;
	uint64_t batch_bytes;     /* about what the batch adds to the store */
	uint64_t prepaid_bytes;   /* of them, kept free for it before */
	struct txn_chunk *chunks; /* newest first */
	struct txn_account *accounts; /* in the chunks */
	bool elsewhere; /* it stores inodes that are in no partition */
};

struct txn_pool {
	struct mutex lock;
	/* Guarded by lock. */
	struct txn *free;
	unsigned int free_count;
};

void txn_pool_init(struct txn_pool *pool);
void txn_pool_release(struct txn_pool *pool);

/* NULL when memory is out. */
struct txn *txn_begin(struct fs *fs);
/* What was not committed is dropped. NULL is allowed. */
void txn_end(struct txn *txn);
/* Empties batch and arena: to go on with the next batch of a long operation.
 * Everything that was allocated is gone, loaded inodes' data included. */
void txn_clear(struct txn *txn);

/* Memory that lives as long as the transaction; NULL when memory is out. */
void *txn_alloc(struct txn *txn, size_t size);
/* Gives back all but `size` bytes of what was allocated last. */
void txn_trim(struct txn *txn, void *last, size_t size);

/* The value is borrowed until txn_commit. 0, -ENOMEM, -EIO (a batch too big:
 * a mistake, as operations bound their batches). */
int txn_set(struct txn *txn, const struct schema_key *key, struct slice value);
int txn_delete(struct txn *txn, const struct schema_key *key);

/*
 * Commits the batch: all of it is visible on return, or nothing. flags as
 * kv_commit. 0; -ENOSPC also where the size limit of the mount ends, -EDQUOT
 * where the quota of a partition does, unless KV_COMMIT_RESERVED; and the
 * errors of kv_commit.
 */
int txn_commit(struct txn *txn, unsigned int flags);
