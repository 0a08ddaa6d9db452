/* SPDX-License-Identifier: MIT */

/* The blocked Bloom filter and its hash: engine/bloom.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "engine/bloom.h"

#define KEYS ((size_t)100000)

/* Keys as alike as keys get: a counter in front of, or behind, equal bytes. */
static uint64_t hash_of(uint32_t i, bool counter_first)
{
	uint8_t key[24] = { 0 };

	memcpy(key + (counter_first ? 0 : 20), &i, sizeof(i));
	return bloom_hash(slice_of(key, sizeof(key)));
}

static void fill(struct bloom *bloom, uint64_t expected, uint32_t count)
{
	assert_int_equal(bloom_init(bloom, expected), 0);
	for (uint32_t i = 0; i < count; i++)
		bloom_add(bloom, hash_of(i, false));
}

static bool filter_has(const struct bloom *bloom, uint64_t hash)
{
	uint64_t line = bloom_line_index(hash, bloom->line_count);

	return bloom_line_has(bloom->lines + line * BLOOM_LINE_BYTES, hash);
}

static void assert_has_all(const struct bloom *bloom, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		assert_true(filter_has(bloom, hash_of(i, false)));
}

/* Of ten thousand keys that were not added, how many get a "maybe". */
static unsigned int false_matches(const struct bloom *bloom)
{
	unsigned int matches = 0;

	for (uint32_t i = 0; i < 10000; i++)
		matches += filter_has(bloom, hash_of(KEYS + i, false));
	return matches;
}

static void the_hash_of_a_key_never_changes(void **state)
{
	static const struct {
		const char *key;
		size_t size;
		uint64_t hash;
	} cases[] = {
		{ "", 0, 0x832ff0d450935050 },
		{ "a", 1, 0xf5dcc4eb1e6287b8 },
		{ "abc", 3, 0xfa7c3dadc113ca99 },
		{ "abcd", 4, 0x7ce0f6a389a54966 },
		{ "abcdefg", 7, 0x71f9b1e2c1536f53 },
		{ "abcdefgh", 8, 0x70aa5572ff962a3c },
		{ "abcdefghijklmnop", 16, 0x6cfb724c7071a2e7 },
		{ "abcdefghijklmnopq", 17, 0xe635b86b4a60c888 },
		{ "abcdefghijklmnopqrstuvwxyz0123456789", 36,
		  0xa821ba43250657fd },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(
			bloom_hash(slice_of(cases[i].key, cases[i].size)),
			cases[i].hash);
}

static void the_bits_of_a_hash_never_change(void **state)
{
	/* bits = hash * 0x9e3779b97f4a7c15, nine at a time from the top. */
	uint8_t line[BLOOM_LINE_BYTES] = { 0 };
	uint64_t bits = 0x9e3779b97f4a7c15;

	(void)state;
	bloom_line_add(line, 1);
	for (int i = 0; i < 6; i++) {
		uint64_t bit = bits >> 55;

		assert_true(line[bit / 8] >> bit % 8 & 1);
		line[bit / 8] &= (uint8_t) ~(1u << bit % 8);
		bits <<= 9;
	}
	for (size_t i = 0; i < sizeof(line); i++)
		assert_int_equal(line[i], 0);
}

static void every_bit_of_a_key_counts(void **state)
{
	uint8_t key[40];

	(void)state;
	for (size_t size = 1; size <= sizeof(key); size++) {
		uint64_t plain, most = 0;

		memset(key, 0x5a, sizeof(key));
		plain = bloom_hash(slice_of(key, size));
		for (size_t bit = 0; bit < size * 8; bit++) {
			uint64_t changed;

			key[bit / 8] ^= (uint8_t)(1u << bit % 8);
			changed = plain ^ bloom_hash(slice_of(key, size));
			key[bit / 8] ^= (uint8_t)(1u << bit % 8);
			/* Half of 64 bits change; fewer than 8 would be odd. */
			assert_true(__builtin_popcountll(changed) >= 8);
			most |= changed;
		}
		/* Eight flips of one byte need not reach every bit. */
		if (size >= 4)
			assert_int_equal(most, UINT64_MAX);
	}
}

static void zeros_of_different_length_have_different_hashes(void **state)
{
	static const uint8_t zeros[64];
	uint64_t hashes[65];

	(void)state;
	for (size_t i = 0; i <= 64; i++) {
		hashes[i] = bloom_hash(slice_of(zeros, i));
		for (size_t j = 0; j < i; j++)
			assert_true(hashes[i] != hashes[j]);
	}
}

static void an_added_key_is_never_denied(void **state)
{
	static const uint32_t counts[] = { 0, 1, 2, 50, 51, 52, 1000, KEYS };
	struct bloom bloom;

	(void)state;
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		fill(&bloom, counts[i], counts[i]);
		assert_has_all(&bloom, counts[i]);
		bloom_release(&bloom);
	}
}

