/* SPDX-License-Identifier: MIT */

/* Mapped files and the SIGBUS guard of engine/io.h, with pages really lost. */

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/io.h"
#include "tests/seam/fault_io.h"
#include "tests/seam/scratch.h"

struct fixture {
	struct io *io;
	struct scratch dir;
};

static int set_up(void **state)
{
	static struct fixture f;

	f.io = io_system();
	*state = &f;
	return scratch_init(&f.dir);
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	return scratch_release(&f->dir);
}

/* cmocka puts its own handler around each test; map_pages undoes that. */
static struct sigaction guard_action;

static int create(struct fixture *f, const char *name)
{
	int fd = -1;

	assert_int_equal(io_open(f->io, f->dir.fd, name,
				 O_RDWR | O_CREAT | O_EXCL, &fd),
			 0);
	return fd;
}

/* A file of `pages` pages, each filled with its number, mapped. */
static struct io_map map_pages(struct fixture *f, const char *name,
			       size_t pages, int *ret_fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint8_t *bytes = malloc(page);
	struct io_map map = { 0 };
	int fd = create(f, name);

	assert_int_equal(sigaction(SIGBUS, &guard_action, NULL), 0);
	for (size_t i = 0; i < pages; i++) {
		memset(bytes, (int)i + 1, page);
		assert_int_equal(io_write(f->io, fd, bytes, page, i * page), 0);
	}
	free(bytes);
	assert_int_equal(io_map(f->io, fd, pages * page, &map), 0);
	*ret_fd = fd;
	return map;
}

struct sum_job {
	const struct io_map *map;
	uint64_t sum;
};

static int sum_bytes(void *ctx)
{
	struct sum_job *job = ctx;
	const volatile uint8_t *p = job->map->address;
	uint64_t sum = 0;

	for (size_t i = 0; i < job->map->size; i += 64)
		sum += p[i];
	job->sum = sum;
	return 7;
}

static int guarded_sum(const struct io_map *map, uint64_t *ret_sum)
{
	struct sum_job job = { .map = map };
	int result = io_guarded(map, 0, map->size, sum_bytes, &job);

	*ret_sum = job.sum;
	return result;
}

static void a_guard_returns_what_the_function_did(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 2, &fd);

	io_close(f->io, fd);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	assert_int_equal(sum, map.size / 2 / 64 * 3);
	io_unmap(&map);
	assert_null(map.address);
	io_unmap(&map);
}

static void a_lost_page_under_a_guard_is_eio_each_time(void **state)
{
	struct fixture *f = *state;
	uint64_t sum = 0;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 2, &fd);

	assert_int_equal(ftruncate(fd, (off_t)map.size / 2), 0);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(guarded_sum(&map, &sum), -EIO);
	assert_int_equal(ftruncate(fd, (off_t)map.size), 0);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	io_close(f->io, fd);
	io_unmap(&map);
}

struct nest {
	const struct io_map *inner;
	const struct io_map *read_after;
	int inner_result;
	int outer_steps;
};

static int run_inner(void *ctx)
{
	struct nest *nest = ctx;
	uint64_t sum;

	nest->inner_result = guarded_sum(nest->inner, &sum);
	nest->outer_steps = 1;
	if (nest->read_after) {
		struct sum_job job = { .map = nest->read_after };

		sum_bytes(&job);
	}
	nest->outer_steps = 2;
	return 3;
}

static void a_fault_in_an_inner_guard_leaves_the_outer_one_alone(void **state)
{
	struct fixture *f = *state;
	int good_fd = -1;
	int bad_fd = -1;
	struct io_map good = map_pages(f, "good", 1, &good_fd);
	struct io_map bad = map_pages(f, "bad", 1, &bad_fd);
	struct nest nest = { .inner = &bad };

	assert_int_equal(ftruncate(bad_fd, 0), 0);
	assert_int_equal(io_guarded(&good, 0, 0, run_inner, &nest), 3);
	assert_int_equal(nest.inner_result, -EIO);
	assert_int_equal(nest.outer_steps, 2);

	/* And the outer guard still holds after the inner one ended. */
	nest = (struct nest){ .inner = &good, .read_after = &bad };
	assert_int_equal(io_guarded(&bad, 0, 0, run_inner, &nest), -EIO);
	assert_int_equal(nest.inner_result, 7);
	assert_int_equal(nest.outer_steps, 1);
	nest = (struct nest){ .inner = &bad, .read_after = &bad };
	assert_int_equal(io_guarded(&bad, 0, 0, run_inner, &nest), -EIO);
	assert_int_equal(nest.inner_result, -EIO);
	assert_int_equal(nest.outer_steps, 1);

	io_close(f->io, good_fd);
	io_close(f->io, bad_fd);
	io_unmap(&good);
	io_unmap(&bad);
}

