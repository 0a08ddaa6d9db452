/* SPDX-License-Identifier: MIT */

/*
 * Names: what may be one, and the entries of directories. Invariants:
 *	1. An entry is two keys, one by name and one by cookie, that say the
 *	   same; they are written and deleted in one batch.
 *	2. A cookie is given once in the life of a directory. An entry keeps
 *	   its cookie while its name stays in the directory, so a stream that
 *	   has passed it does not meet it again.
 * Entries are changed under the lock of their directory.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

static bool is_dot(struct slice name)
{
	return slice_equal(name, SLICE_LITERAL("."));
}

static bool is_dot_dot(struct slice name)
{
	return slice_equal(name, SLICE_LITERAL(".."));
}

/* What system calls say when the last component is "." or "..". */
static int dot_error(enum name_use use, bool dot_dot)
{
	switch (use) {
	case NAME_CREATE:
		return -EEXIST;
	case NAME_UNLINK:
		return -EISDIR;
	case NAME_RMDIR:
		return dot_dot ? -ENOTEMPTY : -EINVAL;
	case NAME_RENAME:
		return -EBUSY;
	case NAME_FIND:
		break;
	}
	return 0;
}

int name_check(struct slice name, enum name_use use)
{
	if (name.size == 0)
		return -ENOENT;
	if (name.size > FS_NAME_MAX)
		return -ENAMETOOLONG;
	if (is_dot(name) || is_dot_dot(name))
		return dot_error(use, is_dot_dot(name));
	return name_is_valid(name) ? 0 : -EINVAL;
}

int dentry_find(struct fs *fs, uint64_t dir_ino, struct slice name,
		struct dentry *ret_dentry)
{
	struct dentry dentry = { .name = name };
	uint8_t bytes[ENTRY_RECORD_MAX];
	struct schema_key key;
	uint64_t value_size;
	size_t size;
	int error;

	name_key_encode(&key, dir_ino, name);
	error = store_read(fs, &key, 0, bytes, sizeof(bytes), &size,
			   &value_size);
	if (!error)
		error = value_size > sizeof(bytes) ?
				-EIO :
				store_error(name_record_decode(
					slice_of(bytes, size), &dentry));
	if (error == -EIO) {
		error = dentry_recover_by_name(fs, dir_ino, name, &dentry);
		if (error == 1)
			error = -EIO;
	}
	if (!error)
		*ret_dentry = dentry;
	return error;
}

int dentry_put(struct txn *txn, uint64_t dir_ino, const struct dentry *dentry)
{
	uint8_t *bytes = txn_alloc(txn, ENTRY_RECORD_MAX);
	struct schema_key key;
	size_t size;
	int error;

	if (!bytes)
		return -ENOMEM;
	size = name_record_encode(dentry, bytes);
	txn_trim(txn, bytes, size);
	name_key_encode(&key, dir_ino, dentry->name);
	error = txn_set(txn, &key, slice_of(bytes, size));
	if (error)
		return error;

	bytes = txn_alloc(txn, ENTRY_RECORD_MAX);
	if (!bytes)
		return -ENOMEM;
	size = cookie_record_encode(dentry, bytes);
	txn_trim(txn, bytes, size);
	cookie_key_encode(&key, dir_ino, dentry->cookie);
	return txn_set(txn, &key, slice_of(bytes, size));
}

int dentry_delete(struct txn *txn, uint64_t dir_ino,
		  const struct dentry *dentry)
{
	struct schema_key key;
	int error;

	name_key_encode(&key, dir_ino, dentry->name);
	error = txn_delete(txn, &key);
	if (error)
		return error;
	cookie_key_encode(&key, dir_ino, dentry->cookie);
	return txn_delete(txn, &key);
}

int dir_load(struct txn *txn, uint64_t ino, struct inode *ret_dir)
{
	int error = inode_load_txn(txn, ino, ret_dir);

	if (error)
		return error;
	if (!inode_is_dir(ret_dir))
		return -ENOTDIR;
	return ret_dir->nlink ? 0 : -ENOENT;
}

static int stop_at_first(void *ctx, const struct kv_entry *entry)
{
	(void)ctx;
	(void)entry;
	return 1;
}

int dir_check_empty(struct fs *fs, uint64_t ino)
{
	struct kv_range range = { 0 };
	struct schema_key prefix;
	int result;

	prefix_encode(&prefix, ino, TAG_COOKIE);
	range.prefix = key_slice(&prefix);
	result = store_list(fs, &range, 0, stop_at_first, NULL);
	return result == 1 ? -ENOTEMPTY : result;
}

int dir_next_cookie(struct inode *dir, uint64_t *ret_cookie)
{
	/* Cookies travel as signed offsets of directory streams. */
	if (dir->next_cookie >= INT64_MAX)
		return -ENOSPC;
	*ret_cookie = dir->next_cookie++;
	return 0;
}

/* "." and "..", which handles are found by after a restart. */
static int lookup_dot(struct fs *fs, uint64_t ino, bool dot_dot,
		      struct fs_attr *ret_attr)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	if (dot_dot) {
		if (!inode_is_dir(&inode))
			return -ENOTDIR;
		error = inode_load(fs, inode.parent, bytes, &inode);
		if (error)
			return error;
	}
	if (!inode.nlink)
		return -ESTALE;
	inode_attr(fs, &inode, ret_attr);
	return 0;
}

/* Why there is no such entry: there is no such directory, or no such name. */
static int absence_error(struct fs *fs, uint64_t dir_ino)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode dir;
	int error;

	error = inode_load(fs, dir_ino, bytes, &dir);
	if (error)
		return error;
	return inode_is_dir(&dir) ? -ENOENT : -ENOTDIR;
}

int fs_lookup(struct fs *fs, uint64_t parent, struct slice name,
	      struct fs_attr *ret_attr)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct dentry dentry;
	struct inode inode;
	uint64_t last_ino = 0;
	int error;

	error = name_check(name, NAME_FIND);
	if (error)
		return error;
	if (is_dot(name) || is_dot_dot(name))
		return lookup_dot(fs, parent, is_dot_dot(name), ret_attr);
	for (;;) {
		error = dentry_find(fs, parent, name, &dentry);
		if (error)
			return error == 1 ? absence_error(fs, parent) : error;
		error = inode_load(fs, dentry.ino, bytes, &inode);
		if (error != -ESTALE)
			break;
		/* It was unlinked between the two reads; then the name is gone
		 * or leads elsewhere. If not, the entry leads nowhere. */
		if (dentry.ino == last_ino)
			return -EIO;
		last_ino = dentry.ino;
	}
	if (error)
		return error;
	partition_count_operation(fs, inode.partition);
	inode_attr(fs, &inode, ret_attr);
	return 0;
}
