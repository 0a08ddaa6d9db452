/* SPDX-License-Identifier: MIT */
/*
 * The FUSE operations of floorfs on nodes and names.
 *
 * 1. A handler takes the lock, works, releases it, and replies once. Reads
 *    reply with the lock held, as the bytes could move.
 * 2. Each change is logged before its reply, under the lock, so the log is in
 *    the order of the changes.
 * 3. The kernel checks permissions (default_permissions) and that a rename
 *    makes no loop.
 */

#define FUSE_USE_VERSION 312

#include "tests/bench/floor_ops.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/floor_log.h"

enum floor_kind {
	KIND_ATTRIBUTES = 1,
	KIND_MAKE,
	KIND_LINK,
	KIND_UNLINK,
	KIND_RENAME,
	KIND_WRITE,
};

static int log_change(struct floor *floor, enum floor_kind kind, uint64_t ino,
		      const char *name, const void *data, size_t size)
{
	return floor_log_append(floor->log, kind, ino, name, data, size);
}

static void reply_error(fuse_req_t req, int error)
{
	fuse_reply_err(req, -error);
}

/* The kernel names only nodes that it holds, so a miss is a stale handle. */
static struct node *find_node(struct floor *floor, fuse_ino_t ino)
{
	return tree_node(&floor->tree, ino);
}

static void apply_init(struct floor *floor, struct fuse_conn_info *conn)
{
	const struct floor_settings *s = &floor->settings;

	conn->want &= ~(
		unsigned int)(FUSE_CAP_READDIRPLUS | FUSE_CAP_READDIRPLUS_AUTO |
			      FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_SPLICE_READ |
			      FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE |
			      FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
			      FUSE_CAP_HANDLE_KILLPRIV);
	if (s->readdirplus != FLOOR_READDIRPLUS_NO)
		conn->want |= FUSE_CAP_READDIRPLUS;
	if (s->readdirplus == FLOOR_READDIRPLUS_AUTO)
		conn->want |= FUSE_CAP_READDIRPLUS_AUTO;
	if (s->writeback)
		conn->want |= FUSE_CAP_WRITEBACK_CACHE;
	conn->want |= FUSE_CAP_EXPLICIT_INVAL_DATA | FUSE_CAP_CACHE_SYMLINKS |
		      FUSE_CAP_EXPORT_SUPPORT;
	conn->want &= conn->capable;
	conn->max_background = 64;
	conn->time_gran = 1;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	apply_init(userdata, conn);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct floor *floor = floor_of(req);
	struct fuse_entry_param entry = {
		.entry_timeout = floor->settings.timeout_s,
	};
	struct dentry *dentry;

	if (strlen(name) > TREE_NAME_MAX) {
		reply_error(req, -ENAMETOOLONG);
		return;
	}
	mutex_lock(&floor->lock);
	dentry = tree_find(&floor->tree, parent, name);
	if (dentry)
		floor_entry(floor, dentry->node, &entry);
	mutex_unlock(&floor->lock);
	fuse_reply_entry(req, &entry);
}

static void forget_one(struct floor *floor, fuse_ino_t ino, uint64_t count)
{
	struct node *node = find_node(floor, ino);

	if (!node)
		return;
	node->lookups -= count < node->lookups ? count : node->lookups;
	if (node->lookups == 0 && ino != TREE_ROOT)
		tree_reap(&floor->tree, node);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t count)
{
	struct floor *floor = floor_of(req);

	mutex_lock(&floor->lock);
	forget_one(floor, ino, count);
	mutex_unlock(&floor->lock);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count,
			    struct fuse_forget_data *forgets)
{
	struct floor *floor = floor_of(req);

	mutex_lock(&floor->lock);
	for (size_t i = 0; i < count; i++)
		forget_one(floor, forgets[i].ino, forgets[i].nlookup);
	mutex_unlock(&floor->lock);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	struct stat st;

	(void)fi;
	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	if (node)
		st = node->st;
	mutex_unlock(&floor->lock);
	if (node)
		fuse_reply_attr(req, &st, floor->settings.timeout_s);
	else
		reply_error(req, -ESTALE);
}

/* Writing by others than root takes set-user-id away, as on any disk. */
static void node_drop_setid(struct node *node)
{
	if (!S_ISREG(node->st.st_mode))
		return;
	node->st.st_mode &= ~(mode_t)S_ISUID;
	if (node->st.st_mode & S_IXGRP)
		node->st.st_mode &= ~(mode_t)S_ISGID;
}

