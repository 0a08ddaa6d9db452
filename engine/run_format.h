/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of a run file: the footer, the headers of its blocks and pages, the
 * entries in them. Mirrored encode and decode; nothing else in the engine knows
 * an offset in a run. FORMAT.md is the description.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/codec.h"
#include "engine/place.h"
#include "engine/run.h"

#define RUN_FORMAT_VERSION 1u
#define RUN_PAGE_BYTES ((size_t)4096)
#define RUN_BLOCK_HEADER_BYTES 24u
/*
 * Every so many entries one has its whole key, and its offset in a table. An
 * index is small, so it can afford more of them and be searched faster.
 */
#define RUN_LEAF_INTERVAL 16u
#define RUN_INDEX_INTERVAL 4u
#define RUN_RESTART_BYTES 2u
/* 33 pages hold two index entries with keys of 64 KiB - 1. */
#define RUN_BLOCK_PAGES_MAX 33u
#define RUN_LEVELS_MAX 48u
/* A filter page: a header, as long as a line of the filter, then lines. */
#define RUN_FILTER_HEADER_BYTES 64u
#define RUN_FILTER_PAGE_LINES 63u
/* Upper bounds of an entry's parts beside the bytes of its key. */
#define RUN_ENTRY_HEAD_MAX (2 * VARINT_MAX_BYTES)
#define RUN_ENTRY_BODY_MAX (1 + 3 * sizeof(uint64_t))

enum run_block_kind {
	RUN_LEAF = 1,
	RUN_INDEX = 2,
	RUN_FILTER = 3,
	RUN_FOOTER = 4,
};

/* What every checksum of the run begins with: see run_checksum. */
uint32_t run_seed(const struct run_identity *identity);

/*
 * Stores the checksum of a block or page that is to stand at page_number. It
 * covers the identity of the run, the page number and all of the bytes but its
 * own four: a block is valid in one place only.
 */
void run_checksum_store(uint32_t seed, uint64_t page_number, uint8_t *bytes,
			size_t size);
/* 0 or -EBADMSG. */
int run_checksum_verify(uint32_t seed, uint64_t page_number,
			struct slice bytes);

struct run_footer {
	struct run_identity identity;
	uint64_t entry_count; /* tombstones included */
	uint64_t tombstone_count;
	uint64_t leaf_count; /* blocks, of any number of pages */
	uint64_t index_count;
	uint64_t block_pages; /* pages [0, block_pages) are leaves and index */
	uint64_t root_page;   /* 0 when there is no entry */
	uint64_t filter_line_count; /* 0: no filter */
	uint32_t level_count;       /* 0: no entry; 1: the root is a leaf */
};

/* Pages that filter lines take. */
uint64_t run_filter_pages(uint64_t line_count);

void run_footer_encode(const struct run_footer *footer,
		       uint8_t ret_page[RUN_PAGE_BYTES]);
/*
 * Decodes the page at page_number, the last one of the file, and checks it
 * against the identity and that number. 0, -EUCLEAN, -EPROTONOSUPPORT.
 */
int run_footer_decode(const uint8_t page[RUN_PAGE_BYTES], uint64_t page_number,
		      const struct run_identity *identity,
		      struct run_footer *ret_footer);

/* A leaf, an index block or a filter page, its header taken apart. */
struct run_block {
	const uint8_t *bytes; /* borrowed; the whole block */
	size_t size;
	size_t end;              /* where the entries (or filter lines) end */
	uint64_t base;           /* what the first entry is counted from */
	const uint8_t *restarts; /* their offsets; set by decode */
	unsigned int restart_count;
	unsigned int interval; /* entries from one restart to the next */
	enum run_block_kind kind;
	unsigned int level; /* 0: leaf */
	unsigned int count; /* of entries or lines, at least 1 */
};

/*
 * The page count that the header on a block's first page states. To be
 * verified: it is needed to find the bytes that the checksum covers.
 */
