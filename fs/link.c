/* SPDX-License-Identifier: MIT */

/*
 * Hard links. Both the inode and the directory are locked. A file made by
 * O_TMPFILE gets its first link here and so leaves the orphans.
 */

#include <errno.h>

#include "fs/fs_internal.h"

/* Counts the link and takes a nameless file off the stored orphans. */
static int link_add(struct txn *txn, struct inode *inode)
{
	struct schema_key key;
	int error = 0;

	if (inode->nlink == 0) {
		if (!(inode->flags & INODE_LINKABLE))
			return -ENOENT;
		inode->flags &= ~(uint32_t)INODE_LINKABLE;
		orphan_key_encode(&key, inode->ino);
		error = txn_delete(txn, &key);
	}
	if (inode->nlink >= FS_LINK_MAX)
		return -EMLINK;
	inode->nlink++;
	inode->ctime = txn->now;
	return error;
}

static int link_prepare(struct txn *txn, uint64_t ino, uint64_t parent,
			struct slice name, struct inode *ret_inode)
{
	struct dentry dentry;
	struct inode dir;
	int error;

	error = inode_load_txn(txn, ino, ret_inode);
	if (error)
		return error;
	if (inode_is_dir(ret_inode))
		return -EPERM;
	error = dir_load(txn, parent, &dir);
	if (error)
		return error;
	error = partition_check_place(&dir, ret_inode);
	if (error)
		return error;
	error = dentry_find(txn->fs, parent, name, &dentry);
	if (error != 1)
		return error ? error : -EEXIST;
	error = link_add(txn, ret_inode);
	if (error)
		return error;
	dentry.ino = ino;
	dentry.type = type_of_mode(ret_inode->mode);
	dentry.name = name;
	error = dir_next_cookie(&dir, &dentry.cookie);
	if (error)
		return error;
	inode_touch(txn, &dir);
	error = dentry_put(txn, parent, &dentry);
	if (!error)
		error = inode_store(txn, ret_inode);
	return error ? error : inode_store(txn, &dir);
}

int fs_link(struct fs *fs, uint64_t ino, uint64_t parent, struct slice name,
	    struct fs_attr *ret_attr)
{
	struct lock_set set = { 0 };
	struct inode inode;
	struct txn *txn;
	int error;

	error = name_check(name, NAME_CREATE);
	if (error)
		return error;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_set_add(&set, ino);
	lock_set_add(&set, parent);
	lock_table_lock(&fs->locks, &set);
	error = link_prepare(txn, ino, parent, name, &inode);
	if (!error)
		error = txn_commit(txn, 0);
	if (!error && inode.nlink == 1)
		ino_set_remove(&fs->orphans, ino);
	lock_table_unlock(&fs->locks, &set);
	if (!error)
		inode_attr(fs, &inode, ret_attr);
	txn_end(txn);
	return error;
}
