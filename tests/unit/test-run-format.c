/* SPDX-License-Identifier: MIT */

/* The bytes of runs: engine/run_format.h and the blocks of run_block.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine/run_block.h"
#include "engine/run_format.h"
#include "engine/run_search.h"

static const struct run_identity identity = {
	.store_uuid = { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18,
			0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f },
	.id = 3,
};

/* The example of FORMAT.md: a leaf of two keys, one of them deleted. */
static const char example_leaf[] =
	"\x47\xca\xf4\xef"                 /* checksum */
	"\x01\x00\x01\x00"                 /* leaf, level 0, 1 page */
	"\x02\x00\x00\x00"                 /* 2 entries */
	"\x2a\x00\x00\x00"                 /* end of the entries */
	"\x01\x00\x00\x00\x00\x00\x00\x00" /* segment 1 */
	"\x00\x07user/42"                  /* shares nothing, 7 bytes follow */
	"\x08\x80\x64"  /* lengths 0, 1, 1: the base's segment, + 64, 100 */
	"\x06\x01\x33"  /* shares 6 bytes, 1 follows: 3 */
	"\x03\x02\x20"; /* deleted; 1, 0, 1: the next segment, + 0, 32 */

static const char example_footer[] =
	"\xde\xd3\xfd\xb1" /* checksum */
	"\x04\x00\x01\x00" /* footer, 1 page */
	"KVFSrun\n"
	"\x01\x00\x00\x00" /* version */
	"\x00\x00\x00\x00" /* incompatible features */
	"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f"
	"\x03\x00\x00\x00\x00\x00\x00\x00" /* run */
	"\x02\x00\x00\x00\x00\x00\x00\x00" /* entries */
	"\x01\x00\x00\x00\x00\x00\x00\x00" /* tombstones */
	"\x01\x00\x00\x00\x00\x00\x00\x00" /* leaves */
	"\x00\x00\x00\x00\x00\x00\x00\x00" /* index blocks */
	"\x01\x00\x00\x00\x00\x00\x00\x00" /* their pages */
	"\x00\x00\x00\x00\x00\x00\x00\x00" /* root */
	"\x01\x00\x00\x00\x00\x00\x00\x00" /* filter lines */
	"\x01\x00\x00\x00";                /* levels */

#define EXAMPLE_LEAF_BYTES (sizeof(example_leaf) - 1)
#define EXAMPLE_FOOTER_BYTES (sizeof(example_footer) - 1)

static struct place place_of(uint64_t segment_id, uint64_t offset,
			     uint64_t size_bytes, bool tombstone)
{
	return (struct place){
		.segment_id = segment_id,
		.offset = offset,
		.size_bytes = size_bytes,
		.tombstone = tombstone,
	};
}

static void assert_place(struct place a, struct place b)
{
	assert_int_equal(a.segment_id, b.segment_id);
	assert_int_equal(a.offset, b.offset);
	assert_int_equal(a.size_bytes, b.size_bytes);
	assert_int_equal(a.tombstone, b.tombstone);
	assert_int_equal(a.lsn, 0);
}

static struct run_footer a_footer(void)
{
	return (struct run_footer){
		.identity = identity,
		.entry_count = 1000,
		.tombstone_count = 10,
		.leaf_count = 9,
		.index_count = 1,
		.block_pages = 11,
		.root_page = 10,
		.filter_line_count = 64,
		.level_count = 2,
	};
}

/* The page that a_footer() belongs on: behind 11 and two of the filter. */
#define FOOTER_PAGE 13

static void add_leaf(struct run_builder *builder, const char *key,
		     struct place place)
{
	union run_value value = { .place = place };

	assert_int_equal(run_builder_add(builder, slice_of(key, strlen(key)),
					 &value),
			 0);
}

static void a_leaf_has_the_documented_bytes(void **state)
{
	static const uint8_t zeros[RUN_PAGE_BYTES];
	struct run_builder builder;
	struct slice bytes;
	const uint8_t *p;

	(void)state;
	run_builder_init(&builder, 0);
	add_leaf(&builder, "user/42", place_of(1, 64, 100, false));
	add_leaf(&builder, "user/43", place_of(2, 64, 32, true));
	assert_int_equal(run_builder_finish(&builder, run_seed(&identity), 0,
					    &bytes),
			 0);
	assert_int_equal(bytes.size, RUN_PAGE_BYTES);
	p = bytes.data;
	assert_memory_equal(p, example_leaf, EXAMPLE_LEAF_BYTES);
	assert_memory_equal(p + EXAMPLE_LEAF_BYTES, zeros,
			    RUN_PAGE_BYTES - EXAMPLE_LEAF_BYTES - 2);
	assert_int_equal(p[RUN_PAGE_BYTES - 2], RUN_BLOCK_HEADER_BYTES);
	assert_int_equal(p[RUN_PAGE_BYTES - 1], 0);
	run_builder_release(&builder);
}

