/* SPDX-License-Identifier: MIT */

#include "fs/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct fs_options defaults = {
	.kv = {
		.segment_size_bytes = 64 << 20,
		.memory_bytes = 32 << 20,
		.commit_interval_ms = 5000,
		.compact_auto = true,
		.compact_ratio = 50,
	},
};

static struct options options;
static struct options_error error;

static int setup(void **state)
{
	(void)state;
	options_init(&options, &defaults);
	memset(&error, 0, sizeof(error));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	options_release(&options);
	return 0;
}

static int words(const char *text)
{
	return options_parse_words(&options, text, &error);
}

/* "kvfs" and what follows, up to NULL. */
static int parse(const char *first, ...)
{
	char *argv[16];
	int argc = 0;
	va_list args;
	int r;

	argv[argc++] = strdup("kvfs");
	va_start(args, first);
	for (const char *s = first; s; s = va_arg(args, const char *))
		argv[argc++] = strdup(s);
	va_end(args);
	r = options_parse(&options, argc, argv, &error);
	/* Borrowed from argv: looked at by the tests only as NULL or not. */
	for (int i = 0; i < argc; i++)
		free(argv[i]);
	return r;
}

static const char *fuse_words(void)
{
	assert_int_equal(buf_append(&options.fuse, "", 1), 0);
	return (const char *)options.fuse.data;
}

static void what_is_not_given_has_its_default(void **state)
{
	(void)state;
	assert_int_equal(words(""), 0);
	assert_int_equal(options.segment_size_bytes, 64 << 20);
	assert_int_equal(options.commit_s, 5);
	assert_int_equal(options.durability, KV_DURABILITY_FSYNC);
	assert_int_equal(options.compress_level, 0);
	assert_int_equal(options.compact_off, 0);
	assert_int_equal(options.stats, STATS_HIDDEN);
	assert_int_equal(options.schema, SCHEMA_AUTO);
	assert_int_equal(options.log_level, KV_LOG_WARNING);
	assert_int_equal(options.read_only, 0);
	assert_int_equal(options.writeback, 0);
}

static void sizes_take_suffixes(void **state)
{
	(void)state;
	assert_int_equal(words("segment_size=1048576"), 0);
	assert_int_equal(options.segment_size_bytes, 1 << 20);
	assert_int_equal(words("segment_size=2048K"), 0);
	assert_int_equal(options.segment_size_bytes, 2 << 20);
	assert_int_equal(words("segment_size=3m"), 0);
	assert_int_equal(options.segment_size_bytes, 3 << 20);
	assert_int_equal(words("size=2T"), 0);
	assert_int_equal(options.size_limit_bytes, (uint64_t)2 << 40);
}

static void what_is_no_size_is_refused_in_one_line(void **state)
{
	static const char *const bad[] = {
		"segment_size=",    "segment_size=M",   "segment_size=-1M",
		"segment_size=+1M", "segment_size=1MB", "segment_size=1.5M",
		"segment_size= 1M", "segment_size=1X",  "segment_size=0x100000",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		error.text[0] = 0;
		assert_int_equal(words(bad[i]), -EINVAL);
		assert_non_null(strstr(error.text, "segment_size"));
		assert_null(strchr(error.text, '\n'));
	}
	assert_int_equal(options.segment_size_bytes, 64 << 20);
}

static void a_value_out_of_range_is_refused_and_the_range_told(void **state)
{
	(void)state;
	assert_int_equal(words("segment_size=1023K"), -EINVAL);
	assert_string_equal(
		error.text,
		"option segment_size=1023K is out of range: 1M to 2G");
	assert_int_equal(words("segment_size=2049M"), -EINVAL);
	assert_int_equal(words("compact_ratio=0"), -EINVAL);
	assert_int_equal(words("compact_ratio=100"), -EINVAL);
	assert_int_equal(words("commit=86401"), -EINVAL);
	assert_int_equal(words("memory=1M"), -EINVAL);
}

static void a_number_that_overflows_is_out_of_range(void **state)
{
	(void)state;
	assert_int_equal(words("commit=18446744073709551616"), -EINVAL);
	assert_non_null(strstr(error.text, "out of range"));
	assert_int_equal(words("size=18446744073709551615T"), -EINVAL);
	assert_non_null(strstr(error.text, "out of range"));
	/* 2^60 * 16 is 2^64: 0 if it were computed carelessly. */
	assert_int_equal(words("size=16777216T"), -EINVAL);
}

static void the_bounds_of_a_range_belong_to_it(void **state)
{
	(void)state;
	assert_int_equal(words("segment_size=1M"), 0);
	assert_int_equal(words("segment_size=2G"), 0);
	assert_int_equal(words("commit=0,compact_ratio=1"), 0);
	assert_int_equal(words("commit=86400,compact_ratio=99"), 0);
}

