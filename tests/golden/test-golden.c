/* SPDX-License-Identifier: MIT */

/*
 * Stores as earlier versions left them: each version's images open, hold what
 * was put into them, are sound, can be changed, and open again.
 *
 *	test-golden IMAGES		verifies IMAGES/<version>/<image>
 *	test-golden --make DIRECTORY	writes the images of this version
 *
 * From a release on its images are never made anew: what does not open them is
 * wrong, or needs a new version.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io.h"
#include "fs/fs.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define KEYS 200u
#define LARGE_SIZE 20000u
#define AHEAD_MIN 32768u
#define FILE_MAX ((size_t)4 << 20)

static const char *image_root;

/* --- files to and fro --- */

/* What the segment being written has allocated ahead is no part of it. */
static void copy_file(int from_fd, int to_fd, const char *name, bool trim)
{
	struct buf bytes = { 0 };
	size_t size;
	int fd;

	assert_int_equal(
		io_read_file(io_system(), from_fd, name, FILE_MAX, &bytes), 0);
	size = bytes.size;
	if (trim && strstr(name, ".seg") && size >= AHEAD_MIN) {
		while (size && !bytes.data[size - 1])
			size--;
		size += 64;
	}
	fd = openat(to_fd, name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(io_write(io_system(), fd, bytes.data, size, 0), 0);
	close(fd);
	buf_release(&bytes);
}

static void copy_store(int from_fd, int to_fd, bool trim)
{
	struct buf names = { 0 };
	const char *at, *end;

	assert_int_equal(io_list(io_system(), from_fd, &names), 0);
	at = (const char *)names.data;
	end = at ? at + names.size : at;
	for (; at < end; at += strlen(at) + 1)
		if (strcmp(at, "LOCK") != 0)
			copy_file(from_fd, to_fd, at, trim);
	buf_release(&names);
}

static void save_image(const char *directory, const char *name,
		       const struct scratch *store)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	mkdir(path, 0777);
	fd = open(path, O_RDONLY | O_DIRECTORY);
	assert_true(fd >= 0);
	copy_store(store->fd, fd, true);
	close(fd);
}

/* --- a store of keys --- */

static struct slice key_of(unsigned int i, char bytes[32])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 32, "user/%u", i));
}

static struct slice value_of(unsigned int i, char bytes[600])
{
	size_t size = i % 10 ? i % 50 : 400 + i % 100;

	memset(bytes, 'a' + (int)(i % 26), size);
	return slice_of(bytes, size);
}

/* 0 to 199 set; those that 7 divides deleted; 50 to 59 set again, as 1050... */
static void put_keys(struct kv *kv, unsigned int first, unsigned int end)
{
	char key[32], value[600];

	for (unsigned int i = first; i < end; i++)
		assert_int_equal(kv_set(kv, key_of(i, key), value_of(i, value),
					NULL),
				 0);
}

