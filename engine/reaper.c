/* SPDX-License-Identifier: MIT */

/*
 * The reaper's list and thread. Invariants, under the lock:
 *  1. What is in the list belongs to the reaper alone.
 *  2. While it is busy, what it took is no longer in the list; the lock is not
 *     held meanwhile.
 *  3. Nothing is added once it is stopping.
 */

#include "engine/reaper.h"

#include <assert.h>
#include <stddef.h>

#include "engine/thread.h"

void reaper_init(struct reaper *reaper)
{
	mutex_init(&reaper->lock);
	condition_init(&reaper->wanted);
	condition_init(&reaper->settled);
}

void reaper_release(struct reaper *reaper)
{
	assert(!reaper->running && !reaper->head);
	condition_release(&reaper->settled);
	condition_release(&reaper->wanted);
	mutex_release(&reaper->lock);
}

/* All that waits, or NULL: the end. */
static struct reaped *take_all(struct reaper *reaper)
{
	struct reaped *all;

	mutex_lock(&reaper->lock);
	reaper->busy = false;
	if (!reaper->head)
		condition_wake_all(&reaper->settled);
	while (!reaper->head && !reaper->stopping)
		condition_wait(&reaper->wanted, &reaper->lock);
	all = reaper->head;
	reaper->head = NULL;
	reaper->busy = all != NULL;
	mutex_unlock(&reaper->lock);
	return all;
}

static void *reaper_run(void *ctx)
{
	struct reaper *reaper = ctx;
	struct reaped *all, *next;

	while ((all = take_all(reaper))) {
		for (; all; all = next) {
			next = all->next;
			all->free(all);
		}
	}
	return NULL;
}

int reaper_start(struct reaper *reaper)
{
	int error = thread_start(&reaper->thread, 0, reaper_run, reaper);

	mutex_lock(&reaper->lock);
	reaper->running = error == 0;
	mutex_unlock(&reaper->lock);
	return error;
}

void reaper_stop(struct reaper *reaper)
{
	bool running;

	mutex_lock(&reaper->lock);
	running = reaper->running;
	reaper->stopping = true;
	condition_wake_one(&reaper->wanted);
	mutex_unlock(&reaper->lock);
	if (!running)
		return;
	pthread_join(reaper->thread, NULL);
	mutex_lock(&reaper->lock);
	reaper->running = false;
	mutex_unlock(&reaper->lock);
}

bool reaper_give(struct reaper *reaper, struct reaped *reaped)
{
	bool taken;

	mutex_lock(&reaper->lock);
	taken = reaper->running && !reaper->stopping;
	if (taken) {
		reaped->next = reaper->head;
		reaper->head = reaped;
	}
	mutex_unlock(&reaper->lock);
	/* Now, not before: it would find the lock held, and sleep again. */
	if (taken)
		condition_wake_one(&reaper->wanted);
	return taken;
}

void reaper_drain(struct reaper *reaper)
{
	mutex_lock(&reaper->lock);
	while (reaper->head || reaper->busy)
		condition_wait(&reaper->settled, &reaper->lock);
	mutex_unlock(&reaper->lock);
}
