/* SPDX-License-Identifier: MIT */

/* What the recording struct io writes down, and what it leaves alone. */

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
#include "tests/unit/record_fixture.h"

static struct record last(struct fixture *f)
{
	return record_io_get(&f->r, record_io_position(&f->r) - 1);
}

static void every_change_is_one_record_in_order(void **state)
{
	static const enum record_type expected[] = {
		RECORD_CREATE,   RECORD_WRITE,     RECORD_ALLOCATE,
		RECORD_TRUNCATE, RECORD_SYNC_DATA, RECORD_RENAME,
		RECORD_SYNC_DIR, RECORD_UNLINK,
	};
	struct fixture *f = *state;
	int fd = open_file(f, "a", O_CREAT);

	assert_int_equal(io_write(f->io, fd, "abc", 3, 10), 0);
	assert_int_equal(io_allocate(f->io, fd, 100), 0);
	assert_int_equal(io_truncate(f->io, fd, 50), 0);
	assert_int_equal(io_sync_data(f->io, fd), 0);
	assert_int_equal(io_rename(f->io, f->dir_fd, "a", "b"), 0);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	assert_int_equal(io_unlink(f->io, f->dir_fd, "b"), 0);
	io_close(f->io, fd);

	assert_int_equal(record_io_first(&f->r), 0);
	assert_int_equal(record_io_position(&f->r), 8);
	for (size_t i = 0; i < 8; i++) {
		struct record record = record_io_get(&f->r, i);

		assert_int_equal(record.type, expected[i]);
		assert_int_equal(record.file, i == 6 ? RECORD_DIRECTORY : 1);
	}
	assert_string_equal(record_io_get(&f->r, 0).name, "a");
	assert_int_equal(record_io_get(&f->r, 1).offset, 10);
	assert_int_equal(record_io_get(&f->r, 1).size_bytes, 3);
	assert_int_equal(record_io_get(&f->r, 2).size_bytes, 100);
	assert_int_equal(record_io_get(&f->r, 3).size_bytes, 50);
	assert_int_equal(record_io_get(&f->r, 4).began, 4);
	assert_string_equal(record_io_get(&f->r, 5).name, "a");
	assert_string_equal(record_io_get(&f->r, 5).new_name, "b");
	assert_string_equal(record_io_get(&f->r, 7).name, "b");
	assert_int_equal(record_io_byte_count(&f->r), 3);
}

static void what_changes_nothing_is_no_record(void **state)
{
	struct fixture *f = *state;
	struct buf names = { 0 };
	struct io_map map;
	struct statvfs st;
	uint64_t size;
	char byte;
	int fd = open_file(f, "a", O_CREAT);
	size_t before;

	assert_int_equal(io_write(f->io, fd, "abc", 3, 0), 0);
	before = record_io_position(&f->r);
	io_close(f->io, fd);
	fd = open_file(f, "a", O_CREAT);
	assert_int_equal(io_read(f->io, fd, &byte, 1, 0), 0);
	assert_int_equal(io_size(f->io, fd, &size), 0);
	assert_int_equal(io_lock(f->io, fd), 0);
	assert_int_equal(io_list(f->io, f->dir_fd, &names), 0);
	assert_int_equal(io_statvfs(f->io, f->dir_fd, &st), 0);
	assert_int_equal(io_map(f->io, fd, 3, &map), 0);
	io_unmap(&map);
	assert_int_equal(io_rename(f->io, f->dir_fd, "a", "a"), 0);
	assert_int_equal(io_unlink(f->io, f->dir_fd, "none"), -ENOENT);
	assert_int_equal(io_truncate(f->io, fd, UINT64_MAX), -EINVAL);
	io_close(f->io, fd);
	buf_release(&names);
	assert_int_equal(record_io_position(&f->r), before);
}