static int apply_attributes(struct node *node, const struct stat *to, int which)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (which & FUSE_SET_ATTR_SIZE) {
		int error = node_resize(node, (uint64_t)to->st_size);
		if (error)
			return error;
		node->st.st_mtim = now;
	}
	if (which & (FUSE_SET_ATTR_UID | FUSE_SET_ATTR_GID))
		node_drop_setid(node);
	if (which & FUSE_SET_ATTR_UID)
		node->st.st_uid = to->st_uid;
	if (which & FUSE_SET_ATTR_GID)
		node->st.st_gid = to->st_gid;
	if (which & FUSE_SET_ATTR_MODE)
		node->st.st_mode = to->st_mode;
	if (which & FUSE_SET_ATTR_ATIME)
		node->st.st_atim = to->st_atim;
	if (which & FUSE_SET_ATTR_MTIME)
		node->st.st_mtim = to->st_mtim;
	if (which & FUSE_SET_ATTR_ATIME_NOW)
		node->st.st_atim = now;
	if (which & FUSE_SET_ATTR_MTIME_NOW)
		node->st.st_mtim = now;
	node->st.st_ctim = which & FUSE_SET_ATTR_CTIME ? to->st_ctim : now;
	return 0;
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int which, struct fuse_file_info *fi)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	struct stat st = { 0 };
	int error = -ESTALE;

	(void)fi;
	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	if (node)
		error = apply_attributes(node, attr, which);
	if (!error) {
		st = node->st;
		error = log_change(floor, KIND_ATTRIBUTES, ino, NULL, &st,
				   sizeof(st));
	}
	mutex_unlock(&floor->lock);
	if (error)
		reply_error(req, error);
	else
		fuse_reply_attr(req, &st, floor->settings.timeout_s);
}

/* Makes a named node, whose contents (of a link) may be given. */
static int make_node(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev, const char *target,
		     struct fuse_entry_param *ret_entry)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);
	struct floor *floor = floor_of(req);
	struct node *dir, *node = NULL;
	int error;

	mutex_lock(&floor->lock);
	dir = find_node(floor, parent);
	error = dir ? 0 : -ESTALE;
	if (!error && tree_find(&floor->tree, parent, name))
		error = -EEXIST;
	if (!error) {
		node = tree_make(&floor->tree, dir, mode, ctx->uid, ctx->gid,
				 rdev);
		error = node ? 0 : -ENOMEM;
	}
	if (!error && target)
		error = node_write(node, target, strlen(target), 0);
	if (!error)
		error = tree_link(&floor->tree, dir, name, node);
	if (node && error)
		tree_reap(&floor->tree, node);
	if (!error) {
		floor_entry(floor, node, ret_entry);
		error = log_change(floor, KIND_MAKE, parent, name, &node->st,
				   sizeof(node->st));
	}
	mutex_unlock(&floor->lock);
	return error;
}

static void make_and_reply(fuse_req_t req, fuse_ino_t parent, const char *name,
			   mode_t mode, dev_t rdev, const char *target)
{
	struct fuse_entry_param entry;
	int error = make_node(req, parent, name, mode, rdev, target, &entry);

	if (error)
		reply_error(req, error);
	else
		fuse_reply_entry(req, &entry);
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode, dev_t rdev)
{
	make_and_reply(req, parent, name, mode, rdev, NULL);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name,
		     mode_t mode)
{
	make_and_reply(req, parent, name, mode | S_IFDIR, 0, NULL);
}

static void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		       const char *name)
{
	make_and_reply(req, parent, name, S_IFLNK | 0777, 0, target);
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	struct fuse_entry_param entry;
	int error;

	if (!floor_of(req)->settings.serve_create) {
		reply_error(req, -ENOSYS);
		return;
	}
	error = make_node(req, parent, name, mode, 0, NULL, &entry);
	if (error) {
		reply_error(req, error);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_create(req, &entry, fi);
}

static void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct floor *floor = floor_of(req);
	char target[4096];
	struct node *node;
	size_t size = 0;

	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	if (node && (size_t)node->st.st_size < sizeof(target)) {
		size = (size_t)node->st.st_size;
		memcpy(target, node->data, size);
	}
	mutex_unlock(&floor->lock);
	target[size] = '\0';
	fuse_reply_readlink(req, target);
}

/* Takes a name away. Lock held. */
static int remove_name(struct floor *floor, fuse_ino_t parent, const char *name,
		       bool is_dir)
{
	struct dentry *dentry = tree_find(&floor->tree, parent, name);
	struct node *node;

	if (!dentry)
		return -ENOENT;
	node = dentry->node;
	if (is_dir != !!S_ISDIR(node->st.st_mode))
		return is_dir ? -ENOTDIR : -EISDIR;
	if (node->child_count > 0)
		return -ENOTEMPTY;
	tree_unlink(&floor->tree, dentry);
	tree_reap(&floor->tree, node);
	return 0;
}

static void remove_and_reply(fuse_req_t req, fuse_ino_t parent,
			     const char *name, bool is_dir)
{
	struct floor *floor = floor_of(req);
	int error;

	mutex_lock(&floor->lock);
	error = remove_name(floor, parent, name, is_dir);
	if (!error)
		error = log_change(floor, KIND_UNLINK, parent, name, NULL, 0);
	mutex_unlock(&floor->lock);
	reply_error(req, error);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_and_reply(req, parent, name, false);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	remove_and_reply(req, parent, name, true);
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
		    const char *name)
{
	struct floor *floor = floor_of(req);
	struct fuse_entry_param entry;
	struct node *node, *dir;
	int error;

	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	dir = find_node(floor, parent);
	error = node && dir ? 0 : -ESTALE;
	if (!error && tree_find(&floor->tree, parent, name))
		error = -EEXIST;
	if (!error)
		error = tree_link(&floor->tree, dir, name, node);
	if (!error) {
		floor_entry(floor, node, &entry);
		error = log_change(floor, KIND_LINK, ino, name, &parent,
				   sizeof(parent));
	}
	mutex_unlock(&floor->lock);
	if (error)
		reply_error(req, error);
	else
		fuse_reply_entry(req, &entry);
}

