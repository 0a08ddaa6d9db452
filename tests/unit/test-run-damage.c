/* SPDX-License-Identifier: MIT */

/*
 * Runs that are damaged, cut off or forged, and calls that fail: engine/run.h
 * either is right or says that it is not.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/run.h"
#include "engine/run_format.h"
#include "tests/unit/run_fixture.h"

/* cmocka puts its own handler around each test. */
static struct sigaction guard_action;

/* Keys so long that a few make several leaves. */
static void make_small_model(struct model *model)
{
	struct buf key = { 0 };

	random_state = 5;
	model_init(model, 6);
	assert_int_equal(buf_resize(&key, 1300), 0);
	for (size_t i = 0; i < 6; i++) {
		for (size_t j = 0; j < key.size; j++)
			key.data[j] = (uint8_t)random_next();
		model_add(model, buf_slice(&key));
	}
	model_sort(model);
	buf_release(&key);
}

static bool is_damage(int result)
{
	return result == -EBADMSG || result == -EUCLEAN;
}

/* Right as far as it goes, and it ends at the end or at damage. */
static void check_damaged_list(struct run *run, const struct model *model)
{
	struct source *source = run_source_new(run);
	size_t i = 0;
	int result;

	assert_non_null(source);
	result = source_seek(source, slice_of(NULL, 0), false);
	for (; result == 0; result = source_next(source), i++) {
		assert_true(i < model->count);
		assert_entry(source, model, i);
	}
	assert_true(is_damage(result) || (result == 1 && i == model->count));
	/* It does not go on behind damage. */
	assert_int_equal(source_next(source), result);
	source_free(source);
}

static void check_damaged_gets(struct run *run, const struct model *model)
{
	for (size_t i = 0; i < model->count; i++) {
		enum run_probe probe;
		struct place place;
		int result =
			find_place(run, model_key(model, i), &place, &probe);

		if (result == 0)
			assert_place(&place, &model->entries[i].place);
		else
			assert_true(is_damage(result));
	}
}

static void each_flipped_bit_is_detected_or_harmless(void **state)
{
	struct run_summary summary = { 0 };
	struct run *run, *broken = NULL;
	struct model model;
	uint64_t footer_offset;
	int fd;

	(void)state;
	make_small_model(&model);
	assert_int_equal(write_model(io_system(), &model, 6, &summary), 0);
	footer_offset = summary.file_size_bytes - RUN_PAGE_BYTES;
	run = open_run();
	fd = open_file(O_RDWR);
	for (uint64_t bit = 0; bit < summary.file_size_bytes * 8; bit++) {
		off_t offset = (off_t)(bit / 8);
		uint8_t byte, flipped;

		assert_int_equal(pread(fd, &byte, 1, offset), 1);
		flipped = byte ^ (uint8_t)(1u << bit % 8);
		assert_int_equal(pwrite(fd, &flipped, 1, offset), 1);
		if (bit / 8 >= footer_offset) {
			assert_int_equal(run_open(io_system(), dir_fd,
						  &identity, &broken),
					 -EUCLEAN);
		} else {
			run_drop_cache(run, 0, SIZE_MAX);
			check_damaged_gets(run, &model);
			check_damaged_list(run, &model);
			assert_true(is_damage(run_verify(run)));
		}
		assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	}
	close(fd);
	assert_int_equal(run_verify(run), 0);
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

/* Where the key before was found says nothing of the one that is asked for. */
static void damage_of_the_leaf_found_in_last_is_detected(void **state)
{
	enum run_probe probe;
	struct place place;
	struct model model;
	struct run *run;
	uint8_t byte;
	int fd;

	(void)state;
	random_state = 3;
	model_init_inodes(&model, 100);
	run = write_and_open(&model);
	for (size_t i = 0; i < 50; i++)
		check_get(run, &model, model_key(&model, i));
	/* Its one leaf. */
	fd = open_file(O_RDWR);
	assert_int_equal(pread(fd, &byte, 1, 100), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 100), 1);
	run_drop_cache(run, 0, SIZE_MAX);
	for (size_t i = 50; i < 100; i++)
		assert_true(is_damage(
			find_place(run, model_key(&model, i), &place, &probe)));
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, 100), 1);
	close(fd);
	run_drop_cache(run, 0, SIZE_MAX);
	for (size_t i = 0; i < 100; i++)
		check_get(run, &model, model_key(&model, i));
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

