/* SPDX-License-Identifier: MIT */

/*
 * The recording struct io: see record_io.h.
 *
 * Invariants, under the lock:
 *  1. The order of the records is the order in which the system saw the
 *     changes, as each is recorded before the lock is released.
 *  2. Every record but the directory's is in the chain of its file; those of
 *     names and SYNC_DIR are in chain 0. Chains ascend.
 *  3. `names` is what the directory would list.
 */

#include "tests/seam/record_io.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAIL_MAX_BYTES ((size_t)4 << 20)

/* Descriptors of what is not recorded, and of the directory itself. */
#define FD_OTHER UINT32_MAX
#define FD_DIRECTORY RECORD_DIRECTORY

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "record_io: %s (%s)\n", what, strerror(errno));
	abort();
}

/* First member, so the pointers are the same. */
static struct record_io *recorder_of(struct io *io)
{
	return (struct record_io *)io;
}

static void *resize_array(void *array, size_t count, size_t size)
{
	void *resized = reallocarray(array, count, size);

	require(resized != NULL, "out of memory");
	return resized;
}

static char *copy_name(const char *name)
{
	char *copy = strdup(name);

	require(copy != NULL, "out of memory");
	return copy;
}

static uint32_t new_chain_locked(struct record_io *r) REQUIRES(r->lock)
{
	r->chains = resize_array(r->chains, r->chain_count + 1u,
				 sizeof(*r->chains));
	r->chains[r->chain_count] =
		(struct record_chain){ RECORD_NONE, RECORD_NONE };
	return r->chain_count++;
}

static void add_locked(struct record_io *r, uint32_t chain_id,
		       const struct record *record) REQUIRES(r->lock)
{
	struct record_chain *chain = &r->chains[chain_id];
	size_t index = r->count;

	if (r->count == r->capacity) {
		r->capacity = r->capacity ? 2 * r->capacity : 1024;
		r->records = resize_array(r->records, r->capacity,
					  sizeof(*r->records));
	}
	r->records[index] = *record;
	r->records[index].next = RECORD_NONE;
	r->count++;
	if (chain->first == RECORD_NONE)
		chain->first = index;
	else
		r->records[chain->last].next = index;
	chain->last = index;
}

void record_io_flush_locked(struct record_io *r)
{
	int error = io_write(io_system(), r->bytes_fd, r->tail.data,
			     r->tail.size, r->bytes_stored);

	errno = -error;
	require(error == 0, "cannot store bytes");
	r->bytes_stored += r->tail.size;
	buf_clear(&r->tail);
}

static void add_write_locked(struct record_io *r, uint32_t file,
			     const struct iovec *iov, size_t size,
			     uint64_t offset) REQUIRES(r->lock)
{
	struct record record = {
		.type = RECORD_WRITE,
		.file = file,
		.offset = offset,
		.size_bytes = size,
		.bytes_at = r->bytes_stored + r->tail.size,
	};

	for (; size > 0; iov++) {
		size_t part = iov->iov_len < size ? iov->iov_len : size;

		require(buf_append(&r->tail, iov->iov_base, part) == 0,
			"out of memory");
		size -= part;
	}
	if (r->tail.size >= TAIL_MAX_BYTES)
		record_io_flush_locked(r);
	add_locked(r, file, &record);
}

static void add_size_locked(struct record_io *r, enum record_type type,
			    uint32_t file, uint64_t size_bytes)
	REQUIRES(r->lock)
{
	struct record record = {
		.type = type,
		.file = file,
		.size_bytes = size_bytes,
	};

	add_locked(r, file, &record);
}

static struct record_name *find_name_locked(struct record_io *r,
					    const char *name) REQUIRES(r->lock)
{
	for (size_t i = 0; i < r->name_count; i++)
		if (strcmp(r->names[i].name, name) == 0)
			return &r->names[i];
	return NULL;
}

static void drop_name_locked(struct record_io *r, struct record_name *name)
	REQUIRES(r->lock)
{
	free(name->name);
	*name = r->names[--r->name_count];
}

static uint32_t create_locked(struct record_io *r, const char *name)
	REQUIRES(r->lock)
{
	struct record record = {
		.type = RECORD_CREATE,
		.file = new_chain_locked(r),
		.name = copy_name(name),
	};

	add_locked(r, RECORD_DIRECTORY, &record);
	r->names = resize_array(r->names, r->name_count + 1, sizeof(*r->names));
	r->names[r->name_count++] =
		(struct record_name){ copy_name(name), record.file };
	return record.file;
}

static void unlink_locked(struct record_io *r, const char *name)
	REQUIRES(r->lock)
{
	struct record_name *known = find_name_locked(r, name);
	struct record record = { .type = RECORD_UNLINK };

	require(known != NULL, "unlinked a file it does not know");
	record.file = known->file;
	record.name = copy_name(name);
	add_locked(r, RECORD_DIRECTORY, &record);
	drop_name_locked(r, known);
}

