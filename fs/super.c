/* SPDX-License-Identifier: MIT */

/*
 * The filesystem as a whole: opening, formatting and closing, and the giving
 * out of inode numbers. Invariants:
 *	1. The superblock's next_ino is above every number given out, and it is
 *	   stored before the first of them is used. History is never reordered,
 *	   so no crash can bring a number back. A clean close makes it exact.
 *	2. After fs_open for writing, there are no orphans and no truncations
 *	   in progress, unless damage prevented it.
 * Lock: ino_lock, a leaf but for the engine's.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs_internal.h"

#define BLOCK_SIZE_DEFAULT (32u << 10)
/*
 * Files up to this size live in their inode's record: one key less to write,
 * index and look up. All metadata operations carry the data along, so it must
 * stay small against the 10 us that a FUSE request costs: checking and copying
 * 2 KiB takes well below one. rsync writes a new file's record four or five
 * times, which sets the limit for the bytes as well.
 */
#define INLINE_LIMIT_DEFAULT 2048u
/*
 * Tails up to this size do, too. One of L bytes is written L/2 at a time on
 * average, and every L bytes a fragment of 2 KiB is: for appends of 20 to 100
 * bytes the sum is least between 300 and 700.
 */
#define TAIL_LIMIT 512u

void fs_options_init(struct fs_options *options)
{
	memset(options, 0, sizeof(*options));
	kv_options_init(&options->kv);
}

struct kv *fs_kv(struct fs *fs)
{
	return fs->kv;
}

uint32_t fs_block_size(const struct fs *fs)
{
	return fs->block_size_bytes;
}

static int super_store(struct fs *fs, uint64_t next_ino)
{
	struct super super = {
		.version = SCHEMA_VERSION,
		.incompat_flags = fs->incompat_flags,
		.block_size_bytes = fs->block_size_bytes,
		.inline_limit_bytes = fs->inline_limit_bytes,
		.next_ino = next_ino,
	};
	uint8_t bytes[SUPER_RECORD_SIZE];
	struct schema_key key;

	super_encode(&super, bytes);
	super_key_encode(&key);
	return store_error(kv_set(fs->kv, key_slice(&key),
				  slice_of(bytes, sizeof(bytes)), NULL));
}

int ino_alloc(struct fs *fs, uint64_t *ret_ino)
{
	int error = 0;

	mutex_lock(&fs->ino_lock);
	if (fs->next_ino == fs->next_ino_stored) {
		if (fs->next_ino > INT64_MAX - INO_CHUNK)
			error = -ENOSPC;
		else
			error = super_store(fs, fs->next_ino + INO_CHUNK);
		if (!error)
			fs->next_ino_stored += INO_CHUNK;
	}
	if (!error)
		*ret_ino = fs->next_ino++;
	mutex_unlock(&fs->ino_lock);
	return error;
}

int super_allow(struct fs *fs, enum super_flags flag)
{
	int error = 0;

	mutex_lock(&fs->ino_lock);
	if (!(fs->incompat_flags & flag)) {
		fs->incompat_flags |= flag;
		error = super_store(fs, fs->next_ino_stored);
		if (error)
			fs->incompat_flags &= ~(uint32_t)flag;
	}
	mutex_unlock(&fs->ino_lock);
	return error;
}

/* The superblock and the root of a new store, as one batch. */
static int format(struct fs *fs, const struct fs_options *options)
{
	struct super super = {
		.version = SCHEMA_VERSION,
		.block_size_bytes = options->block_size_bytes,
		.inline_limit_bytes = INLINE_LIMIT_DEFAULT,
		.next_ino = FS_ROOT_INO + 1,
	};
	uint8_t bytes[SUPER_RECORD_SIZE];
	struct schema_key key;
	struct inode root;
	struct txn *txn;
	int error;

	if (!super.block_size_bytes)
		super.block_size_bytes = BLOCK_SIZE_DEFAULT;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	inode_init(txn, &root, FS_ROOT_INO, S_IFDIR | 0755);
	root.uid = options->root_uid;
	root.gid = options->root_gid;
	root.parent = FS_ROOT_INO;
	super_encode(&super, bytes);
	super_key_encode(&key);
	error = txn_set(txn, &key, slice_of(bytes, sizeof(bytes)));
	if (!error)
		error = inode_store(txn, &root);
	if (!error)
		error = txn_commit(txn, 0);
	txn_end(txn);
	if (!error)
		error = fs_sync(fs);
	return error;
}

