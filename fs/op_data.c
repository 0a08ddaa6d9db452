/* SPDX-License-Identifier: MIT */

/*
 * Requests about the contents of files. Small reads and writes are done in the
 * dispatcher (reads when they are fast), large ones by workers, syncs by the
 * syncer.
 *
 * Set-id bits: see op_inode.c.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <unistd.h>

#include "fs/mount.h"
#include "fs/partition.h"

/* From this size on, a worker: the copying alone takes longer than waking. */
#define READ_WORKER_MIN (128u << 10)
#define WRITE_WORKER_MIN (128u << 10)
#define FALLOCATE_WORKER_MIN (1u << 20)

static void read_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	size_t size = task->size;
	size_t got = 0;
	void *dst = task_scratch(task, size);
	int error = -ENOMEM;

	if (dst && task->draft)
		error = draft_read(task->draft, task->offset, dst, size, &got);
	else if (dst && virtual_is_node(request->ino))
		error = virtual_read(mount->virtual, request->ino, task->offset,
				     dst, size, &got);
	else if (dst)
		error = fs_read(mount->fs, request->ino, task->offset, dst,
				size, &got);
	if (error) {
		reply_error(request, error);
	} else {
		atomic_fetch_add_explicit(&mount->stats.read_bytes, got,
					  memory_order_relaxed);
		reply_data(request, dst, got);
	}
	task_scratch_release(task, dst);
}

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	     struct fuse_file_info *fi)
{
	struct task task = {
		.run = read_run,
		.request = request_begin(req, OP_READ, ino),
		.offset = (uint64_t)offset,
		.size = size,
		.draft = draft_of(fi),
	};

	task_start(&task, size >= READ_WORKER_MIN ? TASK_WORKER : TASK_PACED);
}

/* It was refused, perhaps, and the kernel shows it. */
static void write_refused(const struct request *request, int error)
{
	struct mount *mount = request->mount;
	uint64_t ino = request->ino;
	enum value_schema schema;

	reply_error(request, error);
	if (!mount->asks_open &&
	    fs_value_schema(mount->fs, ino, &schema) == 0 &&
	    schema != VALUE_BYTES)
		kernel_drop_pages_later(mount, ino);
}

static void draft_write_run(struct task *task)
{
	const struct request *request = &task->request;
	int error = draft_write(task->draft, task->offset, task->data,
				task->size, task->flags & O_APPEND);

	if (error)
		reply_error(request, error);
	else
		reply_count(request, task->size);
}

static void write_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	const char *data = task->data;
	size_t done = 0;
	int error = 0;

	/* What is not whole before it is closed may be written in pieces. */
	task->flags |= FS_WRITE_PARTIAL;
	while (done < task->size && !error) {
		size_t size = task->size - done;

		if (size > FS_WRITE_MAX)
			size = FS_WRITE_MAX;
		error = fs_write(mount->fs, request->ino, task->offset + done,
				 data + done, size, task->flags);
		if (!error)
			done += size;
	}
	if (error && !done) {
		write_refused(request, error);
		return;
	}
	atomic_fetch_add_explicit(&mount->stats.write_bytes, done,
				  memory_order_relaxed);
	reply_count(request, done);
}

void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
	      off_t offset, struct fuse_file_info *fi)
{
	struct task task = {
		.run = write_run,
		.request = request_begin(req, OP_WRITE, ino),
		.offset = (uint64_t)offset,
		.size = size,
		.data = data,
	};
	struct channel *channel = &task.request.mount->channel;

	if (virtual_is_node(ino)) {
		reply_error(&task.request, -EPERM);
		return;
	}
	task.draft = draft_of(fi);
	if (task.draft) {
		task.run = draft_write_run;
		task.flags = (unsigned int)fi->flags;
		task_start(&task,
			   size >= WRITE_WORKER_MIN ? TASK_WORKER : TASK_HERE);
		return;
	}
	/* Without the write-back cache, pages that were changed through a
	 * mapping come the same way, but then the times are ours. */
	if (fi->writepage && task.request.mount->kernel_keeps_times)
		task.flags |= FS_WRITE_CACHED;
	/* The kernel sets it for root, too, whose writes clear nothing. */
	if ((channel_write_flags(channel) & FUSE_WRITE_KILL_SUIDGID) &&
	    fuse_req_ctx(req)->uid != 0)
		task.flags |= FS_WRITE_KILL_SUIDGID;
	task_start(&task, size >= WRITE_WORKER_MIN ? TASK_WORKER : TASK_HERE);
}

static void fsync_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	int error = task->draft ? draft_flush(task->draft, true) : 0;

	if (error == 1)
		kernel_drop_pages_later(mount, request->ino);
	if (task->sync_point)
		error = fs_sync_to(mount->fs, task->sync_point);
	else if (error >= 0 && !virtual_is_node(request->ino))
		error = fs_fsync(mount->fs, request->ino);
	/* With its write-back cache the kernel asks for st_blocks when a file
	 * is closed, but would show the old ones of an open file for ever. */
	if (mount->kernel_keeps_times && request->op == OP_FSYNC)
		fuse_lowlevel_notify_inval_inode(mount->session, request->ino,
						 -1, 0);
	reply_error(request, error);
}

