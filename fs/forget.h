/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Deleting what is unlinked and used no more, behind the requests' back. The
 * dispatcher hands over inodes that the kernel forgot; a thread gathers some
 * for a few milliseconds, so that it is not woken for each, then has the core
 * delete them. No libfuse.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct forgetter;

struct forgetter_settings {
	/* Does the kernel know the inode, after all? A forget takes back some
	 * lookups, not necessarily the last. */
	bool (*is_known)(void *ctx, uint64_t ino);
	/* fs_forget_all, as a rule. */
	void (*forget)(void *ctx, const uint64_t *inos, size_t count);
	void *ctx;
};

/* 0, -ENOMEM, -EAGAIN. */
int forgetter_new(const struct forgetter_settings *settings,
		  struct forgetter **ret_forgetter);
/* Does what was handed over, ends the thread, frees. NULL is allowed. */
void forgetter_free(struct forgetter *forgetter);

/* When too many wait, the caller does this one itself. */
void forgetter_add(struct forgetter *forgetter, uint64_t ino);

/* Whether some that were handed over are not dealt with yet. */
bool forgetter_is_busy(struct forgetter *forgetter);
/* Waits until what was handed over before is dealt with, or for so long. */
void forgetter_drain(struct forgetter *forgetter, unsigned int timeout_ms);
