/* SPDX-License-Identifier: MIT */

#include "fs/virtual.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static struct virtual *virtual;
static unsigned int render_count;
static int render_error;

/* The text tells the file and how often one was rendered. */
static int render(void *ctx, enum virtual_file file, uint64_t partition,
		  struct buf *ret_text)
{
	char text[32];
	int size = snprintf(text, sizeof(text), "%d:%u\n", (int)file,
			    ++render_count);

	assert_int_equal(partition, file == VIRTUAL_PARTITION ? 40 : 0);

	assert_ptr_equal(ctx, &render_count);
	if (render_error)
		return render_error;
	return buf_append(ret_text, text, (size_t)size);
}

/* 40 is one. */
static bool is_partition(void *ctx, uint64_t ino)
{
	assert_ptr_equal(ctx, &render_count);
	return ino == 40;
}

static void make(enum stats_visibility visibility)
{
	struct virtual_settings settings = {
		.visibility = visibility,
		.uid = 7,
		.gid = 8,
		.render = render,
		.is_partition = is_partition,
		.ctx = &render_count,
	};

	virtual_free(virtual);
	render_count = 0;
	render_error = 0;
	assert_int_equal(virtual_new(&settings, &virtual), 0);
}

static int setup(void **state)
{
	(void)state;
	make(STATS_HIDDEN);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	virtual_free(virtual);
	virtual = NULL;
	return 0;
}

static int lookup(uint64_t parent, const char *name, uint64_t *ret_node,
		  struct fs_attr *ret_attr)
{
	return virtual_lookup(virtual, parent, slice_of(name, strlen(name)),
			      ret_node, ret_attr);
}

static uint64_t lookup_stats(void)
{
	struct fs_attr attr;
	uint64_t node;

	assert_int_equal(lookup(FS_ROOT_INO, ".stats", &node, &attr), 0);
	return node;
}

static uint64_t lookup_dir(void)
{
	struct fs_attr attr;
	uint64_t node;

	assert_int_equal(lookup(FS_ROOT_INO, ".kvfs", &node, &attr), 0);
	assert_true(S_ISDIR(attr.mode));
	return node;
}

static void the_stats_are_a_read_only_file_of_exact_size(void **state)
{
	struct fs_attr attr;
	uint64_t node;

	(void)state;
	assert_int_equal(lookup(FS_ROOT_INO, ".stats", &node, &attr), 0);
	assert_true(virtual_is_node(node));
	assert_true(virtual_is_node(attr.ino));
	assert_int_equal(attr.mode, S_IFREG | 0444);
	assert_int_equal(attr.uid, 7);
	assert_int_equal(attr.gid, 8);
	assert_int_equal(attr.size_bytes, strlen("0:1\n"));
	virtual_forget(virtual, node, 1);
}

static void each_lookup_is_a_new_snapshot_of_the_same_file(void **state)
{
	struct fs_attr first, second;
	uint64_t first_node, second_node;
	char text[16] = "";
	size_t got;

	(void)state;
	assert_int_equal(lookup(1, ".stats", &first_node, &first), 0);
	assert_int_equal(lookup(1, ".stats", &second_node, &second), 0);
	assert_int_not_equal(first_node, second_node);
	assert_int_equal(first.ino, second.ino);
	assert_int_equal(virtual_read(virtual, first_node, 0, text, 16, &got),
			 0);
	assert_string_equal(text, "0:1\n");
	assert_int_equal(virtual_read(virtual, second_node, 0, text, 16, &got),
			 0);
	assert_string_equal(text, "0:2\n");
	virtual_forget(virtual, first_node, 1);
	virtual_forget(virtual, second_node, 1);
}

static void a_read_begins_anywhere_and_ends_with_the_text(void **state)
{
	uint64_t node = lookup_stats();
	char text[16] = "";
	size_t got;

	(void)state;
	assert_int_equal(virtual_read(virtual, node, 2, text, 1, &got), 0);
	assert_int_equal(got, 1);
	assert_int_equal(text[0], '1');
	assert_int_equal(virtual_read(virtual, node, 2, text, 16, &got), 0);
	assert_int_equal(got, 2);
	assert_int_equal(virtual_read(virtual, node, 4, text, 16, &got), 0);
	assert_int_equal(got, 0);
	assert_int_equal(
		virtual_read(virtual, node, UINT64_MAX, text, 16, &got), 0);
	assert_int_equal(got, 0);
	virtual_forget(virtual, node, 1);
}

