/* SPDX-License-Identifier: MIT */

/* The manifest as bytes. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "engine/manifest.h"

static struct manifest_segment segments[] = {
	{ .header = { .kind = SEGMENT_LOG,
		      .id = 3,
		      .base_lsn = 1,
		      .created_lsn = 1,
		      .salt = 99 },
	  .end = 5000,
	  .counts = { 1000, 10, 200, 5, 7 } },
	{ .header = { .kind = SEGMENT_COLD,
		      .id = 5,
		      .base_lsn = 80,
		      .created_lsn = 70,
		      .salt = 1 },
	  .end = 64,
	  .damaged = true },
};
static uint64_t runs[] = { 6, 4 };

static struct manifest example(void)
{
	return (struct manifest){
		.store_uuid = { 9, 8, 7 },
		.next_file_id = 7,
		.checkpoint_lsn = 123456,
		.replay_segment = 3,
		.replay_offset = 5000,
		.checkpoint_count = 17,
		.checkpoint_time_s = 1700000000,
		.clean = true,
		.classes = { [2] = { 5, 600 } },
		.segments = segments,
		.segment_count = 2,
		.run_ids = runs,
		.run_count = 2,
	};
}

static struct buf encoded(const struct manifest *m)
{
	struct buf bytes = { 0 };

	assert_int_equal(manifest_encode(m, &bytes), 0);
	return bytes;
}

static void a_manifest_comes_back_as_it_was(void **state)
{
	struct manifest m = example(), decoded;
	struct buf bytes = encoded(&m), again;

	(void)state;
	assert_int_equal(manifest_decode(buf_slice(&bytes), &decoded), 0);
	assert_int_equal(decoded.segment_count, 2);
	assert_int_equal(decoded.segments[0].counts.dead_count, 7);
	assert_true(decoded.segments[1].damaged);
	assert_int_equal(decoded.run_ids[1], 4);
	assert_int_equal(decoded.classes[2].record_bytes, 600);
	assert_true(decoded.clean);
	again = encoded(&decoded);
	assert_int_equal(again.size, bytes.size);
	assert_memory_equal(again.data, bytes.data, bytes.size);
	buf_release(&again);
	buf_release(&bytes);
	manifest_release(&decoded);
}

static void every_flipped_bit_is_noticed(void **state)
{
	struct manifest m = example(), decoded;
	struct buf bytes = encoded(&m);

	(void)state;
	for (size_t bit = 0; bit < 8 * bytes.size; bit++) {
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(manifest_decode(buf_slice(&bytes), &decoded),
				 -EUCLEAN);
		bytes.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	buf_release(&bytes);
}

static void every_length_but_the_right_one_is_refused(void **state)
{
	struct manifest m = example(), decoded;
	struct buf bytes = encoded(&m);

	(void)state;
	for (size_t size = 0; size < bytes.size; size++)
		assert_int_equal(manifest_decode(slice_of(bytes.data, size),
						 &decoded),
				 -EUCLEAN);
	assert_int_equal(buf_append(&bytes, "", 1), 0);
	assert_int_equal(manifest_decode(buf_slice(&bytes), &decoded),
			 -EUCLEAN);
	buf_release(&bytes);
}

static void what_contradicts_itself_is_refused(void **state)
{
	struct manifest m = example(), decoded;
	struct buf bytes;

	(void)state;
	m.next_file_id = 5; /* below ids in use */
	bytes = encoded(&m);
	assert_int_equal(manifest_decode(buf_slice(&bytes), &decoded),
			 -EUCLEAN);
	buf_release(&bytes);
	m = example();
	segments[1].header.id = 2; /* out of order */
	bytes = encoded(&m);
	segments[1].header.id = 5;
	assert_int_equal(manifest_decode(buf_slice(&bytes), &decoded),
			 -EUCLEAN);
	buf_release(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manifest_comes_back_as_it_was),
		cmocka_unit_test(every_flipped_bit_is_noticed),
		cmocka_unit_test(every_length_but_the_right_one_is_refused),
		cmocka_unit_test(what_contradicts_itself_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