static void fsync_start(struct task *task)
{
	const struct request *request = &task->request;

	if (!task->draft && !virtual_is_node(request->ino))
		task->sync_point = fs_sync_point(request->mount->fs);
	task_start(task, task->sync_point ? TASK_SYNCER : TASK_WORKER);
}

void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
	      struct fuse_file_info *fi)
{
	struct task task = {
		.run = fsync_run,
		.request = request_begin(req, OP_FSYNC, ino),
		.draft = draft_of(fi),
	};

	(void)data_only; /* the log is one: what has the data has the rest */
	fsync_start(&task);
}

void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		 struct fuse_file_info *fi)
{
	struct task task = {
		.run = fsync_run,
		.request = request_begin(req, OP_FSYNCDIR, ino),
	};

	(void)data_only;
	(void)fi;
	fsync_start(&task);
}

static void fallocate_run(struct task *task)
{
	const struct request *request = &task->request;

	reply_error(request,
		    fs_fallocate(request->mount->fs, request->ino,
				 (int)task->flags, task->offset, task->size));
}

void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t size, struct fuse_file_info *fi)
{
	struct task task = {
		.run = fallocate_run,
		.request = request_begin(req, OP_FALLOCATE, ino),
		.offset = (uint64_t)offset,
		.size = (uint64_t)size,
		.flags = (unsigned int)mode,
	};

	(void)fi;
	if (virtual_is_node(ino))
		reply_error(&task.request, -EPERM);
	else
		task_start(&task, size >= (off_t)FALLOCATE_WORKER_MIN ?
					  TASK_WORKER :
					  TASK_HERE);
}

/* A virtual file is all data. */
static int seek_virtual(struct mount *mount, uint64_t ino, uint64_t offset,
			int whence, uint64_t *ret_offset)
{
	struct fs_attr attr;
	int error = virtual_getattr(mount->virtual, ino, &attr);

	if (error)
		return error;
	if (offset >= attr.size_bytes)
		return -ENXIO;
	*ret_offset = whence == SEEK_DATA ? offset : attr.size_bytes;
	return 0;
}

/*
 * Of pages that were written and not passed on yet (through a mapping, or with
 * the write-back cache on) the core knows nothing: it would call them a hole,
 * and a copy would lose them. The kernel does not write them before it asks, so
 * we have it done: making it drop its pages of the file writes the dirty ones.
 */
static void seek_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	uint64_t found = 0;
	int error;

	if (!mount->options->read_only)
		fuse_lowlevel_notify_inval_inode(mount->session, request->ino,
						 (off_t)task->offset, 0);
	error = fs_seek(mount->fs, request->ino, task->offset, (int)task->flags,
			&found);
	if (error)
		reply_error(request, error);
	else
		reply_offset(request, found);
}

void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
	      struct fuse_file_info *fi)
{
	struct task task = {
		.run = seek_run,
		.request = request_begin(req, OP_LSEEK, ino),
		.offset = (uint64_t)offset,
		.flags = (unsigned int)whence,
	};
	uint64_t found = 0;
	int error = 0;

	(void)fi;
	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		error = -EINVAL;
	else if (offset < 0)
		error = -ENXIO;
	else if (virtual_is_node(ino))
		error = seek_virtual(task.request.mount, ino, (uint64_t)offset,
				     whence, &found);
	else
		task_start(&task, TASK_SEEKER);
	if (error)
		reply_error(&task.request, error);
	else if (virtual_is_node(ino))
		reply_offset(&task.request, found);
}

static void copy_range_run(struct task *task)
{
	const struct request *request = &task->request;
	size_t copied = 0;
	int error = fs_copy_range(request->mount->fs, request->ino,
				  task->offset, task->other_ino,
				  task->other_offset, task->size, &copied);

	if (error)
		reply_error(request, error);
	else
		reply_count(request, copied);
}

void op_copy_file_range(fuse_req_t req, fuse_ino_t from_ino, off_t from_offset,
			struct fuse_file_info *from_fi, fuse_ino_t to_ino,
			off_t to_offset, struct fuse_file_info *to_fi,
			size_t size, int flags)
{
	struct task task = {
		.run = copy_range_run,
		.request = request_begin(req, OP_COPY_RANGE, from_ino),
		.offset = (uint64_t)from_offset,
		.other_ino = to_ino,
		.other_offset = (uint64_t)to_offset,
		/* The caller goes on behind what was copied. */
		.size = size < FS_COPY_MAX ? size : FS_COPY_MAX,
	};

	(void)from_fi;
	(void)to_fi;
	if (flags)
		reply_error(&task.request, -EINVAL);
	else if (virtual_is_node(from_ino) || virtual_is_node(to_ino))
		reply_error(&task.request, -EXDEV); /* the kernel copies */
	else
		task_start(&task, TASK_WORKER);
}
