/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a power cut may leave of a recorded history: see record_io.h.
 *
 * The disk promised little. Of a file, its data and size as of its last sync
 * are there; of the writes since then any, in any combination, some torn. Of
 * the directory, its names as of its last sync; of the creations, renames and
 * unlinks since then any, each whole. The two know nothing of each other: a
 * file can be synced and yet have no name. A name without data is a file that
 * is empty, short or zero in places.
 */

#include "tests/seam/record_io.h"
#include "tests/seam/scratch.h"

enum power_cut_kind {
	/* The process died and the system lives: nothing is lost. */
	POWER_CUT_NOTHING_LOST,
	/* The disk lost all that it was allowed to lose. */
	POWER_CUT_SYNCED_ONLY,
	/* It lost some. */
	POWER_CUT_RANDOM,
};

struct power_cut {
	size_t at; /* this many records had happened, record_io_first up */
	enum power_cut_kind kind;

	/* For POWER_CUT_RANDOM. */
	uint64_t seed; /* the same seed makes the same directory */
	/*
	 * Writes are torn where the file's offset is a multiple of this: 512
	 * for disks with atomic sectors, 1 for the worst, 0 for not at all.
	 */
	size_t tear_bytes;
	bool keep_names; /* the directory loses nothing */
};

/*
 * Makes the files in dir_fd, which is empty. The work costs what the history
 * of the surviving files does. 0, -EEXIST, or what the system says.
 */
int power_cut_apply(struct record_io *r, const struct power_cut *cut,
		    int dir_fd);
/* The same in a new directory within `dir`, "cut" and its number. */
int power_cut_make(struct record_io *r, const struct power_cut *cut,
		   const struct scratch *dir, unsigned int number,
		   struct scratch *ret_state);

/* Any cut at first to last. random: the state of tests/seam/random.h. */
struct power_cut power_cut_random(uint64_t *random, size_t first, size_t last);

/* Prints what was wrong and all that it takes to cut so again. */
void power_cut_describe(const struct power_cut *cut, const char *what);