static int super_load(struct fs *fs)
{
	uint8_t bytes[SUPER_RECORD_SIZE + 1];
	struct schema_key key;
	struct super super;
	size_t size;
	int error;

	super_key_encode(&key);
	error = store_read(fs, &key, 0, bytes, sizeof(bytes), &size, NULL);
	if (!error)
		error = store_error(
			super_decode(slice_of(bytes, size), &super));
	if (error)
		return error;
	fs->block_size_bytes = super.block_size_bytes;
	fs->inline_limit_bytes = super.inline_limit_bytes;
	fs->tail_limit_bytes = super.inline_limit_bytes < TAIL_LIMIT ?
				       super.inline_limit_bytes :
				       TAIL_LIMIT;
	fs->incompat_flags = super.incompat_flags;
	fs->next_ino = super.next_ino;
	fs->next_ino_stored = super.next_ino;
	return 0;
}

/* Reads the superblock; formats a store that is empty and may be made. */
static int super_open(struct fs *fs, const struct fs_options *options)
{
	struct kv_stats stats;
	int error;

	error = super_load(fs);
	if (error != 1)
		return error;
	kv_stats(fs->kv, &stats);
	if (stats.key_count > 0 || !options->kv.create || fs->read_only)
		return -EMEDIUMTYPE;
	error = format(fs, options);
	return error ? error : super_load(fs);
}

static bool options_are_valid(const struct fs_options *options)
{
	uint32_t size = options->block_size_bytes;

	return size == 0 || (size >= BLOCK_SIZE_MIN && size <= BLOCK_SIZE_MAX &&
			     (size & (size - 1)) == 0);
}

/* What fs_free takes apart; nothing of the store is needed yet. */
static int fs_new(const struct fs_options *options, struct fs **ret_fs)
{
	struct fs *fs = calloc(1, sizeof(*fs));
	int error;

	if (!fs)
		return -ENOMEM;
	error = lock_table_init(&fs->locks);
	if (error) {
		free(fs);
		return error;
	}
	fs->size_limit_bytes = options->size_limit_bytes;
	fs->durability = options->kv.durability;
	fs->read_only = options->kv.read_only;
	fs->log = options->kv.log;
	fs->log_ctx = options->kv.log_ctx;
	mutex_init(&fs->rename_lock);
	mutex_init(&fs->ino_lock);
	ino_set_init(&fs->orphans);
	ino_set_init(&fs->emptied);
	ghost_table_init(&fs->ghosts);
	txn_pool_init(&fs->txns);
	partition_table_init(&fs->partitions);
	*ret_fs = fs;
	return 0;
}

static void fs_free(struct fs *fs)
{
	partition_table_release(&fs->partitions);
	txn_pool_release(&fs->txns);
	ghost_table_release(&fs->ghosts);
	ino_set_release(&fs->emptied);
	ino_set_release(&fs->orphans);
	mutex_release(&fs->ino_lock);
	mutex_release(&fs->rename_lock);
	lock_table_release(&fs->locks);
	free(fs);
}

int fs_open(const char *store_path, const struct fs_options *options,
	    struct fs **ret_fs)
{
	struct kv_options kv_options = options->kv;
	struct fs *fs;
	int error;

	if (!options_are_valid(options))
		return -EINVAL;
	error = fs_new(options, &fs);
	if (error)
		return error;
	kv_options.classify = schema_classify;
	if (fs->read_only)
		kv_options.create = false;
	error = store_error(kv_open(store_path, &kv_options, &fs->kv));
	if (!error) {
		error = super_open(fs, options);
		if (!error)
			error = partitions_load(fs);
		if (error)
			kv_close(fs->kv);
		else
			space_open(fs);
	}
	if (error) {
		fs_free(fs);
		return error;
	}
	if (!fs->read_only)
		orphans_clean(fs);
	*ret_fs = fs;
	return 0;
}

int fs_close(struct fs *fs)
{
	int close_error;
	int error = 0;

	if (!fs)
		return 0;
	if (!fs->read_only) {
		schemas_settle(fs);
		orphans_clean(fs);
		if (fs->next_ino != fs->next_ino_stored)
			error = super_store(fs, fs->next_ino);
		/* A store that failed and turned read-only while open says so
		 * when it is closed; its lists are cleaned at the next open. */
		if (error == -EROFS)
			error = 0;
	}
	ghosts_drop_all(&fs->ghosts);
	close_error = store_error(kv_close(fs->kv));
	fs_free(fs);
	return close_error ? close_error : error;
}

int fs_sync_to(struct fs *fs, uint64_t point)
{
	return store_error(kv_sync(fs->kv, point));
}

int fs_sync(struct fs *fs)
{
	return fs_sync_to(fs, kv_last_lsn(fs->kv));
}

uint64_t fs_sync_point(struct fs *fs)
{
	if (atomic_load(&fs->partitions.count))
		return 0;
	return kv_last_lsn(fs->kv);
}

int fs_fsync(struct fs *fs, uint64_t ino)
{
	/* The log is one sequence: what came before this inode's last change,
	 * its names among it, is durable with it. */
	int error;

	if (atomic_load(&fs->partitions.count) == 0)
		return fs_sync(fs);
	error = fs_settle(fs, ino);
	if (error)
		return error;
	return partition_sync(fs, ino);
}
