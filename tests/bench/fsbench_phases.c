/* SPDX-License-Identifier: MIT */
/*
 * The phases of fsbench: each a small loop over system calls.
 *
 * 1. A phase's prepare makes what it needs from whatever is there, so phases
 *    can be run alone; where the phase before left the right state, it costs
 *    one lookup.
 * 2. Threads of one phase share nothing but the directory.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/bench/fsbench.h"

#define BIG_CHUNK ((size_t)128 << 10) /* what cp and cat use */
#define RANDOM_CHUNK ((size_t)4096)

/* Writes all of it. 0 or -errno. */
static int write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, data, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		size -= (size_t)n;
	}
	return 0;
}

static int close_file(int fd, int error)
{
	if (close(fd) != 0 && !error)
		return -errno;
	return error;
}

static int file_create(const struct fsbench *b, const char *name, bool durable)
{
	int fd = openat(b->dir_fd, name,
			O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int error;

	if (fd < 0)
		return -errno;
	error = write_all(fd, b->content, sizeof(b->content));
	if (!error && durable && fsync(fd) != 0)
		error = -errno;
	return close_file(fd, error);
}

int tree_empty(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int error = 0;

	if (!dir) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (!error && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		int child;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (entry->d_type != DT_DIR) {
			error = unlinkat(fd, name, 0) ? -errno : 0;
			continue;
		}
		child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (child < 0) {
			error = -errno;
			break;
		}
		error = close_file(child, tree_empty(child));
		if (!error && unlinkat(fd, name, AT_REMOVEDIR) != 0)
			error = -errno;
	}
	closedir(dir);
	return error;
}

/* An empty tree of directories, ready for the small files. */
static int prepare_dirs(const struct fsbench *b)
{
	int error = tree_empty(b->dir_fd);

	for (size_t i = 0; !error && i < b->dir_count; i++) {
		char name[FSBENCH_NAME_MAX];

		snprintf(name, sizeof(name), "d%04zu", i);
		if (mkdirat(b->dir_fd, name, 0755) != 0)
			error = -errno;
	}
	return error;
}

static int create_all(const struct fsbench *b, double *ret_work)
{
	for (size_t i = 0; i < b->file_count; i++) {
		int error = file_create(b, b->names[i], false);

		if (error)
			return error;
	}
	*ret_work = (double)b->file_count;
	return 0;
}

static int prepare_files(const struct fsbench *b)
{
	double work;
	int error;

	if (faccessat(b->dir_fd, b->names[b->file_count - 1], F_OK, 0) == 0)
		return 0;
	error = prepare_dirs(b);
	return error ? error : create_all(b, &work);
}

static int stat_range(const struct fsbench *b, size_t first, size_t step)
{
	for (size_t i = first; i < b->file_count; i += step) {
		struct stat st;

		if (fstatat(b->dir_fd, b->names[i], &st, AT_SYMLINK_NOFOLLOW) !=
		    0)
			return -errno;
		if (st.st_size != sizeof(b->content))
			return -EUCLEAN;
	}
	return 0;
}

static int stat_all(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)b->file_count;
	return stat_range(b, 0, 1);
}

static int read_all(const struct fsbench *b, double *ret_work)
{
	for (size_t i = 0; i < b->file_count; i++) {
		char data[4096];
		int fd = openat(b->dir_fd, b->names[i], O_RDONLY | O_CLOEXEC);
		ssize_t n;

		if (fd < 0)
			return -errno;
		n = read(fd, data, sizeof(data));
		close(fd);
		if (n < 0)
			return -errno;
		if (n != sizeof(b->content) ||
		    memcmp(data, b->content, (size_t)n) != 0)
			return -EUCLEAN;
	}
	*ret_work = (double)b->file_count;
	return 0;
}