static int read_other(void *ctx)
{
	struct sum_job job = { .map = ctx };

	return sum_bytes(&job);
}

struct crossing {
	const struct io_map *inner;
	const struct io_map *lost;
	bool came_back;
};

static int cross(void *ctx)
{
	struct crossing *crossing = ctx;
	const void *lost = crossing->lost;
	void *other;

	memcpy(&other, &lost, sizeof(other));
	io_guarded(crossing->inner, 0, 0, read_other, other);
	crossing->came_back = true;
	return 0;
}

static void a_fault_ends_the_guard_of_the_map_it_lies_in(void **state)
{
	struct fixture *f = *state;
	uint64_t sum;
	int good_fd = -1;
	int bad_fd = -1;
	struct io_map good = map_pages(f, "good", 1, &good_fd);
	struct io_map bad = map_pages(f, "bad", 1, &bad_fd);
	struct crossing crossing = { .inner = &good, .lost = &bad };

	assert_int_equal(ftruncate(bad_fd, 0), 0);
	assert_int_equal(io_guarded(&bad, 0, 0, cross, &crossing), -EIO);
	assert_false(crossing.came_back);
	/* Both guards are gone, and new ones work. */
	assert_int_equal(guarded_sum(&bad, &sum), -EIO);
	assert_int_equal(guarded_sum(&good, &sum), 7);
	io_close(f->io, good_fd);
	io_close(f->io, bad_fd);
	io_unmap(&good);
	io_unmap(&bad);
}

struct thread_job {
	const struct io_map *map;
	int expected;
	int unexpected_count;
};

static void *guard_many_times(void *ctx)
{
	struct thread_job *job = ctx;

	for (int i = 0; i < 5000; i++) {
		uint64_t sum;

		if (guarded_sum(job->map, &sum) != job->expected)
			job->unexpected_count++;
	}
	return NULL;
}

static void each_thread_has_its_own_faults(void **state)
{
	struct fixture *f = *state;
	int good_fd = -1;
	int bad_fd = -1;
	struct io_map good = map_pages(f, "good", 1, &good_fd);
	struct io_map bad = map_pages(f, "bad", 1, &bad_fd);
	struct thread_job jobs[] = {
		{ &bad, -EIO, 0 },
		{ &good, 7, 0 },
		{ &bad, -EIO, 0 },
	};
	pthread_t threads[3];

	assert_int_equal(ftruncate(bad_fd, 0), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						guard_many_times, &jobs[i]),
				 0);
	for (int i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(jobs[i].unexpected_count, 0);
	}
	io_close(f->io, good_fd);
	io_close(f->io, bad_fd);
	io_unmap(&good);
	io_unmap(&bad);
}

/* Runs fn(ctx) in a child that ought to die of SIGBUS; its wait status. */
static int status_of(int (*fn)(void *), void *ctx)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		fn(ctx);
		_exit(0);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* What another process could send, were it to guess the map's address. */
static int send_sigbus(void *ctx)
{
	const struct io_map *map = ctx;
	siginfo_t info = { .si_signo = SIGBUS, .si_code = SI_QUEUE };

	info.si_addr = (void *)(uintptr_t)map->address;
	return (int)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGBUS,
			    &info);
}

static int send_under_guard(void *ctx)
{
	const struct io_map *map = ctx;

	return io_guarded(map, 0, 0, send_sigbus, ctx);
}

