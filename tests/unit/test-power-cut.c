/* SPDX-License-Identifier: MIT */

/* What a power cut keeps, may keep, and can not make up. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/seam/power_cut.h"
#include "tests/unit/record_fixture.h"

#define FILE_MAX_BYTES ((size_t)1 << 20)
#define SEED_COUNT 200

/* A file of that many equal bytes, synced if asked, its name not. */
static void make_file(struct fixture *f, const char *name, int byte,
		      size_t size, bool sync)
{
	int fd = open_file(f, name, O_CREAT);
	uint8_t *bytes = malloc(size);

	memset(bytes, byte, size);
	assert_int_equal(io_write(f->io, fd, bytes, size, 0), 0);
	if (sync)
		assert_int_equal(io_sync_data(f->io, fd), 0);
	io_close(f->io, fd);
	free(bytes);
}

/* The directory that a cut leaves; scratch_release() it. */
static struct scratch cut_to(struct fixture *f, const struct power_cut *cut)
{
	struct scratch left;
	char name[32];

	snprintf(name, sizeof(name), "cut-%u", f->cut_count++);
	assert_int_equal(scratch_make_dir(&f->dir, name, &left), 0);
	assert_int_equal(power_cut_apply(&f->r, cut, left.fd), 0);
	return left;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All of a directory, as "name NUL size NUL bytes" in order of names. */
static void dump(int dir_fd, struct buf *ret_dump)
{
	struct buf names = { 0 };
	char *sorted[64];
	size_t count = 0;

	buf_clear(ret_dump);
	assert_int_equal(io_list(io_system(), dir_fd, &names), 0);
	for (size_t i = 0; i < names.size; count++) {
		assert_true(count < 64);
		sorted[count] = (char *)names.data + i;
		i += strlen(sorted[count]) + 1;
	}
	qsort(sorted, count, sizeof(sorted[0]), compare_names);
	for (size_t i = 0; i < count; i++) {
		struct buf bytes = { 0 };

		assert_int_equal(io_read_file(io_system(), dir_fd, sorted[i],
					      FILE_MAX_BYTES, &bytes),
				 0);
		buf_append(ret_dump, sorted[i], strlen(sorted[i]) + 1);
		buf_append(ret_dump, &bytes.size, sizeof(bytes.size));
		buf_append(ret_dump, bytes.data, bytes.size);
		buf_release(&bytes);
	}
	buf_release(&names);
}

static bool exists(const struct scratch *dir, const char *name)
{
	return faccessat(dir->fd, name, F_OK, 0) == 0;
}

/* A file of what a cut left. False when there is none of that name. */
static bool read_left(const struct scratch *dir, const char *name,
		      struct buf *ret_bytes)
{
	int error = io_read_file(io_system(), dir->fd, name, FILE_MAX_BYTES,
				 ret_bytes);