static void a_block_is_a_power_of_two(void **state)
{
	(void)state;
	assert_int_equal(words("block_size=64K"), 0);
	assert_int_equal(options.block_size_bytes, 65536);
	assert_int_equal(words("block_size=65K"), -EINVAL);
	assert_int_equal(words("block_size=2K"), -EINVAL);
	assert_int_equal(words("block_size=2M"), -EINVAL);
}

static void words_of_a_list_are_the_only_ones(void **state)
{
	(void)state;
	assert_int_equal(words("durability=always"), 0);
	assert_int_equal(options.durability, KV_DURABILITY_ALWAYS);
	assert_int_equal(words("durability=none"), 0);
	assert_int_equal(options.durability, KV_DURABILITY_NONE);
	assert_int_equal(words("durability=sometimes"), -EINVAL);
	assert_non_null(strstr(error.text, "fsync|always|none"));
	assert_int_equal(words("stats=visible,log_level=debug"), 0);
	assert_int_equal(options.stats, STATS_VISIBLE);
	assert_int_equal(options.log_level, KV_LOG_DEBUG);
	assert_int_equal(words("compact=off"), 0);
	assert_int_equal(options.compact_off, 1);
}

static void compression_has_a_level(void **state)
{
	(void)state;
	assert_int_equal(words("compress=zlib:9"), 0);
	assert_int_equal(options.compress_level, 9);
	assert_int_equal(words("compress=zlib"), 0);
	assert_int_equal(options.compress_level, 1);
	assert_int_equal(words("compress=none"), 0);
	assert_int_equal(options.compress_level, 0);
	assert_int_equal(words("compress=zlib:0"), -EINVAL);
	assert_int_equal(words("compress=zlib:10"), -EINVAL);
	assert_int_equal(words("compress=lz4"), -EINVAL);
}

static void a_flag_takes_no_value_and_others_need_one(void **state)
{
	(void)state;
	assert_int_equal(words("writeback"), 0);
	assert_int_equal(options.writeback, 1);
	assert_int_equal(words("writeback=1"), -EINVAL);
	assert_int_equal(words("commit"), -EINVAL);
	assert_string_equal(error.text,
			    "option commit needs a value: commit=SECONDS");
}

static void the_last_of_several_counts(void **state)
{
	(void)state;
	assert_int_equal(words("commit=1,commit=2,,commit=3"), 0);
	assert_int_equal(options.commit_s, 3);
	assert_int_equal(words("ro,rw"), 0);
	assert_int_equal(options.read_only, 0);
	assert_int_equal(words("rw,ro"), 0);
	assert_int_equal(options.read_only, 1);
}

static void words_of_fstab_are_accepted_and_dropped(void **state)
{
	(void)state;
	assert_int_equal(words("defaults,nofail,noauto,auto,_netdev,user,"
			       "users,user=joe,comment=mine,"
			       "x-systemd.automount,X-other=1"),
			 0);
	assert_string_equal(fuse_words(), "");
}

static void options_of_fuse_are_passed_on(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_int_equal(words("allow_other,ro,max_read=4096,nosuid"), 0);
	assert_string_equal(fuse_words(),
			    ",allow_other,ro,max_read=4096,nosuid");
	assert_true(options_fuse_has(&options, "allow_other"));
	assert_true(options_fuse_has(&options, "max_read"));
	assert_false(options_fuse_has(&options, "max"));
	assert_false(options_fuse_has(&options, "fsname"));
	assert_true(options_fuse_number(&options, "max_read", &value));
	assert_int_equal(value, 4096);
}

static void what_nobody_knows_is_left_to_libfuse(void **state)
{
	(void)state;
	assert_int_equal(words("frobnicate"), 0);
	assert_string_equal(fuse_words(), ",frobnicate");
}

static void an_escaped_comma_does_not_end_a_word(void **state)
{
	(void)state;
	assert_int_equal(words("fsname=a\\,b,commit=7"), 0);
	assert_int_equal(options.commit_s, 7);
	assert_string_equal(fuse_words(), ",fsname=a\\,b");
}

static void escaping_and_splitting_undo_each_other(void **state)
{
	struct buf buf = { 0 };

	(void)state;
	assert_int_equal(options_append_escaped(&buf, "/a,b\\c"), 0);
	assert_int_equal(buf_append(&buf, "", 1), 0);
	assert_string_equal((const char *)buf.data, "/a\\,b\\\\c");
	buf_release(&buf);
}

static void options_and_arguments_come_in_any_order(void **state)
{
	(void)state;
	assert_int_equal(parse("-o", "commit=1", "store", "-f", "mnt",
			       "-odurability=none", NULL),
			 0);
	assert_non_null(options.store);
	assert_non_null(options.mountpoint);
	assert_true(options.foreground);
	assert_false(options.debug);
	assert_int_equal(options.commit_s, 1);
	assert_int_equal(options.durability, KV_DURABILITY_NONE);
}

static void short_options_may_stand_together(void **state)
{
	(void)state;
	assert_int_equal(parse("-sfdo", "commit=1", "s", "m", NULL), 0);
	assert_true(options.debug);
	assert_int_equal(options.commit_s, 1);
}

