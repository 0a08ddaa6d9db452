/* SPDX-License-Identifier: MIT */

/*
 * Renaming, with the flags of renameat2(2). Invariants:
 *	1. Everything changes in one batch: up to two directories, the inode
 *	   that moves, and the one that is replaced, exchanged or left behind.
 *	   Its size does not depend on what a directory contains.
 *	2. A directory never becomes its own ancestor. Only moving a directory
 *	   to another directory could do that, so those are serialised by
 *	   rename_lock: under it all `parent` fields stand still, and the walk
 *	   from the new parent to the root can be trusted. The kernel does the
 *	   same for its callers, but not all callers are the kernel.
 *	3. A name that stays keeps its cookie, so that a directory stream shows
 *	   it exactly once: a replaced entry's cookie goes to what replaces it,
 *	   a whiteout gets the cookie of the name it covers. A renamed entry
 *	   takes its cookie along within its directory.
 */

#include <errno.h>
#include <stdio.h>

#include "fs/fs_internal.h"

/* A path to the root longer than this is a loop in a damaged store. */
#define DEPTH_MAX 1000000u

/* One of the two names. */
struct rename_side {
	uint64_t dir_ino;
	struct slice name;
	bool exists;
	struct dentry dentry;
	struct inode inode; /* when it exists */
	struct inode *dir;
	/* Of the directory's lock when the name was looked up. */
	bool counted;
	uint64_t count;
};

struct rename {
	const struct fs_cred *cred;
	unsigned int flags;
	struct rename_side from;
	struct rename_side to;
	struct inode dirs[2]; /* one when both names are in the same */
	bool same_dir;
	bool dirs_move; /* between directories: rename_lock is held */
	struct lock_set set;
	enum inode_fate fate; /* of what was replaced */
};

static bool side_is_dir(const struct rename_side *side)
{
	return side->exists && S_ISDIR(mode_of_type(side->dentry.type));
}

static int flags_check(unsigned int flags)
{
	const unsigned int known = RENAME_NOREPLACE | RENAME_EXCHANGE |
				   RENAME_WHITEOUT;

	if (flags & ~known)
		return -EINVAL;
	if ((flags & RENAME_EXCHANGE) &&
	    (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT)))
		return -EINVAL;
	return 0;
}

static int side_find(struct fs *fs, struct rename_side *side)
{
	int error = dentry_find(fs, side->dir_ino, side->name, &side->dentry);

	if (error < 0)
		return error;
	side->exists = error == 0;
	return 0;
}

static int sides_find(struct fs *fs, struct rename *rename)
{
	struct rename_side *from = &rename->from;
	struct rename_side *to = &rename->to;
	int error;

	from->counted =
		lock_table_read_begin(&fs->locks, from->dir_ino, &from->count);
	to->counted =
		lock_table_read_begin(&fs->locks, to->dir_ino, &to->count);
	error = side_find(fs, from);
	return error ? error : side_find(fs, to);
}

/* Whether a name still leads to what was locked. 0, 1 when not. */
static int side_confirm(struct fs *fs, struct rename_side *side)
{
	uint64_t ino = side->dentry.ino;
	bool existed = side->exists;
	int error;

	if (side->counted &&
	    lock_table_held_since(&fs->locks, side->dir_ino, side->count))
		return 0;
	error = side_find(fs, side);
	if (error)
		return error;
	return side->exists != existed || (existed && side->dentry.ino != ino);
}

static void rename_unlock(struct fs *fs,
			  struct rename *rename) NO_THREAD_SAFETY_ANALYSIS
{
	lock_table_unlock(&fs->locks, &rename->set);
	if (rename->dirs_move)
		mutex_unlock(&fs->rename_lock);
}

static void rename_lock_once(struct fs *fs,
			     struct rename *rename) NO_THREAD_SAFETY_ANALYSIS
{
	rename->dirs_move = !rename->same_dir &&
			    (side_is_dir(&rename->from) ||
			     ((rename->flags & RENAME_EXCHANGE) &&
			      side_is_dir(&rename->to)));
	if (rename->dirs_move)
		mutex_lock(&fs->rename_lock);
	rename->set = (struct lock_set){ 0 };
	lock_set_add(&rename->set, rename->from.dir_ino);
	lock_set_add(&rename->set, rename->to.dir_ino);
	if (rename->from.exists)
		lock_set_add(&rename->set, rename->from.dentry.ino);
	if (rename->to.exists)
		lock_set_add(&rename->set, rename->to.dentry.ino);
	lock_table_lock(&fs->locks, &rename->set);
}

/* Looks both names up, locks all that takes part, and makes sure that the
 * names still lead there; see unlink.c. Locked on 0. */
