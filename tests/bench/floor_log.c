/* SPDX-License-Identifier: MIT */
/*
 * The plain log of floorfs.
 *
 * 1. The file is preallocated ahead of the appends, as a store's would be.
 * 2. Waiters gather in a list while a sync runs; the next sync takes them all.
 *    `lock` guards the list and nothing else, and is not held while syncing.
 */

#include "tests/bench/floor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "engine/lock.h"

#define PREALLOCATED ((off_t)64 << 20)
#define WAITER_MAX 1024

struct record {
	uint32_t kind;
	uint32_t checksum; /* its place; a floor does not compute one */
	uint64_t ino;
	uint32_t name_size;
	uint32_t data_size;
};

struct floor_log {
	/* constant after open */
	int fd;
	floor_log_done *done;
	pthread_t thread;
	/* guarded by the caller of floor_log_append */
	off_t end;
	off_t allocated;
	/* guarded by lock */
	struct mutex lock;
	struct condition changed;
	size_t count;
	bool closing;
	void *waiters[WAITER_MAX];
};

static void sync_once(struct floor_log *log,
		      void **waiters) NO_THREAD_SAFETY_ANALYSIS
{
	size_t count = log->count;
	int error;

	memcpy(waiters, log->waiters, count * sizeof(*waiters));
	log->count = 0;
	mutex_unlock(&log->lock);
	error = fdatasync(log->fd) ? -errno : 0;
	for (size_t i = 0; i < count; i++)
		log->done(waiters[i], error);
	mutex_lock(&log->lock);
	condition_wake_all(&log->changed);
}

static void *sync_loop(void *arg)
{
	struct floor_log *log = arg;
	void *waiters[WAITER_MAX];

	mutex_lock(&log->lock);
	while (!log->closing || log->count > 0) {
		if (log->count > 0)
			sync_once(log, waiters);
		else
			condition_wait(&log->changed, &log->lock);
	}
	mutex_unlock(&log->lock);
	return NULL;
}

int floor_log_open(const char *path, floor_log_done *done,
		   struct floor_log **ret_log)
{
	struct floor_log *log = calloc(1, sizeof(*log));
	int error;

	if (!log)
		return -ENOMEM;
	log->done = done;
	log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (log->fd < 0) {
		error = -errno;
		free(log);
		return error;
	}
	mutex_init(&log->lock);
	condition_init(&log->changed);
	error = -pthread_create(&log->thread, NULL, sync_loop, log);
	if (error) {
		close(log->fd);
		free(log);
		return error;
	}
	*ret_log = log;
	return 0;
}

void floor_log_close(struct floor_log *log)
{
	if (!log)
		return;
	mutex_lock(&log->lock);
	log->closing = true;
	condition_wake_all(&log->changed);
	mutex_unlock(&log->lock);
	pthread_join(log->thread, NULL);
	condition_release(&log->changed);
	mutex_release(&log->lock);
	close(log->fd);
	free(log);
}

static int log_allocate(struct floor_log *log, off_t end)
{
	while (end > log->allocated) {
		if (fallocate(log->fd, 0, log->allocated, PREALLOCATED) != 0 &&
		    errno != EOPNOTSUPP)
			return -errno;
		log->allocated += PREALLOCATED;
	}
	return 0;
}

/* The iovec's base is not const, though pwritev changes nothing there. */
static struct iovec piece(const void *data, size_t size)
{
	struct iovec iov = { .iov_len = size };

	memcpy(&iov.iov_base, &data, sizeof(data));
	return iov;
}

int floor_log_append(struct floor_log *log, uint32_t kind, uint64_t ino,
		     const char *name, const void *data, size_t size)
{
	size_t name_size = name ? strlen(name) : 0;
	struct record record = { .kind = kind,
				 .ino = ino,
				 .name_size = (uint32_t)name_size,
				 .data_size = (uint32_t)size };
	struct iovec iov[3] = {
		{ .iov_base = &record, .iov_len = sizeof(record) },
		piece(name, name_size),
		piece(data, size),
	};
	ssize_t total = (ssize_t)(sizeof(record) + name_size + size);
	ssize_t n;
	int error;

	if (!log)
		return 0;
	error = log_allocate(log, log->end + total);
	if (error)
		return error;
	n = pwritev(log->fd, iov, 3, log->end);
	if (n != total)
		return n < 0 ? -errno : -ENOSPC;
	log->end += total;
	return 0;
}

void floor_log_sync(struct floor_log *log, void *waiter)
{
	mutex_lock(&log->lock);
	while (log->count == WAITER_MAX)
		condition_wait(&log->changed, &log->lock);
	log->waiters[log->count++] = waiter;
	condition_wake_all(&log->changed);
	mutex_unlock(&log->lock);
}
