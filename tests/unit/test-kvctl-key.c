/* SPDX-License-Identifier: MIT */

/* Keys and the file names they are made of: tools/key.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fs/fs.h"
#include "tools/key.h"

static void assert_names(struct slice text, size_t count,
			 const char *const *names)
{
	struct buf path = { 0 }, again = { 0 };
	struct key key = { 0 };
	size_t i;

	assert_int_equal(key_parse(&key, text), 0);
	assert_int_equal(key.count, count);
	for (i = 0; i < count; i++)
		assert_string_equal(key_name(&key, i), names[i]);
	assert_int_equal(key_path(&key, &path), 0);
	assert_int_equal(key_format(buf_slice(&path), &again), 0);
	assert_true(slice_equal(buf_slice(&again), text));
	key_release(&key);
	buf_release(&path);
	buf_release(&again);
}

#define NAMES(text, ...)                                               \
	do {                                                           \
		static const char *const names[] = { __VA_ARGS__ };    \
		assert_names(SLICE_LITERAL(text),                      \
			     sizeof(names) / sizeof(names[0]), names); \
	} while (0)

static void slashes_separate_names(void **state)
{
	(void)state;
	NAMES("a", "a");
	NAMES("user/42", "user", "42");
	NAMES("a/b/c/d/e/f/g/h/i/j", "a", "b", "c", "d", "e", "f", "g", "h",
	      "i", "j");
	NAMES("100%", "100%");
}

static void what_no_file_name_can_be_is_escaped_and_comes_back(void **state)
{
	(void)state;
	NAMES("", "%~");
	NAMES("a//b", "a", "%~", "b");
	NAMES("../x", "%~..", "x");
	NAMES("a\0b", "%~a%00b");
}

static void a_long_name_takes_several_and_each_fits(void **state)
{
	struct buf path = { 0 }, again = { 0 };
	struct key key = { 0 };
	char text[1000];
	size_t i;

	(void)state;
	memset(text, 'x', sizeof(text));
	assert_int_equal(key_parse(&key, slice_of(text, sizeof(text))), 0);
	assert_int_equal(key.count, 4);
	for (i = 0; i < key.count; i++)
		assert_true(strlen(key_name(&key, i)) <= FS_NAME_MAX);
	assert_int_equal(key_path(&key, &path), 0);
	assert_int_equal(key_format(buf_slice(&path), &again), 0);
	assert_true(
		slice_equal(buf_slice(&again), slice_of(text, sizeof(text))));
	key_release(&key);
	buf_release(&path);
	buf_release(&again);
}

static void a_key_has_a_longest_size(void **state)
{
	char *text = calloc(1, KEY_SIZE_MAX + 1);
	struct key key = { 0 };

	(void)state;
	assert_non_null(text);
	memset(text, '/', KEY_SIZE_MAX + 1);
	assert_int_equal(key_parse(&key, slice_of(text, KEY_SIZE_MAX)), 0);
	assert_int_equal(key_parse(&key, slice_of(text, KEY_SIZE_MAX + 1)),
			 -ENAMETOOLONG);
	key_release(&key);
	free(text);
}

static void a_prefix_is_a_directory_and_how_names_begin(void **state)
{
	static const struct {
		const char *prefix, *directory, *beginning;
	} cases[] = {
		{ "", "", "" },          { "us", "", "us" },
		{ "user/", "user", "" }, { "user/4", "user", "4" },
		{ "a/b/c", "a/b", "c" }, { "/a", "", "a" },
	};
	struct slice directory, beginning;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		key_split_prefix(slice_of(cases[i].prefix,
					  strlen(cases[i].prefix)),
				 &directory, &beginning);
		assert_true(slice_equal(directory,
					slice_of(cases[i].directory,
						 strlen(cases[i].directory))));
		assert_true(slice_equal(beginning,
					slice_of(cases[i].beginning,
						 strlen(cases[i].beginning))));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slashes_separate_names),
		cmocka_unit_test(
			what_no_file_name_can_be_is_escaped_and_comes_back),
		cmocka_unit_test(a_long_name_takes_several_and_each_fits),
		cmocka_unit_test(a_key_has_a_longest_size),
		cmocka_unit_test(a_prefix_is_a_directory_and_how_names_begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
