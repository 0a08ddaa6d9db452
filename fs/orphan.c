/* SPDX-License-Identifier: MIT */

/*
 * Orphans: inodes without links that somebody may still have open, and nameless
 * files. Invariants:
 *	1. A stored inode with nlink 0 has an ORPHAN key, from the batch that
 *	   took its last link, or revived it as a ghost (ghost.h), to the batch
 *	   that deletes its record.
 *	2. The set in memory holds those of this mount; all others on the stored
 *	   list are left from a crash and deleted at open.
 *	3. An orphan's keys go in batches of DELETE_BATCH_MAX, its record and
 *	   its ORPHAN key last. Nobody can look at it in between.
 *	4. A directory with entries is one only as a partition, or in one, that
 *	   was dropped: it is left to who empties those (partition_drop.c).
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

/* Stored orphans or truncations looked at in one go. */
#define CLEAN_BATCH 256u
/* Orphans deleted together, when that is no more keys than this: nobody is kept
 * waiting for long. */
#define FORGET_BATCH 32u
#define FORGET_KEYS_MAX 256u

/*
 * Keys of an inode on their way into the batch. Listed from the last one on that
 * went before: looking at all that were deleted for each batch would take longer
 * than the deletions, of a file with millions of blocks.
 */
struct key_sweep {
	struct txn *txn;
	size_t count;
	struct schema_key *last; /* of those deleted; size 0: none yet */
};

static int sweep_key(void *ctx, const struct kv_entry *entry)
{
	struct key_sweep *sweep = ctx;
	struct key_parts parts;
	int error;

	if (!schema_key_decode(entry->key, &parts) && parts.tag == TAG_INODE)
		return 0;
	error = kv_batch_delete(&sweep->txn->batch, entry->key);
	if (error)
		return error;
	if (++sweep->count < DELETE_BATCH_MAX)
		return 0;
	memcpy(sweep->last->bytes, entry->key.data, entry->key.size);
	sweep->last->size = entry->key.size;
	return 1;
}

/* All keys of an inode but its record; 1 when there may be more. */
static int sweep_inode(struct txn *txn, uint64_t ino, struct schema_key *last)
{
	struct key_sweep sweep = { .txn = txn, .last = last };
	struct schema_key prefix;
	struct kv_range range = { 0 };
	bool goes_on = last->size;
	int result;

	prefix_encode(&prefix, ino, TAG_INODE);
	range.prefix = slice_of(prefix.bytes, prefix.size - 1);
	range.from = key_slice(last);
	range.after = goes_on;
	result = store_list(txn->fs, &range, 0, sweep_key, &sweep);
	/* The end is where a look at all of it finds nothing. */
	if (result == 0 && goes_on) {
		last->size = 0;
		return 1;
	}
	return result;
}

static int record_delete(struct txn *txn, uint64_t ino, bool truncating)
{
	struct schema_key key;
	int error;

	inode_key_encode(&key, ino);
	error = txn_delete(txn, &key);
	truncate_key_encode(&key, ino);
	if (!error && truncating)
		error = txn_delete(txn, &key);
	orphan_key_encode(&key, ino);
	return error ? error : txn_delete(txn, &key);
}

/* What one batch can take; 1 when there is more, behind `last`. */
static int delete_prepare(struct txn *txn, uint64_t ino,
			  struct schema_key *last)
{
	struct schema_key key;
	struct inode inode;
	bool truncating = true;
	int more = 0;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (!error)
		truncating = inode.flags & INODE_TRUNCATING;
	if (!error && inode.nlink > 0) {
		orphan_key_encode(&key, ino);
		return txn_delete(txn, &key);
	}
	/* A damaged record does not keep the rest from being deleted. */
	if (error && error != -ESTALE && error != -EIO)
		return error;
	if ((error || inode_is_dir(&inode)) && dir_check_empty(txn->fs, ino))
		return -ENOTEMPTY;
	if (error || inode.block_count || inode.prealloc_count ||
	    inode.xattr_names_size)
		more = sweep_inode(txn, ino, last);
	return more ? more : record_delete(txn, ino, truncating);
}

static int orphan_step(struct txn *txn, uint64_t ino, void *ctx)
{
	int result = delete_prepare(txn, ino, ctx);
	int error = 0;

	if (result >= 0)
		error = txn_commit(txn, KV_COMMIT_RESERVED);
	if (error)
		return error;
	if (result == 0)
		ino_set_remove(&txn->fs->orphans, ino);
	return result;
}

int orphan_delete(struct fs *fs, uint64_t ino)
{
	struct schema_key last = { 0 };

	return inode_in_steps(fs, ino, orphan_step, &last);
}

/* The first of them in one batch, as many as it can take; 0 when that fails or
 * the first takes more than one. What of the next is in it is no harm. */
