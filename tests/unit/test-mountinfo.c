/* SPDX-License-Identifier: MIT */

/* Lines of /proc/self/mountinfo: fs/mountinfo.h. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "fs/mountinfo.h"

static int parse(const char *text, char *line, size_t size,
		 struct mount_entry *entry)
{
	assert_true((size_t)snprintf(line, size, "%s", text) < size);
	return mount_entry_parse(line, entry);
}

static void a_line_has_its_fields(void **state)
{
	struct mount_entry entry;
	char line[256];

	(void)state;
	assert_int_equal(parse("36 25 0:58 / /mnt/kv rw,nosuid shared:1 "
			       "master:2 - fuse.kvfs /var/store rw,user_id=0\n",
			       line, sizeof(line), &entry),
			 0);
	assert_int_equal(entry.major, 0);
	assert_int_equal(entry.minor, 58);
	assert_string_equal(entry.root, "/");
	assert_string_equal(entry.point, "/mnt/kv");
	assert_string_equal(entry.type, "fuse.kvfs");
	assert_string_equal(entry.source, "/var/store");
	assert_true(mount_entry_is_kvfs(&entry));
}

static void tagged_fields_may_be_absent(void **state)
{
	struct mount_entry entry;
	char line[256];

	(void)state;
	assert_int_equal(parse("1 0 8:1 /sub / rw - ext4 /dev/sda1 rw", line,
			       sizeof(line), &entry),
			 0);
	assert_string_equal(entry.root, "/sub");
	assert_string_equal(entry.source, "/dev/sda1");
	assert_false(mount_entry_is_kvfs(&entry));
	assert_false(mount_entry_is_fuse(&entry));
}

static void a_source_may_be_empty(void **state)
{
	struct mount_entry entry;
	char line[256];

	(void)state;
	assert_int_equal(parse("1 0 0:9 / /x rw - tmpfs  rw", line,
			       sizeof(line), &entry),
			 0);
	assert_string_equal(entry.source, "");
}

static void octal_escapes_are_undone_and_nothing_else_is(void **state)
{
	struct mount_entry entry;
	char line[256];

	(void)state;
	assert_int_equal(parse("1 0 0:9 / /a\\040b\\134\\012 rw - fuse "
			       "/s\\0x\\18 rw",
			       line, sizeof(line), &entry),
			 0);
	assert_string_equal(entry.point, "/a b\\\n");
	assert_string_equal(entry.source, "/s\\0x\\18");
	assert_true(mount_entry_is_fuse(&entry));
}

static void what_is_no_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"1",
		"1 0 0:9 / /x",
		"1 0 0:9 / /x rw",
		"1 0 0:9 / /x rw shared:1 fuse src rw",
		"1 0 0:9 / /x rw -",
		"1 0 0:9 / /x rw - fuse",
		"1 0 09 / /x rw - fuse src rw",
		"1 0 a:b / /x rw - fuse src rw",
		"1 0 1:2x / /x rw - fuse src rw",
	};
	struct mount_entry entry;
	char line[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(parse(lines[i], line, sizeof(line), &entry),
				 -EINVAL);
}

static int count_root(void *ctx, const struct mount_entry *entry)
{
	int *count = ctx;

	*count += strcmp(entry->point, "/") == 0;
	return 0;
}

static int stop(void *ctx, const struct mount_entry *entry)
{
	(void)ctx;
	(void)entry;
	return 7;
}

static void the_kernels_own_list_can_be_read(void **state)
{
	int count = 0;

	(void)state;
	assert_int_equal(mountinfo_walk(count_root, &count), 0);
	assert_true(count > 0);
	assert_int_equal(mountinfo_walk(stop, NULL), 7);
}

static void an_ordinary_directory_is_no_mount_of_ours(void **state)
{
	struct buf point = { 0 };
	struct stat st;

	(void)state;
	assert_int_equal(stat("/proc", &st), 0);
	assert_int_equal(mountinfo_find_device(st.st_dev, &point), 1);
	assert_int_equal(mountinfo_find_store("/proc", &point), 1);
	assert_int_equal(mountinfo_find_store("/proc/nowhere", &point),
			 -ENOENT);
	assert_int_equal(point.size, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_has_its_fields),
		cmocka_unit_test(tagged_fields_may_be_absent),
		cmocka_unit_test(a_source_may_be_empty),
		cmocka_unit_test(octal_escapes_are_undone_and_nothing_else_is),
		cmocka_unit_test(what_is_no_line_is_refused),
		cmocka_unit_test(the_kernels_own_list_can_be_read),
		cmocka_unit_test(an_ordinary_directory_is_no_mount_of_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
