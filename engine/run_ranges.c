/* SPDX-License-Identifier: MIT */

/*
 * 1. Of two keys the less one has no greater eight bytes, however the shorter one
 *    is filled up with zeros. So a key is outside when its eight bytes are.
 *
 * Stateless.
 */

#include "engine/run_ranges.h"

#include <string.h>

#include "engine/codec.h"

void run_bound_set(struct run_bound *bound, struct slice key)
{
	bound->size = key.size < RUN_BOUND_MAX ? key.size : RUN_BOUND_MAX;
	if (bound->size)
		memcpy(bound->bytes, key.data, bound->size);
}

static struct slice bound_slice(const struct run_bound *bound)
{
	return slice_of(bound->bytes, bound->size);
}

/* Leaves of the prefix what the bound begins with, too. */
static void prefix_share(struct run_ranges *ranges,
			 const struct run_bound *bound)
{
	ranges->prefix_size =
		slice_shared(slice_of(ranges->prefix, ranges->prefix_size),
			     bound_slice(bound));
}

static void prefix_make(struct run_ranges *ranges,
			const struct run_bounds *const *bounds)
{
	bool begun = false;

	for (size_t i = 0; i < ranges->count; i++) {
		const struct run_bound *first = &bounds[i]->first;

		if (!bounds[i]->known)
			continue;
		if (!begun) {
			ranges->prefix_size = first->size < RUN_PREFIX_MAX ?
						      first->size :
						      RUN_PREFIX_MAX;
			memcpy(ranges->prefix, first->bytes,
			       ranges->prefix_size);
			begun = true;
		}
		prefix_share(ranges, first);
		prefix_share(ranges, &bounds[i]->last);
	}
}

void run_ranges_make(struct run_ranges *ranges,
		     const struct run_bounds *const *bounds, size_t count)
{
	*ranges = (struct run_ranges){ 0 };
	ranges->count = count < RUN_RANGES_MAX ? count : RUN_RANGES_MAX;
	prefix_make(ranges, bounds);
	for (size_t i = 0; i < ranges->count; i++) {
		size_t at = ranges->prefix_size;

		if (!bounds[i]->known) {
			ranges->unknown |= UINT64_C(1) << i;
			ranges->ranges[i].last = UINT64_MAX;
			continue;
		}
		ranges->ranges[i] = (struct run_range){
			slice_part(bound_slice(&bounds[i]->first), at),
			slice_part(bound_slice(&bounds[i]->last), at),
		};
	}
}

uint64_t run_ranges_find(const struct run_ranges *ranges, struct slice key)
{
	size_t at = ranges->prefix_size;
	uint64_t found = 0, order;

	if (key.size < at || (at && memcmp(key.data, ranges->prefix, at) != 0))
		return ranges->unknown;
	order = slice_part(key, at);
	for (size_t i = 0; i < ranges->count; i++) {
		const struct run_range *range = &ranges->ranges[i];
		uint64_t within = order >= range->first && order <= range->last;

		found |= within << i;
	}
	return found;
}
