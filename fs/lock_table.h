/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Locks of inodes, as a fixed table of stripes: the lock of an inode is the one
 * its number hashes to. A descriptor per inode would have to be counted, found
 * and freed; a stripe is just there. Two inodes may share one, so nobody may
 * lock an inode while holding another: who needs several takes them at once as
 * a set, which sorts them and counts each stripe once.
 *
 * Changing an inode needs its lock. Reading one key needs none, as the engine
 * gives one moment's value. Reading several keys that belong together (the size
 * in the inode and the blocks) is done without the lock too, and checked
 * afterwards: each stripe counts its holders, and when the count has moved the
 * reader reads again. Readers thus never hold up writers, not even during a
 * cold read. And a holder may have to wait for the disk: it tells which inode
 * it is there for, so that readers of others in its stripe go on.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/lock.h"

#define LOCK_STRIPE_COUNT 1024u
/* No inode's number. */
#define LOCK_FOR_SEVERAL UINT64_MAX
/* Enough for rename: two directories, what moves and what is replaced. */
#define LOCK_SET_MAX 4u

/* A cache line each, so that neighbours do not slow each other down. */
struct lock_stripe {
	_Alignas(64) struct mutex mutex;
	/* Odd while the lock is held. */
	atomic_uint_fast64_t changes;
	/* While it is: the inode it is held for, LOCK_FOR_SEVERAL for more. */
	atomic_uint_fast64_t holder;
};

struct lock_table {
	struct lock_stripe *stripes;
};

/* -ENOMEM. */
int lock_table_init(struct lock_table *table);
void lock_table_release(struct lock_table *table);

/* Inodes to lock together. Zero-initialised is the empty set. */
struct lock_set {
	unsigned int count;
	uint16_t stripes[LOCK_SET_MAX]; /* ascending, each once */
	uint64_t holders[LOCK_SET_MAX]; /* of each stripe, as in lock_stripe */
};

/* Adds the stripe of an inode unless it is in the set. At most LOCK_SET_MAX
 * inodes. */
void lock_set_add(struct lock_set *set, uint64_t ino);

/* Takes all locks of the set, in the one order that all callers share. The
 * caller holds no other inode lock. */
void lock_table_lock(struct lock_table *table, const struct lock_set *set);
void lock_table_unlock(struct lock_table *table, const struct lock_set *set);

/* Any number of inodes to lock together: a bit for each stripe.
 * Zero-initialised is the empty set. */
struct lock_mask {
	uint64_t bits[LOCK_STRIPE_COUNT / 64];
};

void lock_mask_add(struct lock_mask *mask, uint64_t ino);
/* As for a set. */
void lock_table_lock_mask(struct lock_table *table,
			  const struct lock_mask *mask);
void lock_table_unlock_mask(struct lock_table *table,
			    const struct lock_mask *mask);

/* The same for a single inode. */
void lock_table_lock_one(struct lock_table *table, uint64_t ino);
void lock_table_unlock_one(struct lock_table *table, uint64_t ino);

/*
 * Begins reading without the lock: false when somebody changes the inode, or
 * may do so, else true with the count to pass to lock_table_read_valid() when
 * everything was read; that tells whether it belongs together.
 */
bool lock_table_read_begin(struct lock_table *table, uint64_t ino,
			   uint64_t *ret_count);
bool lock_table_read_valid(struct lock_table *table, uint64_t ino,
			   uint64_t count);
/*
 * The same for who took the lock afterwards: nobody else held it between
 * lock_table_read_begin() and now, so what was read then is still true.
 */
bool lock_table_held_since(struct lock_table *table, uint64_t ino,
			   uint64_t count);
