/* SPDX-License-Identifier: MIT */

/* Who frees what was used last: engine/reaper.h, and the views of a store. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/io.h"
#include "engine/reaper.h"
#include "tests/seam/scratch.h"
#include "tests/seam/small_kv.h"

#define GIVEN 100

struct thing {
	struct reaped reaped; /* first */
	pthread_t freed_by;
	bool freed;
};

static void thing_free(struct reaped *reaped)
{
	struct thing *thing = (struct thing *)reaped;

	thing->freed_by = pthread_self();
	thing->freed = true;
}

/* A reaper that was given all of them. */
static void give_all(struct reaper *reaper, struct thing things[GIVEN])
{
	for (size_t i = 0; i < GIVEN; i++)
		things[i] = (struct thing){ .reaped.free = thing_free };
	reaper_init(reaper);
	assert_int_equal(reaper_start(reaper), 0);
	for (size_t i = 0; i < GIVEN; i++)
		assert_true(reaper_give(reaper, &things[i].reaped));
}

static void what_is_given_is_freed_by_another_thread(void **state)
{
	struct thing things[GIVEN];
	struct reaper reaper = { 0 };

	(void)state;
	give_all(&reaper, things);
	reaper_drain(&reaper);
	for (size_t i = 0; i < GIVEN; i++) {
		assert_true(things[i].freed);
		assert_false(pthread_equal(things[i].freed_by, pthread_self()));
	}
	reaper_stop(&reaper);
	reaper_release(&reaper);
}

static void nothing_is_left_when_it_stops(void **state)
{
	struct thing things[GIVEN];
	struct reaper reaper = { 0 };

	(void)state;
	give_all(&reaper, things);
	reaper_stop(&reaper);
	for (size_t i = 0; i < GIVEN; i++)
		assert_true(things[i].freed);
	assert_false(reaper_give(&reaper, &things[0].reaped));
	reaper_release(&reaper);
}

static void without_a_thread_nothing_is_taken(void **state)
{
	struct thing thing = { .reaped.free = thing_free };
	struct reaper reaper = { 0 };

	(void)state;
	reaper_init(&reaper);
	assert_false(reaper_give(&reaper, &thing.reaped));
	reaper_drain(&reaper);
	reaper_stop(&reaper);
	reaper_release(&reaper);
	assert_false(thing.freed);
}

/* --- of a store --- */

static struct io_ops watched_ops;
static pthread_t reader;
static atomic_uint unmapped_by_reader, unmapped_by_others;

static int watched_unmap(struct io *io, void *address, size_t size)
{
	atomic_fetch_add(pthread_equal(pthread_self(), reader) ?
				 &unmapped_by_reader :
				 &unmapped_by_others,
			 1);
	return io_system()->ops->unmap(io, address, size);
}

/* More than a segment, twice: the first of it is dead then. */
static void fill(struct kv *kv)
{
	char key[16], value[3000];

	memset(value, 'v', sizeof(value));
	for (unsigned int i = 0; i < 1000; i++) {
		snprintf(key, sizeof(key), "key%04u", i % 500);
		assert_int_equal(kv_set(kv, slice_of(key, strlen(key)),
					slice_of(value, sizeof(value)), NULL),
				 0);
	}
}

static void *compact(void *ctx)
{
	assert_int_equal(kv_compact(ctx, NULL, NULL), 0);
	return NULL;
}

/* While this listing has its view, others empty the segments that are in it. */
static int on_key(void *ctx, const struct kv_entry *entry)
{
	pthread_t compactor;

	(void)entry;
	assert_int_equal(pthread_create(&compactor, NULL, compact, ctx), 0);
	assert_int_equal(pthread_join(compactor, NULL), 0);
	atomic_store(&unmapped_by_reader, 0);
	atomic_store(&unmapped_by_others, 0);
	return 1;
}

static void a_reader_that_is_the_last_to_use_a_segment_frees_none(void **state)
{
	struct kv_range all = { 0 };
	struct kv_options options;
	struct scratch scratch;
	struct io watched = { &watched_ops };
	struct kv *kv;

	(void)state;
	reader = pthread_self();
	watched_ops = *io_system()->ops;
	watched_ops.unmap = watched_unmap;
	assert_int_equal(scratch_init(&scratch), 0);
	small_kv_options(&options, &watched);
	assert_int_equal(kv_open(scratch.path, &options, &kv), 0);
	fill(kv);
	assert_int_equal(kv_list(kv, NULL, &all, KV_LIST_VALUES, on_key, kv),
			 1);
	/* Waits for what was given to the reaper. */
	assert_int_equal(kv_checkpoint(kv), 0);
	assert_true(atomic_load(&unmapped_by_others) > 0);
	assert_int_equal(atomic_load(&unmapped_by_reader), 0);
	assert_int_equal(kv_close(kv), 0);
	scratch_release(&scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_given_is_freed_by_another_thread),
		cmocka_unit_test(nothing_is_left_when_it_stops),
		cmocka_unit_test(without_a_thread_nothing_is_taken),
		cmocka_unit_test(
			a_reader_that_is_the_last_to_use_a_segment_frees_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
