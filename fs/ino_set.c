/* SPDX-License-Identifier: MIT */

/*
 * A set of inode numbers. Invariants:
 *	1. Every number is reachable from its home slot without crossing a free
 *	   one; removal moves later numbers up to keep that so.
 *	2. At least half of the slots are free, so every search ends.
 * Lock: set->lock, a leaf.
 */

#include "fs/ino_set.h"

#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 64u

void ino_set_init(struct ino_set *set)
{
	mutex_init(&set->lock);
	atomic_init(&set->count, 0);
	set->slots = NULL;
	set->capacity = 0;
}

void ino_set_release(struct ino_set *set)
{
	mutex_release(&set->lock);
	free(set->slots);
	set->slots = NULL;
}

static size_t home_of(uint64_t ino, size_t capacity)
{
	return (size_t)((ino * 0x9e3779b97f4a7c15u) >> 32) & (capacity - 1);
}

/* The slot that holds `ino`, or the free one where it belongs. */
static size_t slot_find(const uint64_t *slots, size_t capacity, uint64_t ino)
{
	size_t i = home_of(ino, capacity);

	while (slots[i] != 0 && slots[i] != ino)
		i = (i + 1) & (capacity - 1);
	return i;
}

static int grow(struct ino_set *set) REQUIRES(&set->lock)
{
	size_t capacity = set->capacity ? set->capacity * 2 : CAPACITY_MIN;
	uint64_t *slots = calloc(capacity, sizeof(*slots));
	size_t i;

	if (!slots)
		return -ENOMEM;
	for (i = 0; i < set->capacity; i++) {
		if (set->slots[i])
			slots[slot_find(slots, capacity, set->slots[i])] =
				set->slots[i];
	}
	free(set->slots);
	set->slots = slots;
	set->capacity = capacity;
	return 0;
}

int ino_set_add(struct ino_set *set, uint64_t ino)
{
	int error = 0;
	size_t i;

	mutex_lock(&set->lock);
	if ((atomic_load(&set->count) + 1) * 2 > set->capacity)
		error = grow(set);
	if (!error) {
		i = slot_find(set->slots, set->capacity, ino);
		if (!set->slots[i])
			atomic_fetch_add(&set->count, 1);
		set->slots[i] = ino;
	}
	mutex_unlock(&set->lock);
	return error;
}

/*
 * Closes the gap at `gap`: a number further on, before the next free slot, may
 * move into it when its home is not between the two, that is, when it is at
 * least as far from home as from the gap.
 */
static void gap_close(struct ino_set *set, size_t gap) REQUIRES(&set->lock)
{
	size_t mask = set->capacity - 1;
	size_t i = gap;
	size_t home;

	set->slots[gap] = 0;
	for (;;) {
		i = (i + 1) & mask;
		if (!set->slots[i])
			return;
		home = home_of(set->slots[i], set->capacity);
		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		set->slots[gap] = set->slots[i];
		set->slots[i] = 0;
		gap = i;
	}
}

bool ino_set_remove(struct ino_set *set, uint64_t ino)
{
	bool found = false;
	size_t i;

	mutex_lock(&set->lock);
	if (set->capacity) {
		i = slot_find(set->slots, set->capacity, ino);
		found = set->slots[i] == ino;
		if (found) {
			gap_close(set, i);
			atomic_fetch_sub(&set->count, 1);
		}
	}
	mutex_unlock(&set->lock);
	return found;
}

bool ino_set_has(struct ino_set *set, uint64_t ino)
{
	bool found = false;

	if (atomic_load(&set->count) == 0)
		return false;
	mutex_lock(&set->lock);
	if (set->capacity)
		found = set->slots[slot_find(set->slots, set->capacity, ino)] ==
			ino;
	mutex_unlock(&set->lock);
	return found;
}

bool ino_set_first(struct ino_set *set, uint64_t *ret_ino)
{
	bool found = false;

	if (atomic_load(&set->count) == 0)
		return false;
	mutex_lock(&set->lock);
	for (size_t i = 0; i < set->capacity && !found; i++) {
		found = set->slots[i] != 0;
		if (found)
			*ret_ino = set->slots[i];
	}
	mutex_unlock(&set->lock);
	return found;
}
