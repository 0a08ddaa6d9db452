/* SPDX-License-Identifier: MIT */

/* What is read ahead of which reads. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/io_readahead.h"

#define RECORD 32768u
#define BEGIN 1000000u

static void assert_next(struct readahead *ahead, uint64_t offset,
			uint64_t expected_offset, uint64_t expected_size)
{
	uint64_t at;

	assert_int_equal(readahead_next(ahead, offset, RECORD, &at),
			 expected_size);
	if (expected_size)
		assert_int_equal(at, expected_offset);
}

static void reads_far_apart_ask_for_themselves(void **state)
{
	struct readahead ahead = { 0 };

	(void)state;
	for (uint64_t at = 100 << 20; at > 10 << 20; at -= 7 << 20)
		assert_next(&ahead, at, at, RECORD);
	assert_next(&ahead, 200 << 20, 200 << 20, RECORD);
}

static void a_sequence_asks_for_each_byte_once_and_in_time(void **state)
{
	struct readahead ahead = { 0 };
	uint64_t at, asked_end = 0, asked, size;

	(void)state;
	for (uint64_t offset = BEGIN; offset < BEGIN + (40 << 20);
	     offset += RECORD + 200) {
		size = readahead_next(&ahead, offset, RECORD, &at);
		asked = at + size;
		if (size && asked_end) {
			assert_true(at >= asked_end || offset < BEGIN + 100000);
			assert_true(size >= READAHEAD_BYTES);
		}
		if (size)
			asked_end = asked;
		assert_true(asked_end >= offset + RECORD);
	}
}

static void in_a_window_the_order_does_not_matter(void **state)
{
	struct readahead ahead = { 0 };

	(void)state;
	assert_next(&ahead, BEGIN, BEGIN, RECORD);
	assert_next(&ahead, BEGIN + RECORD, BEGIN + RECORD, READAHEAD_BYTES);
	assert_next(&ahead, BEGIN + 20 * RECORD, 0, 0);
	assert_next(&ahead, BEGIN + 5 * RECORD, 0, 0);
	assert_next(&ahead, BEGIN + 40 * RECORD,
		    BEGIN + RECORD + READAHEAD_BYTES, READAHEAD_BYTES);
	assert_next(&ahead, BEGIN + 21 * RECORD, 0, 0);
}

static void pieces_far_apart_ask_for_nothing(void **state)
{
	(void)state;
	for (size_t piece = 0; piece < 100; piece++)
		assert_int_equal(readahead_pieces(piece, 0, 3), 0);
}

static void where_many_were_read_a_piece_is_read_whole(void **state)
{
	(void)state;
	assert_int_equal(readahead_pieces(70, 0, 4), 1);
	assert_int_equal(readahead_pieces(70, 0, 64), 1);
	/* It was asked for with the one before it. */
	assert_int_equal(readahead_pieces(70, 3, 64), 0);
}

/* Wherever it begins; a set knows of no more than 64 pieces below. */
static void pieces_in_order_are_asked_for_in_time_and_hardly_twice(void **state)
{
	const size_t length = 1000;

	(void)state;
	for (size_t begin = 0; begin < 100; begin++) {
		size_t asked = 0, asked_end = begin + 1;

		for (size_t i = 0; i < length; i++) {
			size_t below = i < 64 ? i : 64;
			size_t count =
				readahead_pieces(begin + i, below, below);

			assert_true(count <= 48);
			asked += count;
			if (begin + i + count > asked_end)
				asked_end = begin + i + count;
			/* Itself; after a few the disk has a lead. */
			assert_true(asked_end > begin + i);
			assert_true(i < 64 || asked_end >= begin + i + 16);
		}
		assert_true(asked < 4 * length);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_far_apart_ask_for_nothing),
		cmocka_unit_test(where_many_were_read_a_piece_is_read_whole),
		cmocka_unit_test(
			pieces_in_order_are_asked_for_in_time_and_hardly_twice),
		cmocka_unit_test(reads_far_apart_ask_for_themselves),
		cmocka_unit_test(
			a_sequence_asks_for_each_byte_once_and_in_time),
		cmocka_unit_test(in_a_window_the_order_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
