/* SPDX-License-Identifier: MIT */

/* The choice of runs to merge. Pure: no state, no lock. */

#include "engine/merge_plan.h"

/*
 * sizes        1  1  5  40  100
 * newer sum    0  1  2   7   47     (sum of those to the left)
 * 1 < 2 * 1: the second breaks the rule; 5 >= 2 * 2, 40 >= 2 * 7 and
 * 100 >= 2 * 47 keep it. The last that breaks it ends the range: merge the
 * first two. The merged run may break the rule for the next one in turn; the
 * range grows while it would.
 */
struct merge_plan merge_plan_choose(const uint64_t *sizes, size_t count)
{
	uint64_t sum = 0, merged = 0;
	size_t end = 0;

	for (size_t i = 0; i < count; i++) {
		if (i && sizes[i] < MERGE_FACTOR * sum)
			end = i + 1;
		sum += sizes[i];
	}
	for (size_t i = 0; i < end; i++)
		merged += sizes[i];
	while (end && end < count && sizes[end] < MERGE_FACTOR * merged)
		merged += sizes[end++];
	return (struct merge_plan){ 0, end };
}
