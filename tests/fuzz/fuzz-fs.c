/* SPDX-License-Identifier: MIT */

/* A filesystem on a whole small store: opened, walked, read, checked, changed. */

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/fs.h"
#include "tests/fuzz/fuzz.h"
#include "tests/seam/small_kv.h"

#define DEPTH_MAX 4u
#define INODES_MAX 200u

struct walk {
	struct fs *fs;
	uint64_t inos[INODES_MAX];
	size_t count;
};

static void options_for(struct fs_options *options)
{
	fs_options_init(options);
	small_kv_options(&options->kv, quick_io());
	options->kv.create = false;
	options->block_size_bytes = 4096;
}

static int note_entry(void *ctx, const struct fs_dirent *entry)
{
	struct walk *walk = ctx;

	if (walk->count == INODES_MAX)
		return 1;
	walk->inos[walk->count++] = entry->ino;
	return 0;
}

static void look_at(struct walk *walk, uint64_t ino)
{
	uint8_t bytes[8192];
	struct buf text = { 0 };
	struct fs_attr attr;
	size_t read;

	if (fs_getattr(walk->fs, ino, &attr))
		return;
	fs_read(walk->fs, ino, 0, bytes, sizeof(bytes), &read);
	fs_read(walk->fs, ino, attr.size_bytes / 2, bytes, sizeof(bytes),
		&read);
	fs_readlink(walk->fs, ino, &text);
	fs_listxattr(walk->fs, ino, &text);
	fs_getxattr(walk->fs, ino, SLICE_LITERAL("user.a"), &text);
	fs_readdir(walk->fs, ino, 0, note_entry, walk);
	buf_release(&text);
}

static void pass_over(void *ctx, const struct fs_problem *problem)
{
	(void)ctx;
	(void)problem;
}

static void walk_all(struct fs *fs)
{
	struct walk walk = { .fs = fs };
	struct fs_statfs space;

	look_at(&walk, FS_ROOT_INO);
	for (size_t i = 0; i < walk.count; i++)
		look_at(&walk, walk.inos[i]);
	fs_statfs(fs, &space);
	fs_check(fs, pass_over, NULL, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice bytes = fuzz_begin(data, size);
	const char *path = fuzz_directory();
	struct fs_cred cred = { 0 };
	struct fs_options options;
	struct fs_attr attr;
	uint64_t ino;
	struct fs *fs;

	fuzz_unpack(bytes);
	options_for(&options);
	if (fs_open(path, &options, &fs))
		return 0;
	walk_all(fs);
	fs_unlink(fs, FS_ROOT_INO, SLICE_LITERAL("file"), &ino);
	fs_rename(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("large"), FS_ROOT_INO,
		  SLICE_LITERAL("link"), 0);
	fs_mknod(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("new"), S_IFREG | 0600,
		 0, &attr);
	walk_all(fs);
	fs_close(fs);
	return 0;
}

static void make_files(struct fs *fs)
{
	struct fs_cred cred = { 0 };
	struct fs_attr attr;
	uint8_t bytes[10000] = { 1, 2, 3 };

	fs_mknod(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("file"), S_IFREG | 0644,
		 0, &attr);
	fs_write(fs, attr.ino, 0, "hello", 5, 0);
	fs_setxattr(fs, &cred, attr.ino, SLICE_LITERAL("user.a"),
		    SLICE_LITERAL("b"), 0, false);
	fs_mknod(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("large"), S_IFREG | 0644,
		 0, &attr);
	fs_write(fs, attr.ino, 3000, bytes, sizeof(bytes), 0);
	fs_symlink(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("link"),
		   SLICE_LITERAL("file"), &attr);
	fs_mkdir(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("dir"), 0755, &attr);
	fs_mknod(fs, &cred, attr.ino, SLICE_LITERAL("inner"), S_IFREG | 0644, 0,
		 &attr);
}

void fuzz_make_seeds(void)
{
	const char *path = fuzz_directory();
	struct fs_options options;
	struct buf input = { 0 };
	uint8_t first = 1;
	struct fs *fs;

	fuzz_ignore_checksums(true);
	options_for(&options);
	options.kv.create = true;
	options.kv.compress_level = 6;
	if (fs_open(path, &options, &fs))
		abort();
	make_files(fs);
	if (fs_close(fs) || buf_append(&input, &first, 1))
		abort();
	fuzz_pack(&input);
	fuzz_put_seed("files", input.data, input.size);
	buf_release(&input);
}