static int rename_lock(struct fs *fs, struct rename *rename)
{
	int error;

	for (;;) {
		error = sides_find(fs, rename);
		if (error)
			return error;
		rename_lock_once(fs, rename);
		error = side_confirm(fs, &rename->from);
		if (!error)
			error = side_confirm(fs, &rename->to);
		if (!error)
			return 0;
		rename_unlock(fs, rename);
		if (error < 0)
			return error;
	}
}

/* Whether `ancestor` is `ino` or above it. rename_lock is held. 0, 1, error. */
static int is_ancestor(struct fs *fs, uint64_t ancestor, uint64_t ino)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	unsigned int depth;
	int error;

	for (depth = 0; depth < DEPTH_MAX; depth++) {
		if (ino == ancestor)
			return 1;
		if (ino == FS_ROOT_INO)
			return 0;
		error = inode_load(fs, ino, bytes, &inode);
		if (error)
			return error;
		ino = inode.parent;
	}
	return -EIO;
}

static int loop_check(struct fs *fs, const struct rename *rename)
{
	int result = 0;

	if (!rename->dirs_move)
		return 0;
	if (side_is_dir(&rename->from))
		result = is_ancestor(fs, rename->from.dentry.ino,
				     rename->to.dir_ino);
	if (result == 1)
		return -EINVAL;
	if (result == 0 && side_is_dir(&rename->to)) {
		result = is_ancestor(fs, rename->to.dentry.ino,
				     rename->from.dir_ino);
		if (result == 1)
			return rename->flags & RENAME_EXCHANGE ? -EINVAL :
								 -ENOTEMPTY;
	}
	return result;
}

static int replace_check(struct fs *fs, const struct rename *rename)
{
	bool from_dir = side_is_dir(&rename->from);
	bool to_dir = side_is_dir(&rename->to);

	if (!rename->to.exists || (rename->flags & RENAME_EXCHANGE))
		return 0;
	if (from_dir && !to_dir)
		return -ENOTDIR;
	if (!from_dir && to_dir)
		return -EISDIR;
	return to_dir ? dir_check_empty(fs, rename->to.dentry.ino) : 0;
}

static int dirs_load(struct txn *txn, struct rename *rename)
{
	int error = dir_load(txn, rename->from.dir_ino, &rename->dirs[0]);

	rename->from.dir = &rename->dirs[0];
	rename->to.dir = &rename->dirs[0];
	if (error || rename->same_dir)
		return error;
	rename->to.dir = &rename->dirs[1];
	return dir_load(txn, rename->to.dir_ino, &rename->dirs[1]);
}

static int inodes_load(struct txn *txn, struct rename *rename)
{
	int error = inode_load_txn(txn, rename->from.dentry.ino,
				   &rename->from.inode);

	if (!error && rename->to.exists)
		error = inode_load_txn(txn, rename->to.dentry.ino,
				       &rename->to.inode);
	/* An entry that leads nowhere. */
	return error == -ESTALE ? -EIO : error;
}

/* Nothing passes the border of a partition. */
static int border_check(const struct rename *rename)
{
	int error = partition_check_place(rename->to.dir, &rename->from.inode);

	if (!error && (rename->flags & RENAME_EXCHANGE))
		error = partition_check_place(rename->from.dir,
					      &rename->to.inode);
	return error;
}

/* All that can be wrong, in the order in which system calls look. 1 when there
 * is nothing to do. */
