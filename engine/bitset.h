/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Sets of small numbers that several threads change at a time: a bit for each,
 * in words that the caller owns. Each bit is changed atomically, several of them
 * not as one; and the order is relaxed, so a set tells nothing of what else its
 * changers did. A range is [first, last], both included.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BITSET_WORD_BITS ((size_t)64)

/* How many words the numbers below `count` take. */
static inline size_t bitset_words(size_t count)
{
	return (count + BITSET_WORD_BITS - 1) / BITSET_WORD_BITS;
}

static inline bool bitset_has(const _Atomic uint64_t *words, size_t number)
{
	uint64_t word = atomic_load_explicit(&words[number / BITSET_WORD_BITS],
					     memory_order_relaxed);

	return word >> number % BITSET_WORD_BITS & 1;
}

/* The bits of a range in one of the words that it reaches into. */
static inline uint64_t bitset_mask(size_t word, size_t first, size_t last)
{
	uint64_t mask = UINT64_MAX;

	if (word == first / BITSET_WORD_BITS)
		mask &= UINT64_MAX << first % BITSET_WORD_BITS;
	if (word == last / BITSET_WORD_BITS)
		mask &= UINT64_MAX >>
			(BITSET_WORD_BITS - 1 - last % BITSET_WORD_BITS);
	return mask;
}

/* Adds a range; how many of it were not in the set. Cheap when none are. */
static inline size_t bitset_add(_Atomic uint64_t *words, size_t first,
				size_t last)
{
	size_t added = 0;

	for (size_t i = first / BITSET_WORD_BITS; i <= last / BITSET_WORD_BITS;
	     i++) {
		uint64_t mask = bitset_mask(i, first, last);

		mask &= ~atomic_load_explicit(&words[i], memory_order_relaxed);
		if (mask)
			mask &= ~atomic_fetch_or_explicit(&words[i], mask,
							  memory_order_relaxed);
		added += (size_t)__builtin_popcountll(mask);
	}
	return added;
}

/* Removes a range; how many of it were in the set. Cheap when none are. */
static inline size_t bitset_remove(_Atomic uint64_t *words, size_t first,
				   size_t last)
{
	size_t removed = 0;

	for (size_t i = first / BITSET_WORD_BITS; i <= last / BITSET_WORD_BITS;
	     i++) {
		uint64_t mask = bitset_mask(i, first, last);

		mask &= atomic_load_explicit(&words[i], memory_order_relaxed);
		if (mask)
			mask &= atomic_fetch_and_explicit(&words[i], ~mask,
							  memory_order_relaxed);
		removed += (size_t)__builtin_popcountll(mask);
	}
	return removed;
}

/* How many numbers just below `number` are in the set without a gap, as far as
 * BITSET_WORD_BITS. */
static inline size_t bitset_run_below(const _Atomic uint64_t *words,
				      size_t number)
{
	size_t at = number / BITSET_WORD_BITS,
	       shift = number % BITSET_WORD_BITS;
	uint64_t below = 0;

	if (shift)
		below = atomic_load_explicit(&words[at], memory_order_relaxed)
			<< (BITSET_WORD_BITS - shift);
	if (at)
		below |= atomic_load_explicit(&words[at - 1],
					      memory_order_relaxed) >>
			 shift;
	return ~below ? (size_t)__builtin_clzll(~below) : BITSET_WORD_BITS;
}

/* How many numbers near `number` are in the set, it included: of BITSET_WORD_BITS
 * that lie together. */
static inline size_t bitset_count_near(const _Atomic uint64_t *words,
				       size_t number)
{
	return (size_t)__builtin_popcountll(atomic_load_explicit(
		&words[number / BITSET_WORD_BITS], memory_order_relaxed));
}
