/* SPDX-License-Identifier: MIT */

/* A run's file: opened, searched, read in order, verified. */

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bloom.h"
#include "engine/run.h"
#include "engine/source.h"
#include "tests/fuzz/fuzz.h"

#define ENTRIES_MAX 100000u

static const struct run_identity identity = { .store_uuid = "0123456789abcde",
					      .id = 3 };

static struct slice key_of(unsigned int i, char bytes[32])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 32, "user/%u", i));
}

static void find(struct run *run, struct slice key)
{
	enum run_probe probe;
	struct place place;

	run_get(run, key, bloom_hash(key), &place, &probe);
}

static void read_in_order(struct run *run)
{
	struct source *source = run_source_new(run);
	unsigned int count = 0;
	int result;

	if (!source)
		abort();
	result = source_seek(source, SLICE_LITERAL("user/2"), true);
	for (; result == 0 && count < ENTRIES_MAX; count++)
		result = source_next(source);
	result = source_seek(source, SLICE_LITERAL(""), false);
	for (; result == 0 && count < ENTRIES_MAX; count++)
		result = source_next(source);
	source_free(source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = fuzz_begin(data, size);
	struct run *run;
	char key[32];

	fuzz_directory();
	fuzz_unpack(bytes);
	if (run_open(quick_io(), fuzz_directory_fd(), &identity, &run))
		return 0;
	for (unsigned int i = 0; i < 300; i += 23)
		find(run, key_of(i, key));
	for (unsigned int i = 0; i < 300; i++)
		find(run, key_of(i, key));
	find(run, SLICE_LITERAL(""));
	read_in_order(run);
	run_verify(run);
	run_unref(run);
	return 0;
}

static void put_run(const char *name, bool ignore, unsigned int count)
{
	struct run_writer *writer;
	struct run_summary summary;
	struct buf input = { 0 };
	uint8_t first = ignore;
	char bytes[32];

	fuzz_ignore_checksums(ignore);
	fuzz_directory();
	if (run_writer_open(quick_io(), fuzz_directory_fd(), &identity, count,
			    &writer))
		abort();
	for (unsigned int i = 100; i < 100 + count; i++) {
		struct index_entry entry = {
			.key = key_of(i, bytes),
			.place = { .offset = i * 100,
				   .size_bytes = i,
				   .segment_id = 1 + i / 50,
				   .tombstone = i % 7 == 0 },
		};

		if (run_writer_add(writer, &entry))
			abort();
	}
	if (run_writer_finish(writer, &summary) ||
	    buf_append(&input, &first, 1))
		abort();
	fuzz_pack(&input);
	fuzz_put_seed(name, input.data, input.size);
	buf_release(&input);
}

void fuzz_make_seeds(void)
{
	put_run("one", true, 1);
	put_run("leaf", true, 40);
	put_run("leaf-crc", false, 40);
	put_run("levels", true, 800);
}
