/* SPDX-License-Identifier: MIT */

/* Files that grow by little: what is stored for them, and that everything that
 * looks at a file's bytes sees its tail. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "fs/repair.h"
#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

#define BLOCK (4u * FRAGMENT_SIZE)
#define FILE_MAX (4u * BLOCK)
/* What a file begins with that is to have blocks, and may have a tail. */
#define BEGIN (BLOCK + 5000u)

/* A file and what it should contain. */
struct sample {
	struct fs_fixture *f;
	uint64_t ino;
	uint8_t bytes[FILE_MAX];
	size_t size;
};

static int setup(void **state)
{
	return fs_fixture_setup_blocks(state, BLOCK);
}

#define TAIL_TEST(name) \
	cmocka_unit_test_setup_teardown(name, setup, fs_fixture_teardown)

static void write_at(struct sample *s, size_t offset, size_t size)
{
	for (size_t i = 0; i < size; i++)
		s->bytes[offset + i] = (uint8_t)(offset * 31 + i * 7 + 1);
	if (offset + size > s->size)
		s->size = offset + size;
	assert_int_equal(fs_write(s->f->fs, s->ino, offset, s->bytes + offset,
				  size, 0),
			 0);
}

static void append(struct sample *s, size_t size)
{
	write_at(s, s->size, size);
}

static struct inode inode_of(struct sample *s)
{
	static uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	struct schema_key key;
	uint64_t value_size;
	size_t size;

	inode_key_encode(&key, s->ino);
	assert_int_equal(kv_read(fs_kv(s->f->fs), NULL, key_slice(&key), 0,
				 bytes, sizeof(bytes), &size, &value_size),
			 0);
	assert_int_equal(inode_decode(slice_of(bytes, size), s->ino, &inode),
			 0);
	return inode;
}

/* How many bytes its tail has. */
static size_t tail_of(struct sample *s)
{
	struct inode inode = inode_of(s);

	return inode.flags & INODE_TAIL ? inode.data.size : 0;
}

static void assert_right(struct sample *s)
{
	assert_contents(s->f, s->ino, s->bytes, s->size);
	assert_sound(s->f);
}

/* A file with blocks, and a tail of `size` bytes. */
static struct sample *make_sample(void **state, size_t size)
{
	static struct sample sample;

	sample = (struct sample){ .f = *state };
	sample.ino = make_file(sample.f, "f");
	append(&sample, BEGIN);
	assert_int_equal(tail_of(&sample), 0);
	append(&sample, size);
	assert_int_equal(tail_of(&sample), size);
	return &sample;
}

static void what_is_appended_goes_into_the_record(void **state)
{
	struct sample *s = make_sample(state, 100);
	uint64_t fragments = class_key_count(s->f, CLASS_FRAGMENT);

	append(s, 50);
	append(s, 1);
	assert_int_equal(tail_of(s), 151);
	assert_int_equal(class_key_count(s->f, CLASS_FRAGMENT), fragments);
	assert_right(s);
	fs_fixture_reopen(s->f);
	assert_right(s);
}

static void a_tail_that_is_too_long_is_written_with_what_comes(void **state)
{
	struct sample *s = make_sample(state, 500);

	append(s, 100);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
	append(s, 3);
	assert_int_equal(tail_of(s), 3);
	append(s, 2 * BLOCK);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
}

static void a_tail_lies_in_one_block(void **state)
{
	struct sample *s = make_sample(state, 10);

	append(s, 2 * BLOCK - s->size - 5);
	append(s, 4);
	assert_int_equal(tail_of(s), 4);
	append(s, 3);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
	append(s, 3 * BLOCK - s->size);
	/* The first bytes of a block make it. */
	append(s, 10);
	assert_int_equal(tail_of(s), 0);
	assert_int_equal(class_key_count(s->f, CLASS_BLOCK), 4);
	append(s, 10);
	assert_int_equal(tail_of(s), 10);
	assert_right(s);
}

static void a_block_completed_by_little_is_whole(void **state)
{
	struct sample *s = make_sample(state, 10);

	append(s, 2 * BLOCK - s->size - 7);
	append(s, 5);
	assert_int_equal(tail_of(s), 5);
	append(s, 2);
	assert_int_equal(tail_of(s), 0);
	assert_int_equal(class_key_count(s->f, CLASS_FRAGMENT), 0);
	assert_right(s);
}

