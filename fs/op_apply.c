/* SPDX-License-Identifier: MIT */

/*
 * KVFS_IOC_APPLY: a batch of changes that come as the contents of a file. The
 * kernel did not make these changes, so it has to be told to forget what it
 * knows of the names and directories. It asks for a directory's lock to do so,
 * whose holder may be waiting for the dispatcher: so this is a worker's work.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/apply_file.h"
#include "fs/ioctl.h"
#include "fs/op_apply.h"

struct application {
	struct mount *mount;
	struct buf bytes;
	struct fs_change *changes;
	size_t count;
};

static int file_read(struct fs *fs, uint64_t ino, struct buf *ret_bytes)
{
	struct fs_attr attr;
	size_t got;
	int error;

	error = fs_getattr(fs, ino, &attr);
	if (error)
		return error;
	if (attr.size_bytes > APPLY_FILE_MAX)
		return -E2BIG;
	error = buf_resize(ret_bytes, (size_t)attr.size_bytes);
	if (!error)
		error = fs_read(fs, ino, 0, ret_bytes->data, ret_bytes->size,
				&got);
	return error ? error : got == ret_bytes->size ? 0 : -EUCLEAN;
}

static int names_check(const struct application *application,
		       size_t *ret_failed)
{
	for (size_t i = 0; i < application->count; i++) {
		const struct fs_change *change = &application->changes[i];

		if (!virtual_is_node(change->parent) &&
		    !virtual_is_reserved(application->mount->virtual,
					 change->parent, change->name))
			continue;
		*ret_failed = i;
		return -EPERM;
	}
	return 0;
}

static void entry_tell(struct fuse_session *session,
		       const struct fs_change *change)
{
	char name[FS_NAME_MAX + 1]; /* libfuse reads the NUL behind it */

	memcpy(name, change->name.data, change->name.size);
	name[change->name.size] = '\0';
	(void)fuse_lowlevel_notify_inval_entry(session, change->parent, name,
					       change->name.size);
}

/* Errors say that the kernel knew nothing of it, or knows nothing any more. */
static void kernel_tell(struct application *application)
{
	struct fuse_session *session = application->mount->session;
	uint64_t parent = 0;

	for (size_t i = 0; i < application->count; i++) {
		const struct fs_change *change = &application->changes[i];

		entry_tell(session, change);
		if (change->parent != parent)
			(void)fuse_lowlevel_notify_inval_inode(
				session, change->parent, 0, 0);
		parent = change->parent;
		if (!change->ret_old_ino)
			continue;
		(void)fuse_lowlevel_notify_inval_inode(
			session, change->ret_old_ino, -1, 0);
		forgetter_add(application->mount->forgetter,
			      change->ret_old_ino);
	}
}

static int application_run(struct application *application,
			   const struct request *request,
			   struct kvfs_apply_result *result)
{
	struct fs *fs = application->mount->fs;
	struct fs_cred cred = request_cred(request->req);
	size_t failed = 0;
	int error;

	error = file_read(fs, request->ino, &application->bytes);
	if (!error)
		error = apply_file_decode(buf_slice(&application->bytes),
					  &cred.umask, &application->changes,
					  &application->count);
	if (error)
		return error;
	failed = application->count;
	error = names_check(application, &failed);
	if (!error)
		error = fs_apply(fs, &cred, application->changes,
				 application->count, &failed);
	result->failed = (uint32_t)failed;
	return error;
}

static void apply_run(struct task *task)
{
	const struct request *request = &task->request;
	struct application application = { .mount = request->mount };
	struct kvfs_apply_result result = { 0 };

	result.error = application_run(&application, request, &result);
	if (!result.error)
		kernel_tell(&application);
	reply_ioctl(request, &result, sizeof(result));
	free(application.changes);
	buf_release(&application.bytes);
}

void op_apply(struct task *task)
{
	const struct request *request = &task->request;

	if (virtual_is_node(request->ino)) {
		reply_error(request, -EINVAL);
		return;
	}
	if (request->mount->options->read_only) {
		reply_error(request, -EROFS);
		return;
	}
	task->run = apply_run;
	task_start(task, TASK_WORKER);
}