/* ls -l of one directory: its names, and each one's attributes. */
static int list_dir(const struct fsbench *b, const char *name, double *work)
{
	int fd = openat(b->dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int error = 0;

	if (!dir) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	while (!error && (entry = readdir(dir))) {
		struct stat st;

		if (entry->d_name[0] == '.')
			continue;
		if (fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			error = -errno;
		*work += 1;
	}
	closedir(dir);
	return error;
}

static int list_all(const struct fsbench *b, double *ret_work)
{
	double work = 0;

	for (size_t i = 0; i < b->dir_count; i++) {
		char name[FSBENCH_NAME_MAX];
		int error;

		snprintf(name, sizeof(name), "d%04zu", i);
		error = list_dir(b, name, &work);
		if (error)
			return error;
	}
	*ret_work = work;
	return work == (double)b->file_count ? 0 : -EUCLEAN;
}

/* As an editor saves: a new file beside the old one, then over it. */
static int replace_all(const struct fsbench *b, double *ret_work)
{
	for (size_t i = 0; i < b->file_count; i++) {
		char temp[FSBENCH_NAME_MAX + 8];
		int error;

		snprintf(temp, sizeof(temp), "%s.tmp", b->names[i]);
		error = file_create(b, temp, false);
		if (error)
			return error;
		if (renameat(b->dir_fd, temp, b->dir_fd, b->names[i]) != 0)
			return -errno;
	}
	*ret_work = (double)b->file_count;
	return 0;
}

static int unlink_all(const struct fsbench *b, double *ret_work)
{
	for (size_t i = 0; i < b->file_count; i++) {
		if (unlinkat(b->dir_fd, b->names[i], 0) != 0)
			return -errno;
	}
	*ret_work = (double)b->file_count;
	return 0;
}

static int remove_tree(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)(b->file_count + b->dir_count);
	return tree_empty(b->dir_fd);
}

/* One thread's share of a phase: every step-th file from the first. */
struct share {
	const struct fsbench *bench;
	int (*work)(const struct fsbench *b, size_t first, size_t step);
	size_t first;
	size_t step;
	pthread_t thread;
	int error;
};

static void *share_run(void *arg)
{
	struct share *share = arg;

	share->error = share->work(share->bench, share->first, share->step);
	return NULL;
}

static int run_threads(const struct fsbench *b,
		       int (*work)(const struct fsbench *, size_t, size_t))
{
	struct share *shares = calloc(b->thread_count, sizeof(*shares));
	size_t started = 0;
	int error = 0;

	if (!shares)
		return -ENOMEM;
	while (started < b->thread_count && !error) {
		struct share *share = &shares[started];

		*share = (struct share){ .bench = b,
					 .work = work,
					 .first = started,
					 .step = b->thread_count };
		error = -pthread_create(&share->thread, NULL, share_run, share);
		if (!error)
			started++;
	}
	for (size_t i = 0; i < started; i++) {
		pthread_join(shares[i].thread, NULL);
		if (!error)
			error = shares[i].error;
	}
	free(shares);
	return error;
}

static int stat_threads(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)b->file_count;
	return run_threads(b, stat_range);
}

static int sync_range(const struct fsbench *b, size_t first, size_t step)
{
	for (size_t i = first; i < b->sync_count; i += step) {
		int error = file_create(b, b->names[i], true);

		if (error)
			return error;
	}
	return 0;
}

static int create_sync(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)b->sync_count;
	return sync_range(b, 0, 1);
}

static int create_sync_threads(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)b->sync_count;
	return run_threads(b, sync_range);
}

static int prepare_empty(const struct fsbench *b)
{
	return tree_empty(b->dir_fd);
}

static int append_file(const struct fsbench *b, double *ret_work)
{
	int fd = openat(b->dir_fd, "appended",
			O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	int error = 0;

	if (fd < 0)
		return -errno;
	for (size_t i = 0; i < b->append_count && !error; i++)
		error = write_all(fd, b->content, sizeof(b->content));
	*ret_work = (double)b->append_count;
	return close_file(fd, error);
}

/* Bytes that neither a compressor nor a zero detector can shorten. */
static void fill_random(uint64_t *words, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size / sizeof(*words); i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		words[i] = seed;
	}
}

