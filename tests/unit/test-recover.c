/* SPDX-License-Identifier: MIT */

/* What is found when a store was not closed, or was damaged meanwhile. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/crc32.h"
#include "engine/kv.h"
#include "tests/seam/power_cut.h"
#include "tests/seam/record_io.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define S(text) SLICE_LITERAL(text)

struct fixture {
	struct scratch dir, live, image;
	struct record_io record;
	struct kv_options options;
	struct kv *kv;
	struct kv_stats stats; /* as of open_image */
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(scratch_init(&f->dir), 0);
	assert_int_equal(scratch_make_dir(&f->dir, "live", &f->live), 0);
	assert_int_equal(scratch_make_dir(&f->dir, "image", &f->image), 0);
	record_io_init(&f->record, io_system(), f->live.path);
	small_kv_options(&f->options, &f->record.io);
	assert_int_equal(kv_open(f->live.path, &f->options, &f->kv), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kv_close(f->kv);
	record_io_release(&f->record);
	close(f->live.fd);
	close(f->image.fd);
	scratch_release(&f->dir);
	free(f);
	return 0;
}

static void set(struct fixture *f, struct slice key, struct slice value)
{
	assert_int_equal(kv_set(f->kv, key, value, NULL), 0);
}

static void sync_now(struct fixture *f)
{
	assert_int_equal(kv_sync(f->kv, kv_last_lsn(f->kv)), 0);
}

/* What a killed process would leave of the live store, in f->image. */
static void take_image(struct fixture *f)
{
	struct power_cut cut = { .at = record_io_position(&f->record),
				 .kind = POWER_CUT_NOTHING_LOST };

	assert_int_equal(power_cut_apply(&f->record, &cut, f->image.fd), 0);
}

static int open_image_result(struct fixture *f)
{
	int result;

	assert_int_equal(kv_close(f->kv), 0);
	f->kv = NULL;
	small_kv_options(&f->options, NULL);
	result = kv_open(f->image.path, &f->options, &f->kv);
	if (!result)
		kv_stats(f->kv, &f->stats);
	return result;
}

static void open_image(struct fixture *f)
{
	assert_int_equal(open_image_result(f), 0);
}

/* The names of the image's files that end so, in order; how many. */
static size_t image_files(struct fixture *f, const char *suffix,
			  char names[16][32])
{
	DIR *dir = opendir(f->image.path);
	struct dirent *entry;
	size_t count = 0;

	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		size_t size = strlen(entry->d_name);

		if (size != 20 || strcmp(entry->d_name + 16, suffix) != 0)
			continue;
		assert_true(count < 16);
		memcpy(names[count++], entry->d_name, size + 1);
	}
	closedir(dir);
	qsort(names, count, 32, (int (*)(const void *, const void *))strcmp);
	return count;
}

/* Flips a bit of the only place where `bytes` stand in the image's log. */
static void damage(struct fixture *f, struct slice bytes, size_t at)
{
	static uint8_t file[2 << 20];
	char names[16][32];
	size_t count = image_files(f, ".seg", names);

	for (size_t i = 0; i < count; i++) {
		int fd = openat(f->image.fd, names[i], O_RDWR);
		ssize_t size = pread(fd, file, sizeof(file), 0);
		uint8_t *found =
			memmem(file, (size_t)size, bytes.data, bytes.size);

		if (found) {
			found[at] ^= 1;
			assert_int_equal(pwrite(fd, found + at, 1,
						found - file + (off_t)at),
					 1);
			close(fd);
			return;
		}
		close(fd);
	}
	fail_msg("the bytes are nowhere");
}

static int get(struct fixture *f, struct slice key)
{
	struct buf value = { 0 };
	int result = kv_get(f->kv, NULL, key, &value);

	buf_release(&value);
	return result;
}

static void what_was_written_survives_the_process(void **state)
{
	struct fixture *f = *state;

	set(f, S("a"), S("1"));
	set(f, S("b"), S("2"));
	assert_int_equal(kv_delete(f->kv, S("a"), NULL), 0);
	take_image(f);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REPLAYED);
	assert_int_equal(f->stats.recovery_record_count, 3);
	assert_int_equal(get(f, S("a")), 1);
	assert_int_equal(get(f, S("b")), 0);
}

