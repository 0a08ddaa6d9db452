/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Moves what is still needed out of a segment, into cold segments: compaction's
 * doing, apart from its deciding. One relocation serves a round; its victims
 * are given one after another.
 */

#include "engine/compact_plan.h"
#include "engine/kv_internal.h"

struct relocation;

/*
 * candidates and stays (for the tombstone rule, see compact_plan.h) are
 * borrowed until relocation_free(); stays may change between two moves. NULL:
 * out of memory.
 */
struct relocation *relocation_new(struct kv *kv,
				  const struct compact_candidate *candidates,
				  const bool *stays, size_t count,
				  kv_progress_fn *progress, void *ctx,
				  uint64_t total_bytes, bool paced);

/*
 * Copies what the index points at, with needed tombstones, and points the index
 * at the copies. 0 when nothing in the victim is needed any more; 1 when a
 * damaged record keeps it; -ECANCELED when the store is closing or progress said
 * stop; -ENOSPC, -EIO.
 *
 * *ret_left_lsn: the last of the tombstones that were left out by `stays`, 0
 * without any. The victim may go only together with what made them needless.
 */
int relocation_move(struct relocation *relocation, struct segment *victim,
		    uint64_t *ret_left_lsn);

/* Ends the cold segment in the making; a checkpoint must follow for anything
 * to be given back. Frees. */
void relocation_free(struct relocation *relocation);
