/* SPDX-License-Identifier: MIT */

/* A full disk, and the space kept for getting out of that: engine/reserve.h,
 * by itself and under a store, on a disk of 64 MiB that is not there. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "engine/kv.h"
#include "engine/reserve.h"
#include "tests/seam/disk_io.h"
#include "tests/seam/scratch.h"

#define MIB ((uint64_t)1 << 20)
#define KEYS_MAX 200000u

struct fixture {
	struct scratch dir;
	struct scratch store;
	struct disk_io disk;
	struct kv_options options;
	struct kv *kv;
	size_t value_size;
	unsigned int count; /* keys written, of which those with... */
	uint8_t exists[KEYS_MAX];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_int_equal(scratch_init(&f->dir), 0);
	assert_int_equal(scratch_make_dir(&f->dir, "store", &f->store), 0);
	disk_io_init(&f->disk, io_system(), 64 * MIB, -ENOSPC);
	kv_options_init(&f->options);
	f->options.create = true;
	f->options.compact_auto = false;
	f->options.commit_interval_ms = 0;
	f->options.durability = KV_DURABILITY_NONE;
	f->options.io = &f->disk.io;
	f->value_size = 3000;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	kv_close(f->kv);
	disk_io_release(&f->disk);
	assert_int_equal(scratch_release(&f->dir), 0);
	free(f);
	return 0;
}

static void open_store(struct fixture *f)
{
	assert_int_equal(kv_open(f->store.path, &f->options, &f->kv), 0);
}

static struct slice key_of(unsigned int i, char bytes[24])
{
	return slice_of(bytes, (size_t)snprintf(bytes, 24, "key%08u", i));
}

static void value_of(struct fixture *f, unsigned int i, uint8_t *bytes)
{
	memset(bytes, (int)(i * 7 + i / 256), f->value_size);
	memcpy(bytes, &i, sizeof(i));
}

static int write_one(struct fixture *f)
{
	uint8_t bytes[4096];
	char key[24];
	int error;

	assert_true(f->count < KEYS_MAX);
	value_of(f, f->count, bytes);
	error = kv_set(f->kv, key_of(f->count, key),
		       slice_of(bytes, f->value_size), NULL);
	if (!error)
		f->exists[f->count++] = 1;
	return error;
}

/* Writes until there is no more space; how many keys that took. */
static unsigned int fill(struct fixture *f)
{
	unsigned int before = f->count;
	int error;

	do
		error = write_one(f);
	while (!error);
	/* Once the background keeps a reserve, it is that which refuses. */
	if (error != -ENOSPC)
		assert_int_equal(error, f->disk.error);
	return f->count - before;
}

static void remove_one(struct fixture *f, unsigned int i)
{
	char key[24];

	assert_int_equal(kv_delete(f->kv, key_of(i, key), NULL),
			 f->exists[i] ? 0 : 1);
	f->exists[i] = 0;
}

static void check_all(struct fixture *f)
{
	uint8_t expected[4096];
	struct buf got = { 0 };
	char key[24];

	for (unsigned int i = 0; i < f->count; i++) {
		assert_int_equal(kv_get(f->kv, NULL, key_of(i, key), &got),
				 !f->exists[i]);
		if (!f->exists[i])
			continue;
		value_of(f, i, expected);
		assert_int_equal(got.size, f->value_size);
		assert_memory_equal(got.data, expected, got.size);
	}
	buf_release(&got);
	assert_int_equal(kv_check(f->kv, NULL, NULL, NULL), 0);
}

static void reopen(struct fixture *f, enum kv_recovery expected)
{
	struct kv *kv = f->kv;
	struct kv_stats stats;

	f->kv = NULL;
	assert_int_equal(kv_close(kv), 0);
	open_store(f);
	kv_stats(f->kv, &stats);
	assert_int_equal(stats.recovery, expected);
}

/* Two need space at once, and the one gives up all that there is: the other finds
 * it free, and once only. */
static void what_was_given_up_to_one_serves_compaction_too(void **state)
{
	struct fixture *f = *state;
	struct reserve reserve = { 0 };
	uint64_t first, second;

	reserve_init(&reserve);
	assert_int_equal(
		reserve_open(&reserve, &f->disk.io, f->store.fd, 4 * MIB), 0);
	disk_io_set_others(&f->disk, 58 * MIB);
	assert_int_equal(reserve_keep(&reserve, RESERVE_FOR_CHANGE, 0), 0);
	assert_int_equal(atomic_load(&reserve.held_bytes), 4 * MIB);
	first = second = reserve_moment(&reserve);
	assert_false(
		reserve_yield(&reserve, RESERVE_FOR_CHANGE, -ENOSPC, &first));
	assert_true(reserve_yield(&reserve, RESERVE_FOR_COMPACTION, -ENOSPC,
				  &first));
	assert_false(reserve_yield(&reserve, RESERVE_FOR_COMPACTION, -ENOSPC,
				   &first));
	assert_false(reserve_yield(&reserve, RESERVE_FOR_DELETION, -ENOSPC,
				   &(uint64_t){ second }));
	assert_false(
		reserve_yield(&reserve, RESERVE_FOR_COMPACTION, -EIO, &second));
	assert_true(reserve_yield(&reserve, RESERVE_FOR_COMPACTION, -ENOSPC,
				  &second));
	assert_false(reserve_yield(&reserve, RESERVE_FOR_COMPACTION, -ENOSPC,
				   &second));
	reserve_release(&reserve);
}

