/* SPDX-License-Identifier: MIT */

/* Locks of inodes, and reading without them: fs/lock_table.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "fs/lock_table.h"
#include "tests/unit/stripe.h"

static int setup(void **state)
{
	static struct lock_table table;

	*state = &table;
	return lock_table_init(&table);
}

static int teardown(void **state)
{
	lock_table_release(*state);
	return 0;
}

static void a_set_is_sorted_and_has_each_stripe_once(void **state)
{
	uint64_t ino;

	(void)state;
	for (ino = 1; ino < 5000; ino++) {
		struct lock_set set = { 0 };
		unsigned int i;

		lock_set_add(&set, ino);
		lock_set_add(&set, ino * 31);
		lock_set_add(&set, ino);
		lock_set_add(&set, ino + 1);
		assert_in_range(set.count, 1, 3);
		for (i = 1; i < set.count; i++)
			assert_true(set.stripes[i - 1] < set.stripes[i]);
	}
}

static void neighbours_do_not_share_a_stripe(void **state)
{
	uint64_t ino;

	(void)state;
	for (ino = 2; ino < 1000; ino++) {
		struct lock_set set = { 0 };

		lock_set_add(&set, ino);
		lock_set_add(&set, ino + 1);
		assert_int_equal(set.count, 2);
	}
}

static void reading_is_valid_unless_somebody_held_the_lock(void **state)
{
	struct lock_table *table = *state;
	uint64_t count;

	assert_true(lock_table_read_begin(table, 7, &count));
	assert_true(lock_table_read_valid(table, 7, count));
	lock_table_lock_one(table, 7);
	assert_false(lock_table_read_valid(table, 7, count));
	assert_false(lock_table_read_begin(table, 7, &count));
	lock_table_unlock_one(table, 7);
	assert_false(lock_table_read_valid(table, 7, count));
	assert_true(lock_table_read_begin(table, 7, &count));
	assert_true(lock_table_read_valid(table, 7, count));
}

static void a_holder_for_another_inode_of_the_stripe_is_none(void **state)
{
	struct lock_table *table = *state;
	uint64_t other = stripe_neighbour(7);
	struct lock_set set = { 0 };
	uint64_t count;

	lock_table_lock_one(table, other);
	assert_false(lock_table_read_begin(table, other, &count));
	assert_true(lock_table_read_begin(table, 7, &count));
	assert_true(lock_table_read_valid(table, 7, count));
	lock_table_unlock_one(table, other);
	assert_false(lock_table_read_valid(table, 7, count));
	lock_table_lock_one(table, 7);
	assert_false(lock_table_held_since(table, 7, count));
	lock_table_unlock_one(table, 7);

	lock_set_add(&set, other);
	lock_table_lock(table, &set);
	assert_true(lock_table_read_begin(table, 7, &count));
	lock_table_unlock(table, &set);
	lock_set_add(&set, 7);
	lock_table_lock(table, &set);
	assert_false(lock_table_read_begin(table, 7, &count));
	assert_false(lock_table_read_begin(table, other, &count));
	lock_table_unlock(table, &set);
}

static void who_holds_several_stripes_changes_any_inode(void **state)
{
	struct lock_table *table = *state;
	struct lock_mask mask = { 0 };
	uint64_t count;

	lock_mask_add(&mask, stripe_neighbour(7));
	lock_table_lock_mask(table, &mask);
	assert_false(lock_table_read_begin(table, 7, &count));
	lock_table_unlock_mask(table, &mask);
	assert_true(lock_table_read_begin(table, 7, &count));
}

static void a_holder_knows_whether_anybody_came_before(void **state)
{
	struct lock_table *table = *state;
	uint64_t count;

	assert_true(lock_table_read_begin(table, 7, &count));
	lock_table_lock_one(table, 7);
	assert_true(lock_table_held_since(table, 7, count));
	lock_table_unlock_one(table, 7);
	lock_table_lock_one(table, 7);
	assert_false(lock_table_held_since(table, 7, count));
	lock_table_unlock_one(table, 7);
}

#define THREADS 4
#define ROUNDS 20000
#define INOS 6

struct shared {
	struct lock_table *table;
	unsigned int first;
	uint64_t *values; /* of each inode, under its lock */
};

/* Moves value between two inodes, chosen in an order of its own. */
static void *mover(void *arg)
{
	struct shared *shared = arg;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		unsigned int a = (shared->first + i) % INOS;
		unsigned int b = (shared->first * 3 + i * 5 + 1) % INOS;
		struct lock_set set = { 0 };

		lock_set_add(&set, a);
		lock_set_add(&set, b);
		lock_table_lock(shared->table, &set);
		shared->values[a]--;
		shared->values[b]++;
		lock_table_unlock(shared->table, &set);
	}
	return NULL;
}

static void sets_in_any_order_exclude_without_deadlock(void **state)
{
	uint64_t values[INOS] = { 0 };
	struct shared shared[THREADS];
	pthread_t threads[THREADS];
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		shared[i] = (struct shared){ *state, i, values };
		assert_int_equal(pthread_create(&threads[i], NULL, mover,
						&shared[i]),
				 0);
	}
	for (i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < INOS; i++)
		sum += values[i];
	assert_int_equal(sum, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_sorted_and_has_each_stripe_once),
		cmocka_unit_test(neighbours_do_not_share_a_stripe),
		cmocka_unit_test_setup_teardown(
			reading_is_valid_unless_somebody_held_the_lock, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_holder_for_another_inode_of_the_stripe_is_none, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			who_holds_several_stripes_changes_any_inode, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			a_holder_knows_whether_anybody_came_before, setup,
			teardown),
		cmocka_unit_test_setup_teardown(
			sets_in_any_order_exclude_without_deadlock, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
