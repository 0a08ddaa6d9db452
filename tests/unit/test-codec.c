/* SPDX-License-Identifier: MIT */

/* Bounded cursors, fixed-size integers and varints: engine/codec.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/codec.h"

struct varint_case {
	uint64_t value;
	const char *bytes;
	size_t size;
};

static const struct varint_case varints[] = {
	{ 0, "\x00", 1 },
	{ 1, "\x01", 1 },
	{ 127, "\x7f", 1 },
	{ 128, "\x80\x01", 2 },
	{ 300, "\xac\x02", 2 },
	{ 16383, "\xff\x7f", 2 },
	{ 16384, "\x80\x80\x01", 3 },
	{ UINT32_MAX, "\xff\xff\xff\xff\x0f", 5 },
	{ 1ull << 62, "\x80\x80\x80\x80\x80\x80\x80\x80\x40", 9 },
	{ 1ull << 63, "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 10 },
	{ UINT64_MAX, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10 },
};

#define VARINT_COUNT (sizeof(varints) / sizeof(varints[0]))

static void integers_are_little_endian_but_for_those_in_keys(void **state)
{
	static const uint8_t expected[] = {
		0xab, 0x34, 0x12, 0x78, 0x56, 0x34, 0x12, 0xef,
		0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 0x01,
		0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef,
	};
	uint8_t bytes[sizeof(expected)];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));

	(void)state;
	put_u8(&w, 0xab);
	put_u16(&w, 0x1234);
	put_u32(&w, 0x12345678);
	put_u64(&w, 0x0123456789abcdef);
	put_u64_be(&w, 0x0123456789abcdef);
	assert_false(w.bad);
	assert_ptr_equal(w.at, w.end);
	assert_memory_equal(bytes, expected, sizeof(expected));

	assert_int_equal(get_u8(&r), 0xab);
	assert_int_equal(get_u16(&r), 0x1234);
	assert_int_equal(get_u32(&r), 0x12345678);
	assert_int_equal(get_u64(&r), 0x0123456789abcdef);
	assert_int_equal(get_u64_be(&r), 0x0123456789abcdef);
	assert_true(reader_done(&r));
}

static void varints_have_their_published_bytes(void **state)
{
	(void)state;
	for (size_t i = 0; i < VARINT_COUNT; i++) {
		const struct varint_case *c = &varints[i];
		uint8_t bytes[VARINT_MAX_BYTES];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct reader r = reader_of(slice_of(c->bytes, c->size));

		put_varint(&w, c->value);
		assert_int_equal(w.at - bytes, c->size);
		assert_int_equal(varint_size(c->value), c->size);
		assert_memory_equal(bytes, c->bytes, c->size);
		assert_true(get_varint(&r) == c->value);
		assert_true(reader_done(&r));
	}
}

static void every_power_of_two_and_its_neighbours_come_back(void **state)
{
	(void)state;
	for (int i = 0; i < 64 * 3; i++) {
		uint64_t v = (1ull << (i / 3)) + (uint64_t)(i % 3) - 1;
		uint8_t bytes[3 * VARINT_MAX_BYTES];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct reader r;

		put_varint(&w, v);
		assert_int_equal(w.at - bytes, varint_size(v));
		put_zigzag(&w, (int64_t)v);
		put_zigzag(&w, (int64_t)(0 - v));
		assert_false(w.bad);
		r = reader_of(slice_of(bytes, (size_t)(w.at - bytes)));
		assert_true(get_varint(&r) == v);
		assert_true(get_zigzag(&r) == (int64_t)v);
		assert_true(get_zigzag(&r) == (int64_t)(0 - v));
		assert_true(reader_done(&r));
	}
}

static void zigzag_maps_small_magnitudes_to_small_numbers(void **state)
{
	static const struct {
		int64_t plain;
		uint64_t zigzag;
	} cases[] = {
		{ 0, 0 },
		{ -1, 1 },
		{ 1, 2 },
		{ -2, 3 },
		{ 2147483647, 4294967294 },
		{ -2147483648, 4294967295 },
		{ INT64_MAX, UINT64_MAX - 1 },
		{ INT64_MIN, UINT64_MAX },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t bytes[VARINT_MAX_BYTES];
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));

		put_zigzag(&w, cases[i].plain);
		assert_true(get_varint(&r) == cases[i].zigzag);
		r = reader_of(slice_of(bytes, sizeof(bytes)));
		assert_true(get_zigzag(&r) == cases[i].plain);
	}
}

static void a_varint_longer_than_needed_is_malformed(void **state)
{
	static const struct slice malformed[] = {
		{ "\x80\x00", 2 },
		{ "\xff\x00", 2 },
		{ "\x80\x80\x00", 3 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10 },
		/* A bit beyond the 64th, and an eleventh byte. */
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02", 10 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10 },
		{ "\x80\x80\x80\x80\x80\x80\x80\x80\x80\x81\x00", 11 },
		{ "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
		struct reader r = reader_of(malformed[i]);

		assert_true(get_varint(&r) == 0);
		assert_true(r.bad);
		r = reader_of(malformed[i]);
		assert_true(get_zigzag(&r) == 0);
		assert_true(r.bad);
	}
}

static void a_varint_cut_off_anywhere_is_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < VARINT_COUNT; i++) {
		for (size_t size = 0; size < varints[i].size; size++) {
			struct reader r =
				reader_of(slice_of(varints[i].bytes, size));

			assert_true(get_varint(&r) == 0);
			assert_true(r.bad);
		}
	}
}

