/* SPDX-License-Identifier: MIT */

/*
 * Holes: making them, finding them, and fallocate's ways of filling them in
 * advance, for which prealloc.c keeps space.
 *
 * Punching goes block by block in bounded batches; each leaves a legal state:
 * the beginning of the range is a hole, the rest is as it was.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "fs/fs_internal.h"

static int file_check(const struct inode *inode)
{
	if (inode_is_dir(inode))
		return -EISDIR;
	return S_ISREG(inode->mode) ? 0 : -ENODEV;
}

static int grow_step(struct txn *txn, uint64_t ino, void *ctx)
{
	uint64_t size_bytes = *(uint64_t *)ctx;
	struct inode inode;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (!error)
		error = file_check(&inode);
	if (error)
		return error;
	if (size_bytes > inode.size_bytes)
		error = truncate_prepare(txn, &inode, size_bytes);
	if (error)
		return error;
	inode_touch(txn, &inode);
	error = inode_store(txn, &inode);
	return error ? error : txn_commit(txn, 0);
}

int size_grow(struct fs *fs, uint64_t ino, uint64_t size_bytes)
{
	return inode_in_steps(fs, ino, grow_step, &size_bytes);
}

/* Zeroes a part of a block: what is at its end is cut off. */
static int piece_zero(struct txn *txn, struct inode *inode,
		      const struct block_piece *piece)
{
	struct fs *fs = txn->fs;
	struct schema_key key;
	uint8_t *bytes;
	size_t size;
	int error;

	bytes = txn_alloc(txn, fs->block_size_bytes);
	if (!bytes)
		return -ENOMEM;
	error = block_load(fs, inode, piece->block, bytes, &size);
	if (error)
		return error == 1 ? 0 : error;
	if (size <= piece->begin)
		return 0;
	if (piece->end < size) {
		memset(bytes + piece->begin, 0, piece->end - piece->begin);
		return block_store(txn, inode, piece->block,
				   slice_of(bytes, size));
	}
	if (piece->begin > 0)
		return block_store(txn, inode, piece->block,
				   slice_of(bytes, piece->begin));
	block_key_encode(&key, inode->ino, piece->block);
	error = fragments_delete(txn, inode, piece->block, piece->block + 1);
	inode_drop_blocks(inode, 1);
	return error ? error : txn_delete(txn, &key);
}

/* Deletes blocks [from, to), as many as a batch may. 1 with *ret_next when it
 * stopped before the end. */
static int blocks_punch(struct txn *txn, struct inode *inode, uint64_t from,
			uint64_t to, uint64_t *ret_next)
{
	size_t max = blocks_delete_max(txn->fs, inode);
	uint64_t blocks[DELETE_BATCH_MAX];
	struct schema_key key;
	size_t count = 0;
	size_t i;
	int error;

	error = blocks_find(txn->fs, inode, from, to, blocks, max, &count);
	for (i = 0; i < count && !error; i++) {
		block_key_encode(&key, inode->ino, blocks[i]);
		error = txn_delete(txn, &key);
	}
	if (!error && count)
		error = fragments_delete(txn, inode, from,
					 blocks[count - 1] + 1);
	if (error)
		return error;
	inode_drop_blocks(inode, count);
	if (count < max)
		return 0;
	*ret_next = blocks[count - 1] + 1;
	return 1;
}

/*
 * Punches [*offset, end), which is before the end of the file. A head and a
 * tail that do not fill their blocks are zeroed, the blocks between deleted:
 *
 *	block     |    2    |    3    |    4    |    5    |
 *	range          [-------------------------)
 *	               head  from                to  tail
 *
 * 1 with *offset moved on when there is more to do.
 */
static int blocks_zero(struct txn *txn, struct inode *inode, uint64_t *offset,
		       uint64_t end)
{
	uint32_t block_size = txn->fs->block_size_bytes;
	uint64_t from = block_count_of(block_size, *offset);
	uint64_t to = end == inode->size_bytes ?
			      block_count_of(block_size, end) :
			      end / block_size;
	struct block_cursor cursor =
		block_cursor_of(block_size, *offset, end - *offset);
	struct block_piece piece;
	uint64_t next = 0;
	int result = 0;

	while (!result && block_cursor_next(&cursor, &piece)) {
		if (piece.block >= from && piece.block < to) {
			result = blocks_punch(txn, inode, from, to, &next);
			if (result == 1)
				*offset = next * block_size;
			cursor.offset =
				to * block_size < end ? to * block_size : end;
		} else {
			result = piece_zero(txn, inode, &piece);
		}
	}
	return result;
}

static int inline_zero(struct txn *txn, struct inode *inode, uint64_t offset,
		       uint64_t end)
{
	size_t size = inode->data.size;
	uint8_t *bytes;

	if (offset >= size)
		return 0;
	if (end >= size) {
		inode->data.size = (size_t)offset;
		return 0;
	}
	bytes = txn_alloc(txn, size);
	if (!bytes)
		return -ENOMEM;
	memcpy(bytes, inode->data.data, size);
	memset(bytes + offset, 0, (size_t)(end - offset));
	inode->data = slice_of(bytes, size);
	return 0;
}

/* Bytes [offset, end) to be made a hole. */
struct punch {
	uint64_t offset, end;
};