static size_t orphans_delete(struct txn *txn, const uint64_t *inos,
			     size_t count)
{
	struct fs *fs = txn->fs;
	struct lock_mask mask = { 0 };
	struct schema_key last = { 0 };
	size_t done = 0;

	for (size_t i = 0; i < count; i++)
		lock_mask_add(&mask, inos[i]);
	txn_clear(txn);
	lock_table_lock_mask(&fs->locks, &mask);
	while (done < count && txn->batch.count < FORGET_KEYS_MAX &&
	       !delete_prepare(txn, inos[done], &last))
		done++;
	if (done && txn_commit(txn, KV_COMMIT_RESERVED))
		done = 0;
	for (size_t i = 0; i < done; i++)
		ino_set_remove(&fs->orphans, inos[i]);
	lock_table_unlock_mask(&fs->locks, &mask);
	return done;
}

static void forget_one(struct fs *fs, uint64_t ino)
{
	int error = orphan_delete(fs, ino);

	if (error && error != -EROFS && error != -ENOTEMPTY)
		fs_log(fs, KV_LOG_WARNING,
		       "unlinked inode %llu could not be deleted (error %d); "
		       "it will be at the next mount",
		       (unsigned long long)ino, -error);
}

static void forget_some(struct fs *fs, const uint64_t *inos, size_t count)
{
	struct txn *txn = count > 1 ? txn_begin(fs) : NULL;
	size_t done;

	while (count) {
		done = txn ? orphans_delete(txn, inos, count) : 0;
		if (!done) {
			forget_one(fs, inos[0]);
			done = 1;
		}
		inos += done;
		count -= done;
	}
	txn_end(txn);
}

void fs_forget_all(struct fs *fs, const uint64_t *inos, size_t count)
{
	uint64_t some[FORGET_BATCH];
	size_t have = 0;

	for (size_t i = 0; i < count; i++) {
		(void)fs_settle(fs, inos[i]);
		(void)ghost_drop(fs, inos[i]);
		if (ino_set_has(&fs->orphans, inos[i]))
			some[have++] = inos[i];
		if (have == FORGET_BATCH || i + 1 == count) {
			forget_some(fs, some, have);
			have = 0;
		}
	}
}

void fs_forget(struct fs *fs, uint64_t ino)
{
	fs_forget_all(fs, &ino, 1);
}

bool fs_is_orphan(struct fs *fs, uint64_t ino)
{
	return ino_set_has(&fs->orphans, ino) || ghost_is(fs, ino);
}

/* Inode numbers from one of the stored lists. */
struct ino_list {
	uint64_t *inos;
	size_t max;
	size_t count;
};

static int collect(void *ctx, const struct kv_entry *entry)
{
	struct ino_list *list = ctx;
	struct key_parts parts;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	list->inos[list->count++] = parts.number;
	return list->count == list->max;
}

/* The next numbers on a list. */
static int list_next(struct fs *fs, enum key_tag tag, uint64_t after_ino,
		     struct ino_list *list)
{
	struct kv_range range = { .after = true };
	struct schema_key prefix, from;
	int result;

	prefix_encode(&prefix, 0, tag);
	if (tag == TAG_ORPHAN)
		orphan_key_encode(&from, after_ino);
	else
		truncate_key_encode(&from, after_ino);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from);
	list->count = 0;
	result = store_list(fs, &range, 0, collect, list);
	return result < 0 ? result : 0;
}

int orphans_list(struct fs *fs, uint64_t after_ino, uint64_t *ret_inos,
		 size_t max, size_t *ret_count)
{
	struct ino_list list = { .max = max };
	int error;

	list.inos = ret_inos;
	error = list_next(fs, TAG_ORPHAN, after_ino, &list);

	if (!error)
		*ret_count = list.count;
	return error;
}

static void list_clean(struct fs *fs, enum key_tag tag,
		       int (*clean)(struct fs *fs, uint64_t ino))
{
	uint64_t inos[CLEAN_BATCH];
	struct ino_list list = { .inos = inos, .max = CLEAN_BATCH };
	uint64_t last = 0;
	uint64_t cleaned = 0;
	size_t i;
	int result;

	while ((result = list_next(fs, tag, last, &list)) == 0 && list.count) {
		for (i = 0; i < list.count; i++) {
			last = list.inos[i];
			result = clean(fs, last);
			if (result == -EROFS)
				return;
			if (result == -ENOTEMPTY)
				continue;
			if (result)
				fs_log(fs, KV_LOG_WARNING,
				       "inode %llu could not be cleaned up "
				       "(error %d)",
				       (unsigned long long)last, -result);
			else
				cleaned++;
		}
	}
	if (result < 0)
		fs_log(fs, KV_LOG_WARNING,
		       "the list of unfinished deletions cannot be read "
		       "(error %d)",
		       -result);
	if (cleaned)
		fs_log(fs, KV_LOG_INFO, "%llu unfinished %s completed",
		       (unsigned long long)cleaned,
		       tag == TAG_ORPHAN ? "deletions" : "truncations");
}

void orphans_clean(struct fs *fs)
{
	list_clean(fs, TAG_ORPHAN, orphan_delete);
	list_clean(fs, TAG_TRUNCATE, truncate_finish);
}
