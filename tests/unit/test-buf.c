/* SPDX-License-Identifier: MIT */

/* Slices and growable buffers: engine/buf.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/buf.h"

static int sign(int v)
{
	return (v > 0) - (v < 0);
}

static void slices_order_as_unsigned_bytes_and_prefixes_first(void **state)
{
	static const struct slice ascending[] = {
		{ NULL, 0 },   { "\0", 1 },   { "\0\0", 2 }, { "\0\x01", 2 },
		{ "a", 1 },    { "a\0", 2 },  { "ab", 2 },   { "b", 1 },
		{ "\x7f", 1 }, { "\x80", 1 }, { "\xff", 1 }, { "\xff\xff", 2 },
	};
	const int count = sizeof(ascending) / sizeof(ascending[0]);

	(void)state;
	for (int i = 0; i < count; i++) {
		for (int j = 0; j < count; j++) {
			int order = slice_compare(ascending[i], ascending[j]);

			assert_int_equal(sign(order), sign(i - j));
			assert_int_equal(slice_equal(ascending[i],
						     ascending[j]),
					 i == j);
		}
	}
}

static void a_slice_has_itself_and_the_empty_slice_as_prefix(void **state)
{
	struct slice abc = SLICE_LITERAL("abc");

	(void)state;
	assert_true(slice_has_prefix(abc, abc));
	assert_true(slice_has_prefix(abc, slice_of(NULL, 0)));
	assert_true(slice_has_prefix(slice_of(NULL, 0), slice_of(NULL, 0)));
	assert_true(slice_has_prefix(abc, SLICE_LITERAL("ab")));
	assert_false(slice_has_prefix(abc, SLICE_LITERAL("ac")));
	assert_false(slice_has_prefix(abc, SLICE_LITERAL("abcd")));
	assert_false(slice_has_prefix(slice_of(NULL, 0), abc));
}

static void appended_bytes_follow_each_other(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	for (size_t i = 0; i < 100000; i++) {
		uint8_t bytes[3] = { (uint8_t)i, (uint8_t)(i >> 8), 7 };

		assert_int_equal(buf_append(&buf, bytes, 3), 0);
		assert_int_equal(buf.size, 3 * (i + 1));
		assert_true(buf.capacity >= buf.size);
	}
	for (size_t i = 0; i < 100000; i++) {
		assert_int_equal(buf.data[3 * i], (uint8_t)i);
		assert_int_equal(buf.data[3 * i + 1], (uint8_t)(i >> 8));
		assert_int_equal(buf.data[3 * i + 2], 7);
	}
	buf_release(&buf);
	assert_null(buf.data);
	assert_int_equal(buf.size, 0);
	assert_int_equal(buf.capacity, 0);
}

static void appending_nothing_to_nothing_allocates_nothing(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_append(&buf, NULL, 0), 0);
	assert_int_equal(buf_append_zeros(&buf, 0), 0);
	assert_int_equal(buf_reserve(&buf, 0), 0);
	assert_int_equal(buf_resize(&buf, 0), 0);
	assert_int_equal(buf_assign(&buf, slice_of(NULL, 0)), 0);
	assert_null(buf.data);
	buf_release(&buf);
}

static void reserving_leaves_contents_and_prevents_moves(void **state)
{
	struct buf buf = { 0 };
	const uint8_t *before;

	(void)state;
	assert_int_equal(buf_append(&buf, "kept", 4), 0);
	assert_int_equal(buf_reserve(&buf, 10000), 0);
	assert_int_equal(buf.size, 4);
	assert_memory_equal(buf.data, "kept", 4);
	before = buf.data;
	for (int i = 0; i < 10000; i++)
		assert_int_equal(buf_append(&buf, "x", 1), 0);
	assert_ptr_equal(buf.data, before);
	buf_release(&buf);
}

static void a_size_that_overflows_is_enomem_and_changes_nothing(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_append(&buf, "kept", 4), 0);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_reserve(&buf, SIZE_MAX - 3), -ENOMEM);
	assert_int_equal(buf_append_zeros(&buf, SIZE_MAX - 2), -ENOMEM);
	assert_int_equal(buf_append(&buf, "", SIZE_MAX - 2), -ENOMEM);
	assert_int_equal(buf.size, 4);
	assert_memory_equal(buf.data, "kept", 4);
	buf_release(&buf);
}

static void what_resizing_adds_is_zero(void **state)
{
	static const uint8_t zeros[1000];
	struct buf buf = { 0 };

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(buf_append(&buf, "\xff", 1), 0);
	assert_int_equal(buf_resize(&buf, 2), 0);
	assert_int_equal(buf.size, 2);
	assert_int_equal(buf_resize(&buf, 1000), 0);
	assert_memory_equal(buf.data, "\xff\xff", 2);
	assert_memory_equal(buf.data + 2, zeros, 998);
	buf_clear(&buf);
	assert_int_equal(buf_append_zeros(&buf, 1000), 0);
	assert_memory_equal(buf.data, zeros, 1000);
	buf_release(&buf);
}

static void assigning_replaces_even_by_a_part_of_itself(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_assign(&buf, SLICE_LITERAL("first")), 0);
	assert_int_equal(buf_assign(&buf, SLICE_LITERAL("something longer")),
			 0);
	assert_true(slice_equal(buf_slice(&buf),
				SLICE_LITERAL("something longer")));
	assert_int_equal(buf_assign(&buf, slice_of(buf.data + 4, 12)), 0);
	assert_true(
		slice_equal(buf_slice(&buf), SLICE_LITERAL("thing longer")));
	assert_int_equal(buf_assign(&buf, slice_of(NULL, 0)), 0);
	assert_int_equal(buf.size, 0);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			slices_order_as_unsigned_bytes_and_prefixes_first),
		cmocka_unit_test(
			a_slice_has_itself_and_the_empty_slice_as_prefix),
		cmocka_unit_test(appended_bytes_follow_each_other),
		cmocka_unit_test(
			appending_nothing_to_nothing_allocates_nothing),
		cmocka_unit_test(reserving_leaves_contents_and_prevents_moves),
		cmocka_unit_test(
			a_size_that_overflows_is_enomem_and_changes_nothing),
		cmocka_unit_test(what_resizing_adds_is_zero),
		cmocka_unit_test(assigning_replaces_even_by_a_part_of_itself),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
