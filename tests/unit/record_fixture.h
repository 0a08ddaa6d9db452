/* SPDX-License-Identifier: MIT */
#pragma once

/* An empty directory and a recording struct io on it. Included after cmocka.h. */

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "tests/seam/record_io.h"
#include "tests/seam/scratch.h"

struct fixture {
	struct scratch dir;
	struct scratch store;
	struct record_io r;
	struct io *io;
	int dir_fd;             /* the store, opened through io */
	unsigned int cut_count; /* for a test that makes others beside it */
};

static inline int set_up(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	*state = &f;
	if (scratch_init(&f.dir) || scratch_make_dir(&f.dir, "store", &f.store))
		return -1;
	record_io_init(&f.r, io_system(), f.store.path);
	f.io = &f.r.io;
	return io_open_dir(f.io, f.store.path, &f.dir_fd);
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	io_close(f->io, f->dir_fd);
	record_io_release(&f->r);
	close(f->store.fd);
	return scratch_release(&f->dir);
}

static inline int open_file(struct fixture *f, const char *name, int flags)
{
	int fd = -1;

	assert_int_equal(io_open(f->io, f->dir_fd, name, O_RDWR | flags, &fd),
			 0);
	return fd;
}
