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
 * Chunks grow with the arena, so that a small one wastes little, and become
 * huge pages in a large one: one that is searched at random spends a good part
 * of its time on translating addresses else. That is a hint, and nothing
 * depends on its being taken.
 */

#include "engine/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_SIZE_MIN (16u << 10)
/* A huge page, of x86-64 and of most arm64. */
#define CHUNK_SIZE_MAX (2u << 20)

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

/* Of `size` bytes at least, header included. */
static struct arena_chunk *chunk_new(size_t size)
{
	size_t align = size < CHUNK_SIZE_MAX ? ARENA_ALIGN_MAX : CHUNK_SIZE_MAX;
	struct arena_chunk *chunk;

	if (__builtin_add_overflow(size, align - 1, &size))
		return NULL;
	size &= ~(align - 1);
	chunk = aligned_alloc(align, size);
	if (!chunk)
		return NULL;
	if (align == CHUNK_SIZE_MAX)
		(void)madvise(chunk, size, MADV_HUGEPAGE);
	chunk->next = NULL;
	chunk->size = size - CHUNK_HEADER;
	return chunk;
}

/* The size of the next chunk, header included, unless more is asked for. */
static size_t arena_chunk_size(const struct arena *arena)
{
	size_t size = arena->used_bytes / 4;

	if (size < CHUNK_SIZE_MIN)
		return CHUNK_SIZE_MIN;
	return size < CHUNK_SIZE_MAX / 2 ? size : CHUNK_SIZE_MAX;
}

int arena_reserve(struct arena *arena, size_t size_bytes)
{
	size_t size = arena_chunk_size(arena);
	struct arena_chunk *chunk;
	size_t least;

	if (size_bytes <= arena_left(arena))
		return 0;
	if (arena->spare && size_bytes <= arena->spare->size)
		return 0;
	if (__builtin_add_overflow(size_bytes, CHUNK_HEADER, &least))
		return -ENOMEM;
	chunk = chunk_new(size > least ? size : least);
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
