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
 * borrowed until relocation_free(). NULL: out of memory.
 */
struct relocation *relocation_new(struct kv *kv,
				  const struct compact_candidate *candidates,
				  const bool *stays, size_t count,
				  kv_progress_fn *progress, void *ctx,
				  uint64_t total_bytes, bool paced);

/*
 * Copies what the index points at, with needed tombstones, and points the index
 * at the copies. 0 when the victim is empty now and marked so; 1 when a damaged
 * record keeps it; -ECANCELED when the store is closing or progress said stop;
 * -ENOSPC, -EIO.
 */
int relocation_move(struct relocation *relocation, struct segment *victim);

/* Ends the cold segment in the making; a checkpoint must follow for anything
 * to be given back. Frees. */
void relocation_free(struct relocation *relocation);

uint64_t relocation_copied_bytes(const struct relocation *relocation);
