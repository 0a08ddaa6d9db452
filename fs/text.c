/* SPDX-License-Identifier: MIT */

/*
 * Text pages under construction. A text is its holder's alone: no locks.
 *
 * Invariant: once `error` is set the buffer changes no more.
 */

#include "fs/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void text_add(struct text *text, const char *format, ...)
{
	char line[512];
	va_list args;
	int size;

	if (text->error)
		return;
	va_start(args, format);
	size = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (size < 0) {
		text->error = -ENOMEM;
		return;
	}
	if ((size_t)size < sizeof(line)) {
		text->error = buf_append(text->buf, line, (size_t)size);
		return;
	}

	/* A long line: print it again, in place; vsnprintf adds a NUL. */
	text->error = buf_reserve(text->buf, (size_t)size + 1);
	if (text->error)
		return;
	va_start(args, format);
	vsnprintf((char *)text->buf->data + text->buf->size, (size_t)size + 1,
		  format, args);
	va_end(args);
	text->buf->size += (size_t)size;
}

static bool is_continuation(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 character at s, 0 when it is none. */
static unsigned int utf8_size(const unsigned char *s)
{
	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		return is_continuation(s[1]) ? 2 : 0;
	if (s[0] >= 0xe0 && s[0] <= 0xef) {
		if (!is_continuation(s[1]) || !is_continuation(s[2]) ||
		    (s[0] == 0xe0 && s[1] < 0xa0) ||
		    (s[0] == 0xed && s[1] > 0x9f))
			return 0;
		return 3;
	}
	if (s[0] >= 0xf0 && s[0] <= 0xf4) {
		if (!is_continuation(s[1]) || !is_continuation(s[2]) ||
		    !is_continuation(s[3]) || (s[0] == 0xf0 && s[1] < 0x90) ||
		    (s[0] == 0xf4 && s[1] > 0x8f))
			return 0;
		return 4;
	}
	return 0;
}

void text_add_json(struct text *text, const char *string)
{
	const unsigned char *s = (const unsigned char *)string;

	text_add(text, "\"");
	while (*s) {
		unsigned int size = utf8_size(s);

		if (size == 0) {
			text_add(text, "\\ufffd");
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			text_add(text, "\\%c", *s);
		else if (*s < 0x20 || *s == 0x7f)
			text_add(text, "\\u%04x", *s);
		else
			text_add(text, "%.*s", (int)size, (const char *)s);
		s += size;
	}
	text_add(text, "\"");
}

void text_add_label(struct text *text, const char *string)
{
	text_add(text, "\"");
	for (; *string; string++) {
		if (*string == '\n')
			text_add(text, "\\n");
		else if (*string == '"' || *string == '\\')
			text_add(text, "\\%c", *string);
		else
			text_add(text, "%c", *string);
	}
	text_add(text, "\"");
}

void text_add_size(struct text *text, uint64_t size_bytes)
{
	static const char suffixes[] = "\0KMGT";
	unsigned int power = 0;

	while (power < 4 && size_bytes && size_bytes % 1024 == 0) {
		size_bytes /= 1024;
		power++;
	}
	if (power == 0)
		text_add(text, "%" PRIu64, size_bytes);
	else
		text_add(text, "%" PRIu64 "%c", size_bytes, suffixes[power]);
}