static void a_snapshot_is_gone_after_its_last_forget(void **state)
{
	uint64_t node = lookup_stats();
	struct fs_attr attr;
	uint64_t same;

	(void)state;
	assert_int_equal(lookup(node, ".", &same, &attr), 0);
	assert_int_equal(same, node);
	virtual_forget(virtual, node, 1);
	assert_int_equal(virtual_getattr(virtual, node, &attr), 0);
	virtual_forget(virtual, node, 1);
	assert_int_equal(virtual_getattr(virtual, node, &attr), -ESTALE);
	assert_int_equal(lookup(node, ".", &same, &attr), -ESTALE);
	/* A forget too many is none of anybody's. */
	virtual_forget(virtual, node, 1);
}

static void snapshots_are_limited(void **state)
{
	struct fs_attr attr;
	uint64_t first = lookup_stats();
	uint64_t node;

	(void)state;
	for (unsigned int i = 1; i < VIRTUAL_SNAPSHOT_MAX; i++)
		lookup_stats();
	assert_int_equal(lookup(1, ".stats", &node, &attr), -ENFILE);
	virtual_forget(virtual, first, 1);
	assert_int_equal(lookup(1, ".stats", &node, &attr), 0);
}

static void a_text_that_cannot_be_rendered_is_an_error(void **state)
{
	struct fs_attr attr;
	uint64_t node;

	(void)state;
	render_error = -ENOMEM;
	assert_int_equal(lookup(1, ".stats", &node, &attr), -ENOMEM);
}

static void the_directory_has_one_node_for_ever(void **state)
{
	uint64_t node = lookup_dir();
	struct fs_attr attr;

	(void)state;
	virtual_forget(virtual, node, 1);
	assert_int_equal(lookup_dir(), node);
	assert_int_equal(virtual_getattr(virtual, node, &attr), 0);
	assert_int_equal(attr.mode, S_IFDIR | 0555);
}

static void the_directory_has_the_other_files(void **state)
{
	static const char *const names[] = { "stats.json", "metrics", "health",
					     "config" };
	uint64_t dir = lookup_dir();
	struct fs_attr attr;
	uint64_t node;

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(lookup(dir, names[i], &node, &attr), 0);
		assert_true(S_ISREG(attr.mode));
		virtual_forget(virtual, node, 1);
	}
	assert_int_equal(lookup(dir, ".stats", &node, &attr), -ENOENT);
	assert_int_equal(lookup(dir, "", &node, &attr), -ENOENT);
}

static void other_names_are_not_virtual(void **state)
{
	struct fs_attr attr;
	uint64_t node;

	(void)state;
	assert_int_equal(lookup(1, "stats", &node, &attr), 1);
	assert_int_equal(lookup(1, ".stats2", &node, &attr), 1);
	assert_int_equal(lookup(1, "health", &node, &attr), 1);
	assert_int_equal(lookup(2, ".stats", &node, &attr), 1);
	assert_int_equal(render_count, 0);
}

static void a_file_is_no_directory(void **state)
{
	uint64_t node = lookup_stats();
	struct fs_attr attr;
	uint64_t other;
	size_t got;
	char byte;

	(void)state;
	assert_int_equal(lookup(node, "x", &other, &attr), -ENOTDIR);
	assert_int_equal(virtual_readdir(virtual, node, 0, NULL, NULL),
			 -ENOTDIR);
	assert_int_equal(virtual_read(virtual, lookup_dir(), 0, &byte, 1, &got),
			 -EISDIR);
	virtual_forget(virtual, node, 1);
}

static void switched_off_there_are_none_but_their_names_stay_kept(void **state)
{
	struct fs_attr attr;
	uint64_t node;

	(void)state;
	make(STATS_OFF);
	assert_int_equal(lookup(1, ".stats", &node, &attr), 1);
	assert_int_equal(lookup(1, ".kvfs", &node, &attr), 1);
	assert_true(virtual_is_reserved(virtual, 1, SLICE_LITERAL(".stats")));
	assert_true(virtual_is_reserved(virtual, 1, SLICE_LITERAL(".kvfs")));
	assert_false(virtual_is_reserved(virtual, 2, SLICE_LITERAL(".stats")));
	assert_false(virtual_is_reserved(virtual, 1, SLICE_LITERAL("stats")));
}

