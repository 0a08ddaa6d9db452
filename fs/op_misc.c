/* SPDX-License-Identifier: MIT */

/*
 * What is about the whole mount: INIT, statfs, the ioctls of fs/ioctl.h.
 */

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/log.h"
#include "fs/mount.h"
#include "fs/op_apply.h"
#include "fs/op_partition.h"
#include "fs/partition.h"

/* Reads ahead of readers, so many at a time. */
#define BACKGROUND_MAX 64

/* --- INIT --- */

/* Sets a capability where the kernel offers it; whether it does. */
static bool want(struct fuse_conn_info *conn, unsigned int capability)
{
	if (!(conn->capable & capability))
		return false;
	conn->want |= capability;
	return true;
}

/* Whether closing a file is to be told. */
static bool must_ask_open(const struct mount *mount)
{
	switch ((enum schema_judged)mount->options->schema) {
	case SCHEMA_AT_CLOSE:
		return true;
	case SCHEMA_AT_WRITE:
		return false;
	case SCHEMA_AUTO:
		break;
	}
	return fs_has_schemas(mount->fs);
}

void op_init(void *userdata, struct fuse_conn_info *conn)
{
	struct mount *mount = userdata;
	struct channel *channel = &mount->channel;
	uint64_t max_read = 0;

	/* Truncation at open is a SETATTR where nobody answers OPEN. The kernel's
	 * data is always right, so a changed mtime does not invalidate it. */
	conn->want &= ~((unsigned int)FUSE_CAP_ATOMIC_O_TRUNC |
			FUSE_CAP_AUTO_INVAL_DATA | FUSE_CAP_HANDLE_KILLPRIV |
			FUSE_CAP_SPLICE_READ);
	mount->asks_open = must_ask_open(mount) &&
			   want(conn, FUSE_CAP_ATOMIC_O_TRUNC);
	want(conn, FUSE_CAP_EXPLICIT_INVAL_DATA);
	want(conn, FUSE_CAP_ASYNC_READ);
	want(conn, FUSE_CAP_EXPORT_SUPPORT);
	want(conn, FUSE_CAP_IOCTL_DIR);
	want(conn, FUSE_CAP_READDIRPLUS);
	want(conn, FUSE_CAP_READDIRPLUS_AUTO);
	want(conn, FUSE_CAP_CACHE_SYMLINKS);
	/* With ACLs who creates applies the umask: a default ACL replaces it.
	 * The kernel then leaves that, and inheriting, to the core. */
	if (want(conn, FUSE_CAP_POSIX_ACL))
		want(conn, FUSE_CAP_DONT_MASK);
	/* A kernel that keeps sizes would go on to show a value's that was
	 * refused. */
	if (mount->options->writeback && fs_has_schemas(mount->fs))
		log_line(KV_LOG_WARNING,
			 "writeback is left off: there are partitions with a "
			 "schema");
	else if (mount->options->writeback)
		mount->kernel_keeps_times =
			want(conn, FUSE_CAP_WRITEBACK_CACHE);

	want(conn, FUSE_CAP_PARALLEL_DIROPS);
	channel_want(channel, FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV_V2);
	mount->killpriv_v2 = channel_offers(channel, FUSE_HANDLE_KILLPRIV_V2);
#ifdef FUSE_CAP_HANDLE_KILLPRIV_V2
	mount->killpriv_v2 |= want(conn, FUSE_CAP_HANDLE_KILLPRIV_V2);
#endif

	conn->max_background = BACKGROUND_MAX;
	conn->congestion_threshold = BACKGROUND_MAX * 3 / 4;
	/* libfuse wants to hear what it was told itself. */
	if (options_fuse_number(mount->options, "max_read", &max_read))
		conn->max_read = (unsigned int)max_read;
	mount->initialised = true;
}

/* --- statfs --- */

/* At most; a file of many millions of blocks takes longer to delete. */
#define STATFS_WAIT_MS 1000u

/* Who removes a file and looks at the space wants to see what that gave. */
static void run_statfs(struct task *task)
{
	const struct request *request = &task->request;
	struct fs *fs = request->mount->fs;
	struct fs_statfs st;
	int error;

	if (task->on_worker)
		forgetter_drain(request->mount->forgetter, STATFS_WAIT_MS);
	error = virtual_is_node(request->ino) ?
			fs_statfs(fs, &st) :
			fs_statfs_at(fs, request->ino, &st);
	if (error)
		reply_error(request, error);
	else
		reply_statfs(request, &st);
}

