/* SPDX-License-Identifier: MIT */

/* Names: creating, finding, linking, removing. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/escape.h"
#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

static void a_new_store_has_an_empty_root(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_attr attr = attr_of(f, FS_ROOT_INO);

	assert_int_equal(attr.mode, S_IFDIR | 0755);
	assert_int_equal(attr.nlink, 2);
	assert_int_equal(find(f, ".."), FS_ROOT_INO);
	assert_int_equal(find(f, "x"), -ENOENT);
	assert_sound(f);
}

static void what_was_made_is_found_after_reopening(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t file = make_file_in(f, dir, "f");

	fs_fixture_reopen(f);
	assert_int_equal(find(f, "d"), dir);
	assert_int_equal(find_in(f, dir, "f"), file);
	assert_int_equal(find_in(f, dir, "."), dir);
	assert_int_equal(find_in(f, dir, ".."), FS_ROOT_INO);
	assert_int_equal(attr_of(f, FS_ROOT_INO).nlink, 3);
	assert_int_equal(attr_of(f, dir).nlink, 2);
	assert_sound(f);
}

static void numbers_go_on_without_a_gap_after_a_clean_close(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t first = make_file(f, "a");

	fs_fixture_reopen(f);
	assert_int_equal(make_file(f, "b"), first + 1);
}

static void numbers_are_never_reused(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "a");
	uint64_t gone;

	assert_int_equal(fs_unlink(f->fs, FS_ROOT_INO, name_of("a"), &gone), 0);
	assert_int_equal(gone, ino);
	fs_forget(f->fs, ino);
	fs_fixture_reopen(f);
	assert_true(make_file(f, "a") > ino);
}

static void every_name_of_255_bytes_is_one_and_no_longer_one(void **state)
{
	struct fs_fixture *f = *state;
	char name[257];

	memset(name, 0xff, 256);
	name[255] = '\0';
	make_file(f, name);
	assert_true(find(f, name) > 0);
	name[255] = 'x';
	name[256] = '\0';
	assert_int_equal(find(f, name), -ENAMETOOLONG);
	assert_int_equal(fs_mknod(f->fs, &f->cred, FS_ROOT_INO, name_of(name),
				  0644, 0, NULL),
			 -ENAMETOOLONG);
}

static int mknod_named(struct fs_fixture *f, struct slice name)
{
	return fs_mknod(f->fs, &f->cred, FS_ROOT_INO, name, 0644, 0, NULL);
}

static void what_is_no_name_is_refused_as_by_the_kernel(void **state)
{
	struct fs_fixture *f = *state;
	struct slice a = name_of("a");

	make_file(f, "a");
	assert_int_equal(mknod_named(f, name_of(".")), -EEXIST);
	assert_int_equal(mknod_named(f, name_of("..")), -EEXIST);
	assert_int_equal(mknod_named(f, name_of("")), -ENOENT);
	assert_int_equal(mknod_named(f, name_of("a/b")), -EINVAL);
	assert_int_equal(mknod_named(f, SLICE_LITERAL("a\0b")), -EINVAL);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("."), NULL), -EISDIR);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("."), NULL), -EINVAL);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of(".."), NULL), -ENOTEMPTY);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, a, 1, name_of("."), 0),
			 -EBUSY);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of(".."), 1, a, 0),
			 -EBUSY);
}

static void a_name_that_is_taken_is_refused(void **state)
{
	struct fs_fixture *f = *state;
	struct slice x = name_of("x");
	uint64_t ino = make_file(f, "x");

	assert_int_equal(mknod_named(f, x), -EEXIST);
	assert_int_equal(fs_mkdir(f->fs, &f->cred, 1, x, 0755, NULL), -EEXIST);
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, x, x, NULL), -EEXIST);
	assert_int_equal(fs_link(f->fs, ino, 1, x, NULL), -EEXIST);
	assert_int_equal(attr_of(f, ino).nlink, 1);
	assert_sound(f);
}

static void a_file_is_no_directory(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t file = make_file(f, "f");
	struct slice x = name_of("x");

	assert_int_equal(find_in(f, file, "x"), -ENOTDIR);
	assert_int_equal(fs_mknod(f->fs, &f->cred, file, x, 0644, 0, NULL),
			 -ENOTDIR);
	assert_int_equal(fs_unlink(f->fs, file, x, NULL), -ENOTDIR);
	assert_int_equal(find_in(f, 12345, "x"), -ESTALE);
	assert_int_equal(fs_getattr(f->fs, 12345, NULL), -ESTALE);
}

static void all_types_can_be_made(void **state)
{
	static const uint32_t types[] = { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR,
					  S_IFBLK };
	struct fs_fixture *f = *state;
	struct fs_attr attr;
	char name[2] = "a";
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		name[0] = (char)('a' + i);
		assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of(name),
					  types[i] | 0640, 0x103, NULL),
				 0);
		assert_int_equal(fs_lookup(f->fs, 1, name_of(name), &attr), 0);
		assert_int_equal(attr.mode, types[i] | 0640);
		assert_int_equal(
			attr.rdev,
			S_ISCHR(types[i]) || S_ISBLK(types[i]) ? 0x103 : 0);
	}
	assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of("z"),
				  S_IFDIR | 0755, 0, NULL),
			 -EINVAL);
	assert_sound(f);
}

static void a_symbolic_link_keeps_its_target(void **state)
{
	struct fs_fixture *f = *state;
	struct buf target = { 0 };
	struct fs_attr attr;
	char text[4097];

	memset(text, 't', sizeof(text));
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("l"),
				    slice_of(text, 4095), &attr),
			 0);
	assert_int_equal(attr.size_bytes, 4095);
	assert_int_equal(attr.mode, S_IFLNK | 0777);
	assert_int_equal(fs_readlink(f->fs, attr.ino, &target), 0);
	assert_true(slice_equal(buf_slice(&target), slice_of(text, 4095)));
	buf_release(&target);
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("m"),
				    slice_of(text, 4096), NULL),
			 -ENAMETOOLONG);
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("m"),
				    name_of(""), NULL),
			 -ENOENT);
	assert_int_equal(fs_readlink(f->fs, 1, &target), -EINVAL);
	assert_sound(f);
}

static void links_are_counted(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file(f, "a");
	struct fs_attr attr;

	assert_int_equal(fs_link(f->fs, ino, dir, name_of("b"), &attr), 0);
	assert_int_equal(attr.nlink, 2);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("a"), NULL), 0);
	fs_forget(f->fs, ino);
	assert_int_equal(attr_of(f, ino).nlink, 1);
	assert_int_equal(find_in(f, dir, "b"), ino);
	assert_int_equal(fs_link(f->fs, dir, 1, name_of("e"), NULL), -EPERM);
	assert_int_equal(fs_link(f->fs, 999, 1, name_of("e"), NULL), -ESTALE);
	assert_sound(f);
}

/* What takes four billion calls otherwise. */
static void set_link_count(struct fs_fixture *f, uint64_t ino, uint32_t count)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct schema_key key;
	struct buf value = { 0 };
	struct inode inode;

	inode_key_encode(&key, ino);
	assert_int_equal(kv_get(fs_kv(f->fs), NULL, key_slice(&key), &value),
			 0);
	assert_int_equal(inode_decode(buf_slice(&value), ino, &inode), 0);
	inode.nlink = count;
	assert_int_equal(kv_set(fs_kv(f->fs), key_slice(&key),
				slice_of(bytes, inode_encode(&inode, bytes)),
				NULL),
			 0);
	buf_release(&value);
}

