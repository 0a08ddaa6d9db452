/* SPDX-License-Identifier: MIT */

/* A batch as bytes: fs/apply_file.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "fs/apply_file.h"

static const struct fs_change examples[] = {
	{ .kind = FS_CHANGE_PUT,
	  .parent = 1,
	  .name = { "a", 1 },
	  .value = { "\0\xff", 2 },
	  .has_mode = true,
	  .mode = 0640 },
	{ .kind = FS_CHANGE_DELETE, .parent = 1u << 30, .name = { "b", 1 } },
	{ .kind = FS_CHANGE_PUT,
	  .parent = 2,
	  .name = { "empty", 5 },
	  .has_mtime = true,
	  .mtime = { -5, 999999999 } },
};
#define COUNT (sizeof(examples) / sizeof(examples[0]))

static void what_is_encoded_is_decoded(void **state)
{
	struct fs_change *changes;
	struct buf buf = { 0 };
	uint32_t umask;
	size_t i, count;

	(void)state;
	assert_int_equal(apply_file_encode(&buf, 027, examples, COUNT), 0);
	assert_int_equal(apply_file_decode(buf_slice(&buf), &umask, &changes,
					   &count),
			 0);
	assert_int_equal(umask, 027);
	assert_int_equal(count, COUNT);
	for (i = 0; i < COUNT; i++) {
		const struct fs_change *e = &examples[i], *c = &changes[i];

		assert_int_equal(c->kind, e->kind);
		assert_int_equal(c->parent, e->parent);
		assert_true(slice_equal(c->name, e->name));
		assert_true(slice_equal(c->value, e->value));
		assert_int_equal(c->has_mode, e->has_mode);
		assert_int_equal(c->has_mtime, e->has_mtime);
		assert_int_equal(c->mode, e->mode);
		assert_int_equal(c->mtime.tv_sec, e->mtime.tv_sec);
		assert_int_equal(c->mtime.tv_nsec, e->mtime.tv_nsec);
	}
	free(changes);
	buf_release(&buf);
}

static void a_part_of_a_batch_is_none(void **state)
{
	struct fs_change *changes;
	struct buf buf = { 0 };
	uint32_t umask;
	size_t size, count;

	(void)state;
	assert_int_equal(apply_file_encode(&buf, 0, examples, COUNT), 0);
	for (size = 0; size < buf.size; size++)
		assert_int_equal(apply_file_decode(slice_of(buf.data, size),
						   &umask, &changes, &count),
				 -EUCLEAN);
	assert_int_equal(buf_append(&buf, "x", 1), 0);
	assert_int_equal(apply_file_decode(buf_slice(&buf), &umask, &changes,
					   &count),
			 -EUCLEAN);
	buf_release(&buf);
}

static void too_many_changes_are_refused_before_memory_is_taken(void **state)
{
	static const uint8_t bytes[] = "kvfsbat1\0\0\0\0\xff\xff\xff\xff";
	struct fs_change *changes;
	uint32_t umask;
	size_t count;

	(void)state;
	assert_int_equal(apply_file_decode(slice_of(bytes, 16), &umask,
					   &changes, &count),
			 -E2BIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_encoded_is_decoded),
		cmocka_unit_test(a_part_of_a_batch_is_none),
		cmocka_unit_test(
			too_many_changes_are_refused_before_memory_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
