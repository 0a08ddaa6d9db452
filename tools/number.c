/* SPDX-License-Identifier: MIT */

/*
 * Numbers. strtoll takes white space, a sign of its own accord, and stops
 * where it likes; so digits are looked at here first. No state, no lock.
 */

#include "tools/number.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define VALUE_SIZE_MAX 24 /* "-9223372036854775808\n" and a little */

/* Digits up to `end`, at most `max`. */
static int digits_parse(const char *text, uint64_t max, const char **end,
			uint64_t *ret_number)
{
	unsigned long long number;
	char *rest;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoull(text, &rest, 10);
	if (errno || number > max)
		return -EINVAL;
	*end = rest;
	*ret_number = number;
	return 0;
}

int number_parse(const char *text, uint64_t max, uint64_t *ret_number)
{
	const char *end;
	uint64_t number;
	int r;

	r = digits_parse(text, max, &end, &number);
	if (r || *end)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

int number_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes)
{
	static const char units[] = "KMG";
	unsigned int shift = 0;
	const char *end, *unit;
	uint64_t number;
	int r;

	r = digits_parse(text, max, &end, &number);
	if (r)
		return r;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * ((unsigned int)(unit - units) + 1);
		end++;
	}
	if (*end || number > max >> shift)
		return -EINVAL;
	*ret_bytes = number << shift;
	return 0;
}

int number_parse_value(struct slice text, int64_t *ret_number)
{
	char copy[VALUE_SIZE_MAX + 1];
	const char *digits;
	long long number;
	size_t size = text.size;

	if (size && ((const char *)text.data)[size - 1] == '\n')
		size--;
	if (!size || size > VALUE_SIZE_MAX || memchr(text.data, '\0', size))
		return -EINVAL;
	memcpy(copy, text.data, size);
	copy[size] = '\0';
	digits = copy + (copy[0] == '-');
	if (!*digits || digits[strspn(digits, "0123456789")])
		return -EINVAL;
	errno = 0;
	number = strtoll(copy, NULL, 10);
	if (errno)
		return -ERANGE;
	*ret_number = number;
	return 0;
}

int number_add(int64_t a, int64_t b, int64_t *ret_sum)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return -ERANGE;
	*ret_sum = sum;
	return 0;
}
