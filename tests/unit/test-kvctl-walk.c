/* SPDX-License-Identifier: MIT */

/*
 * Walking keys in order: tools/walk.h, over a target that is a literal list of
 * paths. Its names come in the order of the list, as a mount's do.
 */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tools/target_ops.h"
#include "tools/walk.h"

/*
 * Directories are numbered by where in the list the first path through them
 * is; `fd` counts how many are open.
 */
struct fake {
	struct target target;
	const char *const *paths; /* ends with NULL */
	const char *broken;       /* a directory that cannot be listed */
	const char *untyped;      /* listings do not tell its type */
	int open_count, open_max;
	int removed_while_away; /* target_resume() finds another directory */
};

/* The directory a target_dir stands for: its path is kept by number. */
static char dir_paths[1024][128];
static uint64_t dir_count;

static uint64_t dir_number(const char *path)
{
	uint64_t i;

	for (i = 0; i < dir_count; i++) {
		if (strcmp(dir_paths[i], path) == 0)
			return i + 1;
	}
	assert_true(dir_count < 1024);
	snprintf(dir_paths[dir_count], sizeof(dir_paths[0]), "%s", path);
	return ++dir_count;
}

static const char *dir_path(const struct target_dir *dir)
{
	return dir_paths[dir->ino - 1];
}

static struct fake *fake_of(struct target *target)
{
	return (struct fake *)target;
}

static int fake_open_number(struct target *target, uint64_t number,
			    struct target_dir *ret_dir)
{
	struct fake *fake = fake_of(target);

	*ret_dir = (struct target_dir){ .ino = number, .fd = 1 };
	if (++fake->open_count > fake->open_max)
		fake->open_max = fake->open_count;
	return 0;
}

static int fake_open(struct target *target, const char *path,
		     struct target_dir *ret_dir)
{
	return fake_open_number(target, dir_number(path), ret_dir);
}

static int fake_root(struct target *target, struct target_dir *ret_dir)
{
	return fake_open(target, "", ret_dir);
}

static void path_join(char *dst, size_t size, const struct target_dir *dir,
		      const char *name)
{
	const char *path = dir_path(dir);

	assert_true((size_t)snprintf(dst, size, "%s%s%s", path,
				     *path ? "/" : "", name) < size);
}

/* 0 absent, or type bits: what the list makes of a path. */
static uint32_t type_of(const struct fake *fake, const char *path)
{
	size_t i, size = strlen(path);

	for (i = 0; fake->paths[i]; i++) {
		if (strcmp(fake->paths[i], path) == 0)
			return S_IFREG;
		if (strncmp(fake->paths[i], path, size) == 0 &&
		    fake->paths[i][size] == '/')
			return S_IFDIR;
	}
	return 0;
}

static int fake_lookup(struct target *target, const struct target_dir *dir,
		       const char *name, struct fs_attr *ret_attr)
{
	char path[128];

	assert_int_equal(dir->fd, 1);
	path_join(path, sizeof(path), dir, name);
	*ret_attr = (struct fs_attr){ .mode = type_of(fake_of(target), path) };
	return ret_attr->mode ? 0 : 1;
}

static int fake_enter(struct target *target, const struct target_dir *dir,
		      const char *name, struct target_dir *ret_dir)
{
	struct fs_attr attr;
	char path[128];

	if (fake_lookup(target, dir, name, &attr))
		return -ENOENT;
	if (!S_ISDIR(attr.mode))
		return -ENOTDIR;
	path_join(path, sizeof(path), dir, name);
	return fake_open(target, path, ret_dir);
}

static void fake_leave(struct target *target, struct target_dir *dir)
{
	if (dir->fd == 1)
		fake_of(target)->open_count--;
}

static int fake_resume(struct target *target, const struct target_dir *child,
		       struct target_dir *dir)
{
	(void)child;
	if (fake_of(target)->removed_while_away)
		return -ESTALE;
	return fake_open_number(target, dir->ino, dir);
}

