/* SPDX-License-Identifier: MIT */
#pragma once

/* A filesystem of a test's own on a store of its own, and short words for what
 * tests do often. Included after cmocka.h. */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "fs/repair.h"
#include "tests/seam/scratch.h"

struct fs_fixture {
	struct scratch scratch;
	char *path; /* of the store, in the scratch directory */
	struct fs_options options;
	struct fs_cred cred;
	struct fs *fs;
};

static inline int fs_fixture_setup_blocks(void **state,
					  uint32_t block_size_bytes)
{
	struct fs_fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(scratch_init(&f->scratch), 0);
	assert_true(asprintf(&f->path, "%s/store", f->scratch.path) > 0);
	fs_options_init(&f->options);
	f->options.kv.create = true;
	f->options.kv.segment_size_bytes = 4 << 20;
	f->options.kv.memory_bytes = 8 << 20;
	f->options.kv.commit_interval_ms = 0;
	f->options.block_size_bytes = block_size_bytes;
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
	*state = f;
	return 0;
}

static inline int fs_fixture_setup(void **state)
{
	return fs_fixture_setup_blocks(state, 4096);
}

static inline int fs_fixture_teardown(void **state)
{
	struct fs_fixture *f = *state;

	fs_close(f->fs);
	scratch_release(&f->scratch);
	free(f->path);
	free(f);
	return 0;
}

/* Closes and opens again. */
static inline void fs_fixture_reopen(struct fs_fixture *f)
{
	struct fs *fs = f->fs;

	f->fs = NULL;
	assert_int_equal(fs_close(fs), 0);
	assert_int_equal(fs_open(f->path, &f->options, &f->fs), 0);
}

#define FS_TEST(name)                                           \
	cmocka_unit_test_setup_teardown(name, fs_fixture_setup, \
					fs_fixture_teardown)

static inline struct slice name_of(const char *text)
{
	return slice_of(text, strlen(text));
}

/* --- making things; each returns the inode's number --- */

static inline uint64_t make_file_in(struct fs_fixture *f, uint64_t parent,
				    const char *name)
{
	struct fs_attr attr;

	assert_int_equal(fs_mknod(f->fs, &f->cred, parent, name_of(name),
				  S_IFREG | 0644, 0, &attr),
			 0);
	return attr.ino;
}

static inline uint64_t make_file(struct fs_fixture *f, const char *name)
{
	return make_file_in(f, FS_ROOT_INO, name);
}

static inline uint64_t make_dir_in(struct fs_fixture *f, uint64_t parent,
				   const char *name)
{
	struct fs_attr attr;

	assert_int_equal(fs_mkdir(f->fs, &f->cred, parent, name_of(name), 0755,
				  &attr),
			 0);
	return attr.ino;
}

static inline uint64_t make_dir(struct fs_fixture *f, const char *name)
{
	return make_dir_in(f, FS_ROOT_INO, name);
}

/* --- looking at things --- */

static inline struct fs_attr attr_of(struct fs_fixture *f, uint64_t ino)
{
	struct fs_attr attr;

	assert_int_equal(fs_getattr(f->fs, ino, &attr), 0);
	return attr;
}

/* How often the disk was waited for. */
static inline uint64_t disk_syncs(struct fs_fixture *f)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.disk_sync_count;
}

/* The number that a name leads to, or the error. */
static inline int64_t find_in(struct fs_fixture *f, uint64_t parent,
			      const char *name)
{
	struct fs_attr attr;
	int error = fs_lookup(f->fs, parent, name_of(name), &attr);

	return error ? error : (int64_t)attr.ino;
}

static inline int64_t find(struct fs_fixture *f, const char *name)
{
	return find_in(f, FS_ROOT_INO, name);
}

static inline void ignore_problem(void *ctx, const struct fs_problem *problem)
{
	(void)ctx;
	(void)problem;
}

static inline void ignore_repair(void *ctx, const struct fs_problem *problem,
				 const char *done)
{
	(void)ctx;
	(void)problem;
	(void)done;
}

/* fs_check and fs_repair where only the result matters. */
static inline int check_quietly(struct fs_fixture *f)
{
	return fs_check(f->fs, ignore_problem, NULL, NULL);
}

static inline int repair_quietly(struct fs_fixture *f)
{
	return fs_repair(f->fs, ignore_repair, NULL, NULL);
}

/* --- data --- */

static inline void put(struct fs_fixture *f, uint64_t ino, uint64_t offset,
		       const char *text)
{
	assert_int_equal(fs_write(f->fs, ino, offset, text, strlen(text), 0),
			 0);
}

/* The whole file is this. */
static inline void assert_contents(struct fs_fixture *f, uint64_t ino,
				   const void *expected, size_t size)
{
	uint8_t *bytes = malloc(size + 1);
	size_t got;

	assert_int_equal(attr_of(f, ino).size_bytes, size);
	assert_int_equal(fs_read(f->fs, ino, 0, bytes, size + 1, &got), 0);
	assert_int_equal(got, size);
	assert_memory_equal(bytes, expected, size);
	free(bytes);
}

/* Gives it a key more than a ghost has: unlinked, it is an orphan. */
static inline void set_mark(struct fs_fixture *f, uint64_t ino)
{
	assert_int_equal(fs_setxattr(f->fs, NULL, ino, name_of("user.mark"),
				     name_of("v"), 0, false),
			 0);
}

static inline int set_size(struct fs_fixture *f, uint64_t ino, uint64_t size)
{
	struct fs_attr attr = { .size_bytes = size };

	return fs_setattr(f->fs, NULL, ino, FS_SET_SIZE, &attr, NULL);
}

/* Keys of a class (enum key_class) in the store. */
static inline uint64_t class_key_count(struct fs_fixture *f, unsigned int class)
{
	struct kv_stats stats;

	kv_stats(fs_kv(f->fs), &stats);
	return stats.classes[class].key_count;
}

/* --- fsck: nothing may be wrong --- */

static inline void problem_print(void *ctx, const struct fs_problem *problem)
{
	(void)ctx;
	print_error("problem: kind %d, inode %llu, path %s: %s\n",
		    (int)problem->kind, (unsigned long long)problem->ino,
		    problem->path ? problem->path : "(none)", problem->what);
}

static inline void assert_sound(struct fs_fixture *f)
{
	assert_int_equal(fs_check(f->fs, problem_print, NULL, NULL), 0);
}
