/* SPDX-License-Identifier: MIT */

/*
 * Taking names away: unlink and rmdir. Invariants:
 *	1. The entry, the directory and the inode change in one batch, with the
 *	   inode's place on the list of orphans when that was its last link; or
 *	   the inode goes in that batch (ghost.h).
 *	2. Which inode a name leads to is known only from the directory, and
 *	   the directory can be read safely only under its lock; yet both locks
 *	   must be taken at once. So the name is looked up without and both are
 *	   locked; unless the directory stood still meanwhile, the name is then
 *	   looked up again.
 *	3. Deleting may use the engine's reserve: it must work on a full disk.
 */

#include <errno.h>

#include "fs/fs_internal.h"

static int orphan_add(struct txn *txn, const struct inode *inode)
{
	struct schema_key key;
	int error = ino_set_add(&txn->fs->orphans, inode->ino);

	if (error)
		return error;
	orphan_key_encode(&key, inode->ino);
	error = txn_set(txn, &key, slice_of(NULL, 0));
	if (error)
		ino_set_remove(&txn->fs->orphans, inode->ino);
	return error;
}

int inode_drop_link(struct txn *txn, struct inode *inode, bool may_be_ghost,
		    enum inode_fate *ret_fate)
{
	int result;

	inode->ctime = txn->now;
	*ret_fate = INODE_STAYS;
	if (inode_is_dir(inode))
		inode->nlink = 0;
	else if (inode->nlink)
		inode->nlink--;
	if (inode->nlink == 0 && may_be_ghost) {
		result = ghost_make(txn, inode);
		if (result == 0)
			*ret_fate = INODE_GHOST;
		if (result <= 0)
			return result;
	}
	if (inode->nlink == 0) {
		result = orphan_add(txn, inode);
		if (result)
			return result;
		*ret_fate = INODE_ORPHAN;
	}
	result = inode_store(txn, inode);
	if (!result && inode_is_dir(inode))
		result = partition_remove(txn, inode);
	return result;
}

void inode_fate_undo(struct fs *fs, uint64_t ino, enum inode_fate fate)
{
	if (fate == INODE_ORPHAN)
		ino_set_remove(&fs->orphans, ino);
	if (fate == INODE_GHOST)
		ghost_drop(fs, ino);
}

/* A removal under way. */
struct removal {
	uint64_t parent;
	struct slice name;
	bool is_rmdir;
	bool is_drop;    /* of a partition, with all that is in it */
	bool is_dropped; /* the directory is: its entries go, of any type */
	struct dentry dentry;
	enum inode_fate fate;
};

static int type_check(const struct removal *removal)
{
	bool is_dir = S_ISDIR(mode_of_type(removal->dentry.type));

	if (removal->is_dropped)
		return 0;
	if (removal->is_rmdir)
		return is_dir ? 0 : -ENOTDIR;
	return is_dir ? -EISDIR : 0;
}

/* Takes the link off the inode that the entry leads to. */
static int target_drop(struct txn *txn, struct removal *removal)
{
	struct inode inode;
	int error;

	error = inode_load_txn(txn, removal->dentry.ino, &inode);
	/* A name must not stay for ever because what it leads to is damaged:
	 * then the entry alone goes, and fsck shows what was behind it. */
	if (!removal->is_rmdir && (error == -EIO || error == -ESTALE))
		return 0;
	if (error)
		return error;
	if (removal->is_drop && inode.partition != inode.ino)
		return -ENODATA;
	if (removal->is_rmdir && !removal->is_drop) {
		error = dir_check_empty(txn->fs, inode.ino);
		if (error)
			return error;
	}
	return inode_drop_link(txn, &inode, !removal->is_dropped,
			       &removal->fate);
}

static int removal_prepare(struct txn *txn, struct removal *removal)
{
	struct inode dir = { 0 };
	int error = 0;

	if (!removal->is_dropped)
		error = dir_load(txn, removal->parent, &dir);
	if (!error)
		error = type_check(removal);
	if (!error)
		error = target_drop(txn, removal);
	if (!error)
		error = dentry_delete(txn, removal->parent, &removal->dentry);
	/* Of a directory that goes, too, nobody counts the links any more. */
	if (error || removal->is_dropped)
		return error;
	if (removal->is_rmdir && dir.nlink > 2)
		dir.nlink--;
	inode_touch(txn, &dir);
	return inode_store(txn, &dir);
}

