/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The current view of a store, and who is looking at it.
 *
 * A lookup has a view for less than a microsecond, and with a reference counted
 * at its begin and end would spend a fifth of that on it, more where threads
 * look things up at a time, for they would all write to the one count. So it
 * enters the view into a slot of its own instead; whoever replaces the view
 * finds it there. These are hazard pointers (Maged M. Michael, "Hazard Pointers:
 * Safe Memory Reclamation for Lock-Free Objects", IEEE Transactions on Parallel
 * and Distributed Systems 15(6), 2004), but that nobody waits or looks again
 * later: the one who replaces the view counts a reference for each slot that has
 * it, and says so in the slot, and who leaves that slot gives it back.
 *
 * Locking: replacing is for one thread at a time, which is the caller's duty
 * (the store's write lock); all else is for any thread.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/lock.h"
#include "engine/view.h"

struct view_slot;

struct view_cell {
	_Atomic(struct view *) now;
	/* Held to count a reference on `now`, where that has to be one. */
	struct mutex lock;
	struct view_slot *slots;
};

/* A view being looked at. On the stack of who does. */
struct view_use {
	struct view *view;
	struct view_slot *slot; /* NULL: there is a reference instead */
};

/* 0 or -ENOMEM. The cell is empty. */
int view_cell_init(struct view_cell *cell);
/* Drops its view. Of a cell that was zeroed only, nothing is done. */
void view_cell_release(struct view_cell *cell);

/* The current view, borrowed: for who keeps others from replacing it. */
static inline struct view *view_cell_peek(struct view_cell *cell)
{
	return atomic_load_explicit(&cell->now, memory_order_acquire);
}

/* The same with a reference for the caller: for who keeps it for long. */
struct view *view_cell_ref(struct view_cell *cell);

/* Takes over the caller's reference of `next`. */
void view_cell_replace(struct view_cell *cell, struct view *next);

/* The current view, for a lookup. Between the two it is not freed. */
void view_use_begin(struct view_use *use, struct view_cell *cell);
/* The same with a view that is known already, which need not be current. */
void view_use_of(struct view_use *use, struct view *view);
void view_use_end(struct view_use *use);

/* What lookups have met. */
struct view_counts {
	uint64_t lookups, misses, memtable_hits;
	uint64_t bloom_skips, bloom_false_matches;
};

/* Counts a lookup in `use`. missed: there is no such key. */
void view_use_count(const struct view_use *use, struct view_cell *cell,
		    const struct view_probe *probe, bool missed);
/* All that was counted. */
struct view_counts view_cell_counts(struct view_cell *cell);
