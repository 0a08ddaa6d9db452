/* SPDX-License-Identifier: MIT */

/* Small files that are deleted with their last name, and still open. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/falloc.h>

#include "fs/schema.h"
#include "tests/seam/fault_io.h"
#include "tests/unit/fs_fixture.h"

#define BLOCK 4096u
#define SIZE (2 * BLOCK + 1000) /* three blocks */
#define TAIL 100u

static uint8_t pattern[SIZE + TAIL];

static uint64_t key_count(struct fs_fixture *f)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.key_count;
}

static uint64_t make_with_blocks(struct fs_fixture *f, const char *name)
{
	uint64_t ino = make_file(f, name);

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 31 + i / 256);
	assert_int_equal(fs_write(f->fs, ino, 0, pattern, SIZE, 0), 0);
	return ino;
}

static void unlink_name(struct fs_fixture *f, const char *name)
{
	assert_int_equal(fs_unlink(f->fs, 1, name_of(name), NULL), 0);
}

/* Deleted, and no orphan. */
static void assert_ghost(struct fs_fixture *f, uint64_t ino)
{
	struct schema_key key;

	inode_key_encode(&key, ino);
	assert_int_equal(kv_exists(fs_kv(f->fs), NULL, key_slice(&key)), 1);
	assert_int_equal(class_key_count(f, CLASS_ORPHAN), 0);
	assert_true(fs_is_orphan(f->fs, ino));
	assert_int_equal(attr_of(f, ino).nlink, 0);
}

static void assert_orphan(struct fs_fixture *f, uint64_t ino)
{
	assert_int_equal(class_key_count(f, CLASS_ORPHAN), 1);
	assert_true(fs_is_orphan(f->fs, ino));
	assert_int_equal(attr_of(f, ino).nlink, 0);
}

static void assert_forgotten(struct fs_fixture *f, uint64_t ino)
{
	fs_forget(f->fs, ino);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	assert_false(fs_is_orphan(f->fs, ino));
	assert_int_equal(class_key_count(f, CLASS_ORPHAN), 0);
	assert_sound(f);
}

static void a_small_file_goes_with_its_name(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino = make_file(f, "f");

	put(f, ino, 0, "in the record");
	unlink_name(f, "f");
	assert_ghost(f, ino);
	assert_int_equal(key_count(f), keys);
	assert_contents(f, ino, "in the record", 13);
	assert_sound(f);
	assert_forgotten(f, ino);
}

/* Wherever compaction, checkpoints and other writes would take them. */
static void its_blocks_stay_readable(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino = make_with_blocks(f, "f");
	uint64_t other, found;
	uint8_t bytes[BLOCK];
	size_t got;

	assert_int_equal(fs_write(f->fs, ino, SIZE, pattern + SIZE, TAIL, 0),
			 0);
	unlink_name(f, "f");
	assert_ghost(f, ino);
	assert_int_equal(key_count(f), keys);
	other = make_file(f, "g");
	for (unsigned int i = 0; i < 3000; i++)
		assert_int_equal(fs_write(f->fs, other, i % 7 * BLOCK, pattern,
					  BLOCK, 0),
				 0);
	assert_int_equal(kv_compact(fs_kv(f->fs), NULL, NULL), 0);
	assert_contents(f, ino, pattern, SIZE + TAIL);
	assert_int_equal(fs_read(f->fs, ino, BLOCK - 10, bytes, 20, &got), 0);
	assert_int_equal(got, 20);
	assert_memory_equal(bytes, pattern + BLOCK - 10, 20);
	assert_int_equal(fs_seek(f->fs, ino, 5, SEEK_DATA, &found), 0);
	assert_int_equal(found, 5);
	assert_int_equal(fs_seek(f->fs, ino, 5, SEEK_HOLE, &found), 0);
	assert_int_equal(found, SIZE + TAIL);
	assert_forgotten(f, ino);
}

static void what_a_rename_replaced_is_one_too(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_with_blocks(f, "f");

	make_file(f, "g");
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of("g"), 1,
				   name_of("f"), 0),
			 0);
	assert_ghost(f, ino);
	assert_contents(f, ino, pattern, SIZE);
	assert_forgotten(f, ino);
}

