/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Saving what is left of a file that has lost a record: for repairs. Nothing is
 * guessed but what has no meaning without it: an inode that is gone had some
 * owner and mode, and its size is as far as its blocks reach.
 */

#include "fs/fs_internal.h"

/*
 * An inode of which there are keys and no record is made anew, owned by root and
 * for nobody else. What names it, if anything does, is the check's to find. 0, 1
 * when it is there, damaged perhaps, or nothing is left of it; -errno.
 */
int inode_revive(struct txn *txn, uint64_t ino);

/*
 * Blocks that are missing under fragments, or under a tail, become empty ones,
 * so that these can be read; the rest of such a block reads as zeros.
 * *ret_count: how many.
 */
int blocks_support(struct txn *txn, const struct inode *inode,
		   uint64_t *ret_count);

/*
 * Takes away one fragment where the inode counts none: older or younger than the
 * block, nobody knows. 0 with its place in the file and its bytes, 1 when there
 * is none, -errno.
 */
int fragment_take(struct txn *txn, const struct inode *inode,
		  uint64_t *ret_offset, struct buf *ret_bytes);
