/* SPDX-License-Identifier: MIT */

#include "fs/stats_text.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct stats_report report;
static struct options options;
static struct opstats counters;
static struct buf text;

static int setup(void **state)
{
	(void)state;
	options = (struct options){ .commit_s = 5, .compact_ratio = 50 };
	report = (struct stats_report){
		.version = "1.2.3",
		.store = "/data/store",
		.mountpoint = "/mnt",
		.options = &options,
		.uptime_s = 61,
		.block_size_bytes = 65536,
		.kv.key_count = 12345,
		.kv.bloom_skip_count = 678,
		.fs.file_count = 99,
	};
	memset(&counters, 0, sizeof(counters));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	buf_release(&text);
	return 0;
}

static const char *rendered(int (*render)(const struct stats_report *report,
					  struct buf *ret_text))
{
	for (unsigned int op = 0; op < OP_COUNT; op++)
		opstats_read(&counters, (enum op)op, &report.ops[op]);
	buf_clear(&text);
	assert_int_equal(render(&report, &text), 0);
	assert_int_equal(buf_append(&text, "", 1), 0);
	return (const char *)text.data;
}

static bool has_line(const char *page, const char *line)
{
	size_t size = strlen(line);
	const char *s = page;

	while ((s = strstr(s, line))) {
		if ((s == page || s[-1] == '\n') && s[size] == '\n')
			return true;
		s++;
	}
	return false;
}

static unsigned int line_count(const char *page)
{
	unsigned int count = 0;

	for (; *page; page++)
		count += *page == '\n';
	return count;
}

static void times_fall_into_buckets_that_touch(void **state)
{
	(void)state;
	assert_int_equal(opstats_bucket(0), 0);
	assert_int_equal(opstats_bucket(255), 0);
	assert_int_equal(opstats_bucket(256), 1);
	assert_int_equal(opstats_bucket(1000), 8);
	assert_int_equal(opstats_bucket(UINT64_MAX), OPSTATS_BUCKET_COUNT - 1);
	for (unsigned int i = 0; i + 1 < OPSTATS_BUCKET_COUNT; i++) {
		uint64_t end = opstats_bucket_end_ns(i);

		assert_int_equal(opstats_bucket(end - 1), i);
		assert_int_equal(opstats_bucket(end), i + 1);
	}
}

static void a_percentile_is_at_most_a_quarter_too_high(void **state)
{
	struct op_figures figures;
	uint64_t p;

	(void)state;
	for (uint64_t i = 1; i <= 1000; i++)
		opstats_record(&counters, OP_READ, i * 1000, 0);
	opstats_read(&counters, OP_READ, &figures);
	assert_int_equal(figures.count, 1000);
	assert_int_equal(figures.time_ns, 500500 * 1000);
	p = op_figures_percentile_ns(&figures, 500);
	assert_in_range(p, 500000, 625000);
	p = op_figures_percentile_ns(&figures, 990);
	assert_in_range(p, 990000, 1240000);
}

static void the_percentile_of_nothing_is_zero_and_of_one_is_it(void **state)
{
	struct op_figures figures;

	(void)state;
	opstats_read(&counters, OP_READ, &figures);
	assert_int_equal(op_figures_percentile_ns(&figures, 990), 0);
	opstats_record(&counters, OP_READ, 5000, 0);
	opstats_read(&counters, OP_READ, &figures);
	assert_in_range(op_figures_percentile_ns(&figures, 1), 5000, 6250);
	assert_in_range(op_figures_percentile_ns(&figures, 999), 5000, 6250);
}

static void errors_are_counted_and_io_errors_twice(void **state)
{
	struct op_figures figures;

	(void)state;
	opstats_record(&counters, OP_LOOKUP, 1, -ENOENT);
	opstats_record(&counters, OP_READ, 1, -EIO);
	opstats_read(&counters, OP_LOOKUP, &figures);
	assert_int_equal(figures.error_count, 1);
	assert_int_equal(counters.io_error_count, 1);
}