	assert_true(error == 0 || error == -ENOENT);
	return error == 0;
}

static bool all_bytes_are(const struct buf *bytes, size_t from, size_t to,
			  uint8_t byte)
{
	for (size_t i = from; i < to; i++)
		if (bytes->data[i] != byte)
			return false;
	return true;
}

/* One of the many things that a store does to its directory. */
static void do_step(struct fixture *f, unsigned int step, uint32_t *seed)
{
	static const char names[][2] = { "a", "b", "c", "d", "e" };
	const char *name;
	uint8_t bytes[5000];
	struct iovec iov[2];
	uint64_t offset;
	int fd;

	*seed = *seed * 1103515245u + 12345u;
	name = names[(*seed >> 16) % 5];
	offset = (*seed >> 8) % 30000;
	memset(bytes, (int)step, sizeof(bytes));
	if (step % 9 == 7) {
		io_unlink(f->io, f->dir_fd, name);
		return;
	}
	if (step % 9 == 8) {
		io_rename(f->io, f->dir_fd, name, names[step % 5]);
		return;
	}
	if (step % 9 == 6) {
		assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
		return;
	}
	fd = open_file(f, name, O_CREAT);
	iov[0] = (struct iovec){ bytes, *seed % 4000 };
	iov[1] = (struct iovec){ bytes + 4000, *seed % 1000 };
	if (step % 9 == 5)
		assert_int_equal(io_sync_data(f->io, fd), 0);
	else if (step % 9 == 4)
		assert_int_equal(io_truncate(f->io, fd, offset), 0);
	else if (step % 9 == 3)
		assert_int_equal(io_allocate(f->io, fd, offset), 0);
	else
		assert_int_equal(io_write_vector(f->io, fd, iov, 2, offset), 0);
	io_close(f->io, fd);
}

#define STEP_COUNT 150

static void with_nothing_lost_it_is_as_it_was_after_each_step(void **state)
{
	struct fixture *f = *state;
	static struct buf dumps[STEP_COUNT];
	size_t positions[STEP_COUNT];
	uint32_t seed = 42;
	struct buf left = { 0 };

	for (unsigned int i = 0; i < STEP_COUNT; i++) {
		do_step(f, i, &seed);
		positions[i] = record_io_position(&f->r);
		dump(f->store.fd, &dumps[i]);
	}
	for (unsigned int i = 0; i < STEP_COUNT; i++) {
		struct power_cut cut = { .at = positions[i],
					 .kind = POWER_CUT_NOTHING_LOST };
		struct scratch dir = cut_to(f, &cut);

		dump(dir.fd, &left);
		assert_true(
			slice_equal(buf_slice(&left), buf_slice(&dumps[i])));
		scratch_release(&dir);
		buf_release(&dumps[i]);
	}
	buf_release(&left);
}

/* Whatever was done before: of what is synced there is only one outcome. */
static void once_all_is_synced_nothing_can_be_lost(void **state)
{
	static const char names[][2] = { "a", "b", "c", "d", "e" };
	struct fixture *f = *state;
	struct buf expected = { 0 };
	struct buf left = { 0 };
	uint32_t seed = 7;

	for (unsigned int i = 0; i < STEP_COUNT; i++)
		do_step(f, i, &seed);
	for (int i = 0; i < 5; i++) {
		int fd = -1;

		if (io_open(f->io, f->dir_fd, names[i], O_RDWR, &fd))
			continue;
		assert_int_equal(io_sync_data(f->io, fd), 0);
		io_close(f->io, fd);
	}
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	dump(f->store.fd, &expected);
	assert_true(expected.size > 1000);
	for (uint64_t i = 0; i < 50; i++) {
		struct power_cut cut = { .at = record_io_position(&f->r),
					 .kind = i ? POWER_CUT_RANDOM :
						     POWER_CUT_SYNCED_ONLY,
					 .seed = i,
					 .tear_bytes = 1 };
		struct scratch dir = cut_to(f, &cut);

		dump(dir.fd, &left);
		assert_true(
			slice_equal(buf_slice(&left), buf_slice(&expected)));
		scratch_release(&dir);
	}
	buf_release(&expected);
	buf_release(&left);
}

static void the_same_seed_makes_the_same_directory(void **state)
{
	struct fixture *f = *state;
	unsigned int distinct_count = 0;
	struct buf previous = { 0 };
	struct buf first = { 0 };
	struct buf second = { 0 };
	uint32_t seed = 3;

	for (unsigned int i = 0; i < STEP_COUNT; i++)
		do_step(f, i, &seed);
	for (uint64_t i = 0; i < 30; i++) {
		struct power_cut cut = { .at = record_io_position(&f->r),
					 .kind = POWER_CUT_RANDOM,
					 .seed = i,
					 .tear_bytes = 512 };
		struct scratch dir = cut_to(f, &cut);
		struct scratch again = cut_to(f, &cut);

		dump(dir.fd, &first);
		dump(again.fd, &second);
		assert_true(slice_equal(buf_slice(&first), buf_slice(&second)));
		if (!slice_equal(buf_slice(&first), buf_slice(&previous)))
			distinct_count++;
		assert_int_equal(buf_assign(&previous, buf_slice(&first)), 0);
		scratch_release(&dir);
		scratch_release(&again);
	}
	assert_true(distinct_count > 20);
	buf_release(&previous);
	buf_release(&first);
	buf_release(&second);
}

static void unsynced_data_is_new_or_old_or_zero(void **state)
{
	struct fixture *f = *state;
	bool lost = false;
	bool kept = false;
	bool torn = false;
	bool grown_by_zeros = false;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM, .tear_bytes = 512 };

