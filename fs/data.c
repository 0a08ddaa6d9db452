/* SPDX-License-Identifier: MIT */

/*
 * The bytes of files: reading and writing. Invariants:
 *	1. While block_count is 0, the inode's record holds the data, up to the
 *	   inline limit; the write that goes beyond moves it, in its own batch.
 *	   After that it is in blocks, but for the tail (tail.c).
 *	2. A block holds the first bytes of its stretch of the file; what it
 *	   does not hold is zero, and a block that is missing is a hole.
 *	3. No stored byte is at or beyond the size, but for whole blocks while
 *	   INODE_TRUNCATING says so. So a file that grows grows by zeros.
 *	4. block_count is the number of BLOCK keys. Only blocks that exist have
 *	   fragments, which count for more than the block (fragment.c).
 * A write is one batch: the inode and all its blocks change together.
 */

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

#define READ_ATTEMPTS 4u

bool inode_is_dense(const struct fs *fs, const struct inode *inode)
{
	return !(inode->flags & INODE_TRUNCATING) &&
	       inode->block_count ==
		       block_count_of(fs->block_size_bytes, inode->size_bytes);
}

/* A write under way. */
struct write {
	struct txn *txn;
	struct inode *inode;
	bool had_blocks;
	bool dense;           /* as it was before */
	struct slice spilled; /* inline data that becomes block 0 */
};

/* What a block held before. */
struct old_block {
	bool exists;
	size_t size;
	uint8_t *bytes; /* block_size of room; NULL when it need not be known */
};

static int block_exists(struct write *write, uint64_t block, bool *ret_exists)
{
	struct schema_key key;
	int result;

	*ret_exists = write->dense;
	if (write->dense)
		return 0;
	block_key_encode(&key, write->inode->ino, block);
	result = store_exists(write->txn->fs, &key);
	*ret_exists = result == 0;
	return result < 0 ? result : 0;
}

/* Learns what a write to this piece has to know of the old block, and no
 * more: what is overwritten whole is not read. */
static int old_block_load(struct write *write, const struct block_piece *piece,
			  uint32_t valid, struct old_block *old)
{
	struct fs *fs = write->txn->fs;
	int error;

	*old = (struct old_block){ 0 };
	if (piece->begin == 0 && piece->end >= valid) {
		if (valid == 0 || !write->had_blocks)
			return 0;
		return block_exists(write, piece->block, &old->exists);
	}
	old->bytes = txn_alloc(write->txn, fs->block_size_bytes);
	if (!old->bytes)
		return -ENOMEM;
	if (valid == 0)
		return 0;
	if (write->had_blocks) {
		error = block_load(fs, write->inode, piece->block, old->bytes,
				   &old->size);
		old->exists = error != 1;
		return error == 1 ? 0 : error;
	}
	if (piece->block == 0 && write->spilled.size) {
		memcpy(old->bytes, write->spilled.data, write->spilled.size);
		old->size = write->spilled.size;
	}
	return 0;
}

/* The inode gets a block, which is stored in this batch. */
static int block_add(struct write *write, uint64_t block)
{
	write->inode->block_count++;
	return prealloc_spend(write->txn, write->inode, block);
}

static int piece_write_whole(struct write *write,
			     const struct block_piece *piece, uint32_t valid,
			     const uint8_t *src)
{
	size_t size = piece->end - piece->begin;
	struct slice value = slice_of(src, size);
	struct old_block old;
	int error;

	error = old_block_load(write, piece, valid, &old);
	if (error)
		return error;
	if (old.bytes) {
		if (old.size < piece->begin)
			memset(old.bytes + old.size, 0,
			       piece->begin - old.size);
		memcpy(old.bytes + piece->begin, src, size);
		value = slice_of(old.bytes,
				 old.size > piece->end ? old.size : piece->end);
	}
	if (!old.exists) {
		error = block_add(write, piece->block);
		if (error)
			return error;
	}
	return block_store(write->txn, write->inode, piece->block, value);
}

