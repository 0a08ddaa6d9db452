/* SPDX-License-Identifier: MIT */

/* Moving records to cold segments: what is counted when the writing fails, and
 * what is left open. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "engine/io.h"
#include "engine/kv.h"
#include "tests/seam/fault_io.h"
#include "tests/seam/quick_io.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define S(text) SLICE_LITERAL(text)
#define FIRST_SEGMENT "0000000000000001.seg"

struct fixture {
	struct scratch dir, store;
	struct fault_io fault;
	struct kv *kv;
};

/* Changes one bit of the record whose value this is. */
static void damage(struct fixture *f, struct slice value)
{
	struct buf bytes = { 0 };
	uint8_t *at;
	int fd;

	assert_int_equal(io_read_file(quick_io(), f->store.fd, FIRST_SEGMENT,
				      4 << 20, &bytes),
			 0);
	at = memmem(bytes.data, bytes.size, value.data, value.size);
	assert_non_null(at);
	*at ^= 1;
	assert_int_equal(io_open(quick_io(), f->store.fd, FIRST_SEGMENT,
				 O_WRONLY, &fd),
			 0);
	assert_int_equal(io_write(quick_io(), fd, at, 1,
				  (uint64_t)(at - bytes.data)),
			 0);
	io_close(quick_io(), fd);
	buf_release(&bytes);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct kv_options options;

	assert_int_equal(scratch_init(&f->dir), 0);
	assert_int_equal(scratch_make_dir(&f->dir, "store", &f->store), 0);
	fault_io_init(&f->fault, quick_io());
	small_kv_options(&options, &f->fault.io);
	assert_int_equal(kv_open(f->store.path, &options, &f->kv), 0);
	*state = f;
	return 0;
}

/*
 * A store with a tombstone that compaction has to keep: the first segment stays,
 * as a record in it is damaged, and has an older record of the deleted key.
 */
static int setup_tombstone(void **state)
{
	struct fixture *f;

	setup(state);
	f = *state;
	assert_int_equal(kv_set(f->kv, S("bad"), S("to be damaged"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("key"), S("old"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("key"), S("new"), NULL), 0);
	damage(f, S("to be damaged"));
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(kv_delete(f->kv, S("key"), NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(kv_close(f->kv), 0);
	fault_io_release(&f->fault);
	assert_int_equal(scratch_release(&f->store), 0);
	assert_int_equal(scratch_release(&f->dir), 0);
	free(f);
	return 0;
}

static struct kv_stats stats_of(struct fixture *f)
{
	struct kv_stats stats;

	kv_stats(f->kv, &stats);
	return stats;
}

/* Fails one write of a compaction after the other: that of the log's seal, which
 * does no harm, then that of what is copied. */
static void what_was_not_copied_is_not_counted(void **state)
{
	struct fixture *f = *state;
	struct fault fault = { .ops = FAULT_OP(OP_PWRITEV), .error = -EIO };
	struct kv_stats before = stats_of(f), after;
	bool copied = true;

	assert_int_equal(before.tombstone_count, 1);
	while (copied) {
		fault.nth++;
		fault_io_arm(&f->fault, &fault);
		kv_compact(f->kv, NULL, NULL);
		assert_int_equal(fault_io_hit_count(&f->fault), 1);
		fault_io_arm(&f->fault, NULL);
		after = stats_of(f);
		copied = after.compaction_copied_bytes !=
			 before.compaction_copied_bytes;
		assert_int_equal(after.tombstone_count, 1);
		before = after;
	}
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_int_equal(stats_of(f).tombstone_count, 1);
	assert_int_equal(kv_exists(f->kv, NULL, S("key")), 1);
}

/* The directory, the lock, and the segment that is written to. */
#define DESCRIPTORS_MAX 3

static void set_large(struct fixture *f, unsigned int i)
{
	static const uint8_t value[60000] = { 1 };
	char key[16];

	snprintf(key, sizeof(key), "key%u", i);
	assert_int_equal(kv_set(f->kv, slice_of(key, strlen(key)),
				slice_of(value, sizeof(value)), NULL),
			 0);
}

static void segments_that_are_not_written_to_have_no_descriptor(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 120; i++)
		set_large(f, i);
	/* Each segment is half dead, and the other half moves. */
	for (unsigned int i = 0; i < 120; i += 2)
		set_large(f, i);
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	assert_true(stats_of(f).segment_count > 6);
	assert_in_range(fault_io_descriptor_count(&f->fault), 2,
			DESCRIPTORS_MAX);
	assert_int_equal(kv_exists(f->kv, NULL, S("key7")), 0);
}

/* Closes the store and opens it without its manifest: every record of the log
 * counts again. */
static void rebuild(struct fixture *f)
{
	struct kv_options options;

	assert_int_equal(kv_close(f->kv), 0);
	assert_int_equal(unlinkat(f->store.fd, "MANIFEST", 0), 0);
	small_kv_options(&options, &f->fault.io);
	assert_int_equal(kv_open(f->store.path, &options, &f->kv), 0);
	assert_int_equal(stats_of(f).recovery, KV_RECOVERY_REBUILT);
}

/* The segment with what was deleted was to go as well, and then cannot. */
static void
a_tombstone_outlives_the_damage_found_where_its_record_was(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(kv_set(f->kv, S("bad"), S("to be damaged"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("key"), S("old"), NULL), 0);
	for (unsigned int i = 0; i < 20; i++)
		set_large(f, i);
	/* In another segment by now. */
	assert_int_equal(kv_delete(f->kv, S("key"), NULL), 0);
	damage(f, S("to be damaged"));
	assert_int_equal(kv_compact(f->kv, NULL, NULL), 0);
	rebuild(f);
	assert_int_equal(kv_exists(f->kv, NULL, S("key")), 1);
}

struct watch {
	struct fixture *f;
	uint64_t cancel_at; /* in bytes done; 0: never */
	unsigned int calls;
};

static int write_or_cancel(void *ctx, uint64_t done, uint64_t total)
{
	struct watch *watch = ctx;

	(void)total;
	if (!watch->calls++)
		return kv_set(watch->f->kv, S("meanwhile"), S(""), NULL);
	return watch->cancel_at && done >= watch->cancel_at;
}

/* Segments in the order of their names, and the older record in the later. */
static void a_tombstone_outlives_a_compaction_that_was_ended_early(void **state)
{
	struct fixture *f = *state;
	struct watch watch = { .f = f };

	for (unsigned int i = 0; i < 6; i++)
		set_large(f, i);
	for (unsigned int i = 0; i < 3; i++)
		set_large(f, i);
	/* What is written below this compaction has its segment before the one
	 * that it copies to. */
	assert_int_equal(kv_compact(f->kv, write_or_cancel, &watch), 0);
	assert_true(watch.calls > 1);
	assert_int_equal(kv_delete(f->kv, S("key3"), NULL), 0);
	assert_int_equal(kv_set(f->kv, S("meanwhile"), S("again"), NULL), 0);
	watch.cancel_at = 128 << 10;
	assert_int_equal(kv_compact(f->kv, write_or_cancel, &watch),
			 -ECANCELED);
	rebuild(f);
	assert_int_equal(kv_exists(f->kv, NULL, S("key3")), 1);
	assert_int_equal(kv_exists(f->kv, NULL, S("key4")), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_was_not_copied_is_not_counted, setup_tombstone,
			teardown),
		cmocka_unit_test_setup_teardown(
			segments_that_are_not_written_to_have_no_descriptor,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_tombstone_outlives_the_damage_found_where_its_record_was,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_tombstone_outlives_a_compaction_that_was_ended_early,
			setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
