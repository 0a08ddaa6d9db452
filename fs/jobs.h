/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Compaction, checks and scrubs of a mounted store, on demand, in the background: one
 * at a time, watched and stopped through fs/ioctl.h. No libfuse.
 */

#include "fs/fs.h"
#include "fs/ioctl.h"

struct jobs;

/* 0 or -ENOMEM. The fs must outlive the jobs. */
int jobs_new(struct fs *fs, struct jobs **ret_jobs);
/* Stops a running job, waits for it, frees. NULL is allowed. */
void jobs_free(struct jobs *jobs);

struct job_how {
	uint64_t rate_bytes; /* a second, of a scrub; 0: no limit */
	bool resume; /* a check or scrub: go on where the last one stopped */
};

/* 0, -EBUSY while another runs, -EAGAIN without a thread for it. */
int jobs_start(struct jobs *jobs, enum kvfs_job_kind kind,
	       const struct job_how *how);
/* Goes on with a scrub that the end of the last mount has ended. Not being able
 * to is logged by nobody: another can be started. */
void jobs_resume(struct jobs *jobs);

/* What scrubs and checks have found since the mount. */
struct jobs_figures {
	uint64_t scrub_count;         /* that came to their end */
	uint64_t scrub_problem_count; /* of the last one */
	uint64_t check_problem_count; /* of the last check */
	int64_t scrub_time_s;         /* Unix time; 0: none */
	uint64_t scrub_bytes;         /* read by all of them */
};
void jobs_figures(struct jobs *jobs, struct jobs_figures *ret_figures);
void jobs_status(struct jobs *jobs, struct kvfs_job_status *ret_status);
/* Problem `index` of the last check. 0, -ENODATA. */
int jobs_problem(struct jobs *jobs, uint64_t index,
		 struct kvfs_job_problem *ret_problem);
void jobs_cancel(struct jobs *jobs);