static void stats_are_lines_of_name_and_value(void **state)
{
	const char *page = rendered(stats_render_text);

	(void)state;
	assert_true(has_line(page, "version 1.2.3"));
	assert_true(has_line(page, "store /data/store"));
	assert_true(has_line(page, "uptime_seconds 61"));
	assert_true(has_line(page, "keys 12345"));
	assert_true(has_line(page, "files 99"));
	assert_true(has_line(page, "bloom_skips 678"));
	assert_true(has_line(page, "health ok"));
	assert_true(has_line(page, "recovery clean"));
}

static void stats_fit_one_screen(void **state)
{
	(void)state;
	for (unsigned int op = 0; op < OP_COUNT; op++)
		opstats_record(&counters, (enum op)op, 1000, 0);
	assert_in_range(line_count(rendered(stats_render_text)), 20, 56);
}

static void the_most_frequent_requests_are_shown(void **state)
{
	const char *page;

	(void)state;
	for (unsigned int op = 0; op < OP_COUNT; op++)
		opstats_record(&counters, (enum op)op, 1000, 0);
	for (int i = 0; i < 9; i++)
		opstats_record(&counters, OP_IOCTL, 1000, 0);
	page = rendered(stats_render_text);
	assert_non_null(strstr(page, "\nop_ioctl 10 errors 0 p50_us 1.0 "));
	assert_non_null(strstr(page, "\nop_lookup 1 "));
	assert_null(strstr(page, "\nop_lseek "));
}

static void requests_that_never_came_are_not_shown(void **state)
{
	(void)state;
	assert_null(strstr(rendered(stats_render_text), "\nop_"));
}

static void health_has_its_reasons(void **state)
{
	(void)state;
	assert_string_equal(rendered(stats_render_health), "ok\n");
	report.kv.damaged_read_count = 3;
	assert_string_equal(rendered(stats_render_health),
			    "damaged\n3 reads of damaged records\n");
	report.kv.failed = EIO;
	assert_string_equal(rendered(stats_render_health),
			    "failed\nread-only since writing to the disk "
			    "failed: Input/output error\n3 reads of damaged "
			    "records\n");
}

static void what_recovery_lost_is_damage_and_a_full_disk_is_not(void **state)
{
	(void)state;
	report.kv.space_low = 1;
	assert_string_equal(rendered(stats_render_health),
			    "ok\nthe disk is full: only deletions are taken\n");
	report.kv.space_low = 0;
	report.kv.recovery = KV_RECOVERY_DAMAGED;
	report.kv.recovery_lost_count = 7;
	assert_string_equal(
		rendered(stats_render_health),
		"damaged\ndamage was found when the store was opened\n"
		"7 changes were lost to it, the newest before a crash\n");
}

static void reserve_and_losses_are_figures(void **state)
{
	const char *page;

	(void)state;
	report.kv.reserve_bytes = 8192;
	report.kv.space_low = 1;
	report.kv.recovery_lost_count = 7;
	page = rendered(stats_render_text);
	assert_true(has_line(page, "reserve_bytes 8192"));
	assert_true(has_line(page, "space_low 1"));
	assert_true(has_line(page, "recovery_lost 7"));
	page = rendered(stats_render_metrics);
	assert_true(has_line(page, "kvfs_reserve_bytes 8192"));
	assert_true(has_line(page, "kvfs_space_low 1"));
	assert_true(has_line(page, "kvfs_recovery_lost 7"));
	page = rendered(stats_render_json);
	assert_non_null(strstr(page, "\"reserve_bytes\": 8192,"));
	assert_non_null(strstr(page, "\"space_low\": 1,"));
	assert_non_null(strstr(page, "\"recovery_lost\": 7,"));
}

static void json_escapes_what_json_must(void **state)
{
	const char *page;

	(void)state;
	report.store = "/a\"b\\c\nd\xff\xc3\xa4";
	page = rendered(stats_render_json);
	assert_non_null(
		strstr(page, "\"/a\\\"b\\\\c\\u000ad\\ufffd\xc3\xa4\""));
}

