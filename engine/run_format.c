/* SPDX-License-Identifier: MIT */

/*
 * Footer, headers and entries of run files as bytes.
 *
 * A block, page aligned:
 *
 *	header 24 | entry, entry, ... | zeros | u16 restart offset, ...
 *
 * An entry:
 *
 *	varint shared | varint suffix size | suffix | body
 *	body of a leaf:   u8 lengths and tombstone | zigzag segment - base |
 *	                  zigzag offset - base | size; base: the restart's place
 *	body of an index: varint child page - base
 *
 * Invariants:
 *  1. A block's checksum covers all its bytes, padding included, and where it
 *     stands: of a valid run every bit is as it was written.
 *  2. What a decoder returns lies within the bytes it was given, checksum or
 *     not: mapped pages may change after they were verified, and whoever made
 *     the store can make checksums, too.
 *
 * Stateless, so without locks.
 */

#include "engine/run_format.h"

#include <errno.h>
#include <string.h>

#include "engine/crc32.h"

static const uint8_t run_magic[8] = { 'K', 'V', 'F', 'S', 'r', 'u', 'n', '\n' };

/* Keeps the arithmetic on what a footer claims far from overflow. */
#define RUN_PAGES_MAX (UINT64_C(1) << 50)

#define CHECKSUM_BYTES 4u
#define PAGES_OFFSET 6u

