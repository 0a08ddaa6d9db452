/* SPDX-License-Identifier: MIT */

/* Attributes as text: tools/attr.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tools/attr.h"

static const struct fs_attr plain = {
	.ino = 42,
	.mode = S_IFREG | 0640,
	.nlink = 2,
	.uid = 1000,
	.gid = 100,
	.size_bytes = 5000000000u,
	.blocks = 8,
	.atime = { 1, 0 },
	.mtime = { 951782400, 5 },
	.ctime = { -1, 999999999 },
	.btime = { 0, 0 },
};

static void assert_text(struct buf *buf, const char *expected)
{
	assert_int_equal(buf_append(buf, "", 1), 0);
	assert_string_equal((const char *)buf->data, expected);
	buf_release(buf);
}

static void lines_have_a_name_and_a_value(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(
		attr_append_lines(&buf, SLICE_LITERAL("a/b c"), &plain), 0);
	assert_text(&buf, "key a/b c\ntype file\nsize_bytes 5000000000\n"
			  "stored_bytes 4096\nino 42\nmode 0640\nnlink 2\n"
			  "uid 1000\ngid 100\n"
			  "version 2a-ffffffffffffffff.3b9ac9ff-12a05f200\n"
			  "atime 1970-01-01T00:00:01.000000000Z\n"
			  "mtime 2000-02-29T00:00:00.000000005Z\n"
			  "ctime 1969-12-31T23:59:59.999999999Z\n"
			  "btime 1970-01-01T00:00:00.000000000Z\n\n");
}

static void a_key_with_a_line_feed_stays_on_its_line(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(attr_append_lines(&buf, SLICE_LITERAL("a\nb"), &plain),
			 0);
	assert_memory_equal(buf.data, "key \"a\\nb\"\ntype ", 16);
	buf_release(&buf);
}

static void an_object_is_one_line(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(attr_append_json(&buf, SLICE_LITERAL("k"), &plain), 0);
	assert_text(&buf,
		    "{\"key\":\"k\",\"type\":\"file\","
		    "\"size_bytes\":5000000000,\"stored_bytes\":4096,"
		    "\"ino\":42,\"mode\":\"0640\",\"nlink\":2,\"uid\":1000,"
		    "\"gid\":100,"
		    "\"version\":\"2a-ffffffffffffffff.3b9ac9ff-"
		    "12a05f200\","
		    "\"atime\":\"1970-01-01T00:00:01.000000000Z\","
		    "\"mtime\":\"2000-02-29T00:00:00.000000005Z\","
		    "\"ctime\":\"1969-12-31T23:59:59.999999999Z\","
		    "\"btime\":\"1970-01-01T00:00:00.000000000Z\"}\n");
}

static void columns_are_those_of_ls(void **state)
{
	static const struct {
		uint32_t mode;
		const char *text;
	} cases[] = {
		{ S_IFREG | 0640, "-rw-r-----" },
		{ S_IFDIR | 01777, "drwxrwxrwt" },
		{ S_IFDIR | 01666, "drw-rw-rwT" },
		{ S_IFLNK | 0777, "lrwxrwxrwx" },
		{ S_IFREG | 06755, "-rwsr-sr-x" },
		{ S_IFREG | 06644, "-rwSr-Sr--" },
		{ S_IFIFO | 0600, "prw-------" },
		{ S_IFSOCK | 0600, "srw-------" },
		{ S_IFBLK | 0600, "brw-------" },
		{ S_IFCHR | 0600, "crw-------" },
	};
	struct fs_attr attr = plain;
	struct buf buf = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		attr.mode = cases[i].mode;
		assert_int_equal(attr_append_columns(&buf, &attr), 0);
		assert_memory_equal(buf.data, cases[i].text, 10);
		buf_clear(&buf);
	}
	assert_int_equal(attr_append_columns(&buf, &plain), 0);
	assert_text(&buf, "-rw-r----- 2 1000 100 5000000000 "
			  "2000-02-29T00:00:00.000000005Z ");
}

static void times_beyond_any_calendar_are_shown_as_seconds(void **state)
{
	struct fs_attr attr = plain;
	struct buf buf = { 0 };

	(void)state;
	attr.mtime.tv_sec = INT64_MAX;
	assert_int_equal(attr_append_columns(&buf, &attr), 0);
	assert_text(&buf, "-rw-r----- 2 1000 100 5000000000 "
			  "@9223372036854775807.000000005 ");
}

static void every_type_has_its_word(void **state)
{
	(void)state;
	assert_string_equal(attr_type(S_IFREG | 0644), "file");
	assert_string_equal(attr_type(S_IFDIR), "directory");
	assert_string_equal(attr_type(S_IFLNK), "symlink");
	assert_string_equal(attr_type(S_IFIFO), "fifo");
	assert_string_equal(attr_type(S_IFSOCK), "socket");
	assert_string_equal(attr_type(S_IFBLK), "block");
	assert_string_equal(attr_type(S_IFCHR), "char");
	assert_string_equal(attr_type(0), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_have_a_name_and_a_value),
		cmocka_unit_test(a_key_with_a_line_feed_stays_on_its_line),
		cmocka_unit_test(an_object_is_one_line),
		cmocka_unit_test(columns_are_those_of_ls),
		cmocka_unit_test(
			times_beyond_any_calendar_are_shown_as_seconds),
		cmocka_unit_test(every_type_has_its_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
