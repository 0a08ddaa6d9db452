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

/*
 * One that lost its last name, which the kernel knows: if nobody has it open,
 * it is about to be handed over. Kept in mind for forgetter_drain, a few of
 * them: the kernel has its forgets in a queue of their own and may let some
 * requests pass.
 */
void forgetter_expect(struct forgetter *forgetter, uint64_t ino);

/* Whether some that were handed over, or are expected, are not dealt with. */
bool forgetter_is_busy(struct forgetter *forgetter);
/* Waits until what was handed over before, or is expected and not known any
 * more, is dealt with, or for so long. A few may wait at a time: for others it
 * does nothing. */
void forgetter_drain(struct forgetter *forgetter, unsigned int timeout_ms);
