/* SPDX-License-Identifier: MIT */

/*
 * Compaction and checks of a mounted store: jobs in its daemon, started and
 * watched by ioctls (fs/ioctl.h). There is no call that waits for a job, so it
 * is asked for ten times a second. One thread.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>

#include "fs/ioctl.h"
#include "tools/target_ops.h"

#define POLL_FIRST_NS 1000000 /* short jobs are told soon */
#define POLL_LAST_NS 100000000

static int status_load(int fd, struct kvfs_job_status *ret_status)
{
	return ioctl(fd, KVFS_IOC_JOB_STATUS, ret_status) ? -errno : 0;
}

/*
 * Waits for job `id`. Progress that says stop has it cancelled, and its end is
 * waited for. -ESTALE: somebody started another job before we saw the end.
 */
static int job_wait(int fd, uint64_t id, kv_progress_fn *progress, void *ctx,
		    struct kvfs_job_status *status)
{
	struct timespec pause = { .tv_nsec = POLL_FIRST_NS };
	bool cancelled = false;
	int r;

	while ((r = status_load(fd, status)) == 0) {
		if (status->id != id)
			return -ESTALE;
		if (status->state == KVFS_JOB_DONE)
			return status->result;
		if (!cancelled && progress &&
		    progress(ctx, status->done_bytes, status->total_bytes)) {
			cancelled = true;
			/* It may have ended by itself: the status tells. */
			(void)ioctl(fd, KVFS_IOC_JOB_CANCEL);
		}
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < POLL_LAST_NS)
			pause.tv_nsec *= 2;
	}
	return r;
}

static int job_run(int fd, unsigned long request, void *arg,
		   kv_progress_fn *progress, void *ctx,
		   struct kvfs_job_status *status)
{
	int r;

	if (ioctl(fd, request, arg))
		return -errno;
	r = status_load(fd, status);
	return r ? r : job_wait(fd, status->id, progress, ctx, status);
}

/* Waits for a job of this kind that is running already. -EBUSY: another kind. */
static int job_join(int fd, enum kvfs_job_kind kind, kv_progress_fn *progress,
		    void *ctx, struct kvfs_job_status *status)
{
	int r = status_load(fd, status);

	if (r)
		return r;
	if (status->kind != (uint32_t)kind)
		return -EBUSY;
	return job_wait(fd, status->id, progress, ctx, status);
}

int target_job_compact(int fd, kv_progress_fn *progress, void *ctx)
{
	struct kvfs_job_status status;

	return job_run(fd, KVFS_IOC_COMPACT, NULL, progress, ctx, &status);
}

static void problem_show(const struct kvfs_job_problem *from, fs_problem_fn *fn,
			 void *ctx)
{
	struct fs_problem problem = {
		.kind = (enum fs_problem_kind)from->kind,
		.ino = from->ino,
		.path = from->path[0] ? from->path : NULL,
		.what = from->what,
	};

	fn(ctx, &problem);
}

/* The daemon keeps the text of so many problems only. */
static void problems_unkept(uint64_t count, fs_problem_fn *fn, void *ctx)
{
	struct fs_problem problem = { .kind = FS_PROBLEM_STORE };
	char what[96];

	snprintf(what, sizeof(what),
		 "%" PRIu64 " more problems; a check of "
		 "the unmounted store names them all",
		 count);
	problem.what = what;
	fn(ctx, &problem);
}

static int problems_show(int fd, uint64_t count, fs_problem_fn *fn, void *ctx)
{
	struct kvfs_job_problem problem = { 0 };

	for (; problem.index < count; problem.index++) {
		if (ioctl(fd, KVFS_IOC_JOB_PROBLEM, &problem)) {
			if (errno != ENODATA)
				return -errno;
			problems_unkept(count - problem.index, fn, ctx);
			break;
		}
		problem.path[sizeof(problem.path) - 1] = '\0';
		problem.what[sizeof(problem.what) - 1] = '\0';
		problem_show(&problem, fn, ctx);
	}
	return count ? 1 : 0;
}

int target_job_check(int fd, const struct target_check_how *how,
		     fs_problem_fn *fn, kv_progress_fn *progress, void *ctx)
{
	struct kvfs_scrub scrub = {
		.rate_bytes = how->rate_bytes,
		.flags = how->resume ? KVFS_SCRUB_RESUME : 0,
	};
	struct kvfs_job_status status = { 0 };
	unsigned long request = how->bytes_only ? KVFS_IOC_SCRUB :
				how->resume     ? KVFS_IOC_CHECK_RESUME :
						  KVFS_IOC_CHECK;
	int r;

	r = job_run(fd, request, how->bytes_only ? &scrub : NULL, progress, ctx,
		    &status);
	/* The mount may have gone on with it by itself. */
	if (r == -EBUSY && how->resume)
		r = job_join(fd,
			     how->bytes_only ? KVFS_JOB_SCRUB : KVFS_JOB_CHECK,
			     progress, ctx, &status);
	if (r < 0)
		return r;
	return problems_show(fd, status.problem_count, fn, ctx);
}