static void writing_into_the_tail_changes_it(void **state)
{
	struct sample *s = make_sample(state, 100);

	write_at(s, s->size - 90, 20);
	assert_int_equal(tail_of(s), 100);
	write_at(s, s->size - 10, 30);
	assert_int_equal(tail_of(s), 120);
	assert_right(s);
}

static void writing_beside_the_tail_settles_it(void **state)
{
	struct sample *s = make_sample(state, 100);

	write_at(s, 10, 10);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
	append(s, 20);
	write_at(s, s->size - 30, 30);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
	append(s, 20);
	write_at(s, s->size + 100, 10);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
}

static void cut_to(struct sample *s, size_t size)
{
	assert_int_equal(set_size(s->f, s->ino, size), 0);
	if (size < s->size)
		memset(s->bytes + size, 0, s->size - size);
	s->size = size;
	assert_right(s);
}

static void truncation_cuts_the_tail(void **state)
{
	struct sample *s = make_sample(state, 100);

	cut_to(s, s->size - 40);
	assert_int_equal(tail_of(s), 60);
	cut_to(s, s->size - 60);
	assert_int_equal(tail_of(s), 0);
	append(s, 10);
	cut_to(s, s->size - 1000);
	assert_int_equal(tail_of(s), 0);
	append(s, 10);
	cut_to(s, 7);
	append(s, BEGIN);
	append(s, 10);
	cut_to(s, 0);
	assert_int_equal(class_key_count(s->f, CLASS_BLOCK), 0);
}

static void what_grows_by_a_hole_has_no_tail(void **state)
{
	struct sample *s = make_sample(state, 100);

	cut_to(s, s->size + 50);
	assert_int_equal(tail_of(s), 0);
	append(s, 10);
	cut_to(s, s->size + BLOCK);
	assert_int_equal(tail_of(s), 0);
	/* In a hole there is no block that it could be of. */
	append(s, 10);
	assert_int_equal(tail_of(s), 0);
	assert_right(s);
	append(s, 10);
	assert_int_equal(tail_of(s), 10);
	assert_right(s);
}

static void punch(struct sample *s, size_t offset, size_t size)
{
	size_t end = offset + size < s->size ? offset + size : s->size;

	assert_int_equal(fs_fallocate(s->f->fs, s->ino,
				      FALLOC_FL_PUNCH_HOLE |
					      FALLOC_FL_KEEP_SIZE,
				      offset, size),
			 0);
	if (offset < end)
		memset(s->bytes + offset, 0, end - offset);
	assert_right(s);
}

static void holes_are_punched_into_tails(void **state)
{
	struct sample *s = make_sample(state, 100);

	punch(s, s->size - 50, 20);
	append(s, 50);
	punch(s, BLOCK, BLOCK);
	append(s, 50);
	punch(s, 0, FILE_MAX);
	assert_int_equal(class_key_count(s->f, CLASS_BLOCK), 0);
	append(s, 50);
	assert_right(s);
}

static void a_tail_is_data_to_who_looks_for_holes(void **state)
{
	struct sample *s = make_sample(state, 100);
	uint64_t found = 0;

	assert_int_equal(
		fs_seek(s->f->fs, s->ino, s->size - 50, SEEK_DATA, &found), 0);
	assert_int_equal(found, s->size - 50);
	assert_int_equal(fs_seek(s->f->fs, s->ino, 0, SEEK_HOLE, &found), 0);
	assert_int_equal(found, s->size);
}

static void a_copy_has_the_tail(void **state)
{
	struct sample *s = make_sample(state, 100);
	uint64_t from = s->ino;
	size_t copied = 0;

	s->ino = make_file(s->f, "copy");
	assert_int_equal(fs_copy_range(s->f->fs, from, 0, s->ino, 0, FILE_MAX,
				       &copied),
			 0);
	assert_int_equal(copied, s->size);
	assert_right(s);
}

