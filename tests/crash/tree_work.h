/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Any operations on a small tree of files, and the trees there were: a digest of
 * the whole is noted after each, so that what a power cut left can be told to be
 * one of them. Copies between files are not among the operations: they go in
 * steps.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "tests/seam/choice.h"

#define TREE_STEPS 500u
#define TREE_ORPHANS 16u

struct tree_work {
	struct choice *choice;
	struct fs *fs;
	struct fs_cred cred;
	uint64_t orphans[TREE_ORPHANS]; /* unlinked, and not forgotten */
	unsigned int orphan_count;
};

struct tree_step {
	size_t began;  /* position of the recorder before it */
	size_t synced; /* and after a sync that followed it; 0: none did */
	uint32_t tree;
};

struct tree_history {
	/* [0]: the filesystem as it was made, and synced. */
	struct tree_step steps[TREE_STEPS + 1];
	unsigned int step_count;
};

void tree_options(struct fs_options *options, struct io *io);

/* One operation; an error when it could not be. */
int tree_do(struct tree_work *work);
/* Syncs, checkpoints and compactions come and go between operations. true: all
 * is durable now. */
bool tree_keep_house(struct tree_work *work);

/* The whole tree but for access times, as one number. */
uint32_t tree_digest(struct fs *fs);

/* What a cut at this position must have left, and cannot be beyond. */
unsigned int tree_least(const struct tree_history *history, size_t position);
unsigned int tree_most(const struct tree_history *history, size_t position);
/* The youngest step from least to most that left this tree; -1: none did. */
int tree_step_of(const struct tree_history *history, uint32_t tree,
		 unsigned int least, unsigned int most);
