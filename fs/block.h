/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Arithmetic of blocks: which ones a range of bytes touches. Pure functions.
 * Sizes of blocks are powers of two; offsets and sizes are below 2^63, so that
 * no sum of two overflows.
 */

#include <stdbool.h>
#include <stdint.h>

/* Bytes [begin, end) of one block. */
struct block_piece {
	uint64_t block;
	uint32_t begin;
	uint32_t end;
};

/* A range of bytes being cut into pieces, one for each block it touches. */
struct block_cursor {
	uint64_t offset;
	uint64_t end;
	uint32_t block_size;
};

static inline struct block_cursor
block_cursor_of(uint32_t block_size, uint64_t offset, uint64_t size)
{
	return (struct block_cursor){ offset, offset + size, block_size };
}

/* The next piece; false at the end. */
static inline bool block_cursor_next(struct block_cursor *cursor,
				     struct block_piece *ret_piece)
{
	uint64_t left = cursor->end - cursor->offset;
	uint32_t begin = (uint32_t)(cursor->offset & (cursor->block_size - 1));
	uint32_t size = cursor->block_size - begin;

	if (left == 0)
		return false;
	if (left < size)
		size = (uint32_t)left;
	ret_piece->block = cursor->offset / cursor->block_size;
	ret_piece->begin = begin;
	ret_piece->end = begin + size;
	cursor->offset += size;
	return true;
}

/* How many blocks a file of that size has when none is a hole. */
static inline uint64_t block_count_of(uint32_t block_size, uint64_t size_bytes)
{
	return size_bytes / block_size + (size_bytes % block_size != 0);
}

/*
 * Whether a write to a piece is kept beside its block, in fragments, rather
 * than the block written anew: when it touches no more than half of them. What
 * is appended up to the block's end completes it, and makes it whole.
 *
 *	fragments of the block   |    0    |    1    |    2    |    3    |
 *	`valid` bytes of it      =========================
 *	beside                             [--)
 *	anew                     [---------------------)
 *	anew, completing it                               [--------------)
 */
static inline bool block_is_fragmented_by(uint32_t block_size,
					  uint32_t fragment_size,
					  uint32_t valid,
					  const struct block_piece *piece)
{
	uint32_t end = valid > piece->end ? valid : piece->end;
	uint32_t count = (end - 1) / fragment_size + 1;
	uint32_t touched = (piece->end - 1) / fragment_size -
			   piece->begin / fragment_size + 1;

	if (piece->end == block_size && piece->begin >= valid)
		return false;
	return touched * 2 <= count;
}

/* How much of a block is before the end of the file: 0 to block_size. */
static inline uint32_t block_valid_size(uint32_t block_size, uint64_t block,
					uint64_t size_bytes)
{
	if (block < size_bytes / block_size)
		return block_size;
	if (block > size_bytes / block_size)
		return 0;
	return (uint32_t)(size_bytes % block_size);
}
