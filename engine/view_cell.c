/* SPDX-License-Identifier: MIT */

/*
 * 1. A slot's `use` is 0 while nobody has the slot; else the view that its user
 *    looks at, and with COUNTED a reference on that is the user's.
 * 2. A user has the view only once it has seen that it was still the current one
 *    after the slot said so. Who replaces the view looks at the slots after
 *    doing so. Of the two one sees the other: hence the sequential order.
 * 3. What a slot counts is added to by its user alone.
 */

#include "engine/view_cell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/counter.h"

/* More threads than that at a time count references. */
#define SLOT_COUNT 64u
#define SLOT_TRIES 4u
/* Views are aligned to more than that. */
#define COUNTED ((uintptr_t)1)
/* No two threads write to one. */
#define CACHE_LINE_BYTES 64u

struct slot_counts {
	atomic_uint_fast64_t lookups, misses, memtable_hits;
	atomic_uint_fast64_t bloom_skips, bloom_false_matches;
};

struct view_slot {
	_Alignas(CACHE_LINE_BYTES) atomic_uintptr_t use;
	struct slot_counts counts;
};

/* The last one is no slot: it counts for all who have none. */
#define SLOT_SHARED SLOT_COUNT

int view_cell_init(struct view_cell *cell)
{
	size_t size = (SLOT_COUNT + 1) * sizeof(*cell->slots);

	cell->slots = aligned_alloc(CACHE_LINE_BYTES, size);
	if (!cell->slots)
		return -ENOMEM;
	memset(cell->slots, 0, size);
	atomic_init(&cell->now, NULL);
	mutex_init(&cell->lock);
	return 0;
}

void view_cell_release(struct view_cell *cell)
{
	if (!cell->slots)
		return;
	view_unref(view_cell_peek(cell));
	mutex_release(&cell->lock);
	free(cell->slots);
}

struct view *view_cell_ref(struct view_cell *cell)
{
	struct view *view;

	mutex_lock(&cell->lock);
	view = view_ref(atomic_load_explicit(&cell->now, memory_order_relaxed));
	mutex_unlock(&cell->lock);
	return view;
}

/* For a user of `view`, which is not current any more: a reference. */
static void slot_hand_over(struct view_slot *slot, struct view *view)
{
	uintptr_t use = (uintptr_t)view;

	if (atomic_load(&slot->use) != use)
		return;
	view_ref(view);
	if (!atomic_compare_exchange_strong(&slot->use, &use, use | COUNTED))
		view_unref(view);
}

void view_cell_replace(struct view_cell *cell, struct view *next)
{
	struct view *old;

	mutex_lock(&cell->lock);
	old = atomic_exchange(&cell->now, next);
	mutex_unlock(&cell->lock);
	if (!old)
		return;
	for (unsigned int i = 0; i < SLOT_COUNT; i++)
		slot_hand_over(&cell->slots[i], old);
	view_unref(old);
}

/* Threads begin to look for a free slot at different ones. */
static unsigned int first_slot(void)
{
	static atomic_uint numbers;
	static _Thread_local unsigned int number;

	if (!number)
		number = atomic_fetch_add_explicit(&numbers, 1,
						   memory_order_relaxed) %
				 SLOT_COUNT +
			 1;
	return number - 1;
}

/* A free slot, which says `view` now. NULL: none was found. */
static struct view_slot *slot_take(struct view_cell *cell, struct view *view)
{
	unsigned int first = first_slot();

	for (unsigned int i = 0; i < SLOT_TRIES; i++) {
		struct view_slot *slot = &cell->slots[(first + i) % SLOT_COUNT];
		uintptr_t use = 0;

		if (atomic_compare_exchange_strong(&slot->use, &use,
						   (uintptr_t)view))
			return slot;
	}
	return NULL;
}

static void slot_leave(struct view_slot *slot, struct view *view)
{
	uintptr_t use = (uintptr_t)view;

	if (atomic_compare_exchange_strong_explicit(&slot->use, &use, 0,
						    memory_order_release,
						    memory_order_acquire))
		return;
	/* It was handed over: now there is a reference, and it is ours. */
	atomic_store_explicit(&slot->use, 0, memory_order_release);
	view_unref(view);
}

void view_use_begin(struct view_use *use, struct view_cell *cell)
{
	struct view *view = atomic_load(&cell->now);

	while ((use->slot = slot_take(cell, view))) {
		struct view *now = atomic_load(&cell->now);

		if (now == view) {
			use->view = view;
			return;
		}
		slot_leave(use->slot, view);
		view = now;
	}
	use->view = view_cell_ref(cell);
}

void view_use_of(struct view_use *use, struct view *view)
{
	*use = (struct view_use){ view_ref(view), NULL };
}

void view_use_end(struct view_use *use)
{
	if (use->slot)
		slot_leave(use->slot, use->view);
	else
		view_unref(use->view);
}

/* What is counted in a slot, its user alone counts there. */
static void count(const struct view_use *use, atomic_uint_fast64_t *counter,
		  uint64_t n)
{
	if (n && use->slot)
		counter_add_alone(counter, n);
	else if (n)
		counter_add(counter, n);
}

void view_use_count(const struct view_use *use, struct view_cell *cell,
		    const struct view_probe *probe, bool missed)
{
	struct view_slot *slot = use->slot ? use->slot :
					     &cell->slots[SLOT_SHARED];
	struct slot_counts *c = &slot->counts;

	count(use, &c->lookups, 1);
	count(use, &c->misses, missed);
	count(use, &c->memtable_hits, probe->memtable_hit);
	count(use, &c->bloom_skips, probe->bloom_skips);
	count(use, &c->bloom_false_matches, probe->bloom_false_matches);
}

struct view_counts view_cell_counts(struct view_cell *cell)
{
	struct view_counts sum = { 0 };

	for (unsigned int i = 0; i <= SLOT_SHARED; i++) {
		struct slot_counts *c = &cell->slots[i].counts;

		sum.lookups += atomic_load(&c->lookups);
		sum.misses += atomic_load(&c->misses);
		sum.memtable_hits += atomic_load(&c->memtable_hits);
		sum.bloom_skips += atomic_load(&c->bloom_skips);
		sum.bloom_false_matches += atomic_load(&c->bloom_false_matches);
	}
	return sum;
}
