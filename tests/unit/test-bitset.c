/* SPDX-License-Identifier: MIT */

/* Sets of numbers, against a table of them: engine/bitset.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bitset.h"

#define NUMBERS 300
#define CHANGES 20000
#define THREADS 4

static size_t add_to_table(bool *table, size_t first, size_t last, bool value)
{
	size_t changed = 0;

	for (size_t i = first; i <= last; i++) {
		changed += table[i] != value;
		table[i] = value;
	}
	return changed;
}

static size_t run_below(const bool *table, size_t number)
{
	size_t count = 0;

	while (count < BITSET_WORD_BITS && count < number &&
	       table[number - 1 - count])
		count++;
	return count;
}

static size_t count_near(const bool *table, size_t number)
{
	size_t begin = number - number % 64, count = 0;

	for (size_t i = begin; i < begin + 64 && i < NUMBERS; i++)
		count += table[i];
	return count;
}

static void a_set_is_as_a_table_would_be(void **state)
{
	_Atomic uint64_t words[(NUMBERS + 63) / 64] = { 0 };
	bool table[NUMBERS] = { false };
	unsigned int seed = 1;

	(void)state;
	assert_int_equal(bitset_words(NUMBERS), sizeof(words) / 8);
	assert_int_equal(bitset_words(0), 0);
	assert_int_equal(bitset_words(64), 1);
	assert_int_equal(bitset_words(65), 2);
	for (int i = 0; i < CHANGES; i++) {
		size_t first = (size_t)rand_r(&seed) % NUMBERS;
		size_t length = (size_t)rand_r(&seed) % (i % 5 ? 9 : NUMBERS);
		size_t last = first + length < NUMBERS ? first + length :
							 NUMBERS - 1;
		bool add = rand_r(&seed) % 2;

		assert_int_equal(add ? bitset_add(words, first, last) :
				       bitset_remove(words, first, last),
				 add_to_table(table, first, last, add));
		for (size_t n = 0; n < NUMBERS; n++) {
			assert_int_equal(bitset_has(words, n), table[n]);
			assert_int_equal(bitset_run_below(words, n),
					 run_below(table, n));
			assert_int_equal(bitset_count_near(words, n),
					 count_near(table, n));
		}
	}
}

static _Atomic uint64_t shared[NUMBERS];

/* How many it was the first to add. */
static void *add_all(void *ctx)
{
	uintptr_t added = 0;

	(void)ctx;
	for (size_t first = 0; first + 100 < NUMBERS * 64; first += 37)
		added += bitset_add(shared, first, first + 100);
	return (void *)added;
}

static void each_number_is_added_by_one_thread(void **state)
{
	pthread_t threads[THREADS];
	uintptr_t added = 0;
	size_t there = 0;
	void *result;

	(void)state;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, add_all, NULL), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], &result), 0);
		added += (uintptr_t)result;
	}
	for (size_t n = 0; n < NUMBERS * 64; n++)
		there += bitset_has(shared, n);
	assert_true(there > NUMBERS * 64 - 200);
	assert_int_equal(added, there);
	assert_int_equal(bitset_remove(shared, 0, NUMBERS * 64 - 1), there);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_set_is_as_a_table_would_be),
		cmocka_unit_test(each_number_is_added_by_one_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
