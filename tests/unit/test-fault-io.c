/* SPDX-License-Identifier: MIT */

/* The failing struct io itself: what it hits, and what it leaves alone. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/seam/fault_io.h"
#include "tests/seam/scratch.h"

struct fixture {
	struct scratch dir;
	struct fault_io io;
	const struct io_ops *ops;
	int fd;
};

static int set_up(void **state)
{
	static struct fixture f;
	int error = scratch_init(&f.dir);

	if (error)
		return error;
	fault_io_init(&f.io, io_system());
	f.ops = f.io.io.ops;
	*state = &f;
	return io_open(&f.io.io, f.dir.fd, "file", O_RDWR | O_CREAT, &f.fd);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	fault_io_arm(&f->io, NULL);
	io_close(&f->io.io, f->fd);
	fault_io_release(&f->io);
	return scratch_release(&f->dir);
}

static void unarmed_it_only_counts(void **state)
{
	struct fixture *f = *state;
	struct io *io = &f->io.io;
	char bytes[3];

	assert_int_equal(fault_io_call_count(&f->io, FAULT_ANY), 1);
	assert_int_equal(fault_io_call_count(&f->io, FAULT_OP(OP_OPEN)), 1);
	assert_int_equal(io_write(io, f->fd, "abc", 3, 0), 0);
	assert_int_equal(io_read(io, f->fd, bytes, 3, 0), 0);
	assert_int_equal(io_read(io, f->fd, bytes, 3, 0), 0);
	assert_memory_equal(bytes, "abc", 3);
	assert_int_equal(fault_io_call_count(&f->io, FAULT_OP(OP_PREAD)), 2);
	assert_int_equal(fault_io_call_count(&f->io,
					     FAULT_OP(OP_PREAD) |
						     FAULT_OP(OP_PWRITEV)),
			 3);
	assert_int_equal(fault_io_call_count(&f->io, FAULT_ANY), 4);
	assert_int_equal(fault_io_hit_count(&f->io), 0);
	fault_io_reset_counts(&f->io);
	assert_int_equal(fault_io_call_count(&f->io, FAULT_ANY), 0);
}

static void the_nth_call_and_so_many_after_it_are_hit(void **state)
{
	struct fixture *f = *state;
	struct io *io = &f->io.io;
	struct fault fault = {
		.ops = FAULT_SYNCS, .nth = 3, .times = 2, .error = -EIO
	};
	static const int expected[] = { 0, 0, -EIO, -EIO, 0, 0 };

	for (int round = 0; round < 2; round++) {
		fault_io_arm(&f->io, &fault);
		for (size_t i = 0; i < 6; i++) {
			/* Other operations neither count nor are hit. */
			assert_int_equal(f->ops->truncate(io, f->fd, i), 0);
			if (i % 2)
				assert_int_equal(f->ops->sync_data(io, f->fd),
						 expected[i]);
			else
				assert_int_equal(f->ops->sync_dir(io,
								  f->dir.fd),
						 expected[i]);
		}
		assert_int_equal(fault_io_hit_count(&f->io), 2);
	}
	fault_io_arm(&f->io, NULL);
	assert_int_equal(f->ops->sync_data(io, f->fd), 0);
	assert_int_equal(fault_io_hit_count(&f->io), 0);
}

static void by_default_the_next_call_is_hit_once(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_ANY, .error = -ENOSPC };
	uint64_t size;

	fault_io_arm(&f->io, &fault);
	assert_int_equal(f->ops->size(&f->io.io, f->fd, &size), -ENOSPC);
	assert_int_equal(f->ops->size(&f->io.io, f->fd, &size), 0);
}

static void a_failed_call_has_not_happened(void **state)
{
	struct fixture *f = *state;
	struct io *io = &f->io.io;
	struct fault fault = { .ops = FAULT_ANY,
			       .times = FAULT_FOR_EVER,
			       .error = -EIO };
	struct iovec iov = { "abc", 3 };
	uint64_t size = 9;

	fault_io_arm(&f->io, &fault);
	assert_int_equal(f->ops->pwritev(io, f->fd, &iov, 1, 0), -EIO);
	assert_int_equal(f->ops->truncate(io, f->fd, 77), -EIO);
	assert_int_equal(f->ops->allocate(io, f->fd, 77), -EIO);
	assert_int_equal(f->ops->rename(io, f->dir.fd, "file", "b"), -EIO);
	assert_int_equal(f->ops->unlink(io, f->dir.fd, "file"), -EIO);
	assert_int_equal(f->ops->open(io, f->dir.fd, "c", O_CREAT | O_RDWR),
			 -EIO);
	assert_int_equal(fault_io_hit_count(&f->io), 6);
	fault_io_arm(&f->io, NULL);
	assert_int_equal(io_size(io, f->fd, &size), 0);
	assert_int_equal(size, 0);
	assert_int_equal(faccessat(f->dir.fd, "file", F_OK, 0), 0);
	assert_int_not_equal(faccessat(f->dir.fd, "b", F_OK, 0), 0);
	assert_int_not_equal(faccessat(f->dir.fd, "c", F_OK, 0), 0);
}