static void make_keys(struct kv *kv)
{
	struct kv_batch batch = { 0 };
	char key[32], value[10][600];

	put_keys(kv, 0, KEYS / 2);
	assert_int_equal(kv_checkpoint(kv), 0);
	put_keys(kv, KEYS / 2, KEYS);
	for (unsigned int i = 0; i < KEYS / 2; i += 7)
		assert_int_equal(kv_delete(kv, key_of(i, key), NULL), 0);
	assert_int_equal(kv_compact(kv, NULL, NULL), 0);
	for (unsigned int i = (KEYS / 2 + 6) / 7 * 7; i < KEYS; i += 7)
		assert_int_equal(kv_delete(kv, key_of(i, key), NULL), 0);
	assert_int_equal(kv_checkpoint(kv), 0);
	for (unsigned int i = 50; i < 60; i++)
		assert_int_equal(
			kv_batch_set(&batch, key_of(i, key),
				     value_of(1000 + i, value[i - 50])),
			0);
	assert_int_equal(kv_commit(kv, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
	assert_int_equal(kv_sync(kv, kv_last_lsn(kv)), 0);
	put_keys(kv, 1, 2);
}

static void verify_keys(struct kv *kv)
{
	char key[32], value[600];
	struct buf got = { 0 };

	for (unsigned int i = 0; i < KEYS; i++) {
		bool again = i >= 50 && i < 60;
		int result = kv_get(kv, NULL, key_of(i, key), &got);

		assert_int_equal(result, i % 7 == 0 && !again);
		if (!result)
			assert_true(slice_equal(buf_slice(&got),
						value_of(again ? 1000 + i : i,
							 value)));
	}
	buf_release(&got);
	assert_int_equal(kv_check(kv, kv_problem_print, NULL, NULL), 0);
}

static void kv_options_for(struct kv_options *options)
{
	kv_options_init(options);
	options->segment_size_bytes = 1 << 20;
	options->compress_level = 6;
	options->compact_auto = false;
}

static void make_kv_images(const struct scratch *dir, const char *directory)
{
	struct kv_options options;
	struct scratch store;
	struct kv *kv;

	assert_int_equal(scratch_make_dir(dir, "kv", &store), 0);
	kv_options_for(&options);
	options.create = true;
	assert_int_equal(kv_open(store.path, &options, &kv), 0);
	make_keys(kv);
	save_image(directory, "kv-crashed", &store);
	assert_int_equal(kv_close(kv), 0);
	save_image(directory, "kv-closed", &store);
	assert_int_equal(scratch_release(&store), 0);
}

static void verify_kv_image(const struct scratch *store, const char *name)
{
	struct kv_options options;
	struct kv_stats stats;
	struct kv *kv;

	kv_options_for(&options);
	assert_int_equal(kv_open(store->path, &options, &kv), 0);
	kv_stats(kv, &stats);
	assert_int_equal(stats.recovery, strcmp(name, "kv-closed") == 0 ?
						 KV_RECOVERY_CLEAN :
						 KV_RECOVERY_REPLAYED);
	verify_keys(kv);
	put_keys(kv, 1, 7);
	assert_int_equal(kv_compact(kv, NULL, NULL), 0);
	assert_int_equal(kv_close(kv), 0);
	assert_int_equal(kv_open(store->path, &options, &kv), 0);
	verify_keys(kv);
	assert_int_equal(kv_close(kv), 0);
}

/* --- a filesystem --- */

static void large_bytes(uint8_t bytes[LARGE_SIZE])
{
	for (size_t i = 0; i < LARGE_SIZE; i++)
		bytes[i] = (uint8_t)(i * 31 + i / 256);
}

static uint64_t make_file(struct fs *fs, uint64_t parent, struct slice name,
			  const void *bytes, size_t size, uint64_t offset)
{
	struct fs_cred cred = { 0 };
	struct fs_attr attr;

	assert_int_equal(
		fs_mknod(fs, &cred, parent, name, S_IFREG | 0640, 0, &attr), 0);
	assert_int_equal(fs_write(fs, attr.ino, offset, bytes, size, 0), 0);
	return attr.ino;
}

static void make_files(struct fs *fs)
{
	struct fs_cred cred = { 0 };
	uint8_t large[LARGE_SIZE];
	struct fs_attr attr;
	uint64_t ino;

	large_bytes(large);
	ino = make_file(fs, FS_ROOT_INO, SLICE_LITERAL("small"), "hello\n", 6,
			0);
	assert_int_equal(fs_setxattr(fs, &cred, ino, SLICE_LITERAL("user.a"),
				     SLICE_LITERAL("b"), 0, false),
			 0);
	assert_int_equal(fs_link(fs, ino, FS_ROOT_INO, SLICE_LITERAL("linked"),
				 &attr),
			 0);
	assert_int_equal(fs_mkdir(fs, &cred, FS_ROOT_INO, SLICE_LITERAL("dir"),
				  0755, &attr),
			 0);
	make_file(fs, attr.ino, SLICE_LITERAL("large"), large, LARGE_SIZE,
		  100000);
	assert_int_equal(fs_symlink(fs, &cred, FS_ROOT_INO,
				    SLICE_LITERAL("symbolic"),
				    SLICE_LITERAL("dir/large"), &attr),
			 0);
}

/* A log of one line more than what its blocks hold: fs-tail has it. */
static void make_log(struct fs *fs)
{
	uint8_t large[LARGE_SIZE];
	uint64_t ino;

	large_bytes(large);
	ino = make_file(fs, FS_ROOT_INO, SLICE_LITERAL("log"), large,
			LARGE_SIZE, 0);
	assert_int_equal(fs_write(fs, ino, 0, "a line\n", 7, FS_WRITE_APPEND),
			 0);
}

static void make_fs_image(const struct scratch *dir, const char *directory,
			  const char *name, bool with_log)
{
	struct fs_options options;
	struct scratch store;
	struct fs *fs;

	assert_int_equal(scratch_make_dir(dir, "fs", &store), 0);
	fs_options_init(&options);
	options.kv.create = true;
	options.block_size_bytes = 4096;
	assert_int_equal(fs_open(store.path, &options, &fs), 0);
	make_files(fs);
	if (with_log)
		make_log(fs);
	assert_int_equal(fs_close(fs), 0);
	save_image(directory, name, &store);
	assert_int_equal(scratch_release(&store), 0);
}

static uint64_t look_up(struct fs *fs, uint64_t parent, struct slice name,
			uint32_t mode, uint64_t size)
{
	struct fs_attr attr;

	assert_int_equal(fs_lookup(fs, parent, name, &attr), 0);
	assert_int_equal(attr.mode, mode);
	if (!S_ISDIR(mode))
		assert_int_equal(attr.size_bytes, size);
	return attr.ino;
}

static void verify_files(struct fs *fs)
{
	uint8_t expected[LARGE_SIZE], bytes[LARGE_SIZE];
	struct buf text = { 0 };
	uint64_t ino, dir;
	size_t read;

	ino = look_up(fs, FS_ROOT_INO, SLICE_LITERAL("small"), S_IFREG | 0640,
		      6);
	assert_int_equal(ino, look_up(fs, FS_ROOT_INO, SLICE_LITERAL("linked"),
				      S_IFREG | 0640, 6));
	assert_int_equal(fs_read(fs, ino, 0, bytes, sizeof(bytes), &read), 0);
	assert_int_equal(read, 6);
	assert_memory_equal(bytes, "hello\n", 6);
	assert_int_equal(fs_getxattr(fs, ino, SLICE_LITERAL("user.a"), &text),
			 0);
	assert_true(slice_equal(buf_slice(&text), SLICE_LITERAL("b")));
	dir = look_up(fs, FS_ROOT_INO, SLICE_LITERAL("dir"), S_IFDIR | 0755, 0);
	ino = look_up(fs, dir, SLICE_LITERAL("large"), S_IFREG | 0640,
		      100000 + LARGE_SIZE);
	large_bytes(expected);
	assert_int_equal(fs_read(fs, ino, 100000, bytes, sizeof(bytes), &read),
			 0);
	assert_int_equal(read, LARGE_SIZE);
	assert_memory_equal(bytes, expected, LARGE_SIZE);
	ino = look_up(fs, FS_ROOT_INO, SLICE_LITERAL("symbolic"),
		      S_IFLNK | 0777, 9);
	assert_int_equal(fs_readlink(fs, ino, &text), 0);
	assert_true(slice_equal(buf_slice(&text), SLICE_LITERAL("dir/large")));
	buf_release(&text);
}

static void verify_log(struct fs *fs)
{
	uint8_t expected[LARGE_SIZE], bytes[LARGE_SIZE + 8];
	uint64_t ino = look_up(fs, FS_ROOT_INO, SLICE_LITERAL("log"),
			       S_IFREG | 0640, LARGE_SIZE + 7);
	size_t read;

	large_bytes(expected);
	assert_int_equal(fs_read(fs, ino, 0, bytes, sizeof(bytes), &read), 0);
	assert_int_equal(read, LARGE_SIZE + 7);
	assert_memory_equal(bytes, expected, LARGE_SIZE);
	assert_memory_equal(bytes + LARGE_SIZE, "a line\n", 7);
}

static void tell_problem(void *ctx, const struct fs_problem *problem)
{
	(void)problem;
	++*(unsigned int *)ctx;
}

static void verify_fs_image(const struct scratch *store, bool with_log)
{
	struct fs_options options;
	unsigned int problems = 0;
	struct fs *fs;

	fs_options_init(&options);
	for (unsigned int round = 0; round < 2; round++) {
		assert_int_equal(fs_open(store->path, &options, &fs), 0);
		verify_files(fs);
		if (with_log)
			verify_log(fs);
		assert_true(fs_check(fs, tell_problem, NULL, &problems) >= 0);
		assert_int_equal(problems, 0);
		if (!round)
			make_file(fs, FS_ROOT_INO, SLICE_LITERAL("new"), "x", 1,
				  0);
		assert_int_equal(fs_close(fs), 0);
	}
}

/* --- all of them --- */

static unsigned int verify_image(const struct scratch *dir, int version_fd,
				 const char *version, const char *name)
{
	struct scratch store;
	int fd = openat(version_fd, name, O_RDONLY | O_DIRECTORY);

	assert_true(fd >= 0);
	print_message("%s/%s\n", version, name);
	assert_int_equal(scratch_make_dir(dir, "store", &store), 0);
	copy_store(fd, store.fd, false);
	close(fd);
	if (strncmp(name, "kv", 2) == 0)
		verify_kv_image(&store, name);
	else
		verify_fs_image(&store, strcmp(name, "fs-tail") == 0);
	assert_int_equal(scratch_release(&store), 0);
	return 1;
}

static unsigned int verify_version(const struct scratch *dir, int root_fd,
				   const char *version)
{
	int fd = openat(root_fd, version, O_RDONLY | O_DIRECTORY);
	struct buf names = { 0 };
	unsigned int count = 0;
	const char *at, *end;

	if (fd < 0)
		return 0;
	assert_int_equal(io_list(io_system(), fd, &names), 0);
	at = (const char *)names.data;
	end = at ? at + names.size : at;
	for (; at < end; at += strlen(at) + 1)
		count += verify_image(dir, fd, version, at);
	buf_release(&names);
	close(fd);
	return count;
}

static void stores_of_all_versions_open(void **state)
{
	struct buf names = { 0 };
	struct scratch dir;
	unsigned int count = 0;
	const char *at, *end;
	int fd;

	(void)state;
	assert_int_equal(scratch_init(&dir), 0);
	assert_int_equal(io_open_dir(io_system(), image_root, &fd), 0);
	assert_int_equal(io_list(io_system(), fd, &names), 0);
	at = (const char *)names.data;
	end = at ? at + names.size : at;
	for (; at < end; at += strlen(at) + 1)
		if (at[0] == 'v')
			count += verify_version(&dir, fd, at);
	assert_true(count >= 4);
	buf_release(&names);
	close(fd);
	assert_int_equal(scratch_release(&dir), 0);
}

static void make_images(void **state)
{
	struct scratch dir;

	(void)state;
	assert_int_equal(scratch_init(&dir), 0);
	make_kv_images(&dir, image_root);
	make_fs_image(&dir, image_root, "fs", false);
	make_fs_image(&dir, image_root, "fs-tail", true);
	assert_int_equal(scratch_release(&dir), 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest verify[] = {
		cmocka_unit_test(stores_of_all_versions_open),
	};
	const struct CMUnitTest make[] = {
		cmocka_unit_test(make_images),
	};

	if (argc == 3 && strcmp(argv[1], "--make") == 0) {
		image_root = argv[2];
		return cmocka_run_group_tests(make, NULL, NULL);
	}
	image_root = argc == 2 ? argv[1] : ".";
	return cmocka_run_group_tests(verify, NULL, NULL);
}
