/* SPDX-License-Identifier: MIT */

/*
 * Requests about inodes: getattr, setattr, forget. Cutting off much of a file
 * is for a worker, as is deleting a forgotten file (see forget.h).
 *
 * Set-id bits. With HANDLE_KILLPRIV_V2 the kernel leaves clearing them to us.
 * It says so in the flags of a chown or truncation; and before a write,
 * fallocate or copy by somebody unprivileged it sends a setattr that sets
 * nothing. That one is the place to clear them, not the write that follows: its
 * reply is how the kernel, which keeps attributes for ever, learns the mode.
 */

#include <errno.h>

#include "fs/mount.h"
#include "fs/partition.h"

/* Cutting a file longer than that is done by a worker. */
#define TRUNCATE_HERE_MAX (4u << 20)

static void getattr_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	struct fs_attr attr;
	int error;

	if (virtual_is_node(request->ino))
		error = virtual_getattr(mount->virtual, request->ino, &attr);
	else
		error = fs_getattr(mount->fs, request->ino, &attr);
	if (error)
		reply_error(request, error);
	else
		reply_attr(request, &attr);
}

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task task = {
		.run = getattr_run,
		.request = request_begin(req, OP_GETATTR, ino),
	};

	(void)fi;
	task_start(&task, TASK_PACED);
}

static unsigned int set_of(int to_set)
{
	static const struct {
		int fuse;
		unsigned int core;
	} pairs[] = {
		{ FUSE_SET_ATTR_MODE, FS_SET_MODE },
		{ FUSE_SET_ATTR_UID, FS_SET_UID },
		{ FUSE_SET_ATTR_GID, FS_SET_GID },
		{ FUSE_SET_ATTR_SIZE, FS_SET_SIZE },
		{ FUSE_SET_ATTR_ATIME, FS_SET_ATIME },
		{ FUSE_SET_ATTR_MTIME, FS_SET_MTIME },
		{ FUSE_SET_ATTR_ATIME_NOW, FS_SET_ATIME_NOW },
		{ FUSE_SET_ATTR_MTIME_NOW, FS_SET_MTIME_NOW },
		{ FUSE_SET_ATTR_CTIME, FS_SET_CTIME },
		/* The protocol's FATTR_KILL_SUIDGID. */
		{ FUSE_SET_ATTR_KILL_SUID, FS_SET_KILL_SUIDGID },
	};
	unsigned int set = 0;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		if (to_set & pairs[i].fuse)
			set |= pairs[i].core;
	}
	/* "Now" comes with the plain flag; the core wants one of the two. */
	if (set & FS_SET_ATIME_NOW)
		set &= ~(unsigned int)FS_SET_ATIME;
	if (set & FS_SET_MTIME_NOW)
		set &= ~(unsigned int)FS_SET_MTIME;
	return set;
}

static void setattr_run(struct task *task)
{
	const struct request *request = &task->request;
	struct fs_cred cred = request_cred(request->req);
	struct fs_attr attr;
	int error = 0;

	if (task->draft && (task->set & FS_SET_SIZE)) {
		error = draft_truncate(task->draft, task->attr.size_bytes);
		task->set &= ~(unsigned int)FS_SET_SIZE;
	}
	if (!error)
		error = fs_setattr(request->mount->fs, &cred, request->ino,
				   task->set, &task->attr, &attr);
	if (error)
		reply_error(request, error);
	else
		reply_attr(request, &attr);
}

static enum task_place setattr_place(const struct task *task)
{
	struct fs_attr attr;

	if (!(task->set & FS_SET_SIZE) ||
	    fs_getattr(task->request.mount->fs, task->request.ino, &attr) ||
	    attr.size_bytes <= task->attr.size_bytes ||
	    attr.size_bytes - task->attr.size_bytes <= TRUNCATE_HERE_MAX)
		return TASK_HERE;
	return TASK_WORKER;
}

void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi)
{
	struct task task = {
		.run = setattr_run,
		.request = request_begin(req, OP_SETATTR, ino),
		.set = set_of(to_set),
		.attr = {
			.mode = attr->st_mode,
			.uid = attr->st_uid,
			.gid = attr->st_gid,
			.size_bytes = (uint64_t)attr->st_size,
			.atime = attr->st_atim,
			.mtime = attr->st_mtim,
			.ctime = attr->st_ctim,
		},
	};

	task.draft = draft_of(fi);
	/* By open(2), as a rule: what it empties the file for is to come. */
	if ((task.set & FS_SET_SIZE) && attr->st_size == 0 &&
	    !task.request.mount->asks_open)
		task.set |= FS_SET_EMPTY_LATER;
	if (task.set == 0 && task.request.mount->killpriv_v2)
		task.set = FS_SET_KILL_SUIDGID;
	if (virtual_is_node(ino))
		reply_error(&task.request, -EPERM);
	else
		task_start(&task, setattr_place(&task));
}

static void forget_one(struct mount *mount, uint64_t ino, uint64_t lookup_count)
{
	if (virtual_is_node(ino))
		virtual_forget(mount->virtual, ino, lookup_count);
	else if (fs_is_orphan(mount->fs, ino) ||
		 fs_is_unsettled(mount->fs, ino))
		forgetter_add(mount->forgetter, ino);
}

void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookup_count)
{
	struct request request = request_begin(req, OP_FORGET, ino);

	forget_one(request.mount, ino, lookup_count);
	reply_none(&request);
}

void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets)
{
	struct request request = request_begin(req, OP_FORGET, 0);

	for (size_t i = 0; i < count; i++)
		forget_one(request.mount, forgets[i].ino, forgets[i].nlookup);
	reply_none(&request);
}
