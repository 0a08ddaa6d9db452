/* SPDX-License-Identifier: MIT */

/* The check of a whole filesystem: what is wrong is found, and named. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fs/schema.h"
#include "tests/unit/fs_fixture.h"

#define FOUND_MAX 2000

struct finding {
	enum fs_problem_kind kind;
	uint64_t ino;
	char path[64];
};

struct findings {
	size_t count;
	struct finding list[FOUND_MAX];
};

static void note(void *ctx, const struct fs_problem *problem)
{
	struct findings *found = ctx;
	struct finding *f = &found->list[found->count];

	assert_true(found->count < FOUND_MAX);
	found->count++;
	f->kind = problem->kind;
	f->ino = problem->ino;
	snprintf(f->path, sizeof(f->path), "%s",
		 problem->path ? problem->path : "(none)");
	assert_non_null(problem->what);
}

static struct findings *check(struct fs_fixture *f)
{
	static struct findings found;
	int result;

	memset(&found, 0, sizeof(found));
	result = fs_check(f->fs, note, NULL, &found);
	assert_int_equal(result, found.count > 0);
	return &found;
}

static void assert_found(struct fs_fixture *f, enum fs_problem_kind kind,
			 uint64_t ino, const char *path)
{
	struct findings *found = check(f);
	size_t i;

	for (i = 0; i < found->count; i++) {
		if (found->list[i].kind == kind && found->list[i].ino == ino &&
		    strcmp(found->list[i].path, path) == 0)
			return;
	}
	for (i = 0; i < found->count; i++)
		print_error("found: kind %d inode %llu path %s\n",
			    (int)found->list[i].kind,
			    (unsigned long long)found->list[i].ino,
			    found->list[i].path);
	fail_msg("kind %d of inode %llu at %s was not found", (int)kind,
		 (unsigned long long)ino, path);
}

static void load(struct fs_fixture *f, uint64_t ino, struct inode *inode,
		 struct buf *record)
{
	struct schema_key key;

	inode_key_encode(&key, ino);
	assert_int_equal(kv_get(fs_kv(f->fs), NULL, key_slice(&key), record),
			 0);
	assert_int_equal(inode_decode(buf_slice(record), ino, inode), 0);
}

static void store(struct fs_fixture *f, const struct inode *inode,
		  struct buf *record)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct schema_key key;
	size_t size = inode_encode(inode, bytes);

	inode_key_encode(&key, inode->ino);
	assert_int_equal(kv_set(fs_kv(f->fs), key_slice(&key),
				slice_of(bytes, size), NULL),
			 0);
	buf_release(record);
}

static void delete_key(struct fs_fixture *f, const struct schema_key *key)
{
	assert_int_equal(kv_delete(fs_kv(f->fs), key_slice(key), NULL), 0);
}

/* d/e/f, with blocks and an xattr. */
static uint64_t make_tree(struct fs_fixture *f)
{
	uint64_t d = make_dir(f, "d");
	uint64_t e = make_dir_in(f, d, "e");
	uint64_t ino = make_file_in(f, e, "f");

	put(f, ino, 10000, "data");
	assert_int_equal(fs_setxattr(f->fs, NULL, ino, name_of("user.x"),
				     name_of("v"), 0, false),
			 0);
	assert_int_equal(fs_link(f->fs, ino, 1, name_of("g"), NULL), 0);
	assert_sound(f);
	return ino;
}

static void an_entry_without_an_inode_is_dangling(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file_in(f, dir, "x");
	struct schema_key key;

	inode_key_encode(&key, ino);
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_DANGLING, ino, "d/x");
}

static void an_inode_without_an_entry_is_unreachable(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file_in(f, dir, "x");
	struct schema_key key;

	name_key_encode(&key, dir, name_of("x"));
	delete_key(f, &key);
	cookie_key_encode(&key, dir, COOKIE_FIRST);
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_UNREACHABLE, ino, "(none)");
}

static void a_wrong_link_count_is_found_among_many_right_ones(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_tree(f);
	struct buf record = { 0 };
	struct inode inode;
	char name[16];
	int i;

	for (i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		make_file(f, name);
	}
	load(f, ino, &inode, &record);
	inode.nlink = 3;
	store(f, &inode, &record);
	assert_found(f, FS_PROBLEM_LINK_COUNT, ino, "g");
	assert_int_equal(check(f)->count, 1);
}