static void reads_of_any_piece_see_the_tail(void **state)
{
	struct sample *s = make_sample(state, 300);
	static uint8_t got[1000];
	size_t read;

	for (size_t back = 1; back < 700; back += 13) {
		for (size_t size = 1; size < sizeof(got); size += 57) {
			size_t want = size < back ? size : back;

			assert_int_equal(fs_read(s->f->fs, s->ino,
						 s->size - back, got, size,
						 &read),
					 0);
			assert_int_equal(read, want);
			assert_memory_equal(got, s->bytes + s->size - back,
					    want);
		}
	}
}

static void appending_writes_a_few_times_what_is_appended(void **state)
{
	struct sample *s = make_sample(state, 100);
	struct kv_stats before, after;
	size_t size = s->size;

	kv_stats(fs_kv(s->f->fs), &before);
	while (s->size + 100 <= FILE_MAX)
		append(s, 100);
	kv_stats(fs_kv(s->f->fs), &after);
	assert_true(after.append_bytes - before.append_bytes <
		    9 * (s->size - size));
	assert_right(s);
}

static void a_tail_whose_block_is_missing_is_found_and_kept(void **state)
{
	struct sample *s = make_sample(state, 100);
	struct schema_key key;

	block_key_encode(&key, s->ino, 1);
	assert_int_equal(kv_delete(fs_kv(s->f->fs), key_slice(&key), NULL), 0);
	assert_true(check_quietly(s->f) > 0);
	assert_true(repair_quietly(s->f) >= 0);
	memset(s->bytes + BLOCK, 0, BEGIN - BLOCK);
	assert_right(s);
	/* All of its blocks, too. */
	block_key_encode(&key, s->ino, 0);
	assert_int_equal(kv_delete(fs_kv(s->f->fs), key_slice(&key), NULL), 0);
	block_key_encode(&key, s->ino, 1);
	assert_int_equal(kv_delete(fs_kv(s->f->fs), key_slice(&key), NULL), 0);
	assert_true(repair_quietly(s->f) >= 0);
	memset(s->bytes, 0, BEGIN);
	assert_right(s);
}

static void bytes_in_blocks_behind_the_tail_are_found(void **state)
{
	struct sample *s = make_sample(state, 100);
	struct schema_key key;

	block_key_encode(&key, s->ino, 1);
	assert_int_equal(kv_set(fs_kv(s->f->fs), key_slice(&key),
				slice_of(s->bytes, BEGIN - BLOCK + 1), NULL),
			 0);
	assert_int_equal(check_quietly(s->f), 1);
}

static uint64_t incompat_flags(struct fs_fixture *f)
{
	uint8_t bytes[SUPER_RECORD_SIZE];
	struct schema_key key;
	struct super super;
	size_t size;

	super_key_encode(&key);
	assert_int_equal(kv_read(fs_kv(f->fs), NULL, key_slice(&key), 0, bytes,
				 sizeof(bytes), &size, NULL),
			 0);
	assert_int_equal(super_decode(slice_of(bytes, size), &super), 0);
	return super.incompat_flags;
}

static void a_store_says_that_it_has_tails(void **state)
{
	assert_int_equal(incompat_flags(*state), 0);
	make_sample(state, 100);
	assert_int_equal(incompat_flags(*state), SUPER_TAILS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAIL_TEST(what_is_appended_goes_into_the_record),
		TAIL_TEST(a_tail_that_is_too_long_is_written_with_what_comes),
		TAIL_TEST(a_tail_lies_in_one_block),
		TAIL_TEST(a_block_completed_by_little_is_whole),
		TAIL_TEST(writing_into_the_tail_changes_it),
		TAIL_TEST(writing_beside_the_tail_settles_it),
		TAIL_TEST(truncation_cuts_the_tail),
		TAIL_TEST(what_grows_by_a_hole_has_no_tail),
		TAIL_TEST(holes_are_punched_into_tails),
		TAIL_TEST(a_tail_is_data_to_who_looks_for_holes),
		TAIL_TEST(a_copy_has_the_tail),
		TAIL_TEST(reads_of_any_piece_see_the_tail),
		TAIL_TEST(appending_writes_a_few_times_what_is_appended),
		TAIL_TEST(a_tail_whose_block_is_missing_is_found_and_kept),
		TAIL_TEST(bytes_in_blocks_behind_the_tail_are_found),
		TAIL_TEST(a_store_says_that_it_has_tails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
