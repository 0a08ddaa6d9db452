/* SPDX-License-Identifier: MIT */

/*
 * Many changes of names in one batch. Invariants:
 *	1. All inodes that the changes read or write are locked together before
 *	   anything is loaded: names are looked up without locks, and once more
 *	   under them, as in unlink.c.
 *	2. Each directory and each inode that loses a name is loaded once and
 *	   changed in memory, however many changes there are to it: the batch
 *	   does not show what it has in it.
 *	3. New inodes are nobody's until the commit and need no lock.
 */

#include "fs/apply.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs_internal.h"

/* Leaves room in a batch for what one more change may add. */
#define APPLY_OPS_MAX (KV_BATCH_OPS_MAX - 4096u)

/* One change on its way. */
struct step {
	struct fs_change *change;
	bool exists;
	struct dentry dentry; /* as found, when it exists */
};

/* An inode that changes, loaded once. */
struct loaded {
	uint64_t ino;
	bool is_loaded;
	bool orphan;
	struct inode inode;
};

struct apply {
	struct txn *txn;
	const struct fs_cred *cred;
	struct step *steps; /* by directory and name */
	size_t count;
	struct loaded *inodes; /* by number: directories, and what is left */
	size_t inode_count;
	struct lock_mask mask;
	size_t failed; /* the step in hand */
	bool deletes_only;
};

static int step_compare(const void *a, const void *b)
{
	const struct fs_change *x = ((const struct step *)a)->change;
	const struct fs_change *y = ((const struct step *)b)->change;

	if (x->parent != y->parent)
		return x->parent < y->parent ? -1 : 1;
	return slice_compare(x->name, y->name);
}

static int loaded_compare(const void *a, const void *b)
{
	const struct loaded *x = a, *y = b;

	return x->ino < y->ino ? -1 : x->ino > y->ino;
}

static struct loaded *loaded_find(struct apply *apply, uint64_t ino)
{
	struct loaded key = { .ino = ino };
	struct loaded *found = bsearch(&key, apply->inodes, apply->inode_count,
				       sizeof(*apply->inodes), loaded_compare);

	/* steps_find() listed all that any step asks for. */
	assert(found);
	return found;
}

/* --- what can be refused before anything is locked --- */

static int changes_check(struct apply *apply)
{
	size_t i, bytes = 0;
	int error;

	apply->deletes_only = true;
	for (i = 0; i < apply->count; i++) {
		const struct fs_change *change = apply->steps[i].change;
		bool put = change->kind == FS_CHANGE_PUT;

		apply->failed = i;
		error = name_check(change->name,
				   put ? NAME_RENAME : NAME_UNLINK);
		if (error)
			return error;
		if (i &&
		    step_compare(&apply->steps[i - 1], &apply->steps[i]) == 0)
			return -EINVAL;
		apply->deletes_only &= !put;
		if (put && change->value.size > FS_APPLY_VALUES_MAX - bytes)
			return -E2BIG;
		bytes += put ? change->value.size : 0;
	}
	apply->failed = apply->count;
	return 0;
}

static int apply_init(struct apply *apply, struct fs_change *changes,
		      size_t count)
{
	size_t i;

	if (count > FS_APPLY_MAX)
		return -E2BIG;
	apply->count = count;
	apply->failed = count;
	apply->steps = calloc(count + 1, sizeof(*apply->steps));
	apply->inodes = calloc(2 * count + 1, sizeof(*apply->inodes));
	if (!apply->steps || !apply->inodes)
		return -ENOMEM;
	for (i = 0; i < count; i++)
		apply->steps[i].change = &changes[i];
	qsort(apply->steps, count, sizeof(*apply->steps), step_compare);
	return changes_check(apply);
}

/* --- locking --- */

static int step_find(struct fs *fs, struct step *step)
{
	int error = dentry_find(fs, step->change->parent, step->change->name,
				&step->dentry);

	if (error < 0)
		return error;
	step->exists = error == 0;
	return 0;
}

/* Looks all names up and lists what they are about. */
static int steps_find(struct fs *fs, struct apply *apply)
{
	size_t i, count = 0, unique = 0;
	int error;

	for (i = 0; i < apply->count; i++) {
		struct step *step = &apply->steps[i];

		apply->failed = i;
		error = step_find(fs, step);
		if (error)
			return error;
		apply->inodes[count++].ino = step->change->parent;
		if (step->exists)
			apply->inodes[count++].ino = step->dentry.ino;
	}
	apply->failed = apply->count;
	qsort(apply->inodes, count, sizeof(*apply->inodes), loaded_compare);
	apply->mask = (struct lock_mask){ 0 };
	for (i = 0; i < count; i++) {
		if (unique &&
		    apply->inodes[unique - 1].ino == apply->inodes[i].ino)
			continue;
		apply->inodes[unique++].ino = apply->inodes[i].ino;
		lock_mask_add(&apply->mask, apply->inodes[i].ino);
	}
	apply->inode_count = unique;
	return 0;
}

