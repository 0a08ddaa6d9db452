/* SPDX-License-Identifier: MIT */

/*
 * Extended attributes. Invariants:
 *	1. xattr_names_size of an inode is the sum of the sizes of its XATTR
 *	   names, each with a NUL: what listxattr(2) returns, at most 64 KiB.
 *	   When it is 0 there are none, and no key is looked for.
 *	2. Setting or removing one changes ctime, in the same batch.
 * Any name may be used; the kernel decides who may use which.
 */

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/fs_internal.h"

static int xattr_name_check(struct slice name)
{
	if (name.size == 0 || name.size > FS_XATTR_NAME_MAX)
		return -ERANGE;
	return memchr(name.data, '\0', name.size) ? -EINVAL : 0;
}

int xattr_load(struct txn *txn, const struct inode *inode, struct slice name,
	       struct slice *ret_value)
{
	struct schema_key key;
	uint64_t value_size;
	uint8_t *bytes;
	size_t size;
	int error;

	if (!inode->xattr_names_size)
		return -ENODATA;
	bytes = txn_alloc(txn, FS_XATTR_VALUE_MAX);
	if (!bytes)
		return -ENOMEM;
	xattr_key_encode(&key, inode->ino, name);
	error = store_read(txn->fs, &key, 0, bytes, FS_XATTR_VALUE_MAX, &size,
			   &value_size);
	txn_trim(txn, bytes, error ? 0 : size);
	if (error)
		return error == 1 ? -ENODATA : error;
	if (value_size > FS_XATTR_VALUE_MAX)
		return -EIO;
	*ret_value = slice_of(bytes, size);
	return 0;
}

int xattr_put(struct txn *txn, struct inode *inode, struct slice name,
	      struct slice value, bool exists)
{
	struct schema_key key;

	if (!exists) {
		if (inode->xattr_names_size + name.size + 1 > XATTR_NAMES_MAX)
			return -ENOSPC;
		inode->xattr_names_size += (uint32_t)name.size + 1;
	}
	xattr_key_encode(&key, inode->ino, name);
	return txn_set(txn, &key, value);
}

/* 0 when the inode has it, 1 when not. */
static int xattr_exists(struct fs *fs, const struct inode *inode,
			struct slice name)
{
	struct schema_key key;

	if (!inode->xattr_names_size)
		return 1;
	xattr_key_encode(&key, inode->ino, name);
	return store_exists(fs, &key);
}

int xattr_drop(struct txn *txn, struct inode *inode, struct slice name)
{
	uint32_t size = (uint32_t)name.size + 1;
	struct schema_key key;
	int error;

	error = xattr_exists(txn->fs, inode, name);
	if (error)
		return error == 1 ? -ENODATA : error;
	inode->xattr_names_size -=
		size < inode->xattr_names_size ? size : inode->xattr_names_size;
	xattr_key_encode(&key, inode->ino, name);
	return txn_delete(txn, &key);
}

int fs_getxattr(struct fs *fs, uint64_t ino, struct slice name,
		struct buf *ret_value)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct schema_key key;
	struct inode inode;
	int error;

	error = xattr_name_check(name);
	if (!error)
		error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	if (!inode.xattr_names_size)
		return -ENODATA;
	xattr_key_encode(&key, ino, name);
	error = store_get(fs, &key, ret_value);
	return error == 1 ? -ENODATA : error;
}

/* What fs_setxattr was asked. */
struct xattr_request {
	const struct fs_cred *cred;
	struct slice name;
	struct slice value;
	int flags;
	bool kill_sgid;
};

static int set_prepare(struct txn *txn, const struct xattr_request *request,
		       struct inode *inode)
{
	bool exists;
	int error;

	error = partition_setting_prepare(txn, inode, request->name,
					  &request->value);
	if (error)
		return error;
	error = xattr_exists(txn->fs, inode, request->name);
	if (error < 0)
		return error;
	exists = error == 0;
	if (exists && (request->flags & XATTR_CREATE))
		return -EEXIST;
	if (!exists && (request->flags & XATTR_REPLACE))
		return -ENODATA;
	error = acl_accept(request->cred, inode, request->name, request->value,
			   request->kill_sgid);
	if (error == 1)
		error = exists ? xattr_drop(txn, inode, request->name) : 0;
	else if (!error)
		error = xattr_put(txn, inode, request->name, request->value,
				  exists);
	return error;
}

/* Loads the inode, lets fn change it, stores it. */
typedef int change_fn(struct txn *txn, const struct xattr_request *request,
		      struct inode *inode);

static int change(struct fs *fs, uint64_t ino,
		  const struct xattr_request *request, change_fn *fn,
		  unsigned int commit_flags)
{
	struct inode inode = { .ino = ino };
	struct txn *txn;
	int error;

	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, ino);
	error = inode_load_txn(txn, ino, &inode);
	if (!error)
		error = fn(txn, request, &inode);
	if (!error) {
		inode.ctime = txn->now;
		error = inode_store(txn, &inode);
	}
	if (!error)
		error = txn_commit(txn, commit_flags);
	partition_setting_done(txn, &inode, request->name,
			       fn == set_prepare ? &request->value : NULL,
			       error);
	lock_table_unlock_one(&fs->locks, ino);
	txn_end(txn);
	return error;
}

int fs_setxattr(struct fs *fs, const struct fs_cred *cred, uint64_t ino,
		struct slice name, struct slice value, int flags,
		bool kill_sgid)
{
	struct xattr_request request = {
		.cred = cred,
		.name = name,
		.value = value,
		.flags = flags,
		.kill_sgid = kill_sgid,
	};
	int error = xattr_name_check(name);

	if (error)
		return error;
	if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	if (value.size > FS_XATTR_VALUE_MAX)
		return -E2BIG;
	return change(fs, ino, &request, set_prepare, 0);
}

static int remove_prepare(struct txn *txn, const struct xattr_request *request,
			  struct inode *inode)
{
	return xattr_drop(txn, inode, request->name);
}

int fs_removexattr(struct fs *fs, uint64_t ino, struct slice name)
{
	struct xattr_request request = { .name = name };
	int error = xattr_name_check(name);

	return error ? error :
		       change(fs, ino, &request, remove_prepare,
			      KV_COMMIT_RESERVED);
}

static int name_append(void *ctx, const struct kv_entry *entry)
{
	struct buf *names = ctx;
	struct key_parts parts;
	int error;

	if (schema_key_decode(entry->key, &parts))
		return -EUCLEAN;
	error = buf_append(names, parts.name.data, parts.name.size);
	return error ? error : buf_append(names, "", 1);
}

int fs_listxattr(struct fs *fs, uint64_t ino, struct buf *ret_names)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct kv_range range = { 0 };
	struct buf names = { 0 };
	struct schema_key prefix;
	struct inode inode;
	int error;

	error = inode_load(fs, ino, bytes, &inode);
	if (error)
		return error;
	if (inode.xattr_names_size) {
		prefix_encode(&prefix, ino, TAG_XATTR);
		range.prefix = key_slice(&prefix);
		error = store_list(fs, &range, 0, name_append, &names);
	}
	if (error) {
		buf_release(&names);
		return error;
	}
	buf_release(ret_names);
	*ret_names = names;
	return 0;
}
