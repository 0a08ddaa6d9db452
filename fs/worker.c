/* SPDX-License-Identifier: MIT */

/*
 * The worker pool: a queue, first in first out, and threads that take from it.
 *
 * Invariants, under the pool's lock:
 *  1. queued_count and queued_bytes are those of the list head..tail.
 *  2. idle_count threads wait for `wanted`; work waits in the queue only while
 *     threads are on their way to it or all thread_max of them are busy.
 *  3. busy_count threads run work; nobody holds the lock meanwhile.
 */

#include "fs/worker.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/lock.h"
#include "engine/thread.h"

/* Deeper than any path of the core or the engine, less than the usual 8 MiB. */
#define WORKER_STACK_BYTES (1u << 20)

struct worker_pool {
	/* constant after new */
	struct worker_limits limits;

	struct mutex lock;
	struct semaphore wanted;  /* posted for work, and at the end */
	struct condition settled; /* nothing is queued or running */

	/* guarded by lock */
	struct work *head;
	struct work *tail;
	size_t queued_count;
	size_t queued_bytes;
	unsigned int idle_count;
	unsigned int busy_count;
	unsigned int thread_count;
	bool ending;
	/* the first thread_count: written under the lock */
	pthread_t threads[];
};

int worker_pool_new(const struct worker_limits *limits,
		    struct worker_pool **ret_pool)
{
	struct worker_pool *pool = calloc(
		1, sizeof(*pool) + limits->thread_max * sizeof(pthread_t));

	if (!pool)
		return -ENOMEM;
	pool->limits = *limits;
	mutex_init(&pool->lock);
	semaphore_init(&pool->wanted);
	condition_init(&pool->settled);
	*ret_pool = pool;
	return 0;
}

static struct work *work_take_locked(struct worker_pool *pool)
	REQUIRES(&pool->lock)
{
	struct work *work = pool->head;

	pool->head = work->next;
	if (!pool->head)
		pool->tail = NULL;
	pool->queued_count--;
	pool->queued_bytes -= work->size_bytes;
	return work;
}

static void *worker_main(void *arg)
{
	struct worker_pool *pool = arg;

	mutex_lock(&pool->lock);
	for (;;) {
		struct work *work;

		while (!pool->head && !pool->ending) {
			pool->idle_count++;
			mutex_unlock(&pool->lock);
			semaphore_wait(&pool->wanted);
			mutex_lock(&pool->lock);
			pool->idle_count--;
		}
		if (!pool->head)
			break;
		work = work_take_locked(pool);
		pool->busy_count++;
		mutex_unlock(&pool->lock);
		work->run(work);
		mutex_lock(&pool->lock);
		pool->busy_count--;
		if (!pool->head && pool->busy_count == 0)
			condition_wake_all(&pool->settled);
	}
	mutex_unlock(&pool->lock);
	return NULL;
}

static int thread_start_locked(struct worker_pool *pool) REQUIRES(&pool->lock)
{
	int error = thread_start(&pool->threads[pool->thread_count],
				 WORKER_STACK_BYTES, worker_main, pool);

	if (!error)
		pool->thread_count++;
	return error;
}

bool worker_submit(struct worker_pool *pool, struct work *work)
{
	bool fits, wake = false;

	work->next = NULL;
	mutex_lock(&pool->lock);
	fits = pool->queued_count < pool->limits.queue_max &&
	       work->size_bytes <=
		       pool->limits.queue_max_bytes - pool->queued_bytes;
	/* Idle threads that were woken for earlier work still count as idle. */
	if (fits && pool->idle_count <= pool->queued_count &&
	    pool->thread_count < pool->limits.thread_max)
		fits = thread_start_locked(pool) == 0 || pool->thread_count > 0;
	if (fits) {
		if (pool->tail)
			pool->tail->next = work;
		else
			pool->head = work;
		pool->tail = work;
		pool->queued_count++;
		pool->queued_bytes += work->size_bytes;
		wake = pool->idle_count > 0;
	}
	mutex_unlock(&pool->lock);
	/* Now, not before: it would find the lock held, and sleep again. Who
	 * finds that the work has gone to another waits for the next. */
	if (wake)
		semaphore_post(&pool->wanted);
	return fits;
}

void worker_drain(struct worker_pool *pool)
{
	mutex_lock(&pool->lock);
	while (pool->head || pool->busy_count)
		condition_wait(&pool->settled, &pool->lock);
	mutex_unlock(&pool->lock);
}

void worker_pool_free(struct worker_pool *pool)
{
	unsigned int thread_count;

	if (!pool)
		return;
	worker_drain(pool);
	mutex_lock(&pool->lock);
	pool->ending = true;
	thread_count = pool->thread_count;
	mutex_unlock(&pool->lock);
	for (unsigned int i = 0; i < thread_count; i++)
		semaphore_post(&pool->wanted);
	for (unsigned int i = 0; i < thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	condition_release(&pool->settled);
	semaphore_release(&pool->wanted);
	mutex_release(&pool->lock);
	free(pool);
}