static void a_varint_without_room_is_not_begun(void **state)
{
	(void)state;
	for (size_t i = 0; i < VARINT_COUNT; i++) {
		uint8_t bytes[VARINT_MAX_BYTES + 1];

		for (size_t size = 0; size < varints[i].size; size++) {
			struct writer w = writer_of(bytes, size);

			memset(bytes, 0xee, sizeof(bytes));
			put_varint(&w, varints[i].value);
			assert_true(w.bad);
			for (size_t j = 0; j < sizeof(bytes); j++)
				assert_int_equal(bytes[j], 0xee);
		}
	}
}

/* Each getter on one byte less than it needs, then on a byte that is there. */
static void a_reader_that_ran_out_stays_bad_and_reads_zeros(void **state)
{
	static const uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };

	(void)state;
	for (size_t size = 0; size < 8; size++) {
		struct reader r = reader_of(slice_of(bytes, size));

		assert_true(get_u64(&r) == 0);
		assert_true(r.bad);
		assert_int_equal(get_u8(&r), 0);
		assert_int_equal(get_u16(&r), 0);
		assert_int_equal(get_u32(&r), 0);
		assert_true(get_u64_be(&r) == 0);
		assert_true(get_varint(&r) == 0);
		assert_true(get_zigzag(&r) == 0);
		assert_int_equal(get_bytes(&r, 1).size, 0);
		assert_int_equal(get_bytes(&r, 0).size, 0);
		assert_true(r.bad);
		assert_int_equal(reader_left(&r), 0);
		assert_false(reader_done(&r));

		r = reader_of(slice_of(bytes, size));
		assert_true(get_u64_be(&r) == 0);
		assert_true(r.bad);
	}
	for (size_t size = 0; size < 4; size++) {
		struct reader r = reader_of(slice_of(bytes, size));

		assert_int_equal(get_u32(&r), 0);
		assert_true(r.bad);
	}
	for (size_t size = 0; size < 2; size++) {
		struct reader r = reader_of(slice_of(bytes, size));

		assert_int_equal(get_u16(&r), 0);
		assert_true(r.bad);
	}
}

static void a_writer_that_ran_out_stays_bad_and_writes_nothing(void **state)
{
	(void)state;
	for (size_t size = 0; size < 8; size++) {
		uint8_t bytes[64];
		struct writer w = writer_of(bytes, size);

		memset(bytes, 0xee, sizeof(bytes));
		put_u64(&w, 0);
		assert_true(w.bad);
		put_u8(&w, 0);
		put_u16(&w, 0);
		put_u32(&w, 0);
		put_u64_be(&w, 0);
		put_varint(&w, 0);
		put_zigzag(&w, 0);
		put_bytes(&w, SLICE_LITERAL("a"));
		assert_true(w.bad);
		for (size_t i = 0; i < sizeof(bytes); i++)
			assert_int_equal(bytes[i], 0xee);
	}
}

static void bytes_are_borrowed_not_copied(void **state)
{
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));
	struct slice s;

	(void)state;
	put_bytes(&w, SLICE_LITERAL("key"));
	put_bytes(&w, slice_of(NULL, 0));
	put_bytes(&w, SLICE_LITERAL("thirteen byte"));
	assert_false(w.bad);
	assert_int_equal(reader_left(&r), 16);
	s = get_bytes(&r, 3);
	assert_ptr_equal(s.data, bytes);
	assert_true(slice_equal(s, SLICE_LITERAL("key")));
	assert_int_equal(reader_left(&r), 13);
	assert_int_equal(get_bytes(&r, 0).size, 0);
	s = get_bytes(&r, 13);
	assert_true(slice_equal(s, SLICE_LITERAL("thirteen byte")));
	assert_true(reader_done(&r));
}

static void more_bytes_than_are_left_are_none(void **state)
{
	struct reader r = reader_of(SLICE_LITERAL("abc"));

	(void)state;
	assert_int_equal(get_bytes(&r, SIZE_MAX).size, 0);
	assert_true(r.bad);
	r = reader_of(SLICE_LITERAL("abc"));
	assert_int_equal(get_bytes(&r, 4).size, 0);
	assert_true(r.bad);
}

static void the_empty_reader_and_writer_are_done(void **state)
{
	struct reader r = reader_of(slice_of(NULL, 0));
	struct writer w = writer_of(NULL, 0);

	(void)state;
	assert_true(reader_done(&r));
	assert_int_equal(get_bytes(&r, 0).size, 0);
	assert_true(reader_done(&r));
	put_bytes(&w, slice_of(NULL, 0));
	assert_false(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			integers_are_little_endian_but_for_those_in_keys),
		cmocka_unit_test(varints_have_their_published_bytes),
		cmocka_unit_test(
			every_power_of_two_and_its_neighbours_come_back),
		cmocka_unit_test(zigzag_maps_small_magnitudes_to_small_numbers),
		cmocka_unit_test(a_varint_longer_than_needed_is_malformed),
		cmocka_unit_test(a_varint_cut_off_anywhere_is_bad),
		cmocka_unit_test(a_varint_without_room_is_not_begun),
		cmocka_unit_test(
			a_reader_that_ran_out_stays_bad_and_reads_zeros),
		cmocka_unit_test(
			a_writer_that_ran_out_stays_bad_and_writes_nothing),
		cmocka_unit_test(bytes_are_borrowed_not_copied),
		cmocka_unit_test(more_bytes_than_are_left_are_none),
		cmocka_unit_test(the_empty_reader_and_writer_are_done),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
