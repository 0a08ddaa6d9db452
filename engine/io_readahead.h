/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What to read ahead. Of reads of small records, or of pages, in pieces of a map:
 *
 *	a piece without one before it that was touched  nothing but the read
 *	the same, but many near it were                 the piece
 *	with 1, 2, 4... before it that were, no gap     twice as many
 *	with more                                       a window, half of it later
 *
 * so what is read in order is read ahead, in steps that grow, and where much is
 * read all is, while of what is far apart not a page is read that nobody needs.
 *
 * Of reads of large records, which lie next to each other where they were written
 * one after the other:
 *
 *	a read far from the last one    itself
 *	one just behind the last one    itself and what follows: a window
 *	one in the window               nothing; near its end: the next window
 *
 * Several threads may read pieces of one file at a time, so reads in a window
 * come in any order. Advice only: a lost race costs a needless call.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define READAHEAD_BYTES ((uint64_t)2 << 20)
/* Small records between large ones: inodes, fragments. */
#define READAHEAD_GAP_BYTES (64u << 10)

#define READAHEAD_PIECES ((size_t)32)
/* Of 64 pieces: it is likely that most will be wanted. */
#define READAHEAD_DENSE 4

/* How many pieces to ask for, from this one on, when it is touched for the first
 * time: `below` just below it have been, without a gap, and `near` of the 64 that
 * it lies with, it included. 0: none. */
static inline size_t readahead_pieces(size_t piece, size_t below, size_t near)
{
	if (below == 0)
		return near >= READAHEAD_DENSE ? 1 : 0;
	if (below >= READAHEAD_PIECES)
		return piece % (READAHEAD_PIECES / 2) ?
			       0 :
			       READAHEAD_PIECES * 3 / 2;
	return below & (below - 1) ? 0 : 2 * below;
}

struct readahead {
	_Atomic uint64_t last_end;   /* of the last read */
	_Atomic uint64_t window_end; /* what was asked for ends there */
};

/* A read of `size` bytes from `offset` on: the size of what to ask for, and
 * where that begins. 0: nothing. */
static inline uint64_t readahead_next(struct readahead *ahead, uint64_t offset,
				      uint64_t size, uint64_t *ret_offset)
{
	uint64_t end = offset + size;
	uint64_t last_end = atomic_exchange_explicit(&ahead->last_end, end,
						     memory_order_relaxed);
	uint64_t window_end =
		atomic_load_explicit(&ahead->window_end, memory_order_relaxed);
	uint64_t window_begin = window_end > 2 * READAHEAD_BYTES ?
					window_end - 2 * READAHEAD_BYTES :
					0;

	*ret_offset = offset;
	if (offset >= window_begin && end <= window_end) {
		*ret_offset = window_end;
		if (window_end - end > READAHEAD_BYTES / 2)
			return 0;
		return atomic_compare_exchange_strong(
			       &ahead->window_end, &window_end,
			       window_end + READAHEAD_BYTES) ?
			       READAHEAD_BYTES :
			       0;
	}
	if (last_end == 0 || offset < last_end ||
	    offset - last_end > READAHEAD_GAP_BYTES)
		return size;
	if (size < READAHEAD_BYTES)
		size = READAHEAD_BYTES;
	atomic_store_explicit(&ahead->window_end, offset + size,
			      memory_order_relaxed);
	return size;
}
