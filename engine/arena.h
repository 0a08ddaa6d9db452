/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * An arena: memory handed out in small pieces and freed as a whole. What is
 * handed out must have been reserved, so that handing out cannot fail. No
 * lock: whoever owns the arena sees to it that one thread uses it at a time.
 */

#include <stddef.h>
#include <stdint.h>

/* Every piece may be aligned up to this. */
#define ARENA_ALIGN_MAX 64

struct arena_chunk;

struct arena {
	struct arena_chunk *chunks; /* in use; the first is handed out from */
	struct arena_chunk *spare;  /* untouched: what comes after the first */
	uint8_t *at, *end;          /* the rest of the first chunk */
	size_t align;               /* of every piece, a power of two */
	size_t used_bytes;          /* handed out, chunks' lost ends included */
};

void arena_init(struct arena *arena, size_t align);
/* Frees every piece. */
void arena_release(struct arena *arena);

/* What a piece of this size takes of a reservation. */
static inline size_t arena_piece_size(const struct arena *arena, size_t size)
{
	return (size + arena->align - 1) & ~(arena->align - 1);
}

/*
 * Makes sure that pieces of size_bytes in total (each rounded as
 * arena_piece_size() does) can be handed out. Not added to what earlier calls
 * reserved: the last call counts. 0 or -ENOMEM.
 */
int arena_reserve(struct arena *arena, size_t size_bytes);

/* Hands out an uninitialised piece, which must have been reserved. */
void *arena_take(struct arena *arena, size_t size);
