/* SPDX-License-Identifier: MIT */

/* Numbers in options and values: tools/number.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/number.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void a_number_is_digits_up_to_a_limit(void **state)
{
	static const char *const refused[] = {
		"",
		" 1",
		"1 ",
		"+1",
		"-1",
		"1x",
		"0x10",
		"1e3",
		"18446744073709551616",
		"99999999999999999999999",
	};
	uint64_t number = 7;
	size_t i;

	(void)state;
	assert_int_equal(number_parse("0", 10, &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(number_parse("10", 10, &number), 0);
	assert_int_equal(number, 10);
	assert_int_equal(number_parse("11", 10, &number), -EINVAL);
	assert_int_equal(
		number_parse("18446744073709551615", UINT64_MAX, &number), 0);
	assert_true(number == UINT64_MAX);
	for (i = 0; i < COUNT(refused); i++)
		assert_int_equal(number_parse(refused[i], UINT64_MAX, &number),
				 -EINVAL);
}

static void a_size_has_a_unit_or_none(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} cases[] = {
		{ "0", 0 },         { "4096", 4096 },     { "64K", 65536 },
		{ "1M", 1u << 20 }, { "3G", 3ull << 30 },
	};
	static const char *const refused[] = {
		"", "K", "4k", "4KB", "1T", "-1K", "17179869184G", "1 K",
	};
	uint64_t bytes;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_int_equal(number_parse_size(cases[i].text, UINT64_MAX,
						   &bytes),
				 0);
		assert_int_equal(bytes, cases[i].bytes);
	}
	for (i = 0; i < COUNT(refused); i++)
		assert_int_equal(number_parse_size(refused[i], UINT64_MAX,
						   &bytes),
				 -EINVAL);
	assert_int_equal(number_parse_size("2M", 1u << 20, &bytes), -EINVAL);
}

static int parse_value(const char *text, int64_t *number)
{
	return number_parse_value(slice_of(text, strlen(text)), number);
}

static void a_value_is_a_signed_number_and_at_most_a_line(void **state)
{
	static const char *const refused[] = {
		"",
		"\n",
		"-",
		"- 1",
		" 1",
		"1 ",
		"+1",
		"1\n\n",
		"1x",
		"0x1",
		"1234567890123456789012345",
	};
	int64_t number;
	size_t i;

	(void)state;
	assert_int_equal(parse_value("0", &number), 0);
	assert_int_equal(number, 0);
	assert_int_equal(parse_value("-42\n", &number), 0);
	assert_int_equal(number, -42);
	assert_int_equal(parse_value("9223372036854775807", &number), 0);
	assert_true(number == INT64_MAX);
	assert_int_equal(parse_value("-9223372036854775808", &number), 0);
	assert_true(number == INT64_MIN);
	assert_int_equal(parse_value("9223372036854775808", &number), -ERANGE);
	for (i = 0; i < COUNT(refused); i++)
		assert_int_equal(parse_value(refused[i], &number), -EINVAL);
	assert_int_equal(number_parse_value(slice_of("1\0", 2), &number),
			 -EINVAL);
}

static void a_sum_that_does_not_fit_is_refused(void **state)
{
	int64_t sum = 7;

	(void)state;
	assert_int_equal(number_add(INT64_MAX - 1, 1, &sum), 0);
	assert_true(sum == INT64_MAX);
	assert_int_equal(number_add(INT64_MAX, 1, &sum), -ERANGE);
	assert_int_equal(number_add(INT64_MIN, -1, &sum), -ERANGE);
	assert_true(sum == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_digits_up_to_a_limit),
		cmocka_unit_test(a_size_has_a_unit_or_none),
		cmocka_unit_test(a_value_is_a_signed_number_and_at_most_a_line),
		cmocka_unit_test(a_sum_that_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
