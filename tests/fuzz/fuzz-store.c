/* SPDX-License-Identifier: MIT */

/* A whole small store: opened, read, listed, checked, written to, compacted,
 * closed, and opened again. */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv.h"
#include "tests/fuzz/fuzz.h"
#include "tests/seam/small_kv.h"

static void options_for(struct kv_options *options)
{
	small_kv_options(options, quick_io());
	options->create = false;
}

static int look_at_entry(void *ctx, const struct kv_entry *entry)
{
	uint64_t *sum = ctx;
	const uint8_t *bytes = entry->value.data;

	for (size_t i = 0; i < entry->value.size; i += 64)
		*sum += bytes[i];
	return 0;
}

static int look_at_change(void *ctx, const struct kv_change *change)
{
	uint64_t *sum = ctx;

	*sum += change->key.size;
	return 0;
}

static void walk(struct kv *kv)
{
	struct kv_range all = { 0 };
	uint64_t sum = 0;

	kv_list(kv, NULL, &all, KV_LIST_VALUES, look_at_entry, &sum);
	kv_tail(kv, 0, look_at_change, &sum);
	kv_check(kv, NULL, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kv_options options;
	struct slice bytes = fuzz_begin(data, size);
	const char *path = fuzz_directory();
	struct buf got = { 0 };
	struct kv *kv;

	fuzz_unpack(bytes);
	options_for(&options);
	options.read_only = true;
	if (kv_open(path, &options, &kv) == 0) {
		walk(kv);
		kv_close(kv);
	}
	options.read_only = false;
	if (kv_open(path, &options, &kv))
		return 0;
	walk(kv);
	/* What is written to whatever this is can be read again. */
	if (kv_set(kv, SLICE_LITERAL("new"), SLICE_LITERAL("value"), NULL) ==
	    0) {
		assert(kv_get(kv, NULL, SLICE_LITERAL("new"), &got) == 0);
		assert(slice_equal(buf_slice(&got), SLICE_LITERAL("value")));
	}
	kv_compact(kv, NULL, NULL);
	walk(kv);
	kv_close(kv);
	if (kv_open(path, &options, &kv) == 0)
		kv_close(kv);
	buf_release(&got);
	return 0;
}

static void put_store(const char *name, bool ignore, bool crash)
{
	struct kv_options options;
	struct buf input = { 0 };
	struct kv *kv;
	uint8_t first = ignore;
	const char *path = fuzz_directory();
	char key[16];

	fuzz_ignore_checksums(ignore);
	options_for(&options);
	options.create = true;
	options.compress_level = 6;
	if (kv_open(path, &options, &kv))
		abort();
	for (unsigned int i = 0; i < 12; i++) {
		uint8_t value[200] = { (uint8_t)i };

		snprintf(key, sizeof(key), "k%u", i % 8);
		if (kv_set(kv, slice_of(key, strlen(key)),
			   slice_of(value, i * 15), NULL))
			abort();
		if (i == 5 && kv_checkpoint(kv))
			abort();
		if (i == 8)
			kv_delete(kv, SLICE_LITERAL("k3"), NULL);
		if (i == 9 && kv_compact(kv, NULL, NULL))
			abort();
	}
	if (buf_append(&input, &first, 1))
		abort();
	if (crash)
		fuzz_pack(&input);
	if (kv_close(kv))
		abort();
	if (!crash)
		fuzz_pack(&input);
	fuzz_put_seed(name, input.data, input.size);
	buf_release(&input);
}

void fuzz_make_seeds(void)
{
	put_store("closed", true, false);
	put_store("closed-crc", false, false);
	put_store("crashed", true, true);
	put_store("crashed-crc", false, true);
}
