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
#include <time.h>

#include "engine/lock.h"
#include "engine/thread.h"

#define PAUSE_STEP_NS 100000000u

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
	struct jobs_figures figures;
	uint64_t rate_bytes; /* of the job; 0: no limit */
	uint64_t started_ns;
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

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* How long a job that has done so much is to wait, to keep to its rate. */
static uint64_t pause_ns(uint64_t done, uint64_t rate, uint64_t elapsed_ns)
{
	double due_ns = rate ? (double)done / (double)rate * 1e9 : 0;

	return due_ns > (double)elapsed_ns ?
		       (uint64_t)(due_ns - (double)elapsed_ns) :
		       0;
}

/* In short steps: a job that is cancelled ends soon. */
static void job_pause(struct jobs *jobs, uint64_t ns)
{
	while (ns && !atomic_load(&jobs->cancelled)) {
		uint64_t step = ns < PAUSE_STEP_NS ? ns : PAUSE_STEP_NS;
		struct timespec pause = { .tv_nsec = (long)step };

		nanosleep(&pause, NULL);
		ns -= step;
	}
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct jobs *jobs = ctx;
	uint64_t rate, started_ns;

	mutex_lock(&jobs->lock);
	jobs->status.done_bytes = done;
	jobs->status.total_bytes = total;
	rate = jobs->rate_bytes;
	started_ns = jobs->started_ns;
	mutex_unlock(&jobs->lock);
	if (rate)
		job_pause(jobs, pause_ns(done, rate, clock_ns() - started_ns));
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

static int job_run(struct jobs *jobs, uint32_t kind)
{
	switch (kind) {
	case KVFS_JOB_COMPACT:
		return kv_compact(fs_kv(jobs->fs), on_progress, jobs);
	case KVFS_JOB_SCRUB:
		return fs_check_as(jobs->fs, &(struct fs_check_how){ .bytes_only = true }, on_problem, on_progress, jobs);
	default:
		return fs_check(jobs->fs, on_problem, on_progress, jobs);
	}
}

/* A job has come to its end. */
static void figures_count_locked(struct jobs *jobs) REQUIRES(&jobs->lock)
{
	const struct kvfs_job_status *status = &jobs->status;
	struct jobs_figures *figures = &jobs->figures;

	if (status->kind == KVFS_JOB_SCRUB)
		figures->scrub_bytes += status->done_bytes;
	if (status->result)
		return;
	if (status->kind == KVFS_JOB_SCRUB) {
		figures->scrub_count++;
		figures->scrub_problem_count = status->problem_count;
		figures->scrub_time_s = (int64_t)time(NULL);
	} else if (status->kind == KVFS_JOB_CHECK) {
		figures->check_problem_count = status->problem_count;
	}
}

static void *job_main(void *arg)
{
	struct jobs *jobs = arg;
	uint32_t kind;
	int result;

	mutex_lock(&jobs->lock);
	kind = jobs->status.kind;
	mutex_unlock(&jobs->lock);
	result = job_run(jobs, kind);

	mutex_lock(&jobs->lock);
	jobs->status.state = KVFS_JOB_DONE;
	/* That there are problems is told by their count. */
	jobs->status.result = result > 0 ? 0 : result;
	figures_count_locked(jobs);
	mutex_unlock(&jobs->lock);
	return NULL;
}

static int start(struct jobs *jobs, enum kvfs_job_kind kind,
		 uint64_t rate_bytes)
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
	jobs->rate_bytes = rate_bytes;
	jobs->started_ns = clock_ns();
	jobs->status = (struct kvfs_job_status){
		.kind = kind,
		.state = KVFS_JOB_RUNNING,
		.id = jobs->status.id + 1,
	};
	error = thread_start(&jobs->thread, 0, job_main, jobs);
	jobs->started = !error;
	if (error) {
		jobs->status.state = KVFS_JOB_DONE;
		jobs->status.result = error;
	}
	mutex_unlock(&jobs->lock);
	return error;
}

int jobs_start(struct jobs *jobs, enum kvfs_job_kind kind)
{
	return start(jobs, kind, 0);
}

int jobs_start_scrub(struct jobs *jobs, uint64_t rate_bytes)
{
	return start(jobs, KVFS_JOB_SCRUB, rate_bytes);
}

void jobs_figures(struct jobs *jobs, struct jobs_figures *ret_figures)
{
	mutex_lock(&jobs->lock);
	*ret_figures = jobs->figures;
	mutex_unlock(&jobs->lock);
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
