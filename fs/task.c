/* SPDX-License-Identifier: MIT */

/*
 * Tasks: requests that a worker may answer. Waking a worker costs more than a
 * cheap request, so a request goes there only when it is known to take long
 * (its caller says so) or when requests of its kind took long lately: then the
 * index or the data are cold, and the dispatcher would wait for the disk while
 * others wait for the dispatcher. The average is a decaying one, kept for
 * tasks of either place, and has hysteresis.
 *
 * Syncs have a thread of their own, one: what comes while it waits for the disk
 * waits for it, and all of that is durable with the next wait. Threads for each
 * would be woken for each, and again when the one that leads is done.
 *
 * Invariant: a task that could not be given to a worker is run here, but for
 * those of the seekers, which could wait for the dispatcher itself.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/mount.h"

/* A wake-up costs some 15 us; what is in memory takes less than that. */
#define PACE_SLOW_NS 60000u
#define PACE_FAST_NS 30000u

static void pace_record(struct pace *pace, uint64_t time_ns)
{
	uint64_t average =
		atomic_load_explicit(&pace->average_ns, memory_order_relaxed);

	/* Two threads may both update; losing one of them does not matter. */
	average = average - average / 8 + time_ns / 8;
	atomic_store_explicit(&pace->average_ns, average, memory_order_relaxed);
	if (average > PACE_SLOW_NS)
		atomic_store_explicit(&pace->slow, true, memory_order_relaxed);
	else if (average < PACE_FAST_NS)
		atomic_store_explicit(&pace->slow, false, memory_order_relaxed);
}

static bool pace_is_slow(struct pace *pace)
{
	return atomic_load_explicit(&pace->slow, memory_order_relaxed);
}

static void task_run(struct task *task)
{
	struct pace *pace = &task->request.mount->paces[task->request.op];
	uint64_t begin_ns = time_now_ns();

	task->run(task);
	pace_record(pace, time_now_ns() - begin_ns);
}

static void run_on_worker(struct work *work)
{
	struct task *task = (struct task *)work;
	struct mount *mount = task->request.mount;
	bool is_seek = task->place == TASK_SEEKER;

	task_run(task);
	if (is_seek)
		atomic_fetch_sub(&mount->seek_count, 1);
	if (task->buffer.mem)
		channel_buffer_put(&mount->channel, &task->buffer);
	free(task);
}

static struct worker_pool *pool_for(struct mount *mount, enum task_place place)
{
	if (place == TASK_SEEKER)
		return mount->seekers;
	return place == TASK_SYNCER ? mount->syncers : mount->workers;
}

static bool submit(const struct task *task)
{
	struct mount *mount = task->request.mount;
	struct worker_pool *pool = pool_for(mount, task->place);
	size_t name_size = task->name ? strlen(task->name) + 1 : 0;
	struct task *copy = malloc(sizeof(*copy) + name_size);

	if (!copy)
		return false;
	*copy = *task;
	if (name_size) {
		memcpy(copy + 1, task->name, name_size);
		copy->name = (const char *)(copy + 1);
	}
	copy->on_worker = true;
	copy->work.run = run_on_worker;
	copy->work.size_bytes = sizeof(*copy) + name_size;
	if (task->data) {
		copy->work.size_bytes += task->size;
		copy->buffer = *channel_buffer(&mount->channel);
	}
	/* From then on the worker may be done with the buffer at any time, so
	 * it is taken before; and given back when it does not come to that. */
	if (task->data)
		channel_buffer_take(&mount->channel);
	if (worker_submit(pool, &copy->work))
		return true;
	if (task->data)
		channel_buffer_untake(&mount->channel);
	free(copy);
	return false;
}

static void seek_start(struct task *task)
{
	struct mount *mount = task->request.mount;

	atomic_fetch_add(&mount->seek_count, 1);
	if (submit(task))
		return;
	atomic_fetch_sub(&mount->seek_count, 1);
	reply_error(&task->request, -EAGAIN);
}

void task_start(struct task *task, enum task_place place)
{
	struct request *request = &task->request;

	task->on_worker = false;
	task->buffer.mem = NULL;
	task->place = place;
	if (place == TASK_SEEKER) {
		seek_start(task);
		return;
	}
	if (place == TASK_PACED &&
	    pace_is_slow(&request->mount->paces[request->op]))
		place = TASK_WORKER;
	if (place == TASK_HERE || place == TASK_PACED || !submit(task))
		task_run(task);
}

void *task_scratch(const struct task *task, size_t size)
{
	if (!task->on_worker && size <= SCRATCH_BYTES)
		return task->request.mount->scratch;
	return malloc(size);
}

void task_scratch_release(const struct task *task, void *scratch)
{
	if (scratch != task->request.mount->scratch)
		free(scratch);
}
