/* SPDX-License-Identifier: MIT */

/* Appending to a segment: through its window, by writes, and in turns. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/segment.h"
#include "tests/seam/random.h"
#include "tests/seam/scratch.h"

#define LIMIT (1u << 20)
#define APPEND_MAX 9000u
#define UNSYNCED (64u << 10)

/* The real system, with its calls counted and its stores to fail from one on. */
struct counting_io {
	struct io io;
	struct io_ops ops;
	unsigned int writes, stores, windows;
	unsigned int zero_writes; /* of zeros alone; no part of `writes` */
	unsigned int fail_store;  /* 0: none */
	bool fail_zeros;
};

struct fixture {
	struct counting_io counting;
	struct scratch dir;
	struct segment *segment;
	uint8_t *expected; /* the whole file */
};

static struct counting_io *counting_of(struct io *io)
{
	return (struct counting_io *)io;
}

static bool is_zeros(const struct iovec *iov, int count)
{
	for (int i = 0; i < count; i++) {
		const uint8_t *bytes = iov[i].iov_base;

		for (size_t at = 0; at < iov[i].iov_len; at++) {
			if (bytes[at])
				return false;
		}
	}
	return true;
}

static ssize_t counted_pwritev(struct io *io, int fd, const struct iovec *iov,
			       int count, uint64_t offset)
{
	struct counting_io *counting = counting_of(io);
	bool zeros = is_zeros(iov, count);

	counting->writes += !zeros;
	counting->zero_writes += zeros;
	if (zeros && counting->fail_zeros)
		return -EIO;
	return io_system()->ops->pwritev(io, fd, iov, count, offset);
}

static int counted_window(struct io *io, int fd, uint64_t offset, size_t size,
			  void **ret_address)
{
	counting_of(io)->windows++;
	return io_system()->ops->map_window(io, fd, offset, size, ret_address);
}

static int counted_store(struct io *io, int fd, const struct iovec *iov,
			 int count, uint64_t offset)
{
	struct counting_io *counting = counting_of(io);

	(void)fd;
	(void)iov;
	(void)count;
	(void)offset;
	return ++counting->stores == counting->fail_store ? -EIO : 0;
}

static int set_up(void **state)
{
	struct segment_header header = { .kind = SEGMENT_LOG,
					 .id = 1,
					 .salt = 7 };
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(scratch_init(&f->dir), 0);
	f->counting.ops = *io_system()->ops;
	f->counting.ops.pwritev = counted_pwritev;
	f->counting.ops.map_window = counted_window;
	f->counting.ops.store = counted_store;
	f->counting.io.ops = &f->counting.ops;
	f->expected = malloc(LIMIT);
	assert_non_null(f->expected);
	assert_int_equal(segment_create(&f->counting.io, f->dir.fd, &header,
					LIMIT, &f->segment),
			 0);
	segment_header_encode(&header, f->expected);
	f->counting.writes = f->counting.stores = f->counting.windows = 0;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	segment_unref(f->segment);
	assert_int_equal(scratch_release(&f->dir), 0);
	free(f->expected);
	free(f);
	return 0;
}

static void append(struct fixture *f, size_t size)
{
	uint8_t *at = f->expected + f->segment->end;
	struct iovec iov[2] = { { at, size / 3 },
				{ at + size / 3, size - size / 3 } };

	assert_true(f->segment->end + size <= LIMIT);
	for (size_t i = 0; i < size; i++)
		at[i] = (uint8_t)(f->segment->end * 31 + i * 7);
	assert_int_equal(segment_append(f->segment, iov, 2, size, NULL), 0);
}

/* As the file has it, and as readers see it. */
static void assert_as_expected(struct fixture *f)
{
	size_t size = (size_t)f->segment->end;
	uint8_t *bytes = malloc(size);

	assert_non_null(bytes);
	assert_int_equal(
		io_read(&f->counting.io, f->segment->fd, bytes, size, 0), 0);
	assert_memory_equal(bytes, f->expected, size);
	assert_memory_equal(f->segment->map.address, f->expected, size);
	free(bytes);
}

/* As many bytes as make syncs rare. */
static void append_without_a_sync(struct fixture *f)
{
	while (f->segment->end < UNSYNCED)
		append(f, 100);
	f->counting.writes = f->counting.stores = 0;
}

static void small_appends_are_no_writes(void **state)
{
	struct fixture *f = *state;

	append_without_a_sync(f);
	while (f->segment->end + 100 <= LIMIT)
		append(f, 100);
	assert_int_equal(f->counting.writes, 0);
	assert_true(f->counting.stores > 9000);
	assert_true(f->counting.windows < 20);
	assert_as_expected(f);
}

