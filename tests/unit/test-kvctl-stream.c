/* SPDX-License-Identifier: MIT */

/* The text of a dump: tools/stream.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/stream.h"

static void every_byte_comes_back_from_text(void **state)
{
	struct buf text = { 0 }, back = { 0 };
	uint8_t bytes[512];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i < 256 ? i : 511 - i);
	assert_int_equal(stream_append_text(&text, slice_of(bytes, 512)), 0);
	for (i = 0; i < text.size; i++)
		assert_in_range(text.data[i], ' ', '~');
	assert_int_equal(stream_decode_text(buf_slice(&text), &back), 0);
	assert_true(slice_equal(buf_slice(&back), slice_of(bytes, 512)));
	buf_release(&text);
	buf_release(&back);
}

static void assert_value_lines(struct slice value, const char *lines)
{
	struct buf buf = { 0 };

	assert_int_equal(stream_append_value(&buf, value), 0);
	assert_int_equal(buf.size, strlen(lines));
	assert_memory_equal(buf.data, lines, buf.size);
	buf_release(&buf);
}

static void values_are_text_where_that_is_shorter(void **state)
{
	(void)state;
	assert_value_lines(SLICE_LITERAL("Ada Lovelace\n"),
			   "v Ada Lovelace\\n\n");
	assert_value_lines(SLICE_LITERAL("back\\slash\t"),
			   "v back\\\\slash\\t\n");
	/* From RFC 4648, and what is binary. */
	assert_value_lines(SLICE_LITERAL("\0\1\2\3"), "b AAECAw==\n");
	assert_value_lines(SLICE_LITERAL("\xff\xfe\xfd"), "b //79\n");
	assert_value_lines(SLICE_LITERAL("\0\0\0\0\0"), "b AAAAAAA=\n");
	assert_value_lines(slice_of("", 0), "");
}

static void base64_comes_back_whatever_its_length(void **state)
{
	struct buf text = { 0 }, back = { 0 };
	uint8_t bytes[64];
	size_t size;

	(void)state;
	/* One byte is as long as text. */
	for (size = 2; size <= sizeof(bytes); size++) {
		memset(bytes, (int)(0x80 + size), sizeof(bytes));
		buf_clear(&text);
		buf_clear(&back);
		assert_int_equal(
			stream_append_value(&text, slice_of(bytes, size)), 0);
		assert_int_equal(text.data[0], 'b');
		assert_int_equal(stream_decode_base64(slice_of(text.data + 2,
							       text.size - 3),
						      &back),
				 0);
		assert_true(
			slice_equal(buf_slice(&back), slice_of(bytes, size)));
	}
	buf_release(&text);
	buf_release(&back);
}

static void long_values_are_cut_into_lines(void **state)
{
	size_t size = 10 * STREAM_PIECE_MAX + 1, i, longest = 0, at = 0;
	char *value = calloc(1, size);
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(stream_append_value(&buf, slice_of(value, size)), 0);
	for (i = 0; i < buf.size; i++) {
		if (buf.data[i] != '\n')
			continue;
		longest = i - at > longest ? i - at : longest;
		at = i + 1;
	}
	assert_in_range(longest, 1, 4100);
	buf_release(&buf);
	free(value);
}

static void what_no_encoder_writes_is_refused(void **state)
{
	static const char *const texts[] = { "\\",   "a\\",   "\\q",  "\\x",
					     "\\x1", "\\xg0", "\\x0g" };
	static const char *const base64[] = {
		"A",        "AA",   "AAA",  "====", "A===", "AA=A",
		"AAE=AAAA", "AB==", "AAB=", "AA A", "AAA\n"
	};
	struct buf buf = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(
			stream_decode_text(slice_of(texts[i], strlen(texts[i])),
					   &buf),
			-EINVAL);
	for (i = 0; i < sizeof(base64) / sizeof(*base64); i++)
		assert_int_equal(stream_decode_base64(
					 slice_of(base64[i], strlen(base64[i])),
					 &buf),
				 -EINVAL);
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_back_from_text),
		cmocka_unit_test(values_are_text_where_that_is_shorter),
		cmocka_unit_test(base64_comes_back_whatever_its_length),
		cmocka_unit_test(long_values_are_cut_into_lines),
		cmocka_unit_test(what_no_encoder_writes_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