static void a_file_keeps_its_identity_through_renames_and_opens(void **state)
{
	struct fixture *f = *state;
	int a = open_file(f, "a", O_CREAT | O_EXCL);
	int b = open_file(f, "b", O_CREAT | O_EXCL);
	int again;

	assert_int_equal(io_rename(f->io, f->dir_fd, "a", "b"), 0);
	assert_int_equal(io_write(f->io, b, "old b", 5, 0), 0);
	assert_int_equal(last(f).file, 2);
	again = open_file(f, "b", 0);
	assert_int_equal(io_write(f->io, again, "a", 1, 0), 0);
	assert_int_equal(last(f).file, 1);
	io_close(f->io, again);
	assert_int_equal(io_unlink(f->io, f->dir_fd, "b"), 0);
	again = open_file(f, "b", O_CREAT);
	assert_int_equal(io_write(f->io, again, "c", 1, 0), 0);
	assert_int_equal(last(f).file, 3);
	assert_int_equal(io_write(f->io, a, "a", 1, 0), 0);
	assert_int_equal(last(f).file, 1);
	io_close(f->io, a);
	io_close(f->io, b);
	io_close(f->io, again);
}

static void opening_with_truncation_is_a_truncation(void **state)
{
	struct fixture *f = *state;

	io_close(f->io, open_file(f, "a", O_CREAT | O_TRUNC));
	assert_int_equal(last(f).type, RECORD_CREATE);
	io_close(f->io, open_file(f, "a", O_CREAT | O_TRUNC));
	assert_int_equal(last(f).type, RECORD_TRUNCATE);
	assert_int_equal(last(f).size_bytes, 0);
}

static void other_directories_leave_no_trace(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 16];
	int parent_fd = -1;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/new", f->dir.path);
	assert_int_equal(io_make_dir(f->io, path), 0);
	assert_int_equal(io_open_dir(f->io, f->dir.path, &parent_fd), 0);
	assert_int_equal(io_open(f->io, parent_fd, "a", O_RDWR | O_CREAT, &fd),
			 0);
	assert_int_equal(io_write(f->io, fd, "abc", 3, 0), 0);
	assert_int_equal(io_allocate(f->io, fd, 9), 0);
	assert_int_equal(io_truncate(f->io, fd, 1), 0);
	assert_int_equal(io_sync_data(f->io, fd), 0);
	assert_int_equal(io_rename(f->io, parent_fd, "a", "b"), 0);
	assert_int_equal(io_unlink(f->io, parent_fd, "b"), 0);
	assert_int_equal(io_sync_dir(f->io, parent_fd), 0);
	io_close(f->io, fd);
	io_close(f->io, parent_fd);
	assert_int_equal(record_io_position(&f->r), 0);
}

static void a_directory_that_is_made_later_is_recorded(void **state)
{
	struct fixture *f = *state;
	char path[PATH_MAX + 16];
	struct record_io r;
	int dir_fd = -1;
	int fd = -1;

	snprintf(path, sizeof(path), "%s/later", f->dir.path);
	record_io_init(&r, io_system(), path);
	assert_int_equal(io_make_dir(&r.io, path), 0);
	assert_int_equal(io_open_dir(&r.io, path, &dir_fd), 0);
	assert_int_equal(io_open(&r.io, dir_fd, "a", O_RDWR | O_CREAT, &fd), 0);
	assert_int_equal(record_io_position(&r), 1);
	io_close(&r.io, fd);
	io_close(&r.io, dir_fd);
	record_io_release(&r);
}

