/* SPDX-License-Identifier: MIT */

/* Space that fallocate(2) keeps free: how it is counted, who may have it, and
 * when it is given back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

#define BLOCK 4096u
#define MIB (1u << 20)

static int preallocate(struct fs_fixture *f, uint64_t ino, uint64_t offset,
		       uint64_t size)
{
	return fs_fallocate(f->fs, ino, FALLOC_FL_KEEP_SIZE, offset, size);
}

static uint64_t promised(struct fs_fixture *f)
{
	return class_key_count(f, CLASS_PREALLOC);
}

/* What the file stores by st_blocks, in blocks. */
static uint64_t blocks_of(struct fs_fixture *f, uint64_t ino)
{
	return attr_of(f, ino).blocks * 512 / BLOCK;
}

static uint64_t free_bytes(struct fs_fixture *f)
{
	struct fs_statfs space;

	assert_int_equal(fs_statfs(f->fs, &space), 0);
	assert_int_equal(space.total_bytes,
			 space.used_bytes + space.free_bytes);
	return space.free_bytes;
}

static void write_zeros(struct fs_fixture *f, uint64_t ino, uint64_t offset,
			size_t size)
{
	static const uint8_t zeros[64 * BLOCK];

	assert_int_equal(fs_write(f->fs, ino, offset, zeros, size, 0), 0);
}

static void every_block_touched_is_counted(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	/* A byte each side of a border. */
	assert_int_equal(fs_fallocate(f->fs, ino, 0, BLOCK - 1, 2), 0);
	assert_int_equal(blocks_of(f, ino), 2);
	assert_int_equal(attr_of(f, ino).size_bytes, BLOCK + 1);
	/* Once only. */
	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, 3 * BLOCK), 0);
	assert_int_equal(blocks_of(f, ino), 3);
	assert_int_equal(promised(f), 3);
	fs_fixture_reopen(f);
	assert_int_equal(blocks_of(f, ino), 3);
	assert_sound(f);
}

static void what_is_promised_reads_as_a_hole(void **state)
{
	static const uint8_t zeros[8 * BLOCK];
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t offset;

	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, sizeof(zeros)), 0);
	assert_contents(f, ino, zeros, sizeof(zeros));
	assert_int_equal(fs_seek(f->fs, ino, 0, SEEK_HOLE, &offset), 0);
	assert_int_equal(offset, 0);
	assert_int_equal(fs_seek(f->fs, ino, 0, SEEK_DATA, &offset), -ENXIO);
}

static void a_write_spends_the_promise_of_its_blocks(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(preallocate(f, ino, 0, 8 * BLOCK), 0);
	write_zeros(f, ino, 2 * BLOCK, 2 * BLOCK);
	assert_int_equal(promised(f), 6);
	assert_int_equal(blocks_of(f, ino), 8);
	/* A part of a block. */
	write_zeros(f, ino, 6 * BLOCK + 10, 10);
	assert_int_equal(promised(f), 5);
	/* The same again has none to spend. */
	write_zeros(f, ino, 2 * BLOCK, 2 * BLOCK);
	assert_int_equal(promised(f), 5);
	write_zeros(f, ino, 0, 8 * BLOCK);
	assert_int_equal(promised(f), 0);
	assert_int_equal(blocks_of(f, ino), 8);
	assert_sound(f);
}

static void data_in_the_inode_spends_the_first_block(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(preallocate(f, ino, 0, 2 * BLOCK), 0);
	put(f, ino, 0, "a few bytes");
	assert_int_equal(promised(f), 1);
	assert_int_equal(preallocate(f, ino, 0, 2 * BLOCK), 0);
	assert_int_equal(promised(f), 2);
	/* It becomes block 0. */
	write_zeros(f, ino, 5 * BLOCK, BLOCK);
	assert_int_equal(promised(f), 1);
	assert_sound(f);
}

static int setup_large(void **state)
{
	return fs_fixture_setup_blocks(state, 16 * BLOCK);
}

static void small_writes_beside_a_block_spend_it_once(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t i;

	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, 64 * BLOCK), 0);
	assert_int_equal(promised(f), 4);
	for (i = 0; i < 16; i++)
		write_zeros(f, ino, 32 * BLOCK + i * BLOCK + 5, 100);
	assert_int_equal(promised(f), 3);
	assert_int_equal(blocks_of(f, ino), 64);
	assert_sound(f);
}

static void truncation_takes_back_what_is_beyond_the_end(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(preallocate(f, ino, 0, 5000 * BLOCK), 0);
	assert_int_equal(promised(f), 5000);
	assert_int_equal(attr_of(f, ino).size_bytes, 0);
	assert_int_equal(set_size(f, ino, 10 * BLOCK + 1), 0);
	assert_int_equal(promised(f), 11);
	assert_int_equal(blocks_of(f, ino), 11);
	assert_int_equal(set_size(f, ino, 0), 0);
	assert_int_equal(promised(f), 0);
	assert_int_equal(blocks_of(f, ino), 0);
	assert_sound(f);
}

