/* SPDX-License-Identifier: MIT */

/* Attributes: owners, modes, set-id bits, times, space. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/fs_fixture.h"

static bool in_group_7(void *ctx, uint32_t gid)
{
	(void)ctx;
	return gid == 7;
}

static const struct fs_cred user = { .uid = 1000,
				     .gid = 100,
				     .in_group = in_group_7 };

static uint32_t mode_of(struct fs_fixture *f, uint64_t ino)
{
	return attr_of(f, ino).mode & 07777;
}

static int chmod_as(struct fs_fixture *f, const struct fs_cred *cred,
		    uint64_t ino, uint32_t mode)
{
	struct fs_attr attr = { .mode = mode };

	return fs_setattr(f->fs, cred, ino, FS_SET_MODE, &attr, NULL);
}

static int chown_to(struct fs_fixture *f, uint64_t ino, uint32_t uid,
		    uint32_t gid)
{
	struct fs_attr attr = { .uid = uid, .gid = gid };

	return fs_setattr(f->fs, NULL, ino, FS_SET_UID | FS_SET_GID, &attr,
			  NULL);
}

static void what_is_made_belongs_to_its_maker(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_attr attr;

	assert_int_equal(
		fs_mknod(f->fs, &user, 1, name_of("f"), 0644, 0, &attr), 0);
	assert_int_equal(attr.uid, 1000);
	assert_int_equal(attr.gid, 100);
}

static void a_set_gid_directory_passes_its_group_on(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	struct fs_attr attr;

	assert_int_equal(chown_to(f, dir, 0, 55), 0);
	assert_int_equal(chmod_as(f, NULL, dir, 02777), 0);
	assert_int_equal(
		fs_mknod(f->fs, &user, dir, name_of("f"), 02775, 0, &attr), 0);
	assert_int_equal(attr.gid, 55);
	assert_int_equal(attr.mode & 07777, 0775);
	assert_int_equal(fs_mkdir(f->fs, &user, dir, name_of("s"), 0755, &attr),
			 0);
	assert_int_equal(attr.gid, 55);
	assert_int_equal(attr.mode & 07777, 02755);
	/* A member may make it so. */
	assert_int_equal(chown_to(f, dir, 0, 7), 0);
	assert_int_equal(
		fs_mknod(f->fs, &user, dir, name_of("g"), 02775, 0, &attr), 0);
	assert_int_equal(attr.mode & 07777, 02775);
}

static void only_members_set_the_group_id_bit(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(chown_to(f, ino, 1000, 55), 0);
	assert_int_equal(chmod_as(f, &user, ino, 06755), 0);
	assert_int_equal(mode_of(f, ino), 04755);
	assert_int_equal(chmod_as(f, &f->cred, ino, 06755), 0);
	assert_int_equal(mode_of(f, ino), 06755);
	assert_int_equal(chown_to(f, ino, 1000, 7), 0);
	assert_int_equal(chmod_as(f, &user, ino, 02755), 0);
	assert_int_equal(mode_of(f, ino), 02755);
}

static void chown_clears_set_id_bits_but_of_directories(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	uint64_t dir = make_dir(f, "d");

	assert_int_equal(chmod_as(f, NULL, ino, 06755), 0);
	assert_int_equal(chown_to(f, ino, 5, 5), 0);
	assert_int_equal(mode_of(f, ino), 0755);
	/* Without the execute bit S_ISGID is no privilege. */
	assert_int_equal(chmod_as(f, NULL, ino, 06644), 0);
	assert_int_equal(chown_to(f, ino, 6, 6), 0);
	assert_int_equal(mode_of(f, ino), 02644);
	assert_int_equal(chmod_as(f, NULL, dir, 06755), 0);
	assert_int_equal(chown_to(f, dir, 5, 5), 0);
	assert_int_equal(mode_of(f, dir), 06755);
}

static void writing_and_truncating_clear_set_id_bits_when_asked(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct fs_attr attr = { .size_bytes = 1 };
	struct buf value = { 0 };

	assert_int_equal(chmod_as(f, NULL, ino, 06755), 0);
	put(f, ino, 0, "root");
	assert_int_equal(mode_of(f, ino), 06755);
	assert_int_equal(fs_setxattr(f->fs, NULL, ino,
				     name_of("security.capability"),
				     name_of("x"), 0, false),
			 0);
	assert_int_equal(fs_write(f->fs, ino, 0, "x", 1, FS_WRITE_KILL_SUIDGID),
			 0);
	assert_int_equal(mode_of(f, ino), 0755);
	assert_int_equal(fs_getxattr(f->fs, ino, name_of("security.capability"),
				     &value),
			 -ENODATA);
	assert_int_equal(chmod_as(f, NULL, ino, 06755), 0);
	assert_int_equal(fs_setattr(f->fs, NULL, ino,
				    FS_SET_SIZE | FS_SET_KILL_SUIDGID, &attr,
				    NULL),
			 0);
	assert_int_equal(mode_of(f, ino), 0755);
	assert_int_equal(chmod_as(f, NULL, ino, 04755), 0);
	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_KILL_SUIDGID,
				    &attr, NULL),
			 0);
	assert_int_equal(mode_of(f, ino), 0755);
	assert_sound(f);
}

