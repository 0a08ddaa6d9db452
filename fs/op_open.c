/* SPDX-License-Identifier: MIT */

/*
 * Opening, and what there is only because of it. As a rule nobody answers OPEN:
 * the kernel asks once and then opens by itself (mount.h). Where values are
 * judged when a file is closed, that has to be known, so OPEN is answered, for
 * all files: those that want a draft (draft.h) get one as their handle, bypass
 * the kernel's cache, and tell of their closing; all others are as if nobody
 * had been asked.
 *
 * A draft that took the place of what was stored leaves the kernel with old
 * pages and attributes. Dropping pages may wait for whoever reads them now: for
 * that there are the seekers (task.c).
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/draft.h"
#include "fs/mount.h"

void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	(void)fi;
	/* The kernel asks once and then opens by itself. */
	fuse_reply_err(req, ENOSYS);
}

struct draft *draft_of(const struct fuse_file_info *fi)
{
	return fi ? (struct draft *)(uintptr_t)fi->fh : NULL;
}

void kernel_drop_pages(struct mount *mount, uint64_t ino)
{
	/* Errors say that it knows nothing of it. */
	(void)fuse_lowlevel_notify_inval_inode(mount->session, ino, 0, 0);
}

/* --- open --- */

static void draft_release(struct mount *mount, struct draft *draft,
			  uint64_t ino)
{
	bool changed;

	draft_close(draft, &changed);
	if (changed)
		kernel_drop_pages(mount, ino);
	else
		/* What it was written makes the kernel take it for longer. */
		(void)fuse_lowlevel_notify_inval_inode(mount->session, ino, -1,
						       0);
}

static void reply_opened(const struct request *request, struct draft *draft)
{
	struct fuse_file_info fi = {
		.fh = (uint64_t)(uintptr_t)draft,
		.direct_io = draft != NULL,
		.keep_cache = !draft,
		.noflush = !draft,
	};

	/* Where nobody waits for the answer any more, no release comes. */
	if (reply_open(request, &fi) && draft)
		draft_release(request->mount, draft, request->ino);
}

static int file_open(const struct task *task, struct draft **ret_draft)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	bool emptied = task->flags & O_TRUNC;
	bool writes = emptied || (task->flags & O_ACCMODE) != O_RDONLY;
	int error;

	*ret_draft = NULL;
	if (!writes)
		return 0;
	if (virtual_is_node(request->ino))
		return -EPERM;
	error = draft_open(mount->drafts, request->ino, emptied, ret_draft);
	if (error != 1)
		return error;
	return emptied ? fs_setattr(mount->fs, NULL, request->ino, task->set,
				    &task->attr, NULL) :
			 0;
}

static void open_run(struct task *task)
{
	struct draft *draft;
	int error = file_open(task, &draft);

	if (error)
		reply_error(&task->request, error);
	else
		reply_opened(&task->request, draft);
}

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task task = {
		.run = open_run,
		.request = request_begin(req, OP_OPEN, ino),
		.flags = (unsigned int)fi->flags,
		.set = FS_SET_SIZE,
	};

	if (!task.request.mount->asks_open) {
		fuse_reply_err(req, ENOSYS);
		return;
	}
	/* The kernel leaves both to who truncates at open. */
	if (fuse_req_ctx(req)->uid != 0)
		task.set |= FS_SET_KILL_SUIDGID;
	task_start(&task, fi->flags & O_TRUNC ? TASK_WORKER : TASK_PACED);
}

/* --- flush, release --- */

static void flush_run(struct task *task)
{
	const struct request *request = &task->request;
	int result = draft_flush(task->draft, false);

	if (result == 1)
		kernel_drop_pages(request->mount, request->ino);
	reply_error(request, result < 0 ? result : 0);
}

void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task task = {
		.run = flush_run,
		.request = request_begin(req, OP_FLUSH, ino),
		.draft = draft_of(fi),
	};

	if (!task.request.mount->asks_open)
		fuse_reply_err(req, ENOSYS); /* not again */
	else if (!task.draft)
		reply_error(&task.request, 0);
	else
		task_start(&task, TASK_SEEKER);
}

static void release_run(struct task *task)
{
	const struct request *request = &task->request;

	draft_release(request->mount, task->draft, request->ino);
	reply_error(request, 0);
}

void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct task task = {
		.run = release_run,
		.request = request_begin(req, OP_RELEASE, ino),
		.draft = draft_of(fi),
	};

	if (!task.draft)
		reply_error(&task.request, 0);
	else
		task_start(&task, TASK_WORKER);
}

/* --- a value that was refused when it was written --- */

struct telling {
	struct work work; /* first: they are cast into each other */
	struct mount *mount;
	uint64_t ino;
};

static void telling_run(struct work *work)
{
	struct telling *telling = (struct telling *)work;

	kernel_drop_pages(telling->mount, telling->ino);
	atomic_fetch_sub(&telling->mount->seek_count, 1);
	free(telling);
}

void kernel_drop_pages_later(struct mount *mount, uint64_t ino)
{
	struct telling *telling = calloc(1, sizeof(*telling));

	/* Without memory for it readers see what was refused a while. */
	if (!telling)
		return;
	telling->work.run = telling_run;
	telling->mount = mount;
	telling->ino = ino;
	atomic_fetch_add(&mount->seek_count, 1);
	if (worker_submit(mount->seekers, &telling->work))
		return;
	atomic_fetch_sub(&mount->seek_count, 1);
	free(telling);
}
