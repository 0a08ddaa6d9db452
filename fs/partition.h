/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Partitions: top-level directories with settings and counters of their own.
 * An extended attribute user.kvfs.schema, .durability, .quota or .compress,
 * set on an empty directory of the root, makes it one; fs_setxattr() then
 * refuses what is no value for it (-EINVAL), any other place (-EPERM) and a
 * directory that has entries (-ENOTEMPTY). It stays one until it is removed.
 *
 * All inodes made within belong to it, and none moves in or out: fs_rename()
 * and fs_link() across its border are -EXDEV. Changes beyond its quota are
 * -EDQUOT; its durability and its compression hold for changes in it.
 *
 * Its schema holds for what its regular files contain: what would be no value
 * of it is refused with -EINVAL, or -EFBIG (fs/value_check.h), and the old
 * value stays. fs_write() and fs_setattr() judge what they would leave, but
 * with FS_WRITE_PARTIAL a string may end within a character; fs_fallocate() and
 * fs_tmpfile() are -EOPNOTSUPP, fs_copy_range() is -EXDEV. A new file is empty,
 * whatever the schema. One that is stricter is set in an empty partition only
 * (-ENOTEMPTY). Values that come in pieces are put together by fs/draft.h.
 *
 * The counters are kept in the batches that change what they count. No libfuse.
 */

#include "fs/fs.h"
#include "fs/partition_setting.h"

/* So many at a time: -ENOSPC beyond. */
#define FS_PARTITION_MAX 4096u

struct fs_partition {
	uint64_t ino; /* of its directory */
	struct partition_settings settings;
	uint64_t keys;  /* files and other inodes that are no directories */
	uint64_t bytes; /* they take, as st_blocks counts */
	/* Since the store was opened: */
	uint64_t operations; /* lookups, attributes, reads, listings, writes */
	uint64_t writes;     /* changes, each a batch */
	uint64_t value_bytes_raw; /* of them, before and after compression */
	uint64_t value_bytes_stored;
};

/* 0, or -ENODATA: this inode is not the directory of a partition. */
int fs_partition_stat(struct fs *fs, uint64_t ino,
		      struct fs_partition *ret_partition);
/* Cheap, no I/O. */
bool fs_is_partition(struct fs *fs, uint64_t ino);

/* What the contents of an inode have to be. */
int fs_value_schema(struct fs *fs, uint64_t ino, enum value_schema *ret_schema);
/* Whether there is a partition with a schema other than bytes. */
bool fs_has_schemas(struct fs *fs);
/* Puts a whole value in the place of what a regular file contains, in one
 * batch. -EFBIG beyond 8 MiB; -EINVAL, -EDQUOT, -ENOSPC: the old one stays. */
int fs_replace(struct fs *fs, uint64_t ino, struct slice value);
/*
 * Was it emptied (FS_SET_EMPTY_LATER) and not written? fs_settle() then empties
 * it, or drops that where the empty file is no value: -EINVAL.
 */
bool fs_is_unsettled(struct fs *fs, uint64_t ino);
int fs_settle(struct fs *fs, uint64_t ino);

/* NAME/.stats: "name value" lines. 0 or -ENOMEM. */
int fs_partition_render(const struct fs_partition *partition,
			struct buf *ret_text);

/*
 * Removes a partition with all that is in it, in one step: -ENOENT, -ENODATA
 * when the name leads to a directory that is none, -ENOTDIR. What was in it is
 * still to be deleted, now or by any later opener, with fs_empty_dropped().
 * What somebody has open stays until fs_forget(), as after fs_unlink().
 * *ret_ino: its directory, as fs_rmdir(); call fs_forget() for it.
 */
int fs_partition_drop(struct fs *fs, struct slice name, uint64_t *ret_ino);

/* Both may be NULL. */
struct fs_emptying {
	/* Whether somebody may still look at an inode: it is then left, an
	 * orphan, to fs_forget(). */
	bool (*is_known)(void *ctx, uint64_t ino);
	bool (*shall_stop)(void *ctx);
	void *ctx;
};

/*
 * Deletes what dropped partitions contained, in small steps, each a batch: 0
 * when nothing is left, -ECANCELED, or an error that kept something from being
 * deleted. The filesystem may be in use; one thread at a time.
 */
int fs_empty_dropped(struct fs *fs, const struct fs_emptying *how);

/* fs_statfs() as an inode of a partition with a quota sees it. */
int fs_statfs_at(struct fs *fs, uint64_t ino, struct fs_statfs *ret);