struct seen {
	char names[256];
	unsigned int room;
	uint64_t last_cookie;
};

static int see(void *ctx, const struct fs_dirent *entry)
{
	struct seen *seen = ctx;
	size_t used = strlen(seen->names);

	if (seen->room == 0)
		return 1;
	seen->room--;
	assert_true(entry->cookie > seen->last_cookie);
	seen->last_cookie = entry->cookie;
	snprintf(seen->names + used, sizeof(seen->names) - used, "%.*s ",
		 (int)entry->name.size, (const char *)entry->name.data);
	return 0;
}

static void the_directory_lists_itself(void **state)
{
	uint64_t dir = lookup_dir();
	struct seen seen = { .room = 100 };

	(void)state;
	assert_int_equal(virtual_readdir(virtual, dir, 0, see, &seen), 0);
	assert_string_equal(seen.names,
			    ". .. stats.json metrics health config ");
}

static void a_listing_goes_on_where_it_stopped(void **state)
{
	uint64_t dir = lookup_dir();
	struct seen all = { .room = 100 };
	struct seen parts = { .room = 0 };

	(void)state;
	virtual_readdir(virtual, dir, 0, see, &all);
	for (int i = 0; i < 10; i++) {
		parts.room = 1;
		virtual_readdir(virtual, dir, parts.last_cookie, see, &parts);
	}
	assert_string_equal(parts.names, all.names);
}

static void only_visible_files_are_in_the_root_s_listing(void **state)
{
	struct seen seen = { .room = 100 };

	(void)state;
	assert_int_equal(
		virtual_readdir_behind(virtual, FS_ROOT_INO, 5, see, &seen), 0);
	assert_string_equal(seen.names, "");
	make(STATS_VISIBLE);
	assert_int_equal(
		virtual_readdir_behind(virtual, FS_ROOT_INO, 5, see, &seen), 0);
	assert_string_equal(seen.names, ".stats .kvfs ");
	/* All of it was seen. */
	assert_int_equal(virtual_readdir_behind(virtual, FS_ROOT_INO,
						seen.last_cookie, see, &seen),
			 0);
	assert_string_equal(seen.names, ".stats .kvfs ");
}

static void a_partition_has_a_file_of_its_own(void **state)
{
	struct seen seen = { .room = 100 };
	struct fs_attr attr, root_attr;
	uint64_t node, root_node;

	(void)state;
	assert_int_equal(lookup(40, ".stats", &node, &attr), 0);
	assert_int_equal(lookup(1, ".stats", &root_node, &root_attr), 0);
	assert_int_not_equal(attr.ino, root_attr.ino);
	assert_true(virtual_is_node(attr.ino));
	assert_int_equal(attr.mode, S_IFREG | 0444);
	virtual_forget(virtual, node, 1);
	virtual_forget(virtual, root_node, 1);
	assert_int_equal(lookup(40, ".kvfs", &node, &attr), 1);
	assert_int_equal(lookup(41, ".stats", &node, &attr), 1);
	assert_true(virtual_is_reserved(virtual, 40, SLICE_LITERAL(".stats")));
	assert_false(virtual_is_reserved(virtual, 40, SLICE_LITERAL(".kvfs")));
	assert_false(virtual_has_entries(virtual, 40));
	make(STATS_VISIBLE);
	assert_true(virtual_has_entries(virtual, 40));
	assert_false(virtual_has_entries(virtual, 41));
	assert_int_equal(virtual_readdir_behind(virtual, 40, 5, see, &seen), 0);
	assert_string_equal(seen.names, ".stats ");
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(a_partition_has_a_file_of_its_own),
		RULE(the_stats_are_a_read_only_file_of_exact_size),
		RULE(each_lookup_is_a_new_snapshot_of_the_same_file),
		RULE(a_read_begins_anywhere_and_ends_with_the_text),
		RULE(a_snapshot_is_gone_after_its_last_forget),
		RULE(snapshots_are_limited),
		RULE(a_text_that_cannot_be_rendered_is_an_error),
		RULE(the_directory_has_one_node_for_ever),
		RULE(the_directory_has_the_other_files),
		RULE(other_names_are_not_virtual),
		RULE(a_file_is_no_directory),
		RULE(switched_off_there_are_none_but_their_names_stay_kept),
		RULE(the_directory_lists_itself),
		RULE(a_listing_goes_on_where_it_stopped),
		RULE(only_visible_files_are_in_the_root_s_listing),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