/* Whether all names still lead to what was locked. 0, 1 when not. */
static int steps_confirm(struct fs *fs, struct apply *apply)
{
	size_t i;
	int error;

	for (i = 0; i < apply->count; i++) {
		struct step *step = &apply->steps[i];
		uint64_t ino = step->exists ? step->dentry.ino : 0;

		error = step_find(fs, step);
		if (error)
			return error;
		if ((step->exists ? step->dentry.ino : 0) != ino)
			return 1;
	}
	return 0;
}

/* Locked on 0. */
static int apply_lock(struct fs *fs, struct apply *apply)
{
	int error;

	for (;;) {
		error = steps_find(fs, apply);
		if (error)
			return error;
		lock_table_lock_mask(&fs->locks, &apply->mask);
		error = steps_confirm(fs, apply);
		if (!error)
			return 0;
		lock_table_unlock_mask(&fs->locks, &apply->mask);
		if (error < 0)
			return error;
		memset(apply->inodes, 0,
		       apply->inode_count * sizeof(*apply->inodes));
	}
}

/* --- the batch --- */

static int inode_once(struct apply *apply, uint64_t ino,
		      struct inode **ret_inode)
{
	struct loaded *loaded = loaded_find(apply, ino);
	int error = 0;

	if (!loaded->is_loaded)
		error = inode_load_txn(apply->txn, ino, &loaded->inode);
	if (error)
		return error;
	loaded->is_loaded = true;
	*ret_inode = &loaded->inode;
	return 0;
}

static int dir_once(struct apply *apply, uint64_t ino, struct inode **ret_dir)
{
	int error = inode_once(apply, ino, ret_dir);

	if (error)
		return error;
	if (!inode_is_dir(*ret_dir))
		return -ENOTDIR;
	return (*ret_dir)->nlink ? 0 : -ENOENT;
}

/* The link that the name was. What is damaged behind it goes with it, as in
 * unlink. */
static int old_drop(struct apply *apply, struct step *step)
{
	struct inode *inode;
	enum inode_fate fate;
	int error;

	if (!step->exists)
		return 0;
	if (S_ISDIR(mode_of_type(step->dentry.type)))
		return -EISDIR;
	error = inode_once(apply, step->dentry.ino, &inode);
	if (error == -EIO || error == -ESTALE)
		return 0;
	if (error)
		return error;
	error = inode_drop_link(apply->txn, inode, false, &fate);
	if (fate == INODE_ORPHAN)
		loaded_find(apply, step->dentry.ino)->orphan = true;
	return error;
}

struct inherit {
	struct txn *txn;
	struct inode *inode;
};

static int xattr_inherit(void *ctx, const struct kv_entry *entry)
{
	struct inherit *inherit = ctx;
	struct key_parts parts;
	void *copy;
	int error = entry->value_error;

	if (!error)
		error = schema_key_decode(entry->key, &parts);
	if (error)
		return error;
	copy = txn_alloc(inherit->txn, entry->value.size + 1);
	if (!copy)
		return -ENOMEM;
	if (entry->value.size)
		memcpy(copy, entry->value.data, entry->value.size);
	return xattr_put(inherit->txn, inherit->inode, parts.name,
			 slice_of(copy, entry->value.size), false);
}

/* A new file gets what was the old one's, but for its contents. */
static int file_inherit(struct txn *txn, const struct inode *old,
			struct inode *ret_inode)
{
	struct inherit inherit = { .txn = txn, .inode = ret_inode };
	struct kv_range range = { 0 };
	struct schema_key prefix;
	uint64_t ino;
	int error;

	error = ino_alloc(txn->fs, &ino);
	if (error)
		return error;
	inode_init(txn, ret_inode, ino,
		   old->mode & ~(uint32_t)(S_ISUID | S_ISGID));
	ret_inode->partition = old->partition;
	ret_inode->uid = old->uid;
	ret_inode->gid = old->gid;
	if (!old->xattr_names_size)
		return 0;
	prefix_encode(&prefix, old->ino, TAG_XATTR);
	range.prefix = key_slice(&prefix);
	return store_list(txn->fs, &range, KV_LIST_VALUES, xattr_inherit,
			  &inherit);
}