unsigned int run_block_pages(const uint8_t *page);

/*
 * Writes header fields but the checksum. size is whole pages; bytes, size, end,
 * base, kind, level and count are taken from the block.
 */
void run_block_header_encode(const struct run_block *block,
			     uint8_t ret_bytes[RUN_BLOCK_HEADER_BYTES]);
/*
 * 0 or -EUCLEAN, and then *ret_block is undefined. Does not verify the
 * checksum, and does not need it: whatever the bytes are, all that is decoded
 * afterwards stays inside them.
 */
int run_block_decode(struct slice bytes, struct run_block *ret_block);

static inline unsigned int run_interval_of(enum run_block_kind kind)
{
	return kind == RUN_LEAF ? RUN_LEAF_INTERVAL : RUN_INDEX_INTERVAL;
}

static inline unsigned int run_restart_count(enum run_block_kind kind,
					     unsigned int entry_count)
{
	unsigned int interval = run_interval_of(kind);

	return (entry_count + interval - 1) / interval;
}

/* The table of `count` restarts takes the last bytes of the block. */
void run_restarts_encode(uint8_t *bytes, size_t size, const uint16_t *offsets,
			 size_t count);

/* What the table says: not to be trusted to be within the block. */
static inline size_t run_restart_decode(const struct run_block *block,
					size_t index)
{
	uint16_t v;

	memcpy(&v, block->restarts + index * RUN_RESTART_BYTES, sizeof(v));
	return le16toh(v);
}

/*
 * An entry: head, bytes of the key that it does not share with the key before,
 * body. The body of a leaf entry is a place, of an index entry a child page.
 *
 * Its decoders are the inner loop of every lookup and list. They are inline,
 * take [at, end) and return what is behind the part decoded, or NULL when that
 * is malformed or does not end in time; the rare cases are out of line. Two
 * pointers instead of a struct reader, and outputs written where they are to
 * stay, also on a failure: the compiler moves structs in pieces of another size
 * than it filled them, which stalls the processor longer than decoding takes.
 */
#define RUN_INLINE inline __attribute__((always_inline))

struct run_entry_head {
	size_t shared;       /* bytes of the previous key */
	struct slice suffix; /* and what follows them in this one */
};

/* Puts what stands before the suffix. */
void run_entry_head_encode(struct writer *w, const struct run_entry_head *head);

const uint8_t *run_entry_head_decode_any(const uint8_t *at, const uint8_t *end,
					 struct run_entry_head *ret_head);

/* Head and suffix. */
static RUN_INLINE const uint8_t *
run_entry_head_decode(const uint8_t *at, const uint8_t *end,
		      struct run_entry_head *ret_head)
{
	size_t left = (size_t)(end - at);

	if (left < 2 || (at[0] | at[1]) >= 0x80 || at[1] > left - 2)
		return run_entry_head_decode_any(at, end, ret_head);
	ret_head->shared = at[0];
	ret_head->suffix.data = at + 2;
	ret_head->suffix.size = at[1];
	return at + 2 + at[1];
}

/*
 * What a place is counted from: that of the restart at or before it; that one
 * itself from the block's base. So a search needs to decode no more than two.
 */
struct run_place_base {
	uint64_t segment_id;
	uint64_t offset;
};

static inline struct run_place_base run_place_base_of(const struct place *place)
{
	return (struct run_place_base){ place->segment_id, place->offset };
}

/*
 * A place begins with a byte that has the lengths of its three integers, so
 * that passing one by does not depend on the integers themselves:
 *
 *	bit 0 tombstone | 1-2 of the segment | 3-5 of the offset | 6-7 of the size
 */
#define RUN_PLACE_TOMBSTONE 1u
#define RUN_SEGMENT_LENGTH_SHIFT 1
#define RUN_SEGMENT_LENGTHS 0x08020100u
#define RUN_OFFSET_LENGTH_SHIFT 3
#define RUN_OFFSET_LENGTHS UINT64_C(0x0806050403020100)
#define RUN_SIZE_LENGTH_SHIFT 6
#define RUN_SIZE_LENGTHS 0x08040201u

