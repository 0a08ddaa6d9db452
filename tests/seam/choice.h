/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a test that does anything in any order does next: as a seed says, or as
 * bytes say, which a fuzzer makes. So one piece of code serves both.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/seam/random.h"

struct choice {
	uint64_t random;   /* its state; 0: bytes are what counts */
	const uint8_t *at; /* up to end */
	const uint8_t *end;
};

static inline struct choice choice_of_seed(uint64_t seed)
{
	return (struct choice){ .random = seed };
}

/* Borrows the bytes. When they are used up, every choice is the first. */
static inline struct choice choice_of_bytes(const uint8_t *data, size_t size)
{
	return (struct choice){ .at = data, .end = data + size };
}

/* Whether bytes are used up; a seed never is. */
static inline bool choice_ends(const struct choice *choice)
{
	return !choice->random && choice->at == choice->end;
}

static inline unsigned int choice_byte(struct choice *choice)
{
	return choice->at < choice->end ? *choice->at++ : 0;
}

/* From 0 up to, not including, `limit`. */
static inline unsigned int choice_below(struct choice *choice,
					unsigned int limit)
{
	unsigned int number;

	if (choice->random)
		return random_below(&choice->random, limit);
	number = choice_byte(choice);
	if (limit > 256)
		number = number << 8 | choice_byte(choice);
	return number % limit;
}

/* Any number but 0; of bytes, two make it. */
static inline uint64_t choice_number(struct choice *choice)
{
	uint64_t seed;

	if (choice->random)
		return random_next(&choice->random) | 1;
	seed = choice_below(choice, 65536) + 1;
	return random_next(&seed) | 1;
}
