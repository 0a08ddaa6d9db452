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
 * So a deletion shows at once, and after a compaction the store's files take
 * what is shown as used, but for the segment being written.
 */

#include <errno.h>

#include "fs/fs_internal.h"

static uint64_t used_bytes(const struct kv_stats *stats)
{
	return stats->live_bytes + stats->run_bytes;
}

int size_limit_check(struct fs *fs, uint64_t bytes)
{
	struct kv_stats stats;
	int64_t left;

	if (fs->size_limit_bytes == 0)
		return 0;
	/* The headroom was measured once and is used up by every commit, as if
	 * nothing replaced anything; only when it ends is measured again. */
	left = atomic_fetch_sub(&fs->size_headroom, (int64_t)bytes);
	if (left >= (int64_t)bytes)
		return 0;
	kv_stats(fs->kv, &stats);
	left = (int64_t)(fs->size_limit_bytes - used_bytes(&stats));
	if (used_bytes(&stats) > fs->size_limit_bytes ||
	    left < (int64_t)bytes) {
		atomic_store(&fs->size_headroom, 0);
		return -ENOSPC;
	}
	atomic_store(&fs->size_headroom, left - (int64_t)bytes);
	return 0;
}

int fs_statfs(struct fs *fs, struct fs_statfs *ret)
{
	struct fs_statfs space = { 0 };
	uint64_t disk_free, disk_total;
	struct kv_stats stats;
	int error;

	error = store_error(kv_disk_space(fs->kv, &disk_free, &disk_total));
	if (error)
		return error;
	kv_stats(fs->kv, &stats);
	space.used_bytes = used_bytes(&stats);
	space.free_bytes = disk_free;
	if (stats.disk_bytes > space.used_bytes)
		space.free_bytes += stats.disk_bytes - space.used_bytes;
	space.total_bytes = space.used_bytes + space.free_bytes;
	if (fs->size_limit_bytes && fs->size_limit_bytes < space.total_bytes) {
		space.total_bytes = fs->size_limit_bytes;
		space.free_bytes =
			space.used_bytes < fs->size_limit_bytes ?
				fs->size_limit_bytes - space.used_bytes :
				0;
	}
	space.file_count = stats.classes[CLASS_INODE].key_count;
	space.block_size_bytes = fs->block_size_bytes;
	*ret = space;
	return 0;
}