/* Beside the block, which is made when there is none. */
static int piece_write_beside(struct write *write,
			      const struct block_piece *piece, uint32_t valid,
			      uint64_t offset, const uint8_t *src)
{
	struct schema_key key;
	bool exists = false;
	int error = 0;

	if (valid && write->had_blocks)
		error = block_exists(write, piece->block, &exists);
	if (error)
		return error;
	if (!exists) {
		block_key_encode(&key, write->inode->ino, piece->block);
		error = txn_set(write->txn, &key, slice_of(NULL, 0));
		if (!error)
			error = block_add(write, piece->block);
		if (error)
			return error;
	}
	return fragments_write(write->txn, write->inode, offset,
			       slice_of(src, piece->end - piece->begin));
}

static int piece_write(struct write *write, const struct block_piece *piece,
		       const uint8_t *src)
{
	uint32_t block_size = write->txn->fs->block_size_bytes;
	uint32_t valid = block_valid_size(block_size, piece->block,
					  write->inode->size_bytes);
	bool spills = piece->block == 0 && write->spilled.size;

	if (!spills &&
	    block_is_fragmented_by(block_size, FRAGMENT_SIZE, valid, piece))
		return piece_write_beside(
			write, piece, valid,
			piece->block * block_size + piece->begin, src);
	return piece_write_whole(write, piece, valid, src);
}

int blocks_write(struct txn *txn, struct inode *inode, uint64_t offset,
		 struct slice src)
{
	struct write write = {
		.txn = txn,
		.inode = inode,
		.had_blocks = inode->block_count > 0,
		.dense = inode_is_dense(txn->fs, inode),
		.spilled = inode->data,
	};
	struct block_cursor cursor;
	struct block_piece piece;
	const uint8_t *at = src.data;
	struct schema_key key;
	int error;

	inode->data = slice_of(NULL, 0);
	cursor = block_cursor_of(txn->fs->block_size_bytes, offset, src.size);
	if (write.spilled.size && offset >= cursor.block_size) {
		block_key_encode(&key, inode->ino, 0);
		error = txn_set(txn, &key, write.spilled);
		if (!error)
			error = block_add(&write, 0);
		if (error)
			return error;
	}
	while (block_cursor_next(&cursor, &piece)) {
		error = piece_write(&write, &piece, at);
		if (error)
			return error;
		at += piece.end - piece.begin;
	}
	return 0;
}

static int inline_write(struct txn *txn, struct inode *inode, uint64_t offset,
			struct slice src)
{
	size_t end = (size_t)offset + src.size;
	size_t size = end > inode->data.size ? end : inode->data.size;
	uint8_t *bytes;

	bytes = txn_alloc(txn, size);
	if (!bytes)
		return -ENOMEM;
	if (inode->data.size)
		memcpy(bytes, inode->data.data, inode->data.size);
	memset(bytes + inode->data.size, 0, size - inode->data.size);
	memcpy(bytes + offset, src.data, src.size);
	inode->data = slice_of(bytes, size);
	return prealloc_spend(txn, inode, 0);
}

int data_write(struct txn *txn, struct inode *inode, uint64_t offset,
	       struct slice src)
{
	uint32_t inline_limit = txn->fs->inline_limit_bytes;
	int result;

	if (inode->block_count == 0 && offset + src.size <= inline_limit)
		result = inline_write(txn, inode, offset, src);
	else
		result = tail_write(txn, inode, &offset, &src);
	if (result == 1)
		result = blocks_write(txn, inode, offset, src);
	if (!result && offset + src.size > inode->size_bytes)
		inode->size_bytes = offset + src.size;
	return result;
}