static void what_was_there_is_the_first_records(void **state)
{
	struct fixture *f = *state;
	int fd = open_file(f, "a", O_CREAT);
	struct record_io r;
	int dir_fd = -1;

	/* Data, a hole of 1 MiB, data, a hole at the end. */
	assert_int_equal(io_write(f->io, fd, "begin", 5, 0), 0);
	assert_int_equal(io_write(f->io, fd, "end", 3, 1 << 20), 0);
	assert_int_equal(io_truncate(f->io, fd, 2 << 20), 0);
	io_close(f->io, fd);
	record_io_init(&r, io_system(), f->store.path);
	assert_true(record_io_first(&r) >= 3);
	assert_int_equal(record_io_position(&r), record_io_first(&r));
	assert_true(record_io_byte_count(&r) < 1 << 20);
	assert_int_equal(record_io_get(&r, 0).type, RECORD_CREATE);
	assert_int_equal(record_io_get(&r, record_io_first(&r) - 1).size_bytes,
			 2 << 20);
	assert_int_equal(io_open_dir(&r.io, f->store.path, &dir_fd), 0);
	assert_int_equal(io_unlink(&r.io, dir_fd, "a"), 0);
	assert_int_equal(record_io_get(&r, record_io_first(&r)).type,
			 RECORD_UNLINK);
	io_close(&r.io, dir_fd);
	record_io_release(&r);
}

static void only_what_was_written_is_recorded(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_PWRITEV), .limit_bytes = 4 };
	struct iovec iov[2] = { { "abc", 3 }, { "def", 3 } };
	int fd = open_file(f, "a", O_CREAT);
	struct fault_io faulty;

	fault_io_init(&faulty, f->io);
	fault_io_arm(&faulty, &fault);
	assert_int_equal(io_write_vector(&faulty.io, fd, iov, 2, 0), 0);
	assert_int_equal(record_io_position(&f->r), 3);
	assert_int_equal(record_io_get(&f->r, 1).size_bytes, 4);
	assert_int_equal(record_io_get(&f->r, 2).size_bytes, 2);
	assert_int_equal(record_io_get(&f->r, 2).offset, 4);

	fault.error = -EIO;
	fault_io_arm(&faulty, &fault);
	assert_int_equal(io_write(&faulty.io, fd, "123456", 6, 0), -EIO);
	assert_int_equal(last(f).size_bytes, 4);

	fault = (struct fault){ .ops = FAULT_SYNCS, .error = -EIO };
	fault_io_arm(&faulty, &fault);
	assert_int_equal(io_sync_data(&faulty.io, fd), -EIO);
	assert_int_equal(last(f).type, RECORD_WRITE);
	fault_io_release(&faulty);
	io_close(f->io, fd);
}

static void a_write_that_comes_out_short_is_recorded_as_it_came(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_PWRITEV), .limit_bytes = 4 };
	struct iovec iov[3] = { { "abc", 3 }, { "def", 3 }, { "ghi", 3 } };
	struct fault_io faulty;
	struct record_io r;
	int dir_fd = -1;
	int fd = -1;

	fault_io_init(&faulty, io_system());
	fault_io_arm(&faulty, &fault);
	record_io_init(&r, &faulty.io, f->store.path);
	assert_int_equal(io_open_dir(&r.io, f->store.path, &dir_fd), 0);
	assert_int_equal(io_open(&r.io, dir_fd, "a", O_RDWR | O_CREAT, &fd), 0);
	assert_int_equal(io_write_vector(&r.io, fd, iov, 3, 0), 0);
	assert_int_equal(record_io_position(&r), 3);
	assert_int_equal(record_io_get(&r, 1).size_bytes, 4);
	assert_int_equal(record_io_get(&r, 2).size_bytes, 5);
	assert_int_equal(record_io_byte_count(&r), 9);
	io_close(&r.io, fd);
	io_close(&r.io, dir_fd);
	record_io_release(&r);
	fault_io_release(&faulty);
}

static void a_closed_descriptor_means_nothing_any_more(void **state)
{
	struct fixture *f = *state;
	int other = -1;
	int parent_fd = -1;
	int fd;

	assert_int_equal(io_open_dir(f->io, f->dir.path, &parent_fd), 0);
	fd = open_file(f, "a", O_CREAT);
	io_close(f->io, fd);
	assert_int_equal(
		io_open(f->io, parent_fd, "a", O_RDWR | O_CREAT, &other), 0);
	assert_int_equal(other, fd);
	assert_int_equal(io_write(f->io, other, "abc", 3, 0), 0);
	assert_int_equal(record_io_position(&f->r), 1);
	io_close(f->io, other);
	io_close(f->io, parent_fd);
}