static void so_are_links_and_devices(void **state)
{
	struct fs_fixture *f = *state;
	struct buf target = { 0 };
	struct fs_attr link, fifo;

	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("l"),
				    name_of("target"), &link),
			 0);
	assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of("p"),
				  S_IFIFO | 0600, 0, &fifo),
			 0);
	unlink_name(f, "l");
	unlink_name(f, "p");
	assert_ghost(f, link.ino);
	assert_ghost(f, fifo.ino);
	assert_int_equal(fs_readlink(f->fs, link.ino, &target), 0);
	assert_int_equal(target.size, 6);
	buf_release(&target);
	assert_forgotten(f, link.ino);
	assert_forgotten(f, fifo.ino);
}

static void only_the_last_name_counts(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_with_blocks(f, "f");

	assert_int_equal(fs_link(f->fs, ino, 1, name_of("g"), NULL), 0);
	unlink_name(f, "f");
	assert_false(fs_is_orphan(f->fs, ino));
	fs_forget(f->fs, ino);
	assert_contents(f, ino, pattern, SIZE);
	unlink_name(f, "g");
	assert_ghost(f, ino);
	assert_forgotten(f, ino);
}

/* --- changing one --- */

typedef int change_fn(struct fs_fixture *f, uint64_t ino);

static int change_mode(struct fs_fixture *f, uint64_t ino)
{
	struct fs_attr attr = { .mode = 0400 };

	return fs_setattr(f->fs, NULL, ino, FS_SET_MODE, &attr, NULL);
}

static int change_xattr(struct fs_fixture *f, uint64_t ino)
{
	return fs_setxattr(f->fs, NULL, ino, name_of("user.x"), name_of("v"), 0,
			   false);
}

static int change_byte(struct fs_fixture *f, uint64_t ino)
{
	return fs_write(f->fs, ino, 0, pattern, 1, 0);
}

static int change_space(struct fs_fixture *f, uint64_t ino)
{
	return fs_fallocate(f->fs, ino, FALLOC_FL_KEEP_SIZE, 0, 100000);
}

static int change_end(struct fs_fixture *f, uint64_t ino)
{
	int error = fs_write(f->fs, ino, SIZE, "more", 4, FS_WRITE_APPEND);

	return error ? error : set_size(f, ino, SIZE);
}

static void who_changes_it_has_it_as_it_was(void **state)
{
	static change_fn *const changes[] = { change_mode, change_xattr,
					      change_byte, change_space,
					      change_end };
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino;

	for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
		ino = make_with_blocks(f, "f");
		unlink_name(f, "f");
		assert_ghost(f, ino);
		assert_int_equal(changes[i](f, ino), 0);
		assert_orphan(f, ino);
		assert_contents(f, ino, pattern, SIZE);
		assert_sound(f);
		assert_forgotten(f, ino);
		assert_int_equal(key_count(f), keys);
	}
}

static void it_can_be_emptied_and_grow(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_with_blocks(f, "f");

	unlink_name(f, "f");
	assert_int_equal(set_size(f, ino, 0), 0);
	assert_contents(f, ino, "", 0);
	put(f, ino, 0, "anew");
	assert_contents(f, ino, "anew", 4);
	assert_sound(f);
	assert_forgotten(f, ino);
}

/* --- what is none --- */

static void what_has_more_keys_is_an_orphan(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t sparse = make_file(f, "s");
	uint64_t large = make_file(f, "l");
	uint64_t named = make_file(f, "x");
	uint64_t dir = make_dir(f, "d");

	put(f, sparse, 3 * BLOCK, "behind a hole");
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(fs_write(f->fs, large, i * BLOCK, pattern,
					  BLOCK, 0),
				 0);
	assert_int_equal(change_xattr(f, named), 0);
	unlink_name(f, "s");
	assert_orphan(f, sparse);
	assert_forgotten(f, sparse);
	unlink_name(f, "l");
	assert_orphan(f, large);
	assert_forgotten(f, large);
	unlink_name(f, "x");
	assert_orphan(f, named);
	assert_forgotten(f, named);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), 0);
	assert_orphan(f, dir);
	assert_forgotten(f, dir);
}

