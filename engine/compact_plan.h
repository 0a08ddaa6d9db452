/* SPDX-License-Identifier: MIT */
#pragma once

/* Which segments to compact: pure arithmetic on what is counted of them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct compact_candidate {
	uint64_t size_bytes;
	uint64_t live_bytes;
	uint64_t tombstone_bytes;
	uint64_t dead_count;  /* dead SET records */
	uint64_t created_lsn; /* the next LSN when it was made */
	bool eligible;        /* sealed, covered by a checkpoint, not damaged */
};

/*
 * Whether a tombstone written at `lsn` can still be needed: some segment that
 * existed before it, and stays, holds a dead record, which may be of its key.
 * (A segment created later took in only what was alive by then; one without
 * dead records has no older record of a deleted key.)
 * stays[i]: candidate i is not going away together with the tombstone.
 */
bool tombstone_needed(const struct compact_candidate *candidates,
		      const bool *stays, size_t count, uint64_t lsn);

/*
 * Sets chosen[i] for the segments worth a round, at most max_copy_bytes of live
 * data among them, and returns their number. Those with the most to give for
 * the least copying first (the cost-benefit choice of Rosenblum and
 * Ousterhout's LFS, with reclaimable share / live share as the benefit).
 * ratio_percent: how much of a segment must be reclaimable.
 */
size_t compact_plan_choose(const struct compact_candidate *candidates,
			   size_t count, unsigned int ratio_percent,
			   uint64_t max_copy_bytes, bool *ret_chosen);
