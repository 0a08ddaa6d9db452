/* SPDX-License-Identifier: MIT */

/* Keys and their paths: fs/escape.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fs/escape.h"
#include "fs/schema.h"

static void assert_path(struct slice key, struct slice path)
{
	struct buf out = { 0 };

	assert_int_equal(escape_encode(key, &out), 0);
	assert_int_equal(out.size, path.size);
	assert_memory_equal(out.data, path.data, path.size);
	assert_int_equal(escape_decode(path, &out), 0);
	assert_int_equal(out.size, key.size);
	assert_true(slice_equal(buf_slice(&out), key));
	buf_release(&out);
}

#define ASSERT_PATH(key, path) \
	assert_path(SLICE_LITERAL(key), SLICE_LITERAL(path))

static void ordinary_keys_are_their_own_paths(void **state)
{
	(void)state;
	ASSERT_PATH("user/42", "user/42");
	ASSERT_PATH("100%", "100%");
	ASSERT_PATH("%00%2F", "%00%2F");
	ASSERT_PATH("%~plain", "%~plain");
	ASSERT_PATH("%+plain/x", "%+plain/x");
	ASSERT_PATH("%~%41", "%~%41");
	ASSERT_PATH("...", "...");
}

static void what_is_no_name_is_escaped(void **state)
{
	(void)state;
	ASSERT_PATH("", "%~");
	ASSERT_PATH("/", "%~/%~");
	ASSERT_PATH("a//b", "a/%~/b");
	ASSERT_PATH("a/", "a/%~");
	ASSERT_PATH(".", "%~.");
	ASSERT_PATH("../x", "%~../x");
	ASSERT_PATH("a\0b", "%~a%00b");
	ASSERT_PATH("\0%", "%~%00%25");
}

static void what_looks_like_an_escape_is_escaped(void **state)
{
	(void)state;
	ASSERT_PATH("%~", "%~%25~");
	ASSERT_PATH("%~.", "%~%25~.");
	ASSERT_PATH("%~%25~.", "%~%25~%2525~.");
	ASSERT_PATH("%~a%00b", "%~%25~a%2500b");
}

static struct slice filled(char *bytes, size_t size, char c)
{
	memset(bytes, c, size);
	return slice_of(bytes, size);
}

static void a_long_component_becomes_directories(void **state)
{
	char key[600], path[700];

	(void)state;
	assert_path(filled(key, 255, 'x'), filled(path, 255, 'x'));
	memcpy(path, "%+", 2);
	memset(path + 2, 'x', 253);
	memcpy(path + 255, "/%~xxx", 6);
	assert_path(filled(key, 256, 'x'), slice_of(path, 261));
}

static void a_piece_never_ends_inside_an_escape(void **state)
{
	char key[300], path[320];

	(void)state;
	/* 252 bytes, then NUL: %00 does not fit the first piece. */
	filled(key, 260, 'y');
	key[252] = '\0';
	memcpy(path, "%+", 2);
	memset(path + 2, 'y', 252);
	memcpy(path + 254, "/%~%00yyyyyyy", 13);
	assert_path(slice_of(key, 260), slice_of(path, 267));
}

static void a_name_like_a_piece_of_a_long_component_is_escaped(void **state)
{
	char key[255];
	struct buf path = { 0 };
	struct buf back = { 0 };

	(void)state;
	filled(key, sizeof(key), 'x');
	memcpy(key, "%+", 2);
	assert_int_equal(escape_encode(slice_of(key, sizeof(key)), &path), 0);
	assert_false(slice_equal(buf_slice(&path), slice_of(key, sizeof(key))));
	assert_int_equal(escape_decode(buf_slice(&path), &back), 0);
	assert_true(slice_equal(buf_slice(&back), slice_of(key, sizeof(key))));
	buf_release(&path);
	buf_release(&back);
}

/* Bytes that matter for escaping come up often. */
static size_t random_key(uint8_t *key, size_t max)
{
	static const char alphabet[] = { '%', '~', '+',  '.', '/', '0',
					 '2', '5', '\0', 'a', '%', '/' };
	size_t size = (size_t)rand() % max;
	size_t run = 0;
	uint8_t c = 'z';
	size_t i;

	for (i = 0; i < size; i++) {
		if (run == 0) {
			c = (uint8_t)alphabet[(size_t)rand() % sizeof(alphabet)];
			run = rand() % 40 == 0 ? (size_t)rand() % 300 : 1;
		}
		if (run)
			run--;
		key[i] = c;
	}
	return size;
}

static void every_random_key_comes_back_and_its_names_are_legal(void **state)
{
	unsigned int seed = 20240607;
	struct buf path = { 0 };
	struct buf back = { 0 };
	uint8_t key[900];
	const uint8_t *slash;
	struct slice rest, name;
	int i;

	(void)state;
	srand(seed);
	for (i = 0; i < 4000; i++) {
		struct slice k = slice_of(key, random_key(key, sizeof(key)));

		assert_int_equal(escape_encode(k, &path), 0);
		assert_int_equal(escape_decode(buf_slice(&path), &back), 0);
		assert_true(slice_equal(buf_slice(&back), k));
		rest = buf_slice(&path);
		do {
			slash = memchr(rest.data, '/', rest.size);
			name = rest;
			if (slash)
				name.size =
					(size_t)(slash -
						 (const uint8_t *)rest.data);
			assert_true(name_is_valid(name));
			if (slash)
				rest = slice_of(slash + 1,
						rest.size - name.size - 1);
		} while (slash);
	}
	buf_release(&path);
	buf_release(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_keys_are_their_own_paths),
		cmocka_unit_test(what_is_no_name_is_escaped),
		cmocka_unit_test(what_looks_like_an_escape_is_escaped),
		cmocka_unit_test(a_long_component_becomes_directories),
		cmocka_unit_test(a_piece_never_ends_inside_an_escape),
		cmocka_unit_test(
			a_name_like_a_piece_of_a_long_component_is_escaped),
		cmocka_unit_test(
			every_random_key_comes_back_and_its_names_are_legal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
