/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How far a check or scrub of a filesystem has come, as bytes: a note beside the
 * store (kv_note_store), which says where the next one may go on.
 *
 *	offset size
 *	0      4    "KVCK"
 *	4      1    version: 1
 *	5      1    part of the engine's check, 3: past it
 *	6      1    1: the engine found problems
 *	7      1    0
 *	8      16   UUID of the store
 *	24     8    problems told so far
 *	32     40   engine: file_id, done_bytes, key_count, live_bytes, lsn
 *	72     8    engine: next_file_id
 *	80     40   references: next inode, done_bytes, LSN of what is passed
 *		    over, links_counted, names_found
 *	120    4    size of the key
 *	124         the key
 */

#include "engine/kv.h"

/* The pass over references: see check_links.c for the sums. */
struct check_references {
	uint64_t ino; /* inodes below were compared; 0: not begun */
	uint64_t done_bytes;
	uint64_t lsn; /* sums of another state are of no use; 0: not known */
	uint64_t links_counted;
	uint64_t names_found;
};

struct check_state {
	uint8_t uuid[16];
	uint64_t problem_count;
	bool verified; /* the engine's check is past; position is of no more use */
	struct kv_check_position position;
	struct check_references references;
};

void check_state_release(struct check_state *state);
/* Replaces *ret_bytes. 0, -ENOMEM. */
int check_state_encode(const struct check_state *state, struct buf *ret_bytes);
/* 0, -EUCLEAN for what is none, -ENOMEM. *ret_state is zero before. */
int check_state_decode(struct slice bytes, struct check_state *ret_state);