	make_file(f, "a", 'o', 4096, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	make_file(f, "a", 'n', 8192, false);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };
		size_t new_count = 0;

		assert_true(read_left(&dir, "a", &left));
		assert_true(left.size >= 4096 && left.size <= 8192);
		for (size_t i = 0; i < left.size; i++) {
			uint8_t byte = left.data[i];

			assert_true(byte == 'n' ||
				    byte == (i < 4096 ? 'o' : 0));
			new_count += byte == 'n';
			/* Sectors are atomic. */
			if (i % 512)
				assert_int_equal(byte, left.data[i - 1]);
		}
		lost |= new_count == 0;
		kept |= new_count == 8192;
		torn |= new_count > 0 && new_count < left.size;
		grown_by_zeros |= left.size == 8192 &&
				  all_bytes_are(&left, 4096, 8192, 0);
		buf_release(&left);
		scratch_release(&dir);
	}
	assert_true(lost && kept && torn && grown_by_zeros);
}

static void writes_are_torn_only_where_asked(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM };
	bool torn_in_sector = false;

	make_file(f, "a", 'o', 8192, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	make_file(f, "a", 'n', 8192, false);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir;
		struct buf left = { 0 };

		cut.tear_bytes = cut.seed % 2;
		dir = cut_to(f, &cut);
		assert_true(read_left(&dir, "a", &left));
		assert_int_equal(left.size, 8192);
		for (size_t i = 1; i < left.size; i++) {
			if (left.data[i] == left.data[i - 1])
				continue;
			assert_int_equal(cut.tear_bytes, 1);
			torn_in_sector |= i % 512 != 0;
		}
		buf_release(&left);
		scratch_release(&dir);
	}
	assert_true(torn_in_sector);
}

static void unsynced_writes_are_lost_in_any_combination(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM };
	bool seen[8] = { false };
	int fd;

	make_file(f, "a", 'o', 1536, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	fd = open_file(f, "a", 0);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(io_write(f->io, fd, "n", 1, 512 * i), 0);
	io_close(f->io, fd);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };
		unsigned int kept = 0;

		assert_true(read_left(&dir, "a", &left));
		for (unsigned int i = 0; i < 3; i++)
			if (left.data[(size_t)512 * i] == 'n')
				kept |= 1u << i;
		seen[kept] = true;
		buf_release(&left);
		scratch_release(&dir);
	}
	for (int i = 0; i < 8; i++)
		assert_true(seen[i]);
}

static void a_sync_keeps_what_came_before_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_SYNCED_ONLY };
	struct buf left = { 0 };
	struct scratch dir;
	size_t before_sync;
	int fd;

	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	fd = open_file(f, "a", O_CREAT);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	assert_int_equal(io_write(f->io, fd, "one", 3, 0), 0);
	before_sync = record_io_position(&f->r);
	assert_int_equal(io_sync_data(f->io, fd), 0);
	assert_int_equal(io_write(f->io, fd, "two", 3, 3), 0);
	io_close(f->io, fd);

	cut.at = record_io_position(&f->r);
	dir = cut_to(f, &cut);
	assert_true(read_left(&dir, "a", &left));
	assert_true(slice_equal(buf_slice(&left), SLICE_LITERAL("one")));
	scratch_release(&dir);

	cut.at = before_sync;
	dir = cut_to(f, &cut);
	assert_true(read_left(&dir, "a", &left));
	assert_int_equal(left.size, 0);
	scratch_release(&dir);
	buf_release(&left);
}

/* A system in which someone writes and creates while a sync goes on. */
struct slow_io {
	struct io io;
	struct io_ops ops;
	struct record_io *recorder;
	int dir_fd;
	int fd;
};

static int slow_sync_data(struct io *io, int fd)
{
	struct slow_io *slow = (struct slow_io *)io;
	struct io *recorder = &slow->recorder->io;

	assert_int_equal(io_write(recorder, slow->fd, "late", 4, 5), 0);
	return io_system()->ops->sync_data(io_system(), fd);
}

