/* SPDX-License-Identifier: MIT */

/* Deleting behind the requests' back: fs/forget.h. */

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

static bool is_known(void *ctx, uint64_t ino)
{
	assert_ptr_equal(ctx, &known_ino);
	return ino == atomic_load(&known_ino);
}

static void forget(void *ctx, const uint64_t *inos, size_t count)
{
	assert_ptr_equal(ctx, &known_ino);
	assert_true(count > 0);
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

#define RULE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest rules[] = {
		RULE(the_end_does_what_waits),
		RULE(one_alone_is_done_without_waiting_for_others),
		RULE(what_the_kernel_still_knows_stays),
		RULE(none_of_very_many_is_lost),
	};

	return cmocka_run_group_tests(rules, NULL, NULL);
}