static int guard_good_around(void *ctx)
{
	struct crossing *crossing = ctx;
	const void *lost = crossing->lost;
	void *other;

	memcpy(&other, &lost, sizeof(other));
	return io_guarded(crossing->inner, 0, 0, read_other, other);
}

static void a_sigbus_that_no_guard_covers_still_kills(void **state)
{
	struct fixture *f = *state;
	int good_fd = -1;
	int bad_fd = -1;
	struct io_map good = map_pages(f, "good", 1, &good_fd);
	struct io_map bad = map_pages(f, "bad", 1, &bad_fd);
	struct crossing other_map = { .inner = &good, .lost = &bad };
	int status;

	assert_int_equal(ftruncate(bad_fd, 0), 0);
	status = status_of(read_other, &bad);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	/* Inside a guard, but of another map; and one that was only sent. */
	status = status_of(guard_good_around, &other_map);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	status = status_of(send_under_guard, &good);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	io_close(f->io, good_fd);
	io_close(f->io, bad_fd);
	io_unmap(&good);
	io_unmap(&bad);
}

static void an_empty_map_needs_no_mapping(void **state)
{
	struct fixture *f = *state;
	struct io_map map = { .size = 9 };
	uint64_t sum = 9;

	assert_int_equal(io_map(f->io, -1, 0, &map), 0);
	assert_int_equal(map.size, 0);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	assert_int_equal(sum, 0);
	io_map_drop(&map, 0, SIZE_MAX);
	io_map_prefetch(&map, 0, 100);
	io_map_populate(&map, 0, 100);
	io_unmap(&map);
	assert_int_equal(io_map(f->io, -1, 10, &map), -EBADF);
}

static void a_range_outside_the_map_is_einval(void **state)
{
	struct fixture *f = *state;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 1, &fd);

	assert_int_equal(io_guarded(&map, map.size + 1, 0, read_other, &map),
			 -EINVAL);
	assert_int_equal(io_guarded(&map, 1, map.size, read_other, &map),
			 -EINVAL);
	assert_int_equal(io_guarded(&map, 1, SIZE_MAX, read_other, &map),
			 -EINVAL);
	assert_int_equal(io_guarded(&map, map.size, 0, read_other, &map), 7);
	io_close(f->io, fd);
	io_unmap(&map);
}

static size_t resident_pages(const struct io_map *map)
{
	size_t pages = map->size / (size_t)sysconf(_SC_PAGESIZE);
	unsigned long long start;
	unsigned long long end;
	bool inside = false;
	size_t rss_kib = 0;
	char line[256];
	FILE *smaps = fopen("/proc/self/smaps", "re");

	assert_non_null(smaps);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%llx-%llx ", &start, &end) == 2)
			inside = start == (uintptr_t)map->address;
		else if (inside && strncmp(line, "Rss:", 4) == 0)
			rss_kib = strtoul(line + 4, NULL, 10);
	}
	fclose(smaps);
	assert_true(rss_kib * 1024 <= pages * (size_t)sysconf(_SC_PAGESIZE));
	return rss_kib * 1024 / (size_t)sysconf(_SC_PAGESIZE);
}

static void dropped_pages_are_not_resident_and_come_back(void **state)
{
	struct fixture *f = *state;
	uint64_t before = 0;
	uint64_t after = 0;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 9, &fd);

	assert_int_equal(guarded_sum(&map, &before), 7);
	assert_int_equal(resident_pages(&map), 9);
	io_map_drop(&map, 0, SIZE_MAX);
	assert_int_equal(resident_pages(&map), 0);
	io_map_prefetch(&map, 5000, 10000);
	io_map_prefetch(&map, 5000, SIZE_MAX);
	io_map_prefetch(&map, UINT64_MAX, 1);
	io_map_populate(&map, 5000, 10000);
	io_map_populate(&map, 5000, SIZE_MAX);
	io_map_populate(&map, UINT64_MAX, 1);
	assert_int_equal(guarded_sum(&map, &after), 7);
	assert_int_equal(before, after);
	io_close(f->io, fd);
	io_unmap(&map);
}

static int read_byte(void *ctx)
{
	const volatile uint8_t *byte = ctx;

	return *byte;
}

