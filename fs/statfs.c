/* SPDX-License-Identifier: MIT */

/*
 * Space: what df(1) shows and what the size limit of a mount allows. Both count
 * the same way, from counters that the engine keeps:
 *
 *	used   the newest records of all keys, and the index on disk
 *	free   everything else that the store has or the disk still offers:
 *	       dead records count as free, as compaction gives them back when
 *	       the space is needed, and so does preallocated log
 *	total  their sum, or the size limit where that is less
 *
 * What is preallocated is used: it is free on the disk, and kept so for those
 * to whom it was promised, by refusing it to others.
 *
 * So a deletion shows at once, and after a compaction the store's files take
 * what is shown as used, but for the segment being written.
 */

#include <errno.h>

#include "fs/fs_internal.h"

static uint64_t stored_bytes(const struct kv_stats *stats)
{
	return stats->live_bytes + stats->run_bytes;
}

static uint64_t promised_bytes(const struct fs *fs,
			       const struct kv_stats *stats)
{
	return stats->classes[CLASS_PREALLOC].key_count * prealloc_bytes(fs);
}

static uint64_t left_of(uint64_t all, uint64_t taken)
{
	return all > taken ? all - taken : 0;
}

/* What the store has and the disk offers beyond what is stored. */
static int disk_left(struct fs *fs, const struct kv_stats *stats,
		     uint64_t *ret_bytes)
{
	uint64_t disk_free, disk_total;
	int error;

	error = store_error(kv_disk_space(fs->kv, &disk_free, &disk_total));
	if (!error)
		*ret_bytes = disk_free +
			     left_of(stats->disk_bytes, stored_bytes(stats));
	return error;
}

/* What may be added: by the size limit, and, when something is preallocated,
 * by the disk. Without, it is for the disk to say. */
static int space_left(struct fs *fs, uint64_t *ret_bytes)
{
	uint64_t left = UINT64_MAX;
	struct kv_stats stats;
	uint64_t promised;
	int error = 0;

	kv_stats(fs->kv, &stats);
	promised = promised_bytes(fs, &stats);
	if (promised) {
		error = disk_left(fs, &stats, &left);
		left = left_of(left, promised);
	}
	promised += stored_bytes(&stats);
	if (fs->size_limit_bytes &&
	    left_of(fs->size_limit_bytes, promised) < left)
		left = left_of(fs->size_limit_bytes, promised);
	*ret_bytes = left < INT64_MAX ? left : INT64_MAX;
	return error;
}

void space_open(struct fs *fs)
{
	struct kv_stats stats;

	kv_stats(fs->kv, &stats);
	atomic_store(&fs->preallocated, promised_bytes(fs, &stats) > 0);
}

int space_check(struct fs *fs, uint64_t bytes)
{
	uint64_t left;
	int error;

	if (fs->size_limit_bytes == 0 && !atomic_load(&fs->preallocated))
		return 0;
	/* The headroom was measured once and is used up by every commit, as if
	 * nothing replaced anything; only when it ends is measured again. */
	if (atomic_fetch_sub(&fs->space_headroom, (int64_t)bytes) >=
	    (int64_t)bytes)
		return 0;
	error = space_left(fs, &left);
	if (!error && left < bytes)
		error = -ENOSPC;
	atomic_store(&fs->space_headroom, error ? 0 : (int64_t)(left - bytes));
	return error;
}

int fs_statfs(struct fs *fs, struct fs_statfs *ret)
{
	struct fs_statfs space = { 0 };
	struct kv_stats stats;
	uint64_t promised;
	int error;

	kv_stats(fs->kv, &stats);
	error = disk_left(fs, &stats, &space.free_bytes);
	if (error)
		return error;
	promised = promised_bytes(fs, &stats);
	space.used_bytes = stored_bytes(&stats) + promised;
	space.preallocated_bytes = promised;
	space.free_bytes = left_of(space.free_bytes, promised);
	space.total_bytes = space.used_bytes + space.free_bytes;
	if (fs->size_limit_bytes && fs->size_limit_bytes < space.total_bytes) {
		space.total_bytes = fs->size_limit_bytes;
		space.free_bytes =
			left_of(fs->size_limit_bytes, space.used_bytes);
	}
	space.file_count = stats.classes[CLASS_INODE].key_count;
	space.block_size_bytes = fs->block_size_bytes;
	*ret = space;
	return 0;
}
