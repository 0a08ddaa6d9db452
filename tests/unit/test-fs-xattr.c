/* SPDX-License-Identifier: MIT */

/* Extended attributes, and ACLs as inodes have them. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <sys/xattr.h>

#include "fs/acl.h"
#include "tests/unit/fs_fixture.h"

static int set(struct fs_fixture *f, uint64_t ino, const char *name,
	       struct slice value, int flags)
{
	return fs_setxattr(f->fs, &f->cred, ino, name_of(name), value, flags,
			   false);
}

static void assert_xattr(struct fs_fixture *f, uint64_t ino, const char *name,
			 struct slice value)
{
	struct buf got = { 0 };

	assert_int_equal(fs_getxattr(f->fs, ino, name_of(name), &got), 0);
	assert_true(slice_equal(buf_slice(&got), value));
	buf_release(&got);
}

static int absent(struct fs_fixture *f, uint64_t ino, const char *name)
{
	struct buf got = { 0 };

	return fs_getxattr(f->fs, ino, name_of(name), &got);
}

static void what_was_set_is_got_and_listed(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct buf names = { 0 };

	assert_int_equal(absent(f, ino, "user.a"), -ENODATA);
	assert_int_equal(set(f, ino, "user.b", name_of("two"), 0), 0);
	assert_int_equal(set(f, ino, "user.a", name_of(""), 0), 0);
	assert_int_equal(set(f, ino, "user.b", name_of("three"), 0), 0);
	fs_fixture_reopen(f);
	assert_xattr(f, ino, "user.a", name_of(""));
	assert_xattr(f, ino, "user.b", name_of("three"));
	assert_int_equal(fs_listxattr(f->fs, ino, &names), 0);
	assert_int_equal(names.size, 14);
	assert_memory_equal(names.data, "user.a\0user.b", 14);
	buf_release(&names);
	assert_sound(f);
}

static void flags_say_whether_it_must_exist(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct slice v = name_of("v");

	assert_int_equal(set(f, ino, "user.a", v, XATTR_REPLACE), -ENODATA);
	assert_int_equal(set(f, ino, "user.a", v, XATTR_CREATE), 0);
	assert_int_equal(set(f, ino, "user.a", v, XATTR_CREATE), -EEXIST);
	assert_int_equal(set(f, ino, "user.a", v, XATTR_REPLACE), 0);
	assert_int_equal(set(f, ino, "user.a", v, 8), -EINVAL);
}

static void removed_means_gone(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct buf names = { 0 };

	assert_int_equal(set(f, ino, "user.a", name_of("v"), 0), 0);
	assert_int_equal(fs_removexattr(f->fs, ino, name_of("user.a")), 0);
	assert_int_equal(absent(f, ino, "user.a"), -ENODATA);
	assert_int_equal(fs_removexattr(f->fs, ino, name_of("user.a")),
			 -ENODATA);
	assert_int_equal(fs_listxattr(f->fs, ino, &names), 0);
	assert_int_equal(names.size, 0);
	buf_release(&names);
	assert_sound(f);
}

static void sizes_are_limited(void **state)
{
	static char value[FS_XATTR_VALUE_MAX + 1];
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	char name[258];
	int i, error = 0;

	assert_int_equal(set(f, ino, "user.a",
			     slice_of(value, FS_XATTR_VALUE_MAX), 0),
			 0);
	assert_int_equal(set(f, ino, "user.a", slice_of(value, sizeof(value)),
			     0),
			 -E2BIG);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_int_equal(set(f, ino, name, name_of(""), 0), -ERANGE);
	assert_int_equal(set(f, ino, "", name_of(""), 0), -ERANGE);
	/* As many names as a listing can return. */
	for (i = 0; !error; i++) {
		snprintf(name, sizeof(name), "%0255d", i);
		error = set(f, ino, name, name_of(""), 0);
	}
	assert_int_equal(error, -ENOSPC);
	assert_int_equal(i, 65536 / 256);
	assert_sound(f);
}

static void attributes_go_with_their_inode(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct kv_stats before, after;

	kv_stats(fs_kv(f->fs), &before);
	assert_int_equal(set(f, ino, "user.a", name_of("v"), 0), 0);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("f"), NULL), 0);
	fs_forget(f->fs, ino);
	kv_stats(fs_kv(f->fs), &after);
	assert_int_equal(after.key_count, before.key_count - 3);
	assert_sound(f);
}

/* --- ACLs --- */

#define ENTRY(tag, perm, id) (tag), 0, (perm), 0, (id), 0, 0, 0
#define OBJ(tag, perm) (tag), 0, (perm), 0, 255, 255, 255, 255

static const uint8_t extended[] = { 2,         0,          0,
				    0,         OBJ(1, 7),  ENTRY(2, 6, 42),
				    OBJ(4, 5), OBJ(16, 7), OBJ(32, 0) };
