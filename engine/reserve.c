/* SPDX-License-Identifier: MIT */

/*
 * The reserve: see reserve.h. One file, whose allocated size is what is held.
 *
 *	free space, the reserve's not counted
 *	  above 4 times its size	no file
 *	  between			as it was
 *	  below 2 times its size	the file, whole
 *
 * 1. held_bytes is the file's size. It grows only where so much was free before
 *    that others are not made to fail by the attempt.
 * 2. `low` is set by whoever gives up, and cleared when the whole is held or
 *    the disk has plenty again.
 */

#include "engine/reserve.h"

#include <errno.h>
#include <fcntl.h>

#define MAKE_FACTOR 2u
#define DROP_FACTOR 4u
/* Left free by the growing of the reserve. */
#define MARGIN_BYTES ((uint64_t)64 << 10)

void reserve_init(struct reserve *r)
{
	mutex_init(&r->lock);
	atomic_init(&r->low, false);
	atomic_init(&r->blind, false);
	atomic_init(&r->size_bytes, 0);
	atomic_init(&r->held_bytes, 0);
	atomic_init(&r->given_count, 0);
}

void reserve_release(struct reserve *r)
{
	mutex_release(&r->lock);
}

int reserve_open(struct reserve *r, struct io *io, int dir_fd,
		 uint64_t size_bytes)
{
	uint64_t held_bytes = 0;
	int error, fd;

	r->io = io;
	r->dir_fd = dir_fd;
	r->enabled = true;
	atomic_store(&r->size_bytes, size_bytes);
	error = io_open(io, dir_fd, RESERVE_NAME, O_RDONLY, &fd);
	if (error)
		return error == -ENOENT ? 0 : error;
	error = io_size(io, fd, &held_bytes);
	io_close(io, fd);
	if (error)
		return error;
	atomic_store(&r->held_bytes, held_bytes);
	atomic_store(&r->low, held_bytes < size_bytes);
	return 0;
}

void reserve_resize(struct reserve *r, uint64_t size_bytes)
{
	atomic_store(&r->size_bytes, size_bytes);
}

/* What must stay for others than `use`. */
static uint64_t share_kept(struct reserve *r, enum reserve_use use)
{
	uint64_t whole = atomic_load(&r->size_bytes);

	switch (use) {
	case RESERVE_FOR_CHANGE:
		return whole;
	case RESERVE_FOR_DELETION:
		return whole - whole / 4;
	case RESERVE_FOR_COMPACTION:
		break;
	}
	return 0;
}

static int free_space(struct reserve *r, uint64_t *ret_bytes)
{
	struct statvfs vfs;
	int error = io_statvfs(r->io, r->dir_fd, &vfs);

	if (!error)
		*ret_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	return error;
}

static bool is_plenty(struct reserve *r, uint64_t free_bytes,
		      uint64_t want_bytes)
{
	return free_bytes >=
	       DROP_FACTOR * atomic_load(&r->size_bytes) + want_bytes;
}

/* Sets the size of the file, which may not be there. What cannot be had whole
 * is not kept in part: that would only be in the way. */
static int hold(struct reserve *r, uint64_t bytes) REQUIRES(r->lock)
{
	uint64_t held = atomic_load(&r->held_bytes);
	int error, fd;

	if (!bytes) {
		error = held ? io_unlink(r->io, r->dir_fd, RESERVE_NAME) : 0;
		if (!error || error == -ENOENT)
			atomic_store(&r->held_bytes, 0);
		return error;
	}
	error = io_open(r->io, r->dir_fd, RESERVE_NAME, O_RDWR | O_CREAT, &fd);
	if (error)
		return error;
	error = bytes > held ? io_allocate(r->io, fd, bytes) :
			       io_truncate(r->io, fd, bytes);
	if (error && bytes > held)
		io_truncate(r->io, fd, held);
	if (!error)
		atomic_store(&r->held_bytes, bytes);
	io_close(r->io, fd);
	return error;
}

/* 0 when at least `bytes` are held at the end. */
static int grow(struct reserve *r, uint64_t bytes, uint64_t free_bytes)
	REQUIRES(r->lock)
{
	uint64_t held = atomic_load(&r->held_bytes);

	if (held >= bytes)
		return 0;
	if (free_bytes < bytes - held + MARGIN_BYTES || hold(r, bytes))
		return -ENOSPC;
	return 0;
}

static int keep_locked(struct reserve *r, enum reserve_use use,
		       uint64_t want_bytes) REQUIRES(r->lock)
{
	uint64_t whole = atomic_load(&r->size_bytes), free_bytes;
	int error = free_space(r, &free_bytes);

	/* Without an answer there is nothing to be done about it. */
	if (error)
		return 0;
	if (!atomic_load(&r->blind) && is_plenty(r, free_bytes, want_bytes)) {
		hold(r, 0);
		atomic_store(&r->low, false);
		return 0;
	}
	if (!reserve_is_low(r) && !atomic_load(&r->held_bytes) &&
	    free_bytes >= MAKE_FACTOR * whole + want_bytes)
		return 0;
	if (atomic_load(&r->held_bytes) >= whole) {
		atomic_store(&r->low, false);
		if (use != RESERVE_FOR_CHANGE || !want_bytes ||
		    atomic_load(&r->blind))
			return 0;
		/* Root could take more than is free for all, and the whole
		 * would then not be had again. */
		return free_bytes < want_bytes + MARGIN_BYTES ? -ENOSPC : 0;
	}
	error = grow(r, whole, free_bytes);
	atomic_store(&r->low, error != 0);
	if (error && use != RESERVE_FOR_CHANGE)
		error = grow(r, share_kept(r, use), free_bytes);
	return error;
}

int reserve_keep(struct reserve *r, enum reserve_use use, uint64_t want_bytes)
{
	int error;

	if (!r->enabled)
		return 0;
	mutex_lock(&r->lock);
	error = keep_locked(r, use, want_bytes);
	mutex_unlock(&r->lock);
	return error;
}

bool reserve_yield(struct reserve *r, enum reserve_use use, int error,
		   uint64_t *moment)
{
	uint64_t keep = share_kept(r, use), free_bytes;
	bool given = false;

	if (!r->enabled || !error_is_full(error))
		return false;
	mutex_lock(&r->lock);
	if (!free_space(r, &free_bytes) && is_plenty(r, free_bytes, 0))
		atomic_store(&r->blind, true);
	if (use != RESERVE_FOR_CHANGE && atomic_load(&r->held_bytes) > keep)
		given = hold(r, keep) == 0;
	if (given)
		atomic_fetch_add(&r->given_count, 1);
	else if (use == RESERVE_FOR_COMPACTION)
		given = atomic_load(&r->given_count) != *moment;
	*moment = atomic_load(&r->given_count);
	atomic_store(&r->low, true);
	mutex_unlock(&r->lock);
	return given;
}
