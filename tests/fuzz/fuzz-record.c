/* SPDX-License-Identifier: MIT */

/* Records and segment headers: what is decoded stays within the bytes, and is
 * the same when it is encoded again. */

#include <assert.h>
#include <string.h>

#include "engine/format.h"
#include "tests/fuzz/fuzz.h"

static const struct record_site site = { .salt = 42,
					 .base_lsn = 1000,
					 .offset = 64 };

static void check_record(struct slice bytes, const struct record *record)
{
	uint8_t again[RECORD_HEAD_MAX + 65536];
	size_t size = record_encode_head(record, &site, again);

	assert(record->size_bytes == size + record->value.size);
	/* The checksum of a value that was not verified is its own. */
	assert(size <= bytes.size);
	assert(slice_equal(record->key,
			   slice_of(again + size - record->key.size,
				    record->key.size)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = fuzz_begin(data, size);
	struct segment_header header;
	struct record record;

	if (record_decode(bytes, &site, true, &record) == RECORD_GOOD)
		check_record(bytes, &record);
	record_decode(bytes, &site, false, &record);
	if (bytes.size >= SEGMENT_HEADER_BYTES &&
	    segment_header_decode(bytes.data, &header) == 0) {
		uint8_t again[SEGMENT_HEADER_BYTES];

		segment_header_encode(&header, again);
		assert(memcmp(again + 10, (const uint8_t *)bytes.data + 10,
			      50) == 0);
	}
	return 0;
}

static void put_record(const char *name, bool ignore, struct record record)
{
	uint8_t bytes[256];
	size_t size;

	fuzz_ignore_checksums(ignore);
	bytes[0] = ignore;
	size = 1 + record_encode_head(&record, &site, bytes + 1);
	if (record.value.size)
		memcpy(bytes + size, record.value.data, record.value.size);
	fuzz_put_seed(name, bytes, size + record.value.size);
}

void fuzz_make_seeds(void)
{
	struct segment_header header = { .kind = SEGMENT_LOG,
					 .store_uuid = "0123456789abcde",
					 .id = 7,
					 .base_lsn = 1000,
					 .created_lsn = 900,
					 .salt = 42 };
	struct record set = { .type = RECORD_SET,
			      .flags = RECORD_MORE,
			      .lsn = 1005,
			      .key = SLICE_LITERAL("user/42"),
			      .value = SLICE_LITERAL("Ada"),
			      .raw_size = 3 };
	struct record deletion = { .type = RECORD_DELETE,
				   .lsn = 17,
				   .key = SLICE_LITERAL("k") };
	struct record mark = { .type = RECORD_MARK, .lsn = 999 };
	uint8_t bytes[1 + SEGMENT_HEADER_BYTES] = { 1 };

	put_record("set", true, set);
	put_record("set-crc", false, set);
	put_record("delete", true, deletion);
	put_record("mark", true, mark);
	set.flags = RECORD_ZLIB;
	set.raw_size = 300;
	put_record("zlib", true, set);
	fuzz_ignore_checksums(true);
	segment_header_encode(&header, bytes + 1);
	fuzz_put_seed("header", bytes, sizeof(bytes));
}
