/* SPDX-License-Identifier: MIT */

/*
 * JSON output into a buffer. Invariant: what is appended is ASCII or valid
 * UTF-8, whatever bytes a name has. No state, no lock.
 */

#include "tools/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool is_continuation(const uint8_t *at, size_t left, size_t i)
{
	return i < left && (at[i] & 0xc0) == 0x80;
}

/*
 * Bytes of the well-formed UTF-8 sequence at `at` (Unicode, table 3-7), 0 when
 * there is none: overlong forms, surrogates and what is past U+10FFFF.
 */
static size_t utf8_size(const uint8_t *at, size_t left)
{
	uint8_t a = at[0], b = left > 1 ? at[1] : 0;

	if (a < 0x80)
		return 1;
	if (a < 0xc2 || a > 0xf4 || !is_continuation(at, left, 1))
		return 0;
	if (a < 0xe0)
		return 2;
	if ((a == 0xe0 && b < 0xa0) || (a == 0xed && b > 0x9f) ||
	    (a == 0xf0 && b < 0x90) || (a == 0xf4 && b > 0x8f) ||
	    !is_continuation(at, left, 2))
		return 0;
	if (a < 0xf0)
		return 3;
	return is_continuation(at, left, 3) ? 4 : 0;
}

static int append_escape(struct buf *buf, unsigned int unit)
{
	char text[8];

	snprintf(text, sizeof(text), "\\u%04x", unit & 0xffff);
	return buf_append(buf, text, 6);
}

static int append_ascii(struct buf *buf, uint8_t byte)
{
	char pair[2] = { '\\', (char)byte };

	switch (byte) {
	case '"':
	case '\\':
		return buf_append(buf, pair, 2);
	case '\n':
		return buf_append(buf, "\\n", 2);
	case '\t':
		return buf_append(buf, "\\t", 2);
	default:
		if (byte < ' ' || byte == 0x7f)
			return append_escape(buf, byte);
		return buf_append(buf, &byte, 1);
	}
}

int json_append_string(struct buf *buf, struct slice text)
{
	const uint8_t *at = text.data;
	size_t left = text.size, size;
	int r = buf_append(buf, "\"", 1);

	while (r == 0 && left) {
		size = utf8_size(at, left);
		if (size == 0) {
			r = append_escape(buf, 0xdc00u + *at);
			size = 1;
		} else if (size == 1) {
			r = append_ascii(buf, *at);
		} else {
			r = buf_append(buf, at, size);
		}
		at += size;
		left -= size;
	}
	return r ? r : buf_append(buf, "\"", 1);
}

int json_append_name(struct buf *buf, const char *name)
{
	bool first = !buf->size || buf->data[buf->size - 1] == '{';
	int r = first ? 0 : buf_append(buf, ",", 1);

	if (r == 0)
		r = json_append_string(buf, slice_of(name, strlen(name)));
	return r ? r : buf_append(buf, ":", 1);
}

int json_append_number(struct buf *buf, const char *name, uint64_t value)
{
	char text[24];
	int size = snprintf(text, sizeof(text), "%" PRIu64, value);
	int r = json_append_name(buf, name);

	return r ? r : buf_append(buf, text, (size_t)size);
}

int json_append_text(struct buf *buf, const char *name, struct slice value)
{
	int r = json_append_name(buf, name);

	return r ? r : json_append_string(buf, value);
}
