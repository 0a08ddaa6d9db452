/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Encoding and decoding of bytes through bounded cursors. All integers on disk
 * are little endian, but for those in keys, which are big endian so that they
 * sort. A leaf header: it may be included from every layer.
 *
 * A cursor that runs out of bytes (or meets a malformed varint) goes bad and
 * stays bad: getters then return 0, putters do nothing. So a decoder reads all
 * its fields in a row and asks once at the end.
 *
 * Varints are LEB128 as in Protocol Buffers: seven bits a byte, least
 * significant first, at most ten bytes; an encoding longer than needed is
 * malformed. Zigzag maps signed to unsigned as there.
 */

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "engine/buf.h"

#define VARINT_MAX_BYTES 10

struct reader {
	const uint8_t *at;
	const uint8_t *end;
	bool bad;
};

struct writer {
	uint8_t *at;
	uint8_t *end;
	bool bad;
};

static inline struct reader reader_of(struct slice s)
{
	const uint8_t *p = s.data;

	return (struct reader){ p, s.size ? p + s.size : p, false };
}

static inline struct writer writer_of(void *data, size_t capacity)
{
	uint8_t *p = data;

	return (struct writer){ p, capacity ? p + capacity : p, false };
}

static inline size_t reader_left(const struct reader *r)
{
	return r->bad ? 0 : (size_t)(r->end - r->at);
}

/* True when nothing failed and nothing is left: the exact-consumption check. */
static inline bool reader_done(const struct reader *r)
{
	return !r->bad && r->at == r->end;
}

/*
 * The getters and putters run several times for each record that is written or
 * looked up, hence inline. These two are what bounds them all: the next `size`
 * (not 0) bytes, or NULL when there are fewer and the cursor goes bad.
 */
static inline const uint8_t *reader_take(struct reader *r, size_t size)
{
	const uint8_t *p = r->at;

	if (r->bad || (size_t)(r->end - p) < size) {
		r->bad = true;
		return NULL;
	}
	r->at += size;
	return p;
}

static inline uint8_t *writer_take(struct writer *w, size_t size)
{
	uint8_t *p = w->at;

	if (w->bad || (size_t)(w->end - p) < size) {
		w->bad = true;
		return NULL;
	}
	w->at += size;
	return p;
}

static inline uint8_t get_u8(struct reader *r)
{
	const uint8_t *p = reader_take(r, 1);

	return p ? *p : 0;
}

static inline uint16_t get_u16(struct reader *r)
{
	const uint8_t *p = reader_take(r, sizeof(uint16_t));
	uint16_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le16toh(v);
}

static inline uint32_t get_u32(struct reader *r)
{
	const uint8_t *p = reader_take(r, sizeof(uint32_t));
	uint32_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static inline uint64_t get_u64(struct reader *r)
{
	const uint8_t *p = reader_take(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

/*
 * Eight bytes from `from` on as a big-endian number, zeros behind the end. Of two
 * slices that are alike before `from` the lesser has no greater number.
 */
static inline uint64_t slice_part(struct slice s, size_t from)
{
	const uint8_t *bytes = s.data;
	size_t left = s.size > from ? s.size - from : 0;
	uint64_t part = 0;

	if (left >= sizeof(part)) {
		memcpy(&part, bytes + from, sizeof(part));
		return be64toh(part);
	}
	if (left == 0)
		return 0;
	/* The last eight bytes, pushed left: quicker than one by one. */
	if (s.size >= sizeof(part)) {
		memcpy(&part, bytes + s.size - sizeof(part), sizeof(part));
		return be64toh(part) << 8 * (sizeof(part) - left);
	}
	memcpy(&part, bytes + from, left);
	return be64toh(part);
}

static inline uint64_t get_u64_be(struct reader *r)
{
	const uint8_t *p = reader_take(r, sizeof(uint64_t));
	uint64_t v = 0;

	if (p)
		memcpy(&v, p, sizeof(v));
	return be64toh(v);
}

/* The general case of get_varint: call that. */
uint64_t get_varint_slow(struct reader *r);

static inline uint64_t get_varint(struct reader *r)
{
	/* Most are lengths below 128. */
	if (!r->bad && r->at < r->end && *r->at < 0x80)
		return *r->at++;
	return get_varint_slow(r);
}

static inline int64_t get_zigzag(struct reader *r)
{
	uint64_t v = get_varint(r);

	return (int64_t)((v >> 1) ^ (0 - (v & 1)));
}

/* Borrows `size` bytes; an empty slice when there are fewer. */
static inline struct slice get_bytes(struct reader *r, size_t size)
{
	const uint8_t *p = size ? reader_take(r, size) : NULL;

	return (struct slice){ p, p ? size : 0 };
}

static inline void put_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = writer_take(w, 1);

	if (p)
		*p = v;
}

static inline void put_u16(struct writer *w, uint16_t v)
{
	uint8_t *p = writer_take(w, sizeof(v));

	v = htole16(v);
	if (p)
		memcpy(p, &v, sizeof(v));
}

static inline void put_u32(struct writer *w, uint32_t v)
{
	uint8_t *p = writer_take(w, sizeof(v));

	v = htole32(v);
	if (p)
		memcpy(p, &v, sizeof(v));
}

static inline void put_u64(struct writer *w, uint64_t v)
{
	uint8_t *p = writer_take(w, sizeof(v));

	v = htole64(v);
	if (p)
		memcpy(p, &v, sizeof(v));
}

static inline void put_u64_be(struct writer *w, uint64_t v)
{
	uint8_t *p = writer_take(w, sizeof(v));

	v = htobe64(v);
	if (p)
		memcpy(p, &v, sizeof(v));
}

/* Bytes that put_varint writes for `v`: 1 to 10. */
static inline size_t varint_size(uint64_t v)
{
	return (size_t)(63 - __builtin_clzll(v | 1)) / 7 + 1;
}

static inline void put_varint(struct writer *w, uint64_t v)
{
	uint8_t *p = writer_take(w, varint_size(v));

	if (!p)
		return;
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p = (uint8_t)v;
}

static inline uint64_t zigzag_of(int64_t v)
{
	return ((uint64_t)v << 1) ^ (0 - ((uint64_t)v >> 63));
}

static inline void put_zigzag(struct writer *w, int64_t v)
{
	put_varint(w, zigzag_of(v));
}

static inline void put_bytes(struct writer *w, struct slice s)
{
	uint8_t *p = s.size ? writer_take(w, s.size) : NULL;

	if (p)
		memcpy(p, s.data, s.size);
}