static void a_torn_tail_is_cut_and_reported(void **state)
{
	struct fixture *f = *state;

	set(f, S("a"), S("synced value"));
	sync_now(f);
	set(f, S("b"), S("torn value"));
	set(f, S("c"), S("behind it"));
	take_image(f);
	damage(f, S("torn value"), 3);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_TORN);
	assert_true(f->stats.recovery_cut_bytes > 0);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), 1);
	assert_int_equal(get(f, S("c")), 1);
}

static void a_batch_is_torn_as_a_whole(void **state)
{
	struct fixture *f = *state;
	struct kv_batch batch = { 0 };

	set(f, S("a"), S("before"));
	assert_int_equal(kv_batch_set(&batch, S("b"), S("first of it")), 0);
	assert_int_equal(kv_batch_set(&batch, S("a"), S("last of it")), 0);
	assert_int_equal(kv_commit(f->kv, &batch, 0, NULL), 0);
	kv_batch_release(&batch);
	take_image(f);
	damage(f, S("last of it"), 0);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_TORN);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), 1);
}

static void a_damaged_value_below_a_sync_costs_its_key_alone(void **state)
{
	struct fixture *f = *state;

	set(f, S("a"), S("first value"));
	set(f, S("b"), S("damaged value"));
	set(f, S("c"), S("third value"));
	sync_now(f);
	set(f, S("d"), S("after the sync"));
	take_image(f);
	damage(f, S("damaged value"), 0);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_DAMAGED);
	assert_int_equal(f->stats.recovery_lost_count, 1);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), -EBADMSG);
	assert_int_equal(get(f, S("c")), 0);
	assert_int_equal(get(f, S("d")), 0);
	/* It can be written over, and is whole again. */
	set(f, S("b"), S("new value"));
	assert_int_equal(get(f, S("b")), 0);
}

static void a_damaged_head_below_a_sync_costs_that_record_alone(void **state)
{
	struct fixture *f = *state;

	set(f, S("first-key"), S("1"));
	set(f, S("second-key"), S("2"));
	set(f, S("third-key"), S("3"));
	sync_now(f);
	set(f, S("fourth-key"), S("4"));
	take_image(f);
	damage(f, S("second-key"), 2);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_DAMAGED);
	assert_int_equal(f->stats.recovery_lost_count, 1);
	assert_int_equal(get(f, S("first-key")), 0);
	assert_int_equal(get(f, S("second-key")), 1);
	assert_int_equal(get(f, S("third-key")), 0);
	assert_int_equal(get(f, S("fourth-key")), 0);
}

static void problem_key(void *ctx, const struct kv_problem *problem)
{
	struct buf *key = ctx;

	assert_int_equal(problem->kind, KV_PROBLEM_KEY);
	assert_int_equal(buf_assign(key, problem->key), 0);
}

static void damage_under_the_index_is_an_error_and_check_names_it(void **state)
{
	struct fixture *f = *state;
	struct buf key = { 0 };

	set(f, S("a"), S("sound value"));
	set(f, S("b"), S("rotten value"));
	assert_int_equal(kv_checkpoint(f->kv), 0);
	take_image(f);
	damage(f, S("rotten value"), 5);
	open_image(f);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), -EBADMSG);
	assert_int_equal(kv_check(f->kv, problem_key, NULL, &key), 1);
	assert_true(slice_equal(buf_slice(&key), S("b")));
	buf_release(&key);
	/* Compaction does not turn the error into absence. */
	assert_int_equal(kv_delete(f->kv, S("a"), NULL), 0);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(get(f, S("b")), -EBADMSG);
	assert_int_equal(get(f, S("a")), 1);
}

static void bytes_of_a_cut_tail_never_come_back(void **state)
{
	struct fixture *f = *state;
	struct record_io again;
	struct power_cut cut = { .kind = POWER_CUT_NOTHING_LOST };
	struct scratch second;

	/* All of one length, so that a new record ends where an old begins. */
	set(f, S("a"), S("value 0"));
	set(f, S("b"), S("value 1"));
	set(f, S("c"), S("value 2"));
	take_image(f);
	damage(f, S("value 1"), 0);
	assert_int_equal(kv_close(f->kv), 0);
	record_io_init(&again, io_system(), f->image.path);
	small_kv_options(&f->options, &again.io);
	assert_int_equal(kv_open(f->image.path, &f->options, &f->kv), 0);
	set(f, S("d"), S("value 3"));
	cut.at = record_io_position(&again);
	assert_int_equal(scratch_make_dir(&f->dir, "second", &second), 0);
	assert_int_equal(power_cut_apply(&again, &cut, second.fd), 0);
	assert_int_equal(kv_close(f->kv), 0);
	record_io_release(&again);
	small_kv_options(&f->options, NULL);
	assert_int_equal(kv_open(second.path, &f->options, &f->kv), 0);
	close(second.fd);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), 1);
	assert_int_equal(get(f, S("c")), 1);
	assert_int_equal(get(f, S("d")), 0);
}

