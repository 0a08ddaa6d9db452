/* SPDX-License-Identifier: MIT */

/*
 * The real operating system behind struct io: one system call in each
 * function, its -1 turned into -errno and nothing else. Patience (EINTR, short
 * counts, fallbacks) is io.c's. Stateless, so without locks.
 */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/io.h"

static int result_of(int returned)
{
	return returned < 0 ? -errno : returned;
}

static int system_open_dir(struct io *io, const char *path)
{
	(void)io;
	return result_of(
		open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

static int system_make_dir(struct io *io, const char *path)
{
	(void)io;
	return result_of(mkdir(path, 0700));
}

static int system_open(struct io *io, int dir_fd, const char *name, int flags)
{
	(void)io;
	return result_of(openat(dir_fd, name, flags, 0600));
}

static int system_close(struct io *io, int fd)
{
	(void)io;
	return result_of(close(fd));
}

static ssize_t system_pread(struct io *io, int fd, void *dst, size_t size,
			    uint64_t offset)
{
	ssize_t n = pread(fd, dst, size, (off_t)offset);

	(void)io;
	return n < 0 ? -errno : n;
}

static ssize_t system_pwritev(struct io *io, int fd, const struct iovec *iov,
			      int count, uint64_t offset)
{
	ssize_t n = pwritev(fd, iov, count, (off_t)offset);

	(void)io;
	return n < 0 ? -errno : n;
}

static int system_sync_data(struct io *io, int fd)
{
	(void)io;
	return result_of(fdatasync(fd));
}

static int system_sync_dir(struct io *io, int dir_fd)
{
	(void)io;
	return result_of(fsync(dir_fd));
}

static int system_truncate(struct io *io, int fd, uint64_t size)
{
	(void)io;
	return result_of(ftruncate(fd, (off_t)size));
}

static int system_allocate(struct io *io, int fd, uint64_t size)
{
	(void)io;
	return result_of(fallocate(fd, 0, 0, (off_t)size));
}

static int system_rename(struct io *io, int dir_fd, const char *from,
			 const char *to)
{
	(void)io;
	return result_of(renameat(dir_fd, from, dir_fd, to));
}

static int system_unlink(struct io *io, int dir_fd, const char *name)
{
	(void)io;
	return result_of(unlinkat(dir_fd, name, 0));
}

static int system_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	struct stat st;

	(void)io;
	if (fstat(fd, &st) < 0)
		return -errno;
	*ret_size_bytes = (uint64_t)st.st_size;
	return 0;
}

/*
 * flock belongs to the open file, not to the process as fcntl's older locks
 * do: a second open in the same process does not get it either, and closing
 * another descriptor of the file does not lose it.
 */
static int system_lock(struct io *io, int fd)
{
	(void)io;
	return result_of(flock(fd, LOCK_EX | LOCK_NB));
}

static int append_names(DIR *dir, struct buf *names)
{
	for (;;) {
		const struct dirent *entry;
		const char *name;
		int error;

		errno = 0;
		entry = readdir(dir);
		if (!entry)
			return -errno;
		name = entry->d_name;
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		error = buf_append(names, name, strlen(name) + 1);
		if (error)
			return error;
	}
}

static int system_list(struct io *io, int dir_fd, struct buf *names)
{
	size_t size_before = names->size;
	DIR *dir;
	int error;
	int fd;

	/* Opened anew and not duplicated: a duplicate shares the position. */
	(void)io;
	fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	dir = fdopendir(fd);
	if (!dir) {
		error = -errno;
		close(fd);
		return error;
	}
	error = append_names(dir, names);
	if (error)
		names->size = size_before;
	closedir(dir);
	return error;
}

static int system_statvfs(struct io *io, int dir_fd, struct statvfs *ret)
{
	(void)io;
	return result_of(fstatvfs(dir_fd, ret));
}

static int system_map(struct io *io, int fd, size_t size, void **ret_address)
{
	void *address = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);

	(void)io;
	if (address == MAP_FAILED)
		return -errno;
	if (!getenv("KVN"))
		(void)madvise(address, size, MADV_RANDOM);
	*ret_address = address;
	return 0;
}

static int system_map_window(struct io *io, int fd, uint64_t offset,
			     size_t size, void **ret_address)
{
	void *address = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			     (off_t)offset);

	(void)io;
	if (address == MAP_FAILED)
		return -errno;
	*ret_address = address;
	return 0;
}

static int system_unmap(struct io *io, void *address, size_t size)
{
	(void)io;
	return result_of(munmap(address, size));
}

static const struct io_ops system_ops = {
	.open_dir = system_open_dir,
	.make_dir = system_make_dir,
	.open = system_open,
	.close = system_close,
	.pread = system_pread,
	.pwritev = system_pwritev,
	.sync_data = system_sync_data,
	.sync_dir = system_sync_dir,
	.truncate = system_truncate,
	.allocate = system_allocate,
	.rename = system_rename,
	.unlink = system_unlink,
	.size = system_size,
	.lock = system_lock,
	.list = system_list,
	.statvfs = system_statvfs,
	.map = system_map,
	.unmap = system_unmap,
	.map_window = system_map_window,
};

struct io *io_system(void)
{
	static struct io io = { .ops = &system_ops };

	return &io;
}
