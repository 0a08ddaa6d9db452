/* SPDX-License-Identifier: MIT */

/*
 * Changing attributes: chmod, chown, truncate, utimens, as one call that does
 * any of them in one batch. The rules about set-id bits are those of Linux's
 * notify_change() and setattr_copy().
 */

#include <errno.h>

#include "fs/fs_internal.h"

#define PERMISSION_BITS 07777u
#define FS_SET_OWNER (FS_SET_UID | FS_SET_GID)

static int size_set(struct txn *txn, struct inode *inode, unsigned int set,
		    uint64_t size_bytes)
{
	int error;

	if (inode_is_dir(inode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	error = schema_size_prepare(txn, inode, size_bytes);
	if (!error)
		error = truncate_prepare(txn, inode, size_bytes);
	if (!error && !(set & (FS_SET_MTIME | FS_SET_MTIME_NOW)))
		inode->mtime = txn->now;
	return error;
}

/* S_ISGID without S_IXGRP is no privilege to run as the group, but only who is
 * of the group may keep it. */
static bool loses_sgid(const struct fs_cred *cred, const struct inode *inode)
{
	return (inode->mode & S_ISGID) && !inode_is_dir(inode) && cred &&
	       !cred_is_member(cred, inode->gid);
}

static int privileges_drop(struct txn *txn, const struct fs_cred *cred,
			   struct inode *inode)
{
	if (loses_sgid(cred, inode))
		inode->mode &= ~(uint32_t)S_ISGID;
	return inode_drop_privileges(txn, inode);
}

static int owner_set(struct txn *txn, const struct fs_cred *cred,
		     struct inode *inode, unsigned int set,
		     const struct fs_attr *attr)
{
	int error = privileges_drop(txn, cred, inode);

	if (set & FS_SET_UID)
		inode->uid = attr->uid;
	if (set & FS_SET_GID)
		inode->gid = attr->gid;
	return error;
}

static int mode_set(struct txn *txn, const struct fs_cred *cred,
		    struct inode *inode, uint32_t mode)
{
	if (cred && !cred_is_member(cred, inode->gid))
		mode &= ~(uint32_t)S_ISGID;
	inode->mode = (inode->mode & S_IFMT) | (mode & PERMISSION_BITS);
	return acl_follow_mode(txn, inode);
}

static void times_set(const struct txn *txn, struct inode *inode,
		      unsigned int set, const struct fs_attr *attr)
{
	if (set & FS_SET_ATIME_NOW)
		inode->atime = txn->now;
	else if (set & FS_SET_ATIME)
		inode->atime = attr->atime;
	if (set & FS_SET_MTIME_NOW)
		inode->mtime = txn->now;
	else if (set & FS_SET_MTIME)
		inode->mtime = attr->mtime;
	inode->ctime = set & FS_SET_CTIME ? attr->ctime : txn->now;
}

/* 1 when there is nothing to change. */
static int setattr_prepare(struct txn *txn, const struct fs_cred *cred,
			   unsigned int set, const struct fs_attr *attr,
			   struct inode *inode)
{
	int error = 0;

	if (set == 0 ||
	    (set == FS_SET_KILL_SUIDGID && !inode_has_privileges(inode) &&
	     !loses_sgid(cred, inode)))
		return 1;
	/* First, as it may have to commit on its own before. */
	if (set & FS_SET_SIZE)
		error = size_set(txn, inode, set, attr->size_bytes);
	if (!error && (set & FS_SET_OWNER))
		error = owner_set(txn, cred, inode, set, attr);
	else if (!error && (set & FS_SET_KILL_SUIDGID))
		error = privileges_drop(txn, cred, inode);
	if (!error && (set & FS_SET_MODE))
		error = mode_set(txn, cred, inode, attr->mode);
	if (error)
		return error;
	times_set(txn, inode, set, attr);
	return inode_store(txn, inode);
}

static bool nsec_is_valid(const struct timespec *t)
{
	return t->tv_nsec >= 0 && t->tv_nsec < 1000000000L;
}

static int times_check(unsigned int set, const struct fs_attr *attr)
{
	if (((set & FS_SET_ATIME) && !nsec_is_valid(&attr->atime)) ||
	    ((set & FS_SET_MTIME) && !nsec_is_valid(&attr->mtime)) ||
	    ((set & FS_SET_CTIME) && !nsec_is_valid(&attr->ctime)))
		return -EINVAL;
	return 0;
}

/* The lock of the inode is held. */
static int setattr_locked(struct txn *txn, const struct fs_cred *cred,
			  uint64_t ino, unsigned int set,
			  const struct fs_attr *attr, struct inode *ret_inode)
{
	unsigned int flags = 0;
	bool later;
	int error;

	error = inode_load_txn(txn, ino, ret_inode);
	if (error)
		return error;
	later = (set & FS_SET_EMPTY_LATER) &&
		schema_empty_later(txn, ret_inode);
	set &= ~(unsigned int)FS_SET_EMPTY_LATER;
	if (later)
		set &= ~(unsigned int)FS_SET_SIZE;
	/* Getting rid of data must work on a full disk. */
	if ((set & FS_SET_SIZE) && attr->size_bytes < ret_inode->size_bytes)
		flags |= KV_COMMIT_RESERVED;
	error = setattr_prepare(txn, cred, set, attr, ret_inode);
	if (!error)
		error = txn_commit(txn, flags);
	/* What the caller shall see. */
	if (later)
		ret_inode->size_bytes = 0;
	return error == 1 ? 0 : error;
}

/* What was preallocated beyond the new end is given back, and shown so. */
static void prealloc_cut(struct fs *fs, uint64_t ino, uint64_t size_bytes,
			 struct fs_attr *ret_attr)
{
	uint64_t from = block_count_of(fs->block_size_bytes, size_bytes);
	struct fs_attr attr;

	if (prealloc_drop(fs, ino, from, UINT64_MAX) == 0 && ret_attr &&
	    fs_getattr(fs, ino, &attr) == 0)
		ret_attr->blocks = attr.blocks;
}

int fs_setattr(struct fs *fs, const struct fs_cred *cred, uint64_t ino,
	       unsigned int set, const struct fs_attr *attr,
	       struct fs_attr *ret_attr)
{
	struct inode inode;
	struct txn *txn;
	int error;

	error = times_check(set, attr);
	if (error)
		return error;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, ino);
	error = setattr_locked(txn, cred, ino, set, attr, &inode);
	lock_table_unlock_one(&fs->locks, ino);
	if (!error)
		inode_attr(fs, &inode, ret_attr);
	txn_end(txn);
	/* What the caller asked for is done and visible; the rest is cleaning
	 * up, which the next mount does if this one cannot. */
	if (!error && (set & FS_SET_SIZE) && (inode.flags & INODE_TRUNCATING))
		truncate_finish(fs, ino);
	if (!error && (set & FS_SET_SIZE) && (inode.flags & INODE_PREALLOCATED))
		prealloc_cut(fs, ino, attr->size_bytes, ret_attr);
	return error;
}
