/* SPDX-License-Identifier: MIT */

/*
 * Counting a partition anew, for the repair: by a look at every inode. Nobody
 * else is there.
 */

#include <errno.h>

#include "fs/fs_internal.h"

struct recount {
	struct fs *fs;
	uint64_t ino;
	struct partition_counts counts;
};

static int inode_count(void *ctx, const struct kv_entry *entry)
{
	struct recount *recount = ctx;
	struct partition_counts counts;
	struct key_parts parts;
	struct inode inode;

	if (schema_key_decode(entry->key, &parts) || parts.tag != TAG_INODE ||
	    entry->value_error ||
	    inode_decode(entry->value, parts.ino, &inode) ||
	    inode.partition != recount->ino)
		return 0;
	counts = inode_counts(recount->fs, &inode);
	recount->counts.keys += counts.keys;
	recount->counts.bytes += counts.bytes;
	return 0;
}

/* Whether the record says what was counted. */
static bool record_is(const struct recount *recount)
{
	struct partition_counts counts;
	struct buf value = { 0 };
	struct schema_key key;
	int error;

	partition_key_encode(&key, recount->ino);
	error = store_get(recount->fs, &key, &value);
	if (!error)
		error = partition_decode(buf_slice(&value), &counts);
	buf_release(&value);
	return !error && counts.keys == recount->counts.keys &&
	       counts.bytes == recount->counts.bytes;
}

/* Whether the inode is the directory of a partition, whatever is listed. */
static bool is_root(struct fs *fs, uint64_t ino)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;

	return inode_load(fs, ino, bytes, &inode) == 0 &&
	       inode_is_dir(&inode) && inode.nlink &&
	       inode.parent == FS_ROOT_INO && inode.partition == ino;
}

/* A record of what is no partition goes. */
static int record_drop(struct txn *txn, uint64_t ino)
{
	struct schema_key key;
	int error;

	partition_key_encode(&key, ino);
	error = store_exists(txn->fs, &key);
	return error ? error : txn_delete(txn, &key);
}

int partition_recount(struct txn *txn, uint64_t ino)
{
	struct recount recount = { .fs = txn->fs, .ino = ino };
	struct partition *partition = partition_find(txn->fs, ino);
	struct kv_range range = { 0 };
	struct schema_key key;
	uint8_t *bytes;
	int error;

	if (!is_root(txn->fs, ino))
		return record_drop(txn, ino);
	error = store_list(txn->fs, &range, KV_LIST_VALUES, inode_count,
			   &recount);
	if (error)
		return error;
	/* One that was not listed is known when the store is opened again. */
	if (partition) {
		mutex_lock(&partition->lock);
		partition->counts = recount.counts;
		mutex_unlock(&partition->lock);
	}
	if (record_is(&recount))
		return 1;
	bytes = txn_alloc(txn, PARTITION_RECORD_MAX);
	if (!bytes)
		return -ENOMEM;
	partition_key_encode(&key, ino);
	return txn_set(txn, &key,
		       slice_of(bytes,
				partition_encode(&recount.counts, bytes)));
}