static int slow_sync_dir(struct io *io, int dir_fd)
{
	struct slow_io *slow = (struct slow_io *)io;
	struct io *recorder = &slow->recorder->io;
	int fd = -1;

	assert_int_equal(io_open(recorder, slow->dir_fd, "late",
				 O_RDWR | O_CREAT, &fd),
			 0);
	io_close(recorder, fd);
	return io_system()->ops->sync_dir(io_system(), dir_fd);
}

static void what_happens_during_a_sync_is_not_durable_by_it(void **state)
{
	struct fixture *f = *state;
	struct slow_io slow = { .ops = *io_system()->ops, .recorder = &f->r };
	struct power_cut cut = { .kind = POWER_CUT_SYNCED_ONLY };
	struct buf left = { 0 };
	struct scratch dir;

	slow.ops.sync_data = slow_sync_data;
	slow.ops.sync_dir = slow_sync_dir;
	slow.io.ops = &slow.ops;
	slow.dir_fd = f->dir_fd;
	f->r.below = &slow.io;
	slow.fd = open_file(f, "a", O_CREAT);
	assert_int_equal(io_write(f->io, slow.fd, "early", 5, 0), 0);
	assert_int_equal(io_sync_data(f->io, slow.fd), 0);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	io_close(f->io, slow.fd);

	cut.at = record_io_position(&f->r);
	dir = cut_to(f, &cut);
	assert_true(read_left(&dir, "a", &left));
	assert_true(slice_equal(buf_slice(&left), SLICE_LITERAL("early")));
	assert_false(exists(&dir, "late"));
	buf_release(&left);
	scratch_release(&dir);
	/* The tear-down still closes through the recorder. */
	f->r.below = io_system();
}

static void a_name_never_synced_may_be_absent_though_its_data_is(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM };
	bool absent = false;
	bool present = false;

	make_file(f, "a", 'x', 100, true);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };

		if (read_left(&dir, "a", &left)) {
			present = true;
			assert_int_equal(left.size, 100);
			assert_true(all_bytes_are(&left, 0, 100, 'x'));
		} else {
			absent = true;
			assert_false(cut.keep_names);
		}
		buf_release(&left);
		scratch_release(&dir);
		cut.keep_names = cut.seed > SEED_COUNT / 2;
	}
	assert_true(absent && present);
}

/* The pattern of io_replace_file(), with the last sync still to come. */
static void a_rename_is_whole_or_has_not_been(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM, .tear_bytes = 1 };
	unsigned int seen[2][2] = { { 0 } };

	make_file(f, "M", 'o', 100, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	make_file(f, "M.tmp", 'n', 50, true);
	assert_int_equal(io_rename(f->io, f->dir_fd, "M.tmp", "M"), 0);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };
		bool renamed;

		assert_true(read_left(&dir, "M", &left));
		renamed = left.size == 50;
		assert_true(renamed ?
				    all_bytes_are(&left, 0, 50, 'n') :
				    left.size == 100 &&
					    all_bytes_are(&left, 0, 100, 'o'));
		seen[renamed][exists(&dir, "M.tmp")]++;
		buf_release(&left);
		scratch_release(&dir);
	}
	assert_true(seen[0][0] && seen[0][1] && seen[1][0]);
	/* One file has not two names. */
	assert_int_equal(seen[1][1], 0);
}

static void a_file_is_never_found_under_two_names(void **state)
{
	static const char names[][2] = { "a", "b", "c", "d" };
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM };
	bool seen[4] = { false };

	make_file(f, "a", 'x', 10, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			io_rename(f->io, f->dir_fd, names[i], names[i + 1]), 0);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		int found = 0;

		for (int i = 0; i < 4; i++) {
			if (!exists(&dir, names[i]))
				continue;
			seen[i] = true;
			found++;
		}
		assert_int_equal(found, 1);
		scratch_release(&dir);
	}
	assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
}

