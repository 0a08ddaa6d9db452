/* SPDX-License-Identifier: MIT */

/*
 * The failing struct io: see fault_io.h. Every operation asks decide() first
 * and then does, or does not do, what the one below does.
 *
 * Invariant: the lock is not held while an operation below runs, so faults do
 * not serialise what is being tested.
 */

#include "tests/seam/fault_io.h"

#include <errno.h>
#include <limits.h>

#define TRANSFERS (FAULT_OP(OP_PREAD) | FAULT_OP(OP_PWRITEV))

struct verdict {
	bool hit;
	int error;
	size_t limit_bytes;
};

/* First member, so the pointers are the same. */
static struct fault_io *fault_of(struct io *io)
{
	return (struct fault_io *)io;
}

static struct verdict decide_locked(struct fault_io *f, enum fault_op op)
	REQUIRES(f->lock)
{
	const struct fault *fault = &f->fault;
	struct verdict verdict = { .hit = false };
	uint64_t first = fault->nth ? fault->nth : 1;
	uint64_t times = fault->times ? fault->times : 1;

	f->call_counts[op]++;
	if (!(fault->ops & FAULT_OP(op)))
		return verdict;
	f->candidate_count++;
	if (f->candidate_count < first || f->candidate_count - first >= times)
		return verdict;
	f->hit_count++;
	f->hit_ops |= FAULT_OP(op);
	return (struct verdict){ true, fault->error, fault->limit_bytes };
}

static struct verdict decide(struct fault_io *f, enum fault_op op)
{
	struct verdict verdict;

	mutex_lock(&f->lock);
	verdict = decide_locked(f, op);
	mutex_unlock(&f->lock);
	return verdict;
}

static void count_open(struct fault_io *f, int fd, const char *name)
{
	size_t size = strlen(name);

	if (fd < 0)
		return;
	mutex_lock(&f->lock);
	f->open_count++;
	if (fd < FAULT_IO_FDS_MAX)
		f->is_log[fd] = size > 4 &&
				strcmp(name + size - 4, ".seg") == 0;
	mutex_unlock(&f->lock);
}

static void count_close(struct fault_io *f)
{
	mutex_lock(&f->lock);
	f->open_count--;
	mutex_unlock(&f->lock);
}

static void count_maps(struct fault_io *f, int64_t more)
{
	mutex_lock(&f->lock);
	f->map_count += more;
	mutex_unlock(&f->lock);
}

static void note_sync(struct fault_io *f, int fd, bool directory, int error)
{
	mutex_lock(&f->lock);
	if (error && error != -EINTR &&
	    (directory || (fd < FAULT_IO_FDS_MAX && f->is_log[fd])))
		f->lost_sync = true;
	mutex_unlock(&f->lock);
}

static int fault_open_dir(struct io *io, const char *path)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_OPEN_DIR);
	int fd;

	if (verdict.hit)
		return verdict.error;
	fd = f->below->ops->open_dir(f->below, path);
	count_open(f, fd, "");
	return fd;
}

static int fault_make_dir(struct io *io, const char *path)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_MAKE_DIR);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->make_dir(f->below, path);
}

static int fault_open(struct io *io, int dir_fd, const char *name, int flags)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_OPEN);
	int fd;

	if (verdict.hit)
		return verdict.error;
	fd = f->below->ops->open(f->below, dir_fd, name, flags);
	count_open(f, fd, name);
	return fd;
}

static int fault_close(struct io *io, int fd)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_CLOSE);
	int error;

	count_close(f);
	error = f->below->ops->close(f->below, fd);
	return verdict.hit ? verdict.error : error;
}

static ssize_t fault_pread(struct io *io, int fd, void *dst, size_t size,
			   uint64_t offset)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_PREAD);

	if (verdict.hit && verdict.error)
		return verdict.error;
	if (verdict.hit && size > verdict.limit_bytes)
		size = verdict.limit_bytes;
	return size ? f->below->ops->pread(f->below, fd, dst, size, offset) : 0;
}

/* Writes at most limit_bytes of the pieces. */
static ssize_t write_part(struct io *below, int fd, const struct iovec *iov,
			  int count, uint64_t offset, size_t limit_bytes)
{
	struct iovec part[IOV_MAX];
	int pieces = 0;

	if (count > IOV_MAX)
		return -EINVAL;
	while (pieces < count && limit_bytes > 0) {
		struct iovec *piece = &part[pieces];

		*piece = iov[pieces];
		if (piece->iov_len > limit_bytes)
			piece->iov_len = limit_bytes;
		limit_bytes -= piece->iov_len;
		pieces++;
	}
	if (pieces == 0)
		return 0;
	return below->ops->pwritev(below, fd, part, pieces, offset);
}

static ssize_t fault_pwritev(struct io *io, int fd, const struct iovec *iov,
			     int count, uint64_t offset)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_PWRITEV);
	ssize_t n;

	if (!verdict.hit)
		return f->below->ops->pwritev(f->below, fd, iov, count, offset);
	n = write_part(f->below, fd, iov, count, offset, verdict.limit_bytes);
	return verdict.error ? verdict.error : n;
}

static int fault_sync_data(struct io *io, int fd)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_SYNC_DATA);
	int error = verdict.hit ? verdict.error :
				  f->below->ops->sync_data(f->below, fd);

	note_sync(f, fd, false, error);
	return error;
}

