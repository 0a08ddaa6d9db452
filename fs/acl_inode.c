/* SPDX-License-Identifier: MIT */

/*
 * ACLs of inodes. They are stored as the xattrs that programs see. Invariants:
 *	1. The permission bits of an inode with an access ACL are what the ACL
 *	   amounts to; one that says no more than the bits is not stored.
 *	2. Only directories have a default ACL.
 * An inode that has no xattr at all costs no lookup here.
 */

#include <errno.h>
#include <string.h>

#include "fs/acl.h"
#include "fs/fs_internal.h"

/* A copy of a stored ACL that may be changed. 0, 1 when there is none. */
static int acl_load(struct txn *txn, const struct inode *inode,
		    struct slice name, uint8_t **ret_acl, size_t *ret_size)
{
	struct slice value;
	uint8_t *acl;
	int error;

	error = xattr_load(txn, inode, name, &value);
	if (error)
		return error == -ENODATA ? 1 : error;
	if (acl_validate(value))
		return -EIO;
	if (acl_is_empty(value))
		return 1;
	acl = txn_alloc(txn, value.size);
	if (!acl)
		return -ENOMEM;
	memcpy(acl, value.data, value.size);
	*ret_acl = acl;
	*ret_size = value.size;
	return 0;
}

int acl_inherit(struct txn *txn, const struct inode *dir, struct inode *inode,
		uint32_t umask)
{
	struct slice default_name = SLICE_LITERAL(ACL_NAME_DEFAULT);
	uint8_t *acl, *access;
	size_t size;
	int error;

	if (S_ISLNK(inode->mode))
		return 0;
	error = acl_load(txn, dir, default_name, &acl, &size);
	if (error == 1)
		inode->mode &= ~(umask & 0777u);
	if (error)
		return error == 1 ? 0 : error;
	access = txn_alloc(txn, size);
	if (!access)
		return -ENOMEM;
	memcpy(access, acl, size);
	if (!acl_create(access, size, &inode->mode)) {
		error = xattr_put(txn, inode, SLICE_LITERAL(ACL_NAME_ACCESS),
				  slice_of(access, size), false);
		if (error)
			return error;
	}
	if (!inode_is_dir(inode))
		return 0;
	return xattr_put(txn, inode, default_name, slice_of(acl, size), false);
}

int acl_follow_mode(struct txn *txn, struct inode *inode)
{
	struct slice name = SLICE_LITERAL(ACL_NAME_ACCESS);
	uint8_t *acl;
	size_t size;
	int error;

	error = acl_load(txn, inode, name, &acl, &size);
	if (error)
		return error == 1 ? 0 : error;
	acl_apply_mode(acl, size, inode->mode);
	return xattr_put(txn, inode, name, slice_of(acl, size), true);
}

int acl_accept(const struct fs_cred *cred, struct inode *inode,
	       struct slice name, struct slice value, bool kill_sgid)
{
	bool is_access = slice_equal(name, SLICE_LITERAL(ACL_NAME_ACCESS));
	bool is_default = slice_equal(name, SLICE_LITERAL(ACL_NAME_DEFAULT));
	int error;

	if (!is_access && !is_default)
		return 0;
	if (S_ISLNK(inode->mode))
		return -EOPNOTSUPP;
	error = acl_validate(value);
	if (error)
		return error;
	if (acl_is_empty(value))
		return 1;
	if (is_default)
		return inode_is_dir(inode) ? 0 : -EACCES;
	if (kill_sgid || (cred && !cred_is_member(cred, inode->gid)))
		inode->mode &= ~(uint32_t)S_ISGID;
	return acl_to_mode(value, &inode->mode) ? 1 : 0;
}
