/* SPDX-License-Identifier: MIT */

/*
 * Striped inode locks. Invariants:
 *	1. A thread takes its stripes in ascending order and all at once, so no
 *	   two threads can wait for each other.
 *	2. A stripe's count is odd exactly while its mutex is held. A reader who
 *	   saw the same even count before and after saw no part of a change
 *	   that the count's holder made: the change became visible between
 *	   the two steps of the count. Was the count odd, it saw none either
 *	   if that holder is there for another inode.
 *	3. The holder is named before the count is odd, so who sees an odd count
 *	   twice, and a name between, knows whose it is.
 */

#include "fs/lock_table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

int lock_table_init(struct lock_table *table)
{
	unsigned int i;

	table->stripes =
		aligned_alloc(_Alignof(struct lock_stripe),
			      LOCK_STRIPE_COUNT * sizeof(struct lock_stripe));
	if (!table->stripes)
		return -ENOMEM;
	for (i = 0; i < LOCK_STRIPE_COUNT; i++) {
		mutex_init(&table->stripes[i].mutex);
		atomic_init(&table->stripes[i].changes, 0);
		atomic_init(&table->stripes[i].holder, 0);
	}
	return 0;
}

void lock_table_release(struct lock_table *table)
{
	unsigned int i;

	if (!table->stripes)
		return;
	for (i = 0; i < LOCK_STRIPE_COUNT; i++)
		mutex_release(&table->stripes[i].mutex);
	free(table->stripes);
	table->stripes = NULL;
}

/* Fibonacci hashing: neighbouring numbers, as one directory's files have, land
 * far apart. */
static uint16_t stripe_of(uint64_t ino)
{
	return (uint16_t)((ino * 0x9e3779b97f4a7c15u) >> 54);
}

_Static_assert(LOCK_STRIPE_COUNT == 1u << 10, "stripe_of() takes ten bits");

static void stripe_lock(struct lock_stripe *stripe,
			uint64_t holder) NO_THREAD_SAFETY_ANALYSIS
{
	mutex_lock(&stripe->mutex);
	atomic_store(&stripe->holder, holder);
	atomic_fetch_add(&stripe->changes, 1);
}

static void stripe_unlock(struct lock_stripe *stripe) NO_THREAD_SAFETY_ANALYSIS
{
	atomic_fetch_add(&stripe->changes, 1);
	mutex_unlock(&stripe->mutex);
}

void lock_set_add(struct lock_set *set, uint64_t ino)
{
	uint16_t stripe = stripe_of(ino);
	unsigned int at = set->count;
	unsigned int i;

	for (i = 0; i < set->count; i++) {
		if (set->stripes[i] == stripe) {
			if (set->holders[i] != ino)
				set->holders[i] = LOCK_FOR_SEVERAL;
			return;
		}
	}
	assert(set->count < LOCK_SET_MAX);
	while (at > 0 && set->stripes[at - 1] > stripe) {
		set->stripes[at] = set->stripes[at - 1];
		set->holders[at] = set->holders[at - 1];
		at--;
	}
	set->stripes[at] = stripe;
	set->holders[at] = ino;
	set->count++;
}

void lock_table_lock(struct lock_table *table, const struct lock_set *set)
{
	unsigned int i;

	for (i = 0; i < set->count; i++)
		stripe_lock(&table->stripes[set->stripes[i]], set->holders[i]);
}

void lock_table_unlock(struct lock_table *table, const struct lock_set *set)
{
	unsigned int i;

	for (i = set->count; i > 0; i--)
		stripe_unlock(&table->stripes[set->stripes[i - 1]]);
}

void lock_mask_add(struct lock_mask *mask, uint64_t ino)
{
	unsigned int stripe = stripe_of(ino);

	mask->bits[stripe / 64] |= (uint64_t)1 << stripe % 64;
}

static bool mask_has(const struct lock_mask *mask, unsigned int stripe)
{
	return mask->bits[stripe / 64] >> stripe % 64 & 1;
}

void lock_table_lock_mask(struct lock_table *table,
			  const struct lock_mask *mask)
{
	unsigned int i;

	for (i = 0; i < LOCK_STRIPE_COUNT; i++) {
		if (mask_has(mask, i))
			stripe_lock(&table->stripes[i], LOCK_FOR_SEVERAL);
	}
}

void lock_table_unlock_mask(struct lock_table *table,
			    const struct lock_mask *mask)
{
	unsigned int i;

	for (i = LOCK_STRIPE_COUNT; i > 0; i--) {
		if (mask_has(mask, i - 1))
			stripe_unlock(&table->stripes[i - 1]);
	}
}

void lock_table_lock_one(struct lock_table *table, uint64_t ino)
{
	stripe_lock(&table->stripes[stripe_of(ino)], ino);
}

void lock_table_unlock_one(struct lock_table *table, uint64_t ino)
{
	stripe_unlock(&table->stripes[stripe_of(ino)]);
}

bool lock_table_read_begin(struct lock_table *table, uint64_t ino,
			   uint64_t *ret_count)
{
	struct lock_stripe *stripe = &table->stripes[stripe_of(ino)];
	uint64_t count = atomic_load(&stripe->changes);
	uint64_t holder = atomic_load(&stripe->holder);

	*ret_count = count;
	if ((count & 1) == 0)
		return true;
	/* Named by another than was counted, it tells nothing. */
	return holder != ino && holder != LOCK_FOR_SEVERAL &&
	       lock_table_read_valid(table, ino, count);
}

bool lock_table_read_valid(struct lock_table *table, uint64_t ino,
			   uint64_t count)
{
	return atomic_load(&table->stripes[stripe_of(ino)].changes) == count;
}

bool lock_table_held_since(struct lock_table *table, uint64_t ino,
			   uint64_t count)
{
	/* The one step is the holder's own. */
	return lock_table_read_valid(table, ino, count + 1);
}
