/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Byte slices and a growable byte buffer: the two shapes in which keys and
 * values travel. A leaf header: it may be included from every layer.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrowed bytes. `data` may be NULL when size is 0. */
struct slice {
	const void *data;
	size_t size;
};

/* Owned bytes. Zero-initialised is a valid empty buffer. */
struct buf {
	uint8_t *data;
	size_t size;
	size_t capacity;
};

#define SLICE_LITERAL(s) ((struct slice){ (s), sizeof(s) - 1 })

static inline struct slice slice_of(const void *data, size_t size)
{
	return (struct slice){ data, size };
}

static inline struct slice buf_slice(const struct buf *buf)
{
	return (struct slice){ buf->data, buf->size };
}

/* Order of bytes as unsigned; a prefix sorts before what it begins. */
int slice_compare(struct slice a, struct slice b);
bool slice_equal(struct slice a, struct slice b);
bool slice_has_prefix(struct slice s, struct slice prefix);

/* How many bytes two stretches of memory begin with alike. */
static inline size_t bytes_shared(const uint8_t *a, const uint8_t *b,
				  size_t size)
{
	size_t n = 0;

	for (uint64_t v, w; size - n >= sizeof(v); n += sizeof(v)) {
		memcpy(&v, a + n, sizeof(v));
		memcpy(&w, b + n, sizeof(w));
		if (v != w)
			break;
	}
	while (n < size && a[n] == b[n])
		n++;
	return n;
}

static inline size_t slice_shared(struct slice a, struct slice b)
{
	return bytes_shared(a.data, b.data, a.size < b.size ? a.size : b.size);
}

/* What is left of it from an offset on, which is within it. */
static inline struct slice slice_from(struct slice s, size_t offset)
{
	const uint8_t *bytes = s.data;

	return slice_of(offset ? bytes + offset : bytes, s.size - offset);
}

/* Frees the bytes and leaves an empty, usable buffer. */
void buf_release(struct buf *buf);

/*
 * Makes room for `extra` bytes behind buf->size. 0, or -ENOMEM (also when the
 * size would overflow); the contents are untouched either way.
 */
int buf_reserve(struct buf *buf, size_t extra);

/* Appends. 0 or -ENOMEM, in which case nothing was appended. */
int buf_append(struct buf *buf, const void *data, size_t size);
int buf_append_zeros(struct buf *buf, size_t size);

/* Sets the size; what is new is zero. 0 or -ENOMEM. */
int buf_resize(struct buf *buf, size_t size);

/* Replaces the contents. 0 or -ENOMEM, the old contents then stay. */
int buf_assign(struct buf *buf, struct slice s);

static inline void buf_clear(struct buf *buf)
{
	buf->size = 0;
}
