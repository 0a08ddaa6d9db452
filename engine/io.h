/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The engine's seam to the operating system: every file it touches, it touches
 * through a `struct io`. The default is the real system; tests put another one
 * underneath that records, delays, shortens or fails each call.
 *
 * `struct io_ops` is the raw seam: one system call each, with EINTR and short
 * counts allowed. The io_*() functions above it are what the engine calls:
 * they retry EINTR, finish short transfers and return 0 or -errno. Names are
 * relative to a directory descriptor and contain no slash. Nothing follows a
 * symbolic link.
 *
 * Durability: data survives power loss once io_sync_data() on the file has
 * returned 0; a name (created, renamed or unlinked) once io_sync_dir() on the
 * directory has. A failed sync says nothing about what is on disk: the caller
 * must treat it as sticky and never retry it into success.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/statvfs.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "engine/buf.h"

struct io;

/*
 * Each returns what the system call would, with -errno instead of -1. All are
 * required but touch, map_window and store. open gets O_CLOEXEC | O_NOFOLLOW
 * among the flags. close releases the descriptor whatever it returns. What map
 * returns must be a mapping of the file (io_map_drop would empty private
 * memory).
 */
struct io_ops {
	int (*open_dir)(struct io *io, const char *path);
	int (*make_dir)(struct io *io, const char *path);
	int (*open)(struct io *io, int dir_fd, const char *name, int flags);
	int (*close)(struct io *io, int fd);
	ssize_t (*pread)(struct io *io, int fd, void *dst, size_t size,
			 uint64_t offset);
	ssize_t (*pwritev)(struct io *io, int fd, const struct iovec *iov,
			   int count, uint64_t offset);
	int (*sync_data)(struct io *io, int fd);
	int (*sync_dir)(struct io *io, int dir_fd);
	int (*truncate)(struct io *io, int fd, uint64_t size);
	/* fallocate(2), mode 0: space for [0, size), size grown to it. */
	int (*allocate)(struct io *io, int fd, uint64_t size);
	int (*rename)(struct io *io, int dir_fd, const char *from,
		      const char *to);
	int (*unlink)(struct io *io, int dir_fd, const char *name);
	int (*size)(struct io *io, int fd, uint64_t *ret_size_bytes);
	/* An exclusive lock for the life of fd; -EWOULDBLOCK when held. */
	int (*lock)(struct io *io, int fd);
	/* Names but for "." and "..", each with its NUL, appended to names. */
	int (*list)(struct io *io, int dir_fd, struct buf *names);
	int (*statvfs)(struct io *io, int dir_fd, struct statvfs *ret);
	int (*map)(struct io *io, int fd, size_t size, void **ret_address);
	int (*unmap)(struct io *io, void *address, size_t size);
	/*
	 * Called before mapped bytes are read: a place to fail a page. 0 lets
	 * the read happen, an error is io_guarded's result. NULL: always 0.
	 */
	int (*touch)(struct io *io, const void *address, size_t size);
	/* [offset, offset + size), to be written to; offset is a page's. NULL:
	 * there are no windows. */
	int (*map_window)(struct io *io, int fd, uint64_t offset, size_t size,
			  void **ret_address);
	/* Called before bytes are stored in a window: a place to note them, or
	 * to fail. NULL: always 0. */
	int (*store)(struct io *io, int fd, const struct iovec *iov, int count,
		     uint64_t offset);
};

/* To be embedded as first member by implementations that have state. */
struct io {
	const struct io_ops *ops;
};

/* The real system. Stateless, shared, never freed. Its touch and store are
 * NULL. */
struct io *io_system(void);

/*
 * Opens a directory. Only the last component of the path is not followed when
 * it is a symbolic link: -ENOTDIR then, and for what is no directory.
 */
int io_open_dir(struct io *io, const char *path, int *ret_fd);
/* Creates one directory, mode 0700. -EEXIST when there is something. */
int io_make_dir(struct io *io, const char *path);

/*
 * O_CLOEXEC and O_NOFOLLOW are added; new files have mode 0600. -ELOOP for a
 * symbolic link, -EINVAL for a name that is empty or has a slash (so do the
 * other functions that take names).
 */
int io_open(struct io *io, int dir_fd, const char *name, int flags,
	    int *ret_fd);
/*
 * Never fails to release the descriptor; -EIO and the like are returned. A
 * negative fd is none: 0.
 */
int io_close(struct io *io, int fd);

/* Reads exactly `size` bytes; -ENODATA when the file ends before. */
int io_read(struct io *io, int fd, void *dst, size_t size, uint64_t offset);

/*
 * Writes exactly all of it. On an error (-ENOSPC, -EIO, -EDQUOT...) a part may
 * be written. io_write_vector may change the iov array. Any count of pieces.
 * A system that takes no byte and reports no error either is -EIO.
 */
int io_write(struct io *io, int fd, const void *src, size_t size,
	     uint64_t offset);
int io_write_vector(struct io *io, int fd, struct iovec *iov, size_t count,
		    uint64_t offset);