/* Adds the name that a path has in this directory, if any. */
static int fake_add(const struct fake *fake, const struct target_dir *dir,
		    const char *path, struct page *page)
{
	const char *base = dir_path(dir);
	size_t size = strlen(base);
	char name[128], whole[128];
	uint32_t mode;

	if (strncmp(path, base, size) != 0 || (size && path[size] != '/'))
		return 0;
	path += size ? size + 1 : 0;
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(path, "/"), path);
	path_join(whole, sizeof(whole), dir, name);
	mode = type_of(fake, whole);
	if (fake->untyped && strcmp(fake->untyped, whole) == 0)
		mode = 0;
	return page_add(page, slice_of(name, strlen(name)), 1, mode);
}

static int fake_list(struct target *target, const struct target_dir *dir,
		     struct page *page)
{
	const struct fake *fake = fake_of(target);
	size_t i;
	int r = 0;

	assert_int_equal(dir->fd, 1);
	if (fake->broken && strcmp(fake->broken, dir_path(dir)) == 0)
		return -EIO;
	/* A list names a directory once for every path through it, but next
	 * to each other: only the first adds it. */
	for (i = 0; r == 0 && fake->paths[i]; i++) {
		char one[128], two[128];
		size_t size = strlen(dir_path(dir)) + 1;

		snprintf(one, sizeof(one), "%s", fake->paths[i]);
		snprintf(two, sizeof(two), "%s", i ? fake->paths[i - 1] : "");
		if (size == 1)
			size = 0;
		if (i && strlen(one) > size && strlen(two) > size) {
			one[size + strcspn(one + size, "/")] = '\0';
			two[size + strcspn(two + size, "/")] = '\0';
			if (strcmp(one, two) == 0)
				continue;
		}
		r = fake_add(fake, dir, fake->paths[i], page);
	}
	return r;
}

static const struct target_ops fake_ops = {
	.root = fake_root,
	.enter = fake_enter,
	.leave = fake_leave,
	.resume = fake_resume,
	.lookup = fake_lookup,
	.list = fake_list,
	.page_budget_max_bytes = 4096,
	.page_budget_min_bytes = 4096,
};

static struct fake fake_of_paths(const char *const *paths)
{
	dir_count = 0;
	return (struct fake){ .target.ops = &fake_ops, .paths = paths };
}

/* The keys in a range, each followed by a space. */
static void walk_keys(struct fake *fake, const struct walk_range *range,
		      char *text, size_t size)
{
	struct walk walk;
	struct slice key;
	size_t used = 0;
	int r;

	text[0] = '\0';
	assert_int_equal(walk_init(&walk, &fake->target, range), 0);
	while ((r = walk_next(&walk)) != 1) {
		if (r == 0 && walk.event != WALK_FILE)
			continue;
		assert_int_equal(walk_key(&walk, &key), 0);
		used += (size_t)snprintf(text + used, size - used, "%s%.*s ",
					 r ? "!" : "", (int)key.size,
					 (const char *)key.data);
		assert_true(used < size);
	}
	walk_release(&walk);
	assert_int_equal(fake->open_count, 0);
}

static const char *const tree[] = {
	"user/7", "user/42",  "user/42x/mail", "user/42x/name",
	"zoo",    "user.old", "a/m/5",         "a/m/4",
	"a/n/1",  "a/p/1",    "a/p/2",         "a/p/3",
	"b",      NULL,
};

struct range_case {
	const char *prefix, *from, *after, *to;
	const char *keys;
};

static struct slice slice_of_string(const char *text)
{
	return slice_of(text, text ? strlen(text) : 0);
}

static void assert_ranges(const char *const *paths,
			  const struct range_case *cases, size_t count)
{
	struct fake fake = fake_of_paths(paths);
	char text[1024];
	size_t i;

	for (i = 0; i < count; i++) {
		const struct range_case *c = &cases[i];
		struct walk_range range = {
			.prefix = slice_of_string(c->prefix),
			.from = slice_of_string(c->after ? c->after : c->from),
			.to = slice_of_string(c->to),
			.after = c->after,
		};

		walk_keys(&fake, &range, text, sizeof(text));
		assert_string_equal(text, c->keys);
	}
}

