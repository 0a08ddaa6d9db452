/* SPDX-License-Identifier: MIT */

/* Lines as words: tools/words.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/words.h"

/* The words of a line, each in brackets. */
static void assert_words(const char *line, const char *expected)
{
	struct words words = { 0 };
	struct buf text = { 0 };
	size_t i;

	assert_int_equal(words_parse(&words, slice_of(line, strlen(line))), 0);
	for (i = 0; i < words.count; i++) {
		assert_int_equal(buf_append(&text, "[", 1), 0);
		assert_int_equal(
			buf_append(&text, words.at[i], strlen(words.at[i])), 0);
		assert_int_equal(buf_append(&text, "]", 1), 0);
	}
	assert_null(words.at[words.count]);
	assert_int_equal(buf_append(&text, "", 1), 0);
	assert_string_equal(text.data, expected);
	buf_release(&text);
	words_release(&words);
}

static int parse_error(const char *line, size_t size)
{
	struct words words = { 0 };
	int r = words_parse(&words, slice_of(line, size));

	words_release(&words);
	return r;
}

static void words_are_quoted_as_in_sh(void **state)
{
	(void)state;
	assert_words("", "");
	assert_words("  \t ", "");
	assert_words("# nothing", "");
	assert_words("set k v # why", "[set][k][v]");
	assert_words("a#b", "[a#b]");
	assert_words("'a b' \"c d\"e f\\ g", "[a b][c de][f g]");
	assert_words("'' \"\" x", "[][][x]");
	assert_words("'\\n' \"\\n\\t\\x41\\\"\\\\\"", "[\\n][\n\tA\"\\]");
	assert_words("\\# \\'", "[#][']");
}

static void what_is_not_closed_is_an_error(void **state)
{
	(void)state;
	assert_int_equal(parse_error("'a", 2), -EINVAL);
	assert_int_equal(parse_error("\"a", 2), -EINVAL);
	assert_int_equal(parse_error("a\\", 2), -EINVAL);
	assert_int_equal(parse_error("\"\\q\"", 4), -EINVAL);
	assert_int_equal(parse_error("\"\\x4\"", 5), -EINVAL);
	assert_int_equal(parse_error("a\0b", 3), -EINVAL);
}

static void what_is_quoted_comes_back(void **state)
{
	struct words words = { 0 };
	struct buf text = { 0 };
	char word[3] = { 0 };
	int a, b;

	(void)state;
	for (a = 1; a < 256; a++) {
		for (b = 0; b < 256; b += b < 2 ? 1 : 37) {
			word[0] = (char)a;
			word[1] = (char)b;
			buf_clear(&text);
			assert_int_equal(
				words_quote(&text,
					    slice_of(word, strlen(word))),
				0);
			assert_int_equal(words_parse(&words, buf_slice(&text)),
					 0);
			if (a == '#' && words.count == 0)
				fail();
			assert_int_equal(words.count, 1);
			assert_string_equal(words.at[0], word);
		}
	}
	words_release(&words);
	buf_release(&text);
}

static void the_last_word_of_an_unfinished_line_is_found(void **state)
{
	static const struct {
		const char *line, *word;
		size_t begin;
	} cases[] = {
		{ "", "", 0 },
		{ "ge", "ge", 0 },
		{ "get ", "", 4 },
		{ "get us", "us", 4 },
		{ "get 'a b", "a b", 4 },
		{ "get \"a b\"", "a b", 4 },
		{ "get a\\ b", "a b", 4 },
	};
	struct buf word = { 0 };
	size_t i, begin;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(words_last(slice_of(cases[i].line,
						     strlen(cases[i].line)),
					    &begin, &word),
				 0);
		assert_int_equal(begin, cases[i].begin);
		assert_true(slice_equal(buf_slice(&word),
					slice_of(cases[i].word,
						 strlen(cases[i].word))));
	}
	buf_release(&word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_quoted_as_in_sh),
		cmocka_unit_test(what_is_not_closed_is_an_error),
		cmocka_unit_test(what_is_quoted_comes_back),
		cmocka_unit_test(the_last_word_of_an_unfinished_line_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
