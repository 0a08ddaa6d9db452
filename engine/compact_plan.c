/* SPDX-License-Identifier: MIT */

/* The choice of segments to compact. Pure: no state, no lock. */

#include "engine/compact_plan.h"

bool tombstone_needed(const struct compact_candidate *candidates,
		      const bool *stays, size_t count, uint64_t lsn)
{
	for (size_t i = 0; i < count; i++)
		if (stays[i] && candidates[i].created_lsn <= lsn &&
		    candidates[i].dead_count)
			return true;
	return false;
}

/* The oldest segment with dead records: nothing older needs a tombstone. */
static uint64_t oldest_dead_lsn(const struct compact_candidate *candidates,
				size_t count)
{
	uint64_t oldest = UINT64_MAX;

	for (size_t i = 0; i < count; i++)
		if (candidates[i].dead_count &&
		    candidates[i].created_lsn < oldest)
			oldest = candidates[i].created_lsn;
	return oldest;
}

/*
 * Bytes that compaction would give back. Tombstones count when no older
 * segment has dead records: nothing needs them then.
 */
static uint64_t reclaimable(const struct compact_candidate *c,
			    uint64_t oldest_dead)
{
	uint64_t kept = c->live_bytes;

	if (oldest_dead < c->created_lsn)
		kept += c->tombstone_bytes;
	return c->size_bytes > kept ? c->size_bytes - kept : 0;
}

/* The best of those not chosen yet, or count. */
static size_t next_best(const struct compact_candidate *candidates,
			size_t count, unsigned int ratio_percent,
			uint64_t oldest_dead, const bool *chosen)
{
	uint64_t best_gain = 0;
	size_t best = count;

	for (size_t i = 0; i < count; i++) {
		const struct compact_candidate *c = &candidates[i];
		uint64_t per_mille;

		if (!c->eligible || chosen[i])
			continue;
		per_mille = reclaimable(c, oldest_dead) * 1000 /
			    (c->size_bytes + 1);
		if (per_mille >= ratio_percent * UINT64_C(10) &&
		    per_mille > best_gain) {
			best_gain = per_mille;
			best = i;
		}
	}
	return best;
}

size_t compact_plan_choose(const struct compact_candidate *candidates,
			   size_t count, unsigned int ratio_percent,
			   uint64_t max_copy_bytes, bool *ret_chosen)
{
	uint64_t oldest_dead = oldest_dead_lsn(candidates, count), copied = 0;
	size_t chosen = 0;

	for (size_t i = 0; i < count; i++)
		ret_chosen[i] = false;
	for (;;) {
		size_t best = next_best(candidates, count, ratio_percent,
					oldest_dead, ret_chosen);

		if (best == count ||
		    (chosen &&
		     copied + candidates[best].live_bytes > max_copy_bytes))
			return chosen;
		ret_chosen[best] = true;
		copied += candidates[best].live_bytes;
		chosen++;
	}
}