static void a_footer_has_the_documented_bytes(void **state)
{
	static const uint8_t zeros[RUN_PAGE_BYTES];
	const struct run_footer footer = {
		.identity = identity,
		.entry_count = 2,
		.tombstone_count = 1,
		.leaf_count = 1,
		.block_pages = 1,
		.filter_line_count = 1,
		.level_count = 1,
	};
	uint8_t page[RUN_PAGE_BYTES];

	(void)state;
	run_footer_encode(&footer, page);
	assert_memory_equal(page, example_footer, EXAMPLE_FOOTER_BYTES);
	assert_memory_equal(page + EXAMPLE_FOOTER_BYTES, zeros,
			    RUN_PAGE_BYTES - EXAMPLE_FOOTER_BYTES);
}

static void a_footer_decodes_to_what_was_encoded(void **state)
{
	const struct run_footer footer = a_footer();
	struct run_footer decoded;
	uint8_t page[RUN_PAGE_BYTES];

	(void)state;
	run_footer_encode(&footer, page);
	memset(&decoded, 0x77, sizeof(decoded));
	assert_int_equal(
		run_footer_decode(page, FOOTER_PAGE, &identity, &decoded), 0);
	assert_memory_equal(&decoded.identity, &identity, sizeof(identity));
	assert_int_equal(decoded.entry_count, 1000);
	assert_int_equal(decoded.tombstone_count, 10);
	assert_int_equal(decoded.leaf_count, 9);
	assert_int_equal(decoded.index_count, 1);
	assert_int_equal(decoded.block_pages, 11);
	assert_int_equal(decoded.root_page, 10);
	assert_int_equal(decoded.filter_line_count, 64);
	assert_int_equal(decoded.level_count, 2);
}

