/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Ghosts: small files that are gone from the store with their last name, while
 * the kernel still knows them. What most programs unlink nobody has open; so it
 * need not be listed as an orphan first, and be deleted in a batch of its own
 * when the kernel forgets it. For those who do have it open its record is kept
 * in memory, and its blocks are held where they lie in the log (kv_hold).
 *
 * Who changes a ghost revives it before, as an orphan. Its memory is bounded:
 * what does not fit, or has more keys than a few, becomes an orphan at once.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/lock.h"
#include "fs/schema.h"

#define GHOST_BUCKETS 256u

struct fs;
struct ghost;
struct txn;

struct ghost_table {
	atomic_size_t count; /* 0 spares looking */
	/* How many were revived. Who finds one neither in the store nor here,
	 * and sees that change meanwhile, has to look again. */
	atomic_uint_fast64_t revived_count;
	struct mutex lock; /* a leaf */
	/* Guarded by lock; by number of inode. */
	struct ghost *buckets[GHOST_BUCKETS];
	size_t size_bytes;
};

void ghost_table_init(struct ghost_table *table);
void ghost_table_release(struct ghost_table *table);
/* Before the store is closed: they hold some of it. Nobody else is there. */
void ghosts_drop_all(struct ghost_table *table);

/*
 * Makes a ghost of an inode that has no link any more, and adds the deletion of
 * all its keys to the batch. The caller has its lock, and when the commit fails
 * calls ghost_drop(). 0; 1 when it cannot be one: then nothing has happened.
 * -errno.
 */
int ghost_make(struct txn *txn, struct inode *inode);
/* It is forgotten. False when there was none. */
bool ghost_drop(struct fs *fs, uint64_t ino);
bool ghost_is(struct fs *fs, uint64_t ino);

/* Its record, INODE_RECORD_MAX of room. 1 when it is no ghost. */
int ghost_load(struct fs *fs, uint64_t ino, uint8_t *bytes, size_t *ret_size);
/* What its block has from `begin` on, as store_read(). 1 when it is no ghost, or
 * has no such block. */
int ghost_read(struct fs *fs, uint64_t ino, uint64_t block, uint64_t begin,
	       void *dst, size_t size, size_t *ret_read);
/* Puts it back into the store, an orphan, in a batch of its own. The caller has
 * its lock. 0, also when it is no ghost; as a write. */
int ghost_revive(struct fs *fs, uint64_t ino);
