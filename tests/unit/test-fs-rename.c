/* SPDX-License-Identifier: MIT */

/* Renaming, with and without flags. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>

#include "tests/unit/fs_fixture.h"

static int rename_flags(struct fs_fixture *f, uint64_t parent, const char *name,
			uint64_t new_parent, const char *new_name,
			unsigned int flags)
{
	return fs_rename(f->fs, &f->cred, parent, name_of(name), new_parent,
			 name_of(new_name), flags);
}

static int rename_in_root(struct fs_fixture *f, const char *name,
			  const char *new_name)
{
	return rename_flags(f, 1, name, 1, new_name, 0);
}

static void a_renamed_file_is_found_under_its_new_name_only(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file(f, "a");

	assert_int_equal(rename_in_root(f, "a", "b"), 0);
	assert_int_equal(find(f, "a"), -ENOENT);
	assert_int_equal(find(f, "b"), ino);
	assert_int_equal(rename_flags(f, 1, "b", dir, "c", 0), 0);
	assert_int_equal(find(f, "b"), -ENOENT);
	assert_int_equal(find_in(f, dir, "c"), ino);
	assert_int_equal(rename_in_root(f, "x", "y"), -ENOENT);
	assert_sound(f);
}

static void what_is_replaced_loses_a_link(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t old = make_file(f, "old");
	uint64_t new = make_file(f, "new");

	put(f, old, 0, "old");
	assert_int_equal(rename_in_root(f, "new", "old"), 0);
	assert_int_equal(find(f, "old"), new);
	assert_int_equal(attr_of(f, old).nlink, 0);
	assert_contents(f, old, "old", 3);
	assert_sound(f);
	fs_forget(f->fs, old);
	assert_int_equal(fs_getattr(f->fs, old, NULL), -ESTALE);
	assert_sound(f);
}

static void
two_names_of_one_file_stay_when_one_is_renamed_to_the_other(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "a");

	assert_int_equal(fs_link(f->fs, ino, 1, name_of("b"), NULL), 0);
	assert_int_equal(rename_in_root(f, "a", "b"), 0);
	assert_int_equal(find(f, "a"), ino);
	assert_int_equal(find(f, "b"), ino);
	assert_int_equal(rename_in_root(f, "a", "a"), 0);
	assert_sound(f);
}

static void types_must_match_and_directories_be_empty(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t full = make_dir(f, "full");

	make_file(f, "file");
	make_dir(f, "dir");
	make_file_in(f, full, "x");
	assert_int_equal(rename_in_root(f, "dir", "file"), -ENOTDIR);
	assert_int_equal(rename_in_root(f, "file", "dir"), -EISDIR);
	assert_int_equal(rename_in_root(f, "dir", "full"), -ENOTEMPTY);
	assert_int_equal(rename_in_root(f, "full", "dir"), 0);
	assert_int_equal(find(f, "dir"), full);
	assert_int_equal(attr_of(f, 1).nlink, 3);
	assert_sound(f);
}

static void a_moved_directory_knows_its_new_parent(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t a = make_dir(f, "a");
	uint64_t b = make_dir(f, "b");
	uint64_t sub = make_dir_in(f, a, "sub");

	assert_int_equal(attr_of(f, a).nlink, 3);
	assert_int_equal(rename_flags(f, a, "sub", b, "moved", 0), 0);
	assert_int_equal(find_in(f, sub, ".."), b);
	assert_int_equal(attr_of(f, a).nlink, 2);
	assert_int_equal(attr_of(f, b).nlink, 3);
	assert_sound(f);
}

static void a_directory_cannot_move_below_itself(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t a = make_dir(f, "a");
	uint64_t b = make_dir_in(f, a, "b");
	uint64_t c = make_dir_in(f, b, "c");

	assert_int_equal(rename_flags(f, 1, "a", a, "x", 0), -EINVAL);
	assert_int_equal(rename_flags(f, 1, "a", c, "x", 0), -EINVAL);
	assert_int_equal(rename_flags(f, b, "c", 1, "a", 0), -ENOTEMPTY);
	make_dir_in(f, c, "d");
	assert_int_equal(rename_flags(f, 1, "a", c, "d", RENAME_EXCHANGE),
			 -EINVAL);
	assert_int_equal(rename_flags(f, c, "d", 1, "a", RENAME_EXCHANGE),
			 -EINVAL);
	assert_sound(f);
}

static void noreplace_refuses_what_is_there(void **state)
{
	struct fs_fixture *f = *state;

	make_file(f, "a");
	make_file(f, "b");
	assert_int_equal(rename_flags(f, 1, "a", 1, "b", RENAME_NOREPLACE),
			 -EEXIST);
	assert_int_equal(rename_flags(f, 1, "a", 1, "c", RENAME_NOREPLACE), 0);
	assert_int_equal(rename_flags(f, 1, "c", 1, ".", RENAME_NOREPLACE),
			 -EEXIST);
}

static void exchange_swaps_any_two_types(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t sub = make_dir_in(f, dir, "x");
	uint64_t file = make_file(f, "f");

	assert_int_equal(rename_flags(f, 1, "f", dir, "x", RENAME_EXCHANGE), 0);
	assert_int_equal(find(f, "f"), sub);
	assert_int_equal(find_in(f, dir, "x"), file);
	assert_int_equal(find_in(f, sub, ".."), 1);
	assert_int_equal(attr_of(f, 1).nlink, 4);
	assert_int_equal(attr_of(f, dir).nlink, 2);
	assert_int_equal(rename_flags(f, 1, "f", 1, "no", RENAME_EXCHANGE),
			 -ENOENT);
	assert_sound(f);
}

static void a_whiteout_is_left_behind(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "a");
	struct fs_attr attr;

	make_file(f, "b");
	assert_int_equal(rename_flags(f, 1, "a", 1, "b", RENAME_WHITEOUT), 0);
	assert_int_equal(find(f, "b"), ino);
	assert_int_equal(fs_lookup(f->fs, 1, name_of("a"), &attr), 0);
	assert_int_equal(attr.mode, S_IFCHR);
	assert_int_equal(attr.rdev, 0);
	assert_int_equal(rename_flags(f, 1, "b", 1, "c", RENAME_WHITEOUT), 0);
	assert_sound(f);
}

static void flags_combine_as_in_renameat2(void **state)
{
	struct fs_fixture *f = *state;

	make_file(f, "a");
	make_file(f, "b");
	assert_int_equal(rename_flags(f, 1, "a", 1, "b",
				      RENAME_EXCHANGE | RENAME_NOREPLACE),
			 -EINVAL);
	assert_int_equal(rename_flags(f, 1, "a", 1, "b",
				      RENAME_EXCHANGE | RENAME_WHITEOUT),
			 -EINVAL);
	assert_int_equal(rename_flags(f, 1, "a", 1, "b", 1u << 8), -EINVAL);
	assert_int_equal(rename_flags(f, 1, "a", 1, "c",
				      RENAME_NOREPLACE | RENAME_WHITEOUT),
			 0);
	assert_sound(f);
}

/* --- many at once --- */