static void a_rename_without_a_sync_may_name_what_has_no_data(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM, .keep_names = true };
	bool empty = false;
	bool whole = false;

	make_file(f, "M.tmp", 'n', 50, false);
	assert_int_equal(io_rename(f->io, f->dir_fd, "M.tmp", "M"), 0);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < SEED_COUNT; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };

		assert_true(read_left(&dir, "M", &left));
		assert_false(exists(&dir, "M.tmp"));
		empty |= left.size == 0;
		whole |= left.size == 50 && all_bytes_are(&left, 0, 50, 'n');
		buf_release(&left);
		scratch_release(&dir);
	}
	assert_true(empty && whole);
}

static void an_unlink_may_be_lost_until_the_directory_is_synced(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_RANDOM };
	bool back = false;
	bool gone = false;

	make_file(f, "a", 'x', 100, true);
	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	assert_int_equal(io_unlink(f->io, f->dir_fd, "a"), 0);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < 50; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);
		struct buf left = { 0 };

		if (read_left(&dir, "a", &left)) {
			back = true;
			assert_true(left.size == 100 &&
				    all_bytes_are(&left, 0, 100, 'x'));
		} else {
			gone = true;
		}
		buf_release(&left);
		scratch_release(&dir);
	}
	assert_true(back && gone);

	assert_int_equal(io_sync_dir(f->io, f->dir_fd), 0);
	cut.at = record_io_position(&f->r);
	for (cut.seed = 0; cut.seed < 50; cut.seed++) {
		struct scratch dir = cut_to(f, &cut);

		assert_false(exists(&dir, "a"));
		scratch_release(&dir);
	}
}

static void what_was_there_before_recording_is_durable(void **state)
{
	struct fixture *f = *state;
	struct buf expected = { 0 };
	struct buf left = { 0 };
	uint32_t seed = 11;

	for (unsigned int i = 0; i < STEP_COUNT; i++)
		do_step(f, i, &seed);
	dump(f->store.fd, &expected);
	io_close(f->io, f->dir_fd);
	record_io_release(&f->r);
	record_io_init(&f->r, io_system(), f->store.path);
	assert_int_equal(io_open_dir(f->io, f->store.path, &f->dir_fd), 0);
	for (uint64_t i = 0; i < 20; i++) {
		struct power_cut cut = { .at = i ? record_io_first(&f->r) : 0,
					 .kind = POWER_CUT_RANDOM,
					 .seed = i,
					 .tear_bytes = 1 };
		struct scratch dir = cut_to(f, &cut);

		dump(dir.fd, &left);
		assert_true(
			slice_equal(buf_slice(&left), buf_slice(&expected)));
		scratch_release(&dir);
	}
	buf_release(&expected);
	buf_release(&left);
}

static void an_occupied_directory_is_refused(void **state)
{
	struct fixture *f = *state;
	struct power_cut cut = { .kind = POWER_CUT_NOTHING_LOST };
	struct scratch dir;

	make_file(f, "a", 'x', 100, false);
	cut.at = record_io_position(&f->r);
	dir = cut_to(f, &cut);
	assert_int_equal(power_cut_apply(&f->r, &cut, dir.fd), -EEXIST);
	scratch_release(&dir);
}

#define CASE(rule) cmocka_unit_test_setup_teardown(rule, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(with_nothing_lost_it_is_as_it_was_after_each_step),
		CASE(once_all_is_synced_nothing_can_be_lost),
		CASE(the_same_seed_makes_the_same_directory),
		CASE(unsynced_data_is_new_or_old_or_zero),
		CASE(writes_are_torn_only_where_asked),
		CASE(unsynced_writes_are_lost_in_any_combination),
		CASE(a_sync_keeps_what_came_before_and_no_more),
		CASE(what_happens_during_a_sync_is_not_durable_by_it),
		CASE(a_name_never_synced_may_be_absent_though_its_data_is),
		CASE(a_rename_is_whole_or_has_not_been),
		CASE(a_file_is_never_found_under_two_names),
		CASE(a_rename_without_a_sync_may_name_what_has_no_data),
		CASE(an_unlink_may_be_lost_until_the_directory_is_synced),
		CASE(what_was_there_before_recording_is_durable),
		CASE(an_occupied_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