static void a_failed_close_releases_the_descriptor(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_CLOSE), .error = -EIO };
	int fd = dup(f->fd);

	fault_io_arm(&f->io, &fault);
	assert_int_equal(io_close(&f->io.io, fd), -EIO);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

static void a_failing_write_may_write_a_part_first(void **state)
{
	struct fixture *f = *state;
	struct io *io = &f->io.io;
	struct fault fault = { .ops = FAULT_GROWTH,
			       .error = -ENOSPC,
			       .limit_bytes = 4 };
	struct iovec iov[3] = { { "abc", 3 }, { "def", 3 }, { "ghi", 3 } };
	char bytes[4];
	uint64_t size = 9;

	fault_io_arm(&f->io, &fault);
	assert_int_equal(f->ops->pwritev(io, f->fd, iov, 3, 10), -ENOSPC);
	assert_int_equal(io_size(io, f->fd, &size), 0);
	assert_int_equal(size, 14);
	assert_int_equal(io_read(io, f->fd, bytes, 4, 10), 0);
	assert_memory_equal(bytes, "abcd", 4);
	/* The caller's pieces are as they were. */
	assert_int_equal(iov[1].iov_len, 3);
}

static void shortening_limits_transfers_and_nothing_else(void **state)
{
	struct fixture *f = *state;
	struct io *io = &f->io.io;
	struct fault fault = { .ops = FAULT_ANY,
			       .times = FAULT_FOR_EVER,
			       .limit_bytes = 5 };
	struct iovec iov[2] = { { "abc", 3 }, { "def", 3 } };
	char bytes[6] = { 0 };
	uint64_t size = 0;

	fault_io_arm(&f->io, &fault);
	assert_int_equal(f->ops->sync_data(io, f->fd), 0);
	assert_int_equal(f->ops->pwritev(io, f->fd, iov, 2, 0), 5);
	assert_int_equal(f->ops->pwritev(io, f->fd, iov, 1, 5), 3);
	assert_int_equal(f->ops->size(io, f->fd, &size), 0);
	assert_int_equal(size, 8);
	assert_int_equal(f->ops->pread(io, f->fd, bytes, 6, 0), 5);
	assert_memory_equal(bytes, "abcde", 6);
	assert_int_equal(f->ops->pread(io, f->fd, bytes, 2, 0), 2);
	assert_int_equal(fault_io_hit_count(&f->io), 4);

	fault.limit_bytes = 0;
	fault_io_arm(&f->io, &fault);
	assert_int_equal(f->ops->pwritev(io, f->fd, iov, 2, 0), 0);
	assert_int_equal(f->ops->pread(io, f->fd, bytes, 2, 0), 0);
}

static void *truncate_many_times(void *ctx)
{
	struct fixture *f = ctx;
	uintptr_t failed_count = 0;

	for (uint64_t i = 0; i < 2000; i++)
		if (f->ops->truncate(&f->io.io, f->fd, i) == -EIO)
			failed_count++;
	return (void *)failed_count;
}

static void threads_share_one_count(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_TRUNCATE),
			       .nth = 1000,
			       .times = 2000,
			       .error = -EIO };
	pthread_t threads[2];
	uintptr_t failed_count = 0;

	fault_io_arm(&f->io, &fault);
	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						truncate_many_times, f),
				 0);
	for (int i = 0; i < 2; i++) {
		void *result;

		pthread_join(threads[i], &result);
		failed_count += (uintptr_t)result;
	}
	assert_int_equal(failed_count, 2000);
	assert_int_equal(fault_io_hit_count(&f->io), 2000);
	assert_int_equal(fault_io_call_count(&f->io, FAULT_OP(OP_TRUNCATE)),
			 4000);
}

#define CASE(rule) cmocka_unit_test_setup_teardown(rule, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(unarmed_it_only_counts),
		CASE(the_nth_call_and_so_many_after_it_are_hit),
		CASE(by_default_the_next_call_is_hit_once),
		CASE(a_failed_call_has_not_happened),
		CASE(a_failed_close_releases_the_descriptor),
		CASE(a_failing_write_may_write_a_part_first),
		CASE(shortening_limits_transfers_and_nothing_else),
		CASE(threads_share_one_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