static void links_end_at_their_limit(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t file = make_file(f, "a");
	uint64_t dir = make_dir(f, "d");
	uint64_t moved = make_dir(f, "m");

	set_link_count(f, file, FS_LINK_MAX - 1);
	assert_int_equal(fs_link(f->fs, file, 1, name_of("b"), NULL), 0);
	assert_int_equal(fs_link(f->fs, file, 1, name_of("c"), NULL), -EMLINK);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("b"), NULL), 0);
	assert_int_equal(fs_link(f->fs, file, dir, name_of("c"), NULL), 0);
	set_link_count(f, file, 2);

	set_link_count(f, dir, FS_LINK_MAX);
	assert_int_equal(fs_mkdir(f->fs, &f->cred, dir, name_of("x"), 0755,
				  NULL),
			 -EMLINK);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of("m"), dir,
				   name_of("m"), 0),
			 -EMLINK);
	make_file_in(f, dir, "file");
	set_link_count(f, dir, 2);
	assert_int_equal(find_in(f, 1, "m"), moved);
	assert_sound(f);
}

static void
only_directories_are_removed_by_rmdir_and_only_empty_ones(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");

	make_file_in(f, dir, "x");
	make_file(f, "f");
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), -ENOTEMPTY);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("f"), NULL), -ENOTDIR);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("d"), NULL), -EISDIR);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("g"), NULL), -ENOENT);
	assert_int_equal(fs_unlink(f->fs, dir, name_of("x"), NULL), 0);
	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), 0);
	assert_int_equal(attr_of(f, 1).nlink, 2);
	assert_int_equal(find(f, "d"), -ENOENT);
	assert_sound(f);
}

static void nothing_can_be_made_in_a_removed_directory(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t file = make_file(f, "f");
	struct slice x = name_of("x");

	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), 0);
	assert_int_equal(attr_of(f, dir).nlink, 0);
	assert_int_equal(fs_mknod(f->fs, &f->cred, dir, x, 0644, 0, NULL),
			 -ENOENT);
	assert_int_equal(fs_mkdir(f->fs, &f->cred, dir, x, 0755, NULL),
			 -ENOENT);
	assert_int_equal(fs_link(f->fs, file, dir, x, NULL), -ENOENT);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of("f"), dir, x, 0),
			 -ENOENT);
	fs_forget(f->fs, dir);
	assert_int_equal(fs_getattr(f->fs, dir, NULL), -ESTALE);
	assert_sound(f);
}