#define ASSERT_RANGES(paths, cases) \
	assert_ranges(paths, cases, sizeof(cases) / sizeof((cases)[0]))

static void names_come_in_order_of_their_bytes(void **state)
{
	static const struct range_case cases[] = {
		{ .keys = "a/m/4 a/m/5 a/n/1 a/p/1 a/p/2 a/p/3 b user/42 "
			  "user/42x/mail user/42x/name user/7 user.old zoo " },
	};

	(void)state;
	ASSERT_RANGES(tree, cases);
}

static void a_prefix_is_of_the_keys_bytes(void **state)
{
	static const struct range_case cases[] = {
		{ .prefix = "user/4",
		  .keys = "user/42 user/42x/mail "
			  "user/42x/name " },
		{ .prefix = "user/42",
		  .keys = "user/42 user/42x/mail "
			  "user/42x/name " },
		{ .prefix = "user/42x/",
		  .keys = "user/42x/mail "
			  "user/42x/name " },
		{ .prefix = "user/42x/n", .keys = "user/42x/name " },
		{ .prefix = "user",
		  .keys = "user/42 user/42x/mail "
			  "user/42x/name user/7 user.old " },
		{ .prefix = "user.", .keys = "user.old " },
		{ .prefix = "b/", .keys = "" },
		{ .prefix = "nobody", .keys = "" },
		{ .prefix = "nobody/1", .keys = "" },
		{ .prefix = "zoo", .keys = "zoo " },
		{ .prefix = "zoos", .keys = "" },
	};

	(void)state;
	ASSERT_RANGES(tree, cases);
}

static void a_range_begins_and_ends_at_keys_that_need_not_exist(void **state)
{
	static const struct range_case cases[] = {
		{ .from = "a/m/5",
		  .to = "a/p/2",
		  .keys = "a/m/5 a/n/1 "
			  "a/p/1 " },
		{ .from = "a/m/45", .to = "a/n", .keys = "a/m/5 " },
		{ .from = "a/o", .to = "a/p/9", .keys = "a/p/1 a/p/2 a/p/3 " },
		{ .after = "a/m/5", .to = "a/p", .keys = "a/n/1 " },
		{ .after = "a/m/45", .to = "a/n", .keys = "a/m/5 " },
		{ .after = "zoo", .keys = "" },
		{ .from = "zoo", .keys = "zoo " },
		/* What stands where the way should lead is before it. */
		{ .from = "b/x",
		  .to = "user/7",
		  .keys = "user/42 "
			  "user/42x/mail "
			  "user/42x/name " },
		{ .from = "b", .to = "b/x", .keys = "b " },
		{ .to = "a/m/4", .keys = "" },
		{ .to = "a/m/5", .keys = "a/m/4 " },
		/* A directory stands before what is in it. */
		{ .from = "a/p", .to = "b", .keys = "a/p/1 a/p/2 a/p/3 " },
		{ .after = "a/p", .to = "b", .keys = "a/p/1 a/p/2 a/p/3 " },
		{ .from = "a/p/", .to = "b", .keys = "a/p/1 a/p/2 a/p/3 " },
		{ .from = "m", .to = "c", .keys = "" },
	};

	(void)state;
	ASSERT_RANGES(tree, cases);
}

static void prefix_and_range_go_together(void **state)
{
	static const struct range_case cases[] = {
		{ .prefix = "a/",
		  .from = "a/m/5",
		  .to = "a/p/2",
		  .keys = "a/m/5 a/n/1 a/p/1 " },
		{ .prefix = "a/p/",
		  .from = "a/m",
		  .keys = "a/p/1 a/p/2 "
			  "a/p/3 " },
		{ .prefix = "a/p/", .from = "b", .keys = "" },
		{ .prefix = "a/p/", .to = "a/n", .keys = "" },
		{ .prefix = "a/p/",
		  .after = "a/p/1",
		  .to = "a/p/3",
		  .keys = "a/p/2 " },
	};

	(void)state;
	ASSERT_RANGES(tree, cases);
}

