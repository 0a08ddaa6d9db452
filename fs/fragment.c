/* SPDX-License-Identifier: MIT */

/*
 * Fragments: small writes to large blocks. A block that is written anew for
 * every hundred bytes appended to it, or every page that a database changes in
 * it, costs a hundred times what was written. So what touches few pages of a
 * block is stored beside it, a page a record:
 *
 *	the block      | AAAA BBBB CCCC DDDD EEEE FF                |
 *	fragments      |      bbbb                ff                |
 *	what is read   | AAAA bbbb CCCC DDDD EEEE ff                |
 *
 * Nothing is held back in memory: a fragment is as durable and as atomic as a
 * block. Whoever writes a block as a whole (block_store) takes its fragments
 * away in the same batch; what is appended up to its end does, too, so that a
 * file that only grew is whole but for its last block.
 *
 * Invariants:
 *	1. A fragment stands for its page, all of it: what its value does not
 *	   hold is zero, whatever the block says.
 *	2. A block with fragments exists, if need be with an empty value. So
 *	   holes and counts of blocks know nothing of fragments.
 *	3. The blocks before fragment_from have none. Without INODE_FRAGMENTED
 *	   no block has, which costs readers of other files nothing.
 *	4. As of blocks, no byte of them is stored at or beyond the size, but
 *	   of whole blocks while INODE_TRUNCATING is set.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

/* Bytes of a file being put together. */
struct overlay {
	uint64_t offset; /* of bytes[0] */
	uint8_t *bytes;
	size_t size;
	uint64_t stored_end; /* offset behind the last byte stored */
};

static uint64_t fragments_per_block(const struct fs *fs)
{
	return fs->block_size_bytes / FRAGMENT_SIZE;
}

/* Puts a fragment's page, as far as it is wanted, over what is there. */
static void overlay_put(struct overlay *overlay, uint64_t fragment,
			struct slice value)
{
	uint64_t begin = fragment * FRAGMENT_SIZE;
	uint64_t end = begin + FRAGMENT_SIZE;
	uint64_t overlay_end = overlay->offset + overlay->size;
	const uint8_t *src = value.data;
	uint64_t from = begin > overlay->offset ? begin : overlay->offset;
	uint64_t to = end < overlay_end ? end : overlay_end;
	uint64_t stored = begin + value.size;
	uint64_t middle = stored < from ? from : stored > to ? to : stored;
	uint8_t *dst = overlay->bytes + (from - overlay->offset);

	if (middle > from)
		memcpy(dst, src + (from - begin), (size_t)(middle - from));
	memset(dst + (middle - from), 0, (size_t)(to - middle));
	if (stored > overlay->stored_end)
		overlay->stored_end = stored;
}

static int overlay_entry(void *ctx, const struct kv_entry *entry)
{
	struct key_parts parts;

	if (entry->value_error)
		return entry->value_error;
	if (schema_key_decode(entry->key, &parts) ||
	    entry->value.size > FRAGMENT_SIZE)
		return -EUCLEAN;
	overlay_put(ctx, parts.number, entry->value);
	return 0;
}

/* Calls fn for the fragments [from, to). */
static int fragments_list(struct fs *fs, uint64_t ino, uint64_t from,
			  uint64_t to, unsigned int flags, kv_list_fn *fn,
			  void *ctx)
{
	struct kv_range range = { 0 };
	struct schema_key prefix, from_key, to_key;

	prefix_encode(&prefix, ino, TAG_FRAGMENT);
	fragment_key_encode(&from_key, ino, from);
	fragment_key_encode(&to_key, ino, to);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from_key);
	range.to = key_slice(&to_key);
	return store_list(fs, &range, flags, fn, ctx);
}

static int overlay_fragments(struct fs *fs, const struct inode *inode,
			     struct overlay *overlay)
{
	uint64_t last = overlay->offset + overlay->size - 1;

	if (!block_has_fragments(inode, last / fs->block_size_bytes))
		return 0;
	return fragments_list(fs, inode->ino, overlay->offset / FRAGMENT_SIZE,
			      last / FRAGMENT_SIZE + 1, KV_LIST_VALUES,
			      overlay_entry, overlay);
}

int fragments_read(struct fs *fs, const struct inode *inode, uint64_t offset,
		   uint8_t *dst, size_t size)
{
	struct overlay overlay = { .offset = offset, .size = size };

	/* One alone was asked for already, by fragment_read(). */
	if (offset / FRAGMENT_SIZE == (offset + size - 1) / FRAGMENT_SIZE)
		return 0;
	overlay.bytes = dst;
	return overlay_fragments(fs, inode, &overlay);
}

