/* SPDX-License-Identifier: MIT */

/*
 * The disk of a given size: see disk_io.h. Sizes are kept by inode, and taken
 * from the file itself when one is met for the first time.
 */

#include "tests/seam/disk_io.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

static struct disk_io *disk_of(struct io *io)
{
	return (struct disk_io *)io;
}

static uint64_t blocks_of(uint64_t size_bytes)
{
	return (size_bytes + DISK_BLOCK_BYTES - 1) / DISK_BLOCK_BYTES *
	       DISK_BLOCK_BYTES;
}

static uint64_t used_locked(struct disk_io *disk) REQUIRES(disk->lock)
{
	uint64_t used = disk->others_bytes;

	for (size_t i = 0; i < DISK_FILES_MAX; i++)
		if (disk->files[i].inode)
			used += blocks_of(disk->files[i].size_bytes);
	return used;
}

static struct disk_file *file_locked(struct disk_io *disk,
				     const struct stat *st) REQUIRES(disk->lock)
{
	struct disk_file *unused = NULL;

	for (size_t i = 0; i < DISK_FILES_MAX; i++) {
		if (disk->files[i].inode == st->st_ino)
			return &disk->files[i];
		if (!disk->files[i].inode && !unused)
			unused = &disk->files[i];
	}
	assert(unused);
	*unused = (struct disk_file){ st->st_ino, (uint64_t)st->st_size };
	return unused;
}

/* Makes room for a file to reach `end`; *ret_old is for taking that back. */
static int charge(struct disk_io *disk, int fd, uint64_t end, uint64_t *ret_old)
{
	struct disk_file *file;
	struct stat st;
	uint64_t more;
	int error = 0;

	if (fstat(fd, &st))
		return -errno;
	mutex_lock(&disk->lock);
	file = file_locked(disk, &st);
	*ret_old = file->size_bytes;
	if (end > file->size_bytes) {
		more = blocks_of(end) - blocks_of(file->size_bytes);
		if (more && used_locked(disk) + more > disk->capacity_bytes)
			error = disk->error;
		else
			file->size_bytes = end;
	}
	mutex_unlock(&disk->lock);
	return error;
}

static void set_size(struct disk_io *disk, int fd, uint64_t size_bytes)
{
	struct stat st;

	if (fstat(fd, &st))
		return;
	mutex_lock(&disk->lock);
	file_locked(disk, &st)->size_bytes = size_bytes;
	mutex_unlock(&disk->lock);
}

static void forget(struct disk_io *disk, int dir_fd, const char *name)
{
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	mutex_lock(&disk->lock);
	for (size_t i = 0; i < DISK_FILES_MAX; i++)
		if (disk->files[i].inode == st.st_ino)
			disk->files[i].inode = 0;
	mutex_unlock(&disk->lock);
}

static int disk_open_dir(struct io *io, const char *path)
{
	struct io *below = disk_of(io)->below;

	return below->ops->open_dir(below, path);
}

static int disk_make_dir(struct io *io, const char *path)
{
	struct io *below = disk_of(io)->below;

	return below->ops->make_dir(below, path);
}

static int disk_open(struct io *io, int dir_fd, const char *name, int flags)
{
	struct io *below = disk_of(io)->below;

	return below->ops->open(below, dir_fd, name, flags);
}

static int disk_close(struct io *io, int fd)
{
	struct io *below = disk_of(io)->below;

	return below->ops->close(below, fd);
}

static ssize_t disk_pread(struct io *io, int fd, void *dst, size_t size,
			  uint64_t offset)
{
	struct io *below = disk_of(io)->below;

	return below->ops->pread(below, fd, dst, size, offset);
}

static ssize_t disk_pwritev(struct io *io, int fd, const struct iovec *iov,
			    int count, uint64_t offset)
{
	struct disk_io *disk = disk_of(io);
	uint64_t end = offset, old = 0;
	int error;

	for (int i = 0; i < count; i++)
		end += iov[i].iov_len;
	error = charge(disk, fd, end, &old);
	if (error)
		return error;
	return disk->below->ops->pwritev(disk->below, fd, iov, count, offset);
}

static int disk_sync_data(struct io *io, int fd)
{
	struct io *below = disk_of(io)->below;

	return below->ops->sync_data(below, fd);
}

static int disk_sync_dir(struct io *io, int dir_fd)
{
	struct io *below = disk_of(io)->below;

	return below->ops->sync_dir(below, dir_fd);
}

