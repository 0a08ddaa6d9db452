/* SPDX-License-Identifier: MIT */

/*
 * The Bloom filter and the hash under it. Pure functions on bytes but for
 * struct bloom, which owns its lines and is used by one thread at a time.
 *
 * Invariants:
 *  1. Everything here is format: the same key gives the same line and the same
 *     bits on every machine and in every version.
 *  2. bloom_line_index(hash, n) / 2 == bloom_line_index(hash, n / 2) for even
 *     n. So a filter halves by merging neighbours (bloom_shrink).
 *
 * No lock.
 */

#include "engine/bloom.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLOOM_LINE_BITS (BLOOM_LINE_BYTES * 8)
/* Nine bits choose one of a line's 512. */
#define BLOOM_PROBE_SHIFT 9
/* Filters from this size on have a line count that halves this often. */
#define BLOOM_FOLDS 6
/* 2^64 divided by the golden ratio: Knuth's multiplicative hashing. */
#define BLOOM_REMIX 0x9e3779b97f4a7c15ULL

#define HASH_SECRET_0 0xa0761d6478bd642fULL
#define HASH_SECRET_1 0xe7037ed1a0b428dbULL

__extension__ typedef unsigned __int128 uint128;

/* Both halves of the product, folded: wyhash's one mixing step. */
static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint128 product = (uint128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t load_64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static inline uint64_t load_32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

uint64_t bloom_hash(struct slice key)
{
	const uint8_t *p = key.data;
	size_t left = key.size;
	uint64_t state = HASH_SECRET_0;
	uint64_t a = 0, b = 0;

	for (; left > 16; left -= 16, p += 16)
		state = mix(load_64(p) ^ HASH_SECRET_1, load_64(p + 8) ^ state);
	/* The last 1 to 16 bytes, by loads that may overlap each other. */
	if (left >= 8) {
		a = load_64(p);
		b = load_64(p + left - 8);
	} else if (left >= 4) {
		a = load_32(p);
		b = load_32(p + left - 4);
	} else if (left > 0) {
		a = (uint64_t)p[0] << 16 | (uint64_t)p[left / 2] << 8 |
		    p[left - 1];
	}
	state = mix(a ^ HASH_SECRET_1, b ^ state);
	return mix(state ^ HASH_SECRET_0, key.size ^ HASH_SECRET_1);
}

uint64_t bloom_line_index(uint64_t hash, uint64_t line_count)
{
	/* Lemire's reduction: the hash as a fraction of 1, times the count. */
	return (uint64_t)(((uint128)hash * line_count) >> 64);
}

void bloom_line_add(uint8_t line[BLOOM_LINE_BYTES], uint64_t hash)
{
	uint64_t bits = hash * BLOOM_REMIX;

	for (unsigned int i = 0; i < BLOOM_PROBES; i++) {
		unsigned int bit = (unsigned int)(bits >> 55);

		line[bit / 8] = (uint8_t)(line[bit / 8] | 1u << bit % 8);
		bits <<= BLOOM_PROBE_SHIFT;
	}
}

bool bloom_line_has(const uint8_t line[BLOOM_LINE_BYTES], uint64_t hash)
{
	uint64_t bits = hash * BLOOM_REMIX;

	for (unsigned int i = 0; i < BLOOM_PROBES; i++) {
		unsigned int bit = (unsigned int)(bits >> 55);

		if (!(line[bit / 8] >> bit % 8 & 1))
			return false;
		bits <<= BLOOM_PROBE_SHIFT;
	}
	return true;
}

/* 100 keys: 1000 bits: 2 lines. */
static uint64_t lines_for(uint64_t key_count)
{
	const uint64_t keys_per_line = BLOOM_LINE_BITS / BLOOM_BITS_PER_KEY;
	uint64_t count = key_count / keys_per_line + 1;
	uint64_t unit = 1u << BLOOM_FOLDS;

	/* Rounding costs a large filter little and lets it shrink. */
	if (count >= unit * unit)
		count = (count + unit - 1) / unit * unit;
	return count;
}

int bloom_init(struct bloom *bloom, uint64_t expected_keys)
{
	uint64_t count = lines_for(expected_keys);
	uint8_t *lines;

	if (count > SIZE_MAX / BLOOM_LINE_BYTES)
		return -ENOMEM;
	/* The system gives zeros as they are touched. */
	lines = calloc(count, BLOOM_LINE_BYTES);
	if (!lines)
		return -ENOMEM;
	*bloom = (struct bloom){ lines, count };
	return 0;
}

void bloom_release(struct bloom *bloom)
{
	free(bloom->lines);
	*bloom = (struct bloom){ 0 };
}

void bloom_add(struct bloom *bloom, uint64_t hash)
{
	uint64_t index = bloom_line_index(hash, bloom->line_count);

	bloom_line_add(bloom->lines + index * BLOOM_LINE_BYTES, hash);
}

static void bloom_halve(struct bloom *bloom)
{
	uint64_t half = bloom->line_count / 2;

	for (uint64_t i = 0; i < half; i++) {
		uint8_t *dst = bloom->lines + i * BLOOM_LINE_BYTES;
		const uint8_t *src = bloom->lines + 2 * i * BLOOM_LINE_BYTES;

		for (size_t j = 0; j < BLOOM_LINE_BYTES; j++)
			dst[j] = src[j] | src[j + BLOOM_LINE_BYTES];
	}
	bloom->line_count = half;
}

void bloom_shrink(struct bloom *bloom, uint64_t key_count)
{
	const uint64_t keys_per_line = BLOOM_LINE_BITS / BLOOM_BITS_PER_KEY;
	uint64_t enough = key_count / keys_per_line + 1;

	while (bloom->line_count % 2 == 0 && bloom->line_count / 2 >= enough)
		bloom_halve(bloom);
}