/* Reads a byte of a map; how many pieces that touched first. */
static uint64_t touches_of_reading(const struct io_map *map, size_t offset)
{
	uint64_t before = io_map_touches();

	io_guarded(map, offset, 1, read_byte,
		   (void *)(uintptr_t)(map->address + offset));
	return io_map_touches() - before;
}

static void a_piece_is_touched_once_until_it_is_dropped(void **state)
{
	struct fixture *f = *state;
	const size_t piece = IO_MAP_PIECE_BYTES;
	size_t pages = 5 * piece / (size_t)sysconf(_SC_PAGESIZE);
	uint64_t begin, sum;
	int fd = -1;
	struct io_map map = map_pages(f, "file", pages, &fd);

	assert_int_equal(touches_of_reading(&map, piece), 1);
	assert_int_equal(touches_of_reading(&map, piece), 0);
	assert_int_equal(touches_of_reading(&map, 2 * piece - 1), 0);
	assert_int_equal(touches_of_reading(&map, 2 * piece), 1);
	assert_int_equal(touches_of_reading(&map, piece - 1), 1);
	begin = io_map_touches();
	io_map_populate(&map, piece, 3 * piece);
	assert_int_equal(io_map_touches() - begin, 1);
	/* Of nothing, and of a range that is not there, nothing. */
	io_guarded(&map, map.size, 0, read_other, &map);
	io_guarded(&map, map.size, 1, read_other, &map);
	io_map_populate(&map, map.size, 1);
	assert_false(io_map_drop(&map, map.size, 1));
	assert_false(io_map_drop(&map, piece, 0));
	guarded_sum(&map, &sum);
	assert_int_equal(io_map_touches() - begin, 2);

	/* A piece is dropped, and those beside it are not. */
	assert_true(io_map_drop(&map, 2 * piece, piece));
	assert_false(io_map_drop(&map, 2 * piece, piece));
	assert_int_equal(touches_of_reading(&map, 2 * piece - 1), 0);
	assert_int_equal(touches_of_reading(&map, 3 * piece), 0);
	assert_int_equal(touches_of_reading(&map, 2 * piece), 1);
	io_map_drop(&map, 0, SIZE_MAX);
	begin = io_map_touches();
	guarded_sum(&map, &sum);
	assert_int_equal(io_map_touches() - begin, 5);
	io_close(f->io, fd);
	io_unmap(&map);
}

/* Of a file that is cached, so that faults map what is around, too. */
static void what_is_dropped_is_not_resident(void **state)
{
	struct fixture *f = *state;
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = 2048;
	size_t half = pages / 2 * page;
	int fd = -1;
	struct io_map map = map_pages(f, "file", pages, &fd);

	for (size_t i = 0; i < pages; i += 4)
		touches_of_reading(&map, i * 7919 % pages * page);
	assert_true(resident_pages(&map) >= pages / 4);
	io_map_drop(&map, half, SIZE_MAX);
	assert_in_range(resident_pages(&map), pages / 8, pages / 2);
	io_map_drop(&map, 0, half);
	assert_int_equal(resident_pages(&map), 0);
	io_close(f->io, fd);
	io_unmap(&map);
}

/* The seam's touch fails before a byte is read, once it is asked to. */
static void a_touch_that_fails_is_what_the_guard_returns(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_TOUCH),
			       .nth = 2,
			       .error = -EIO };
	struct fault_io io;
	uint64_t sum;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 1, &fd);

	fault_io_init(&io, f->io);
	io_unmap(&map);
	assert_int_equal(io_map(&io.io, fd, 100, &map), 0);
	fault_io_arm(&io, &fault);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	assert_int_equal(guarded_sum(&map, &sum), -EIO);
	assert_int_equal(sum, 0);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	/* Nothing to be read, nothing to be touched. */
	assert_int_equal(io_guarded(&map, 100, 0, read_other, &map), 7);
	assert_int_equal(fault_io_call_count(&io, FAULT_OP(OP_TOUCH)), 3);

	fault = (struct fault){ .ops = FAULT_ANY, .error = -EINTR };
	fault_io_arm(&io, &fault);
	assert_int_equal(guarded_sum(&map, &sum), 7);
	io_unmap(&map);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_map(&io.io, fd, 100, &map), 0);
	fault.error = -ENOMEM;
	fault_io_arm(&io, &fault);
	io_unmap(&map);
	fault_io_arm(&io, &fault);
	assert_int_equal(io_map(&io.io, fd, 100, &map), -ENOMEM);
	io_close(f->io, fd);
	fault_io_release(&io);
}