static void only_members_keep_the_group_id_bit_when_they_write(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct fs_attr attr = { .size_bytes = 1 };

	assert_int_equal(chown_to(f, ino, 0, 7), 0);
	assert_int_equal(chmod_as(f, NULL, ino, 06666), 0);
	assert_int_equal(fs_setattr(f->fs, &user, ino, FS_SET_KILL_SUIDGID,
				    &attr, NULL),
			 0);
	assert_int_equal(mode_of(f, ino), 02666);
	assert_int_equal(chown_to(f, ino, 0, 8), 0);
	assert_int_equal(fs_setattr(f->fs, &user, ino, FS_SET_KILL_SUIDGID,
				    &attr, NULL),
			 0);
	assert_int_equal(mode_of(f, ino), 0666);
	assert_int_equal(chmod_as(f, NULL, ino, 02666), 0);
	assert_int_equal(fs_setattr(f->fs, &user, ino,
				    FS_SET_SIZE | FS_SET_KILL_SUIDGID, &attr,
				    NULL),
			 0);
	assert_int_equal(mode_of(f, ino), 0666);
}

static void times_are_kept_to_the_nanosecond_and_far_from_now(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct fs_attr attr = {
		.atime = { -((int64_t)1 << 33), 1 },
		.mtime = { (int64_t)1 << 40, 999999999 },
		.ctime = { -1, 5 },
	};
	struct fs_attr got;

	assert_int_equal(fs_setattr(f->fs, NULL, ino,
				    FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME,
				    &attr, NULL),
			 0);
	fs_fixture_reopen(f);
	got = attr_of(f, ino);
	assert_memory_equal(&got.atime, &attr.atime, sizeof(attr.atime));
	assert_memory_equal(&got.mtime, &attr.mtime, sizeof(attr.mtime));
	assert_memory_equal(&got.ctime, &attr.ctime, sizeof(attr.ctime));
	attr.mtime.tv_nsec = 1000000000;
	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_MTIME, &attr,
				    NULL),
			 -EINVAL);
}

/* Times far back, to see which ones an operation moves. */
static void age(struct fs_fixture *f, uint64_t ino)
{
	struct fs_attr attr = { .atime = { 1, 0 },
				.mtime = { 1, 0 },
				.ctime = { 1, 0 } };

	assert_int_equal(fs_setattr(f->fs, NULL, ino,
				    FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME,
				    &attr, NULL),
			 0);
}

static void assert_moved(struct fs_fixture *f, uint64_t ino, bool mtime,
			 bool ctime)
{
	struct fs_attr attr = attr_of(f, ino);

	assert_int_equal(attr.atime.tv_sec, 1);
	assert_int_equal(attr.mtime.tv_sec != 1, mtime);
	assert_int_equal(attr.ctime.tv_sec != 1, ctime);
	age(f, ino);
}

static void operations_move_the_times_they_should(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	size_t got;
	char c;

	age(f, ino);
	put(f, ino, 0, "x");
	assert_moved(f, ino, true, true);
	assert_int_equal(fs_read(f->fs, ino, 0, &c, 1, &got), 0);
	assert_moved(f, ino, false, false);
	assert_int_equal(fs_write(f->fs, ino, 0, "x", 1, FS_WRITE_CACHED), 0);
	assert_moved(f, ino, false, false);
	assert_int_equal(set_size(f, ino, 1), 0);
	assert_moved(f, ino, true, true);
	assert_int_equal(chmod_as(f, NULL, ino, 0600), 0);
	assert_moved(f, ino, false, true);
	assert_int_equal(chown_to(f, ino, 1, 1), 0);
	assert_moved(f, ino, false, true);
	assert_int_equal(fs_setxattr(f->fs, NULL, ino, name_of("user.x"),
				     name_of(""), 0, false),
			 0);
	assert_moved(f, ino, false, true);
}