static struct slice key_of(unsigned int number, char bytes[16])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 16, "key%u", number));
}

static void fill(struct fixture *f, unsigned int count)
{
	char key[16], value[3000];

	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; i < count; i++)
		set(f, key_of(i, key), slice_of(value, sizeof(value)));
}

static void assert_filled(struct fixture *f, unsigned int count)
{
	char key[16];

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(get(f, key_of(i, key)), 0);
	assert_int_equal(kv_check(f->kv, NULL, NULL, NULL), 0);
}

static void a_log_of_many_segments_is_replayed(void **state)
{
	struct fixture *f = *state;

	fill(f, 2000);
	take_image(f);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REPLAYED);
	assert_true(f->stats.segment_count > 4);
	assert_filled(f, 2000);
}

/* It is given back with the sync, and there was none. */
static void what_was_allocated_behind_a_seal_is_given_back(void **state)
{
	struct fixture *f = *state;

	fill(f, 2000);
	take_image(f);
	open_image(f);
	assert_filled(f, 2000);
	assert_true(f->stats.segment_count > 2);
	/* Heads and seals alone, as nothing was changed twice. */
	assert_true(f->stats.dead_bytes < f->stats.segment_count * 512);
}

static void a_store_without_its_manifest_is_rebuilt(void **state)
{
	struct fixture *f = *state;

	fill(f, 1000);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(kv_delete(f->kv, S("key7"), NULL), 0);
		set(f, S("key7"), S("again"));
		assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	}
	assert_int_equal(kv_delete(f->kv, S("key999"), NULL), 0);
	take_image(f);
	assert_int_equal(unlinkat(f->image.fd, "MANIFEST", 0), 0);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REBUILT);
	assert_int_equal(f->stats.key_count, 999);
	assert_filled(f, 999);
	assert_int_equal(get(f, S("key999")), 1);
}

static void a_damaged_run_is_rebuilt_from_the_log(void **state)
{
	struct fixture *f = *state;
	char names[16][32];
	int fd;

	fill(f, 500);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	take_image(f);
	assert_int_equal(image_files(f, ".run", names), 1);
	fd = openat(f->image.fd, names[0], O_RDWR);
	assert_int_equal(ftruncate(fd, 5000), 0);
	close(fd);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REBUILT);
	assert_filled(f, 500);
}

static void a_missing_segment_costs_its_keys_and_no_more(void **state)
{
	struct fixture *f = *state;
	unsigned int failed = 0, found = 0;
	char names[16][32], key[16];

	fill(f, 1000);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	take_image(f);
	assert_true(image_files(f, ".seg", names) > 2);
	assert_int_equal(unlinkat(f->image.fd, names[1], 0), 0);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_DAMAGED);
	for (unsigned int i = 0; i < 1000; i++) {
		int result = get(f, key_of(i, key));

		assert_true(result == 0 || result == -EIO);
		failed += result != 0;
		found += result == 0;
	}
	assert_true(failed > 0 && found > 500);
	assert_int_equal(kv_check(f->kv, NULL, NULL, NULL), 1);
}

static void a_manifest_of_a_newer_version_is_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t bytes[4096];
	ssize_t size;
	int fd;
	uint32_t crc;

	set(f, S("a"), S("1"));
	assert_int_equal(kv_checkpoint(f->kv), 0);
	take_image(f);
	fd = openat(f->image.fd, "MANIFEST", O_RDWR);
	size = pread(fd, bytes, sizeof(bytes), 0);
	bytes[8] = 2;
	crc = crc32_update(0, bytes, (size_t)size - 4);
	memcpy(bytes + size - 4, &crc, 4);
	assert_int_equal(pwrite(fd, bytes, (size_t)size, 0), size);
	close(fd);
	assert_int_equal(open_image_result(f), -EPROTONOSUPPORT);
}

