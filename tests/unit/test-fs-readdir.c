/* SPDX-License-Identifier: MIT */

/* Directory streams while the directory changes, and listings by name. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/unit/fs_fixture.h"

#define SEEN_MAX 4096

struct listing {
	size_t limit; /* entries wanted at a time */
	size_t count;
	uint64_t cookie;
	uint64_t inos[SEEN_MAX];
	char names[SEEN_MAX][32];
};

static int take(void *ctx, const struct fs_dirent *entry)
{
	struct listing *l = ctx;

	if (l->limit == 0)
		return 1;
	l->limit--;
	assert_true(l->count < SEEN_MAX);
	snprintf(l->names[l->count], sizeof(l->names[0]), "%.*s",
		 (int)entry->name.size, (const char *)entry->name.data);
	l->inos[l->count++] = entry->ino;
	l->cookie = entry->cookie;
	return 0;
}

/* Reads on, at most `limit` entries. */
static void read_on(struct fs_fixture *f, struct listing *l, uint64_t dir,
		    size_t limit)
{
	l->limit = limit;
	assert_int_equal(fs_readdir(f->fs, dir, l->cookie, take, l), 0);
}

static size_t times_seen(const struct listing *l, const char *name)
{
	size_t count = 0;
	size_t i;

	for (i = 0; i < l->count; i++)
		count += strcmp(l->names[i], name) == 0;
	return count;
}

static void dots_come_first_and_lead_up(void **state)
{
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));
	uint64_t dir = make_dir(f, "d");

	make_file_in(f, dir, "x");
	read_on(f, l, dir, 100);
	assert_int_equal(l->count, 3);
	assert_string_equal(l->names[0], ".");
	assert_int_equal(l->inos[0], dir);
	assert_string_equal(l->names[1], "..");
	assert_int_equal(l->inos[1], FS_ROOT_INO);
	assert_string_equal(l->names[2], "x");
	free(l);
}

static void reading_one_at_a_time_shows_each_entry_once(void **state)
{
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));
	char name[16];
	size_t before;
	int i;

	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(f, name);
	}
	do {
		before = l->count;
		read_on(f, l, 1, 1);
	} while (l->count > before);
	assert_int_equal(l->count, 302);
	for (i = 0; i < 300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_int_equal(times_seen(l, name), 1);
	}
	free(l);
}

static void what_stays_is_shown_once_however_the_directory_changes(void **state)
{
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));
	char name[16];
	int i;

	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "stay%d", i);
		make_file(f, name);
		snprintf(name, sizeof(name), "go%d", i);
		make_file(f, name);
	}
	for (i = 0; i < 100; i++) {
		read_on(f, l, 1, 2);
		snprintf(name, sizeof(name), "go%d", i * 37 % 100);
		assert_int_equal(fs_unlink(f->fs, 1, name_of(name), NULL), 0);
		snprintf(name, sizeof(name), "new%d", i);
		make_file(f, name);
	}
	read_on(f, l, 1, 1000);
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "stay%d", i);
		assert_int_equal(times_seen(l, name), 1);
		snprintf(name, sizeof(name), "new%d", i);
		assert_true(times_seen(l, name) <= 1);
	}
	free(l);
}

static void a_replaced_name_is_shown_once(void **state)
{
	struct fs_fixture *f = *state;
	size_t passed;

	/* Replaced after the stream has passed it, and before. */
	for (passed = 0; passed <= 6; passed++) {
		struct listing *l = calloc(1, sizeof(*l));
		uint64_t dir;
		char name[16];

		snprintf(name, sizeof(name), "d%zu", passed);
		dir = make_dir(f, name);
		make_file_in(f, dir, "a");
		make_file_in(f, dir, "target");
		make_file_in(f, dir, "b");
		make_file_in(f, dir, "temp");
		read_on(f, l, dir, passed);
		assert_int_equal(fs_rename(f->fs, &f->cred, dir,
					   name_of("temp"), dir,
					   name_of("target"), 0),
				 0);
		read_on(f, l, dir, 100);
		assert_int_equal(times_seen(l, "target"), 1);
		assert_int_equal(times_seen(l, "a"), 1);
		assert_int_equal(times_seen(l, "b"), 1);
		free(l);
	}
	assert_sound(f);
}

static void a_renamed_entry_is_shown_once_under_one_of_its_names(void **state)
{
	struct fs_fixture *f = *state;
	size_t passed;

	for (passed = 0; passed <= 5; passed++) {
		struct listing *l = calloc(1, sizeof(*l));
		uint64_t dir;
		char name[16];

		snprintf(name, sizeof(name), "d%zu", passed);
		dir = make_dir(f, name);
		make_file_in(f, dir, "x");
		make_file_in(f, dir, "old");
		make_file_in(f, dir, "y");
		read_on(f, l, dir, passed);
		assert_int_equal(fs_rename(f->fs, &f->cred, dir, name_of("old"),
					   dir, name_of("new"), 0),
				 0);
		read_on(f, l, dir, 100);
		assert_int_equal(times_seen(l, "old") + times_seen(l, "new"),
				 1);
		free(l);
	}
}

static void cookies_stay_valid_after_reopening(void **state)
{
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));

	make_file(f, "a");
	make_file(f, "b");
	make_file(f, "c");
	read_on(f, l, 1, 4);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("b"), NULL), 0);
	fs_fixture_reopen(f);
	read_on(f, l, 1, 100);
	assert_int_equal(l->count, 5);
	assert_string_equal(l->names[4], "c");
	free(l);
}

static void a_removed_directory_shows_nothing(void **state)
{
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));
	uint64_t dir = make_dir(f, "d");
	uint64_t file = make_file(f, "f");

	assert_int_equal(fs_rmdir(f->fs, 1, name_of("d"), NULL), 0);
	read_on(f, l, dir, 100);
	assert_int_equal(l->count, 0);
	assert_int_equal(fs_readdir(f->fs, file, 0, take, l), -ENOTDIR);
	free(l);
}

static void names_are_listed_in_order_from_anywhere(void **state)
{
	static const char *const names[] = { "b", "a", "ab", "\xff", "B" };
	static const char *const sorted[] = { "B", "a", "ab", "b", "\xff" };
	struct fs_fixture *f = *state;
	struct listing *l = calloc(1, sizeof(*l));
	size_t i;

	for (i = 0; i < 5; i++)
		make_file(f, names[i]);
	l->limit = 100;
	assert_int_equal(fs_list_names(f->fs, 1, name_of(""), false, take, l),
			 0);
	assert_int_equal(l->count, 5);
	for (i = 0; i < 5; i++)
		assert_string_equal(l->names[i], sorted[i]);
	l->count = 0;
	assert_int_equal(fs_list_names(f->fs, 1, name_of("ab"), false, take, l),
			 0);
	assert_int_equal(l->count, 3);
	l->count = 0;
	assert_int_equal(fs_list_names(f->fs, 1, name_of("ab"), true, take, l),
			 0);
	assert_int_equal(l->count, 2);
	free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(dots_come_first_and_lead_up),
		FS_TEST(reading_one_at_a_time_shows_each_entry_once),
		FS_TEST(what_stays_is_shown_once_however_the_directory_changes),
		FS_TEST(a_replaced_name_is_shown_once),
		FS_TEST(a_renamed_entry_is_shown_once_under_one_of_its_names),
		FS_TEST(cookies_stay_valid_after_reopening),
		FS_TEST(a_removed_directory_shows_nothing),
		FS_TEST(names_are_listed_in_order_from_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