/* "%~." is the key ".", "%~" the empty one, "%~a%00" has a NUL. */
static const char *const escaped[] = {
	"%~.",    "%~",   "%~%25~.", "#a",   "d/%~/x",
	"d/%~..", "d/.x", "d/a",     "100%", NULL,
};

static void a_prefix_finds_keys_whose_names_are_escapes(void **state)
{
	static const struct range_case cases[] = {
		{ .keys = "#a  %~. . 100% d//x d/.. d/.x d/a " },
		{ .prefix = ".", .keys = ". " },
		{ .prefix = "#", .keys = "#a " },
		{ .prefix = "%", .keys = "%~. " },
		{ .prefix = "d/.", .keys = "d/.. d/.x " },
		{ .prefix = "d//", .keys = "d//x " },
		{ .prefix = "d/", .keys = "d//x d/.. d/.x d/a " },
		{ .prefix = "1", .keys = "100% " },
	};

	(void)state;
	ASSERT_RANGES(escaped, cases);
}

static void pages_do_not_show_in_the_listing(void **state)
{
	static char names[800][40];
	static const char *paths[801];
	struct fake fake;
	struct walk walk;
	unsigned int i, next = 0;
	char expected[40];

	(void)state;
	for (i = 0; i < 800; i++) {
		snprintf(names[i], sizeof(names[i]), "dir-%03u/file",
			 i * 37 % 800);
		paths[i] = names[i];
	}
	fake = fake_of_paths(paths);
	assert_int_equal(
		walk_init(&walk, &fake.target, &(struct walk_range){ 0 }), 0);
	while (walk_next(&walk) == 0) {
		if (walk.event != WALK_FILE)
			continue;
		snprintf(expected, sizeof(expected), "dir-%03u/file", next++);
		assert_true(slice_equal(buf_slice(&walk.path),
					slice_of_string(expected)));
	}
	assert_int_equal(next, 800);
	walk_release(&walk);
}

static void a_directory_is_entered_before_and_left_after_its_keys(void **state)
{
	static const char *const paths[] = { "d/e/f", "d/g", NULL };
	static const struct {
		enum walk_event event;
		const char *path, *dir;
	} events[] = {
		{ WALK_ENTER, "d", NULL },     { WALK_ENTER, "d/e", NULL },
		{ WALK_FILE, "d/e/f", "d/e" }, { WALK_LEAVE, "d/e", "d" },
		{ WALK_FILE, "d/g", "d" },     { WALK_LEAVE, "d", "" },
	};
	struct fake fake = fake_of_paths(paths);
	struct walk walk;
	size_t i;

	(void)state;
	assert_int_equal(
		walk_init(&walk, &fake.target, &(struct walk_range){ 0 }), 0);
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		assert_int_equal(walk_next(&walk), 0);
		assert_int_equal(walk.event, events[i].event);
		assert_true(slice_equal(buf_slice(&walk.path),
					slice_of_string(events[i].path)));
		if (events[i].dir)
			assert_string_equal(dir_path(walk_dir(&walk)),
					    events[i].dir);
	}
	assert_int_equal(walk_next(&walk), 1);
	assert_int_equal(walk_next(&walk), 1);
	walk_release(&walk);
}

static void what_cannot_be_read_is_named_and_the_rest_is_met(void **state)
{
	struct fake fake = fake_of_paths(tree);
	char text[1024];

	(void)state;
	fake.broken = "a";
	walk_keys(&fake, &(struct walk_range){ 0 }, text, sizeof(text));
	assert_string_equal(text, "!a b user/42 user/42x/mail user/42x/name "
				  "user/7 user.old zoo ");
}

static void a_type_that_is_not_told_is_asked_for(void **state)
{
	static const char *const paths[] = { "d/x", "e", NULL };
	struct fake fake = fake_of_paths(paths);
	char text[1024];

	(void)state;
	fake.untyped = "d";
	walk_keys(&fake, &(struct walk_range){ 0 }, text, sizeof(text));
	assert_string_equal(text, "d/x e ");
}

