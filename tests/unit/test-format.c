/* SPDX-License-Identifier: MIT */

/* Segment headers and records as bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/format.h"

#define S(text) SLICE_LITERAL(text)

static const struct record_site site = { 0x1234567890abcdefULL, 1000, 4096 };

/* A whole record as it stands in a file; its size. */
static size_t encode(const struct record *record,
		     const struct record_site *where, uint8_t bytes[512])
{
	size_t size = record_encode_head(record, where, bytes);

	if (record->value.size)
		memcpy(bytes + size, record->value.data, record->value.size);
	return size + record->value.size;
}

static struct record example(void)
{
	return (struct record){ .type = RECORD_SET,
				.flags = RECORD_MORE,
				.lsn = 1003,
				.key = S("user/42"),
				.value = S("Ada"),
				.raw_size = 3 };
}

static void a_header_comes_back_as_it_was(void **state)
{
	struct segment_header header = { .store_uuid = { 1, 2, 3 },
					 .kind = SEGMENT_COLD,
					 .id = 77,
					 .base_lsn = 1000,
					 .created_lsn = 990,
					 .salt = 0xfedcba9876543210ULL };
	struct segment_header decoded;
	uint8_t bytes[SEGMENT_HEADER_BYTES];

	(void)state;
	segment_header_encode(&header, bytes);
	assert_int_equal(segment_header_decode(bytes, &decoded), 0);
	assert_memory_equal(decoded.store_uuid, header.store_uuid,
			    STORE_UUID_BYTES);
	assert_int_equal(decoded.kind, header.kind);
	assert_int_equal(decoded.id, header.id);
	assert_int_equal(decoded.base_lsn, header.base_lsn);
	assert_int_equal(decoded.created_lsn, header.created_lsn);
	assert_int_equal(decoded.salt, header.salt);
}

static void every_flipped_bit_of_a_header_is_noticed(void **state)
{
	struct segment_header header = { .kind = SEGMENT_LOG, .id = 1 };
	uint8_t bytes[SEGMENT_HEADER_BYTES];

	(void)state;
	segment_header_encode(&header, bytes);
	for (size_t bit = 0; bit < 8 * sizeof(bytes); bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(segment_header_decode(bytes, &header),
				 -EUCLEAN);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_header_of_zeros_was_never_written(void **state)
{
	uint8_t bytes[SEGMENT_HEADER_BYTES] = { 0 };
	struct segment_header header;

	(void)state;
	assert_int_equal(segment_header_decode(bytes, &header), 1);
}

static void a_record_comes_back_as_it_was(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512];
	size_t size = encode(&record, &site, bytes);

	(void)state;
	assert_int_equal(size, record_size(&record, site.base_lsn));
	assert_int_equal(record_decode(slice_of(bytes, size), &site, true,
				       &decoded),
			 RECORD_GOOD);
	assert_int_equal(decoded.type, RECORD_SET);
	assert_int_equal(decoded.flags, RECORD_MORE);
	assert_int_equal(decoded.lsn, 1003);
	assert_int_equal(decoded.size_bytes, size);
	assert_true(slice_equal(decoded.key, record.key));
	assert_true(slice_equal(decoded.value, record.value));
}

static void a_typical_head_takes_twelve_bytes(void **state)
{
	struct record record = example();

	(void)state;
	assert_int_equal(record_size(&record, site.base_lsn) - 7 - 3, 12);
}

static void an_lsn_below_the_base_is_kept(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512];
	size_t size;

	(void)state;
	record.lsn = 3;
	size = encode(&record, &site, bytes);
	assert_int_equal(record_decode(slice_of(bytes, size), &site, true,
				       &decoded),
			 RECORD_GOOD);
	assert_int_equal(decoded.lsn, 3);
}

static void every_flipped_bit_of_a_record_is_noticed(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512] = { 0 };
	size_t size = encode(&record, &site, bytes);
	size_t head = size - record.value.size;

	(void)state;
	for (size_t bit = 0; bit < 8 * size; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(record_decode(slice_of(bytes, sizeof(bytes)),
					       &site, true, &decoded),
				 bit / 8 < head ? RECORD_BAD_HEAD :
						  RECORD_BAD_VALUE);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void a_damaged_value_leaves_its_key_known(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512];
	size_t size = encode(&record, &site, bytes);

	(void)state;
	bytes[size - 1] ^= 1;
	assert_int_equal(record_decode(slice_of(bytes, size), &site, true,
				       &decoded),
			 RECORD_BAD_VALUE);
	assert_true(slice_equal(decoded.key, record.key));
	assert_int_equal(decoded.size_bytes, size);
}

static void a_record_is_valid_in_its_own_place_only(void **state)
{
	struct record record = example(), decoded;
	struct record_site other = site;
	uint8_t bytes[512];
	size_t size = encode(&record, &site, bytes);

	(void)state;
	other.offset++;
	assert_int_equal(record_decode(slice_of(bytes, size), &other, true,
				       &decoded),
			 RECORD_BAD_HEAD);
	other = site;
	other.salt++;
	assert_int_equal(record_decode(slice_of(bytes, size), &other, true,
				       &decoded),
			 RECORD_BAD_HEAD);
}

static void a_record_cut_short_is_no_record(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512];
	size_t size = encode(&record, &site, bytes);

	(void)state;
	for (size_t cut = 0; cut < size; cut++)
		assert_int_not_equal(record_decode(slice_of(bytes, cut), &site,
						   true, &decoded),
				     RECORD_GOOD);
}

static void zeros_are_no_record(void **state)
{
	uint8_t bytes[64] = { 0 };
	struct record decoded;

	(void)state;
	assert_int_equal(record_decode(slice_of(bytes, sizeof(bytes)), &site,
				       true, &decoded),
			 RECORD_NONE);
	assert_int_equal(record_decode(slice_of(bytes, 0), &site, true,
				       &decoded),
			 RECORD_NONE);
}

static void an_empty_value_has_no_checksum(void **state)
{
	struct record record = example(), decoded;
	uint8_t bytes[512];
	size_t size;

	(void)state;
	record.value = slice_of(NULL, 0);
	record.raw_size = 0;
	size = encode(&record, &site, bytes);
	assert_int_equal(size, 8 + 7);
	assert_int_equal(record_decode(slice_of(bytes, size), &site, true,
				       &decoded),
			 RECORD_GOOD);
	assert_int_equal(decoded.value.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_header_comes_back_as_it_was),
		cmocka_unit_test(every_flipped_bit_of_a_header_is_noticed),
		cmocka_unit_test(a_header_of_zeros_was_never_written),
		cmocka_unit_test(a_record_comes_back_as_it_was),
		cmocka_unit_test(a_typical_head_takes_twelve_bytes),
		cmocka_unit_test(an_lsn_below_the_base_is_kept),
		cmocka_unit_test(every_flipped_bit_of_a_record_is_noticed),
		cmocka_unit_test(a_damaged_value_leaves_its_key_known),
		cmocka_unit_test(a_record_is_valid_in_its_own_place_only),
		cmocka_unit_test(a_record_cut_short_is_no_record),
		cmocka_unit_test(zeros_are_no_record),
		cmocka_unit_test(an_empty_value_has_no_checksum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