static void deleting_gives_space_back_in_statfs(void **state)
{
	static uint8_t bytes[1 << 20];
	struct fs_fixture *f = *state;
	struct fs_statfs before, full, after;
	uint64_t ino;

	assert_int_equal(fs_statfs(f->fs, &before), 0);
	ino = make_file(f, "f");
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, sizeof(bytes), 0), 0);
	assert_int_equal(fs_statfs(f->fs, &full), 0);
	assert_true(full.used_bytes >= before.used_bytes + sizeof(bytes));
	assert_int_equal(full.file_count, before.file_count + 1);
	assert_int_equal(full.total_bytes, full.used_bytes + full.free_bytes);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(fs_statfs(f->fs, &after), 0);
	assert_true(after.used_bytes < before.used_bytes + 4096);
	assert_int_equal(after.file_count, before.file_count);
}

static void the_size_limit_is_the_size_and_deleting_works_at_it(void **state)
{
	static uint8_t bytes[256 << 10];
	struct fs_fixture *f = *state;
	struct fs_statfs space;
	uint64_t ino;
	int error = 0;
	int i;

	f->options.size_limit_bytes = 4 << 20;
	fs_fixture_reopen(f);
	ino = make_file(f, "f");
	for (i = 0; i < 100 && !error; i++)
		error = fs_write(f->fs, ino, 0, bytes, sizeof(bytes),
				 FS_WRITE_APPEND);
	assert_int_equal(error, -ENOSPC);
	assert_in_range(i, 14, 17);
	assert_int_equal(fs_statfs(f->fs, &space), 0);
	assert_int_equal(space.total_bytes, 4 << 20);
	assert_true(space.used_bytes <= 4 << 20);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	fs_forget(f->fs, ino);
	ino = make_file(f, "g");
	assert_int_equal(fs_write(f->fs, ino, 0, bytes, sizeof(bytes), 0), 0);
	assert_sound(f);
}

static void options_out_of_range_are_refused(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_options options = f->options;
	struct fs *fs;

	options.block_size_bytes = 5000;
	assert_int_equal(fs_open("/nonexistent/x", &options, &fs), -EINVAL);
	options.block_size_bytes = 2u << 20;
	assert_int_equal(fs_open("/nonexistent/x", &options, &fs), -EINVAL);
}

static void the_block_size_is_that_of_the_store(void **state)
{
	struct fs_fixture *f = *state;

	f->options.block_size_bytes = 65536;
	fs_fixture_reopen(f);
	assert_int_equal(fs_block_size(f->fs), 4096);
}

static void a_plain_kv_store_is_refused(void **state)
{
	struct fs_fixture *f = *state;
	struct fs *fs;
	struct kv *kv;
	char *path;

	assert_true(asprintf(&path, "%s/kv", f->scratch.path) > 0);
	assert_int_equal(kv_open(path, &f->options.kv, &kv), 0);
	assert_int_equal(kv_set(kv, name_of("k"), name_of("v"), NULL), 0);
	assert_int_equal(kv_close(kv), 0);
	assert_int_equal(fs_open(path, &f->options, &fs), -EMEDIUMTYPE);
	free(path);
}

static void a_read_only_mount_changes_nothing(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct fs_attr attr = { .mode = 0 };

	put(f, ino, 0, "data");
	f->options.kv.read_only = true;
	fs_fixture_reopen(f);
	assert_contents(f, ino, "data", 4);
	assert_int_equal(fs_write(f->fs, ino, 0, "x", 1, 0), -EROFS);
	assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of("g"), 0644, 0,
				  NULL),
			 -EROFS);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), -EROFS);
	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_MODE, &attr, NULL),
			 -EROFS);
	fs_forget(f->fs, ino);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(what_is_made_belongs_to_its_maker),
		FS_TEST(a_set_gid_directory_passes_its_group_on),
		FS_TEST(only_members_set_the_group_id_bit),
		FS_TEST(chown_clears_set_id_bits_but_of_directories),
		FS_TEST(writing_and_truncating_clear_set_id_bits_when_asked),
		FS_TEST(only_members_keep_the_group_id_bit_when_they_write),
		FS_TEST(times_are_kept_to_the_nanosecond_and_far_from_now),
		FS_TEST(operations_move_the_times_they_should),
		FS_TEST(deleting_gives_space_back_in_statfs),
		FS_TEST(the_size_limit_is_the_size_and_deleting_works_at_it),
		FS_TEST(options_out_of_range_are_refused),
		FS_TEST(the_block_size_is_that_of_the_store),
		FS_TEST(a_plain_kv_store_is_refused),
		FS_TEST(a_read_only_mount_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