/* Whether the name still leads to what was locked. 0, 1 when not. */
static int entry_confirm(struct fs *fs, struct removal *removal, bool counted,
			 uint64_t count)
{
	uint64_t ino = removal->dentry.ino;
	int error;

	if (counted &&
	    lock_table_held_since(&fs->locks, removal->parent, count))
		return 0;
	error = dentry_find(fs, removal->parent, removal->name,
			    &removal->dentry);
	if (error)
		return error;
	return removal->dentry.ino != ino;
}

/* Locks the directory and what the name leads to. *removal is then right. */
static int removal_lock(struct fs *fs, struct removal *removal,
			struct lock_set *ret_set)
{
	uint64_t count;
	bool counted;
	int error;

	for (;;) {
		counted = lock_table_read_begin(&fs->locks, removal->parent,
						&count);
		error = dentry_find(fs, removal->parent, removal->name,
				    &removal->dentry);
		if (error)
			return error == 1 ? -ENOENT : error;
		*ret_set = (struct lock_set){ 0 };
		lock_set_add(ret_set, removal->parent);
		lock_set_add(ret_set, removal->dentry.ino);
		lock_table_lock(&fs->locks, ret_set);
		error = entry_confirm(fs, removal, counted, count);
		if (!error)
			return 0;
		lock_table_unlock(&fs->locks, ret_set);
		if (error < 0)
			return error;
	}
}

/* -ENOENT is precise only when the directory is one. */
static int parent_check(struct txn *txn, uint64_t parent, int error)
{
	struct inode dir;
	int dir_error;

	if (error != -ENOENT)
		return error;
	dir_error = dir_load(txn, parent, &dir);
	return dir_error ? dir_error : error;
}

static int removal_run(struct fs *fs, struct removal *removal,
		       uint64_t *ret_ino)
{
	struct lock_set set;
	struct txn *txn;
	int error;

	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	error = removal_lock(fs, removal, &set);
	if (error) {
		error = parent_check(txn, removal->parent, error);
		txn_end(txn);
		return error;
	}
	error = removal_prepare(txn, removal);
	if (!error)
		error = txn_commit(txn, KV_COMMIT_RESERVED);
	if (error)
		inode_fate_undo(fs, removal->dentry.ino, removal->fate);
	lock_table_unlock(&fs->locks, &set);
	if (!error && ret_ino)
		*ret_ino = removal->dentry.ino;
	txn_end(txn);
	return error;
}

int fs_unlink(struct fs *fs, uint64_t parent, struct slice name,
	      uint64_t *ret_ino)
{
	struct removal removal = { .parent = parent, .name = name };
	int error = name_check(name, NAME_UNLINK);

	return error ? error : removal_run(fs, &removal, ret_ino);
}

int fs_rmdir(struct fs *fs, uint64_t parent, struct slice name,
	     uint64_t *ret_ino)
{
	struct removal removal = {
		.parent = parent,
		.name = name,
		.is_rmdir = true,
	};
	int error = name_check(name, NAME_RMDIR);

	return error ? error : removal_run(fs, &removal, ret_ino);
}

int fs_partition_drop(struct fs *fs, struct slice name, uint64_t *ret_ino)
{
	struct removal removal = {
		.parent = FS_ROOT_INO,
		.name = name,
		.is_rmdir = true,
		.is_drop = true,
	};
	int error = name_check(name, NAME_RMDIR);

	return error ? error : removal_run(fs, &removal, ret_ino);
}

int dropped_entry_remove(struct fs *fs, uint64_t dir_ino, struct slice name,
			 uint64_t *ret_ino)
{
	struct removal removal = {
		.parent = dir_ino,
		.name = name,
		.is_dropped = true,
	};

	return removal_run(fs, &removal, ret_ino);
}
