/* SPDX-License-Identifier: MIT */

/* What is left of a file: see revive.h. One thread, no locks: only repairs come
 * here. */

#include "fs/revive.h"

#include <errno.h>

/* Blocks made at a time; the next round of a repair finds the others. */
#define SUPPORT_MAX 1024u

struct remains {
	uint64_t blocks, last_block;
	uint64_t fragments, first_fragment, last_fragment;
	uint64_t preallocated;
	uint64_t entries, last_cookie;
	uint64_t xattr_names_size;
	uint64_t subdirs;
};

static int remains_note(void *ctx, const struct kv_entry *entry)
{
	struct remains *remains = ctx;
	struct key_parts parts;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	if (parts.tag == TAG_BLOCK) {
		remains->blocks++;
		remains->last_block = parts.number;
	} else if (parts.tag == TAG_FRAGMENT) {
		if (!remains->fragments++)
			remains->first_fragment = parts.number;
		remains->last_fragment = parts.number;
	} else if (parts.tag == TAG_COOKIE) {
		remains->entries++;
		remains->last_cookie = parts.number;
	} else if (parts.tag == TAG_NAME) {
		remains->entries++;
	} else if (parts.tag == TAG_XATTR) {
		remains->xattr_names_size += parts.name.size + 1;
	} else if (parts.tag == TAG_PREALLOC) {
		remains->preallocated++;
	}
	return 0;
}

static int subdirs_note(void *ctx, const struct kv_entry *entry)
{
	struct remains *remains = ctx;
	struct dentry dentry = { 0 };

	if (!entry->value_error && !name_record_decode(entry->value, &dentry))
		remains->subdirs += S_ISDIR(mode_of_type(dentry.type));
	return 0;
}

static int tag_list(struct fs *fs, uint64_t ino, enum key_tag tag,
		    unsigned int flags, kv_list_fn *fn, void *ctx)
{
	struct kv_range range = { 0 };
	struct schema_key prefix;

	prefix_encode(&prefix, ino, tag);
	/* Without the tag: every key of the inode. */
	range.prefix = slice_of(prefix.bytes,
				prefix.size - (tag == TAG_INODE ? 1 : 0));
	return store_list(fs, &range, flags, fn, ctx);
}

/* Where the bytes of a record end; 0 for one that is damaged. */
static int record_end(struct fs *fs, const struct schema_key *key,
		      uint64_t begin, uint64_t *end)
{
	uint64_t value_size;
	uint8_t none;
	size_t got;
	int error = store_read(fs, key, 0, &none, 0, &got, &value_size);

	if (error == -EIO)
		return 0;
	if (!error && begin + value_size > *end)
		*end = begin + value_size;
	return error < 0 ? error : 0;
}

static int file_shape(struct fs *fs, const struct remains *remains,
		      struct inode *inode)
{
	uint64_t per_block = fs->block_size_bytes / FRAGMENT_SIZE;
	struct schema_key key;
	int error = 0;

	inode->block_count = remains->blocks;
	inode->prealloc_count = remains->preallocated;
	if (remains->preallocated)
		inode->flags |= INODE_PREALLOCATED;
	if (remains->blocks) {
		block_key_encode(&key, inode->ino, remains->last_block);
		error = record_end(fs, &key,
				   remains->last_block * fs->block_size_bytes,
				   &inode->size_bytes);
	}
	if (!error && remains->fragments) {
		inode->flags |= INODE_FRAGMENTED;
		inode->fragment_from = remains->first_fragment / per_block;
		fragment_key_encode(&key, inode->ino, remains->last_fragment);
		error = record_end(fs, &key,
				   remains->last_fragment * FRAGMENT_SIZE,
				   &inode->size_bytes);
	}
	return error;
}

static int dir_shape(struct fs *fs, struct remains *remains,
		     struct inode *inode)
{
	int error = tag_list(fs, inode->ino, TAG_NAME, KV_LIST_VALUES,
			     subdirs_note, remains);