static void a_run_cut_off_anywhere_is_refused(void **state)
{
	struct run_summary summary = { 0 };
	struct run *run = NULL;
	struct model model;
	int fd;

	(void)state;
	make_small_model(&model);
	assert_int_equal(write_model(io_system(), &model, 6, &summary), 0);
	fd = open_file(O_RDWR);
	assert_int_equal(ftruncate(fd, (off_t)summary.file_size_bytes + 1), 0);
	assert_int_equal(run_open(io_system(), dir_fd, &identity, &run),
			 -EUCLEAN);
	for (uint64_t size = summary.file_size_bytes; size-- > 0;) {
		assert_int_equal(ftruncate(fd, (off_t)size), 0);
		assert_int_equal(run_open(io_system(), dir_fd, &identity, &run),
				 -EUCLEAN);
	}
	close(fd);
	remove_run(identity.id);
	model_release(&model);
}

static void a_run_cut_off_while_open_gives_errors(void **state)
{
	struct source *source;
	enum run_probe probe;
	struct place place;
	struct model model;
	struct run *run;
	int fd;

	(void)state;
	assert_int_equal(sigaction(SIGBUS, &guard_action, NULL), 0);
	make_small_model(&model);
	run = write_and_open(&model);
	fd = open_file(O_RDWR);
	assert_int_equal(ftruncate(fd, 0), 0);
	close(fd);
	assert_int_equal(find_place(run, model_key(&model, 0), &place, &probe),
			 -EIO);
	assert_int_equal(run_verify(run), -EIO);
	source = run_source_new(run);
	assert_int_equal(source_seek(source, slice_of(NULL, 0), false), -EIO);
	source_free(source);
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

/* Writes bytes over the file's and makes the page's checksum match. */
static void forge(int fd, uint64_t page, uint8_t bytes[RUN_PAGE_BYTES])
{
	run_checksum_store(run_seed(&identity), page, bytes, RUN_PAGE_BYTES);
	assert_int_equal(pwrite(fd, bytes, RUN_PAGE_BYTES,
				(off_t)(page * RUN_PAGE_BYTES)),
			 RUN_PAGE_BYTES);
}

/* Whatever is listed ascends; nothing crashes. */
static void use_forged(struct run *run, const struct model *model)
{
	struct source *source = run_source_new(run);
	struct buf last = { 0 };
	enum run_probe probe;
	struct place place;
	size_t count = 0;
	int result;

	for (size_t i = 0; i < model->count; i += 1 + model->count / 7) {
		find_place(run, model_key(model, i), &place, &probe);
		source_seek(source, model_key(model, i), true);
	}
	result = source_seek(source, slice_of(NULL, 0), false);
	for (; result == 0; result = source_next(source)) {
		if (count++)
			assert_true(slice_compare(buf_slice(&last),
						  source->entry.key) < 0);
		assert_int_equal(buf_assign(&last, source->entry.key), 0);
	}
	run_verify(run);
	source_free(source);
	buf_release(&last);
}

static void contents_with_forged_checksums_do_no_harm(void **state)
{
	struct run_summary summary = { 0 };
	struct model model;
	uint64_t pages;
	int fd;

	(void)state;
	random_state = 3;
	model_init(&model, 700);
	for (size_t i = 0; i < 700; i++)
		add_random_key(&model, 30);
	model_sort(&model);
	assert_int_equal(write_model(io_system(), &model, 700, &summary), 0);
	pages = summary.file_size_bytes / RUN_PAGE_BYTES;
	fd = open_file(O_RDWR);
	for (int round = 0; round < 6000; round++) {
		uint8_t good[RUN_PAGE_BYTES], bad[RUN_PAGE_BYTES];
		uint64_t page = random_below(pages);
		/* Headers and tables are few bytes of many. */
		size_t reach = random_below(2) ? 64 : RUN_PAGE_BYTES;
		size_t from = random_below(4) ? 0 : RUN_PAGE_BYTES - reach;
		struct run *run;

		assert_int_equal(pread(fd, good, sizeof(good),
				       (off_t)(page * RUN_PAGE_BYTES)),
				 sizeof(good));
		memcpy(bad, good, sizeof(bad));
		for (uint64_t n = 1 + random_below(4); n > 0; n--)
			bad[from + random_below(reach)] =
				(uint8_t)random_number();
		forge(fd, page, bad);
		if (!run_open(io_system(), dir_fd, &identity, &run)) {
			use_forged(run, &model);
			run_unref(run);
		}
		forge(fd, page, good);
	}
	close(fd);
	remove_run(identity.id);
	model_release(&model);
}

/* The real system, of which one call fails. */
struct failing_io {
	struct io io;
	struct io_ops ops;
	int calls_left; /* of those that may fail, before one does */
	int error;
};

static struct failing_io failing;

static int failing_now(void)
{
	return failing.calls_left-- == 0 ? failing.error : 0;
}

static ssize_t failing_pwritev(struct io *io, int fd, const struct iovec *iov,
			       int count, uint64_t offset)
{
	int error = failing_now();

	return error ? error :
		       io_system()->ops->pwritev(io, fd, iov, count, offset);
}

static int failing_sync_data(struct io *io, int fd)
{
	int error = failing_now();

	return error ? error : io_system()->ops->sync_data(io, fd);
}

static int failing_open(struct io *io, int dir, const char *name, int flags)
{
	int error = failing_now();

	return error ? error : io_system()->ops->open(io, dir, name, flags);
}

static int failing_close(struct io *io, int fd)
{
	int error = io_system()->ops->close(io, fd);
	int failure = failing_now();

	return failure ? failure : error;
}

static int failing_map(struct io *io, int fd, size_t size, void **ret_address)
{
	int error = failing_now();

	return error ? error : io_system()->ops->map(io, fd, size, ret_address);
}

static int failing_size(struct io *io, int fd, uint64_t *ret_size_bytes)
{
	int error = failing_now();

	return error ? error : io_system()->ops->size(io, fd, ret_size_bytes);
}

static ssize_t failing_pread(struct io *io, int fd, void *dst, size_t size,
			     uint64_t offset)
{
	int error = failing_now();

	return error ? error :
		       io_system()->ops->pread(io, fd, dst, size, offset);
}

static int failing_touch(struct io *io, const void *address, size_t size)
{
	(void)io;
	(void)address;
	(void)size;
	return failing_now();
}

static struct io *failing_io(int calls_before, int error)
{
	failing.ops = *io_system()->ops;
	failing.ops.open = failing_open;
	failing.ops.close = failing_close;
	failing.ops.pread = failing_pread;
	failing.ops.pwritev = failing_pwritev;
	failing.ops.sync_data = failing_sync_data;
	failing.ops.size = failing_size;
	failing.ops.map = failing_map;
	failing.ops.touch = failing_touch;
	failing.io.ops = &failing.ops;
	failing.calls_left = calls_before;
	failing.error = error;
	return &failing.io;
}

static void a_failed_write_leaves_no_file(void **state)
{
	static const int errors[] = { -ENOSPC, -EIO };
	struct run_summary summary = { 0 };
	char name[RUN_NAME_MAX];
	struct model model;
	int n = 0;

	(void)state;
	random_state = 21;
	run_name(identity.id, name);
	model_init_inodes(&model, 60000);
	for (;; n++) {
		struct io *io = failing_io(n, errors[n % 2]);
		int error = write_model(io, &model, model.count, &summary);

		if (!error)
			break;
		assert_int_equal(error, errors[n % 2]);
		assert_int_equal(faccessat(dir_fd, name, F_OK, 0), -1);
	}
	/* open, writes, sync, close */
	assert_true(n > 4);
	remove_run(identity.id);
	model_release(&model);
}

static void a_failed_read_is_an_error_and_no_more(void **state)
{
	struct model model;
	struct run *run = NULL;
	bool open_failed = false, get_failed = false, list_failed = false;

	(void)state;
	make_small_model(&model);
	run_unref(write_and_open(&model));
	for (int n = 0; n < 60; n++) {
		struct io *io = failing_io(n, -EIO);
		struct source *source;
		enum run_probe probe;
		struct place place;
		int error = run_open(io, dir_fd, &identity, &run);

		if (error) {
			assert_int_equal(error, -EIO);
			open_failed = true;
			continue;
		}
		for (size_t i = 0; i < model.count; i++) {
			error = find_place(run, model_key(&model, i), &place,
					   &probe);
			if (!error)
				assert_place(&place, &model.entries[i].place);
			else
				assert_int_equal(error, -EIO);
			get_failed |= error != 0;
		}
		source = run_source_new(run);
		error = source_seek(source, slice_of(NULL, 0), false);
		while (!error)
			error = source_next(source);
		assert_true(error == 1 || error == -EIO);
		list_failed |= error == -EIO;
		source_free(source);
		run_unref(run);
	}
	assert_true(open_failed && get_failed && list_failed);
	remove_run(identity.id);
	model_release(&model);
}

static void a_damaged_filter_costs_time_and_no_key(void **state)
{
	struct run_summary summary = { 0 };
	struct model model;
	struct run *run;
	uint8_t byte = 0x55;
	off_t offset;
	int fd;

	(void)state;
	make_small_model(&model);
	assert_int_equal(write_model(io_system(), &model, 6, &summary), 0);
	/* The only filter page is the last but one. */
	offset = (off_t)summary.file_size_bytes - 2 * (off_t)RUN_PAGE_BYTES;
	fd = open_file(O_RDWR);
	assert_int_equal(pwrite(fd, &byte, 1, offset + 1000), 1);
	close(fd);
	run = open_run();
	for (size_t i = 0; i < model.count; i++)
		check_get(run, &model, model_key(&model, i));
	check_get(run, &model, SLICE_LITERAL("absent"));
	assert_int_equal(run_verify(run), -EBADMSG);
	run_unref(run);
	remove_run(identity.id);
	model_release(&model);
}

/* The handler that the first map installs, before cmocka has its own. */
static bool learn_guard_action(void)
{
	struct io_map map;
	int fd = open("/proc/self/exe", O_RDONLY);
	bool done = fd >= 0 && !io_map(io_system(), fd, 1, &map) &&
		    !sigaction(SIGBUS, NULL, &guard_action);

	if (done)
		io_unmap(&map);
	close(fd);
	return done;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_flipped_bit_is_detected_or_harmless),
		cmocka_unit_test(damage_of_the_leaf_found_in_last_is_detected),
		cmocka_unit_test(a_run_cut_off_anywhere_is_refused),
		cmocka_unit_test(a_run_cut_off_while_open_gives_errors),
		cmocka_unit_test(contents_with_forged_checksums_do_no_harm),
		cmocka_unit_test(a_failed_write_leaves_no_file),
		cmocka_unit_test(a_failed_read_is_an_error_and_no_more),
		cmocka_unit_test(a_damaged_filter_costs_time_and_no_key),
	};

	signal(SIGBUS, SIG_DFL);
	if (!learn_guard_action())
		return 2;
	return cmocka_run_group_tests(tests, setup, teardown);
}