static void an_empty_filter_denies_every_key(void **state)
{
	struct bloom bloom;

	(void)state;
	fill(&bloom, 0, 0);
	assert_int_equal(false_matches(&bloom), 0);
	bloom_release(&bloom);
}

static void about_one_key_in_a_hundred_matches_falsely(void **state)
{
	struct bloom bloom;

	(void)state;
	fill(&bloom, KEYS, KEYS);
	assert_in_range(false_matches(&bloom), 50, 150);
	assert_true(bloom.line_count * BLOOM_LINE_BYTES <= KEYS * 5 / 4 + 8192);
	bloom_release(&bloom);
}

static void more_keys_than_expected_are_still_found(void **state)
{
	struct bloom bloom;

	(void)state;
	fill(&bloom, KEYS / 20, KEYS);
	assert_has_all(&bloom, KEYS);
	bloom_release(&bloom);
}

static void a_filter_for_too_many_keys_shrinks_to_what_came(void **state)
{
	struct bloom bloom;

	(void)state;
	fill(&bloom, KEYS * 32u, KEYS);
	bloom_shrink(&bloom, KEYS);
	assert_true(bloom.line_count * BLOOM_LINE_BYTES <= KEYS * 5 / 2);
	assert_has_all(&bloom, KEYS);
	assert_in_range(false_matches(&bloom), 1, 150);
	bloom_release(&bloom);
}

static void half_as_many_lines_have_half_the_index(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < KEYS; i++) {
		uint64_t hash = hash_of(i, true);
		uint64_t lines = UINT64_C(2) * (i % 1000 + 1);

		assert_true(bloom_line_index(hash, lines) < lines);
		assert_int_equal(bloom_line_index(hash, lines) / 2,
				 bloom_line_index(hash, lines / 2));
	}
	assert_int_equal(bloom_line_index(UINT64_MAX, UINT64_C(1) << 40),
			 (UINT64_C(1) << 40) - 1);
	assert_int_equal(bloom_line_index(0, 7), 0);
}

static void lines_are_filled_evenly(void **state)
{
	enum {
		LINES = 64
	};
	unsigned int counts[LINES] = { 0 };

	(void)state;
	for (uint32_t i = 0; i < KEYS; i++)
		counts[bloom_line_index(hash_of(i, true), LINES)]++;
	/* 1562 on average, with a deviation of 39. */
	for (size_t i = 0; i < LINES; i++)
		assert_in_range(counts[i], 1300, 1850);
}

static void a_filter_that_no_memory_can_hold_is_refused(void **state)
{
	struct bloom bloom;

	(void)state;
	assert_int_equal(bloom_init(&bloom, UINT64_MAX), -ENOMEM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_hash_of_a_key_never_changes),
		cmocka_unit_test(the_bits_of_a_hash_never_change),
		cmocka_unit_test(every_bit_of_a_key_counts),
		cmocka_unit_test(
			zeros_of_different_length_have_different_hashes),
		cmocka_unit_test(an_added_key_is_never_denied),
		cmocka_unit_test(an_empty_filter_denies_every_key),
		cmocka_unit_test(about_one_key_in_a_hundred_matches_falsely),
		cmocka_unit_test(more_keys_than_expected_are_still_found),
		cmocka_unit_test(
			a_filter_for_too_many_keys_shrinks_to_what_came),
		cmocka_unit_test(half_as_many_lines_have_half_the_index),
		cmocka_unit_test(lines_are_filled_evenly),
		cmocka_unit_test(a_filter_that_no_memory_can_hold_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