static int disk_truncate(struct io *io, int fd, uint64_t size)
{
	struct disk_io *disk = disk_of(io);
	uint64_t old = 0;
	int error = charge(disk, fd, size, &old);

	if (!error)
		error = disk->below->ops->truncate(disk->below, fd, size);
	if (!error)
		set_size(disk, fd, size);
	return error;
}

static int disk_allocate(struct io *io, int fd, uint64_t size)
{
	struct disk_io *disk = disk_of(io);
	uint64_t old = 0;
	int error = charge(disk, fd, size, &old);

	if (error)
		return error;
	error = disk->below->ops->allocate(disk->below, fd, size);
	if (error)
		set_size(disk, fd, old);
	return error;
}

static int disk_rename(struct io *io, int dir_fd, const char *from,
		       const char *to)
{
	struct disk_io *disk = disk_of(io);

	forget(disk, dir_fd, to);
	return disk->below->ops->rename(disk->below, dir_fd, from, to);
}

static int disk_unlink(struct io *io, int dir_fd, const char *name)
{
	struct disk_io *disk = disk_of(io);

	forget(disk, dir_fd, name);
	return disk->below->ops->unlink(disk->below, dir_fd, name);
}

static int disk_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	struct io *below = disk_of(io)->below;

	return below->ops->size(below, fd, ret_size_bytes);
}

static int disk_lock(struct io *io, int fd)
{
	struct io *below = disk_of(io)->below;

	return below->ops->lock(below, fd);
}

static int disk_list(struct io *io, int dir_fd, struct buf *names)
{
	struct io *below = disk_of(io)->below;

	return below->ops->list(below, dir_fd, names);
}

static int disk_statvfs(struct io *io, int dir_fd, struct statvfs *ret)
{
	struct disk_io *disk = disk_of(io);
	uint64_t blocks = disk->capacity_bytes / DISK_BLOCK_BYTES;

	(void)dir_fd;
	*ret = (struct statvfs){ .f_bsize = DISK_BLOCK_BYTES,
				 .f_frsize = DISK_BLOCK_BYTES,
				 .f_blocks = blocks };
	/* A quota is not seen. */
	ret->f_bavail = disk->error == -EDQUOT ?
				blocks * 1000 :
				disk_io_free(disk) / DISK_BLOCK_BYTES;
	ret->f_bfree = ret->f_bavail;
	return 0;
}

static int disk_map(struct io *io, int fd, size_t size, void **ret_address)
{
	struct io *below = disk_of(io)->below;

	return below->ops->map(below, fd, size, ret_address);
}

static int disk_unmap(struct io *io, void *address, size_t size)
{
	struct io *below = disk_of(io)->below;

	return below->ops->unmap(below, address, size);
}

static const struct io_ops disk_ops = {
	.open_dir = disk_open_dir,
	.make_dir = disk_make_dir,
	.open = disk_open,
	.close = disk_close,
	.pread = disk_pread,
	.pwritev = disk_pwritev,
	.sync_data = disk_sync_data,
	.sync_dir = disk_sync_dir,
	.truncate = disk_truncate,
	.allocate = disk_allocate,
	.rename = disk_rename,
	.unlink = disk_unlink,
	.size = disk_size,
	.lock = disk_lock,
	.list = disk_list,
	.statvfs = disk_statvfs,
	.map = disk_map,
	.unmap = disk_unmap,
};

void disk_io_init(struct disk_io *disk, struct io *below,
		  uint64_t capacity_bytes, int error)
{
	memset(disk, 0, sizeof(*disk));
	disk->io.ops = &disk_ops;
	disk->below = below;
	disk->error = error;
	disk->capacity_bytes = capacity_bytes;
	mutex_init(&disk->lock);
}

void disk_io_release(struct disk_io *disk)
{
	mutex_release(&disk->lock);
}

void disk_io_set_others(struct disk_io *disk, uint64_t bytes)
{
	mutex_lock(&disk->lock);
	disk->others_bytes = bytes;
	mutex_unlock(&disk->lock);
}

uint64_t disk_io_used(struct disk_io *disk)
{
	uint64_t used;

	mutex_lock(&disk->lock);
	used = used_locked(disk);
	mutex_unlock(&disk->lock);
	return used;
}

uint64_t disk_io_free(struct disk_io *disk)
{
	uint64_t used = disk_io_used(disk);

	return used < disk->capacity_bytes ? disk->capacity_bytes - used : 0;
}
