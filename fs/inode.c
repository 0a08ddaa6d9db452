/* SPDX-License-Identifier: MIT */

/*
 * Inodes: loading and storing, and what is true of every type. Invariants:
 *	1. An inode's record is changed only by who holds its lock.
 *	2. ctime moves with every change of the record, but by FS_WRITE_CACHED
 *	   where the kernel keeps the times.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

/* Shown for directories, where sizes differ from system to system. */
#define DIR_SIZE_BYTES 4096u
/* Inode numbers are never reused, so all are of the first generation. */
#define GENERATION 1u
#define STAT_BLOCK_BYTES 512u

struct timespec time_now(void)
{
	struct timespec now;

	/* The kernel stamps with this clock, too; a finer one would let the
	 * times that it keeps for us (write-back cache) run backwards. */
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	return now;
}

int inode_load(struct fs *fs, uint64_t ino, uint8_t *bytes,
	       struct inode *ret_inode)
{
	struct schema_key key;
	uint64_t value_size, revived;
	size_t size = 0;
	int error;

	inode_key_encode(&key, ino);
	do {
		revived = atomic_load(&fs->ghosts.revived_count);
		error = store_read(fs, &key, 0, bytes, INODE_RECORD_MAX, &size,
				   &value_size);
		if (error == 1) {
			error = ghost_load(fs, ino, bytes, &size);
			value_size = size;
		}
	} while (error == 1 &&
		 atomic_load(&fs->ghosts.revived_count) != revived);
	if (error)
		return error == 1 ? -ESTALE : error;
	if (value_size > INODE_RECORD_MAX)
		return -EIO;
	error = store_error(
		inode_decode(slice_of(bytes, size), ino, ret_inode));
	if (!error && ret_inode->partition)
		ret_inode->counted = inode_counts(fs, ret_inode);
	return error;
}

int inode_load_txn(struct txn *txn, uint64_t ino, struct inode *ret_inode)
{
	uint8_t *bytes = txn_alloc(txn, INODE_RECORD_MAX);
	struct inode inode;
	size_t used;
	int error;

	if (!bytes)
		return -ENOMEM;
	error = inode_load(txn->fs, ino, bytes, &inode);
	if (!error && inode.nlink == 0 && ghost_is(txn->fs, ino)) {
		error = ghost_revive(txn->fs, ino);
		if (!error)
			error = inode_load(txn->fs, ino, bytes, &inode);
	}
	if (error)
		return error;
	used = inode.data.size ?
		       (size_t)((const uint8_t *)inode.data.data - bytes) +
			       inode.data.size :
		       0;
	txn_trim(txn, bytes, used);
	*ret_inode = inode;
	return 0;
}

int inode_store(struct txn *txn, struct inode *inode)
{
	int error = partition_account(txn, inode);
	struct schema_key key;
	uint8_t *bytes;
	size_t size;

	if (error)
		return error;
	bytes = txn_alloc(txn, INODE_RECORD_MAX);
	if (!bytes)
		return -ENOMEM;
	size = inode_encode(inode, bytes);
	txn_trim(txn, bytes, size);
	inode_key_encode(&key, inode->ino);
	return txn_set(txn, &key, slice_of(bytes, size));
}

/*
 * The bytes that are stored for an inode. Blocks are counted whole, as every
 * filesystem does, but never beyond the end of the file: so a file without
 * holes has exactly its size, and one with less has some.
 */
uint64_t inode_stored_bytes(const struct fs *fs, const struct inode *inode)
{
	uint64_t max = INT64_MAX / 2 / fs->block_size_bytes;
	uint64_t promised, bytes;

	if (!S_ISREG(inode->mode))
		return 0;
	/* What is preallocated may be beyond the end. */
	promised = inode->prealloc_count < max ? inode->prealloc_count : max;
	promised *= fs->block_size_bytes;
	if (!inode->block_count)
		return inode->data.size + promised;
	if (inode->block_count > max)
		return inode->size_bytes;
	bytes = inode->block_count * fs->block_size_bytes;
	if (bytes > inode->size_bytes)
		bytes = inode->size_bytes;
	return bytes + promised;
}