static bool older(struct timespec a, struct timespec b)
{
	return a.tv_sec < b.tv_sec ||
	       (a.tv_sec == b.tv_sec && a.tv_nsec < b.tv_nsec);
}

/* Puts an inode's times far back. */
static void age(struct fs_fixture *f, uint64_t ino)
{
	struct fs_attr attr = { .mtime = { 1, 0 }, .ctime = { 1, 0 } };

	assert_int_equal(fs_setattr(f->fs, NULL, ino,
				    FS_SET_MTIME | FS_SET_CTIME, &attr, NULL),
			 0);
}

static void assert_times(struct fs_fixture *f, uint64_t ino, bool mtime,
			 bool ctime)
{
	struct timespec old = { 2, 0 };
	struct fs_attr attr = attr_of(f, ino);

	assert_int_equal(older(attr.mtime, old), !mtime);
	assert_int_equal(older(attr.ctime, old), !ctime);
}

static void names_change_the_times_of_directory_and_inode(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino, dir = make_dir(f, "d");

	age(f, 1);
	ino = make_file(f, "a");
	assert_times(f, 1, true, true);
	age(f, 1);
	age(f, ino);
	assert_int_equal(fs_link(f->fs, ino, 1, name_of("b"), NULL), 0);
	assert_times(f, 1, true, true);
	assert_times(f, ino, false, true);
	age(f, 1);
	age(f, ino);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("b"), NULL), 0);
	assert_times(f, 1, true, true);
	assert_times(f, ino, false, true);
	age(f, 1);
	age(f, dir);
	age(f, ino);
	assert_int_equal(fs_rename(f->fs, &f->cred, 1, name_of("a"), dir,
				   name_of("a"), 0),
			 0);
	assert_times(f, 1, true, true);
	assert_times(f, dir, true, true);
	assert_times(f, ino, false, true);
}

static void keys_are_walked_and_missing_ones_named(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t user = make_dir(f, "user");
	uint64_t ino = make_file_in(f, user, "42");
	struct buf buf = { 0 };
	struct fs_attr attr;
	struct slice name;
	uint64_t parent;

	assert_int_equal(fs_walk(f->fs, name_of("user/42"), &buf, &parent,
				 &name, &attr),
			 0);
	assert_int_equal(attr.ino, ino);
	assert_int_equal(parent, user);
	assert_int_equal(fs_walk(f->fs, name_of("user/43"), &buf, &parent,
				 &name, &attr),
			 1);
	assert_int_equal(parent, user);
	assert_true(slice_equal(name, name_of("43")));
	assert_int_equal(fs_walk(f->fs, name_of("use/43"), &buf, &parent, &name,
				 &attr),
			 -ENOENT);
	assert_int_equal(fs_walk(f->fs, name_of("user/42/x"), &buf, &parent,
				 &name, &attr),
			 -ENOTDIR);
	buf_release(&buf);
}

static void a_key_that_is_no_name_has_a_file_of_its_own(void **state)
{
	struct fs_fixture *f = *state;
	struct slice keys[] = { SLICE_LITERAL(""), SLICE_LITERAL("."),
				SLICE_LITERAL("a\0"), SLICE_LITERAL("%~") };
	struct buf buf = { 0 };
	struct fs_attr attr;
	struct slice name;
	uint64_t parent;
	uint64_t inos[4];
	size_t i;

	for (i = 0; i < 4; i++) {
		assert_int_equal(
			fs_walk(f->fs, keys[i], &buf, &parent, &name, NULL), 1);
		assert_int_equal(fs_mknod(f->fs, &f->cred, parent, name, 0644,
					  0, &attr),
				 0);
		inos[i] = attr.ino;
	}
	for (i = 0; i < 4; i++) {
		assert_int_equal(fs_walk(f->fs, keys[i], &buf, &parent, &name,
					 &attr),
				 0);
		assert_int_equal(attr.ino, inos[i]);
	}
	buf_release(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_new_store_has_an_empty_root),
		FS_TEST(what_was_made_is_found_after_reopening),
		FS_TEST(numbers_go_on_without_a_gap_after_a_clean_close),
		FS_TEST(numbers_are_never_reused),
		FS_TEST(every_name_of_255_bytes_is_one_and_no_longer_one),
		FS_TEST(what_is_no_name_is_refused_as_by_the_kernel),
		FS_TEST(a_name_that_is_taken_is_refused),
		FS_TEST(a_file_is_no_directory),
		FS_TEST(all_types_can_be_made),
		FS_TEST(a_symbolic_link_keeps_its_target),
		FS_TEST(links_are_counted),
		FS_TEST(links_end_at_their_limit),
		FS_TEST(only_directories_are_removed_by_rmdir_and_only_empty_ones),
		FS_TEST(nothing_can_be_made_in_a_removed_directory),
		FS_TEST(names_change_the_times_of_directory_and_inode),
		FS_TEST(keys_are_walked_and_missing_ones_named),
		FS_TEST(a_key_that_is_no_name_has_a_file_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