/* Brackets match, outside of strings; commas stand between values only. */
static void json_is_balanced(void **state)
{
	const char *page;
	int depth = 0;
	bool in_string = false;
	char last = 0;

	(void)state;
	opstats_record(&counters, OP_READ, 1000, 0);
	opstats_record(&counters, OP_WRITE, 1000, 0);
	page = rendered(stats_render_json);
	for (const char *s = page; *s; s++) {
		if (*s == '"')
			in_string = !in_string;
		if (in_string || *s == ' ' || *s == '\n')
			continue;
		if (*s == '{')
			depth++;
		if (*s == '}') {
			assert_int_not_equal(last, ',');
			depth--;
		}
		last = *s;
	}
	assert_int_equal(depth, 0);
	assert_non_null(strstr(page, "\"read\": {\"count\": 1,"));
}

static void metrics_tell_help_and_type_of_each_name(void **state)
{
	const char *page = rendered(stats_render_metrics);
	const char *line = page;
	char help[128];

	(void)state;
	assert_non_null(strstr(page, "kvfs_info{version=\"1.2.3\",store="
				     "\"/data/store\",mountpoint=\"/mnt\"} 1"));
	assert_true(has_line(page, "# TYPE kvfs_keys gauge"));
	assert_true(has_line(page, "kvfs_keys 12345"));
	assert_true(has_line(page, "# TYPE kvfs_bloom_skips_total counter"));
	assert_true(has_line(page, "kvfs_bloom_skips_total 678"));
	assert_true(has_line(page, "kvfs_healthy 1"));
	while (*line) {
		size_t name = strcspn(line, " {\n");

		if (*line != '#') {
			snprintf(help, sizeof(help), "# HELP %.*s ", (int)name,
				 line);
			assert_non_null(strstr(page, help));
		}
		line = strchr(line, '\n') + 1;
	}
}

static void a_histogram_grows_up_to_its_count(void **state)
{
	const char *page;

	(void)state;
	opstats_record(&counters, OP_READ, 10000, 0);
	opstats_record(&counters, OP_READ, 100000, 0);
	opstats_record(&counters, OP_READ, 100000000000, 0);
	page = rendered(stats_render_metrics);
	assert_non_null(strstr(page, "kvfs_op_seconds_bucket{op=\"read\","
				     "le=\"1.6384e-05\"} 1\n"));
	assert_non_null(strstr(page, "kvfs_op_seconds_bucket{op=\"read\","
				     "le=\"0.000262144\"} 2\n"));
	assert_non_null(strstr(page, "kvfs_op_seconds_bucket{op=\"read\","
				     "le=\"17.1798692\"} 2\n"));
	assert_non_null(strstr(page, "kvfs_op_seconds_bucket{op=\"read\","
				     "le=\"+Inf\"} 3\n"));
	assert_non_null(strstr(page, "kvfs_op_seconds_count{op=\"read\"} 3\n"));
}

static void a_label_is_escaped(void **state)
{
	(void)state;
	report.store = "a\"b\\c\nd";
	assert_non_null(strstr(rendered(stats_render_metrics),
			       "store=\"a\\\"b\\\\c\\nd\""));
}

static void the_configuration_shows_the_store_s_own_block_size(void **state)
{
	const char *page;

	(void)state;
	options.block_size_bytes = 4096;
	page = rendered(stats_render_config);
	assert_true(has_line(page, "block_size 64K"));
	assert_true(has_line(page, "commit 5"));
	assert_true(has_line(page, "compress none"));
	assert_true(has_line(page, "mountpoint /mnt"));
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(times_fall_into_buckets_that_touch),
		RULE(a_percentile_is_at_most_a_quarter_too_high),
		RULE(the_percentile_of_nothing_is_zero_and_of_one_is_it),
		RULE(errors_are_counted_and_io_errors_twice),
		RULE(stats_are_lines_of_name_and_value),
		RULE(stats_fit_one_screen),
		RULE(the_most_frequent_requests_are_shown),
		RULE(requests_that_never_came_are_not_shown),
		RULE(health_has_its_reasons),
		RULE(what_recovery_lost_is_damage_and_a_full_disk_is_not),
		RULE(reserve_and_losses_are_figures),
		RULE(json_escapes_what_json_must),
		RULE(json_is_balanced),
		RULE(metrics_tell_help_and_type_of_each_name),
		RULE(a_histogram_grows_up_to_its_count),
		RULE(a_label_is_escaped),
		RULE(the_configuration_shows_the_store_s_own_block_size),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