static const uint8_t minimal[] = {
	2, 0, 0, 0, OBJ(1, 6), OBJ(4, 4), OBJ(32, 0)
};

#define BYTES(array) slice_of(array, sizeof(array))

static void an_access_acl_sets_the_mode(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");

	assert_int_equal(set(f, ino, ACL_NAME_ACCESS, BYTES(extended), 0), 0);
	assert_int_equal(attr_of(f, ino).mode, S_IFREG | 0770);
	assert_xattr(f, ino, ACL_NAME_ACCESS, BYTES(extended));
	/* One that is nothing but a mode takes it away. */
	assert_int_equal(set(f, ino, ACL_NAME_ACCESS, BYTES(minimal), 0), 0);
	assert_int_equal(attr_of(f, ino).mode, S_IFREG | 0640);
	assert_int_equal(absent(f, ino, ACL_NAME_ACCESS), -ENODATA);
	assert_int_equal(set(f, ino, ACL_NAME_ACCESS, name_of("rubbish!"), 0),
			 -EOPNOTSUPP);
	assert_sound(f);
}

static void chmod_changes_the_access_acl(void **state)
{
	uint8_t after[] = { 2,         0,          0,
			    0,         OBJ(1, 6),  ENTRY(2, 6, 42),
			    OBJ(4, 5), OBJ(16, 4), OBJ(32, 1) };
	struct fs_fixture *f = *state;
	struct fs_attr attr = { .mode = 0641 };
	uint64_t ino = make_file(f, "f");

	assert_int_equal(set(f, ino, ACL_NAME_ACCESS, BYTES(extended), 0), 0);
	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_MODE, &attr, NULL),
			 0);
	assert_xattr(f, ino, ACL_NAME_ACCESS, BYTES(after));
	assert_int_equal(attr_of(f, ino).mode, S_IFREG | 0641);
	assert_sound(f);
}

static void a_default_acl_is_inherited_instead_of_the_umask(void **state)
{
	uint8_t access[] = { 2,         0,          0,
			     0,         OBJ(1, 6),  ENTRY(2, 6, 42),
			     OBJ(4, 5), OBJ(16, 6), OBJ(32, 0) };
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	struct fs_attr file, sub;

	f->cred.umask = 077;
	assert_int_equal(set(f, dir, ACL_NAME_DEFAULT, BYTES(extended), 0), 0);
	assert_int_equal(fs_mknod(f->fs, &f->cred, dir, name_of("f"),
				  S_IFREG | 0666, 0, &file),
			 0);
	assert_int_equal(file.mode, S_IFREG | 0660);
	assert_xattr(f, file.ino, ACL_NAME_ACCESS, BYTES(access));
	assert_int_equal(absent(f, file.ino, ACL_NAME_DEFAULT), -ENODATA);
	assert_int_equal(
		fs_mkdir(f->fs, &f->cred, dir, name_of("s"), 0777, &sub), 0);
	assert_int_equal(sub.mode, S_IFDIR | 0770);
	assert_xattr(f, sub.ino, ACL_NAME_DEFAULT, BYTES(extended));
	assert_xattr(f, sub.ino, ACL_NAME_ACCESS, BYTES(extended));
	assert_sound(f);
}

static void without_a_default_acl_the_umask_applies(void **state)
{
	struct fs_fixture *f = *state;
	struct fs_attr attr;

	f->cred.umask = 027;
	assert_int_equal(fs_mknod(f->fs, &f->cred, 1, name_of("f"),
				  S_IFREG | 0666, 0, &attr),
			 0);
	assert_int_equal(attr.mode, S_IFREG | 0640);
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("l"),
				    name_of("x"), &attr),
			 0);
	assert_int_equal(attr.mode, S_IFLNK | 0777);
}

static void only_directories_have_a_default_acl(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "f");
	struct fs_attr link;

	assert_int_equal(set(f, ino, ACL_NAME_DEFAULT, BYTES(extended), 0),
			 -EACCES);
	assert_int_equal(fs_symlink(f->fs, &f->cred, 1, name_of("l"),
				    name_of("x"), &link),
			 0);
	assert_int_equal(set(f, link.ino, ACL_NAME_ACCESS, BYTES(extended), 0),
			 -EOPNOTSUPP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(what_was_set_is_got_and_listed),
		FS_TEST(flags_say_whether_it_must_exist),
		FS_TEST(removed_means_gone),
		FS_TEST(sizes_are_limited),
		FS_TEST(attributes_go_with_their_inode),
		FS_TEST(an_access_acl_sets_the_mode),
		FS_TEST(chmod_changes_the_access_acl),
		FS_TEST(a_default_acl_is_inherited_instead_of_the_umask),
		FS_TEST(without_a_default_acl_the_umask_applies),
		FS_TEST(only_directories_have_a_default_acl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
