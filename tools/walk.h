/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Walking a tree of keys in order: directory by directory, the names in each
 * sorted as bytes, a directory's keys where the directory's name sorts.
 *
 *	walk_init -> walk_next... until 1 -> walk_release
 *
 * Memory: a page for each directory on the way down, however many names there
 * are. Names that stay are met exactly once while others come and go.
 */

#include <stdbool.h>
#include <stddef.h>

#include "tools/key.h"
#include "tools/target.h"

/* Which keys. Zero-initialised: all. Borrowed by the walk. */
struct walk_range {
	struct slice prefix; /* of the key */
	struct slice from;   /* begin at this key */
	struct slice to;     /* end before this key */
	bool after;          /* begin strictly after `from` */
	bool shallow;        /* enter no directory beyond the prefix */
};

enum walk_event {
	WALK_FILE,  /* anything but a directory */
	WALK_ENTER, /* a directory; what is in it comes next */
	WALK_LEAVE, /* the same directory, all of it has been met */
	WALK_PASS,  /* a directory that is not entered */
};

struct walk {
	struct target *target;
	struct walk_range range;
	struct key from, to, prefix; /* the names of those keys */
	struct slice beginning;      /* of the names below prefix */
	struct walk_level *levels;
	size_t depth, capacity;
	struct buf path; /* of what was met last */
	struct buf key;
	struct buf last;

	/* After walk_next() returned 0: */
	enum walk_event event;
	const char *name;
	uint32_t mode; /* type bits */
};

/* Begins at the root of the target. On failure nothing needs a release. */
int walk_init(struct walk *walk, struct target *target,
	      const struct walk_range *range);
/* Begins in one directory, all of which is met. `path` is the directory's. */
int walk_init_below(struct walk *walk, struct target *target,
		    const struct target_dir *parent, const char *name,
		    struct slice path);
void walk_release(struct walk *walk);

/*
 * Goes on. 0, 1 at the end, or -errno for what could not be read, which
 * walk_key() then names; the walk goes on with the next name after that.
 */
int walk_next(struct walk *walk);

/* The directory that `name` is in; not for WALK_ENTER. NULL when
 * it is the one that walk_init_below() began with. */
const struct target_dir *walk_dir(const struct walk *walk);

/* The key of what was met last. Valid until walk_next(). 0 or -ENOMEM. */
int walk_key(struct walk *walk, struct slice *ret_key);