static void rename_locked(struct record_io *r, const char *from, const char *to)
	REQUIRES(r->lock)
{
	struct record record = { .type = RECORD_RENAME };
	struct record_name *known;

	if (strcmp(from, to) == 0)
		return;
	known = find_name_locked(r, to);
	if (known)
		drop_name_locked(r, known);
	known = find_name_locked(r, from);
	require(known != NULL, "renamed a file it does not know");
	record.file = known->file;
	record.name = copy_name(from);
	record.new_name = copy_name(to);
	add_locked(r, RECORD_DIRECTORY, &record);
	free(known->name);
	known->name = copy_name(to);
}

static void set_fd_locked(struct record_io *r, int fd, uint32_t file)
	REQUIRES(r->lock)
{
	size_t count = (size_t)fd + 1;

	if (r->fd_count < count) {
		r->fd_files =
			resize_array(r->fd_files, count, sizeof(*r->fd_files));
		while (r->fd_count < count)
			r->fd_files[r->fd_count++] = FD_OTHER;
	}
	r->fd_files[fd] = file;
}

static uint32_t file_of_locked(const struct record_io *r, int fd)
	REQUIRES(r->lock)
{
	if (fd < 0 || (size_t)fd >= r->fd_count)
		return FD_OTHER;
	return r->fd_files[fd];
}

static int record_open_dir(struct io *io, const char *path)
{
	struct record_io *r = recorder_of(io);
	int fd = r->below->ops->open_dir(r->below, path);
	struct stat opened;
	struct stat recorded;

	if (fd < 0 || fstat(fd, &opened) || stat(r->path, &recorded))
		return fd;
	mutex_lock(&r->lock);
	if (opened.st_dev == recorded.st_dev &&
	    opened.st_ino == recorded.st_ino)
		set_fd_locked(r, fd, FD_DIRECTORY);
	mutex_unlock(&r->lock);
	return fd;
}

static int record_make_dir(struct io *io, const char *path)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->make_dir(r->below, path);
}

static void opened_locked(struct record_io *r, int fd, const char *name,
			  int flags) REQUIRES(r->lock)
{
	const struct record_name *known = find_name_locked(r, name);
	uint32_t file;

	if (known) {
		file = known->file;
		if (flags & O_TRUNC)
			add_size_locked(r, RECORD_TRUNCATE, file, 0);
	} else {
		require(flags & O_CREAT, "opened a file it does not know");
		file = create_locked(r, name);
	}
	set_fd_locked(r, fd, file);
}

static int record_open(struct io *io, int dir_fd, const char *name, int flags)
{
	struct record_io *r = recorder_of(io);
	int fd;

	mutex_lock(&r->lock);
	fd = r->below->ops->open(r->below, dir_fd, name, flags);
	if (fd >= 0 && file_of_locked(r, dir_fd) == FD_DIRECTORY)
		opened_locked(r, fd, name, flags);
	mutex_unlock(&r->lock);
	return fd;
}

static int record_close(struct io *io, int fd)
{
	struct record_io *r = recorder_of(io);

	/* Forgotten first: once closed, the number may be someone else's. */
	mutex_lock(&r->lock);
	if (file_of_locked(r, fd) != FD_OTHER)
		set_fd_locked(r, fd, FD_OTHER);
	mutex_unlock(&r->lock);
	return r->below->ops->close(r->below, fd);
}

static ssize_t record_pread(struct io *io, int fd, void *dst, size_t size,
			    uint64_t offset)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->pread(r->below, fd, dst, size, offset);
}

static ssize_t record_pwritev(struct io *io, int fd, const struct iovec *iov,
			      int count, uint64_t offset)
{
	struct record_io *r = recorder_of(io);
	uint32_t file;
	ssize_t n;

	mutex_lock(&r->lock);
	n = r->below->ops->pwritev(r->below, fd, iov, count, offset);
	file = file_of_locked(r, fd);
	if (n > 0 && file != FD_OTHER)
		add_write_locked(r, file, iov, (size_t)n, offset);
	mutex_unlock(&r->lock);
	return n;
}

/* Where a sync begins: *ret_file is what it syncs, perhaps FD_OTHER. */
static size_t begin_sync(struct record_io *r, int fd, uint32_t *ret_file)
{
	size_t began;

	mutex_lock(&r->lock);
	began = r->count;
	*ret_file = file_of_locked(r, fd);
	mutex_unlock(&r->lock);
	return began;
}