/* Lock held. */
static int rename_name(struct floor *floor, fuse_ino_t parent, const char *name,
		       fuse_ino_t to, const char *to_name, unsigned int flags)
{
	struct dentry *from = tree_find(&floor->tree, parent, name);
	struct dentry *over = tree_find(&floor->tree, to, to_name);
	struct node *dir = find_node(floor, to);
	int error;

	if (!from || !dir)
		return -ENOENT;
	if (over && (flags & RENAME_NOREPLACE))
		return -EEXIST;
	if (flags & ~(unsigned int)RENAME_NOREPLACE)
		return -EINVAL;
	if (over) {
		error = remove_name(floor, to, to_name,
				    S_ISDIR(from->node->st.st_mode));
		if (error)
			return error;
	}
	/* The new name first, so that the node never has none. */
	error = tree_link(&floor->tree, dir, to_name, from->node);
	if (!error)
		tree_unlink(&floor->tree, from);
	return error;
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
		      fuse_ino_t to, const char *to_name, unsigned int flags)
{
	struct floor *floor = floor_of(req);
	int error;

	mutex_lock(&floor->lock);
	error = rename_name(floor, parent, name, to, to_name, flags);
	if (!error)
		error = log_change(floor, KIND_RENAME, parent, name, to_name,
				   strlen(to_name));
	mutex_unlock(&floor->lock);
	reply_error(req, error);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	if (!floor_of(req)->settings.serve_open) {
		reply_error(req, -ENOSYS);
		return;
	}
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	if (!floor_of(req)->settings.serve_open) {
		reply_error(req, -ENOSYS);
		return;
	}
	fi->cache_readdir = 1;
	fi->keep_cache = 1;
	fuse_reply_open(req, fi);
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct floor *floor = floor_of(req);
	struct node *node;

	(void)fi;
	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	if (!node)
		reply_error(req, -ESTALE);
	else if (offset >= node->st.st_size)
		fuse_reply_buf(req, NULL, 0);
	else if ((size_t)(node->st.st_size - offset) < size)
		fuse_reply_buf(req, node->data + offset,
			       (size_t)(node->st.st_size - offset));
	else
		fuse_reply_buf(req, node->data + offset, size);
	mutex_unlock(&floor->lock);
}

static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data,
		     size_t size, off_t offset, struct fuse_file_info *fi)
{
	struct floor *floor = floor_of(req);
	struct node *node;
	int error;

	(void)fi;
	mutex_lock(&floor->lock);
	node = find_node(floor, ino);
	error = node ? node_write(node, data, size, (uint64_t)offset) : -ESTALE;
	if (!error && fuse_req_ctx(req)->uid != 0)
		node_drop_setid(node);
	if (!error)
		error = log_change(floor, KIND_WRITE, ino, NULL, data, size);
	mutex_unlock(&floor->lock);
	if (error)
		reply_error(req, error);
	else
		fuse_reply_write(req, size);
}

static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_error(req, floor_of(req)->settings.serve_flush ? 0 : -ENOSYS);
}

static void op_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	reply_error(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		     struct fuse_file_info *fi)
{
	struct floor *floor = floor_of(req);

	(void)ino;
	(void)datasync;
	(void)fi;
	if (floor->log)
		floor_log_sync(floor->log, req);
	else
		reply_error(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct floor *floor = floor_of(req);
	struct statvfs st = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_blocks = 1 << 24,
		.f_bfree = 1 << 23,
		.f_bavail = 1 << 23,
		.f_ffree = 1 << 30,
		.f_favail = 1 << 30,
		.f_namemax = TREE_NAME_MAX,
	};

	(void)ino;
	mutex_lock(&floor->lock);
	st.f_files = st.f_ffree + floor->tree.live_count;
	mutex_unlock(&floor->lock);
	fuse_reply_statfs(req, &st);
}

const struct fuse_lowlevel_ops floor_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.forget_multi = op_forget_multi,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.readlink = op_readlink,
	.mknod = op_mknod,
	.mkdir = op_mkdir,
	.unlink = op_unlink,
	.rmdir = op_rmdir,
	.symlink = op_symlink,
	.rename = op_rename,
	.link = op_link,
	.open = op_open,
	.read = op_read,
	.write = op_write,
	.flush = op_flush,
	.release = op_release,
	.fsync = op_fsync,
	.opendir = op_opendir,
	.readdir = floor_readdir,
	.readdirplus = floor_readdirplus,
	.releasedir = op_release,
	.fsyncdir = op_fsync,
	.statfs = op_statfs,
	.setxattr = floor_setxattr,
	.getxattr = floor_getxattr,
	.listxattr = floor_listxattr,
	.removexattr = floor_removexattr,
	.create = op_create,
};