/* One batch; 1 with punch->offset moved on when there is more to do. */
static int punch_step(struct txn *txn, uint64_t ino, void *ctx)
{
	struct punch *punch = ctx;
	uint64_t end = punch->end;
	struct inode inode;
	int result = 0;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (!error)
		error = file_check(&inode);
	if (!error)
		error = tail_settle(txn, &inode);
	if (error)
		return error;
	if (end > inode.size_bytes)
		end = inode.size_bytes;
	if (inode.block_count == 0)
		result = inline_zero(txn, &inode, punch->offset, end);
	else if (punch->offset < end)
		result = blocks_zero(txn, &inode, &punch->offset, end);
	if (result < 0)
		return result;
	inode_touch(txn, &inode);
	error = inode_store(txn, &inode);
	if (!error)
		error = txn_commit(txn, KV_COMMIT_RESERVED);
	return error ? error : result;
}

int hole_punch(struct fs *fs, uint64_t ino, uint64_t offset, uint64_t size)
{
	struct punch punch = { offset, offset + size };

	return inode_in_steps(fs, ino, punch_step, &punch);
}

/* Which of the file's blocks [begin, end) touches are to be there. */
static int range_preallocate(struct fs *fs, uint64_t ino, uint64_t begin,
			     uint64_t end, bool keep_size)
{
	int error;

	error = prealloc_add(fs, ino, begin / fs->block_size_bytes,
			     block_count_of(fs->block_size_bytes, end));
	return error || keep_size ? error : size_grow(fs, ino, end);
}

static int range_punch(struct fs *fs, uint64_t ino, uint64_t begin,
		       uint64_t end)
{
	int error = hole_punch(fs, ino, begin, end - begin);

	if (error)
		return error;
	return prealloc_drop(fs, ino,
			     block_count_of(fs->block_size_bytes, begin),
			     end / fs->block_size_bytes);
}

static int file_find(struct fs *fs, uint64_t ino)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (!error)
		error = file_check(&inode);
	/* Zeros are what no schema has a use for. */
	if (!error && inode_schema(fs, &inode) != VALUE_BYTES)
		error = -EOPNOTSUPP;
	return error;
}

int fs_fallocate(struct fs *fs, uint64_t ino, int mode, uint64_t offset,
		 uint64_t size)
{
	bool keep_size = mode & FALLOC_FL_KEEP_SIZE;
	int error;

	if (size == 0 || offset > INT64_MAX || size > INT64_MAX)
		return -EINVAL;
	if (offset + size > FS_FILE_SIZE_MAX)
		return -EFBIG;
	error = file_find(fs, ino);
	if (error)
		return error;
	switch (mode & ~FALLOC_FL_KEEP_SIZE) {
	case 0:
		return range_preallocate(fs, ino, offset, offset + size,
					 keep_size);
	case FALLOC_FL_PUNCH_HOLE:
		return keep_size ? range_punch(fs, ino, offset, offset + size) :
				   -EOPNOTSUPP;
	case FALLOC_FL_ZERO_RANGE:
		error = hole_punch(fs, ino, offset, size);
		return error ? error :
			       range_preallocate(fs, ino, offset, offset + size,
						 keep_size);
	default:
		return -EOPNOTSUPP;
	}
}

/* Looks for the first block number that is not the one expected. */
struct gap_search {
	uint64_t expected;
};

static int gap_find(void *ctx, const struct kv_entry *entry)
{
	struct gap_search *search = ctx;
	struct key_parts parts;

	if (schema_key_decode(entry->key, &parts))
		return -EUCLEAN;
	if (parts.number != search->expected)
		return 1;
	search->expected++;
	return 0;
}

/* The first block from `from` on that is missing. */
static int hole_find(struct fs *fs, uint64_t ino, uint64_t from,
		     uint64_t *ret_block)
{
	struct gap_search search = { from };
	struct kv_range range = { 0 };
	struct schema_key prefix, key;
	int result;

	prefix_encode(&prefix, ino, TAG_BLOCK);
	block_key_encode(&key, ino, from);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&key);
	result = store_list(fs, &range, 0, gap_find, &search);
	if (result < 0)
		return result;
	*ret_block = search.expected;
	return 0;
}

/* Within blocks; UINT64_MAX for none. */
static int blocks_seek(struct fs *fs, const struct inode *inode,
		       uint64_t offset, bool data, uint64_t *ret_offset)
{
	uint64_t block = offset / fs->block_size_bytes;
	uint64_t found = block;
	size_t count = 1;
	int error;

	if (data)
		error = blocks_find(fs, inode, block, UINT64_MAX, &found, 1,
				    &count);
	else
		error = hole_find(fs, inode->ino, block, &found);
	if (error)
		return error;
	if (count == 0 || found > INT64_MAX / fs->block_size_bytes)
		*ret_offset = UINT64_MAX;
	else if (found == block)
		*ret_offset = offset;
	else
		*ret_offset = found * fs->block_size_bytes;
	return 0;
}

int fs_seek(struct fs *fs, uint64_t ino, uint64_t offset, int whence,
	    uint64_t *ret_offset)
{
	bool data = whence == SEEK_DATA;
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	uint64_t found;
	int error;

	if (!data && whence != SEEK_HOLE)
		return -EINVAL;
	error = inode_load(fs, ino, bytes, &inode);
	if (!error)
		error = file_check(&inode);
	if (error)
		return error;
	if (offset >= inode.size_bytes)
		return -ENXIO;
	if (inode.block_count == 0) {
		found = offset;
		if (data && offset >= inode.data.size)
			found = UINT64_MAX;
		if (!data && offset < inode.data.size)
			found = inode.data.size;
	} else if (inode_is_dense(fs, &inode)) {
		found = data ? offset : inode.size_bytes;
	} else {
		error = blocks_seek(fs, &inode, offset, data, &found);
		if (error)
			return error;
	}
	if (data && found >= inode.size_bytes)
		return -ENXIO;
	/* The end of the file is a hole. */
	*ret_offset = found < inode.size_bytes ? found : inode.size_bytes;
	return 0;
}
