/* SPDX-License-Identifier: MIT */
/*
 * Keys and values of enginebench, computed, not stored: a table of a shuffled
 * million would be counted as the store's memory and pass through its cache.
 */

#include <string.h>

#include "tests/bench/enginebench.h"

#define POOL_SIZE ((size_t)1 << 20)

static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdu;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53u;
	return x ^ x >> 33;
}

static void put_digits(char *at, size_t width, uint64_t value)
{
	while (width > 0) {
		at[--width] = (char)('0' + value % 10);
		value /= 10;
	}
}

void key_make(char key[static KEY_SIZE], uint64_t i, uint64_t count)
{
	memcpy(key, "user", 4);
	put_digits(key + 4, 4, i * PREFIX_COUNT / count);
	key[PREFIX_SIZE - 1] = '/';
	put_digits(key + PREFIX_SIZE, KEY_SIZE - PREFIX_SIZE, i);
}

struct slice value_of(uint64_t i, uint64_t version)
{
	static uint64_t pool[POOL_SIZE / sizeof(uint64_t)];
	size_t at = mix(i * 31 + version) % (POOL_SIZE - VALUE_SIZE);

	if (pool[0] == 0) {
		for (size_t j = 0; j < POOL_SIZE / sizeof(*pool); j++)
			pool[j] = mix(j + 1);
	}
	return slice_of((const char *)pool + at, VALUE_SIZE);
}

/*
 * A Feistel network of four rounds is one to one on a power of four; where it
 * leads outside, it is applied again until it leads back inside.
 */
uint64_t shuffle(uint64_t i, uint64_t count)
{
	unsigned int half = 1;
	uint64_t mask;

	while ((uint64_t)1 << 2 * half < count)
		half++;
	mask = ((uint64_t)1 << half) - 1;
	do {
		uint64_t left = i >> half, right = i & mask;

		for (uint64_t round = 1; round <= 4; round++) {
			uint64_t next = left ^
					(mix(right + round * 977) & mask);

			left = right;
			right = next;
		}
		i = left << half | right;
	} while (i >= count);
	return i;
}
