/* SPDX-License-Identifier: MIT */
/*
 * Extended attributes of floorfs: a list per node, enough for what rsync, tar
 * and the kernel ask.
 */

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/floor_ops.h"

/* Access lists would have to be obeyed; a floor has none. */
static bool is_refused(const char *name)
{
	return strncmp(name, "system.", 7) == 0;
}

void floor_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		    const char *value, size_t size, int flags)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	int error = -ESTALE;

	if (is_refused(name)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	mutex_lock(&floor->lock);
	node = tree_node(&floor->tree, ino);
	if (node)
		error = node_set_xattr(node, name, value, size, flags);
	mutex_unlock(&floor->lock);
	fuse_reply_err(req, -error);
}

void floor_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	int error = -ESTALE;

	mutex_lock(&floor->lock);
	node = tree_node(&floor->tree, ino);
	if (node)
		error = node_remove_xattr(node, name);
	mutex_unlock(&floor->lock);
	fuse_reply_err(req, -error);
}

/* Answers a caller that gave room for `size` bytes, 0 to ask how many. */
static void reply_bytes(fuse_req_t req, const char *bytes, size_t have,
			size_t size)
{
	if (size == 0)
		fuse_reply_xattr(req, have);
	else if (have > size)
		fuse_reply_err(req, ERANGE);
	else
		fuse_reply_buf(req, bytes, have);
}

void floor_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		    size_t size)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	struct xattr *xattr;

	mutex_lock(&floor->lock);
	node = tree_node(&floor->tree, ino);
	xattr = node ? node_xattr(node, name) : NULL;
	if (xattr)
		reply_bytes(req, xattr->value, xattr->size, size);
	mutex_unlock(&floor->lock);
	if (!xattr)
		fuse_reply_err(req, is_refused(name) ? EOPNOTSUPP : ENODATA);
}

void floor_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	char *names = NULL;
	size_t used = 0;
	bool failed = false;

	mutex_lock(&floor->lock);
	node = tree_node(&floor->tree, ino);
	for (struct xattr *x = node ? node->xattrs : NULL; x; x = x->next) {
		size_t length = strlen(x->name) + 1;
		char *grown = realloc(names, used + length);

		if (!grown) {
			failed = true;
			break;
		}
		names = grown;
		memcpy(names + used, x->name, length);
		used += length;
	}
	mutex_unlock(&floor->lock);
	if (failed)
		fuse_reply_err(req, ENOMEM);
	else
		reply_bytes(req, names, used, size);
	free(names);
}
