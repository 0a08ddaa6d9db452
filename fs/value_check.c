/* SPDX-License-Identifier: MIT */

/*
 * Values of schemas. UTF-8 as in table 3-7 of the Unicode standard: what is
 * overlong, a surrogate or beyond U+10FFFF shows in the second byte.
 */

#include "fs/value_check.h"

#include <stdint.h>

size_t value_size_max(enum value_schema schema)
{
	switch (schema) {
	case VALUE_STRING:
		return VALUE_STRING_MAX;
	case VALUE_INT:
		return VALUE_INT_MAX;
	case VALUE_BYTES:
		break;
	}
	return SIZE_MAX;
}

/* How many bytes a character has by its first; 0: none begins so. */
static size_t sequence_size(uint8_t first)
{
	if (first < 0x80)
		return 1;
	if (first < 0xc2)
		return 0;
	if (first < 0xe0)
		return 2;
	if (first < 0xf0)
		return 3;
	return first < 0xf5 ? 4 : 0;
}

static bool second_is_valid(uint8_t first, uint8_t second)
{
	uint8_t low = 0x80, high = 0xbf;

	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	return second >= low && second <= high;
}

/* What there is of a character of `size` bytes, in `have`, may be of one. */
static bool sequence_is_valid(const uint8_t *at, size_t have)
{
	if (have > 1 && !second_is_valid(at[0], at[1]))
		return false;
	for (size_t i = 2; i < have; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return false;
	}
	return true;
}

static bool string_is_valid(struct slice value, bool partial)
{
	const uint8_t *at = value.data;
	size_t left = value.size;

	while (left) {
		size_t size = sequence_size(*at);
		size_t have = size < left ? size : left;

		if (size == 0 || (size > left && !partial) ||
		    !sequence_is_valid(at, have))
			return false;
		at += have;
		left -= have;
	}
	return true;
}

static bool int_is_valid(struct slice value)
{
	const char *at = value.data;
	size_t size = value.size;
	bool negative;
	int64_t number = 0;

	if (size && at[size - 1] == '\n')
		size--;
	negative = size && *at == '-';
	if (negative) {
		at++;
		size--;
	}
	if (size == 0)
		return false;
	for (; size; size--, at++) {
		int digit = *at - '0';

		/* To the side of the sign, where the range is its own. */
		if (digit < 0 || digit > 9 ||
		    __builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, negative ? -digit : digit,
					   &number))
			return false;
	}
	return true;
}

bool value_is_valid(enum value_schema schema, struct slice value, bool partial)
{
	switch (schema) {
	case VALUE_STRING:
		return string_is_valid(value, partial);
	case VALUE_INT:
		return int_is_valid(value);
	case VALUE_BYTES:
		break;
	}
	return true;
}
