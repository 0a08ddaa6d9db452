/* SPDX-License-Identifier: MIT */

/*
 * Slices and the growable buffer. A buffer is its holder's alone: no locks.
 *
 * Invariants of a struct buf:
 *  1. size <= capacity; data is NULL exactly when capacity is 0.
 *  2. The bytes in [size, capacity) mean nothing.
 */

#include "engine/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUF_CAPACITY_MIN 64

int slice_compare(struct slice a, struct slice b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common ? memcmp(a.data, b.data, common) : 0;

	if (order != 0)
		return order;
	return (a.size > b.size) - (a.size < b.size);
}

bool slice_equal(struct slice a, struct slice b)
{
	return a.size == b.size &&
	       (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

bool slice_has_prefix(struct slice s, struct slice prefix)
{
	return s.size >= prefix.size &&
	       (prefix.size == 0 ||
		memcmp(s.data, prefix.data, prefix.size) == 0);
}

void buf_release(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){ 0 };
}

int buf_reserve(struct buf *buf, size_t extra)
{
	size_t needed;
	size_t capacity;
	uint8_t *data;

	if (extra <= buf->capacity - buf->size)
		return 0;
	if (__builtin_add_overflow(buf->size, extra, &needed))
		return -ENOMEM;

	/* Growing by half again makes appending n bytes cost O(n) in all. */
	if (__builtin_add_overflow(buf->capacity, buf->capacity / 2, &capacity))
		capacity = needed;
	if (capacity < needed)
		capacity = needed;
	if (capacity < BUF_CAPACITY_MIN)
		capacity = BUF_CAPACITY_MIN;

	data = realloc(buf->data, capacity);
	if (!data)
		return -ENOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_append(struct buf *buf, const void *data, size_t size)
{
	int error;

	if (size == 0)
		return 0;
	error = buf_reserve(buf, size);
	if (error)
		return error;
	memcpy(buf->data + buf->size, data, size);
	buf->size += size;
	return 0;
}

int buf_append_zeros(struct buf *buf, size_t size)
{
	int error;

	if (size == 0)
		return 0;
	error = buf_reserve(buf, size);
	if (error)
		return error;
	memset(buf->data + buf->size, 0, size);
	buf->size += size;
	return 0;
}

int buf_resize(struct buf *buf, size_t size)
{
	if (size > buf->size)
		return buf_append_zeros(buf, size - buf->size);
	buf->size = size;
	return 0;
}

int buf_assign(struct buf *buf, struct slice s)
{
	if (s.size > buf->size) {
		int error = buf_reserve(buf, s.size - buf->size);

		if (error)
			return error;
	}
	/* memmove: s may be a part of the buffer, which then did not grow. */
	if (s.size)
		memmove(buf->data, s.data, s.size);
	buf->size = s.size;
	return 0;
}
