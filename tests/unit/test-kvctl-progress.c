/* SPDX-License-Identifier: MIT */

/* The text of a progress bar: tools/progress.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/progress.h"

#define MIB ((uint64_t)1 << 20)

static void bytes_have_the_unit_that_fits(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" },
		{ 999, "999 B" },
		{ 1000, "1.0 KiB" },
		{ 1536, "1.5 KiB" },
		{ 10240, "10 KiB" },
		{ MIB, "1.0 MiB" },
		{ 999u * MIB, "999 MiB" },
		{ 1000ull * MIB, "1.0 GiB" },
		{ UINT64_MAX, "16 EiB" },
	};
	char text[32];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(progress_format_bytes(text, sizeof(text),
							  cases[i].bytes),
				    cases[i].text);
}

static void a_bar_shows_share_bytes_and_time_left(void **state)
{
	char line[128];

	(void)state;
	progress_format(line, 60, "check", 25u * MIB, 100u * MIB, 10000);
	assert_string_equal(line, "check  [#####...............]   25%  "
				  "25 MiB of 100 MiB  0:30");
	progress_format(line, 60, "check", 100u * MIB, 100u * MIB, 10000);
	assert_non_null(strstr(line, "100%"));
	assert_null(strchr(line, '.'));
}

static void without_a_total_there_is_no_share(void **state)
{
	char line[128];

	(void)state;
	progress_format(line, 79, "compact", 5u * MIB, 0, 65000);
	assert_string_equal(line, "compact  5.0 MiB  1:05");
}

static void no_line_is_wider_than_the_terminal(void **state)
{
	char line[512];
	size_t width, size;

	(void)state;
	for (width = 0; width < 300; width++) {
		memset(line, 'x', sizeof(line));
		size = progress_format(line, width, "compact", 123u * MIB,
				       4567ull * MIB, 987654321);
		assert_true(size <= width);
		assert_int_equal(strlen(line), size);
	}
}

static void more_done_than_there_was_is_all_of_it(void **state)
{
	char line[128];

	(void)state;
	progress_format(line, 79, "check", 7, 5, 1000);
	assert_non_null(strstr(line, "100%  5 B of 5 B  0:00"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_have_the_unit_that_fits),
		cmocka_unit_test(a_bar_shows_share_bytes_and_time_left),
		cmocka_unit_test(without_a_total_there_is_no_share),
		cmocka_unit_test(no_line_is_wider_than_the_terminal),
		cmocka_unit_test(more_done_than_there_was_is_all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
