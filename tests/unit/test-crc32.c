/* SPDX-License-Identifier: MIT */

/* CRC-32 against published vectors and a bitwise reference. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/crc32.h"

/* The definition, one bit at a time. */
static uint32_t reference(uint32_t crc, const uint8_t *data, size_t size)
{
	crc = ~crc;
	for (size_t i = 0; i < size; i++) {
		crc ^= data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? 0xEDB88320u : 0);
	}
	return ~crc;
}

static void known_vectors_have_their_published_sums(void **state)
{
	static const uint8_t zeros[32];
	uint8_t ones[32];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(crc32_update(0, "", 0), 0);
	assert_int_equal(crc32_update(0, "a", 1), 0xE8B7BE43u);
	assert_int_equal(crc32_update(0, "abc", 3), 0x352441C2u);
	assert_int_equal(crc32_update(0, "123456789", 9), 0xCBF43926u);
	assert_int_equal(crc32_update(0, zeros, 32), 0x190A55ADu);
	assert_int_equal(crc32_update(0, ones, 32), 0xFF6CAB0Bu);
}

static void nothing_leaves_the_sum_as_it_is(void **state)
{
	(void)state;
	assert_int_equal(crc32_update(0, NULL, 0), 0);
	assert_int_equal(crc32_update(0xCBF43926u, NULL, 0), 0xCBF43926u);
	assert_int_equal(crc32_update(0xCBF43926u, "x", 0), 0xCBF43926u);
}

static void every_size_and_alignment_matches_the_definition(void **state)
{
	uint8_t bytes[700];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * i * 31 + i * 7);
	for (size_t skew = 0; skew < 17; skew++)
		for (size_t size = 0; size <= sizeof(bytes) - 17; size += 3)
			assert_int_equal(crc32_update(0, bytes + skew, size),
					 reference(0, bytes + skew, size));
}

static void a_sum_continues_at_any_split(void **state)
{
	uint8_t bytes[300];
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 113 + 5);
	whole = crc32_update(0, bytes, sizeof(bytes));
	assert_int_equal(whole, reference(0, bytes, sizeof(bytes)));
	for (size_t split = 0; split <= sizeof(bytes); split++) {
		uint32_t crc = crc32_update(0, bytes, split);

		assert_int_equal(crc, reference(0, bytes, split));
		crc = crc32_update(crc, bytes + split, sizeof(bytes) - split);
		assert_int_equal(crc, whole);
	}
}

static void a_seed_other_than_zero_is_a_continuation_too(void **state)
{
	(void)state;
	assert_int_equal(crc32_update(0xdeadbeefu, "kvfs", 4),
			 reference(0xdeadbeefu, (const uint8_t *)"kvfs", 4));
	assert_int_not_equal(crc32_update(1, "kvfs", 4),
			     crc32_update(2, "kvfs", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_vectors_have_their_published_sums),
		cmocka_unit_test(nothing_leaves_the_sum_as_it_is),
		cmocka_unit_test(
			every_size_and_alignment_matches_the_definition),
		cmocka_unit_test(a_sum_continues_at_any_split),
		cmocka_unit_test(a_seed_other_than_zero_is_a_continuation_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
