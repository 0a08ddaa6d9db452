/* SPDX-License-Identifier: MIT */

/* Manifests: refused, or decoded to what encodes and decodes to the same. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/manifest.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = fuzz_begin(data, size);
	struct manifest m = { 0 }, again = { 0 };
	struct buf encoded = { 0 };

	if (manifest_decode(bytes, &m) == 0) {
		if (manifest_encode(&m, &encoded))
			abort();
		assert(encoded.size == bytes.size);
		assert(memcmp(encoded.data, bytes.data, bytes.size) == 0);
		assert(manifest_decode(buf_slice(&encoded), &again) == 0);
	}
	buf_release(&encoded);
	manifest_release(&m);
	manifest_release(&again);
	return 0;
}

static void put_manifest(const char *name, bool ignore, size_t segments)
{
	uint64_t runs[] = { 9, 8 };
	struct manifest_segment all[3] = { 0 };
	struct manifest m = { .store_uuid = "0123456789abcde",
			      .next_file_id = 10,
			      .checkpoint_lsn = 100,
			      .replay_segment = segments,
			      .replay_offset = 200,
			      .segments = all,
			      .segment_count = segments,
			      .run_ids = runs,
			      .run_count = 2 };
	struct buf bytes = { 0 };
	uint8_t first = ignore;

	fuzz_ignore_checksums(ignore);
	for (size_t i = 0; i < segments; i++) {
		all[i].header.id = i + 1;
		all[i].header.kind = i % 2 ? SEGMENT_COLD : SEGMENT_LOG;
		all[i].header.salt = 1234567890123;
		all[i].end = 200;
		all[i].counts.live_bytes = 100;
	}
	if (manifest_encode(&m, &bytes) || buf_resize(&bytes, bytes.size + 1))
		abort();
	memmove(bytes.data + 1, bytes.data, bytes.size - 1);
	bytes.data[0] = first;
	fuzz_put_seed(name, bytes.data, bytes.size);
	buf_release(&bytes);
}

void fuzz_make_seeds(void)
{
	put_manifest("empty", true, 0);
	put_manifest("three", true, 3);
	put_manifest("three-crc", false, 3);
}
