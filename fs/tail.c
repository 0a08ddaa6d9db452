/* SPDX-License-Identifier: MIT */

/*
 * Tails: files that grow by little. A log that gets a line of a hundred bytes
 * would have a fragment of up to 4 KiB written anew for each. So the last bytes
 * are kept in the inode's record, which changes with every write anyway:
 *
 *	blocks, fragments    | AAAA BBBB CC
 *	the record                         | ccc
 *	what is read         | AAAA BBBB CCccc
 *
 *	a write that ...                        the tail ...
 *	begins in it or at its end, and fits    takes it
 *	begins there, and is too long           is written with it, and gone
 *	begins elsewhere                        is settled before: written to
 *						the block, in a batch of its own
 *
 * Invariants:
 *	1. With INODE_TAIL, inode->data is the last bytes of the file. They lie
 *	   in one block, which exists. So holes and counts of blocks know
 *	   nothing of tails.
 *	2. Blocks and fragments hold no byte at or beyond inode_blocks_end().
 *	3. The superblock says SUPER_TAILS before there is one.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

static bool tail_fits(const struct fs *fs, const struct inode *inode,
		      uint64_t offset, uint64_t end)
{
	uint64_t begin = inode_blocks_end(inode);

	/* What ends with its block completes that. */
	return offset >= begin && offset <= inode->size_bytes &&
	       end - begin <= fs->tail_limit_bytes &&
	       end % fs->block_size_bytes != 0 &&
	       begin / fs->block_size_bytes == end / fs->block_size_bytes;
}

/* Whether there may be a tail where there was none: 0, 1 when not. */
static int tail_begin(struct fs *fs, const struct inode *inode)
{
	struct schema_key key;
	int result;

	if (inode->size_bytes % fs->block_size_bytes == 0)
		return 1;
	if (!inode_is_dense(fs, inode)) {
		block_key_encode(&key, inode->ino,
				 inode->size_bytes / fs->block_size_bytes);
		result = store_exists(fs, &key);
		if (result)
			return result;
	}
	return super_allow(fs, SUPER_TAILS);
}

/* From the beginning of the tail to its end, or to that of a write which begins
 * in it. */
static int tail_join(struct txn *txn, const struct inode *inode,
		     uint64_t offset, struct slice src, struct slice *ret_bytes)
{
	size_t had = inode->flags & INODE_TAIL ? inode->data.size : 0;
	size_t at = (size_t)(offset - inode_blocks_end(inode));
	size_t size = at + src.size > had ? at + src.size : had;
	uint8_t *bytes = txn_alloc(txn, size);

	if (!bytes)
		return -ENOMEM;
	if (had)
		memcpy(bytes, inode->data.data, had);
	memcpy(bytes + at, src.data, src.size);
	*ret_bytes = slice_of(bytes, size);
	return 0;
}

static struct slice tail_take(struct inode *inode)
{
	struct slice bytes = inode->data;

	inode->size_bytes -= bytes.size;
	inode->data = slice_of(NULL, 0);
	inode->flags &= ~(uint32_t)INODE_TAIL;
	return bytes;
}

int tail_write(struct txn *txn, struct inode *inode, uint64_t *offset,
	       struct slice *src)
{
	bool has = inode->flags & INODE_TAIL;
	bool fits = inode->block_count &&
		    tail_fits(txn->fs, inode, *offset, *offset + src->size);
	struct slice bytes;
	int result;

	if (!has && !fits)
		return 1;
	result = has ? 0 : tail_begin(txn->fs, inode);
	if (!result)
		result = tail_join(txn, inode, *offset, *src, &bytes);
	if (result)
		return result;
	if (fits) {
		inode->data = bytes;
		inode->flags |= INODE_TAIL;
		return 0;
	}
	tail_take(inode);
	*offset = inode->size_bytes;
	*src = bytes;
	return 1;
}

bool tail_is_beside(const struct inode *inode, uint64_t offset)
{
	return (inode->flags & INODE_TAIL) &&
	       (offset < inode_blocks_end(inode) || offset > inode->size_bytes);
}

int tail_settle(struct txn *txn, struct inode *inode)
{
	struct slice bytes;
	int error;

	if (!(inode->flags & INODE_TAIL))
		return 0;
	bytes = tail_take(inode);
	error = blocks_write(txn, inode, inode->size_bytes, bytes);
	inode->size_bytes += bytes.size;
	if (!error)
		error = inode_store(txn, inode);
	/* It may be settled for a hole to be punched on a full disk. */
	if (!error)
		error = txn_commit(txn, KV_COMMIT_RESERVED);
	txn_clear(txn);
	return error ? error : inode_load_txn(txn, inode->ino, inode);
}

void tail_cut(struct inode *inode, uint64_t size_bytes)
{
	uint64_t begin = inode_blocks_end(inode);

	if (!(inode->flags & INODE_TAIL))
		return;
	if (size_bytes <= begin) {
		tail_take(inode);
		return;
	}
	inode->data.size = (size_t)(size_bytes - begin);
	inode->size_bytes = size_bytes;
}
