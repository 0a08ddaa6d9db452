/* SPDX-License-Identifier: MIT */

/*
 * One job at a time, in a thread of its own that ends with the job.
 *
 * Invariants:
 *  1. `thread` is to be joined exactly while `started` is set; the next start
 *     and the end do so.
 *  2. Problems are appended by the job's thread alone and only while the state
 *     is RUNNING, under the lock, as readers come at any time.
 */

#include "fs/jobs.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lock.h"

struct problem {
	uint64_t ino;
	enum fs_problem_kind kind;
	char *path; /* NULL: none to tell */
	char *what;
};

struct jobs {
	struct fs *fs;
	atomic_bool cancelled;

	struct mutex lock;
	/* guarded by lock */
	struct kvfs_job_status status;
	struct problem *problems; /* KVFS_PROBLEM_KEPT_MAX */
	size_t kept_count;
	bool started;
	pthread_t thread;
};

int jobs_new(struct fs *fs, struct jobs **ret_jobs)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	jobs->problems = calloc(KVFS_PROBLEM_KEPT_MAX, sizeof(*jobs->problems));
	if (!jobs->problems) {
		free(jobs);
		return -ENOMEM;
	}
	jobs->fs = fs;
	mutex_init(&jobs->lock);
	*ret_jobs = jobs;
	return 0;
}

static void problems_clear_locked(struct jobs *jobs) REQUIRES(&jobs->lock)
{
	for (size_t i = 0; i < jobs->kept_count; i++) {
		free(jobs->problems[i].path);
		free(jobs->problems[i].what);
	}
	jobs->kept_count = 0;
}

void jobs_free(struct jobs *jobs)
{
	bool started;

	if (!jobs)
		return;
	jobs_cancel(jobs);
	mutex_lock(&jobs->lock);
	started = jobs->started;
	mutex_unlock(&jobs->lock);
	if (started)
		pthread_join(jobs->thread, NULL);
	mutex_lock(&jobs->lock);
	problems_clear_locked(jobs);
	mutex_unlock(&jobs->lock);
	mutex_release(&jobs->lock);
	free(jobs->problems);
	free(jobs);
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct jobs *jobs = ctx;

	mutex_lock(&jobs->lock);
	jobs->status.done_bytes = done;
	jobs->status.total_bytes = total;
	mutex_unlock(&jobs->lock);
	return atomic_load(&jobs->cancelled);
}

static void on_problem(void *ctx, const struct fs_problem *problem)
{
	struct jobs *jobs = ctx;
	struct problem kept = {
		.ino = problem->ino,
		.kind = problem->kind,
		.path = problem->path ? strdup(problem->path) : NULL,
		.what = strdup(problem->what),
	};

	mutex_lock(&jobs->lock);
	jobs->status.problem_count++;
	if (jobs->kept_count < KVFS_PROBLEM_KEPT_MAX && kept.what) {
		jobs->problems[jobs->kept_count++] = kept;
		kept = (struct problem){ 0 };
	}
	mutex_unlock(&jobs->lock);
	free(kept.path);
	free(kept.what);
}

static void *job_main(void *arg)
{
	struct jobs *jobs = arg;
	uint32_t kind;
	int result;

	mutex_lock(&jobs->lock);
	kind = jobs->status.kind;
	mutex_unlock(&jobs->lock);
	if (kind == KVFS_JOB_COMPACT)
		result = kv_compact(fs_kv(jobs->fs), on_progress, jobs);
	else
		result = fs_check(jobs->fs, on_problem, on_progress, jobs);

	mutex_lock(&jobs->lock);
	jobs->status.state = KVFS_JOB_DONE;
	/* That there are problems is told by their count. */
	jobs->status.result = result > 0 ? 0 : result;
	mutex_unlock(&jobs->lock);
	return NULL;
}

int jobs_start(struct jobs *jobs, enum kvfs_job_kind kind)
{
	int error = 0;

	mutex_lock(&jobs->lock);
	if (jobs->status.state == KVFS_JOB_RUNNING) {
		mutex_unlock(&jobs->lock);
		return -EBUSY;
	}
	/* It is done: joining it does not wait for more than its last lines,
	 * which take the lock no more. */
	if (jobs->started)
		pthread_join(jobs->thread, NULL);
	problems_clear_locked(jobs);
	atomic_store(&jobs->cancelled, false);
	jobs->status = (struct kvfs_job_status){
		.kind = kind,
		.state = KVFS_JOB_RUNNING,
		.id = jobs->status.id + 1,
	};
	error = -pthread_create(&jobs->thread, NULL, job_main, jobs);
	jobs->started = !error;
	if (error) {
		jobs->status.state = KVFS_JOB_DONE;
		jobs->status.result = error;
	}
	mutex_unlock(&jobs->lock);
	return error;
}

void jobs_status(struct jobs *jobs, struct kvfs_job_status *ret_status)
{
	mutex_lock(&jobs->lock);
	*ret_status = jobs->status;
	mutex_unlock(&jobs->lock);
}

static void copy_text(char *dst, size_t size, const char *src)
{
	size_t length = src ? strnlen(src, size - 1) : 0;

	if (length)
		memcpy(dst, src, length);
	dst[length] = 0;
}

int jobs_problem(struct jobs *jobs, uint64_t index,
		 struct kvfs_job_problem *ret_problem)
{
	int error = -ENODATA;

	mutex_lock(&jobs->lock);
	if (index < jobs->kept_count) {
		const struct problem *problem = &jobs->problems[index];

		*ret_problem = (struct kvfs_job_problem){
			.index = index,
			.ino = problem->ino,
			.kind = problem->kind,
			.has_path = problem->path != NULL,
		};
		copy_text(ret_problem->path, sizeof(ret_problem->path),
			  problem->path);
		copy_text(ret_problem->what, sizeof(ret_problem->what),
			  problem->what);
		error = 0;
	}
	mutex_unlock(&jobs->lock);
	return error;
}

void jobs_cancel(struct jobs *jobs)
{
	atomic_store(&jobs->cancelled, true);
}
