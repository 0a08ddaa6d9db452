/* SPDX-License-Identifier: MIT */

/* A set of inode numbers: fs/ino_set.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "fs/ino_set.h"

static void an_empty_set_has_nothing(void **state)
{
	struct ino_set set;

	(void)state;
	ino_set_init(&set);
	assert_false(ino_set_has(&set, 1));
	assert_false(ino_set_remove(&set, 1));
	ino_set_release(&set);
}

static void adding_twice_is_adding_once(void **state)
{
	struct ino_set set;

	(void)state;
	ino_set_init(&set);
	assert_int_equal(ino_set_add(&set, 9), 0);
	assert_int_equal(ino_set_add(&set, 9), 0);
	assert_true(ino_set_remove(&set, 9));
	assert_false(ino_set_has(&set, 9));
	ino_set_release(&set);
}

#define RANGE 4096

/* Against an array of flags, with many collisions and wrap-arounds. */
static void random_changes_match_an_array(void **state)
{
	static bool model[RANGE];
	struct ino_set set;
	unsigned int i;

	(void)state;
	srand(99);
	ino_set_init(&set);
	for (i = 0; i < 200000; i++) {
		uint64_t ino = (uint64_t)rand() % (RANGE - 1) + 1;

		if (rand() % 2) {
			assert_int_equal(ino_set_add(&set, ino), 0);
			model[ino] = true;
		} else {
			assert_int_equal(ino_set_remove(&set, ino), model[ino]);
			model[ino] = false;
		}
		ino = (uint64_t)rand() % (RANGE - 1) + 1;
		assert_int_equal(ino_set_has(&set, ino), model[ino]);
	}
	for (i = 1; i < RANGE; i++)
		assert_int_equal(ino_set_has(&set, i), model[i]);
	ino_set_release(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_set_has_nothing),
		cmocka_unit_test(adding_twice_is_adding_once),
		cmocka_unit_test(random_changes_match_an_array),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
