/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The plain log of floorfs: each change is appended to one file with one
 * pwritev, and syncs that wait at the same time share one fdatasync. What a
 * store that keeps its promises cannot do without, and nothing else.
 */

#include <stddef.h>
#include <stdint.h>

struct floor_log;

/* Called when what was in the log before is on disk, or is not: 0 or -errno. */
typedef void floor_log_done(void *waiter, int error);

/* Makes the file anew and starts the thread that syncs it. 0 or -errno. */
int floor_log_open(const char *path, floor_log_done *done,
		   struct floor_log **ret_log);
/* NULL is allowed. */
void floor_log_close(struct floor_log *log);

/*
 * Appends an operation: a number for its kind, the node it is about, a name
 * (may be NULL) and bytes (may be NULL). The caller keeps others out. 0 or
 * -errno. With a NULL log this does nothing.
 */
int floor_log_append(struct floor_log *log, uint32_t kind, uint64_t ino,
		     const char *name, const void *data, size_t size);

/* Has done(waiter) called from the syncing thread, once. */
void floor_log_sync(struct floor_log *log, void *waiter);