static void two_wrong_counts_that_add_up_are_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t a = make_file(f, "a");
	uint64_t b = make_file(f, "b");
	struct buf record = { 0 };
	struct inode inode;

	assert_int_equal(fs_link(f->fs, a, 1, name_of("a2"), NULL), 0);
	load(f, a, &inode, &record);
	inode.nlink = 1;
	store(f, &inode, &record);
	load(f, b, &inode, &record);
	inode.nlink = 2;
	store(f, &inode, &record);
	assert_found(f, FS_PROBLEM_LINK_COUNT, a, "a");
	assert_found(f, FS_PROBLEM_LINK_COUNT, b, "b");
}

static void a_directory_counts_its_subdirectories(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	struct buf record = { 0 };
	struct inode inode;

	load(f, dir, &inode, &record);
	inode.nlink = 3;
	store(f, &inode, &record);
	assert_found(f, FS_PROBLEM_LINK_COUNT, dir, "d");
}

static void an_entry_must_be_there_by_name_and_by_cookie(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t x = make_file_in(f, dir, "x");
	uint64_t y = make_file_in(f, dir, "y");
	struct schema_key key;

	name_key_encode(&key, dir, name_of("x"));
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_STRUCTURE, x, "d/x");
	cookie_key_encode(&key, dir, COOKIE_FIRST + 1);
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_STRUCTURE, y, "d/y");
}

static void blocks_must_be_counted_and_before_the_end(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_tree(f);
	struct schema_key key;

	block_key_encode(&key, ino, 2);
	assert_int_equal(kv_set(fs_kv(f->fs), key_slice(&key),
				name_of("longer than the file is, isn't it? "
					"It must be more than 1812 bytes"),
				NULL),
			 0);
	assert_sound(f);
	block_key_encode(&key, ino, 3);
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key), name_of("x"), NULL), 0);
	assert_found(f, FS_PROBLEM_STRUCTURE, ino, "g");
	assert_int_equal(check(f)->count, 2);
	delete_key(f, &key);
	block_key_encode(&key, ino, 2);
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_STRUCTURE, ino, "g");
	assert_int_equal(check(f)->count, 1);
}

static void bytes_beyond_the_end_are_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_tree(f);
	static uint8_t bytes[4096];
	struct schema_key key;

	block_key_encode(&key, ino, 2);
	assert_int_equal(kv_set(fs_kv(f->fs), key_slice(&key),
				slice_of(bytes, sizeof(bytes)), NULL),
			 0);
	assert_found(f, FS_PROBLEM_STRUCTURE, ino, "g");
}

static void keys_without_an_inode_are_found(void **state)
{
	struct fs_fixture *f = *state;
	struct schema_key key;

	block_key_encode(&key, 5000, 2);
	assert_int_equal(
		kv_set(fs_kv(f->fs), key_slice(&key), name_of("x"), NULL), 0);
	assert_found(f, FS_PROBLEM_STRUCTURE, 5000, "(none)");
	assert_int_equal(kv_set(fs_kv(f->fs), name_of("rubbish"), name_of("x"),
				NULL),
			 0);
	assert_found(f, FS_PROBLEM_STORE, 0, "(none)");
}

