/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A thread that empties dropped partitions (fs/partition.h) while the mount
 * goes on: once at its start, for what an earlier mount left, and whenever it
 * is woken. No libfuse.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"

struct dropper;

struct dropper_settings {
	struct fs *fs;
	/* Whether the kernel knows the inode still. */
	bool (*is_known)(void *ctx, uint64_t ino);
	void *ctx;
};

/* 0, -ENOMEM, -EAGAIN without a thread for it. */
int dropper_new(const struct dropper_settings *settings,
		struct dropper **ret_dropper);
/* Stops it, waits for it, frees: what is left is for the next mount. NULL is
 * allowed. */
void dropper_free(struct dropper *dropper);

/* Something was dropped, now or before the mount: nothing is done before the
 * first one. */
void dropper_wake(struct dropper *dropper);
