/* SPDX-License-Identifier: MIT */

/* Many files put and deleted in one batch: fs/apply.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/apply.h"
#include "tests/unit/fs_fixture.h"

static struct fs_change put_of(uint64_t parent, const char *name,
			       const char *value)
{
	return (struct fs_change){ .kind = FS_CHANGE_PUT,
				   .parent = parent,
				   .name = name_of(name),
				   .value = name_of(value) };
}

static struct fs_change delete_of(uint64_t parent, const char *name)
{
	return (struct fs_change){ .kind = FS_CHANGE_DELETE,
				   .parent = parent,
				   .name = name_of(name) };
}

/* Applies, and forgets what lost its names, as a caller does. */
static int apply(struct fs_fixture *f, struct fs_change *changes, size_t count,
		 size_t *ret_failed)
{
	int error = fs_apply(f->fs, &f->cred, changes, count, ret_failed);

	for (size_t i = 0; !error && i < count; i++) {
		if (changes[i].ret_old_ino)
			fs_forget(f->fs, changes[i].ret_old_ino);
	}
	return error;
}

static uint64_t lsn(struct fs_fixture *f)
{
	return kv_last_lsn(fs_kv(f->fs));
}

static void puts_and_deletes_happen_together(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t old = make_file(f, "replaced");
	uint64_t gone = make_file_in(f, dir, "gone");
	struct fs_change changes[] = {
		put_of(FS_ROOT_INO, "new", "one"),
		put_of(FS_ROOT_INO, "replaced", "two"),
		delete_of(dir, "gone"),
		put_of(dir, "below", ""),
	};

	put(f, old, 0, "an older, longer value");
	assert_int_equal(apply(f, changes, 4, NULL), 0);
	assert_int_equal(changes[0].ret_old_ino, 0);
	assert_int_equal(changes[1].ret_old_ino, old);
	assert_int_equal(changes[2].ret_old_ino, gone);
	assert_contents(f, (uint64_t)find(f, "new"), "one", 3);
	assert_contents(f, (uint64_t)find(f, "replaced"), "two", 3);
	assert_contents(f, (uint64_t)find_in(f, dir, "below"), "", 0);
	assert_int_equal(find_in(f, dir, "gone"), -ENOENT);
	assert_int_equal(fs_getattr(f->fs, old, NULL), -ESTALE);
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_contents(f, (uint64_t)find(f, "new"), "one", 3);
	assert_sound(f);
}

static void one_that_fails_leaves_all_as_it_was(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "b");
	uint64_t before;
	size_t failed = 99;
	struct fs_change changes[] = {
		put_of(FS_ROOT_INO, "z", "1"),
		delete_of(FS_ROOT_INO, "b"),
		put_of(FS_ROOT_INO, "dir", "2"),
	};
	struct fs_change absent[] = {
		put_of(FS_ROOT_INO, "z", "1"),
		delete_of(FS_ROOT_INO, "a"),
	};
	struct fs_change below_file[] = { put_of(ino, "x", "") };

	make_dir(f, "dir");
	before = lsn(f);
	assert_int_equal(apply(f, changes, 3, &failed), -EISDIR);
	assert_int_equal(failed, 2);
	assert_int_equal(apply(f, absent, 2, &failed), -ENOENT);
	assert_int_equal(failed, 1);
	assert_int_equal(apply(f, below_file, 1, &failed), -ENOTDIR);
	assert_int_equal(failed, 0);
	assert_int_equal(find(f, "b"), ino);
	assert_int_equal(find(f, "z"), -ENOENT);
	assert_false(fs_is_orphan(f->fs, ino));
	assert_int_equal(lsn(f), before);
	assert_sound(f);
}

static void a_name_is_in_it_once(void **state)
{
	struct fs_fixture *f = *state;
	size_t failed;
	struct fs_change changes[] = {
		put_of(FS_ROOT_INO, "a", "1"),
		put_of(FS_ROOT_INO, "b", "2"),
		delete_of(FS_ROOT_INO, "a"),
	};

	assert_int_equal(apply(f, changes, 3, &failed), -EINVAL);
	assert_true(failed == 0 || failed == 2);
	assert_int_equal(find(f, "a"), -ENOENT);
}

