/* SPDX-License-Identifier: MIT */

/*
 * Escapes and base64, both ways. Decoders accept what the encoders write, and
 * hand-written text; anything else is -EINVAL, never guessed at. No state.
 */

#include "tools/stream.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			       "abcdefghijklmnopqrstuvwxyz0123456789+/";

/* --- text --- */

/* The letter of a short escape, 0 when there is none. */
static char short_escape(uint8_t byte)
{
	switch (byte) {
	case '\\':
		return '\\';
	case '\n':
		return 'n';
	case '\t':
		return 't';
	case '\r':
		return 'r';
	default:
		return 0;
	}
}

static bool is_plain(uint8_t byte)
{
	return byte >= ' ' && byte < 0x7f && byte != '\\';
}

static size_t escaped_size(struct slice bytes)
{
	const uint8_t *at = bytes.data;
	size_t i, size = 0;

	for (i = 0; i < bytes.size; i++)
		size += is_plain(at[i]) ? 1 : short_escape(at[i]) ? 2 : 4;
	return size;
}

static int append_escape(struct buf *buf, uint8_t byte)
{
	char text[4] = { '\\', short_escape(byte) };

	if (text[1])
		return buf_append(buf, text, 2);
	text[1] = 'x';
	text[2] = digits[byte >> 4];
	text[3] = digits[byte & 15];
	return buf_append(buf, text, 4);
}

int stream_append_text(struct buf *buf, struct slice bytes)
{
	const uint8_t *at = bytes.data;
	size_t i = 0, begin;
	int r = 0;

	while (r == 0 && i < bytes.size) {
		for (begin = i; i < bytes.size && is_plain(at[i]);)
			i++;
		r = buf_append(buf, at + begin, i - begin);
		if (r == 0 && i < bytes.size)
			r = append_escape(buf, at[i++]);
	}
	return r;
}

static int hex_value(uint8_t digit)
{
	if (digit >= '0' && digit <= '9')
		return digit - '0';
	if (digit >= 'A' && digit <= 'F')
		return digit - 'A' + 10;
	return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* The byte that an escape behind a backslash stands for; -EINVAL. */
static int escape_value(const uint8_t *at, size_t left, size_t *ret_used)
{
	int high, low;

	*ret_used = 1;
	if (!left)
		return -EINVAL;
	switch (*at) {
	case '\\':
		return '\\';
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	case 'x':
		*ret_used = 3;
		high = left >= 3 ? hex_value(at[1]) : -1;
		low = left >= 3 ? hex_value(at[2]) : -1;
		return high < 0 || low < 0 ? -EINVAL : high << 4 | low;
	default:
		return -EINVAL;
	}
}

int stream_decode_text(struct slice text, struct buf *ret_bytes)
{
	const uint8_t *at = text.data;
	size_t i = 0, begin, used;
	int value, r = 0;
	uint8_t byte;

	while (r == 0 && i < text.size) {
		for (begin = i; i < text.size && at[i] != '\\';)
			i++;
		r = buf_append(ret_bytes, at + begin, i - begin);
		if (r || i == text.size)
			break;
		value = escape_value(at + i + 1, text.size - i - 1, &used);
		if (value < 0)
			return value;
		byte = (uint8_t)value;
		r = buf_append(ret_bytes, &byte, 1);
		i += 1 + used;
	}
	return r;
}

/* --- base64 --- */

static int append_base64(struct buf *buf, struct slice bytes)
{
	const uint8_t *at = bytes.data;
	size_t left = bytes.size;
	char quad[4];
	uint32_t bits;
	int r = 0;

	for (; r == 0 && left; at += 3, left -= left < 3 ? left : 3) {
		bits = (uint32_t)at[0] << 16;
		bits |= left > 1 ? (uint32_t)at[1] << 8 : 0;
		bits |= left > 2 ? (uint32_t)at[2] : 0;
		quad[0] = alphabet[bits >> 18];
		quad[1] = alphabet[bits >> 12 & 63];
		quad[2] = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		quad[3] = left > 2 ? alphabet[bits & 63] : '=';
		r = buf_append(buf, quad, sizeof(quad));
	}
	return r;
}

static int sextet(uint8_t letter)
{
	const char *found = letter ? strchr(alphabet, letter) : NULL;

	return found ? (int)(found - alphabet) : -1;
}

/* Four letters; how many bytes they are, -EINVAL. */
static int quad_decode(const uint8_t *at, uint8_t ret_bytes[static 3])
{
	int count = at[3] != '=' ? 3 : at[2] != '=' ? 2 : 1;
	uint32_t bits = 0;
	int i, value;

	for (i = 0; i < 4; i++) {
		value = i <= count ? sextet(at[i]) : at[i] == '=' ? 0 : -1;
		if (value < 0)
			return -EINVAL;
		bits = bits << 6 | (uint32_t)value;
	}
	/* Bits that no byte has must not say anything. */
	if (bits & ((1u << (3 - count) * 8) - 1))
		return -EINVAL;
	ret_bytes[0] = (uint8_t)(bits >> 16);
	ret_bytes[1] = (uint8_t)(bits >> 8);
	ret_bytes[2] = (uint8_t)bits;
	return count;
}

int stream_decode_base64(struct slice text, struct buf *ret_bytes)
{
	const uint8_t *at = text.data;
	size_t left = text.size;
	uint8_t bytes[3];
	int count, r = 0;

	if (left % 4)
		return -EINVAL;
	for (; r == 0 && left; at += 4, left -= 4) {
		count = quad_decode(at, bytes);
		if (count < 0 || (count < 3 && left > 4))
			return -EINVAL;
		r = buf_append(ret_bytes, bytes, (size_t)count);
	}
	return r;
}

/* --- lines of values --- */

static int append_piece(struct buf *buf, struct slice piece)
{
	bool text = escaped_size(piece) <= (piece.size + 2) / 3 * 4;
	int r = buf_append(buf, text ? "v " : "b ", 2);

	if (r == 0)
		r = text ? stream_append_text(buf, piece) :
			   append_base64(buf, piece);
	return r ? r : buf_append(buf, "\n", 1);
}

int stream_append_value(struct buf *buf, struct slice bytes)
{
	const uint8_t *at = bytes.data;
	size_t left = bytes.size, size;
	int r = 0;

	for (; r == 0 && left; at += size, left -= size) {
		size = left < STREAM_PIECE_MAX ? left : STREAM_PIECE_MAX;
		r = append_piece(buf, slice_of(at, size));
	}
	return r;
}
