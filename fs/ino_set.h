/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A set of inode numbers in memory: the inodes that are unlinked and not yet
 * forgotten, or emptied and not yet written. Its size is bounded by what programs hold open after unlinking.
 * Any thread may call any function; ino_set_has() on an empty set, which every
 * forget asks, takes no lock.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lock.h"

struct ino_set {
	struct mutex lock;
	/* Atomic. */
	atomic_size_t count;
	/* Guarded by lock. A hash table with linear probing; 0 is a free slot, as no inode has
	 * that number. A power of two, at most half full. */
	uint64_t *slots;
	size_t capacity;
};

void ino_set_init(struct ino_set *set);
void ino_set_release(struct ino_set *set);
/* 0, also when it is in the set already, or -ENOMEM. */
int ino_set_add(struct ino_set *set, uint64_t ino);
/* True when it was in the set. */
bool ino_set_remove(struct ino_set *set, uint64_t ino);
bool ino_set_has(struct ino_set *set, uint64_t ino);
/* One of them; false when there is none. */
bool ino_set_first(struct ino_set *set, uint64_t *ret_ino);
