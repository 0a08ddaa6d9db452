/* SPDX-License-Identifier: MIT */

/* Schemas of partitions: what the core refuses, and what then stays. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/apply.h"
#include "fs/fs_internal.h"
#include "tests/unit/fs_fixture.h"
#include "tests/unit/partition_fixture.h"

static int write_at(struct fs_fixture *f, uint64_t ino, uint64_t offset,
		    const char *text, unsigned int flags)
{
	return fs_write(f->fs, ino, offset, text, strlen(text), flags);
}

static void a_write_leaves_a_value_or_changes_nothing(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "int");
	uint64_t a = make_file_in(f, make_dir_in(f, p, "d"), "a");

	/* It has no value yet. */
	assert_contents(f, a, "", 0);
	assert_int_equal(write_at(f, a, 0, "abc", 0), -EINVAL);
	assert_int_equal(write_at(f, a, 0, "-", FS_WRITE_PARTIAL), -EINVAL);
	put(f, a, 0, "12");
	assert_int_equal(write_at(f, a, 1, "x", 0), -EINVAL);
	assert_int_equal(write_at(f, a, 3, "4", 0), -EINVAL); /* a hole */
	assert_int_equal(write_at(f, a, 2, "99999999999999999999", 0), -EINVAL);
	assert_int_equal(write_at(f, a, 40, "1", 0), -EFBIG);
	assert_contents(f, a, "12", 2);
	assert_int_equal(write_at(f, a, 0, "34", FS_WRITE_APPEND), 0);
	assert_contents(f, a, "1234", 4);
	assert_int_equal(set_size(f, a, 5), -EINVAL);
	assert_int_equal(set_size(f, a, 0), -EINVAL);
	assert_int_equal(set_size(f, a, 3), 0);
	assert_int_equal(fs_fallocate(f->fs, a, 0, 0, 10), -EOPNOTSUPP);
	assert_contents(f, a, "123", 3);
	fs_fixture_reopen(f);
	assert_int_equal(write_at(f, a, 0, "no", 0), -EINVAL);
	assert_contents(f, a, "123", 3);
	assert_counts(f, p, 1, 3);
	assert_sound(f);
}

static void a_string_in_pieces_may_end_within_a_character(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "string");
	uint64_t a = make_file_in(f, p, "a");
	uint64_t out = make_file(f, "out");
	size_t copied;

	assert_int_equal(write_at(f, a, 0, "caf\xc3", 0), -EINVAL);
	assert_int_equal(write_at(f, a, 0, "caf\xc3", FS_WRITE_PARTIAL), 0);
	assert_int_equal(write_at(f, a, 4, "z", FS_WRITE_PARTIAL), -EINVAL);
	assert_int_equal(write_at(f, a, 4, "\xa9", FS_WRITE_PARTIAL), 0);
	assert_contents(f, a, "caf\xc3\xa9", 5);
	assert_int_equal(write_at(f, a, 10, "\xff", 0), -EINVAL);
	assert_int_equal(write_at(f, a, 8 << 20, "x", 0), -EFBIG);
	put(f, out, 0, "x");
	assert_int_equal(fs_copy_range(f->fs, out, 0, a, 0, 1, &copied),
			 -EXDEV);
	assert_int_equal(set_size(f, a, 4), -EINVAL);
	assert_int_equal(set_size(f, a, 0), 0);
	assert_sound(f);
}

static void a_whole_value_replaces_the_old_one_or_not_at_all(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "string");
	uint64_t a = make_file_in(f, p, "a");
	size_t large = 3 << 20;
	char *text = malloc(large);

	memset(text, 'x', large);
	assert_int_equal(fs_replace(f->fs, a, slice_of(text, large)), 0);
	assert_counts(f, p, 1, large);
	/* In part beside its blocks. */
	for (size_t i = 0; i < 50; i++)
		put(f, a, i * 40000, "yy");
	assert_int_equal(fs_replace(f->fs, a, name_of("\xff")), -EINVAL);
	assert_int_equal(attr_of(f, a).size_bytes, large);
	assert_int_equal(fs_replace(f->fs, a, name_of("short")), 0);
	assert_contents(f, a, "short", 5);
	assert_sound(f);
	assert_int_equal(fs_replace(f->fs, a, slice_of(text, 9000)), 0);
	assert_contents(f, a, text, 9000);
	assert_int_equal(setting(f, p, "quota", "10000"), 0);
	assert_int_equal(fs_replace(f->fs, a, slice_of(text, 10001)), -EDQUOT);
	assert_int_equal(fs_replace(f->fs, a, slice_of(text, 10000)), 0);
	assert_counts(f, p, 1, 10000);
	fs_fixture_reopen(f);
	assert_contents(f, a, text, 10000);
	assert_sound(f);
	free(text);
}