static int write_big(const struct fsbench *b, const char *name, uint64_t size)
{
	static uint64_t chunk[BIG_CHUNK / sizeof(uint64_t)];
	int fd = openat(b->dir_fd, name,
			O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	int error = 0;

	if (fd < 0)
		return -errno;
	fill_random(chunk, sizeof(chunk), 88172645463325252u);
	for (uint64_t done = 0; done < size && !error; done += sizeof(chunk)) {
		chunk[0] = done; /* no two chunks alike */
		error = write_all(fd, (const char *)chunk, sizeof(chunk));
	}
	if (!error && fsync(fd) != 0)
		error = -errno;
	return close_file(fd, error);
}

static int prepare_random(const struct fsbench *b)
{
	int error = tree_empty(b->dir_fd);

	return error ? error : write_big(b, "random", b->random_bytes);
}

static int random_writes(const struct fsbench *b, double *ret_work)
{
	uint64_t state = 0x9e3779b97f4a7c15u;
	uint64_t block[RANDOM_CHUNK / sizeof(uint64_t)];
	uint64_t blocks = b->random_bytes / sizeof(block);
	int fd = openat(b->dir_fd, "random", O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	fill_random(block, sizeof(block), state);
	for (size_t i = 0; i < b->random_count && !error; i++) {
		off_t offset;
		ssize_t n;

		fill_random(&state, sizeof(state), state);
		offset = (off_t)(state % blocks * sizeof(block));
		block[0] = i;
		n = pwrite(fd, block, sizeof(block), offset);
		if (n != sizeof(block))
			error = n < 0 ? -errno : -EIO;
	}
	if (!error && fsync(fd) != 0)
		error = -errno;
	*ret_work = (double)b->random_count;
	return close_file(fd, error);
}

static int big_write(const struct fsbench *b, double *ret_work)
{
	*ret_work = (double)b->big_bytes / 1e6;
	return write_big(b, "big", b->big_bytes);
}

static int prepare_big(const struct fsbench *b)
{
	if (faccessat(b->dir_fd, "big", F_OK, 0) == 0)
		return 0;
	return write_big(b, "big", b->big_bytes);
}

static int big_read(const struct fsbench *b, double *ret_work)
{
	static char chunk[BIG_CHUNK];
	int fd = openat(b->dir_fd, "big", O_RDONLY | O_CLOEXEC);
	uint64_t size = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, chunk, sizeof(chunk))) > 0)
		size += (uint64_t)n;
	*ret_work = (double)size / 1e6;
	if (n < 0)
		return close_file(fd, -errno);
	return close_file(fd, size == b->big_bytes ? 0 : -EUCLEAN);
}

/* A fifth of a second each. */
#define READ_RUNS 5

const struct phase fsbench_phases[] = {
	{ "create", "ops/s", false, 1, prepare_dirs, create_all },
	{ "stat_cold", "ops/s", true, READ_RUNS, prepare_files, stat_all },
	{ "stat_warm", "ops/s", false, READ_RUNS, prepare_files, stat_all },
	{ "stat_cold_threads", "ops/s", true, READ_RUNS, prepare_files,
	  stat_threads },
	{ "read_cold", "ops/s", true, READ_RUNS, prepare_files, read_all },
	{ "read_warm", "ops/s", false, READ_RUNS, prepare_files, read_all },
	{ "ls_cold", "ops/s", true, READ_RUNS, prepare_files, list_all },
	{ "replace", "ops/s", false, 1, prepare_files, replace_all },
	{ "unlink", "ops/s", false, 1, prepare_files, unlink_all },
	{ "create_fsync", "ops/s", false, 1, prepare_dirs, create_sync },
	{ "create_fsync_threads", "ops/s", false, 1, prepare_dirs,
	  create_sync_threads },
	{ "rmtree", "ops/s", false, 1, prepare_files, remove_tree },
	{ "append", "ops/s", false, 1, prepare_empty, append_file },
	{ "randwrite_fsync", "ops/s", false, 1, prepare_random, random_writes },
	{ "seqwrite_fsync", "MB/s", false, 1, prepare_empty, big_write },
	{ "seqread_cold", "MB/s", true, 1, prepare_big, big_read },
	{ NULL, NULL, false, 0, NULL, NULL },
};