/* What has lost its name is gone for who counts, whoever has it open still. */
struct partition_counts inode_counts(const struct fs *fs,
				     const struct inode *inode)
{
	struct partition_counts counts = { 0 };

	if (inode->nlink && !inode_is_dir(inode)) {
		counts.keys = 1;
		counts.bytes = inode_stored_bytes(fs, inode);
	}
	return counts;
}

static uint64_t shown_size(const struct inode *inode)
{
	switch (inode->mode & S_IFMT) {
	case S_IFREG:
		return inode->size_bytes;
	case S_IFDIR:
		return DIR_SIZE_BYTES;
	case S_IFLNK:
		return inode->data.size;
	default:
		return 0;
	}
}

void inode_attr(struct fs *fs, const struct inode *inode,
		struct fs_attr *ret_attr)
{
	if (!ret_attr)
		return;
	*ret_attr = (struct fs_attr){
		.ino = inode->ino,
		.generation = GENERATION,
		.mode = inode->mode,
		.nlink = inode->nlink,
		.uid = inode->uid,
		.gid = inode->gid,
		.rdev = inode->rdev,
		.size_bytes = shown_size(inode),
		.blocks =
			(inode_stored_bytes(fs, inode) + STAT_BLOCK_BYTES - 1) /
			STAT_BLOCK_BYTES,
		.atime = inode->atime,
		.mtime = inode->mtime,
		.ctime = inode->ctime,
		.btime = inode->btime,
	};
}

void inode_init(const struct txn *txn, struct inode *ret_inode, uint64_t ino,
		uint32_t mode)
{
	*ret_inode = (struct inode){
		.ino = ino,
		.mode = mode,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.atime = txn->now,
		.mtime = txn->now,
		.ctime = txn->now,
		.btime = txn->now,
		.next_cookie = S_ISDIR(mode) ? COOKIE_FIRST : 0,
	};
}

int inode_in_steps(struct fs *fs, uint64_t ino, inode_step_fn *fn, void *ctx)
{
	struct txn *txn;
	int result;

	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	do {
		txn_clear(txn);
		lock_table_lock_one(&fs->locks, ino);
		result = fn(txn, ino, ctx);
		lock_table_unlock_one(&fs->locks, ino);
	} while (result == 1);
	txn_end(txn);
	return result;
}

void inode_touch(const struct txn *txn, struct inode *inode)
{
	inode->mtime = txn->now;
	inode->ctime = txn->now;
}

bool cred_is_member(const struct fs_cred *cred, uint32_t gid)
{
	if (cred->uid == 0 || cred->gid == gid)
		return true;
	return cred->in_group && cred->in_group(cred->ctx, gid);
}

/* The set-id bits of a mode that a write takes away. Without S_IXGRP, S_ISGID
 * once meant mandatory locking and stays. */
static uint32_t privileges_of(const struct inode *inode)
{
	uint32_t bits = inode->mode & S_ISUID;

	if (inode_is_dir(inode))
		return 0;
	if (inode->mode & S_IXGRP)
		bits |= inode->mode & S_ISGID;
	return bits;
}

bool inode_has_privileges(const struct inode *inode)
{
	return privileges_of(inode) || inode->xattr_names_size;
}

int inode_drop_privileges(struct txn *txn, struct inode *inode)
{
	int error = 0;

	inode->mode &= ~privileges_of(inode);
	if (!inode_is_dir(inode) && inode->xattr_names_size)
		error = xattr_drop(txn, inode,
				   SLICE_LITERAL("security.capability"));
	return error == -ENODATA ? 0 : error;
}

int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attr *ret_attr)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	partition_count_operation(fs, inode.partition);
	inode_attr(fs, &inode, ret_attr);
	return 0;
}

int fs_readlink(struct fs *fs, uint64_t ino, struct buf *ret_target)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	if (!S_ISLNK(inode.mode))
		return -EINVAL;
	return buf_assign(ret_target, inode.data);
}