void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct task task = { .request = request_begin(req, OP_STATFS, ino),
			     .run = run_statfs };
	bool busy = forgetter_is_busy(task.request.mount->forgetter);

	task_start(&task, busy ? TASK_WORKER : TASK_HERE);
}

/* --- ioctls --- */

static void reply_info(const struct request *request)
{
	struct mount *mount = request->mount;
	struct kvfs_info info = {
		.pid = (uint32_t)getpid(),
		.block_size_bytes = fs_block_size(mount->fs),
		.protocol = KVFS_IOC_PROTOCOL,
	};
	struct kv_stats stats;

	kv_stats(fs_kv(mount->fs), &stats);
	memcpy(info.uuid, stats.uuid, sizeof(info.uuid));
	info.read_only = mount->options->read_only || stats.failed;
	reply_ioctl(request, &info, sizeof(info));
}

static void reply_job_status(const struct request *request)
{
	struct kvfs_job_status status;

	jobs_status(request->mount->jobs, &status);
	reply_ioctl(request, &status, sizeof(status));
}

static void reply_job_problem(const struct request *request, uint64_t index)
{
	struct kvfs_job_problem problem;
	int error = jobs_problem(request->mount->jobs, index, &problem);

	if (error)
		reply_error(request, error);
	else
		reply_ioctl(request, &problem, sizeof(problem));
}

static void reply_done(const struct request *request, int error)
{
	if (error)
		reply_error(request, error);
	else
		reply_ioctl(request, NULL, 0);
}

static void checkpoint_run(struct task *task)
{
	const struct request *request = &task->request;

	reply_done(request, kv_checkpoint(fs_kv(request->mount->fs)));
}

static void compact_start(const struct request *request)
{
	struct mount *mount = request->mount;

	reply_done(request, mount->options->read_only ?
				    -EROFS :
				    jobs_start(mount->jobs, KVFS_JOB_COMPACT,
					       &(struct job_how){ 0 }));
}

static void scrub_start(const struct request *request, const void *in,
			size_t in_size)
{
	struct job_how how = { 0 };
	struct kvfs_scrub scrub;

	if (in_size < sizeof(scrub)) {
		reply_error(request, -EINVAL);
		return;
	}
	memcpy(&scrub, in, sizeof(scrub));
	how.rate_bytes = scrub.rate_bytes;
	how.resume = scrub.flags & KVFS_SCRUB_RESUME;
	reply_done(request,
		   jobs_start(request->mount->jobs, KVFS_JOB_SCRUB, &how));
}

static void check_start(const struct request *request, bool resume)
{
	struct job_how how = { .resume = resume };

	reply_done(request,
		   jobs_start(request->mount->jobs, KVFS_JOB_CHECK, &how));
}

void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in,
	      size_t in_size, size_t out_size)
{
	struct task task = {
		.run = checkpoint_run,
		.request = request_begin(req, OP_IOCTL, ino),
	};
	const struct request *request = &task.request;
	uid_t uid = fuse_req_ctx(req)->uid;
	uint64_t index;

	(void)arg;
	(void)fi;
	(void)flags;
	(void)out_size;
	if (_IOC_TYPE(command) != 'k') {
		reply_error(request, -ENOTTY);
		return;
	}
	if (command == KVFS_IOC_PARTITION) {
		op_partition_stat(request);
		return;
	}
	if (uid != 0 && uid != request->mount->owner) {
		reply_error(request, -EPERM);
		return;
	}
	switch (command) {
	case KVFS_IOC_INFO:
		reply_info(request);
		break;
	case KVFS_IOC_COMPACT:
		compact_start(request);
		break;
	case KVFS_IOC_CHECK:
	case KVFS_IOC_CHECK_RESUME:
		check_start(request, command == KVFS_IOC_CHECK_RESUME);
		break;
	case KVFS_IOC_SCRUB:
		scrub_start(request, in, in_size);
		break;
	case KVFS_IOC_CHECKPOINT:
		task_start(&task, TASK_WORKER);
		break;
	case KVFS_IOC_JOB_STATUS:
		reply_job_status(request);
		break;
	case KVFS_IOC_JOB_PROBLEM:
		if (in_size < sizeof(index)) {
			reply_error(request, -EINVAL);
			break;
		}
		memcpy(&index, in, sizeof(index));
		reply_job_problem(request, index);
		break;
	case KVFS_IOC_JOB_CANCEL:
		jobs_cancel(request->mount->jobs);
		reply_done(request, 0);
		break;
	case KVFS_IOC_PARTITION_DROP:
		op_partition_drop(&task, in, in_size);
		break;
	case KVFS_IOC_APPLY:
		op_apply(&task);
		break;
	default:
		reply_error(request, -ENOTTY);
	}
}