int io_sync_data(struct io *io, int fd);
int io_sync_dir(struct io *io, int dir_fd);
int io_truncate(struct io *io, int fd, uint64_t size_bytes);
/* 0 also where the filesystem cannot preallocate; then it only grows. */
int io_allocate(struct io *io, int fd, uint64_t size_bytes);
int io_rename(struct io *io, int dir_fd, const char *from, const char *to);
int io_unlink(struct io *io, int dir_fd, const char *name);
int io_size(struct io *io, int fd, uint64_t *ret_size_bytes);
/*
 * Takes an exclusive lock on the file: against other processes, and against
 * other opens of it in this one. It ends when the last duplicate of fd (those
 * of forked children included) is closed. -EWOULDBLOCK when it is held.
 */
int io_lock(struct io *io, int fd);
/*
 * Replaces *ret_names by the names in the directory but "." and "..", each
 * with its NUL, in no order. Every call lists from the beginning.
 */
int io_list(struct io *io, int dir_fd, struct buf *ret_names);
int io_statvfs(struct io *io, int dir_fd, struct statvfs *ret);

/*
 * Replaces *ret_bytes by the whole of a small file, up to max_bytes (-EFBIG
 * beyond).
 */
int io_read_file(struct io *io, int dir_fd, const char *name, size_t max_bytes,
		 struct buf *ret_bytes);

/*
 * Replaces a file: writes `name` + ".tmp", syncs it, renames it over `name`,
 * syncs the directory. After 0 the new contents survive power loss; after an
 * error either the old or the new contents are there, whole, and no ".tmp". A
 * ".tmp" that a crash left is replaced. Whatever a failed sync of the directory
 * is called, it is -EIO here: no full disk that may be tried again.
 */
int io_replace_file(struct io *io, int dir_fd, const char *name,
		    struct slice bytes);

/*
 * A read-only mapping of a file's first `size` bytes. The descriptor may be
 * closed afterwards. size 0 gives an empty map without a mapping.
 */
struct io_map {
	struct io *io;
	const uint8_t *address;
	size_t size;
	_Atomic uint64_t *touched; /* a bit for each piece, see below */
};

int io_map(struct io *io, int fd, size_t size, struct io_map *ret_map);
void io_unmap(struct io_map *map);

/*
 * Reading a map makes pages of it resident: what a fault maps is a piece or, since
 * Linux 6.18, the folio that the page cache has there. So pieces are noted when
 * they are read, and what is not noted is not resident but for its neighbours'
 * sake.
 */
#define IO_MAP_PIECE_BYTES ((size_t)64 << 10)

/* How often a piece of any map of the process was read that had not been since it
 * was mapped or dropped. Where this has not risen, no more is resident. */
uint64_t io_map_touches(void);

/* What of the files that this process has mapped is resident, its program and
 * libraries included; 0 where the system does not tell. Takes microseconds. */
uint64_t io_map_resident_bytes(void);

/*
 * Gives a range, which is cut off where the map ends, back to the system, if a
 * piece of it was read; it faults in again when it is read again. Other threads
 * may be reading meanwhile. The range begins and ends where a piece does, or the
 * map. Whether anything was read.
 */
bool io_map_drop(const struct io_map *map, uint64_t offset, size_t size);
/* Asks for a range to be read ahead. */
void io_map_prefetch(const struct io_map *map, uint64_t offset, size_t size);
/* Brings a range into memory and maps it, before this returns: for one of a few
 * pages that nobody has written to, so that no disk is waited for. */
void io_map_populate(const struct io_map *map, uint64_t offset, size_t size);

/*
 * A failing disk turns a read of mapped bytes into SIGBUS. io_guarded() calls
 * fn(ctx) such that SIGBUS inside it makes io_guarded return -EIO; otherwise
 * it returns fn's result. fn must be able to be abandoned at any read of the
 * map: it takes no lock and allocates nothing. Calls may nest; a fault ends
 * the innermost guard of the map that it lies in, and those inside that one.
 * The handler is installed at the first io_map() and passes on, to what was
 * installed before, any SIGBUS that did not come from reading a guarded map.
 *
 * [offset, offset + size) are the mapped bytes that fn will read, for the seam
 * and io_map_touches(). -EINVAL when they are not within the map.
 */
typedef int io_guarded_fn(void *ctx);
int io_guarded(const struct io_map *map, uint64_t offset, size_t size,
	       io_guarded_fn *fn, void *ctx);

/*
 * A writable mapping of a piece of a file, for appends of which each is less
 * work than a system call. What is stored is the file's, as if it had been
 * written: the death of the process does not take it, io_sync_data covers it,
 * maps and reads see it. The piece should be allocated. Not for threads at once.
 * The descriptor must stay open as long.
 */
struct io_window {
	struct io *io;
	int fd;
	uint8_t *address;
	uint64_t offset;
	size_t size; /* 0: closed */
};

/* Of at least [offset, offset + size): it begins where a page does. -EOPNOTSUPP,
 * -ENODEV or -EINVAL where a file cannot be written so, -ENOMEM. */
int io_window_open(struct io *io, int fd, uint64_t offset, size_t size,
		   struct io_window *ret_window);
bool io_window_covers(const struct io_window *window, uint64_t offset,
		      uint64_t size);
/* Within what it covers. -EIO when a page cannot be had: then some of it may
 * have been stored, and io_write_vector knows what is wrong. */
int io_window_store(const struct io_window *window, const struct iovec *iov,
		    size_t count, uint64_t offset);
/* Closing twice, or what was never opened, is allowed. */
void io_window_close(struct io_window *window);
