/* SPDX-License-Identifier: MIT */

/*
 * One job at a time, in a thread of its own that ends with the job.
 *
 * Invariants:
 *  1. `thread` is to be joined exactly while `started` is set; the next start
 *     and the end do so.
 *  2. A scrub is noted beside the store while it is under way, so that the next
 *     mount goes on with it: until it has come to its end, or was cancelled by
 *     its user. The note is changed by the job's thread alone.
 *  3. Problems are appended by the job's thread alone and only while the state
 *     is RUNNING, under the lock, as readers come at any time.
 */

#include "fs/jobs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
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
	atomic_bool ending; /* ... by the end of the mount */

	struct mutex lock;
	/* guarded by lock */
	struct kvfs_job_status status;
	struct jobs_figures figures;
	struct job_how how; /* of the job */
	uint64_t started_ns;
	uint64_t from_bytes; /* done before it went on; UINT64_MAX: not known */
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
	atomic_store(&jobs->ending, true);
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
	uint64_t rate, started_ns, from;

	mutex_lock(&jobs->lock);
	jobs->status.done_bytes = done;
	jobs->status.total_bytes = total;
	/* A job that goes on begins with what it had done. */
	if (jobs->from_bytes == UINT64_MAX)
		jobs->from_bytes = jobs->how.resume ? done : 0;
	from = jobs->from_bytes;
	rate = jobs->how.rate_bytes;
	started_ns = jobs->started_ns;
	mutex_unlock(&jobs->lock);
	if (rate && done > from)
		job_pause(jobs, pause_ns(done - from, rate,
					 time_now_ns() - started_ns));
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

/* --- a scrub under way, noted beside the store: its rate as text --- */

static void scrub_note(struct jobs *jobs, uint64_t rate_bytes)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%" PRIu64, rate_bytes);

	(void)kv_note_store(fs_kv(jobs->fs), KV_NOTE_SCRUBBING,
			    slice_of(text, (size_t)size));
}

/* 0, 1 when none is under way. */
static int scrub_noted(struct jobs *jobs, uint64_t *ret_rate_bytes)
{
	struct buf text = { 0 };
	int error = kv_note_load(fs_kv(jobs->fs), KV_NOTE_SCRUBBING, &text);

	if (!error)
		error = buf_append(&text, "", 1);
	if (!error)
		*ret_rate_bytes = strtoull((const char *)text.data, NULL, 10);
	buf_release(&text);
	return error;
}

static int scrub_run(struct jobs *jobs, const struct job_how *how)
{
	const struct fs_check_how check_how = {
		.bytes_only = true,
		.keep = true,
		.resume = how->resume,
	};
	int result;

	scrub_note(jobs, how->rate_bytes);
	result = fs_check_as(jobs->fs, &check_how, on_problem, on_progress,
			     jobs);
	if (result != -ECANCELED || !atomic_load(&jobs->ending))
		(void)kv_note_remove(fs_kv(jobs->fs), KV_NOTE_SCRUBBING);
	return result;
}

static int check_run(struct jobs *jobs, const struct job_how *how)
{
	const struct fs_check_how check_how = {
		.keep = true,
		.resume = how->resume,
	};

	return fs_check_as(jobs->fs, &check_how, on_problem, on_progress, jobs);
}

static int job_run(struct jobs *jobs, uint32_t kind, const struct job_how *how)
{
	switch (kind) {
	case KVFS_JOB_COMPACT:
		return kv_compact(fs_kv(jobs->fs), on_progress, jobs);
	case KVFS_JOB_SCRUB:
		return scrub_run(jobs, how);
	default:
		return check_run(jobs, how);
	}
}

/* A job has come to its end. */
static void figures_count_locked(struct jobs *jobs) REQUIRES(&jobs->lock)
{
	const struct kvfs_job_status *status = &jobs->status;
	struct jobs_figures *figures = &jobs->figures;

	if (status->kind == KVFS_JOB_SCRUB && jobs->from_bytes != UINT64_MAX)
		figures->scrub_bytes += status->done_bytes - jobs->from_bytes;
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
	struct job_how how;
	uint32_t kind;
	int result;

	mutex_lock(&jobs->lock);
	kind = jobs->status.kind;
	how = jobs->how;
	mutex_unlock(&jobs->lock);
	result = job_run(jobs, kind, &how);

	mutex_lock(&jobs->lock);
	jobs->status.state = KVFS_JOB_DONE;
	/* That there are problems is told by their count. */
	jobs->status.result = result > 0 ? 0 : result;
	figures_count_locked(jobs);
	mutex_unlock(&jobs->lock);
	return NULL;
}

int jobs_start(struct jobs *jobs, enum kvfs_job_kind kind,
	       const struct job_how *how)
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
	jobs->how = *how;
	jobs->from_bytes = UINT64_MAX;
	jobs->started_ns = time_now_ns();
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

void jobs_resume(struct jobs *jobs)
{
	struct job_how how = { .resume = true };

	if (!scrub_noted(jobs, &how.rate_bytes))
		(void)jobs_start(jobs, KVFS_JOB_SCRUB, &how);
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