static void behind_two_dashes_there_are_no_options(void **state)
{
	(void)state;
	assert_int_equal(parse("--", "-f", "-d", NULL), 0);
	assert_non_null(options.mountpoint);
	assert_false(options.foreground);
}

static void wrong_usage_is_told_from_wrong_values(void **state)
{
	(void)state;
	assert_int_equal(parse("store", NULL), -EDOM);
	assert_int_equal(parse(NULL), -EDOM);
	assert_int_equal(parse("a", "b", "c", NULL), -EDOM);
	assert_int_equal(parse("-x", "a", "b", NULL), -EDOM);
	assert_int_equal(parse("--what", "a", "b", NULL), -EDOM);
	assert_int_equal(parse("a", "b", "-o", NULL), -EDOM);
	assert_int_equal(parse("", "b", NULL), -EDOM);
}

static void help_needs_no_arguments(void **state)
{
	(void)state;
	assert_int_equal(parse("--help", NULL), 0);
	assert_true(options.show_help);
	assert_int_equal(parse("-V", NULL), 0);
	assert_true(options.show_version);
}

static void what_is_in_force_can_be_given_again(void **state)
{
	struct buf text = { 0 };
	struct options again;
	struct options_error why;
	char *line, *rest;

	(void)state;
	assert_int_equal(words("commit=9,compress=zlib:3,size=5G,stats=off,"
			       "block_size=8K,writeback,slow_op=250"),
			 0);
	assert_int_equal(options_render(&options, &text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);

	options_init(&again, &defaults);
	rest = (char *)text.data;
	while ((line = strsep(&rest, "\n")) && *line) {
		char *value = strchr(line, ' ');

		assert_non_null(value);
		*value++ = '=';
		/* Flags are shown as on and off. */
		if (strcmp(value, "off") == 0 && strncmp(line, "stats", 5) != 0)
			continue;
		if (strcmp(value, "on") == 0)
			value[-1] = 0;
		assert_int_equal(options_parse_words(&again, line, &why), 0);
	}
	assert_int_equal(again.commit_s, 9);
	assert_int_equal(again.compress_level, 3);
	assert_int_equal(again.size_limit_bytes, (uint64_t)5 << 30);
	assert_int_equal(again.stats, STATS_OFF);
	assert_int_equal(again.block_size_bytes, 8192);
	assert_int_equal(again.writeback, 1);
	assert_int_equal(again.slow_op_ms, 250);
	options_release(&again);
	buf_release(&text);
}

static void options_reach_the_store(void **state)
{
	struct fs_options fs = defaults;

	(void)state;
	assert_int_equal(words("ro,commit=2,memory=8M,compact=off,"
			       "compact_ratio=30,compact_rate=1M,size=1G,"
			       "segment_size=4M,durability=always,"
			       "compress=zlib:2,block_size=4K"),
			 0);
	options_apply(&options, &fs);
	assert_true(fs.kv.read_only);
	assert_false(fs.kv.create);
	assert_int_equal(fs.kv.commit_interval_ms, 2000);
	assert_int_equal(fs.kv.memory_bytes, 8 << 20);
	assert_false(fs.kv.compact_auto);
	assert_int_equal(fs.kv.compact_ratio, 30);
	assert_int_equal(fs.kv.compact_rate, 1 << 20);
	assert_int_equal(fs.kv.segment_size_bytes, 4 << 20);
	assert_int_equal(fs.kv.durability, KV_DURABILITY_ALWAYS);
	assert_int_equal(fs.kv.compress_level, 2);
	assert_int_equal(fs.size_limit_bytes, (uint64_t)1 << 30);
	assert_int_equal(fs.block_size_bytes, 4096);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(what_is_not_given_has_its_default),
		RULE(sizes_take_suffixes),
		RULE(what_is_no_size_is_refused_in_one_line),
		RULE(a_value_out_of_range_is_refused_and_the_range_told),
		RULE(a_number_that_overflows_is_out_of_range),
		RULE(the_bounds_of_a_range_belong_to_it),
		RULE(a_block_is_a_power_of_two),
		RULE(words_of_a_list_are_the_only_ones),
		RULE(compression_has_a_level),
		RULE(a_flag_takes_no_value_and_others_need_one),
		RULE(the_last_of_several_counts),
		RULE(words_of_fstab_are_accepted_and_dropped),
		RULE(options_of_fuse_are_passed_on),
		RULE(what_nobody_knows_is_left_to_libfuse),
		RULE(an_escaped_comma_does_not_end_a_word),
		RULE(escaping_and_splitting_undo_each_other),
		RULE(options_and_arguments_come_in_any_order),
		RULE(short_options_may_stand_together),
		RULE(behind_two_dashes_there_are_no_options),
		RULE(wrong_usage_is_told_from_wrong_values),
		RULE(help_needs_no_arguments),
		RULE(what_is_in_force_can_be_given_again),
		RULE(options_reach_the_store),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
