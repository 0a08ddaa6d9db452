/* SPDX-License-Identifier: MIT */

/*
 * The arena: a list of chunks, and at most one spare.
 *
 * 1. A piece lies in one chunk. What is left of a chunk when the next piece
 *    does not fit is lost; that is less than one piece.
 * 2. A reservation of n bytes holds when the first chunk has n bytes left, or
 *    when the spare has: as pieces leave the first chunk, and at some point
 *    all go to the spare, those in the spare are no more than all, thus n.
 *
 * Chunks grow with the arena, so that a small one wastes little and a large
 * one asks malloc seldom.
 */

#include "engine/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CHUNK_SIZE_MIN (16u << 10)
#define CHUNK_SIZE_MAX (1u << 20)

struct arena_chunk {
	struct arena_chunk *next;
	size_t size; /* of what follows the header */
};

/* The header takes a whole unit, so that the pieces are aligned. */
#define CHUNK_HEADER ARENA_ALIGN_MAX

static_assert(sizeof(struct arena_chunk) <= CHUNK_HEADER,
	      "the chunk header must fit its place");

void arena_init(struct arena *arena, size_t align)
{
	assert(align && align <= ARENA_ALIGN_MAX && !(align & (align - 1)));
	*arena = (struct arena){ .align = align };
}

void arena_release(struct arena *arena)
{
	while (arena->chunks) {
		struct arena_chunk *chunk = arena->chunks;

		arena->chunks = chunk->next;
		free(chunk);
	}
	free(arena->spare);
	*arena = (struct arena){ .align = arena->align };
}

static size_t arena_left(const struct arena *arena)
{
	return arena->at ? (size_t)(arena->end - arena->at) : 0;
}

static struct arena_chunk *chunk_new(size_t size)
{
	struct arena_chunk *chunk;
	size_t whole;

	if (__builtin_add_overflow(size, CHUNK_HEADER + ARENA_ALIGN_MAX - 1,
				   &whole))
		return NULL;
	whole &= ~(size_t)(ARENA_ALIGN_MAX - 1);
	chunk = aligned_alloc(ARENA_ALIGN_MAX, whole);
	if (!chunk)
		return NULL;
	chunk->next = NULL;
	chunk->size = whole - CHUNK_HEADER;
	return chunk;
}

int arena_reserve(struct arena *arena, size_t size_bytes)
{
	size_t size = arena->used_bytes / 8;
	struct arena_chunk *chunk;

	if (size_bytes <= arena_left(arena))
		return 0;
	if (arena->spare && size_bytes <= arena->spare->size)
		return 0;
	if (size < CHUNK_SIZE_MIN)
		size = CHUNK_SIZE_MIN;
	if (size > CHUNK_SIZE_MAX)
		size = CHUNK_SIZE_MAX;
	size -= CHUNK_HEADER;
	chunk = chunk_new(size > size_bytes ? size : size_bytes);
	if (!chunk)
		return -ENOMEM;
	free(arena->spare);
	arena->spare = chunk;
	return 0;
}

static void arena_begin_spare(struct arena *arena)
{
	struct arena_chunk *chunk = arena->spare;

	assert(chunk);
	arena->used_bytes += arena_left(arena);
	arena->spare = NULL;
	chunk->next = arena->chunks;
	arena->chunks = chunk;
	arena->at = (uint8_t *)chunk + CHUNK_HEADER;
	arena->end = arena->at + chunk->size;
	arena->used_bytes += CHUNK_HEADER;
}

void *arena_take(struct arena *arena, size_t size)
{
	size_t piece_size = arena_piece_size(arena, size);
	void *piece;

	if (piece_size > arena_left(arena))
		arena_begin_spare(arena);
	assert(piece_size <= arena_left(arena));
	piece = arena->at;
	arena->at += piece_size;
	arena->used_bytes += piece_size;
	return piece;
}
