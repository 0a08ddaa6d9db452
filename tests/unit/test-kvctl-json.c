/* SPDX-License-Identifier: MIT */

/* JSON output: tools/json.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tools/json.h"

static void assert_string_becomes(struct slice text, const char *expected)
{
	struct buf buf = { 0 };

	assert_int_equal(json_append_string(&buf, text), 0);
	assert_int_equal(buf.size, strlen(expected));
	assert_memory_equal(buf.data, expected, buf.size);
	buf_release(&buf);
}

#define CASE(text, expected) \
	assert_string_becomes(SLICE_LITERAL(text), expected)

static void what_json_reserves_is_escaped(void **state)
{
	(void)state;
	CASE("", "\"\"");
	CASE("user/42", "\"user/42\"");
	CASE("a\"b\\c", "\"a\\\"b\\\\c\"");
	CASE("\n\t\x01\x7f", "\"\\n\\t\\u0001\\u007f\"");
	CASE("a\0b", "\"a\\u0000b\"");
}

static void utf8_stays_as_it_is(void **state)
{
	(void)state;
	CASE("\xc3\xa4", "\"\xc3\xa4\"");
	CASE("\xe2\x82\xac", "\"\xe2\x82\xac\"");
	CASE("\xf0\x9f\x98\x80", "\"\xf0\x9f\x98\x80\"");
	CASE("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

static void bytes_that_are_no_utf8_become_lone_surrogates(void **state)
{
	(void)state;
	CASE("\xff", "\"\\udcff\"");
	CASE("a\x80z", "\"a\\udc80z\"");
	/* Cut short, overlong, a surrogate, beyond the last character. */
	CASE("\xc3", "\"\\udcc3\"");
	CASE("\xe2\x82", "\"\\udce2\\udc82\"");
	CASE("\xc0\xaf", "\"\\udcc0\\udcaf\"");
	CASE("\xe0\x80\xaf", "\"\\udce0\\udc80\\udcaf\"");
	CASE("\xed\xa0\x80", "\"\\udced\\udca0\\udc80\"");
	CASE("\xf0\x80\x80\x80", "\"\\udcf0\\udc80\\udc80\\udc80\"");
	CASE("\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\"");
}

static void members_are_separated_by_commas(void **state)
{
	static const char expected[] = "{\"a\":1,\"b\":\"x\","
				       "\"c\":18446744073709551615";
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(buf_append(&buf, "{", 1), 0);
	assert_int_equal(json_append_number(&buf, "a", 1), 0);
	assert_int_equal(json_append_text(&buf, "b", SLICE_LITERAL("x")), 0);
	assert_int_equal(json_append_number(&buf, "c", UINT64_MAX), 0);
	assert_int_equal(buf.size, strlen(expected));
	assert_memory_equal(buf.data, expected, buf.size);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_json_reserves_is_escaped),
		cmocka_unit_test(utf8_stays_as_it_is),
		cmocka_unit_test(bytes_that_are_no_utf8_become_lone_surrogates),
		cmocka_unit_test(members_are_separated_by_commas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