static int rename_check(struct txn *txn, struct rename *rename)
{
	int error;

	error = dirs_load(txn, rename);
	if (error)
		return error;
	if (!rename->from.exists)
		return -ENOENT;
	if (rename->to.exists && (rename->flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (!rename->to.exists && (rename->flags & RENAME_EXCHANGE))
		return -ENOENT;
	error = loop_check(txn->fs, rename);
	if (error)
		return error;
	if (rename->to.exists &&
	    rename->to.dentry.ino == rename->from.dentry.ino)
		return 1;
	error = replace_check(txn->fs, rename);
	if (!error)
		error = inodes_load(txn, rename);
	return error ? error : border_check(rename);
}

/* A directory came into `to`, and left `from`. */
static int dir_moved(struct rename_side *from, struct rename_side *to,
		     struct inode *moved)
{
	moved->parent = to->dir_ino;
	if (to->dir->nlink >= FS_LINK_MAX)
		return -EMLINK;
	to->dir->nlink++;
	if (from->dir->nlink > 2)
		from->dir->nlink--;
	return 0;
}

static int exchange_prepare(struct txn *txn, struct rename *rename)
{
	struct rename_side *from = &rename->from;
	struct rename_side *to = &rename->to;
	struct dentry dentry = from->dentry;
	int error = 0;

	from->dentry.ino = to->dentry.ino;
	from->dentry.type = to->dentry.type;
	to->dentry.ino = dentry.ino;
	to->dentry.type = dentry.type;
	from->inode.ctime = txn->now;
	to->inode.ctime = txn->now;
	if (!rename->same_dir && inode_is_dir(&from->inode))
		error = dir_moved(from, to, &from->inode);
	if (!error && !rename->same_dir && inode_is_dir(&to->inode))
		error = dir_moved(to, from, &to->inode);
	if (!error)
		error = dentry_put(txn, from->dir_ino, &from->dentry);
	if (!error)
		error = dentry_put(txn, to->dir_ino, &to->dentry);
	if (!error)
		error = inode_store(txn, &from->inode);
	return error ? error : inode_store(txn, &to->inode);
}

/* Leaves a whiteout under the old name: what overlayfs takes for "deleted". */
static int whiteout_put(struct txn *txn, struct rename *rename)
{
	struct dentry dentry = rename->from.dentry;
	struct inode inode;
	int error;

	error = inode_create(txn, rename->cred, rename->from.dir, S_IFCHR,
			     &inode);
	if (error)
		return error;
	dentry.ino = inode.ino;
	dentry.type = type_of_mode(inode.mode);
	error = dentry_put(txn, rename->from.dir_ino, &dentry);
	return error ? error : inode_store(txn, &inode);
}

/* The link that the new name was, if it was one. */
static int target_drop(struct txn *txn, struct rename *rename)
{
	struct rename_side *to = &rename->to;

	if (!to->exists)
		return 0;
	if (inode_is_dir(&to->inode) && to->dir->nlink > 2)
		to->dir->nlink--;
	return inode_drop_link(txn, &to->inode, true, &rename->fate);
}

static int cookie_choose(struct rename *rename, uint64_t *ret_cookie)
{
	if (rename->to.exists) {
		*ret_cookie = rename->to.dentry.cookie;
		return 0;
	}
	if (rename->same_dir && !(rename->flags & RENAME_WHITEOUT)) {
		*ret_cookie = rename->from.dentry.cookie;
		return 0;
	}
	return dir_next_cookie(rename->to.dir, ret_cookie);
}

static int move_prepare(struct txn *txn, struct rename *rename)
{
	struct rename_side *from = &rename->from;
	struct rename_side *to = &rename->to;
	struct dentry dentry = {
		.ino = from->dentry.ino,
		.type = from->dentry.type,
		.name = to->name,
	};
	int error;

	error = target_drop(txn, rename);
	if (!error)
		error = cookie_choose(rename, &dentry.cookie);
	if (error)
		return error;
	/* Before the entry is put, which may take over the cookie. */
	if (rename->flags & RENAME_WHITEOUT)
		error = whiteout_put(txn, rename);
	else
		error = dentry_delete(txn, from->dir_ino, &from->dentry);
	if (!error)
		error = dentry_put(txn, to->dir_ino, &dentry);
	if (!error && !rename->same_dir && inode_is_dir(&from->inode))
		error = dir_moved(from, to, &from->inode);
	from->inode.ctime = txn->now;
	return error ? error : inode_store(txn, &from->inode);
}

static int rename_prepare(struct txn *txn, struct rename *rename)
{
	int error;

	error = rename_check(txn, rename);
	if (error)
		return error;
	if (rename->flags & RENAME_EXCHANGE)
		error = exchange_prepare(txn, rename);
	else
		error = move_prepare(txn, rename);
	if (error)
		return error;
	inode_touch(txn, rename->from.dir);
	error = inode_store(txn, rename->from.dir);
	if (error || rename->same_dir)
		return error;
	inode_touch(txn, rename->to.dir);
	return inode_store(txn, rename->to.dir);
}

static int rename_run(struct fs *fs, struct rename *rename)
{
	struct txn *txn;
	int error;

	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	error = rename_lock(fs, rename);
	if (error) {
		txn_end(txn);
		return error;
	}
	error = rename_prepare(txn, rename);
	if (!error)
		error = txn_commit(txn, 0);
	if (error)
		inode_fate_undo(fs, rename->to.dentry.ino, rename->fate);
	rename_unlock(fs, rename);
	txn_end(txn);
	return error == 1 ? 0 : error;
}

int fs_rename(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	      struct slice name, uint64_t new_parent, struct slice new_name,
	      unsigned int flags)
{
	struct rename rename = {
		.cred = cred,
		.flags = flags,
		.from = { .dir_ino = parent, .name = name },
		.to = { .dir_ino = new_parent, .name = new_name },
		.same_dir = parent == new_parent,
	};
	int error;

	error = flags_check(flags);
	if (!error)
		error = name_check(name, NAME_RENAME);
	if (!error)
		error = name_check(new_name, flags & RENAME_NOREPLACE ?
						     NAME_CREATE :
						     NAME_RENAME);
	return error ? error : rename_run(fs, &rename);
}