static int write_prepare(struct txn *txn, uint64_t ino, uint64_t offset,
			 struct slice src, unsigned int flags)
{
	struct inode inode;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (error)
		return error;
	if (!S_ISREG(inode.mode))
		return inode_is_dir(&inode) ? -EISDIR : -EINVAL;
	if (flags & FS_WRITE_APPEND)
		offset = inode.size_bytes;
	if (offset > FS_FILE_SIZE_MAX - src.size)
		return -EFBIG;
	if ((inode.flags & INODE_TRUNCATING) &&
	    offset + src.size > inode.size_bytes) {
		error = truncate_complete(txn, &inode);
		if (error)
			return error;
	}
	if (tail_is_beside(&inode, offset)) {
		error = tail_settle(txn, &inode);
		if (error)
			return error;
	}
	error = schema_write_prepare(txn, &inode, offset, src,
				     flags & FS_WRITE_PARTIAL);
	if (!error)
		error = data_write(txn, &inode, offset, src);
	if (!error && (flags & FS_WRITE_KILL_SUIDGID))
		error = inode_drop_privileges(txn, &inode);
	if (error)
		return error;
	if (!(flags & FS_WRITE_CACHED))
		inode_touch(txn, &inode);
	return inode_store(txn, &inode);
}

int fs_write(struct fs *fs, uint64_t ino, uint64_t offset, const void *src,
	     size_t size, unsigned int flags)
{
	struct txn *txn;
	int error;

	if (size > FS_WRITE_MAX)
		return -EINVAL;
	if (size == 0)
		return 0;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, ino);
	error = write_prepare(txn, ino, offset, slice_of(src, size), flags);
	if (!error)
		error = txn_commit(txn, 0);
	/* What it was emptied for has been written, or refused. */
	if (ino_set_has(&fs->emptied, ino))
		ino_set_remove(&fs->emptied, ino);
	lock_table_unlock_one(&fs->locks, ino);
	txn_end(txn);
	return error;
}

/* Copies from the first `have` bytes of a stretch, then zeros. */
static void copy_padded(uint8_t *dst, size_t size, const uint8_t *src,
			size_t have)
{
	size_t count = have < size ? have : size;

	if (count)
		memcpy(dst, src, count);
	memset(dst + count, 0, size - count);
}

static int blocks_read(struct fs *fs, const struct inode *inode,
		       uint64_t offset, uint8_t *dst, size_t size)
{
	struct block_cursor cursor =
		block_cursor_of(fs->block_size_bytes, offset, size);
	struct block_piece piece;
	struct schema_key key;
	size_t want, have;
	uint8_t *at = dst;
	int error;

	error = fragment_read(fs, inode, offset, dst, size);
	if (error <= 0)
		return error;
	while (block_cursor_next(&cursor, &piece)) {
		want = piece.end - piece.begin;
		have = 0;
		block_key_encode(&key, inode->ino, piece.block);
		error = store_read(fs, &key, piece.begin, at, want, &have,
				   NULL);
		if (error == 1)
			error = ghost_read(fs, inode->ino, piece.block,
					   piece.begin, at, want, &have);
		if (error < 0)
			return error;
		memset(at + have, 0, want - have);
		at += want;
	}
	return fragments_read(fs, inode, offset, dst, size);
}

/* What the inode's record holds: the beginning of the file, or its tail. */
static void record_read(const struct inode *inode, uint64_t offset,
			uint8_t *dst, size_t size)
{
	const uint8_t *src = inode->data.data;
	size_t have;

	if (inode->flags & INODE_TAIL)
		offset -= inode_blocks_end(inode);
	have = offset < inode->data.size ? inode->data.size - (size_t)offset :
					   0;
	copy_padded(dst, size, have ? src + offset : NULL, have);
}

