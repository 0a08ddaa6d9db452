/* SPDX-License-Identifier: MIT */
#pragma once

/* What tests need to know of how inodes share locks. */

#include "fs/lock_table.h"

/* Another inode of the same stripe. */
static inline uint64_t stripe_neighbour(uint64_t ino)
{
	uint64_t other = ino;
	struct lock_set set;

	do {
		set = (struct lock_set){ 0 };
		lock_set_add(&set, ino);
		lock_set_add(&set, ++other);
	} while (set.count != 1);
	return other;
}
