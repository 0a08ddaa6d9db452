/* SPDX-License-Identifier: MIT */

/* What is a value of a schema. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/value_check.h"

struct example {
	struct slice value;
	bool valid;
	bool partly; /* when more may follow */
};

#define S(text) SLICE_LITERAL(text)

static void a_string_is_utf8(void **state)
{
	const struct example examples[] = {
		{ S(""), true, true },
		{ S("plain\n"), true, true },
		{ S("a\0b"), true, true },
		{ S("\x7f"), true, true },
		{ S("\xc2\x80"), true, true },
		{ S("\xdf\xbf"), true, true },
		{ S("\xe0\xa0\x80"), true, true },
		{ S("\xe2\x82\xac"), true, true },
		{ S("\xed\x9f\xbf"), true, true },
		{ S("\xee\x80\x80"), true, true },
		{ S("\xf0\x90\x80\x80"), true, true },
		{ S("\xf4\x8f\xbf\xbf"), true, true },
		/* never */
		{ S("\x80"), false, false },
		{ S("\xff"), false, false },
		{ S("\xc0\x80"), false, false },
		{ S("\xc1\xbf"), false, false },
		{ S("\xe0\x9f\xbf"), false, false },
		{ S("\xed\xa0\x80"), false, false },
		{ S("\xf0\x8f\xbf\xbf"), false, false },
		{ S("\xf4\x90\x80\x80"), false, false },
		{ S("\xf5\x80\x80\x80"), false, false },
		{ S("a\xc3"
		    "b"),
		  false, false },
		{ S("\xe2\x82z"), false, false },
		{ S("\xe2z"), false, false },
		/* cut off */
		{ S("a\xc3"), false, true },
		{ S("\xe2\x82"), false, true },
		{ S("\xf0\x90\x80"), false, true },
		{ S("\xed\xa0"), false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];

		if (value_is_valid(VALUE_STRING, e->value, false) != e->valid ||
		    value_is_valid(VALUE_STRING, e->value, true) != e->partly)
			fail_msg("example %zu", i);
	}
}

static void an_int_is_a_decimal_number_of_64_bits(void **state)
{
	const struct example examples[] = {
		{ S("0"), true, true },
		{ S("42\n"), true, true },
		{ S("-7"), true, true },
		{ S("007"), true, true },
		{ S("-0\n"), true, true },
		{ S("9223372036854775807"), true, true },
		{ S("-9223372036854775808\n"), true, true },
		{ S("9223372036854775808"), false, false },
		{ S("-9223372036854775809"), false, false },
		{ S("99999999999999999999999"), false, false },
		{ S(""), false, false },
		{ S("\n"), false, false },
		{ S("-"), false, false },
		{ S("-\n"), false, false },
		{ S("+1"), false, false },
		{ S(" 1"), false, false },
		{ S("1 "), false, false },
		{ S("1\n\n"), false, false },
		{ S("1\r\n"), false, false },
		{ S("0x1"), false, false },
		{ S("1.0"), false, false },
		{ S("1\0"), false, false },
		{ S("--1"), false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(*examples); i++) {
		const struct example *e = &examples[i];

		if (value_is_valid(VALUE_INT, e->value, false) != e->valid ||
		    value_is_valid(VALUE_INT, e->value, true) != e->partly)
			fail_msg("example %zu", i);
	}
}

static void bytes_are_anything(void **state)
{
	(void)state;
	assert_true(value_is_valid(VALUE_BYTES, S("\xff\0"), false));
	assert_true(value_size_max(VALUE_BYTES) > value_size_max(VALUE_STRING));
	assert_true(value_size_max(VALUE_STRING) > value_size_max(VALUE_INT));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_string_is_utf8),
		cmocka_unit_test(an_int_is_a_decimal_number_of_64_bits),
		cmocka_unit_test(bytes_are_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