static int store(struct io_window *window, const char *text, uint64_t offset)
{
	struct iovec iov[2] = { { (char *)(uintptr_t)text, 1 },
				{ (char *)(uintptr_t)text + 1,
				  strlen(text) - 1 } };

	return io_window_store(window, iov, 2, offset);
}

static void what_a_window_stores_is_in_the_file(void **state)
{
	struct fixture *f = *state;
	struct io_window window = { 0 };
	char bytes[10];
	int fd = -1;
	struct io_map map = map_pages(f, "file", 3, &fd);

	assert_false(io_window_covers(&window, 0, 1));
	assert_int_equal(io_window_open(f->io, fd, 5000, 4000, &window), 0);
	assert_true(io_window_covers(&window, 5000, 4000));
	assert_false(io_window_covers(&window, 5000, 4001));
	assert_false(io_window_covers(&window, 4095, 1));
	assert_int_equal(store(&window, "stored", 8995 - 6), 0);
	io_window_close(&window);
	assert_int_equal(window.size, 0);
	io_window_close(&window);
	assert_int_equal(io_read(f->io, fd, bytes, 8, 8988), 0);
	assert_memory_equal(bytes, "\3stored\3", 8);
	assert_memory_equal(map.address + 8989, "stored", 6);
	io_unmap(&map);
	io_close(f->io, fd);
}

static void a_window_over_a_lost_page_is_eio(void **state)
{
	struct fixture *f = *state;
	struct io_window window;
	int fd = -1;
	struct io_map map = map_pages(f, "file", 2, &fd);

	assert_int_equal(io_window_open(f->io, fd, 0, 8192, &window), 0);
	assert_int_equal(io_truncate(f->io, fd, 4096), 0);
	assert_int_equal(store(&window, "there", 100), 0);
	assert_int_equal(store(&window, "gone", 5000), -EIO);
	assert_int_equal(store(&window, "there", 100), 0);
	io_window_close(&window);
	/* A descriptor that is not open for writing. */
	io_close(f->io, fd);
	assert_int_equal(io_open(f->io, f->dir.fd, "file", O_RDONLY, &fd), 0);
	assert_int_equal(io_window_open(f->io, fd, 0, 4096, &window), -EACCES);
	io_unmap(&map);
	io_close(f->io, fd);
}

#define CASE(rule) cmocka_unit_test_setup_teardown(rule, set_up, tear_down)

/* Installs the handler over the default one, whatever a sanitizer had there. */
static void install_guard(void)
{
	struct io_map map;

	signal(SIGBUS, SIG_DFL);
	if (io_map(io_system(), -1, 0, &map) == 0)
		sigaction(SIGBUS, NULL, &guard_action);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_guard_returns_what_the_function_did),
		CASE(a_lost_page_under_a_guard_is_eio_each_time),
		CASE(a_fault_in_an_inner_guard_leaves_the_outer_one_alone),
		CASE(a_fault_ends_the_guard_of_the_map_it_lies_in),
		CASE(each_thread_has_its_own_faults),
		CASE(a_sigbus_that_no_guard_covers_still_kills),
		CASE(an_empty_map_needs_no_mapping),
		CASE(a_range_outside_the_map_is_einval),
		CASE(dropped_pages_are_not_resident_and_come_back),
		CASE(a_piece_is_touched_once_until_it_is_dropped),
		CASE(what_is_dropped_is_not_resident),
		CASE(a_touch_that_fails_is_what_the_guard_returns),
		CASE(what_a_window_stores_is_in_the_file),
		CASE(a_window_over_a_lost_page_is_eio),
	};

	install_guard();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
