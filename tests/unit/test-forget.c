/* SPDX-License-Identifier: MIT */

/* Deleting behind the requests' back: fs/forget.h. */

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/forget.h"

#define INO_MAX 200000u

static _Atomic uint8_t forgotten[INO_MAX];
static _Atomic uint64_t forgotten_count;
static atomic_uint known_ino;
static atomic_uint held_ino; /* forgetting it does not end */
static atomic_uint drained_count;

static bool is_known(void *ctx, uint64_t ino)
{
	assert_ptr_equal(ctx, &known_ino);
	return ino == atomic_load(&known_ino);
}

static void forget(void *ctx, const uint64_t *inos, size_t count)
{
	assert_ptr_equal(ctx, &known_ino);
	assert_true(count > 0);
	while (inos[0] == atomic_load(&held_ino))
		sched_yield();
	for (size_t i = 0; i < count; i++)
		atomic_fetch_add(&forgotten[inos[i]], 1);
	atomic_fetch_add(&forgotten_count, count);
}

static struct forgetter *forgetter;

static int setup(void **state)
{
	struct forgetter_settings settings = {
		.is_known = is_known,
		.forget = forget,
		.ctx = &known_ino,
	};

	(void)state;
	for (unsigned int i = 0; i < INO_MAX; i++)
		atomic_store(&forgotten[i], 0);
	atomic_store(&forgotten_count, 0);
	atomic_store(&known_ino, 0);
	atomic_store(&drained_count, 0);
	return forgetter_new(&settings, &forgetter);
}

static int teardown(void **state)
{
	(void)state;
	forgetter_free(forgetter);
	forgetter = NULL;
	return 0;
}

static void the_end_does_what_waits(void **state)
{
	(void)state;
	for (unsigned int i = 1; i <= 10; i++)
		forgetter_add(forgetter, i);
	forgetter_free(forgetter);
	forgetter = NULL;
	assert_int_equal(forgotten_count, 10);
}

static void one_alone_is_done_without_waiting_for_others(void **state)
{
	(void)state;
	forgetter_add(forgetter, 1);
	while (atomic_load(&forgotten_count) == 0)
		;
	assert_int_equal(forgotten[1], 1);
}

static void what_the_kernel_still_knows_stays(void **state)
{
	(void)state;
	atomic_store(&known_ino, 7);
	forgetter_add(forgetter, 7);
	forgetter_add(forgetter, 8);
	while (atomic_load(&forgotten_count) == 0)
		;
	assert_int_equal(forgotten[7], 0);
	/* The last forget comes later. */
	atomic_store(&known_ino, 0);
	forgetter_add(forgetter, 7);
	forgetter_free(forgetter);
	forgetter = NULL;
	assert_int_equal(forgotten[7], 1);
}

static void none_of_very_many_is_lost(void **state)
{
	(void)state;
	for (unsigned int i = 1; i < INO_MAX; i++)
		forgetter_add(forgetter, i);
	forgetter_free(forgetter);
	forgetter = NULL;
	for (unsigned int i = 1; i < INO_MAX; i++)
		assert_int_equal(forgotten[i], 1);
}

/* Longer than any test may take. */
#define PATIENCE_MS 3600000u

static void what_was_handed_over_can_be_waited_for(void **state)
{
	(void)state;
	assert_false(forgetter_is_busy(forgetter));
	for (unsigned int i = 1; i <= 1000; i++)
		forgetter_add(forgetter, i);
	forgetter_drain(forgetter, PATIENCE_MS);
	assert_int_equal(forgotten_count, 1000);
	assert_false(forgetter_is_busy(forgetter));
}

static void what_is_expected_can_be_waited_for(void **state)
{
	(void)state;
	atomic_store(&known_ino, 2);
	forgetter_expect(forgetter, 1);
	forgetter_expect(forgetter, 2);
	assert_true(forgetter_is_busy(forgetter));
	assert_int_equal(forgotten_count, 0);
	forgetter_drain(forgetter, PATIENCE_MS);
	assert_int_equal(forgotten[1], 1);
	assert_int_equal(forgotten[2], 0);
	assert_false(forgetter_is_busy(forgetter));
	/* Of many the newest are kept in mind. */
	for (unsigned int i = 1; i <= 1000; i++)
		forgetter_expect(forgetter, i);
	forgetter_drain(forgetter, PATIENCE_MS);
	assert_int_equal(forgotten[1], 1);
	for (unsigned int i = 991; i <= 1000; i++)
		assert_int_equal(forgotten[i], 1);
	assert_false(forgetter_is_busy(forgetter));
}

static void *drain_main(void *arg)
{
	(void)arg;
	forgetter_drain(forgetter, PATIENCE_MS);
	atomic_fetch_add(&drained_count, 1);
	return NULL;
}

/* They would take all threads there are from what else is asked. */
static void no_more_than_four_wait_at_a_time(void **state)
{
	pthread_t waiting[5];

	(void)state;
	atomic_store(&held_ino, 1);
	forgetter_add(forgetter, 1);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(
			pthread_create(&waiting[i], NULL, drain_main, NULL), 0);
	while (atomic_load(&drained_count) == 0)
		sched_yield();
	assert_int_equal(drained_count, 1);
	assert_int_equal(forgotten_count, 0);
	atomic_store(&held_ino, 0);
	for (unsigned int i = 0; i < 5; i++)
		pthread_join(waiting[i], NULL);
	assert_int_equal(drained_count, 5);
	assert_int_equal(forgotten[1], 1);
}

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(the_end_does_what_waits),
		RULE(one_alone_is_done_without_waiting_for_others),
		RULE(what_the_kernel_still_knows_stays),
		RULE(none_of_very_many_is_lost),
		RULE(what_was_handed_over_can_be_waited_for),
		RULE(what_is_expected_can_be_waited_for),
		RULE(no_more_than_four_wait_at_a_time),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