uint32_t run_seed(const struct run_identity *identity)
{
	uint8_t bytes[STORE_UUID_BYTES + 8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	put_bytes(&w, slice_of(identity->store_uuid, STORE_UUID_BYTES));
	put_u64(&w, identity->id);
	return crc32_update(0, bytes, sizeof(bytes));
}

static uint32_t run_checksum(uint32_t seed, uint64_t page_number,
			     struct slice bytes)
{
	const uint8_t *p = bytes.data;
	uint8_t number[8];
	struct writer w = writer_of(number, sizeof(number));

	put_u64(&w, page_number);
	return crc32_update(crc32_update(seed, number, sizeof(number)),
			    p + CHECKSUM_BYTES, bytes.size - CHECKSUM_BYTES);
}

void run_checksum_store(uint32_t seed, uint64_t page_number, uint8_t *bytes,
			size_t size)
{
	struct writer w = writer_of(bytes, CHECKSUM_BYTES);

	put_u32(&w, run_checksum(seed, page_number, slice_of(bytes, size)));
}

int run_checksum_verify(uint32_t seed, uint64_t page_number, struct slice bytes)
{
	struct reader r = reader_of(bytes);
	uint32_t stored = get_u32(&r);

	if (r.bad || stored != run_checksum(seed, page_number, bytes))
		return -EBADMSG;
	return 0;
}

/* Four bytes that every page with a checksum has behind it: the last is 0. */
static uint32_t head_word(enum run_block_kind kind, unsigned int level,
			  size_t page_count)
{
	return (uint32_t)kind | (uint32_t)level << 8 |
	       (uint32_t)page_count << 16;
}

uint64_t run_filter_pages(uint64_t line_count)
{
	return line_count / RUN_FILTER_PAGE_LINES +
	       (line_count % RUN_FILTER_PAGE_LINES != 0);
}

void run_footer_encode(const struct run_footer *footer,
		       uint8_t ret_page[RUN_PAGE_BYTES])
{
	uint64_t page_number = footer->block_pages +
			       run_filter_pages(footer->filter_line_count);
	struct writer w = writer_of(ret_page, RUN_PAGE_BYTES);

	memset(ret_page, 0, RUN_PAGE_BYTES);
	put_u32(&w, 0); /* checksum */
	put_u32(&w, head_word(RUN_FOOTER, 0, 1));
	put_bytes(&w, slice_of(run_magic, sizeof(run_magic)));
	put_u32(&w, RUN_FORMAT_VERSION);
	put_u32(&w, 0); /* incompatible features */
	put_bytes(&w, slice_of(footer->identity.store_uuid, STORE_UUID_BYTES));
	put_u64(&w, footer->identity.id);
	put_u64(&w, footer->entry_count);
	put_u64(&w, footer->tombstone_count);
	put_u64(&w, footer->leaf_count);
	put_u64(&w, footer->index_count);
	put_u64(&w, footer->block_pages);
	put_u64(&w, footer->root_page);
	put_u64(&w, footer->filter_line_count);
	put_u32(&w, footer->level_count);
	run_checksum_store(run_seed(&footer->identity), page_number, ret_page,
			   RUN_PAGE_BYTES);
}

/* What cannot be, whatever the blocks are. */
static bool footer_makes_sense(const struct run_footer *f, uint64_t page_number)
{
	if (f->block_pages > RUN_PAGES_MAX ||
	    f->filter_line_count > RUN_PAGES_MAX ||
	    f->level_count > RUN_LEVELS_MAX)
		return false;
	if (f->block_pages + run_filter_pages(f->filter_line_count) !=
	    page_number)
		return false;
	if (f->tombstone_count > f->entry_count ||
	    f->leaf_count > f->entry_count || f->leaf_count > f->block_pages ||
	    f->index_count > f->block_pages - f->leaf_count)
		return false;
	if (f->entry_count == 0)
		return !f->level_count && !f->block_pages && !f->root_page;
	return f->level_count > 0 && f->leaf_count > 0 &&
	       f->root_page < f->block_pages &&
	       (f->level_count == 1) == (f->index_count == 0);
}

int run_footer_decode(const uint8_t page[RUN_PAGE_BYTES], uint64_t page_number,
		      const struct run_identity *identity,
		      struct run_footer *ret_footer)
{
	struct slice bytes = { page, RUN_PAGE_BYTES };
	struct reader r = reader_of(bytes);
	struct run_footer f = { .identity = *identity };
	uint32_t head, version, incompatible;
	struct slice magic, uuid;
	uint64_t id;

	get_u32(&r); /* checksum */
	head = get_u32(&r);
	magic = get_bytes(&r, sizeof(run_magic));
	version = get_u32(&r);
	incompatible = get_u32(&r);
	uuid = get_bytes(&r, STORE_UUID_BYTES);
	id = get_u64(&r);
	f.entry_count = get_u64(&r);
	f.tombstone_count = get_u64(&r);
	f.leaf_count = get_u64(&r);
	f.index_count = get_u64(&r);
	f.block_pages = get_u64(&r);
	f.root_page = get_u64(&r);
	f.filter_line_count = get_u64(&r);
	f.level_count = get_u32(&r);
	if (r.bad || memcmp(magic.data, run_magic, sizeof(run_magic)) != 0 ||
	    run_checksum_verify(run_seed(identity), page_number, bytes))
		return -EUCLEAN;
	if (version != RUN_FORMAT_VERSION || incompatible)
		return -EPROTONOSUPPORT;
	if (head != head_word(RUN_FOOTER, 0, 1) || id != identity->id ||
	    memcmp(uuid.data, identity->store_uuid, STORE_UUID_BYTES) != 0 ||
	    !footer_makes_sense(&f, page_number))
		return -EUCLEAN;
	*ret_footer = f;
	return 0;
}

unsigned int run_block_pages(const uint8_t *page)
{
	return page[PAGES_OFFSET];
}

void run_block_header_encode(const struct run_block *block,
			     uint8_t ret_bytes[RUN_BLOCK_HEADER_BYTES])
{
	struct writer w = writer_of(ret_bytes, RUN_BLOCK_HEADER_BYTES);

	put_u32(&w, 0); /* checksum */
	put_u32(&w, head_word(block->kind, block->level,
			      block->size / RUN_PAGE_BYTES));
	put_u16(&w, (uint16_t)block->count);
	put_u16(&w, 0);
	put_u32(&w, (uint32_t)block->end);
	put_u64(&w, block->base);
}

static bool block_makes_sense(const struct run_block *b)
{
	size_t table_size = (size_t)b->restart_count * RUN_RESTART_BYTES;

	if (b->count == 0 || b->size % RUN_PAGE_BYTES != 0)
		return false;
	if (b->kind == RUN_FILTER)
		return b->level == 0 && b->count <= RUN_FILTER_PAGE_LINES &&
		       b->size == RUN_PAGE_BYTES;
	if ((b->kind != RUN_LEAF || b->level != 0) &&
	    (b->kind != RUN_INDEX || b->level == 0))
		return false;
	/* Offsets of 16 bits reach no further than the first entry then. */
	if (b->size > RUN_PAGE_BYTES && b->restart_count > 1)
		return false;
	return b->level < RUN_LEVELS_MAX && table_size < b->size &&
	       b->end > RUN_BLOCK_HEADER_BYTES &&
	       b->end <= b->size - table_size;
}

int run_block_decode(struct slice bytes, struct run_block *ret_block)
{
	struct run_block *b = ret_block;
	struct reader r = reader_of(bytes);
	unsigned int kind, pages, zero;

	get_u32(&r); /* checksum */
	kind = get_u8(&r);
	b->level = get_u8(&r);
	pages = get_u8(&r);
	zero = get_u8(&r);
	b->count = get_u16(&r);
	zero |= get_u16(&r);
	b->end = get_u32(&r);
	b->base = get_u64(&r);
	b->kind = (enum run_block_kind)kind;
	b->bytes = bytes.data;
	b->size = bytes.size;
	b->restarts = NULL;
	b->interval = run_interval_of(b->kind);
	b->restart_count = run_restart_count(b->kind, b->count);
	if (r.bad || zero || pages * RUN_PAGE_BYTES != bytes.size ||
	    !block_makes_sense(b))
		return -EUCLEAN;
	if (b->kind != RUN_FILTER)
		b->restarts = b->bytes + b->size -
			      (size_t)b->restart_count * RUN_RESTART_BYTES;
	return 0;
}

void run_restarts_encode(uint8_t *bytes, size_t size, const uint16_t *offsets,
			 size_t count)
{
	size_t table_size = count * RUN_RESTART_BYTES;
	struct writer w = writer_of(bytes + size - table_size, table_size);

	for (size_t i = 0; i < count; i++)
		put_u16(&w, offsets[i]);
}

void run_entry_head_encode(struct writer *w, const struct run_entry_head *head)
{
	put_varint(w, head->shared);
	put_varint(w, head->suffix.size);
}

static struct reader reader_between(const uint8_t *at, const uint8_t *end)
{
	return reader_of(slice_of(at, (size_t)(end - at)));
}

static const uint8_t *reader_place(const struct reader *r)
{
	return r->bad ? NULL : r->at;
}

const uint8_t *run_entry_head_decode_any(const uint8_t *at, const uint8_t *end,
					 struct run_entry_head *ret_head)
{
	struct reader r = reader_between(at, end);
	uint64_t size;

	ret_head->shared = get_varint(&r);
	size = get_varint(&r);
	/* More than there is makes the reader bad. */
	ret_head->suffix = get_bytes(&r, size);
	return reader_place(&r);
}

/* The code of the shortest length that holds v: eight bytes hold any. */
static unsigned int length_code_of(uint64_t lengths, uint64_t v)
{
	unsigned int code = 0;

	for (;; code++) {
		unsigned int length = run_length_of(lengths, code);

		if (length == sizeof(v) || v >> length * 8 == 0)
			return code;
	}
}

static uint64_t get_integer(struct reader *r, unsigned int length)
{
	uint64_t v = 0;

	for (unsigned int i = 0; i < length; i++)
		v |= (uint64_t)get_u8(r) << i * 8;
	return v;
}

const uint8_t *run_place_decode_tail(const uint8_t *at, const uint8_t *end,
				     const struct run_place_base *base,
				     struct place *ret_place)
{
	struct reader r = reader_between(at, end);
	unsigned int head = get_u8(&r);
	uint64_t segment = get_integer(&r, run_segment_length(head));
	uint64_t offset = get_integer(&r, run_offset_length(head));
	uint64_t size = get_integer(&r, run_size_length(head));

	*ret_place = (struct place){
		.offset = base->offset + run_from_zigzag(offset),
		.size_bytes = size,
		.segment_id = base->segment_id + run_from_zigzag(segment),
		.tombstone = head & RUN_PLACE_TOMBSTONE,
	};
	return reader_place(&r);
}

static void put_integer(struct writer *w, uint64_t v, unsigned int length)
{
	uint8_t bytes[sizeof(v)];
	struct writer all = writer_of(bytes, sizeof(bytes));

	put_u64(&all, v);
	put_bytes(w, slice_of(bytes, length));
}

void run_place_encode(struct writer *w, const struct run_place_base *base,
		      const struct place *place)
{
	uint64_t segment =
		zigzag_of((int64_t)(place->segment_id - base->segment_id));
	uint64_t offset = zigzag_of((int64_t)(place->offset - base->offset));
	uint64_t size = place->size_bytes;
	unsigned int segment_code, offset_code, size_code;

	segment_code = length_code_of(RUN_SEGMENT_LENGTHS, segment);
	offset_code = length_code_of(RUN_OFFSET_LENGTHS, offset);
	size_code = length_code_of(RUN_SIZE_LENGTHS, size);
	put_u8(w, (uint8_t)((place->tombstone ? RUN_PLACE_TOMBSTONE : 0) |
			    segment_code << RUN_SEGMENT_LENGTH_SHIFT |
			    offset_code << RUN_OFFSET_LENGTH_SHIFT |
			    size_code << RUN_SIZE_LENGTH_SHIFT));
	put_integer(w, segment,
		    run_length_of(RUN_SEGMENT_LENGTHS, segment_code));
	put_integer(w, offset, run_length_of(RUN_OFFSET_LENGTHS, offset_code));
	put_integer(w, size, run_length_of(RUN_SIZE_LENGTHS, size_code));
}

void run_child_encode(struct writer *w, uint64_t base, uint64_t child_page)
{
	put_varint(w, child_page - base);
}

const uint8_t *run_child_decode_any(const uint8_t *at, const uint8_t *end,
				    uint64_t base, uint64_t *ret_child_page)
{
	struct reader r = reader_between(at, end);

	*ret_child_page = base + get_varint(&r);
	return reader_place(&r);
}