static void a_directory_that_contains_itself_is_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t a = make_dir(f, "a");
	uint64_t b = make_dir_in(f, a, "b");
	struct buf record = { 0 };
	uint8_t bytes[ENTRY_RECORD_MAX];
	struct dentry dentry = { .ino = a,
				 .type = 4,
				 .cookie = COOKIE_FIRST,
				 .name = name_of("a") };
	struct schema_key key;
	struct inode inode;

	/* Takes a out of the root and puts it into b. */
	name_key_encode(&key, 1, name_of("a"));
	delete_key(f, &key);
	cookie_key_encode(&key, 1, COOKIE_FIRST);
	delete_key(f, &key);
	load(f, 1, &inode, &record);
	inode.nlink = 2;
	store(f, &inode, &record);
	load(f, a, &inode, &record);
	inode.parent = b;
	store(f, &inode, &record);
	load(f, b, &inode, &record);
	inode.nlink = 3;
	inode.next_cookie = COOKIE_FIRST + 1;
	store(f, &inode, &record);
	name_key_encode(&key, b, dentry.name);
	kv_set(fs_kv(f->fs), key_slice(&key),
	       slice_of(bytes, name_record_encode(&dentry, bytes)), NULL);
	cookie_key_encode(&key, b, COOKIE_FIRST);
	kv_set(fs_kv(f->fs), key_slice(&key),
	       slice_of(bytes, cookie_record_encode(&dentry, bytes)), NULL);
	assert_found(f, FS_PROBLEM_STRUCTURE, a, "(none)");
	assert_int_equal(check(f)->count, 1);
}

static void an_orphan_that_is_not_listed_is_found(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t ino = make_file(f, "x");
	struct schema_key key;

	set_mark(f, ino);
	assert_int_equal(fs_unlink(f->fs, 1, name_of("x"), NULL), 0);
	assert_sound(f);
	orphan_key_encode(&key, ino);
	delete_key(f, &key);
	assert_found(f, FS_PROBLEM_UNREACHABLE, ino, "(none)");
}

static void more_problems_than_are_kept_are_all_reported(void **state)
{
	struct fs_fixture *f = *state;
	struct schema_key key;
	char name[16];
	int i;

	for (i = 0; i < 1300; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		inode_key_encode(&key, make_file(f, name));
		delete_key(f, &key);
	}
	assert_int_equal(check(f)->count, 1300);
}

static int stop_soon(void *ctx, uint64_t done, uint64_t total)
{
	int *calls = ctx;

	assert_true(done <= total);
	return ++*calls == 3;
}

static void never_called(void *ctx, const struct fs_problem *problem)
{
	(void)ctx;
	(void)problem;
	fail();
}

static void a_check_can_be_stopped(void **state)
{
	struct fs_fixture *f = *state;
	int calls = 0;

	make_tree(f);
	assert_int_equal(fs_check(f->fs, never_called, stop_soon, &calls),
			 -ECANCELED);
}

/* --- damage on disk --- */

/* Finds copy number `skip` + 1 of a text. */
static uint8_t *find_text(uint8_t *bytes, size_t size, const char *text,
			  unsigned int skip)
{
	size_t length = strlen(text);
	uint8_t *at = memmem(bytes, size, text, length);

	while (at && skip--)
		at = memmem(at + 1, size - (size_t)(at + 1 - bytes), text,
			    length);
	return at;
}

/* Flips a bit of a copy of `text` in the only segment of a closed store. */
static void damage(struct fs_fixture *f, const char *text, unsigned int skip)
{
	static uint8_t bytes[8 << 20];
	DIR *dir = opendir(f->path);
	struct dirent *entry;
	bool done = false;
	ssize_t size;
	uint8_t *at;
	int fd;

	assert_non_null(dir);
	while (!done && (entry = readdir(dir))) {
		if (!strstr(entry->d_name, ".seg"))
			continue;
		fd = openat(dirfd(dir), entry->d_name, O_RDWR);
		size = read(fd, bytes, sizeof(bytes));
		assert_true(size > 0);
		at = find_text(bytes, (size_t)size, text, skip);
		if (at) {
			*at ^= 1;
			assert_int_equal(pwrite(fd, at, 1, at - bytes), 1);
			done = true;
		}
		close(fd);
	}
	closedir(dir);
	assert_true(done);
}

static void close_and_damage(struct fs_fixture *f, const char *text,
			     unsigned int skip)
{
	assert_int_equal(fs_close(f->fs), 0);
	f->fs = NULL;
	damage(f, text, skip);
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
}