	inode->nlink = 2 + (uint32_t)remains->subdirs;
	/* The check finds the entry, if there is one, and what is above. */
	inode->parent = FS_ROOT_INO;
	if (remains->last_cookie >= inode->next_cookie)
		inode->next_cookie = remains->last_cookie + 1;
	return error;
}

int inode_revive(struct txn *txn, uint64_t ino)
{
	struct remains remains = { 0 };
	struct inode inode;
	int error = inode_load_txn(txn, ino, &inode);

	if (error != -ESTALE)
		return error == 0 || error == -EIO ? 1 : error;
	error = tag_list(txn->fs, ino, TAG_INODE, 0, remains_note, &remains);
	if (error)
		return error;
	if (!remains.blocks && !remains.fragments && !remains.entries &&
	    !remains.xattr_names_size)
		return 1;
	inode_init(txn, &inode, ino,
		   remains.entries ? S_IFDIR | 0700 : S_IFREG | 0600);
	inode.xattr_names_size = (uint32_t)remains.xattr_names_size;
	error = remains.entries ? dir_shape(txn->fs, &remains, &inode) :
				  file_shape(txn->fs, &remains, &inode);
	return error ? error : inode_store(txn, &inode);
}

/* --- what stands beside blocks --- */

struct support {
	struct txn *txn;
	const struct inode *inode;
	uint64_t last_block; /* looked at; UINT64_MAX: none */
	uint64_t count;
};

static int support_block(struct support *support, uint64_t block)
{
	struct schema_key key;
	int error;

	if (block == support->last_block || support->count == SUPPORT_MAX)
		return 0;
	support->last_block = block;
	block_key_encode(&key, support->inode->ino, block);
	error = store_exists(support->txn->fs, &key);
	if (error != 1)
		return error;
	support->count++;
	return txn_set(support->txn, &key, slice_of("", 0));
}

static int support_fragment(void *ctx, const struct kv_entry *entry)
{
	struct support *support = ctx;
	struct key_parts parts;
	uint64_t block;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	block = parts.number /
		(support->txn->fs->block_size_bytes / FRAGMENT_SIZE);
	if (!block_has_fragments(support->inode, block))
		return 0;
	return support_block(support, block);
}

int blocks_support(struct txn *txn, const struct inode *inode,
		   uint64_t *ret_count)
{
	struct support support = { txn, inode, UINT64_MAX, 0 };
	int error = tag_list(txn->fs, inode->ino, TAG_FRAGMENT, 0,
			     support_fragment, &support);

	if (!error && (inode->flags & INODE_TAIL))
		error = support_block(&support,
				      inode_blocks_end(inode) /
					      txn->fs->block_size_bytes);
	if (!error)
		*ret_count = support.count;
	return error;
}

/* --- fragments that nobody counts --- */

struct stray {
	const struct inode *inode;
	uint64_t per_block;
	uint64_t fragment;
	struct buf *bytes;
};

/* 1 when it is one. */
static int stray_match(void *ctx, const struct kv_entry *entry)
{
	struct stray *stray = ctx;
	struct key_parts parts;
	int error;

	if (entry->value_error || schema_key_decode(entry->key, &parts) ||
	    block_has_fragments(stray->inode, parts.number / stray->per_block))
		return 0;
	stray->fragment = parts.number;
	error = buf_assign(stray->bytes, entry->value);
	return error ? error : 1;
}

int fragment_take(struct txn *txn, const struct inode *inode,
		  uint64_t *ret_offset, struct buf *ret_bytes)
{
	struct stray stray = {
		.inode = inode,
		.per_block = txn->fs->block_size_bytes / FRAGMENT_SIZE,
		.bytes = ret_bytes,
	};
	struct schema_key key;
	int error = tag_list(txn->fs, inode->ino, TAG_FRAGMENT, KV_LIST_VALUES,
			     stray_match, &stray);

	if (error != 1)
		return error ? error : 1;
	*ret_offset = stray.fragment * FRAGMENT_SIZE;
	fragment_key_encode(&key, inode->ino, stray.fragment);
	return txn_delete(txn, &key);
}