int fragment_read(struct fs *fs, const struct inode *inode, uint64_t offset,
		  uint8_t *dst, size_t size)
{
	uint64_t fragment = offset / FRAGMENT_SIZE;
	struct schema_key key;
	size_t got;
	int error;

	if (fragment != (offset + size - 1) / FRAGMENT_SIZE ||
	    !block_has_fragments(inode, offset / fs->block_size_bytes))
		return 1;
	fragment_key_encode(&key, inode->ino, fragment);
	error = store_read(fs, &key, offset % FRAGMENT_SIZE, dst, size, &got,
			   NULL);
	if (!error)
		memset(dst + got, 0, size - got);
	return error;
}

int block_load(struct fs *fs, const struct inode *inode, uint64_t block,
	       uint8_t *bytes, size_t *ret_size)
{
	uint32_t block_size = fs->block_size_bytes;
	struct overlay overlay = { block * block_size, bytes, block_size, 0 };
	uint64_t value_size;
	struct schema_key key;
	size_t size;
	int error;

	block_key_encode(&key, inode->ino, block);
	error = store_read(fs, &key, 0, bytes, block_size, &size, &value_size);
	if (error)
		return error;
	if (value_size > block_size)
		return -EIO;
	if (block_has_fragments(inode, block)) {
		memset(bytes + size, 0, block_size - size);
		overlay.stored_end = overlay.offset + size;
		error = overlay_fragments(fs, inode, &overlay);
		size = (size_t)(overlay.stored_end - overlay.offset);
	}
	if (!error)
		*ret_size = size;
	return error;
}

int block_store(struct txn *txn, struct inode *inode, uint64_t block,
		struct slice value)
{
	struct schema_key key;
	int error;

	block_key_encode(&key, inode->ino, block);
	error = txn_set(txn, &key, value);
	return error ? error : fragments_delete(txn, inode, block, block + 1);
}

static int delete_entry(void *ctx, const struct kv_entry *entry)
{
	struct txn *txn = ctx;

	return kv_batch_delete(&txn->batch, entry->key);
}

int fragments_delete(struct txn *txn, struct inode *inode, uint64_t from,
		     uint64_t to)
{
	uint64_t per_block = fragments_per_block(txn->fs);
	int error;

	if (to == 0 || !block_has_fragments(inode, to - 1))
		return 0;
	error = fragments_list(txn->fs, inode->ino, from * per_block,
			       to * per_block, 0, delete_entry, txn);
	if (!error && inode->fragment_from >= from)
		inode->fragment_from = to;
	return error;
}

/* What is stored of a page before its change, into `bytes`. */
static int old_page_load(struct fs *fs, const struct inode *inode,
			 uint64_t fragment, uint8_t *bytes, size_t *ret_size)
{
	uint64_t offset = fragment * FRAGMENT_SIZE;
	uint64_t block = offset / fs->block_size_bytes;
	struct schema_key key;
	int error = 1;

	*ret_size = 0;
	if (offset >= inode->size_bytes)
		return 0;
	if (block_has_fragments(inode, block)) {
		fragment_key_encode(&key, inode->ino, fragment);
		error = store_read(fs, &key, 0, bytes, FRAGMENT_SIZE, ret_size,
				   NULL);
	}
	if (error == 1) {
		block_key_encode(&key, inode->ino, block);
		error = store_read(fs, &key, offset % fs->block_size_bytes,
				   bytes, FRAGMENT_SIZE, ret_size, NULL);
	}
	return error == 1 ? 0 : error;
}

static int page_write(struct txn *txn, struct inode *inode,
		      const struct block_piece *piece, const uint8_t *src)
{
	uint32_t valid = block_valid_size(FRAGMENT_SIZE, piece->block,
					  inode->size_bytes);
	size_t size = piece->end - piece->begin;
	struct slice value = slice_of(src, size);
	struct schema_key key;
	uint8_t *bytes;
	size_t have;
	int error;

	if (piece->begin > 0 || piece->end < valid) {
		bytes = txn_alloc(txn, FRAGMENT_SIZE);
		if (!bytes)
			return -ENOMEM;
		error = old_page_load(txn->fs, inode, piece->block, bytes,
				      &have);
		if (error)
			return error;
		if (have < piece->begin)
			memset(bytes + have, 0, piece->begin - have);
		memcpy(bytes + piece->begin, src, size);
		value = slice_of(bytes, have > piece->end ? have : piece->end);
	}
	fragment_key_encode(&key, inode->ino, piece->block);
	return txn_set(txn, &key, value);
}

int fragments_write(struct txn *txn, struct inode *inode, uint64_t offset,
		    struct slice src)
{
	struct block_cursor cursor =
		block_cursor_of(FRAGMENT_SIZE, offset, src.size);
	uint64_t block = offset / txn->fs->block_size_bytes;
	const uint8_t *at = src.data;
	struct block_piece piece;
	int error;

	while (block_cursor_next(&cursor, &piece)) {
		error = page_write(txn, inode, &piece, at);
		if (error)
			return error;
		at += piece.end - piece.begin;
	}
	if (!(inode->flags & INODE_FRAGMENTED) || block < inode->fragment_from)
		inode->fragment_from = block;
	inode->flags |= INODE_FRAGMENTED;
	return 0;
}