#define THREADS 4
#define DIRS 4
#define ROUNDS 1500

struct mover {
	struct fs_fixture *f;
	unsigned int seed;
	uint64_t dirs[DIRS + 1];
};

/* Moves directories into each other and files between them at random; most of
 * it fails, and must fail rightly. */
static void *move_at_random(void *arg)
{
	static const unsigned int flags[] = { 0, RENAME_NOREPLACE,
					      RENAME_EXCHANGE, 0 };
	struct mover *m = arg;
	char from[2] = "a", to[2] = "a";
	int i;

	for (i = 0; i < ROUNDS; i++) {
		uint64_t a = m->dirs[(size_t)rand_r(&m->seed) % (DIRS + 1)];
		uint64_t b = m->dirs[(size_t)rand_r(&m->seed) % (DIRS + 1)];

		from[0] = (char)('a' + rand_r(&m->seed) % (DIRS + 3));
		to[0] = (char)('a' + rand_r(&m->seed) % (DIRS + 3));
		fs_rename(m->f->fs, &m->f->cred, a, name_of(from), b,
			  name_of(to), flags[rand_r(&m->seed) % 4]);
		if (rand_r(&m->seed) % 8 == 0)
			fs_mknod(m->f->fs, &m->f->cred, a, name_of(from), 0644,
				 0, NULL);
		if (rand_r(&m->seed) % 8 == 0)
			fs_unlink(m->f->fs, b, name_of(to), NULL);
	}
	return NULL;
}

static void renames_from_many_threads_leave_a_sound_tree(void **state)
{
	struct fs_fixture *f = *state;
	struct mover movers[THREADS];
	pthread_t threads[THREADS];
	struct mover first = { .f = f, .dirs = { 1 } };
	char name[2] = "a";
	int i;

	for (i = 0; i < DIRS; i++) {
		name[0] = (char)('a' + i);
		first.dirs[i + 1] = make_dir(f, name);
	}
	for (i = 0; i < THREADS; i++) {
		movers[i] = first;
		movers[i].seed = (unsigned int)i + 1;
		assert_int_equal(pthread_create(&threads[i], NULL,
						move_at_random, &movers[i]),
				 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_sound(f);
	fs_fixture_reopen(f);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_renamed_file_is_found_under_its_new_name_only),
		FS_TEST(what_is_replaced_loses_a_link),
		FS_TEST(two_names_of_one_file_stay_when_one_is_renamed_to_the_other),
		FS_TEST(types_must_match_and_directories_be_empty),
		FS_TEST(a_moved_directory_knows_its_new_parent),
		FS_TEST(a_directory_cannot_move_below_itself),
		FS_TEST(noreplace_refuses_what_is_there),
		FS_TEST(exchange_swaps_any_two_types),
		FS_TEST(a_whiteout_is_left_behind),
		FS_TEST(flags_combine_as_in_renameat2),
		FS_TEST(renames_from_many_threads_leave_a_sound_tree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
