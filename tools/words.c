/* SPDX-License-Identifier: MIT */

/*
 * Splitting lines: one pass, a state for what quote is open. No lock.
 */

#include "tools/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct scan {
	const char *at, *end;
	struct buf *out;
	char quote; /* that is open: ' or ", 0: none */
	bool in_word;
	bool escaped_end; /* a backslash was the last byte */
};

static int emit(struct scan *scan, char byte)
{
	scan->in_word = true;
	return byte ? buf_append(scan->out, &byte, 1) : -EINVAL;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Behind a backslash within double quotes. */
static int escape(struct scan *scan)
{
	char c = *scan->at++;
	int high, low;

	switch (c) {
	case 'n':
		return emit(scan, '\n');
	case 't':
		return emit(scan, '\t');
	case '"':
	case '\\':
	case '$':
	case '`':
		return emit(scan, c);
	case 'x':
		if (scan->end - scan->at < 2)
			return -EINVAL;
		high = hex_digit(scan->at[0]);
		low = hex_digit(scan->at[1]);
		scan->at += 2;
		return high < 0 || low < 0 ?
			       -EINVAL :
			       emit(scan, (char)(high << 4 | low));
	default:
		return -EINVAL;
	}
}

/* One byte, or one escape, inside a word or before it. */
static int step(struct scan *scan)
{
	char c = *scan->at++;

	if (scan->quote && c == scan->quote) {
		scan->quote = 0;
		return 0;
	}
	if (scan->quote == '\'')
		return emit(scan, c);
	if (c == '\\') {
		scan->in_word = true;
		scan->escaped_end = scan->at == scan->end;
		if (scan->escaped_end)
			return 0;
		return scan->quote ? escape(scan) : emit(scan, *scan->at++);
	}
	if (!scan->quote && (c == '\'' || c == '"')) {
		scan->quote = c;
		scan->in_word = true;
		return 0;
	}
	return emit(scan, c);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Skips spaces. False at the end or a comment. */
static bool word_begins(struct scan *scan)
{
	while (scan->at < scan->end && is_space(*scan->at))
		scan->at++;
	scan->in_word = false;
	return scan->at < scan->end && *scan->at != '#';
}

static bool word_goes_on(const struct scan *scan)
{
	return scan->at < scan->end && (scan->quote || !is_space(*scan->at));
}

static struct scan scan_of(struct slice line, struct buf *out)
{
	const char *at = line.data;

	return (struct scan){ .at = at,
			      .end = line.size ? at + line.size : at,
			      .out = out };
}

/* The words, each with a NUL, into words->bytes. */
static int words_scan(struct words *words, struct slice line)
{
	struct scan scan = scan_of(line, &words->bytes);
	int r = 0;

	while (r == 0 && word_begins(&scan)) {
		if (words->count == WORDS_MAX)
			return -E2BIG;
		while (r == 0 && word_goes_on(&scan))
			r = step(&scan);
		if (r == 0 && (scan.quote || scan.escaped_end))
			r = -EINVAL;
		if (r == 0)
			r = buf_append(&words->bytes, "", 1);
		words->count++;
	}
	return r;
}

int words_parse(struct words *words, struct slice line)
{
	char *at;
	size_t i;
	int r;

	buf_clear(&words->bytes);
	words->count = 0;
	r = words_scan(words, line);
	if (r)
		return r;
	free(words->at);
	words->at = calloc(words->count + 1, sizeof(*words->at));
	if (!words->at)
		return -ENOMEM;
	at = (char *)words->bytes.data;
	for (i = 0; i < words->count; i++) {
		words->at[i] = at;
		at += strlen(at) + 1;
	}
	return 0;
}

void words_release(struct words *words)
{
	free(words->at);
	buf_release(&words->bytes);
	*words = (struct words){ 0 };
}

int words_last(struct slice line, size_t *ret_begin, struct buf *ret_word)
{
	struct scan scan = scan_of(line, ret_word);
	int r = 0;

	*ret_begin = line.size;
	buf_clear(ret_word);
	while (word_begins(&scan)) {
		*ret_begin = (size_t)(scan.at - (const char *)line.data);
		buf_clear(ret_word);
		/* Escapes that make no sense yet may do so when it is whole. */
		while (r != -ENOMEM && word_goes_on(&scan))
			r = step(&scan);
		if (r == -ENOMEM || scan.at == scan.end)
			return r == -ENOMEM ? r : 0;
	}
	*ret_begin = line.size;
	buf_clear(ret_word);
	return 0;
}

static bool needs_quotes(struct slice word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789_-./:,+@%=~^";
	const char *at = word.data;
	size_t i;

	for (i = 0; i < word.size; i++) {
		if (!at[i] || (!strchr(plain, at[i]) && !(at[i] & 0x80)))
			return true;
	}
	return word.size == 0;
}

static int quote_byte(struct buf *buf, char byte)
{
	static const char digits[] = "0123456789abcdef";
	unsigned char c = (unsigned char)byte;
	char text[4] = { '\\', 'x', digits[c >> 4], digits[c & 15] };

	if (c < ' ' || c == 0x7f)
		return buf_append(buf, text, 4);
	text[1] = byte;
	if (byte == '"' || byte == '\\' || byte == '$' || byte == '`')
		return buf_append(buf, text, 2);
	return buf_append(buf, &byte, 1);
}

int words_quote(struct buf *buf, struct slice word)
{
	const char *at = word.data;
	size_t i;
	int r;

	if (!needs_quotes(word))
		return buf_append(buf, word.data, word.size);
	r = buf_append(buf, "\"", 1);
	for (i = 0; r == 0 && i < word.size; i++)
		r = quote_byte(buf, at[i]);
	return r ? r : buf_append(buf, "\"", 1);
}