static int fault_sync_dir(struct io *io, int dir_fd)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_SYNC_DIR);
	int error = verdict.hit ? verdict.error :
				  f->below->ops->sync_dir(f->below, dir_fd);

	note_sync(f, dir_fd, true, error);
	return error;
}

static int fault_truncate(struct io *io, int fd, uint64_t size)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_TRUNCATE);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->truncate(f->below, fd, size);
}

static int fault_allocate(struct io *io, int fd, uint64_t size)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_ALLOCATE);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->allocate(f->below, fd, size);
}

static int fault_rename(struct io *io, int dir_fd, const char *from,
			const char *to)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_RENAME);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->rename(f->below, dir_fd, from, to);
}

static int fault_unlink(struct io *io, int dir_fd, const char *name)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_UNLINK);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->unlink(f->below, dir_fd, name);
}

static int fault_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_SIZE);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->size(f->below, fd, ret_size_bytes);
}

static int fault_lock(struct io *io, int fd)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_LOCK);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->lock(f->below, fd);
}

static int fault_list(struct io *io, int dir_fd, struct buf *names)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_LIST);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->list(f->below, dir_fd, names);
}

static int fault_statvfs(struct io *io, int dir_fd, struct statvfs *ret)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_STATVFS);

	if (verdict.hit)
		return verdict.error;
	return f->below->ops->statvfs(f->below, dir_fd, ret);
}

static int fault_map(struct io *io, int fd, size_t size, void **ret_address)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_MAP);
	int error;

	if (verdict.hit)
		return verdict.error;
	error = f->below->ops->map(f->below, fd, size, ret_address);
	count_maps(f, !error);
	return error;
}

static int fault_unmap(struct io *io, void *address, size_t size)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_UNMAP);
	int error;

	count_maps(f, -1);
	error = f->below->ops->unmap(f->below, address, size);
	return verdict.hit ? verdict.error : error;
}

static int fault_touch(struct io *io, const void *address, size_t size)
{
	struct fault_io *f = fault_of(io);
	struct verdict verdict = decide(f, OP_TOUCH);

	if (verdict.hit)
		return verdict.error;
	if (!f->below->ops->touch)
		return 0;
	return f->below->ops->touch(f->below, address, size);
}

static const struct io_ops fault_ops = {
	.open_dir = fault_open_dir,
	.make_dir = fault_make_dir,
	.open = fault_open,
	.close = fault_close,
	.pread = fault_pread,
	.pwritev = fault_pwritev,
	.sync_data = fault_sync_data,
	.sync_dir = fault_sync_dir,
	.truncate = fault_truncate,
	.allocate = fault_allocate,
	.rename = fault_rename,
	.unlink = fault_unlink,
	.size = fault_size,
	.lock = fault_lock,
	.list = fault_list,
	.statvfs = fault_statvfs,
	.map = fault_map,
	.unmap = fault_unmap,
	.touch = fault_touch,
};

void fault_io_init(struct fault_io *f, struct io *below)
{
	memset(f, 0, sizeof(*f));
	f->io.ops = &fault_ops;
	f->below = below;
	mutex_init(&f->lock);
}

void fault_io_release(struct fault_io *f)
{
	mutex_release(&f->lock);
}

void fault_io_arm(struct fault_io *f, const struct fault *fault)
{
	mutex_lock(&f->lock);
	f->fault = fault ? *fault : (struct fault){ 0 };
	if (f->fault.error == 0)
		f->fault.ops &= TRANSFERS;
	f->candidate_count = 0;
	f->hit_count = 0;
	f->hit_ops = 0;
	f->lost_sync = false;
	mutex_unlock(&f->lock);
}

int64_t fault_io_open_count(struct fault_io *f)
{
	int64_t count;

	mutex_lock(&f->lock);
	count = f->open_count + f->map_count;
	mutex_unlock(&f->lock);
	return count;
}

int64_t fault_io_descriptor_count(struct fault_io *f)
{
	int64_t count;

	mutex_lock(&f->lock);
	count = f->open_count;
	mutex_unlock(&f->lock);
	return count;
}

bool fault_io_lost_sync(struct fault_io *f)
{
	bool lost;

	mutex_lock(&f->lock);
	lost = f->lost_sync;
	mutex_unlock(&f->lock);
	return lost;
}

uint64_t fault_io_hit_count(struct fault_io *f)
{
	uint64_t count;

	mutex_lock(&f->lock);
	count = f->hit_count;
	mutex_unlock(&f->lock);
	return count;
}

unsigned int fault_io_hit_ops(struct fault_io *f)
{
	unsigned int ops;

	mutex_lock(&f->lock);
	ops = f->hit_ops;
	mutex_unlock(&f->lock);
	return ops;
}

uint64_t fault_io_call_count(struct fault_io *f, unsigned int ops)
{
	uint64_t count = 0;

	mutex_lock(&f->lock);
	for (int op = 0; op < OP_COUNT; op++)
		if (ops & FAULT_OP(op))
			count += f->call_counts[op];
	mutex_unlock(&f->lock);
	return count;
}

void fault_io_reset_counts(struct fault_io *f)
{
	mutex_lock(&f->lock);
	memset(f->call_counts, 0, sizeof(f->call_counts));
	mutex_unlock(&f->lock);
}