static void a_clean_store_goes_on_in_the_same_segment(void **state)
{
	struct fixture *f = *state;

	set(f, S("a"), S("1"));
	assert_int_equal(kv_close(f->kv), 0);
	assert_int_equal(kv_open(f->live.path, &f->options, &f->kv), 0);
	kv_stats(f->kv, &f->stats);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_CLEAN);
	assert_int_equal(f->stats.recovery_record_count, 0);
	set(f, S("b"), S("2"));
	kv_stats(f->kv, &f->stats);
	assert_int_equal(f->stats.segment_count, 1);
	take_image(f);
	open_image(f);
	assert_int_equal(f->stats.recovery_record_count, 1);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), 0);
}

static void a_read_only_open_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct stat before, after;

	set(f, S("a"), S("synced"));
	sync_now(f);
	set(f, S("b"), S("torn value"));
	take_image(f);
	damage(f, S("torn value"), 0);
	assert_int_equal(fstat(f->image.fd, &before), 0);
	assert_int_equal(kv_close(f->kv), 0);
	small_kv_options(&f->options, NULL);
	f->options.create = false;
	f->options.read_only = true;
	assert_int_equal(kv_open(f->image.path, &f->options, &f->kv), 0);
	assert_int_equal(get(f, S("a")), 0);
	assert_int_equal(get(f, S("b")), 1);
	assert_int_equal(kv_set(f->kv, S("c"), S(""), NULL), -EROFS);
	assert_int_equal(fstat(f->image.fd, &after), 0);
	assert_int_equal(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

static void delete_filled(struct fixture *f, unsigned int count)
{
	char key[16];

	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(kv_delete(f->kv, key_of(i, key), NULL), 0);
}

/*
 * Segments that were emptied by compaction while a pin reads from them: the
 * image has what was left of the disk then, and a record written since. The
 * tombstones are in segments that the pin does not know.
 */
static void image_of_pinned(struct fixture *f)
{
	struct kv_pin *pin;
	struct buf got = { 0 };

	fill(f, 1000);
	assert_int_equal(kv_pin(f->kv, &pin), 0);
	fill(f, 1000);
	delete_filled(f, 1000);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	set(f, S("a"), S("synced"));
	sync_now(f);
	take_image(f);
	assert_int_equal(kv_get(f->kv, pin, S("key0"), &got), 0);
	assert_int_equal(got.size, 3000);
	buf_release(&got);
	kv_unpin(pin);
}

static void what_a_pin_reads_from_is_no_part_of_the_log(void **state)
{
	struct fixture *f = *state;

	image_of_pinned(f);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REPLAYED);
	assert_int_equal(f->stats.key_count, 1);
	assert_int_equal(get(f, S("a")), 0);
}

static void what_a_pin_reads_from_does_not_come_back_by_a_rebuild(void **state)
{
	struct fixture *f = *state;

	image_of_pinned(f);
	assert_int_equal(unlinkat(f->image.fd, "MANIFEST", 0), 0);
	open_image(f);
	assert_int_equal(f->stats.recovery, KV_RECOVERY_REBUILT);
	assert_int_equal(f->stats.key_count, 1);
	assert_int_equal(get(f, S("a")), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(what_was_written_survives_the_process),
		T(a_torn_tail_is_cut_and_reported),
		T(a_batch_is_torn_as_a_whole),
		T(a_damaged_value_below_a_sync_costs_its_key_alone),
		T(a_damaged_head_below_a_sync_costs_that_record_alone),
		T(damage_under_the_index_is_an_error_and_check_names_it),
		T(bytes_of_a_cut_tail_never_come_back),
		T(a_log_of_many_segments_is_replayed),
		T(what_was_allocated_behind_a_seal_is_given_back),
		T(a_store_without_its_manifest_is_rebuilt),
		T(a_damaged_run_is_rebuilt_from_the_log),
		T(a_missing_segment_costs_its_keys_and_no_more),
		T(a_manifest_of_a_newer_version_is_refused),
		T(a_clean_store_goes_on_in_the_same_segment),
		T(a_read_only_open_changes_nothing),
		T(what_a_pin_reads_from_is_no_part_of_the_log),
		T(what_a_pin_reads_from_does_not_come_back_by_a_rebuild),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
