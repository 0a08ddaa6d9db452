/* SPDX-License-Identifier: MIT */

/*
 * Setting sizes. Growing is a number; shrinking deletes blocks, of which there
 * may be millions, while a batch is bounded. So:
 *
 *	 size shrinks           all blocks beyond the new end deleted?
 *	+-------+  one batch:  +------------------+  yes, as usual
 *	| whole |------------->| new size, the    |-----------------> whole
 *	+-------+  last block  | first 1024 gone  |
 *	    ^      cut         +------------------+
 *	    |                           | no: INODE_TRUNCATING and
 *	    |                           v     a TRUNCATE key
 *	    |   last batch: flag +------------+  a batch: 1024
 *	    +--------------------| truncating |---+ more deleted
 *	        and key go       +------------+<--+
 *
 * Invariants:
 *	1. Blocks wholly beyond the size exist only in the state "truncating",
 *	   which is stored: after a crash the list of TRUNCATE keys leads here.
 *	2. In that state the size does not grow; who wants to grow it completes
 *	   the truncation first. So what was cut off never comes back.
 *	3. block_count is right after each batch.
 */

#include <errno.h>

#include "fs/fs_internal.h"

static int truncating_begin(struct txn *txn, struct inode *inode)
{
	struct schema_key key;

	if (inode->flags & INODE_TRUNCATING)
		return 0;
	inode->flags |= INODE_TRUNCATING;
	truncate_key_encode(&key, inode->ino);
	return txn_set(txn, &key, slice_of(NULL, 0));
}

static int truncating_end(struct txn *txn, struct inode *inode)
{
	struct schema_key key;

	if (!(inode->flags & INODE_TRUNCATING))
		return 0;
	inode->flags &= ~(uint32_t)INODE_TRUNCATING;
	truncate_key_encode(&key, inode->ino);
	return txn_delete(txn, &key);
}

/*
 * Deletes blocks from `from` on, as many as a batch may; begins or ends the
 * state accordingly. *next is where it goes on in the next batch, at first 0:
 * looking at all that were deleted for each batch would take longer than the
 * deletions, of a file with millions of blocks.
 */
static int blocks_cut(struct txn *txn, struct inode *inode, uint64_t from,
		      uint64_t *next)
{
	size_t max = blocks_delete_max(txn->fs, inode);
	uint64_t blocks[DELETE_BATCH_MAX];
	struct schema_key key;
	uint64_t begin = *next > from ? *next : from;
	size_t count = 0;
	size_t i;
	int error;

	error = blocks_find(txn->fs, inode, begin, UINT64_MAX, blocks, max,
			    &count);
	/* The end is where a look at all of them finds no more. */
	if (!error && count == 0 && begin > from) {
		begin = from;
		error = blocks_find(txn->fs, inode, begin, UINT64_MAX, blocks,
				    max, &count);
	}
	for (i = 0; i < count && !error; i++) {
		block_key_encode(&key, inode->ino, blocks[i]);
		error = txn_delete(txn, &key);
	}
	if (!error && count)
		error = fragments_delete(txn, inode, begin,
					 blocks[count - 1] + 1);
	if (error)
		return error;
	inode_drop_blocks(inode, count);
	if (count < max && begin == from)
		return truncating_end(txn, inode);
	*next = count == max ? blocks[count - 1] + 1 : 0;
	return truncating_begin(txn, inode);
}

/* Shortens the block that the new end is in. */
static int last_block_cut(struct txn *txn, struct inode *inode,
			  uint64_t size_bytes)
{
	struct fs *fs = txn->fs;
	uint32_t keep = (uint32_t)(size_bytes % fs->block_size_bytes);
	uint64_t block = size_bytes / fs->block_size_bytes;
	uint8_t *bytes;
	size_t size;
	int error;

	if (keep == 0 || inode->block_count == 0)
		return 0;
	bytes = txn_alloc(txn, fs->block_size_bytes);
	if (!bytes)
		return -ENOMEM;
	error = block_load(fs, inode, block, bytes, &size);
	if (error)
		return error == 1 ? 0 : error;
	if (size <= keep)
		return 0;
	return block_store(txn, inode, block, slice_of(bytes, keep));
}

static int shrink(struct txn *txn, struct inode *inode, uint64_t size_bytes)
{
	uint64_t next = 0;
	int error;

	tail_cut(inode, size_bytes);
	if (size_bytes == inode->size_bytes)
		return 0;
	if (inode->data.size > size_bytes)
		inode->data.size = (size_t)size_bytes;
	error = last_block_cut(txn, inode, size_bytes);
	if (!error)
		error = blocks_cut(txn, inode,
				   block_count_of(txn->fs->block_size_bytes,
						  size_bytes),
				   &next);
	if (!error)
		inode->size_bytes = size_bytes;
	return error;
}

int truncate_prepare(struct txn *txn, struct inode *inode, uint64_t size_bytes)
{
	int error;

	if (size_bytes > FS_FILE_SIZE_MAX)
		return -EFBIG;
	if (size_bytes < inode->size_bytes)
		return shrink(txn, inode, size_bytes);
	if (size_bytes > inode->size_bytes &&
	    (inode->flags & INODE_TRUNCATING)) {
		error = truncate_complete(txn, inode);
		if (error)
			return error;
	}
	if (size_bytes > inode->size_bytes) {
		error = tail_settle(txn, inode);
		if (error)
			return error;
	}
	inode->size_bytes = size_bytes;
	return 0;
}

/* One batch of a truncation in progress; *next is as for blocks_cut. */
static int step(struct txn *txn, struct inode *inode, uint64_t *next)
{
	int error;

	error = blocks_cut(txn, inode,
			   block_count_of(txn->fs->block_size_bytes,
					  inode->size_bytes),
			   next);
	if (!error)
		error = inode_store(txn, inode);
	return error ? error : txn_commit(txn, KV_COMMIT_RESERVED);
}

int truncate_complete(struct txn *txn, struct inode *inode)
{
	uint64_t next = 0;
	int error;

	while (inode->flags & INODE_TRUNCATING) {
		error = step(txn, inode, &next);
		txn_clear(txn);
		if (!error)
			error = inode_load_txn(txn, inode->ino, inode);
		if (error)
			return error;
	}
	return 0;
}

static int finish_step(struct txn *txn, uint64_t ino, void *ctx)
{
	struct schema_key key;
	struct inode inode;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (error && error != -ESTALE)
		return error;
	if (!error && (inode.flags & INODE_TRUNCATING)) {
		error = step(txn, &inode, ctx);
		return error ? error : 1;
	}
	/* Done already: only the key may be left, of an inode that is gone. */
	truncate_key_encode(&key, ino);
	error = txn_delete(txn, &key);
	return error ? error : txn_commit(txn, KV_COMMIT_RESERVED);
}

int truncate_finish(struct fs *fs, uint64_t ino)
{
	uint64_t next = 0;

	return inode_in_steps(fs, ino, finish_step, &next);
}