static void links_to_one_inode_are_all_counted(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "a");
	struct fs_change two[] = {
		delete_of(FS_ROOT_INO, "a"),
		put_of(FS_ROOT_INO, "b", "new"),
	};
	struct fs_change last[] = { delete_of(FS_ROOT_INO, "c") };

	put(f, ino, 0, "old");
	assert_int_equal(fs_link(f->fs, ino, 1, name_of("b"), NULL), 0);
	assert_int_equal(fs_link(f->fs, ino, 1, name_of("c"), NULL), 0);
	assert_int_equal(apply(f, two, 2, NULL), 0);
	assert_int_equal(attr_of(f, ino).nlink, 1);
	assert_contents(f, ino, "old", 3);
	assert_sound(f);
	assert_int_equal(apply(f, last, 1, NULL), 0);
	assert_int_equal(fs_getattr(f->fs, ino, NULL), -ESTALE);
	assert_sound(f);
}

static void what_replaces_a_file_inherits_from_it(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "a"), now;
	struct fs_attr attr = { .mode = S_IFREG | 04751, .uid = 7, .gid = 8 };
	struct fs_change changes[] = { put_of(FS_ROOT_INO, "a", "x"),
				       put_of(FS_ROOT_INO, "new", "y") };
	struct buf value = { 0 };

	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_UID | FS_SET_GID,
				    &attr, NULL),
			 0);
	assert_int_equal(fs_setattr(f->fs, NULL, ino, FS_SET_MODE, &attr, NULL),
			 0);
	assert_int_equal(fs_setxattr(f->fs, NULL, ino, name_of("user.k"),
				     name_of("v"), 0, false),
			 0);
	f->cred.umask = 027;
	assert_int_equal(apply(f, changes, 2, NULL), 0);
	now = (uint64_t)find(f, "a");
	assert_true(now != ino);
	assert_int_equal(attr_of(f, now).mode, S_IFREG | 0751);
	assert_int_equal(attr_of(f, now).uid, 7);
	assert_int_equal(attr_of(f, now).gid, 8);
	assert_int_equal(fs_getxattr(f->fs, now, name_of("user.k"), &value), 0);
	assert_true(slice_equal(buf_slice(&value), name_of("v")));
	buf_release(&value);
	assert_int_equal(attr_of(f, (uint64_t)find(f, "new")).mode,
			 S_IFREG | 0640);
	assert_sound(f);
}

static void a_batch_of_full_size_fits_and_one_more_does_not(void **state)
{
	struct fs_fixture *f = *state;
	size_t count = FS_APPLY_MAX + 1;
	struct fs_change *changes = calloc(count, sizeof(*changes));
	char(*names)[16] = calloc(count, sizeof(*names));
	size_t i, size = FS_APPLY_VALUES_MAX / FS_APPLY_MAX;
	char *value = calloc(1, size + 1);

	memset(value, 'v', size);
	for (i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "k%zu", i);
		changes[i] = put_of(FS_ROOT_INO, names[i], value);
	}
	assert_int_equal(apply(f, changes, count, NULL), -E2BIG);
	assert_int_equal(find(f, "k0"), -ENOENT);
	/* Twice: as new files, and replacing them. */
	assert_int_equal(apply(f, changes, FS_APPLY_MAX, NULL), 0);
	assert_int_equal(apply(f, changes, FS_APPLY_MAX, NULL), 0);
	assert_contents(f, (uint64_t)find(f, "k4095"), value, size);
	assert_sound(f);
	for (i = 0; i < count; i++)
		changes[i] = delete_of(FS_ROOT_INO, names[i]);
	assert_int_equal(apply(f, changes, FS_APPLY_MAX, NULL), 0);
	assert_int_equal(find(f, "k0"), -ENOENT);
	assert_sound(f);
	/* One byte too many, in one value. */
	changes[0] = put_of(FS_ROOT_INO, "big", "");
	changes[0].value = slice_of(calloc(1, FS_APPLY_VALUES_MAX + 1),
				    FS_APPLY_VALUES_MAX + 1);
	assert_int_equal(apply(f, changes, 1, NULL), -E2BIG);
	changes[0].value.size--;
	assert_int_equal(apply(f, changes, 1, NULL), 0);
	assert_int_equal(attr_of(f, (uint64_t)find(f, "big")).size_bytes,
			 FS_APPLY_VALUES_MAX);
	assert_sound(f);
	free((char *)(uintptr_t)changes[0].value.data);
	free(value);
	free(names);
	free(changes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(puts_and_deletes_happen_together),
		FS_TEST(one_that_fails_leaves_all_as_it_was),
		FS_TEST(a_name_is_in_it_once),
		FS_TEST(links_to_one_inode_are_all_counted),
		FS_TEST(what_replaces_a_file_inherits_from_it),
		FS_TEST(a_batch_of_full_size_fits_and_one_more_does_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
