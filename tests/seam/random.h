/* SPDX-License-Identifier: MIT */
#pragma once

/* Random numbers that a seed repeats: xorshift64* (Vigna). The state is the
 * seed at first, and never 0. */

#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ULL;
}

/* From 0 up to, not including, `limit`. */
static inline unsigned int random_below(uint64_t *state, unsigned int limit)
{
	return (unsigned int)(random_next(state) % limit);
}