static void a_shallow_walk_passes_directories(void **state)
{
	static const struct {
		const char *prefix, *after, *paths;
	} cases[] = {
		{ "", NULL, "a b user user.old zoo " },
		{ "user", NULL, "user user.old " },
		{ "user/", NULL, "user/42 user/42x user/7 " },
		{ "user/42", NULL, "user/42 user/42x " },
		{ "user/", "user/42x/", "user/7 " },
		{ "user/42x/", NULL, "user/42x/mail user/42x/name " },
	};
	struct fake fake = fake_of_paths(tree);
	char text[256];
	struct walk walk;
	size_t i, used;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct walk_range range = {
			.prefix = slice_of_string(cases[i].prefix),
			.from = slice_of_string(cases[i].after),
			.after = cases[i].after,
			.shallow = true,
		};

		used = 0;
		assert_int_equal(walk_init(&walk, &fake.target, &range), 0);
		while (walk_next(&walk) == 0) {
			if (walk.event != WALK_FILE && walk.event != WALK_PASS)
				continue;
			used += (size_t)snprintf(text + used,
						 sizeof(text) - used, "%.*s ",
						 (int)walk.path.size,
						 (const char *)walk.path.data);
		}
		walk_release(&walk);
		assert_string_equal(text, cases[i].paths);
	}
}

/* d/d/d/.../f, with a file z beside each d. */
static const char *const *deep_paths(void)
{
	static char names[101][128];
	static const char *paths[102];
	unsigned int i, at;

	for (i = 0; i <= 50; i++) {
		at = 0;
		for (unsigned int d = 0; d < i; d++) {
			names[50 - i][at++] = 'd';
			names[50 - i][at++] = '/';
		}
		names[50 - i][at++] = 'z';
		paths[50 - i] = names[50 - i];
	}
	return paths;
}

static void deep_trees_keep_few_directories_open(void **state)
{
	struct fake fake = fake_of_paths(deep_paths());
	struct walk walk;
	int files = 0;

	(void)state;
	assert_int_equal(
		walk_init(&walk, &fake.target, &(struct walk_range){ 0 }), 0);
	while (walk_next(&walk) == 0)
		files += walk.event == WALK_FILE;
	assert_int_equal(files, 51);
	assert_true(fake.open_max <= 36);
	assert_int_equal(fake.open_count, 0);
	walk_release(&walk);
}

static void a_directory_that_moved_meanwhile_is_an_error(void **state)
{
	struct fake fake = fake_of_paths(deep_paths());
	struct walk walk;
	int r, errors = 0;

	(void)state;
	fake.removed_while_away = 1;
	assert_int_equal(
		walk_init(&walk, &fake.target, &(struct walk_range){ 0 }), 0);
	while ((r = walk_next(&walk)) != 1) {
		if (r < 0)
			assert_int_equal(r, -ESTALE);
		errors += r < 0;
	}
	assert_true(errors > 0);
	assert_int_equal(fake.open_count, 0);
	walk_release(&walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_come_in_order_of_their_bytes),
		cmocka_unit_test(a_prefix_is_of_the_keys_bytes),
		cmocka_unit_test(
			a_range_begins_and_ends_at_keys_that_need_not_exist),
		cmocka_unit_test(prefix_and_range_go_together),
		cmocka_unit_test(a_prefix_finds_keys_whose_names_are_escapes),
		cmocka_unit_test(pages_do_not_show_in_the_listing),
		cmocka_unit_test(
			a_directory_is_entered_before_and_left_after_its_keys),
		cmocka_unit_test(
			what_cannot_be_read_is_named_and_the_rest_is_met),
		cmocka_unit_test(a_type_that_is_not_told_is_asked_for),
		cmocka_unit_test(a_shallow_walk_passes_directories),
		cmocka_unit_test(deep_trees_keep_few_directories_open),
		cmocka_unit_test(a_directory_that_moved_meanwhile_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
