/* SPDX-License-Identifier: MIT */

/*
 * Making inodes: files, directories, symbolic links, special files. Invariants:
 *	1. The inode, its entry and its directory change in one batch.
 *	2. Nobody knows the new inode's number before the commit, so only the
 *	   directory is locked.
 */

#include <errno.h>

#include "fs/fs_internal.h"

#define PERMISSION_BITS 07777u

/*
 * Owner and set-group-id as Linux does: in a directory with S_ISGID the group
 * is the directory's, subdirectories pass the bit on, and a file gets it only
 * from a member of that group.
 */
static void owner_set(const struct fs_cred *cred, const struct inode *dir,
		      struct inode *inode)
{
	uint32_t sgid_exec = S_ISGID | S_IXGRP;

	inode->uid = cred->uid;
	inode->gid = cred->gid;
	if (!(dir->mode & S_ISGID))
		return;
	inode->gid = dir->gid;
	if (inode_is_dir(inode))
		inode->mode |= S_ISGID;
	else if ((inode->mode & sgid_exec) == sgid_exec &&
		 !cred_is_member(cred, dir->gid))
		inode->mode &= ~(uint32_t)S_ISGID;
}

int inode_create(struct txn *txn, const struct fs_cred *cred,
		 const struct inode *dir, uint32_t mode,
		 struct inode *ret_inode)
{
	struct inode inode;
	uint64_t ino;
	int error;

	error = ino_alloc(txn->fs, &ino);
	if (error)
		return error;
	inode_init(txn, &inode, ino, mode & (S_IFMT | PERMISSION_BITS));
	inode.partition = dir->partition;
	if (inode_is_dir(&inode))
		inode.parent = dir->ino;
	/* Before the umask, which could hide an execute bit from the rule. */
	owner_set(cred, dir, &inode);
	error = acl_inherit(txn, dir, &inode, cred->umask);
	if (error)
		return error;
	*ret_inode = inode;
	return 0;
}

/* What is to be made. */
struct creation {
	const struct fs_cred *cred;
	uint32_t mode;
	uint64_t rdev;
	struct slice target; /* of a symbolic link */
};

/* Fills the batch. The directory is locked. */
static int creation_prepare(struct txn *txn, const struct creation *creation,
			    uint64_t parent, struct slice name,
			    struct inode *ret_inode)
{
	struct dentry dentry;
	struct inode dir;
	int error;

	error = dir_load(txn, parent, &dir);
	if (error)
		return error;
	error = dentry_find(txn->fs, parent, name, &dentry);
	if (error != 1)
		return error ? error : -EEXIST;
	if (S_ISDIR(creation->mode) && dir.nlink >= FS_LINK_MAX)
		return -EMLINK;
	error = inode_create(txn, creation->cred, &dir, creation->mode,
			     ret_inode);
	if (error)
		return error;
	ret_inode->rdev = creation->rdev;
	ret_inode->data = creation->target;
	dentry.ino = ret_inode->ino;
	dentry.type = type_of_mode(ret_inode->mode);
	dentry.name = name;
	error = dir_next_cookie(&dir, &dentry.cookie);
	if (error)
		return error;
	if (inode_is_dir(ret_inode))
		dir.nlink++;
	inode_touch(txn, &dir);
	error = dentry_put(txn, parent, &dentry);
	if (!error)
		error = inode_store(txn, ret_inode);
	return error ? error : inode_store(txn, &dir);
}

static int create(struct fs *fs, const struct creation *creation,
		  uint64_t parent, struct slice name, struct fs_attr *ret_attr)
{
	struct inode inode;
	struct txn *txn;
	int error;

	error = name_check(name, NAME_CREATE);
	if (error)
		return error;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, parent);
	error = creation_prepare(txn, creation, parent, name, &inode);
	if (!error)
		error = txn_commit(txn, 0);
	lock_table_unlock_one(&fs->locks, parent);
	if (!error)
		inode_attr(fs, &inode, ret_attr);
	txn_end(txn);
	return error;
}

int fs_mknod(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	     struct slice name, uint32_t mode, uint64_t rdev,
	     struct fs_attr *ret_attr)
{
	struct creation creation = { .cred = cred, .mode = mode };

	switch (mode & S_IFMT) {
	case 0:
		creation.mode |= S_IFREG;
		break;
	case S_IFCHR:
	case S_IFBLK:
		creation.rdev = rdev;
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return -EINVAL;
	}
	return create(fs, &creation, parent, name, ret_attr);
}

int fs_mkdir(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	     struct slice name, uint32_t mode, struct fs_attr *ret_attr)
{
	struct creation creation = {
		.cred = cred,
		.mode = (mode & PERMISSION_BITS) | S_IFDIR,
	};

	return create(fs, &creation, parent, name, ret_attr);
}

int fs_symlink(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	       struct slice name, struct slice target, struct fs_attr *ret_attr)
{
	struct creation creation = {
		.cred = cred,
		.mode = S_IFLNK | 0777,
		.target = target,
	};

	if (target.size == 0)
		return -ENOENT;
	if (target.size > FS_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return create(fs, &creation, parent, name, ret_attr);
}

static int tmpfile_prepare(struct txn *txn, const struct fs_cred *cred,
			   uint64_t parent, uint32_t mode,
			   struct inode *ret_inode)
{
	struct schema_key key;
	struct inode dir;
	int error;

	error = dir_load(txn, parent, &dir);
	if (error)
		return error;
	error = inode_create(txn, cred, &dir, mode, ret_inode);
	/* Nobody would tell when its value is whole. */
	if (!error && inode_schema(txn->fs, ret_inode) != VALUE_BYTES)
		error = -EOPNOTSUPP;
	if (error)
		return error;
	ret_inode->nlink = 0;
	ret_inode->flags = INODE_LINKABLE;
	orphan_key_encode(&key, ret_inode->ino);
	error = txn_set(txn, &key, slice_of(NULL, 0));
	return error ? error : inode_store(txn, ret_inode);
}

int fs_tmpfile(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	       uint32_t mode, struct fs_attr *ret_attr)
{
	struct inode inode;
	struct txn *txn;
	int error;

	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, parent);
	error = tmpfile_prepare(txn, cred, parent,
				(mode & PERMISSION_BITS) | S_IFREG, &inode);
	if (!error)
		error = ino_set_add(&fs->orphans, inode.ino);
	if (!error) {
		error = txn_commit(txn, 0);
		if (error)
			ino_set_remove(&fs->orphans, inode.ino);
	}
	lock_table_unlock_one(&fs->locks, parent);
	if (!error)
		inode_attr(fs, &inode, ret_attr);
	txn_end(txn);
	return error;
}
