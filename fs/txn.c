/* SPDX-License-Identifier: MIT */

/*
 * Transactions and their pool. Invariants:
 *	1. What txn_alloc gave stays where it is until txn_clear or txn_end:
 *	   chunks are added, never moved.
 *	2. A pooled transaction is empty and keeps one chunk of the usual size,
 *	   so that the pool's memory is bounded by TXN_POOL_MAX.
 * Lock: pool->lock, a leaf.
 */

#include "fs/txn.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "fs/fs_internal.h"

#define TXN_POOL_MAX 32u
#define CHUNK_SIZE ((size_t)96 << 10)
/* About what the log adds to a key and a value. */
#define RECORD_OVERHEAD 32u

void txn_pool_init(struct txn_pool *pool)
{
	mutex_init(&pool->lock);
	pool->free = NULL;
	pool->free_count = 0;
}

/* Frees all chunks but one of the usual size. */
static void chunks_shrink(struct txn *txn)
{
	struct txn_chunk *kept = NULL;
	struct txn_chunk *chunk;

	while ((chunk = txn->chunks)) {
		txn->chunks = chunk->next;
		if (!kept && chunk->capacity == CHUNK_SIZE)
			kept = chunk;
		else
			free(chunk);
	}
	if (kept) {
		kept->used = 0;
		kept->next = NULL;
	}
	txn->chunks = kept;
}

static void txn_free(struct txn *txn)
{
	struct txn_chunk *chunk;

	while ((chunk = txn->chunks)) {
		txn->chunks = chunk->next;
		free(chunk);
	}
	kv_batch_release(&txn->batch);
	free(txn);
}

void txn_pool_release(struct txn_pool *pool)
{
	struct txn *txn;

	while ((txn = pool->free)) {
		pool->free = txn->next_free;
		txn_free(txn);
	}
	mutex_release(&pool->lock);
}

struct txn *txn_begin(struct fs *fs)
{
	struct txn *txn;

	mutex_lock(&fs->txns.lock);
	txn = fs->txns.free;
	if (txn) {
		fs->txns.free = txn->next_free;
		fs->txns.free_count--;
	}
	mutex_unlock(&fs->txns.lock);
	if (!txn) {
		txn = calloc(1, sizeof(*txn));
		if (!txn)
			return NULL;
		txn->fs = fs;
	}
	txn->now = time_now();
	return txn;
}

void txn_clear(struct txn *txn)
{
	kv_batch_clear(&txn->batch);
	txn->batch_bytes = 0;
	txn->prepaid_bytes = 0;
	txn->accounts = NULL;
	txn->elsewhere = false;
	chunks_shrink(txn);
}

void txn_end(struct txn *txn)
{
	struct txn_pool *pool;

	if (!txn)
		return;
	txn_clear(txn);
	pool = &txn->fs->txns;
	mutex_lock(&pool->lock);
	if (pool->free_count < TXN_POOL_MAX) {
		txn->next_free = pool->free;
		pool->free = txn;
		pool->free_count++;
		txn = NULL;
	}
	mutex_unlock(&pool->lock);
	if (txn)
		txn_free(txn);
}

void *txn_alloc(struct txn *txn, size_t size)
{
	struct txn_chunk *chunk = txn->chunks;
	size_t capacity;
	void *p;

	size = (size + 15) & ~(size_t)15;
	if (!chunk || chunk->capacity - chunk->used < size) {
		capacity = size > CHUNK_SIZE ? size : CHUNK_SIZE;
		chunk = malloc(sizeof(*chunk) + capacity);
		if (!chunk)
			return NULL;
		chunk->capacity = capacity;
		chunk->used = 0;
		chunk->next = txn->chunks;
		txn->chunks = chunk;
	}
	p = chunk->bytes + chunk->used;
	chunk->used += size;
	return p;
}

void txn_trim(struct txn *txn, void *last, size_t size)
{
	struct txn_chunk *chunk = txn->chunks;
	size_t at = (size_t)((uint8_t *)last - chunk->bytes);

	assert(at <= chunk->used && chunk->used - at >= size);
	chunk->used = at + ((size + 15) & ~(size_t)15);
}

int txn_set(struct txn *txn, const struct schema_key *key, struct slice value)
{
	int error = kv_batch_set(&txn->batch, key_slice(key), value);

	txn->batch_bytes += key->size + value.size + RECORD_OVERHEAD;
	return error == -E2BIG ? -EIO : error;
}

int txn_delete(struct txn *txn, const struct schema_key *key)
{
	int error = kv_batch_delete(&txn->batch, key_slice(key));

	return error == -E2BIG ? -EIO : error;
}

int txn_commit(struct txn *txn, unsigned int flags)
{
	int error;

	if ((flags & KV_COMMIT_RESERVED) == 0 &&
	    txn->batch_bytes > txn->prepaid_bytes) {
		error = space_check(txn->fs,
				    txn->batch_bytes - txn->prepaid_bytes);
		if (error)
			return error;
	}
	if (txn->accounts)
		return partitions_commit(txn, flags);
	return store_error(kv_commit(txn->fs->kv, &txn->batch, flags, NULL));
}