static void end_sync(struct record_io *r, uint32_t file, size_t began)
{
	struct record record = {
		.type = file == RECORD_DIRECTORY ? RECORD_SYNC_DIR :
						   RECORD_SYNC_DATA,
		.file = file,
		.began = began,
	};

	if (file == FD_OTHER)
		return;
	mutex_lock(&r->lock);
	add_locked(r, file, &record);
	mutex_unlock(&r->lock);
}

static int record_sync_data(struct io *io, int fd)
{
	struct record_io *r = recorder_of(io);
	uint32_t file;
	size_t began = begin_sync(r, fd, &file);
	int error = r->below->ops->sync_data(r->below, fd);

	if (error == 0)
		end_sync(r, file, began);
	return error;
}

static int record_sync_dir(struct io *io, int dir_fd)
{
	struct record_io *r = recorder_of(io);
	uint32_t file;
	size_t began = begin_sync(r, dir_fd, &file);
	int error = r->below->ops->sync_dir(r->below, dir_fd);

	if (error == 0)
		end_sync(r, file, began);
	return error;
}

static int record_truncate(struct io *io, int fd, uint64_t size)
{
	struct record_io *r = recorder_of(io);
	uint32_t file;
	int error;

	mutex_lock(&r->lock);
	error = r->below->ops->truncate(r->below, fd, size);
	file = file_of_locked(r, fd);
	if (error == 0 && file != FD_OTHER)
		add_size_locked(r, RECORD_TRUNCATE, file, size);
	mutex_unlock(&r->lock);
	return error;
}

static int record_allocate(struct io *io, int fd, uint64_t size)
{
	struct record_io *r = recorder_of(io);
	uint32_t file;
	int error;

	mutex_lock(&r->lock);
	error = r->below->ops->allocate(r->below, fd, size);
	file = file_of_locked(r, fd);
	if (error == 0 && file != FD_OTHER)
		add_size_locked(r, RECORD_ALLOCATE, file, size);
	mutex_unlock(&r->lock);
	return error;
}

static int record_rename(struct io *io, int dir_fd, const char *from,
			 const char *to)
{
	struct record_io *r = recorder_of(io);
	int error;

	mutex_lock(&r->lock);
	error = r->below->ops->rename(r->below, dir_fd, from, to);
	if (error == 0 && file_of_locked(r, dir_fd) == FD_DIRECTORY)
		rename_locked(r, from, to);
	mutex_unlock(&r->lock);
	return error;
}

static int record_unlink(struct io *io, int dir_fd, const char *name)
{
	struct record_io *r = recorder_of(io);
	int error;

	mutex_lock(&r->lock);
	error = r->below->ops->unlink(r->below, dir_fd, name);
	if (error == 0 && file_of_locked(r, dir_fd) == FD_DIRECTORY)
		unlink_locked(r, name);
	mutex_unlock(&r->lock);
	return error;
}

static int record_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->size(r->below, fd, ret_size_bytes);
}

static int record_lock(struct io *io, int fd)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->lock(r->below, fd);
}

static int record_list(struct io *io, int dir_fd, struct buf *names)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->list(r->below, dir_fd, names);
}

static int record_statvfs(struct io *io, int dir_fd, struct statvfs *ret)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->statvfs(r->below, dir_fd, ret);
}

static int record_map(struct io *io, int fd, size_t size, void **ret_address)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->map(r->below, fd, size, ret_address);
}

static int record_unmap(struct io *io, void *address, size_t size)
{
	struct record_io *r = recorder_of(io);

	return r->below->ops->unmap(r->below, address, size);
}

static int record_touch(struct io *io, const void *address, size_t size)
{
	struct record_io *r = recorder_of(io);

	if (!r->below->ops->touch)
		return 0;
	return r->below->ops->touch(r->below, address, size);
}

static int record_map_window(struct io *io, int fd, uint64_t offset,
			     size_t size, void **ret_address)
{
	struct record_io *r = recorder_of(io);

	if (!r->below->ops->map_window)
		return -EOPNOTSUPP;
	return r->below->ops->map_window(r->below, fd, offset, size,
					 ret_address);
}

/* To a disk it is a write: which pages of it get there, and when, is as open. */
static int record_store(struct io *io, int fd, const struct iovec *iov,
			int count, uint64_t offset)
{
	struct record_io *r = recorder_of(io);
	size_t size = 0;
	uint32_t file;
	int error = 0;

	for (int i = 0; i < count; i++)
		size += iov[i].iov_len;
	mutex_lock(&r->lock);
	if (r->below->ops->store)
		error = r->below->ops->store(r->below, fd, iov, count, offset);
	file = file_of_locked(r, fd);
	if (!error && file != FD_OTHER)
		add_write_locked(r, file, iov, size, offset);
	mutex_unlock(&r->lock);
	return error;
}