static void a_hole_takes_back_whole_blocks(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, 8 * BLOCK), 0);
	assert_int_equal(fs_fallocate(f->fs, ino, mode, BLOCK + 1, 3 * BLOCK),
			 0);
	assert_int_equal(promised(f), 6);
	assert_int_equal(blocks_of(f, ino), 6);
	assert_sound(f);
}

static void a_range_of_zeros_is_preallocated(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	write_zeros(f, ino, 0, 8 * BLOCK);
	assert_int_equal(fs_fallocate(f->fs, ino, FALLOC_FL_ZERO_RANGE, BLOCK,
				      10 * BLOCK),
			 0);
	assert_int_equal(promised(f), 10);
	assert_int_equal(blocks_of(f, ino), 11);
	assert_sound(f);
}

static void deleting_takes_everything_back(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino, before;

	/* Of a limit: others write on the disk. */
	f->options.size_limit_bytes = 64 * MIB;
	fs_fixture_reopen(f);
	ino = make_file(f, "f");
	before = free_bytes(f);
	assert_int_equal(preallocate(f, ino, 0, 3000 * BLOCK), 0);
	/* With the keys themselves, about what was asked for. */
	assert_in_range(before - free_bytes(f), 2900 * BLOCK, 3100 * BLOCK);
	assert_int_equal(fs_unlink(f->fs, FS_ROOT_INO, name_of("f"), NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(promised(f), 0);
	assert_sound(f);
}

static void more_than_is_free_is_refused_at_once(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(fs_fallocate(f->fs, ino, 0, 0, (uint64_t)1 << 60),
			 -ENOSPC);
	assert_int_equal(promised(f), 0);
	assert_int_equal(attr_of(f, ino).size_bytes, 0);
}

/* Fills the filesystem; how many blocks went in. */
static unsigned int fill(struct fs_fixture *f, uint64_t ino)
{
	static const uint8_t zeros[BLOCK];
	unsigned int count = 0;
	int error;

	while ((error = fs_write(f->fs, ino, 0, zeros, sizeof(zeros),
				 FS_WRITE_APPEND)) == 0)
		count++;
	assert_int_equal(error, -ENOSPC);
	return count;
}

static void others_cannot_have_what_is_promised(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t kept, other, space, i;
	unsigned int count;

	f->options.size_limit_bytes = 4 * MIB;
	fs_fixture_reopen(f);
	kept = make_file(f, "kept");
	other = make_file(f, "other");
	assert_int_equal(fs_fallocate(f->fs, kept, 0, 0, MIB), 0);
	space = free_bytes(f);
	assert_true(space < 3 * MIB + MIB / 32);
	count = fill(f, other);
	assert_in_range(count, space / BLOCK * 8 / 10, space / BLOCK);
	/* Now its owner: every block, though all is full. */
	for (i = 0; i < MIB; i += BLOCK)
		write_zeros(f, kept, i, BLOCK);
	assert_int_equal(promised(f), 0);
	assert_sound(f);
}

static void promises_hold_after_a_reopening(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t kept, i;

	f->options.size_limit_bytes = 4 * MIB;
	fs_fixture_reopen(f);
	kept = make_file(f, "kept");
	assert_int_equal(fs_fallocate(f->fs, kept, 0, 0, MIB), 0);
	fs_fixture_reopen(f);
	fill(f, make_file(f, "other"));
	for (i = 0; i < MIB; i += BLOCK)
		write_zeros(f, kept, i, BLOCK);
	assert_sound(f);
}

static void a_full_filesystem_promises_nothing_more(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino;
	unsigned int count = 0;
	int error;

	f->options.size_limit_bytes = 4 * MIB;
	fs_fixture_reopen(f);
	ino = make_file(f, "f");
	while ((error = preallocate(f, ino, count * MIB / 4, MIB / 4)) == 0)
		count++;
	assert_int_equal(error, -ENOSPC);
	assert_in_range(count, 10, 16);
	assert_sound(f);
}

static void check_counts_what_is_promised(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct schema_key key;

	assert_int_equal(preallocate(f, ino, 0, 8 * BLOCK), 0);
	prealloc_key_encode(&key, ino, 3);
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(&key), NULL), 0);
	assert_int_equal(fs_check(f->fs, problem_print, NULL, NULL), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(every_block_touched_is_counted),
		FS_TEST(what_is_promised_reads_as_a_hole),
		FS_TEST(a_write_spends_the_promise_of_its_blocks),
		FS_TEST(data_in_the_inode_spends_the_first_block),
		cmocka_unit_test_setup_teardown(
			small_writes_beside_a_block_spend_it_once, setup_large,
			fs_fixture_teardown),
		FS_TEST(truncation_takes_back_what_is_beyond_the_end),
		FS_TEST(a_hole_takes_back_whole_blocks),
		FS_TEST(a_range_of_zeros_is_preallocated),
		FS_TEST(deleting_takes_everything_back),
		FS_TEST(more_than_is_free_is_refused_at_once),
		FS_TEST(others_cannot_have_what_is_promised),
		FS_TEST(promises_hold_after_a_reopening),
		FS_TEST(a_full_filesystem_promises_nothing_more),
		FS_TEST(check_counts_what_is_promised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