static void small_and_large_ones_come_in_order(void **state)
{
	struct fixture *f = *state;
	uint64_t random = 1;

	while (f->segment->end + APPEND_MAX <= LIMIT)
		append(f, 1 + random_below(&random, random_below(&random, 2) ?
							    APPEND_MAX :
							    300));
	assert_true(f->counting.writes > 0 && f->counting.stores > 0);
	assert_as_expected(f);
}

static void without_a_window_it_is_written(void **state)
{
	struct fixture *f = *state;

	append_without_a_sync(f);
	f->counting.fail_store = 500;
	for (unsigned int i = 0; i < 1000; i++)
		append(f, 100);
	assert_int_equal(f->counting.stores, 500);
	assert_int_equal(f->counting.writes, 501);
	assert_as_expected(f);
}

/* From its end to that of what is allocated. */
static void assert_zeros_beyond(struct fixture *f)
{
	uint64_t size_bytes;
	uint8_t *beyond;

	assert_int_equal(io_size(&f->counting.io, f->segment->fd, &size_bytes),
			 0);
	assert_true(size_bytes > f->segment->end);
	beyond = calloc(1, size_bytes);
	assert_non_null(beyond);
	assert_memory_equal(f->segment->map.address + f->segment->end, beyond,
			    size_bytes - f->segment->end);
	free(beyond);
}

static void blocks_are_made_ready_by_zeros(void **state)
{
	struct fixture *f = *state;

	append_without_a_sync(f);
	f->counting.zero_writes = 0;
	while (f->segment->end < LIMIT / 2)
		append(f, 100);
	assert_in_range(f->counting.zero_writes, 1, 20);
	assert_as_expected(f);
	assert_zeros_beyond(f);
}

static void where_syncs_are_frequent_it_is_by_less_and_written(void **state)
{
	struct fixture *f = *state;
	unsigned int appends = 0;

	for (; f->segment->end < LIMIT / 2; appends++) {
		append(f, 1000);
		f->segment->sync_begun = f->segment->end;
	}
	assert_in_range(f->counting.zero_writes, 20, 80);
	assert_int_equal(f->counting.writes, appends);
	assert_int_equal(f->counting.stores, 0);
	assert_as_expected(f);
	assert_zeros_beyond(f);
}

static void large_appends_need_no_ready_blocks(void **state)
{
	struct fixture *f = *state;

	f->counting.zero_writes = 0;
	while (f->segment->end + 20000 <= LIMIT)
		append(f, 20000);
	assert_int_equal(f->counting.zero_writes, 0);
	assert_as_expected(f);
}

static void zeros_that_cannot_be_written_are_not_missed(void **state)
{
	struct fixture *f = *state;

	f->counting.fail_zeros = true;
	while (f->segment->end + 2000 <= LIMIT)
		append(f, 2000);
	assert_true(f->counting.zero_writes > 0);
	assert_as_expected(f);
}

/* Behind the end there is nothing that an open window could still reach when
 * that is cut off. */
static void a_sealed_segment_has_no_window(void **state)
{
	struct fixture *f = *state;
	uint64_t size_bytes;

	append_without_a_sync(f);
	append(f, 100);
	assert_true(f->segment->window.size > 0);
	assert_int_equal(segment_seal(f->segment, 1), 0);
	assert_int_equal(f->segment->window.size, 0);
	segment_trim(f->segment);
	assert_int_equal(io_size(&f->counting.io, f->segment->fd, &size_bytes),
			 0);
	assert_int_equal(size_bytes, f->segment->end);
}

static void after_a_failed_write_it_goes_on(void **state)
{
	struct fixture *f = *state;

	append_without_a_sync(f);
	append(f, 100);
	assert_true(f->segment->window.size > 0);
	assert_int_equal(segment_unspoil(f->segment), 0);
	assert_int_equal(f->segment->window.size, 0);
	append(f, 100);
	append(f, 5000);
	append(f, 100);
	assert_as_expected(f);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(small_appends_are_no_writes),
		T(small_and_large_ones_come_in_order),
		T(without_a_window_it_is_written),
		T(blocks_are_made_ready_by_zeros),
		T(where_syncs_are_frequent_it_is_by_less_and_written),
		T(large_appends_need_no_ready_blocks),
		T(zeros_that_cannot_be_written_are_not_missed),
		T(a_sealed_segment_has_no_window),
		T(after_a_failed_write_it_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
