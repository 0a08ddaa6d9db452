/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Putting right what a check finds, where there is one right way:
 *
 *	a name that leads nowhere	goes
 *	an inode that is gone, with blocks, entries or attributes left of it
 *					is made anew of them
 *	a block missing under fragments	becomes an empty one
 *	a fragment that nobody counts	goes to /lost+found: #NUMBER-OFFSET
 *	a name with one of its two records lost or wrong	both are written anew
 *	an inode that no name leads to	gets one in /lost+found: #NUMBER
 *	counts of links, blocks, attributes	are those that were counted
 *
 * Damaged bytes stay as they are: reading them is an error, and what they were
 * nobody knows. Each repair is one batch of the store. No libfuse.
 */

#include "fs/fs.h"

#define FS_LOST_FOUND "lost+found"

/* Called for each problem: `done` says what was done about it, NULL: nothing
 * can be. */
typedef void fs_repair_fn(void *ctx, const struct fs_problem *problem,
			  const char *done);

/*
 * Checks and repairs, as often as repairs bring problems to light that others
 * hid. Nobody else works on the filesystem meanwhile. 0 sound, 1 when all that
 * was wrong was repaired, 2 when something is left; -errno as fs_check().
 */
int fs_repair(struct fs *fs, fs_repair_fn *fn, kv_progress_fn *progress,
	      void *ctx);
