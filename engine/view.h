/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A view: what a reader needs to find every key, as it stood at one moment.
 * Reference counted and never changed once others can see it, but that the
 * active memtable goes on filling (in a pin's view there is none).
 *
 *	newest                                          oldest
 *	active | frozen[0] frozen[1] ... | runs[0] runs[1] ...
 *
 * The segments are those that any of them point into, ascending by id.
 */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/memtable.h"
#include "engine/reaper.h"
#include "engine/run.h"
#include "engine/segment.h"

/* Frozen memtables that may wait to be written. */
#define VIEW_FROZEN_MAX 8u

struct view {
	struct reaped reaped;  /* first */
	struct reaper *reaper; /* who frees it; NULL: who has it last */
	atomic_uint refs;
	struct memtable *active; /* NULL in a pin's view */
	struct memtable *frozen[VIEW_FROZEN_MAX];
	size_t frozen_count;
	struct run **runs;
	size_t run_count;
	struct run_ranges ranges; /* of the runs */
	struct segment **segments;
	size_t segment_count;
};

/*
 * A new view with one reference; takes references on all that is given. The
 * segments need not be sorted by the caller. NULL when memory is out.
 */
struct view *view_new(struct memtable *active, struct memtable *const *frozen,
		      size_t frozen_count, struct run *const *runs,
		      size_t run_count, struct segment *const *segments,
		      size_t segment_count);
struct view *view_ref(struct view *view);
/* NULL is allowed. With the last reference it is freed, and what it alone held:
 * by the reaper if it has one that runs, else before this returns. */
void view_unref(struct view *view);

/* NULL when the view has no such segment. Borrowed from the view. */
struct segment *view_segment(const struct view *view, uint64_t id);

/* What a search met on its way, for the counters. */
struct view_probe {
	bool memtable_hit;
	unsigned int bloom_skips;
	unsigned int bloom_false_matches;
};

/* Has the processor fetch, from all runs at once, what view_find is going to
 * ask them about a key one after the other. */
void view_prefetch(const struct view *view, struct slice key);

/*
 * The newest place of a key. 0 (perhaps a tombstone), 1 when no layer has it,
 * -EBADMSG or -EIO when a run that might have it cannot be read. probe is
 * added to and may be NULL. below_active: leave the active memtable out.
 */
int view_find(const struct view *view, struct slice key, bool below_active,
	      struct place *ret_place, struct view_probe *probe);

/*
 * All layers merged, from newest to oldest, tombstones included. The caller
 * keeps its reference of the view while it uses the source.
 */
struct source *view_source_new(const struct view *view);
