/* SPDX-License-Identifier: MIT */

/*
 * Requests about names: lookup, the makers, the removers, rename. All cheap:
 * done in the dispatcher, but for lookups when the index is cold.
 *
 * Virtual names: a lookup is answered by virtual.c first. Their names and
 * nodes cannot be made, linked, moved or removed: EPERM.
 */

#include <errno.h>
#include <string.h>

#include "fs/mount.h"

static struct slice name_slice(const char *name)
{
	return slice_of(name, strlen(name));
}

/* May the directory `parent` get or lose this name? 0 or -EPERM. */
static int name_check_real(const struct request *request, uint64_t parent,
			   const char *name)
{
	if (virtual_is_node(parent) ||
	    virtual_is_reserved(request->mount->virtual, parent,
				name_slice(name)))
		return -EPERM;
	return 0;
}

static void reply_made(const struct request *request, int error,
		       const struct fs_attr *attr)
{
	if (error)
		reply_error(request, error);
	else
		reply_entry(request, attr->ino, attr);
}

static void lookup_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	struct slice name = name_slice(task->name);
	struct fs_attr attr;
	uint64_t node;
	int error = virtual_lookup(mount->virtual, request->ino, name, &node,
				   &attr);

	if (error > 0) {
		error = fs_lookup(mount->fs, request->ino, name, &attr);
		node = attr.ino;
	}
	if (error == -ENOENT && !virtual_is_node(request->ino) &&
	    !virtual_is_volatile(name))
		reply_no_entry(request);
	else if (error)
		reply_error(request, error);
	else
		reply_entry(request, node, &attr);
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct task task = {
		.run = lookup_run,
		.request = request_begin(req, OP_LOOKUP, parent),
		.name = name,
	};

	task_start(&task, TASK_PACED);
}

void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev)
{
	struct request request = request_begin(req, OP_MKNOD, parent);
	struct fs_cred cred = request_cred(req);
	struct fs_attr attr;
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = fs_mknod(request.mount->fs, &cred, parent,
				 name_slice(name), mode, rdev, &attr);
	reply_made(&request, error, &attr);
}

void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct request request = request_begin(req, OP_MKDIR, parent);
	struct fs_cred cred = request_cred(req);
	struct fs_attr attr;
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = fs_mkdir(request.mount->fs, &cred, parent,
				 name_slice(name), mode, &attr);
	reply_made(&request, error, &attr);
}

void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name)
{
	struct request request = request_begin(req, OP_SYMLINK, parent);
	struct fs_cred cred = request_cred(req);
	struct fs_attr attr;
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = fs_symlink(request.mount->fs, &cred, parent,
				   name_slice(name), name_slice(target), &attr);
	reply_made(&request, error, &attr);
}

void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name)
{
	struct request request = request_begin(req, OP_LINK, ino);
	struct fs_attr attr;
	int error = name_check_real(&request, parent, name);

	if (!error && virtual_is_node(ino))
		error = -EPERM;
	if (!error)
		error = fs_link(request.mount->fs, ino, parent,
				name_slice(name), &attr);
	reply_made(&request, error, &attr);
}

/* Its last name may be gone: then it takes space until it is forgotten. */
static void reply_removed(const struct request *request, int error,
			  uint64_t ino)
{
	struct mount *mount = request->mount;

	if (!error && fs_is_orphan(mount->fs, ino))
		forgetter_expect(mount->forgetter, ino);
	reply_error(request, error);
}

void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request request = request_begin(req, OP_UNLINK, parent);
	uint64_t ino = 0;
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = fs_unlink(request.mount->fs, parent, name_slice(name),
				  &ino);
	reply_removed(&request, error, ino);
}

void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct request request = request_begin(req, OP_RMDIR, parent);
	uint64_t ino = 0;
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = fs_rmdir(request.mount->fs, parent, name_slice(name),
				 &ino);
	reply_removed(&request, error, ino);
}

void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
	struct request request = request_begin(req, OP_RENAME, parent);
	struct fs_cred cred = request_cred(req);
	int error = name_check_real(&request, parent, name);

	if (!error)
		error = name_check_real(&request, new_parent, new_name);
	if (!error)
		error = fs_rename(request.mount->fs, &cred, parent,
				  name_slice(name), new_parent,
				  name_slice(new_name), flags);
	reply_error(&request, error);
}

void op_readlink(fuse_req_t req, fuse_ino_t ino)
{
	struct request request = request_begin(req, OP_READLINK, ino);
	struct buf target = { 0 };
	int error = -EINVAL;

	if (!virtual_is_node(ino))
		error = fs_readlink(request.mount->fs, ino, &target);
	if (!error)
		error = buf_append(&target, "", 1);
	if (error)
		reply_error(&request, error);
	else
		reply_link_target(&request, (const char *)target.data);
	buf_release(&target);
}