static int empty_later(struct fs_fixture *f, uint64_t ino,
		       struct fs_attr *ret_attr)
{
	struct fs_attr attr = { 0 };

	return fs_setattr(f->fs, &f->cred, ino,
			  FS_SET_SIZE | FS_SET_EMPTY_LATER, &attr, ret_attr);
}

static void what_is_emptied_keeps_its_value_until_there_is_another(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "int");
	uint64_t a = make_file_in(f, p, "a");
	struct fs_attr attr;

	put(f, a, 0, "1234");
	assert_int_equal(empty_later(f, a, &attr), 0);
	assert_int_equal(attr.size_bytes, 0);
	assert_true(fs_is_unsettled(f->fs, a));
	assert_contents(f, a, "1234", 4);
	put(f, a, 0, "5\n");
	assert_contents(f, a, "5\n", 2);
	assert_false(fs_is_unsettled(f->fs, a));
	/* Refused: the old one stays, and is not emptied any more. */
	assert_int_equal(empty_later(f, a, &attr), 0);
	assert_int_equal(write_at(f, a, 0, "x", 0), -EINVAL);
	assert_contents(f, a, "5\n", 2);
	assert_int_equal(write_at(f, a, 0, "6", 0), 0);
	assert_contents(f, a, "6\n", 2);
	/* Never written. */
	assert_int_equal(empty_later(f, a, &attr), 0);
	assert_int_equal(fs_settle(f->fs, a), -EINVAL);
	assert_int_equal(empty_later(f, a, &attr), 0);
	fs_fixture_reopen(f);
	assert_contents(f, a, "6\n", 2);
	assert_int_equal(setting(f, p, "schema", "string"), 0);
	assert_int_equal(empty_later(f, a, &attr), 0);
	assert_int_equal(fs_fsync(f->fs, a), 0);
	assert_contents(f, a, "", 0);
	put(f, a, 0, "text");
	assert_int_equal(empty_later(f, a, &attr), 0);
	fs_fixture_reopen(f);
	assert_contents(f, a, "", 0);
	/* Where there is no schema it is done at once. */
	a = make_file(f, "out");
	put(f, a, 0, "x");
	assert_int_equal(empty_later(f, a, &attr), 0);
	assert_contents(f, a, "", 0);
	assert_sound(f);
}

static void a_batch_obeys_the_schema(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "int");
	struct fs_change changes[] = {
		{ .kind = FS_CHANGE_PUT,
		  .parent = p,
		  .name = name_of("a"),
		  .value = name_of("1") },
		{ .kind = FS_CHANGE_PUT,
		  .parent = p,
		  .name = name_of("b"),
		  .value = name_of("two") },
	};
	size_t failed;
	struct fs_attr attr;

	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 2, &failed),
			 -EINVAL);
	assert_int_equal(failed, 1);
	assert_int_equal(find_in(f, p, "a"), -ENOENT);
	changes[1].value = name_of("2\n");
	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 2, &failed), 0);
	changes[0].value = name_of("");
	assert_int_equal(fs_apply(f->fs, &f->cred, changes, 1, &failed),
			 -EINVAL);
	assert_int_equal(fs_tmpfile(f->fs, &f->cred, p, 0600, &attr),
			 -EOPNOTSUPP);
	assert_sound(f);
}

static void a_schema_does_not_get_stricter_over_values(void **state)
{
	struct fs_fixture *f = *state;
	uint64_t p = make_partition(f, "schema", "int");

	assert_true(fs_has_schemas(f->fs));
	put(f, make_file_in(f, p, "a"), 0, "1");
	assert_int_equal(setting(f, p, "schema", "string"), 0);
	assert_int_equal(setting(f, p, "schema", "int"), -ENOTEMPTY);
	assert_int_equal(setting(f, p, "schema", "bytes"), 0);
	assert_false(fs_has_schemas(f->fs));
	assert_int_equal(setting(f, p, "schema", "string"), -ENOTEMPTY);
	assert_int_equal(fs_unlink(f->fs, p, name_of("a"), NULL), 0);
	assert_int_equal(setting(f, p, "schema", "int"), 0);
	assert_sound(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FS_TEST(a_write_leaves_a_value_or_changes_nothing),
		FS_TEST(a_string_in_pieces_may_end_within_a_character),
		FS_TEST(a_whole_value_replaces_the_old_one_or_not_at_all),
		FS_TEST(what_is_emptied_keeps_its_value_until_there_is_another),
		FS_TEST(a_batch_obeys_the_schema),
		FS_TEST(a_schema_does_not_get_stricter_over_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
