/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * From which key to which one runs reach: so that a key which lies outside of a
 * run is not looked for in it. Keys that are written or asked for in order lie
 * outside of most runs.
 *
 * Bounds are cut off, and compared by eight bytes behind what all of them begin
 * with: a few instructions a run. So "may have" is all that is said. No lock:
 * made once, and constant.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"

/* The first bytes of the smallest and of the largest key. */
#define RUN_BOUND_MAX 64u

struct run_bound {
	size_t size;
	uint8_t bytes[RUN_BOUND_MAX];
};

struct run_bounds {
	bool known;
	struct run_bound first, last;
};

void run_bound_set(struct run_bound *bound, struct slice key);

/* What is asked about one run is told by one bit. */
#define RUN_RANGES_MAX 64u
/* Behind them eight bytes of a bound can still be had. */
#define RUN_PREFIX_MAX (RUN_BOUND_MAX - 8u)

struct run_range {
	uint64_t first, last;
};

struct run_ranges {
	size_t count;
	uint64_t unknown; /* by bits: runs whose bounds are not known */
	size_t prefix_size;
	uint8_t prefix[RUN_PREFIX_MAX];
	struct run_range ranges[RUN_RANGES_MAX];
};

/* Of `count` runs; those beyond the 64th are left out. */
void run_ranges_make(struct run_ranges *ranges,
		     const struct run_bounds *const *bounds, size_t count);

/* The runs that may have `key`, by bits. */
uint64_t run_ranges_find(const struct run_ranges *ranges, struct slice key);