/* A system whose sync takes long enough for someone to write meanwhile. */
struct slow_io {
	struct io io;
	struct io_ops ops;
	struct io *writer;
	int fd;
};

static int slow_sync_data(struct io *io, int fd)
{
	struct slow_io *slow = (struct slow_io *)io;

	assert_int_equal(io_write(slow->writer, slow->fd, "late", 4, 100), 0);
	return io_system()->ops->sync_data(io_system(), fd);
}

static void a_sync_covers_only_what_was_written_before_it(void **state)
{
	struct fixture *f = *state;
	struct slow_io slow = { .ops = *io_system()->ops };
	struct record_io r;
	int dir_fd = -1;

	slow.ops.sync_data = slow_sync_data;
	slow.io.ops = &slow.ops;
	record_io_init(&r, &slow.io, f->store.path);
	slow.writer = &r.io;
	assert_int_equal(io_open_dir(&r.io, f->store.path, &dir_fd), 0);
	assert_int_equal(
		io_open(&r.io, dir_fd, "a", O_RDWR | O_CREAT, &slow.fd), 0);
	assert_int_equal(io_write(&r.io, slow.fd, "early", 5, 0), 0);
	assert_int_equal(io_sync_data(&r.io, slow.fd), 0);
	assert_int_equal(record_io_position(&r), 4);
	assert_int_equal(record_io_get(&r, 2).type, RECORD_WRITE);
	assert_int_equal(record_io_get(&r, 3).type, RECORD_SYNC_DATA);
	assert_int_equal(record_io_get(&r, 3).began, 2);
	io_close(&r.io, slow.fd);
	io_close(&r.io, dir_fd);
	record_io_release(&r);
}

#define WRITES_PER_THREAD 500

static void *write_many_times(void *ctx)
{
	struct fixture *f = ctx;
	int fd = open_file(f, "a", O_CREAT);

	for (uint64_t i = 0; i < WRITES_PER_THREAD; i++) {
		if (io_write(f->io, fd, "0123456789", 10, 10 * i))
			return "write failed";
		if (i % 50 == 0 && io_sync_data(f->io, fd))
			return "sync failed";
	}
	io_close(f->io, fd);
	return NULL;
}

static void threads_record_into_one_history(void **state)
{
	struct fixture *f = *state;
	size_t write_count = 0;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						write_many_times, f),
				 0);
	for (int i = 0; i < 2; i++) {
		void *failure;

		pthread_join(threads[i], &failure);
		assert_null(failure);
	}
	for (size_t i = 0; i < record_io_position(&f->r); i++) {
		struct record record = record_io_get(&f->r, i);

		if (record.type == RECORD_WRITE)
			assert_int_equal(record.bytes_at, 10 * write_count++);
	}
	assert_int_equal(write_count, 2 * WRITES_PER_THREAD);
}

#define CASE(rule) cmocka_unit_test_setup_teardown(rule, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(every_change_is_one_record_in_order),
		CASE(what_changes_nothing_is_no_record),
		CASE(a_file_keeps_its_identity_through_renames_and_opens),
		CASE(opening_with_truncation_is_a_truncation),
		CASE(other_directories_leave_no_trace),
		CASE(a_directory_that_is_made_later_is_recorded),
		CASE(what_was_there_is_the_first_records),
		CASE(only_what_was_written_is_recorded),
		CASE(a_write_that_comes_out_short_is_recorded_as_it_came),
		CASE(a_closed_descriptor_means_nothing_any_more),
		CASE(a_sync_covers_only_what_was_written_before_it),
		CASE(threads_record_into_one_history),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
