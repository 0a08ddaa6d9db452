/* SPDX-License-Identifier: MIT */

/*
 * What the engine calls: the operations of struct io made patient. Here, and
 * nowhere else, EINTR is retried and short transfers are finished. Stateless,
 * so without locks.
 *
 * Invariants:
 *  1. No function returns -EINTR or a short count.
 *  2. No function passes a name with a slash to an operation.
 *  3. Outputs are untouched on failure.
 */

#include "engine/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>

/* So that no count overflows; a power of two keeps what follows aligned. */
#define TRANSFER_MAX_BYTES ((size_t)1 << 30)

static bool name_is_plain(const char *name)
{
	return name[0] != '\0' && !strchr(name, '/');
}

int io_open_dir(struct io *io, const char *path, int *ret_fd)
{
	int fd;

	do
		fd = io->ops->open_dir(io, path);
	while (fd == -EINTR);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int io_make_dir(struct io *io, const char *path)
{
	int error;

	do
		error = io->ops->make_dir(io, path);
	while (error == -EINTR);
	return error;
}

int io_open(struct io *io, int dir_fd, const char *name, int flags, int *ret_fd)
{
	int fd;

	if (!name_is_plain(name))
		return -EINVAL;
	flags |= O_CLOEXEC | O_NOFOLLOW;
	do
		fd = io->ops->open(io, dir_fd, name, flags);
	while (fd == -EINTR);
	if (fd < 0)
		return fd;
	*ret_fd = fd;
	return 0;
}

int io_close(struct io *io, int fd)
{
	int error;

	if (fd < 0)
		return 0;
	/*
	 * Not retried: Linux has released the descriptor by then, and another
	 * thread may have been given its number.
	 */
	error = io->ops->close(io, fd);
	return error == -EINTR ? 0 : error;
}

int io_read(struct io *io, int fd, void *dst, size_t size, uint64_t offset)
{
	uint8_t *p = dst;

	while (size > 0) {
		size_t want = size;
		ssize_t n;

		if (want > TRANSFER_MAX_BYTES)
			want = TRANSFER_MAX_BYTES;
		n = io->ops->pread(io, fd, p, want, offset);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -ENODATA;
		p += n;
		size -= (size_t)n;
		offset += (uint64_t)n;
	}
	return 0;
}

int io_write(struct io *io, int fd, const void *src, size_t size,
	     uint64_t offset)
{
	struct iovec iov = { .iov_len = size };

	/* iovec serves reads too, hence its pointer to bytes that may change. */
	memcpy(&iov.iov_base, &src, sizeof(src));
	return io_write_vector(io, fd, &iov, 1, offset);
}

/* Takes `done` bytes off the front of the pieces, and empty ones after that. */
static void advance_vector(struct iovec **iov, size_t *count, size_t done)
{
	while (*count > 0 && done >= (*iov)->iov_len) {
		done -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
	if (done > 0) {
		(*iov)->iov_base = (uint8_t *)(*iov)->iov_base + done;
		(*iov)->iov_len -= done;
	}
}

int io_write_vector(struct io *io, int fd, struct iovec *iov, size_t count,
		    uint64_t offset)
{
	advance_vector(&iov, &count, 0);
	while (count > 0) {
		int pieces = count < IOV_MAX ? (int)count : IOV_MAX;
		ssize_t n;

		n = io->ops->pwritev(io, fd, iov, pieces, offset);
		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		/* There was something to write: without this, for ever. */
		if (n == 0)
			return -EIO;
		offset += (uint64_t)n;
		advance_vector(&iov, &count, (size_t)n);
	}
	return 0;
}

int io_sync_data(struct io *io, int fd)
{
	int error;

	do
		error = io->ops->sync_data(io, fd);
	while (error == -EINTR);
	return error;
}

int io_sync_dir(struct io *io, int dir_fd)
{
	int error;

	do
		error = io->ops->sync_dir(io, dir_fd);
	while (error == -EINTR);
	return error;
}

int io_truncate(struct io *io, int fd, uint64_t size_bytes)
{
	int error;

	do
		error = io->ops->truncate(io, fd, size_bytes);
	while (error == -EINTR);
	return error;
}

int io_allocate(struct io *io, int fd, uint64_t size_bytes)
{
	uint64_t now_bytes;
	int error;

	do
		error = io->ops->allocate(io, fd, size_bytes);
	while (error == -EINTR);
	if (error != -EOPNOTSUPP && error != -EINVAL && error != -ENOSYS)
		return error;

	error = io_size(io, fd, &now_bytes);
	if (error || now_bytes >= size_bytes)
		return error;
	return io_truncate(io, fd, size_bytes);
}

int io_rename(struct io *io, int dir_fd, const char *from, const char *to)
{
	int error;

	if (!name_is_plain(from) || !name_is_plain(to))
		return -EINVAL;
	do
		error = io->ops->rename(io, dir_fd, from, to);
	while (error == -EINTR);
	return error;
}

int io_unlink(struct io *io, int dir_fd, const char *name)
{
	int error;

	if (!name_is_plain(name))
		return -EINVAL;
	do
		error = io->ops->unlink(io, dir_fd, name);
	while (error == -EINTR);
	return error;
}

int io_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	int error;

	do
		error = io->ops->size(io, fd, ret_size_bytes);
	while (error == -EINTR);
	return error;
}

int io_lock(struct io *io, int fd)
{
	int error;

	do
		error = io->ops->lock(io, fd);
	while (error == -EINTR);
	return error;
}

int io_list(struct io *io, int dir_fd, struct buf *ret_names)
{
	struct buf names = { 0 };
	int error;

	do
		error = io->ops->list(io, dir_fd, &names);
	while (error == -EINTR);
	if (error) {
		buf_release(&names);
		return error;
	}
	buf_release(ret_names);
	*ret_names = names;
	return 0;
}

int io_statvfs(struct io *io, int dir_fd, struct statvfs *ret)
{
	int error;

	do
		error = io->ops->statvfs(io, dir_fd, ret);
	while (error == -EINTR);
	return error;
}

static int read_whole(struct io *io, int fd, size_t max_bytes,
		      struct buf *bytes)
{
	uint64_t size;
	int error;

	error = io_size(io, fd, &size);
	if (error)
		return error;
	if (size > max_bytes)
		return -EFBIG;
	error = buf_resize(bytes, (size_t)size);
	if (error)
		return error;
	return io_read(io, fd, bytes->data, bytes->size, 0);
}

int io_read_file(struct io *io, int dir_fd, const char *name, size_t max_bytes,
		 struct buf *ret_bytes)
{
	struct buf bytes = { 0 };
	int error;
	int fd;

	error = io_open(io, dir_fd, name, O_RDONLY, &fd);
	if (error)
		return error;
	error = read_whole(io, fd, max_bytes, &bytes);
	io_close(io, fd);
	if (error) {
		buf_release(&bytes);
		return error;
	}
	buf_release(ret_bytes);
	*ret_bytes = bytes;
	return 0;
}

/*
 * A new file in the place of whatever has the name. Never the old one
 * truncated: that may have another name too.
 */
static int create_anew(struct io *io, int dir_fd, const char *name, int *ret_fd)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL;
	int error;

	error = io_open(io, dir_fd, name, flags, ret_fd);
	if (error != -EEXIST)
		return error;
	error = io_unlink(io, dir_fd, name);
	if (error)
		return error;
	return io_open(io, dir_fd, name, flags, ret_fd);
}

static int write_new_file(struct io *io, int fd, struct slice bytes)
{
	int error = io_write(io, fd, bytes.data, bytes.size, 0);
	int close_error;

	if (!error)
		error = io_sync_data(io, fd);
	close_error = io_close(io, fd);
	return error ? error : close_error;
}

int io_replace_file(struct io *io, int dir_fd, const char *name,
		    struct slice bytes)
{
	char temporary[NAME_MAX + 1];
	int error;
	int fd;
	int n;

	n = snprintf(temporary, sizeof(temporary), "%s.tmp", name);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return -ENAMETOOLONG;

	error = create_anew(io, dir_fd, temporary, &fd);
	if (error)
		return error;
	error = write_new_file(io, fd, bytes);
	if (!error)
		error = io_rename(io, dir_fd, temporary, name);
	if (error) {
		/* The first error is the one to report. */
		io_unlink(io, dir_fd, temporary);
		return error;
	}
	return io_sync_dir(io, dir_fd) ? -EIO : 0;
}
