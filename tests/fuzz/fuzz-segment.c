/* SPDX-License-Identifier: MIT */

/* A segment's file, scanned from its beginning and searched for records. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scan.h"
#include "tests/fuzz/fuzz.h"

static const struct segment_header header = { .kind = SEGMENT_LOG,
					      .store_uuid = "0123456789abcde",
					      .id = 1,
					      .base_lsn = 1,
					      .created_lsn = 1,
					      .salt = 42 };

static void scan_all(struct scan *scan)
{
	struct record record;
	uint64_t offset, before = 0;

	for (;;) {
		int event = scan_next(scan, &record, &offset);

		assert(event >= 0);
		assert(offset >= before);
		before = offset;
		if (event == SCAN_END || event == SCAN_BAD) {
			event = scan_resync(scan, 0, UINT64_MAX);
			assert(event >= 0);
			if (event == 1)
				return;
			assert(scan->offset > offset);
			continue;
		}
		assert(scan->offset > offset);
		if (record.key.size)
			assert(record.key.size <= scan->bytes.capacity);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct segment_counts none;
	struct slice bytes = fuzz_begin(data, size);
	struct segment *segment;
	struct scan scan = { 0 };

	fuzz_directory();
	fuzz_put_file("0000000000000001.seg", bytes.data, bytes.size);
	segment = segment_known(quick_io(), fuzz_directory_fd(), &header,
				bytes.size, &none);
	if (!segment)
		abort();
	if (scan_init(&scan, segment, 0, UINT64_MAX) == 0) {
		scan.want_values = true;
		scan.verify_values = true;
		scan_all(&scan);
	}
	scan_release(&scan);
	segment_unref(segment);
	return 0;
}

static void add_record(struct buf *bytes, struct record record)
{
	struct record_site site = { .salt = header.salt,
				    .base_lsn = header.base_lsn,
				    .offset = bytes->size - 1 };
	uint8_t head[RECORD_HEAD_MAX + 64];
	size_t size = record_encode_head(&record, &site, head);

	if (buf_append(bytes, head, size) ||
	    buf_append(bytes, record.value.data, record.value.size))
		abort();
}

static void put_segment(const char *name, bool ignore)
{
	struct buf bytes = { 0 };
	uint8_t head[1 + SEGMENT_HEADER_BYTES] = { ignore };

	fuzz_ignore_checksums(ignore);
	segment_header_encode(&header, head + 1);
	if (buf_append(&bytes, head, sizeof(head)))
		abort();
	for (unsigned int i = 0; i < 4; i++)
		add_record(&bytes,
			   (struct record){
				   .type = i % 3 ? RECORD_SET : RECORD_DELETE,
				   .flags = i == 1 ? RECORD_MORE : 0,
				   .lsn = i + 1,
				   .key = SLICE_LITERAL("user/42"),
				   .value = i % 3 ? SLICE_LITERAL("Ada") :
						    SLICE_LITERAL("") });
	add_record(&bytes, (struct record){ .type = RECORD_MARK, .lsn = 2 });
	add_record(&bytes, (struct record){ .type = RECORD_SEAL, .lsn = 4 });
	fuzz_put_seed(name, bytes.data, bytes.size);
	buf_release(&bytes);
}

void fuzz_make_seeds(void)
{
	put_segment("records", true);
	put_segment("records-crc", false);
}