/* Their memory is bounded: beyond, they are orphans. */
static void many_are_all_readable(void **state)
{
	enum {
		COUNT = 1500
	};
	static char text[1000];
	static uint64_t inos[COUNT];
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	char name[16];

	memset(text, 'x', sizeof(text) - 1);
	for (unsigned int i = 0; i < COUNT; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		inos[i] = make_file(f, name);
		put(f, inos[i], 0, text);
		unlink_name(f, name);
	}
	assert_in_range(class_key_count(f, CLASS_ORPHAN), 1, COUNT - 500);
	for (unsigned int i = 0; i < COUNT; i++)
		assert_contents(f, inos[i], text, sizeof(text) - 1);
	fs_forget_all(f->fs, inos, COUNT);
	assert_int_equal(key_count(f), keys);
	/* There is room again. */
	inos[0] = make_file(f, "f");
	unlink_name(f, "f");
	assert_ghost(f, inos[0]);
	assert_forgotten(f, inos[0]);
}

static void closing_ends_them(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t keys = key_count(f);
	uint64_t ino = make_with_blocks(f, "f");

	unlink_name(f, "f");
	fs_fixture_reopen(f);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	assert_int_equal(key_count(f), keys);
	assert_sound(f);
}

/* --- when the disk fails --- */

static void open_over_faults(struct fs_fixture *f, struct fault_io *fault)
{
	assert_int_equal(fs_close(f->fs), 0);
	fault_io_init(fault, io_system());
	f->options.kv.io = &fault->io;
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
}

static void close_over_faults(struct fs_fixture *f, struct fault_io *fault)
{
	assert_int_equal(fs_close(f->fs), 0);
	f->options.kv.io = NULL;
	fault_io_release(fault);
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
}

static void what_could_not_be_unlinked_is_as_it_was(void **state)
{
	static const struct fault failing = { .ops = FAULT_OP(OP_PWRITEV),
					      .times = FAULT_FOR_EVER,
					      .error = -EIO };
	struct fs_fixture *f = *state;
	struct fault_io fault;
	uint64_t ino;

	open_over_faults(f, &fault);
	ino = make_with_blocks(f, "f");
	make_file(f, "g");
	fault_io_arm(&fault, &failing);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), -EIO);
	assert_false(fs_is_orphan(f->fs, ino));
	fault_io_arm(&fault, &failing);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of("g"), 1,
				   name_of("f"), 0),
			 -EIO);
	fault_io_arm(&fault, NULL);
	assert_false(fs_is_orphan(f->fs, ino));
	assert_int_equal(attr_of(f, ino).nlink, 1);
	assert_contents(f, ino, pattern, SIZE);
	assert_sound(f);
	close_over_faults(f, &fault);
	assert_int_equal(find(f, "f"), ino);
	assert_contents(f, ino, pattern, SIZE);
}

static void what_could_not_be_revived_stays_readable(void **state)
{
	static const struct fault failing = { .ops = FAULT_OP(OP_PWRITEV),
					      .times = FAULT_FOR_EVER,
					      .error = -EIO };
	struct fs_fixture *f = *state;
	struct fault_io fault;
	uint64_t ino;

	open_over_faults(f, &fault);
	ino = make_with_blocks(f, "f");
	unlink_name(f, "f");
	fault_io_arm(&fault, &failing);
	assert_int_equal(change_byte(f, ino), -EIO);
	fault_io_arm(&fault, NULL);
	assert_ghost(f, ino);
	assert_contents(f, ino, pattern, SIZE);
	assert_int_equal(change_byte(f, ino), 0);
	assert_orphan(f, ino);
	assert_contents(f, ino, pattern, SIZE);
	assert_forgotten(f, ino);
	close_over_faults(f, &fault);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_small_file_goes_with_its_name),
		FS_TEST(its_blocks_stay_readable),
		FS_TEST(what_a_rename_replaced_is_one_too),
		FS_TEST(so_are_links_and_devices),
		FS_TEST(only_the_last_name_counts),
		FS_TEST(who_changes_it_has_it_as_it_was),
		FS_TEST(it_can_be_emptied_and_grow),
		FS_TEST(what_has_more_keys_is_an_orphan),
		FS_TEST(many_are_all_readable),
		FS_TEST(closing_ends_them),
		FS_TEST(what_could_not_be_unlinked_is_as_it_was),
		FS_TEST(what_could_not_be_revived_stays_readable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