static void a_disk_with_plenty_of_space_keeps_no_reserve(void **state)
{
	struct fixture *f = *state;
	struct kv_stats stats;

	open_store(f);
	assert_int_equal(write_one(f), 0);
	kv_stats(f->kv, &stats);
	assert_int_equal(stats.reserve_bytes, 0);
	assert_true(disk_io_used(&f->disk) < MIB);
	assert_false(stats.space_low);
}

static void
a_full_disk_refuses_changes_and_keeps_all_that_was_written(void **state)
{
	struct fixture *f = *state;
	struct kv_stats stats;

	open_store(f);
	/* All but the reserve and a little for the index. */
	assert_true(fill(f) * f->value_size > 52 * MIB);
	kv_stats(f->kv, &stats);
	/* Kept, or given up for a checkpoint by now, and that is known. */
	assert_true(stats.reserve_bytes > 0 || stats.space_low);
	check_all(f);
}

static void on_a_full_disk_everything_can_be_deleted(void **state)
{
	struct fixture *f = *state;

	open_store(f);
	fill(f);
	for (unsigned int i = 0; i < f->count; i++)
		remove_one(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_true(disk_io_used(&f->disk) < 8 * MIB);
	check_all(f);
	assert_true(fill(f) * f->value_size > 45 * MIB);
	check_all(f);
}

static void on_a_full_disk_checkpoints_and_closing_work(void **state)
{
	struct fixture *f = *state;

	open_store(f);
	fill(f);
	assert_int_equal(kv_checkpoint(f->kv), 0);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
	fill(f);
	reopen(f, KV_RECOVERY_CLEAN);
	remove_one(f, 3);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
}

static void of_a_full_disk_half_can_be_deleted_and_won_back(void **state)
{
	struct fixture *f = *state;
	unsigned int filled;

	open_store(f);
	filled = fill(f);
	/* Every segment is half dead then: all of them have to be copied. */
	for (unsigned int i = 0; i < f->count; i += 2)
		remove_one(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	check_all(f);
	assert_true(fill(f) > filled * 2 / 5);
	check_all(f);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
}

static void many_small_keys_can_be_deleted_from_a_full_disk(void **state)
{
	struct fixture *f = *state;

	f->value_size = 250;
	f->disk.capacity_bytes = 32 * MIB;
	open_store(f);
	fill(f);
	for (unsigned int i = 0; i < f->count; i++)
		remove_one(f, (unsigned int)((uint64_t)i * 99991 % f->count));
	check_all(f);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_true(disk_io_used(&f->disk) < 8 * MIB);
	check_all(f);
}

static void
changes_do_not_take_what_deletions_have_freed_for_themselves(void **state)
{
	struct fixture *f = *state;

	open_store(f);
	fill(f);
	for (unsigned int round = 0; round < 200; round++) {
		remove_one(f, round);
		write_one(f);
	}
	/* However many changes were tried in between, this still works. */
	for (unsigned int i = 200; i < f->count; i++)
		remove_one(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	check_all(f);
	assert_int_equal(write_one(f), 0);
}

static void
filled_by_others_the_disk_is_usable_again_when_they_leave(void **state)
{
	struct fixture *f = *state;

	open_store(f);
	for (unsigned int i = 0; i < 5000; i++)
		assert_int_equal(write_one(f), 0);
	/* They come near, the reserve is made, and they take all the rest. */
	disk_io_set_others(&f->disk, disk_io_free(&f->disk) - 6 * MIB);
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(write_one(f), 0);
	disk_io_set_others(&f->disk,
			   f->disk.others_bytes + disk_io_free(&f->disk));
	fill(f);
	for (unsigned int i = 0; i < f->count; i++)
		remove_one(f, i);
	check_all(f);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	check_all(f);
	disk_io_set_others(&f->disk, 0);
	assert_int_equal(write_one(f), 0);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
}

static void a_quota_that_the_disk_does_not_tell_of_is_survived(void **state)
{
	struct fixture *f = *state;

	f->disk.error = -EDQUOT;
	disk_io_set_others(&f->disk, 8 * MIB);
	open_store(f);
	fill(f);
	check_all(f);
	/* Nothing was kept: but that there is one is known from now on. */
	disk_io_set_others(&f->disk, 0);
	fill(f);
	for (unsigned int i = 0; i < f->count * 3 / 4; i++)
		remove_one(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	check_all(f);
	assert_int_equal(write_one(f), 0);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
}

static void again_and_again_full_and_empty_nothing_is_lost(void **state)
{
	struct fixture *f = *state;
	unsigned int first = 0;

	f->options.compact_auto = true;
	f->options.compact_rate = 0;
	open_store(f);
	for (unsigned int round = 0; round < 4; round++) {
		fill(f);
		for (; first < f->count - 1000; first++)
			if (first % 7 != round)
				remove_one(f, first);
		assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
		check_all(f);
		reopen(f, KV_RECOVERY_CLEAN);
	}
}

/* A full disk of small keys, and of every segment a quarter to be won back. */
static void fill_and_thin_out(struct fixture *f)
{
	f->value_size = 250;
	f->disk.capacity_bytes = 32 * MIB;
	open_store(f);
	fill(f);
	for (unsigned int i = 0; i < f->count; i += 4)
		remove_one(f, i);
}

/* Below a compaction nothing is asserted: it would be left for good. */
struct meanwhile {
	struct fixture *f;
	int compact_error;
};

static int delete_what_can_be(void *ctx, uint64_t done, uint64_t total)
{
	struct meanwhile *meanwhile = ctx;
	struct fixture *f = meanwhile->f;
	char key[24];

	(void)done;
	(void)total;
	meanwhile->compact_error = kv_compact(f->kv, NULL, NULL);
	for (unsigned int i = 0; i < f->count; i++) {
		if (!f->exists[i])
			continue;
		if (kv_delete(f->kv, key_of(i, key), NULL))
			break;
		f->exists[i] = 0;
	}
	return 0;
}

/* Deletions that find no space compact: not while they interrupt that. */
static void what_watches_a_compaction_may_delete_on_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct meanwhile meanwhile = { f, 0 };

	fill_and_thin_out(f);
	assert_int_equal(kv_compact(f->kv, delete_what_can_be, &meanwhile), 0);
	assert_int_equal(meanwhile.compact_error, -EDEADLK);
	check_all(f);
	/* Afterwards all is as ever. */
	for (unsigned int i = 0; i < f->count; i++)
		if (f->exists[i])
			remove_one(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_true(disk_io_used(&f->disk) < 8 * MIB);
	check_all(f);
}

/* Takes what is free, the reserve included, but for LEFT_BYTES: once, when a
 * segment of a round of several has been moved. */
#define LEFT_BYTES (400u << 10)

static int take_space(void *ctx, uint64_t done, uint64_t total)
{
	struct fixture *f = ctx;
	struct kv_stats stats;

	if (f->disk.others_bytes || total < 3 * MIB - MIB / 8 ||
	    done < MIB + MIB / 4)
		return 0;
	kv_stats(f->kv, &stats);
	disk_io_set_others(&f->disk, disk_io_free(&f->disk) +
					     stats.reserve_bytes - LEFT_BYTES);
	return 0;
}

/* What was planned to be copied before the first segment is given back does not
 * fit any more; less does. */
static void a_compaction_goes_on_with_the_space_that_others_leave(void **state)
{
	struct fixture *f = *state;
	struct kv_stats stats;
	uint64_t used;

	fill_and_thin_out(f);
	assert_int_equal(kv_compact(f->kv, take_space, f), 0);
	assert_true(f->disk.others_bytes > 0);
	kv_stats(f->kv, &stats);
	used = disk_io_used(&f->disk) - f->disk.others_bytes -
	       stats.reserve_bytes;
	assert_true(used < 25 * MIB);
	check_all(f);
	reopen(f, KV_RECOVERY_CLEAN);
	check_all(f);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_was_given_up_to_one_serves_compaction_too),
		CASE(a_disk_with_plenty_of_space_keeps_no_reserve),
		CASE(a_full_disk_refuses_changes_and_keeps_all_that_was_written),
		CASE(on_a_full_disk_everything_can_be_deleted),
		CASE(on_a_full_disk_checkpoints_and_closing_work),
		CASE(of_a_full_disk_half_can_be_deleted_and_won_back),
		CASE(many_small_keys_can_be_deleted_from_a_full_disk),
		CASE(changes_do_not_take_what_deletions_have_freed_for_themselves),
		CASE(filled_by_others_the_disk_is_usable_again_when_they_leave),
		CASE(a_quota_that_the_disk_does_not_tell_of_is_survived),
		CASE(what_watches_a_compaction_may_delete_on_a_full_disk),
		CASE(a_compaction_goes_on_with_the_space_that_others_leave),
		CASE(again_and_again_full_and_empty_nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
