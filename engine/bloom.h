/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A blocked Bloom filter: all bits of a key lie in one line of 64 bytes, so a
 * question costs one cache miss. It answers "no" or "maybe": never "no" for a
 * key that was added, wrongly "maybe" for about one other key in a hundred at
 * BLOOM_BITS_PER_KEY.
 *
 * Sources: F. Putze, P. Sanders, J. Singler, "Cache-, Hash- and Space-Efficient
 * Bloom Filters" (2007), for the blocking; RocksDB's FastLocalBloom for
 * choosing the line by multiplication and the bits from one remixed hash; Wang
 * Yi's wyhash (public domain) for the hash. All of it is part of the format:
 * FORMAT.md has it step by step.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"

#define BLOOM_LINE_BYTES 64u
#define BLOOM_BITS_PER_KEY 10u
#define BLOOM_PROBES 6u

/* The hash of a key that the filter works on. */
uint64_t bloom_hash(struct slice key);

/* The line, of line_count (not 0), that has the bits of a key. */
uint64_t bloom_line_index(uint64_t hash, uint64_t line_count);

void bloom_line_add(uint8_t line[BLOOM_LINE_BYTES], uint64_t hash);
/* False: the key was never added. */
bool bloom_line_has(const uint8_t line[BLOOM_LINE_BYTES], uint64_t hash);

/* A filter being filled, in memory. */
struct bloom {
	uint8_t *lines;
	uint64_t line_count;
};

/*
 * Makes an empty filter for about expected_keys keys. More may be added; it
 * then says "maybe" more often. 0 or -ENOMEM.
 */
int bloom_init(struct bloom *bloom, uint64_t expected_keys);
void bloom_release(struct bloom *bloom);
void bloom_add(struct bloom *bloom, uint64_t hash);

/*
 * Halves the filter as often as it stays large enough for key_count keys, for
 * when fewer came than were expected. What it says "maybe" to includes all it
 * did before.
 */
void bloom_shrink(struct bloom *bloom, uint64_t key_count);