int data_read(struct fs *fs, uint64_t ino, uint64_t offset, uint8_t *dst,
	      size_t size, size_t *ret_read, bool *ret_single)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	uint64_t in_blocks;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	if (!S_ISREG(inode.mode))
		return inode_is_dir(&inode) ? -EISDIR : -EINVAL;
	partition_count_operation(fs, inode.partition);
	in_blocks = inode.block_count ? inode_blocks_end(&inode) : 0;
	*ret_single = offset >= in_blocks;
	*ret_read = 0;
	if (offset >= inode.size_bytes)
		return 0;
	if (size > inode.size_bytes - offset)
		size = (size_t)(inode.size_bytes - offset);
	*ret_read = size;
	if (offset < in_blocks) {
		in_blocks -= offset;
		if (in_blocks > size)
			in_blocks = size;
		error = blocks_read(fs, &inode, offset, dst, (size_t)in_blocks);
		if (error)
			return error;
		offset += in_blocks;
		dst += in_blocks;
		size -= (size_t)in_blocks;
	}
	if (size)
		record_read(&inode, offset, dst, size);
	return 0;
}

int fs_read(struct fs *fs, uint64_t ino, uint64_t offset, void *dst,
	    size_t size, size_t *ret_read)
{
	bool single = false, alone;
	unsigned int attempt;
	uint64_t count;
	size_t done = 0;
	int error;

	/* Without the lock, which somebody may hold who waits for the disk; who
	 * is overtaken so often waits his turn. What is in one record needs
	 * nothing to be compared. */
	for (attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
		alone = lock_table_read_begin(&fs->locks, ino, &count);
		error = data_read(fs, ino, offset, dst, size, &done, &single);
		if (error == -EISDIR || error == -EINVAL || error == -ESTALE)
			return error;
		if ((!error && single) ||
		    (alone && lock_table_read_valid(&fs->locks, ino, count)))
			goto out;
		if (!alone)
			break;
	}
	lock_table_lock_one(&fs->locks, ino);
	error = data_read(fs, ino, offset, dst, size, &done, &single);
	lock_table_unlock_one(&fs->locks, ino);
out:
	if (!error)
		*ret_read = done;
	return error;
}

/* Block numbers being collected from a listing. */
struct block_list {
	uint64_t *blocks;
	size_t max;
	size_t count;
};

static int block_collect(void *ctx, const struct kv_entry *entry)
{
	struct block_list *list = ctx;
	struct key_parts parts;

	if (schema_key_decode(entry->key, &parts))
		return -EUCLEAN;
	list->blocks[list->count++] = parts.number;
	return list->count == list->max;
}

static int blocks_list(struct fs *fs, uint64_t ino, uint64_t from, uint64_t to,
		       struct block_list *list)
{
	struct kv_range range = { 0 };
	struct schema_key prefix, from_key, to_key;
	int result;

	prefix_encode(&prefix, ino, TAG_BLOCK);
	block_key_encode(&from_key, ino, from);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from_key);
	if (to != UINT64_MAX) {
		block_key_encode(&to_key, ino, to);
		range.to = key_slice(&to_key);
	}
	result = store_list(fs, &range, 0, block_collect, list);
	return result < 0 ? result : 0;
}

int blocks_find(struct fs *fs, const struct inode *inode, uint64_t from,
		uint64_t to, uint64_t *ret_blocks, size_t max,
		size_t *ret_count)
{
	struct block_list list = { .blocks = ret_blocks, .max = max };
	int error = 0;

	assert(max > 0);
	if (inode->block_count && inode_is_dense(fs, inode)) {
		if (to > inode->block_count)
			to = inode->block_count;
		while (from < to && list.count < max)
			ret_blocks[list.count++] = from++;
	} else if (inode->block_count && from < to) {
		error = blocks_list(fs, inode->ino, from, to, &list);
	}
	if (!error)
		*ret_count = list.count;
	return error;
}

size_t blocks_delete_max(const struct fs *fs, const struct inode *inode)
{
	size_t keys = 1;

	if (inode->flags & INODE_FRAGMENTED)
		keys += fs->block_size_bytes / FRAGMENT_SIZE;
	return DELETE_BATCH_MAX / keys;
}

void inode_drop_blocks(struct inode *inode, uint64_t count)
{
	/* Damage may have made the count too small. */
	inode->block_count -= count < inode->block_count ? count :
							   inode->block_count;
	if (inode->block_count == 0)
		inode->flags &= ~(uint32_t)INODE_FRAGMENTED;
}