/* Byte `code` of a table of lengths. */
static inline unsigned int run_length_of(uint64_t lengths, unsigned int code)
{
	return (unsigned int)(lengths >> code * 8) & 0xff;
}

static inline unsigned int run_segment_length(unsigned int head)
{
	return run_length_of(RUN_SEGMENT_LENGTHS,
			     head >> RUN_SEGMENT_LENGTH_SHIFT & 3);
}

static inline unsigned int run_offset_length(unsigned int head)
{
	return run_length_of(RUN_OFFSET_LENGTHS,
			     head >> RUN_OFFSET_LENGTH_SHIFT & 7);
}

static inline unsigned int run_size_length(unsigned int head)
{
	return run_length_of(RUN_SIZE_LENGTHS,
			     head >> RUN_SIZE_LENGTH_SHIFT & 3);
}

/* An integer of `length` bytes, 0 to 8, where eight can be read. */
static inline uint64_t run_integer_load(const uint8_t *p, unsigned int length)
{
	static const uint64_t masks[9] = {
		0,
		UINT64_C(0xff),
		UINT64_C(0xffff),
		UINT64_C(0xffffff),
		UINT64_C(0xffffffff),
		UINT64_C(0xffffffffff),
		UINT64_C(0xffffffffffff),
		UINT64_C(0xffffffffffffff),
		UINT64_C(0xffffffffffffffff),
	};
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v) & masks[length];
}

static inline uint64_t run_from_zigzag(uint64_t v)
{
	return (v >> 1) ^ (0 - (v & 1));
}

void run_place_encode(struct writer *w, const struct run_place_base *base,
		      const struct place *place);

/* Near the end of a block, where loading eight bytes is not safe. */
const uint8_t *run_place_decode_tail(const uint8_t *at, const uint8_t *end,
				     const struct run_place_base *base,
				     struct place *ret_place);

/* lsn is 0. */
static RUN_INLINE const uint8_t *
run_place_decode(const uint8_t *at, const uint8_t *end,
		 const struct run_place_base *base, struct place *ret_place)
{
	unsigned int head, length;

	if ((size_t)(end - at) < RUN_ENTRY_BODY_MAX)
		return run_place_decode_tail(at, end, base, ret_place);
	head = *at++;
	length = run_segment_length(head);
	ret_place->segment_id = base->segment_id +
				run_from_zigzag(run_integer_load(at, length));
	at += length;
	length = run_offset_length(head);
	ret_place->offset =
		base->offset + run_from_zigzag(run_integer_load(at, length));
	at += length;
	length = run_size_length(head);
	ret_place->size_bytes = run_integer_load(at, length);
	ret_place->lsn = 0;
	ret_place->tombstone = head & RUN_PLACE_TOMBSTONE;
	return at + length;
}

/* Passes a place by. */
static RUN_INLINE const uint8_t *run_place_skip(const uint8_t *at,
						const uint8_t *end)
{
	size_t left = (size_t)(end - at), size;

	if (left == 0)
		return NULL;
	size = 1 + run_segment_length(*at) + run_offset_length(*at) +
	       run_size_length(*at);
	return size <= left ? at + size : NULL;
}

/* Children are counted from the block's base, its first child. */
void run_child_encode(struct writer *w, uint64_t base, uint64_t child_page);
const uint8_t *run_child_decode_any(const uint8_t *at, const uint8_t *end,
				    uint64_t base, uint64_t *ret_child_page);

static RUN_INLINE const uint8_t *run_child_decode(const uint8_t *at,
						  const uint8_t *end,
						  uint64_t base,
						  uint64_t *ret_child_page)
{
	if (at == end || *at >= 0x80)
		return run_child_decode_any(at, end, base, ret_child_page);
	*ret_child_page = base + *at;
	return at + 1;
}