static void damaged_contents_are_named_and_give_eio(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "d");
	uint64_t small = make_file_in(f, dir, "small");
	uint64_t large = make_file_in(f, dir, "large");
	uint64_t sound = make_file_in(f, dir, "sound");
	char c[4];
	size_t got;

	put(f, small, 0, "text of a small file");
	put(f, large, 9000, "text of a large file");
	put(f, sound, 0, "text of a sound file");
	close_and_damage(f, "text of a small file", 0);
	close_and_damage(f, "text of a large file", 0);
	assert_int_equal(fs_read(f->fs, small, 0, c, 4, &got), -EIO);
	assert_int_equal(fs_read(f->fs, large, 9000, c, 4, &got), -EIO);
	assert_int_equal(fs_read(f->fs, large, 0, c, 4, &got), 0);
	assert_contents(f, sound, "text of a sound file", 20);
	assert_found(f, FS_PROBLEM_DAMAGED, small, "d/small");
	assert_found(f, FS_PROBLEM_DAMAGED, large, "d/large");
	assert_int_equal(check(f)->count, 2);
	/* It can be got rid of. */
	assert_int_equal(fs_unlink(f->fs, dir, name_of("small"), NULL), 0);
	assert_int_equal(find_in(f, dir, "small"), -ENOENT);
}

static int count_names(void *ctx, const struct fs_dirent *entry)
{
	unsigned int *count = ctx;

	if (entry->name.size > 2)
		++*count;
	return 0;
}

/* The record by name comes first in the log, then the one by cookie. */
static void damage_entry(struct fs_fixture *f, unsigned int which,
			 const char *path)
{
	uint64_t dir = make_dir(f, "d");
	uint64_t ino = make_file_in(f, dir, "entry-name");
	unsigned int count = 0;

	make_file_in(f, dir, "other-name");
	close_and_damage(f, "entry-name", which);
	assert_int_equal(find_in(f, dir, "entry-name"), ino);
	assert_int_equal(fs_readdir(f->fs, dir, 0, count_names, &count), 0);
	assert_int_equal(count, 2);
	assert_found(f, FS_PROBLEM_DAMAGED, which ? dir : 0, path);
}

static void an_entry_damaged_by_name_is_read_by_cookie(void **state)
{
	damage_entry(*state, 0, "d/entry-name");
}

static void an_entry_damaged_by_cookie_is_read_by_name(void **state)
{
	damage_entry(*state, 1, "d");
	assert_int_equal(check(*state)->count, 1);
}

/* --- going on with a check that was stopped --- */

struct part {
	struct findings *found;
	unsigned int calls_left;
	uint64_t first_done;
	bool called;
};

static void part_note(void *ctx, const struct fs_problem *problem)
{
	struct part *part = ctx;

	note(part->found, problem);
}

static int part_stop(void *ctx, uint64_t done, uint64_t total)
{
	struct part *part = ctx;

	assert_true(done <= total);
	if (!part->called)
		part->first_done = done;
	part->called = true;
	return part->calls_left-- == 1;
}

/* A check of at most so many words; 0: to its end. */
static int check_part(struct fs_fixture *f, unsigned int calls, bool resume,
		      struct part *part, struct findings *found)
{
	const struct fs_check_how how = { .keep = true, .resume = resume };

	*part = (struct part){ .found = found, .calls_left = calls };
	return fs_check_as(f->fs, &how, part_note, part_stop, part);
}

static bool has_note(struct fs_fixture *f)
{
	struct buf bytes = { 0 };
	int result = kv_note_load(fs_kv(f->fs), KV_NOTE_CHECK, &bytes);

	buf_release(&bytes);
	return result == 0;
}

static bool has_found(const struct findings *found, const char *path)
{
	for (size_t i = 0; i < found->count; i++)
		if (strcmp(found->list[i].path, path) == 0)
			return true;
	return false;
}

/* How many words a whole check says. */
static unsigned int check_words(struct fs_fixture *f)
{
	static struct findings found;
	struct part part;

	found.count = 0;
	assert_true(check_part(f, 0, false, &part, &found) >= 0);
	assert_false(has_note(f));
	return UINT32_MAX - part.calls_left + 1;
}

/* Stops after each number of words, goes on in another process, and has the
 * problems at `paths` told by one of the two, which the last one knows of. */
