/* SPDX-License-Identifier: MIT */

/*
 * Preallocation: a log cannot set a place aside for a block that is not
 * written yet, but it can keep others from filling the disk. For each block
 * that fallocate(2) asked for, and that is not stored, there is a PREALLOC key;
 * the engine counts them (class CLASS_PREALLOC), and as many blocks are taken
 * for used in statfs.c:
 *
 *	             fallocate          first write
 *	    hole  -------------> key  -------------> block
 *	      ^                   |                    |
 *	      +-------------------+--------------------+
 *	              truncation, punching a hole
 *
 * So the first write of such a block does not fail for want of space as long
 * as the disk is this store's. Later ones replace what they wrote, and may
 * fail, as on every filesystem that does not write in place.
 *
 * Invariants:
 *	1. No block is stored and promised at once: the batch that stores it
 *	   spends the promise.
 *	2. A promise changes nothing that is read: the block is a hole.
 *	3. Promises beyond the end of a file are legal (FALLOC_FL_KEEP_SIZE).
 *	4. inode->prealloc_count is the number of its PREALLOC keys.
 */

#include <errno.h>

#include "fs/fs_internal.h"

/* At most what a PREALLOC key takes itself, in the log and in the index: with
 * it, what is kept free is a block. */
#define PREALLOC_KEY_BYTES 128u
/* About what a block's record and its inode's take beside its bytes. */
#define BLOCK_OVERHEAD 512u

uint64_t prealloc_bytes(const struct fs *fs)
{
	return fs->block_size_bytes - PREALLOC_KEY_BYTES;
}

void prealloc_count_set(struct inode *inode, uint64_t count)
{
	inode->prealloc_count = count;
	if (count)
		inode->flags |= INODE_PREALLOCATED;
	else
		inode->flags &= ~(uint32_t)INODE_PREALLOCATED;
}

static void prealloc_count_lower(struct inode *inode, uint64_t count)
{
	/* Damage may have made it too small. */
	prealloc_count_set(inode, count < inode->prealloc_count ?
					  inode->prealloc_count - count :
					  0);
}

int prealloc_spend(struct txn *txn, struct inode *inode, uint64_t block)
{
	struct schema_key key;
	int result;

	if (!(inode->flags & INODE_PREALLOCATED))
		return 0;
	prealloc_key_encode(&key, inode->ino, block);
	result = store_exists(txn->fs, &key);
	if (result)
		return result < 0 ? result : 0;
	prealloc_count_lower(inode, 1);
	txn->prepaid_bytes += txn->fs->block_size_bytes + BLOCK_OVERHEAD;
	return txn_delete(txn, &key);
}

/* --- promising --- */

/* Whether a block is stored or promised: 0, 1 when neither. */
static int block_find(struct fs *fs, const struct inode *inode, uint64_t block)
{
	struct schema_key key;
	int result = 1;

	if (inode->block_count) {
		block_key_encode(&key, inode->ino, block);
		result = store_exists(fs, &key);
	}
	if (result == 1 && inode->prealloc_count) {
		prealloc_key_encode(&key, inode->ino, block);
		result = store_exists(fs, &key);
	}
	return result;
}

/* Blocks [from, to) of a file. */
struct block_range {
	uint64_t from, to;
};

/* Promises the blocks of one batch; range->from moves on. */
static int batch_add(struct txn *txn, uint64_t ino, void *ctx)
{
	struct block_range *range = ctx;
	struct inode before, inode;
	struct schema_key key;
	int result;

	result = inode_load_txn(txn, ino, &inode);
	if (result)
		return result;
	before = inode;
	for (; range->from < range->to; range->from++) {
		if (inode.prealloc_count - before.prealloc_count ==
		    DELETE_BATCH_MAX)
			break;
		result = block_find(txn->fs, &before, range->from);
		if (result == 1) {
			prealloc_key_encode(&key, ino, range->from);
			result = txn_set(txn, &key, slice_of(NULL, 0));
			txn->batch_bytes += prealloc_bytes(txn->fs);
			prealloc_count_set(&inode, inode.prealloc_count + 1);
		}
		if (result)
			return result;
	}
	if (inode.prealloc_count == before.prealloc_count)
		return 0;
	inode_touch(txn, &inode);
	result = inode_store(txn, &inode);
	if (!result)
		result = txn_commit(txn, 0);
	return result ? result : range->from < range->to;
}

/* Refuses at once what cannot be had, rather than taking all there is. */
static int room_check(struct fs *fs, uint64_t ino, uint64_t block_count)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct fs_statfs space;
	struct inode inode;
	uint64_t had;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (!error)
		error = fs_statfs(fs, &space);
	if (error)
		return error;
	had = inode.block_count + inode.prealloc_count;
	if (block_count > had &&
	    block_count - had > space.free_bytes / fs->block_size_bytes)
		return -ENOSPC;
	return 0;
}

int prealloc_add(struct fs *fs, uint64_t ino, uint64_t from, uint64_t to)
{
	struct block_range range = { from, to };
	int error;

	error = room_check(fs, ino, to - from);
	if (error)
		return error;
	atomic_store(&fs->preallocated, true);
	return inode_in_steps(fs, ino, batch_add, &range);
}

/* --- taking back --- */

struct prealloc_sweep {
	struct txn *txn;
	size_t count;
	uint64_t next; /* behind the last */
};

static int sweep_key(void *ctx, const struct kv_entry *entry)
{
	struct prealloc_sweep *sweep = ctx;
	struct key_parts parts;
	int error;

	if (schema_key_decode(entry->key, &parts))
		return -EUCLEAN;
	sweep->next = parts.number + 1;
	error = kv_batch_delete(&sweep->txn->batch, entry->key);
	return error ? error : ++sweep->count == DELETE_BATCH_MAX;
}

/* One batch; 1 with blocks->from moved on when there are more to come. */
static int batch_drop(struct txn *txn, uint64_t ino, void *ctx)
{
	struct block_range *blocks = ctx;
	struct prealloc_sweep sweep = { .txn = txn };
	struct kv_range range = { 0 };
	struct schema_key prefix, from_key, to_key;
	struct inode inode;
	int result, error;

	error = inode_load_txn(txn, ino, &inode);
	if (error || !(inode.flags & INODE_PREALLOCATED))
		return error;
	prefix_encode(&prefix, ino, TAG_PREALLOC);
	prealloc_key_encode(&from_key, ino, blocks->from);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from_key);
	if (blocks->to != UINT64_MAX) {
		prealloc_key_encode(&to_key, ino, blocks->to);
		range.to = key_slice(&to_key);
	}
	result = store_list(txn->fs, &range, 0, sweep_key, &sweep);
	if (result < 0 || sweep.count == 0)
		return result;
	blocks->from = sweep.next;
	prealloc_count_lower(&inode, sweep.count);
	error = inode_store(txn, &inode);
	if (!error)
		error = txn_commit(txn, KV_COMMIT_RESERVED);
	return error ? error : result;
}

int prealloc_drop(struct fs *fs, uint64_t ino, uint64_t from, uint64_t to)
{
	struct block_range range = { from, to };

	return inode_in_steps(fs, ino, batch_drop, &range);
}