static const struct io_ops record_ops = {
	.open_dir = record_open_dir,
	.make_dir = record_make_dir,
	.open = record_open,
	.close = record_close,
	.pread = record_pread,
	.pwritev = record_pwritev,
	.sync_data = record_sync_data,
	.sync_dir = record_sync_dir,
	.truncate = record_truncate,
	.allocate = record_allocate,
	.rename = record_rename,
	.unlink = record_unlink,
	.size = record_size,
	.lock = record_lock,
	.list = record_list,
	.statvfs = record_statvfs,
	.map = record_map,
	.unmap = record_unmap,
	.touch = record_touch,
	.map_window = record_map_window,
	.store = record_store,
};

/* The file's data as writes, its holes left out, and its size. */
static void record_contents_locked(struct record_io *r, uint32_t file, int fd)
	REQUIRES(r->lock)
{
	uint8_t *bytes = malloc(TAIL_MAX_BYTES);
	off_t at = lseek(fd, 0, SEEK_DATA);

	require(bytes != NULL, "out of memory");
	while (at >= 0) {
		off_t end = lseek(fd, at, SEEK_HOLE);

		while (at < end) {
			size_t want = TAIL_MAX_BYTES;
			struct iovec iov = { .iov_base = bytes };
			ssize_t n;

			if ((uint64_t)(end - at) < want)
				want = (size_t)(end - at);
			n = pread(fd, bytes, want, at);
			require(n > 0, "cannot read what is there");
			iov.iov_len = (size_t)n;
			add_write_locked(r, file, &iov, (size_t)n,
					 (uint64_t)at);
			at += n;
		}
		at = lseek(fd, end, SEEK_DATA);
	}
	require(errno == ENXIO, "cannot find what is there");
	at = lseek(fd, 0, SEEK_END);
	require(at >= 0, "cannot tell how much is there");
	add_size_locked(r, RECORD_TRUNCATE, file, (uint64_t)at);
	free(bytes);
}

/* What is in the directory already becomes the first records. */
static void record_directory_locked(struct record_io *r) REQUIRES(r->lock)
{
	struct buf names = { 0 };
	int dir_fd = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir_fd < 0) {
		require(errno == ENOENT, "cannot open the directory");
		return;
	}
	require(io_list(io_system(), dir_fd, &names) == 0, "cannot list");
	for (size_t i = 0; i < names.size;) {
		const char *name = (const char *)names.data + i;
		int fd =
			openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

		require(fd >= 0, "cannot open what is there");
		record_contents_locked(r, create_locked(r, name), fd);
		close(fd);
		i += strlen(name) + 1;
	}
	buf_release(&names);
	close(dir_fd);
}

static int open_bytes_file(void)
{
	const char *parent = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/kvfs-record.XXXXXX",
		 parent ? parent : "/tmp");
	fd = mkostemp(path, O_CLOEXEC);
	require(fd >= 0 && unlink(path) == 0, "cannot make a file for bytes");
	return fd;
}

void record_io_init(struct record_io *r, struct io *below, const char *path)
{
	int n;

	memset(r, 0, sizeof(*r));
	r->io.ops = &record_ops;
	r->below = below;
	r->bytes_fd = open_bytes_file();
	n = snprintf(r->path, sizeof(r->path), "%s", path);
	require(n > 0 && (size_t)n < sizeof(r->path), "path too long");
	mutex_init(&r->lock);

	mutex_lock(&r->lock);
	new_chain_locked(r);
	record_directory_locked(r);
	r->base_count = r->count;
	mutex_unlock(&r->lock);
}

void record_io_release(struct record_io *r)
{
	for (size_t i = 0; i < r->count; i++) {
		free(r->records[i].name);
		free(r->records[i].new_name);
	}
	for (size_t i = 0; i < r->name_count; i++)
		free(r->names[i].name);
	free(r->records);
	free(r->chains);
	free(r->names);
	free(r->fd_files);
	buf_release(&r->tail);
	close(r->bytes_fd);
	mutex_release(&r->lock);
}

size_t record_io_position(struct record_io *r)
{
	size_t count;

	mutex_lock(&r->lock);
	count = r->count;
	mutex_unlock(&r->lock);
	return count;
}

size_t record_io_first(const struct record_io *r)
{
	return r->base_count;
}

struct record record_io_get(struct record_io *r, size_t index)
{
	struct record record;

	mutex_lock(&r->lock);
	require(index < r->count, "no such record");
	record = r->records[index];
	mutex_unlock(&r->lock);
	return record;
}

uint64_t record_io_byte_count(struct record_io *r)
{
	uint64_t count;

	mutex_lock(&r->lock);
	count = r->bytes_stored + r->tail.size;
	mutex_unlock(&r->lock);
	return count;
}