static void stop_everywhere(struct fs_fixture *f, const char *const *paths,
			    bool change)
{
	static struct findings found;
	unsigned int words = check_words(f);
	struct part part;

	for (unsigned int calls = 1; calls <= words; calls++) {
		found.count = 0;
		assert_int_equal(check_part(f, calls, false, &part, &found),
				 -ECANCELED);
		if (change)
			put(f, make_file(f, "changed"), 0, "x");
		fs_fixture_reopen(f);
		assert_int_equal(check_part(f, 0, true, &part, &found),
				 *paths != NULL);
		assert_true(!*paths || found.count > 0);
		for (const char *const *path = paths; *path; path++)
			assert_true(has_found(&found, *path));
		assert_false(has_note(f));
		if (change)
			assert_int_equal(fs_unlink(f->fs, FS_ROOT_INO,
						   name_of("changed"), NULL),
					 0);
	}
}

static void a_sound_store_is_sound_in_two_parts(void **state)
{
	static const char *const none[] = { NULL };

	make_tree(*state);
	stop_everywhere(*state, none, false);
	stop_everywhere(*state, none, true);
}

static void what_is_wrong_is_found_in_two_parts(void **state)
{
	static const char *const paths[] = { "dir/small", "dir/x", NULL };
	struct fs_fixture *f = *state;
	uint64_t dir = make_dir(f, "dir");
	uint64_t small = make_file_in(f, dir, "small");
	uint64_t ino = make_file_in(f, dir, "x");
	struct schema_key key;

	make_tree(f);
	put(f, small, 0, "text of a small file");
	inode_key_encode(&key, ino);
	delete_key(f, &key);
	close_and_damage(f, "text of a small file", 0);
	stop_everywhere(f, paths, false);
}

static void a_wrong_link_count_is_found_in_two_parts(void **state)
{
	static const char *const paths[] = { "g", NULL };
	struct fs_fixture *f = *state;
	uint64_t ino = make_tree(f);
	struct buf record = { 0 };
	struct inode inode;

	load(f, ino, &inode, &record);
	inode.nlink = 3;
	store(f, &inode, &record);
	stop_everywhere(f, paths, false);
	stop_everywhere(f, paths, true);
}

static void what_was_read_is_not_read_again(void **state)
{
	struct fs_fixture *f = *state;
	static struct findings found;
	struct part part;
	unsigned int words;

	for (unsigned int i = 0; i < 40; i++) {
		char name[8];

		snprintf(name, sizeof(name), "f%u", i);
		put(f, make_file(f, name), 5000, "text");
	}
	/* With all but the last few words said, little is left to be said. */
	words = check_words(f);
	assert_true(words > 100);
	assert_int_equal(check_part(f, words - 5, false, &part, &found),
			 -ECANCELED);
	assert_true(has_note(f));
	assert_int_equal(check_part(f, 0, true, &part, &found), 0);
	assert_true(UINT32_MAX - part.calls_left + 1 < 12);
	assert_true(part.first_done > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(an_entry_without_an_inode_is_dangling),
		FS_TEST(an_inode_without_an_entry_is_unreachable),
		FS_TEST(a_wrong_link_count_is_found_among_many_right_ones),
		FS_TEST(two_wrong_counts_that_add_up_are_found),
		FS_TEST(a_directory_counts_its_subdirectories),
		FS_TEST(an_entry_must_be_there_by_name_and_by_cookie),
		FS_TEST(blocks_must_be_counted_and_before_the_end),
		FS_TEST(bytes_beyond_the_end_are_found),
		FS_TEST(keys_without_an_inode_are_found),
		FS_TEST(a_directory_that_contains_itself_is_found),
		FS_TEST(an_orphan_that_is_not_listed_is_found),
		FS_TEST(more_problems_than_are_kept_are_all_reported),
		FS_TEST(a_check_can_be_stopped),
		FS_TEST(damaged_contents_are_named_and_give_eio),
		FS_TEST(an_entry_damaged_by_name_is_read_by_cookie),
		FS_TEST(an_entry_damaged_by_cookie_is_read_by_name),
		FS_TEST(a_sound_store_is_sound_in_two_parts),
		FS_TEST(what_is_wrong_is_found_in_two_parts),
		FS_TEST(a_wrong_link_count_is_found_in_two_parts),
		FS_TEST(what_was_read_is_not_read_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
