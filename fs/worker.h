/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A few threads for what may block: syncs, large reads and writes, deletions.
 * Threads are started when work comes and none is idle, up to a limit; they
 * stay. The queue is bounded, in pieces of work and in bytes they hold: what
 * does not fit the caller does itself, which is all the back-pressure needed.
 */

#include <stdbool.h>
#include <stddef.h>

struct worker_pool;

/* To be embedded in what the work is about. */
struct work {
	void (*run)(struct work *work); /* frees or keeps it, as it likes */
	size_t size_bytes;              /* memory it holds until it has run */
	struct work *next;              /* the pool's */
};

struct worker_limits {
	unsigned int thread_max;
	size_t queue_max;
	size_t queue_max_bytes;
};

/* 0 or -ENOMEM. No thread is started yet. */
int worker_pool_new(const struct worker_limits *limits,
		    struct worker_pool **ret_pool);
/* Waits for all work, ends the threads, frees. NULL is allowed. */
void worker_pool_free(struct worker_pool *pool);

/*
 * Has a thread run the work, some time. false: it does not fit, or no thread
 * can be started; nothing was done and the work is still the caller's.
 */
bool worker_submit(struct worker_pool *pool, struct work *work);

/* Waits until no work is queued or running. */
void worker_drain(struct worker_pool *pool);
