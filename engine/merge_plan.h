/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which runs to merge: arithmetic on sizes. The scheme is reftable's geometric
 * sequence (git, reftable/stack.c: suggest_compaction_segment).
 */

#include <stddef.h>
#include <stdint.h>

/* A range of adjacent runs; count 0: nothing to merge. */
struct merge_plan {
	size_t first;
	size_t count;
};

/* How many times larger than all newer runs together a run should be. */
#define MERGE_FACTOR 2u

/*
 * sizes[0] is the newest run's. The plan keeps each run at least MERGE_FACTOR
 * times as large as the newer ones together, so that n entries lie in about
 * log(n) runs and each is rewritten about log(n) times.
 */
struct merge_plan merge_plan_choose(const uint64_t *sizes, size_t count);