static int file_new(struct apply *apply, const struct step *step,
		    const struct inode *dir, struct inode *ret_inode)
{
	struct inode *old = NULL;
	int error = 0;

	if (step->exists && S_ISREG(mode_of_type(step->dentry.type)))
		error = inode_once(apply, step->dentry.ino, &old);
	if (!error && old)
		return file_inherit(apply->txn, old, ret_inode);
	if (error && error != -EIO && error != -ESTALE)
		return error;
	return inode_create(apply->txn, apply->cred, dir, S_IFREG | 0666,
			    ret_inode);
}

static int attributes_set(struct txn *txn, const struct fs_change *change,
			  struct inode *inode)
{
	if (change->has_mtime)
		inode->mtime = change->mtime;
	if (!change->has_mode)
		return 0;
	inode->mode = S_IFREG | (change->mode & 0777u);
	return acl_follow_mode(txn, inode);
}

static int step_put(struct apply *apply, struct step *step, struct inode *dir)
{
	struct fs_change *change = step->change;
	struct dentry dentry = { .name = change->name };
	struct txn *txn = apply->txn;
	struct inode inode;
	int error;

	error = file_new(apply, step, dir, &inode);
	if (!error)
		error = schema_value_check(txn->fs, &inode, change->value);
	if (!error)
		error = old_drop(apply, step);
	if (!error && step->exists)
		dentry.cookie = step->dentry.cookie;
	else if (!error)
		error = dir_next_cookie(dir, &dentry.cookie);
	if (!error && change->value.size)
		error = data_write(txn, &inode, 0, change->value);
	if (!error)
		error = attributes_set(txn, change, &inode);
	if (error)
		return error;
	dentry.ino = inode.ino;
	dentry.type = type_of_mode(inode.mode);
	error = dentry_put(txn, change->parent, &dentry);
	return error ? error : inode_store(txn, &inode);
}

static int step_delete(struct apply *apply, struct step *step)
{
	int error;

	if (!step->exists)
		return -ENOENT;
	error = old_drop(apply, step);
	return error ? error :
		       dentry_delete(apply->txn, step->change->parent,
				     &step->dentry);
}

static int step_prepare(struct apply *apply, struct step *step)
{
	struct inode *dir;
	int error;

	error = dir_once(apply, step->change->parent, &dir);
	if (error)
		return error;
	if (apply->txn->batch.count > APPLY_OPS_MAX)
		return -E2BIG;
	if (step->change->kind == FS_CHANGE_PUT)
		error = step_put(apply, step, dir);
	else
		error = step_delete(apply, step);
	if (!error)
		inode_touch(apply->txn, dir);
	return error;
}

static int apply_prepare(struct apply *apply)
{
	size_t i;
	int error;

	for (i = 0; i < apply->count; i++) {
		apply->failed = i;
		error = step_prepare(apply, &apply->steps[i]);
		if (error)
			return error;
	}
	apply->failed = apply->count;
	/* Directories once, in their last state; files are stored already. */
	for (i = 0; i < apply->inode_count; i++) {
		struct loaded *loaded = &apply->inodes[i];

		if (!loaded->is_loaded || !inode_is_dir(&loaded->inode))
			continue;
		error = inode_store(apply->txn, &loaded->inode);
		if (error)
			return error;
	}
	return 0;
}

static void orphans_undo(struct fs *fs, struct apply *apply)
{
	size_t i;

	for (i = 0; i < apply->inode_count; i++) {
		if (apply->inodes[i].orphan)
			ino_set_remove(&fs->orphans, apply->inodes[i].ino);
	}
}

static int apply_run(struct fs *fs, struct apply *apply)
{
	size_t i;
	int error;

	error = apply_lock(fs, apply);
	if (error)
		return error;
	error = apply_prepare(apply);
	if (!error)
		error = txn_commit(apply->txn, apply->deletes_only ?
						       KV_COMMIT_RESERVED :
						       0);
	if (error)
		orphans_undo(fs, apply);
	lock_table_unlock_mask(&fs->locks, &apply->mask);
	for (i = 0; !error && i < apply->count; i++) {
		struct step *step = &apply->steps[i];

		step->change->ret_old_ino = step->exists ? step->dentry.ino : 0;
	}
	return error;
}

int fs_apply(struct fs *fs, const struct fs_cred *cred,
	     struct fs_change *changes, size_t count, size_t *ret_failed)
{
	struct apply apply = { .cred = cred };
	int error;

	apply.failed = count;
	apply.txn = txn_begin(fs);
	error = apply.txn ? apply_init(&apply, changes, count) : -ENOMEM;
	if (!error && count)
		error = apply_run(fs, &apply);
	if (error && ret_failed)
		*ret_failed =
			apply.steps && apply.failed < count ?
				(size_t)(apply.steps[apply.failed].change -
					 changes) :
				count;
	txn_end(apply.txn);
	free(apply.steps);
	free(apply.inodes);
	return error;
}