static void a_footer_with_any_bit_flipped_is_refused(void **state)
{
	const struct run_footer footer = a_footer();
	struct run_footer decoded;
	uint8_t page[RUN_PAGE_BYTES];

	(void)state;
	run_footer_encode(&footer, page);
	for (size_t bit = 0; bit < sizeof(page) * 8; bit++) {
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(run_footer_decode(page, FOOTER_PAGE, &identity,
						   &decoded),
				 -EUCLEAN);
		page[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* A footer with a valid checksum and one byte of another value. */
static int decode_forged(size_t offset, uint8_t value)
{
	const struct run_footer footer = a_footer();
	struct run_footer decoded;
	uint8_t page[RUN_PAGE_BYTES];

	run_footer_encode(&footer, page);
	page[offset] = value;
	run_checksum_store(run_seed(&identity), FOOTER_PAGE, page,
			   sizeof(page));
	return run_footer_decode(page, FOOTER_PAGE, &identity, &decoded);
}

static void a_footer_of_a_newer_version_is_refused_as_such(void **state)
{
	(void)state;
	assert_int_equal(decode_forged(16, 1), 0);
	assert_int_equal(decode_forged(16, 2), -EPROTONOSUPPORT);
	assert_int_equal(decode_forged(20, 1), -EPROTONOSUPPORT);
}

static void a_footer_that_makes_no_sense_is_refused(void **state)
{
	struct run_footer cases[12];
	struct run_footer decoded;
	uint8_t page[RUN_PAGE_BYTES];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < 12; i++)
		cases[i] = a_footer();
	cases[n++].tombstone_count = 1001;
	cases[n++].leaf_count = 0;
	cases[n++].leaf_count = 12;
	cases[n++].index_count = 3;
	cases[n++].index_count = 0;
	cases[n++].root_page = 11;
	cases[n++].level_count = 0;
	cases[n++].level_count = 1;
	cases[n++].level_count = RUN_LEVELS_MAX + 1;
	cases[n++].entry_count = 0;
	cases[n++].block_pages = 10;
	cases[n++].filter_line_count = 63;
	assert_int_equal(n, 12);
	for (size_t i = 0; i < n; i++) {
		run_footer_encode(&cases[i], page);
		run_checksum_store(run_seed(&identity), FOOTER_PAGE, page,
				   sizeof(page));
		assert_int_equal(run_footer_decode(page, FOOTER_PAGE, &identity,
						   &decoded),
				 -EUCLEAN);
	}
	/* Sizes whose sum overflows to the right one. */
	cases[0] = a_footer();
	cases[0].block_pages = UINT64_MAX - 2;
	cases[0].filter_line_count = UINT64_C(63) * 16;
	run_footer_encode(&cases[0], page);
	run_checksum_store(run_seed(&identity), FOOTER_PAGE, page,
			   sizeof(page));
	assert_int_equal(run_footer_decode(page, FOOTER_PAGE, &identity,
					   &decoded),
			 -EUCLEAN);
}

static void a_checksum_is_valid_in_one_place_only(void **state)
{
	struct run_identity other_id = identity, other_store = identity;
	uint8_t page[RUN_PAGE_BYTES] = { 1, 2, 3, 4, 5 };
	struct slice bytes = { page, sizeof(page) };
	uint32_t seed = run_seed(&identity);

	(void)state;
	other_id.id++;
	other_store.store_uuid[15]++;
	run_checksum_store(seed, 7, page, sizeof(page));
	assert_int_equal(run_checksum_verify(seed, 7, bytes), 0);
	assert_int_equal(run_checksum_verify(seed, 6, bytes), -EBADMSG);
	assert_int_equal(run_checksum_verify(seed, 7 | UINT64_C(1) << 32,
					     bytes),
			 -EBADMSG);
	assert_int_equal(run_checksum_verify(run_seed(&other_id), 7, bytes),
			 -EBADMSG);
	assert_int_equal(run_checksum_verify(run_seed(&other_store), 7, bytes),
			 -EBADMSG);
}

/* Encodes a place behind `base` and decodes it from exactly its bytes. */
static size_t check_place(struct run_place_base base, struct place place,
			  size_t bytes_behind)
{
	uint8_t bytes[2 * RUN_ENTRY_BODY_MAX] = { 0 };
	struct writer w = writer_of(bytes, RUN_ENTRY_BODY_MAX);
	struct place decoded;
	size_t size;
	uint8_t *exact;

	run_place_encode(&w, &base, &place);
	assert_false(w.bad);
	size = (size_t)(w.at - bytes);
	/* On the heap, for the address sanitizer to see what is read. */
	exact = malloc(size + bytes_behind);
	assert_non_null(exact);
	memcpy(exact, bytes, size + bytes_behind);
	assert_ptr_equal(run_place_decode(exact, exact + size + bytes_behind,
					  &base, &decoded),
			 exact + size);
	assert_place(decoded, place);
	assert_ptr_equal(run_place_skip(exact, exact + size + bytes_behind),
			 exact + size);
	assert_null(run_place_skip(exact, exact + size - 1));
	free(exact);
	return size;
}

static void places_of_all_magnitudes_survive(void **state)
{
	(void)state;
	for (unsigned int i = 0; i <= 64; i++) {
		uint64_t v = i ? UINT64_MAX >> (64 - i) : 0;

		for (size_t behind = 0; behind <= RUN_ENTRY_BODY_MAX;
		     behind += RUN_ENTRY_BODY_MAX) {
			struct run_place_base zero = { 0, 0 };
			struct run_place_base high = { v, ~v };

			check_place(zero, place_of(v, 1, 1, true), behind);
			check_place(zero, place_of(1, v, 1, false), behind);
			check_place(zero, place_of(1, 1, v, true), behind);
			check_place(high, place_of(0, v, v, false), behind);
			check_place(high, place_of(~v, ~v, ~v, true), behind);
		}
	}
}

static void neighbours_in_the_log_take_few_bytes(void **state)
{
	struct run_place_base base = { 9, 1000000 };

	(void)state;
	assert_int_equal(check_place(base, place_of(9, 1000000, 120, false), 0),
			 2);
	assert_int_equal(check_place(base, place_of(9, 1000064, 120, false), 0),
			 3);
	/* Anywhere in a segment of 64 MiB. */
	assert_int_equal(check_place(base, place_of(9, 67108863, 120, true), 0),
			 6);
	assert_int_equal(check_place(base, place_of(12, 3, 4000, false), 0), 7);
}

static void a_cut_off_entry_is_bad_and_never_read_past(void **state)
{
	struct run_entry_head head = { 300, SLICE_LITERAL("suffix") };
	struct place place = place_of(70000, 1234567, 70000, true);
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct run_place_base base = { 0, 0 };
	size_t size;

	(void)state;
	run_entry_head_encode(&w, &head);
	put_bytes(&w, head.suffix);
	run_place_encode(&w, &base, &place);
	size = (size_t)(w.at - bytes);
	for (size_t cut = 0; cut <= size; cut++) {
		uint8_t *exact = malloc(cut + 1);
		const uint8_t *end = exact + 1 + cut, *at;
		struct run_entry_head decoded;
		struct place got;

		assert_non_null(exact);
		memcpy(exact + 1, bytes, cut);
		base = (struct run_place_base){ 0, 0 };
		at = run_entry_head_decode(exact + 1, end, &decoded);
		if (at)
			at = run_place_decode(at, end, &base, &got);
		if (cut < size) {
			assert_null(at);
		} else {
			assert_ptr_equal(at, end);
			assert_int_equal(decoded.shared, 300);
			assert_true(slice_equal(decoded.suffix, head.suffix));
			assert_place(got, place);
		}
		free(exact);
	}
}

/* The next entry of either kind, with its number. */
static int next_of(struct run_cursor *cursor, struct run_entry *entry,
		   uint64_t *ret_number)
{
	struct place place = { 0 };
	int result;

	if (cursor->block->level)
		return run_index_next(cursor, entry, ret_number);
	result = run_leaf_next(cursor, entry, &place);
	*ret_number = place.offset;
	return result;
}

/* Fills a block with keys "key0000".. and gives a copy of its bytes. */
static uint8_t *make_block(unsigned int level, unsigned int count)
{
	uint8_t *copy = malloc(RUN_PAGE_BYTES);
	struct run_builder builder;
	struct slice bytes;

	run_builder_init(&builder, level);
	for (unsigned int i = 0; i < count; i++) {
		union run_value value = { .place = place_of(1, i, 1, false) };
		char key[16];
		int size = snprintf(key, sizeof(key), "key%04u", i);

		if (level)
			value = (union run_value){ .child_page = i };
		assert_int_equal(run_builder_add(&builder,
						 slice_of(key, (size_t)size),
						 &value),
				 0);
	}
	assert_int_equal(run_builder_finish(&builder, 1, 1, &bytes), 0);
	assert_int_equal(bytes.size, RUN_PAGE_BYTES);
	memcpy(copy, bytes.data, RUN_PAGE_BYTES);
	run_builder_release(&builder);
	return copy;
}

static void a_block_is_walked_from_end_to_end(void **state)
{
	(void)state;
	for (unsigned int level = 0; level < 2; level++) {
		uint8_t *bytes = make_block(level, 100);
		struct run_cursor cursor;
		struct run_entry entry;
		struct run_block block;
		struct buf key = { 0 };
		uint64_t number;

		assert_int_equal(
			run_block_decode(slice_of(bytes, RUN_PAGE_BYTES),
					 &block),
			0);
		assert_int_equal(block.count, 100);
		assert_int_equal(block.level, level);
		run_cursor_first(&cursor, &block);
		for (unsigned int i = 0; i < 100; i++) {
			char expected[16];

			snprintf(expected, sizeof(expected), "key%04u", i);
			assert_int_equal(next_of(&cursor, &entry, &number), 0);
			assert_int_equal(run_entry_key(&entry, i > 0, &key), 0);
			assert_int_equal(key.size, 7);
			assert_memory_equal(key.data, expected, 7);
			assert_int_equal(number, i);
		}
		assert_int_equal(next_of(&cursor, &entry, &number), 1);
		assert_int_equal(next_of(&cursor, &entry, &number), 1);
		buf_release(&key);
		free(bytes);
	}
}

/* Asserts what the mark leads to: the entry of that number, or nothing. */
static void check_follow(const struct run_block *block, struct run_mark *mark,
			 unsigned int number, int expected)
{
	struct place place;
	char key[16];
	int size = snprintf(key, sizeof(key), "key%04u", number);

	assert_int_equal(run_leaf_follow(block, slice_of(key, (size_t)size),
					 &place, mark),
			 expected);
	if (!expected)
		assert_place(place, place_of(1, number, 1, false));
}

static void a_mark_leads_to_the_next_key_and_no_other(void **state)
{
	uint8_t *bytes = make_block(0, 100);
	struct run_block block;
	struct run_mark mark = { 0 };
	struct place place;

	(void)state;
	assert_int_equal(
		run_block_decode(slice_of(bytes, RUN_PAGE_BYTES), &block), 0);
	check_follow(&block, &mark, 0, 1);
	for (unsigned int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key%04u", i);
		assert_int_equal(run_leaf_find(&block, slice_of(key, 7), &place,
					       &mark),
				 0);
		assert_place(place, place_of(1, i, 1, false));
		check_follow(&block, &mark, i, 1);
		check_follow(&block, &mark, i + 2, 1);
		for (unsigned int next = i + 1; next < 100; next++)
			check_follow(&block, &mark, next, 0);
		check_follow(&block, &mark, 100, 1);
	}
	free(bytes);
}

/* The mark has room for the keys that are looked for in order. */
static void a_key_that_is_too_long_leaves_no_mark(void **state)
{
	uint8_t bytes[RUN_MARK_KEY_MAX + 1] = { 0 };
	union run_value value = { .place = place_of(1, 64, 100, false) };
	struct run_builder builder;
	struct run_block block;
	struct run_mark mark = { 0 };
	struct slice leaf;
	struct place place;

	(void)state;
	run_builder_init(&builder, 0);
	for (size_t size = RUN_MARK_KEY_MAX - 1; size <= sizeof(bytes); size++)
		assert_int_equal(run_builder_add(&builder,
						 slice_of(bytes, size), &value),
				 0);
	assert_int_equal(run_builder_finish(&builder, 1, 1, &leaf), 0);
	assert_int_equal(run_block_decode(leaf, &block), 0);
	assert_int_equal(run_leaf_find(&block,
				       slice_of(bytes, RUN_MARK_KEY_MAX - 1),
				       &place, &mark),
			 0);
	assert_int_equal(run_leaf_follow(&block,
					 slice_of(bytes, RUN_MARK_KEY_MAX),
					 &place, &mark),
			 0);
	assert_int_equal(run_leaf_follow(&block, slice_of(bytes, sizeof(bytes)),
					 &place, &mark),
			 0);
	assert_int_equal(mark.offset, 0);
	run_builder_release(&builder);
}

static void an_index_leads_to_the_last_child_not_beyond_the_key(void **state)
{
	uint8_t *bytes = make_block(1, 100);
	struct run_block block;
	uint64_t child;

	(void)state;
	assert_int_equal(
		run_block_decode(slice_of(bytes, RUN_PAGE_BYTES), &block), 0);
	for (unsigned int i = 0; i < 100; i++) {
		char key[16];

		snprintf(key, sizeof(key), "key%04u!", i);
		assert_int_equal(
			run_index_find(&block, slice_of(key, 7), &child), 0);
		assert_int_equal(child, i);
		assert_int_equal(
			run_index_find(&block, slice_of(key, 8), &child), 0);
		assert_int_equal(child, i);
	}
	assert_int_equal(run_index_find(&block, SLICE_LITERAL("a"), &child), 0);
	assert_int_equal(child, 0);
	free(bytes);
}

static void an_index_block_holds_two_keys_of_any_length(void **state)
{
	union run_value value = { .child_page = 0 };
	struct run_builder builder;
	struct buf key = { 0 };
	struct slice bytes;

	(void)state;
	run_builder_init(&builder, 1);
	assert_int_equal(buf_resize(&key, 65535), 0);
	for (uint8_t i = 0; i < 2; i++) {
		key.data[0] = i;
		assert_int_equal(
			run_builder_add(&builder, buf_slice(&key), &value), 0);
		value.child_page++;
	}
	key.data[0]++;
	assert_int_equal(run_builder_add(&builder, buf_slice(&key), &value), 1);
	assert_int_equal(run_builder_finish(&builder, 1, 1, &bytes), 0);
	assert_int_equal(bytes.size, RUN_BLOCK_PAGES_MAX * RUN_PAGE_BYTES);
	run_builder_release(&builder);
	buf_release(&key);
}

/* A header that says something else than the block is. */
static int decode_with(size_t offset, uint8_t value)
{
	uint8_t *bytes = make_block(0, 100);
	struct run_block block;
	int error;

	bytes[offset] = value;
	error = run_block_decode(slice_of(bytes, RUN_PAGE_BYTES), &block);
	free(bytes);
	return error;
}

static void a_header_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	assert_int_equal(decode_with(4, RUN_LEAF), 0);
	assert_int_equal(decode_with(4, 0), -EUCLEAN);
	assert_int_equal(decode_with(4, RUN_INDEX), -EUCLEAN);
	assert_int_equal(decode_with(4, RUN_FILTER), -EUCLEAN);
	assert_int_equal(decode_with(4, RUN_FOOTER), -EUCLEAN);
	assert_int_equal(decode_with(5, 1), -EUCLEAN);
	assert_int_equal(decode_with(6, 0), -EUCLEAN);
	assert_int_equal(decode_with(6, 2), -EUCLEAN);
	assert_int_equal(decode_with(7, 1), -EUCLEAN);
	assert_int_equal(decode_with(8, 0), -EUCLEAN);
	assert_int_equal(decode_with(9, 0xff), -EUCLEAN);
	assert_int_equal(decode_with(10, 1), -EUCLEAN);
	assert_int_equal(decode_with(13, 0x10), -EUCLEAN);
	assert_int_equal(decode_with(15, 1), -EUCLEAN);
}

/* Everything that reads a block, on one that may be anything. */
static void use_block(const struct run_block *block)
{
	struct run_cursor cursor;
	struct run_entry entry;
	struct run_mark mark = { .key_size = 7, .key = "key0000" };
	struct buf key = { 0 };
	struct place place;
	uint64_t child;
	bool has_key = false;

	run_cursor_first(&cursor, block);
	while (!next_of(&cursor, &entry, &child)) {
		assert_true(cursor.index <= block->count);
		if (run_entry_key(&entry, has_key, &key))
			break;
		has_key = true;
	}
	for (unsigned int i = 0; i < 100; i += 9) {
		char text[16];
		int size = snprintf(text, sizeof(text), "key%04u", i);
		struct slice wanted = { text, (size_t)size };

		run_leaf_find(block, wanted, &place, NULL);
		mark.offset = i * 41;
		mark.index = i;
		run_leaf_follow(block, wanted, &place, &mark);
		run_index_find(block, wanted, &child);
	}
	buf_release(&key);
}

static void blocks_of_any_bytes_are_read_within_bounds(void **state)
{
	uint64_t x = 0x9e3779b97f4a7c15;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		uint8_t *bytes = make_block(round & 1, 100);
		struct run_block block;

		for (unsigned int n = 0; n < 1 + round % 8; n++) {
			size_t from = n % 2 ? 8 : RUN_PAGE_BYTES - 16;

			x = x * 6364136223846793005 + 1442695040888963407;
			if (n % 4 > 1)
				from = 24 + (x >> 52) % 1000;
			bytes[from + (x >> 40) % 16] = (uint8_t)(x >> 32);
		}
		if (!run_block_decode(slice_of(bytes, RUN_PAGE_BYTES), &block))
			use_block(&block);
		free(bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leaf_has_the_documented_bytes),
		cmocka_unit_test(a_footer_has_the_documented_bytes),
		cmocka_unit_test(a_footer_decodes_to_what_was_encoded),
		cmocka_unit_test(a_footer_with_any_bit_flipped_is_refused),
		cmocka_unit_test(
			a_footer_of_a_newer_version_is_refused_as_such),
		cmocka_unit_test(a_footer_that_makes_no_sense_is_refused),
		cmocka_unit_test(a_checksum_is_valid_in_one_place_only),
		cmocka_unit_test(places_of_all_magnitudes_survive),
		cmocka_unit_test(neighbours_in_the_log_take_few_bytes),
		cmocka_unit_test(a_cut_off_entry_is_bad_and_never_read_past),
		cmocka_unit_test(a_block_is_walked_from_end_to_end),
		cmocka_unit_test(a_mark_leads_to_the_next_key_and_no_other),
		cmocka_unit_test(a_key_that_is_too_long_leaves_no_mark),
		cmocka_unit_test(
			an_index_leads_to_the_last_child_not_beyond_the_key),
		cmocka_unit_test(an_index_block_holds_two_keys_of_any_length),
		cmocka_unit_test(a_header_that_makes_no_sense_is_refused),
		cmocka_unit_test(blocks_of_any_bytes_are_read_within_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
