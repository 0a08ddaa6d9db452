/* SPDX-License-Identifier: MIT */

/* Which runs may have a key: engine/run_ranges.h. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "engine/run_ranges.h"
#include "tests/seam/random.h"

#define KEY_MAX 100
#define RUNS_MAX 70

struct key {
	size_t size;
	uint8_t bytes[KEY_MAX];
};

static struct slice key_slice(const struct key *key)
{
	return slice_of(key->bytes, key->size);
}

static struct slice text(const char *s)
{
	return slice_of(s, strlen(s));
}

static struct run_bounds bounds_of(struct slice first, struct slice last)
{
	struct run_bounds bounds = { .known = true };

	run_bound_set(&bounds.first, first);
	run_bound_set(&bounds.last, last);
	return bounds;
}

static void make(struct run_ranges *ranges, const struct run_bounds *bounds,
		 size_t count)
{
	const struct run_bounds *each[RUNS_MAX] = { NULL };

	for (size_t i = 0; i < count; i++)
		each[i] = &bounds[i];
	run_ranges_make(ranges, each, count);
}

static void keys_outside_are_known_to_be(void **state)
{
	struct run_bounds bounds[] = {
		bounds_of(text("user/200"), text("user/299")),
		bounds_of(text("user/100"), text("user/250")),
		{ .known = false },
		bounds_of(text("user/7"), text("user/7")),
	};
	struct run_ranges ranges;

	(void)state;
	make(&ranges, bounds, 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/099")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/100")), 2 | 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/222")), 1 | 2 | 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/299")), 1 | 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/299/")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/7")), 8 | 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/70")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("user/")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("user")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("usual")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("a")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("z")), 4);
	assert_int_equal(run_ranges_find(&ranges, text("")), 4);
}

static void without_runs_there_is_none_to_be_asked(void **state)
{
	struct run_ranges ranges;

	(void)state;
	make(&ranges, NULL, 0);
	assert_int_equal(run_ranges_find(&ranges, text("a")), 0);
	assert_int_equal(run_ranges_find(&ranges, text("")), 0);
}

static void runs_without_bounds_are_always_asked(void **state)
{
	struct run_bounds bounds[RUNS_MAX] = { 0 };
	struct run_ranges ranges;

	(void)state;
	make(&ranges, bounds, RUNS_MAX);
	assert_int_equal(run_ranges_find(&ranges, text("a")), UINT64_MAX);
	assert_int_equal(run_ranges_find(&ranges, text("")), UINT64_MAX);
}

/* Of few different bytes, many of them the same: zeros and 0xff among them. */
static struct key random_key(uint64_t *random)
{
	static const uint8_t bytes[] = { 'a', 'a', 'a', 'a', 'b', 0, 0xff };
	static const unsigned int sizes[] = { 4, 12, 60, 70, KEY_MAX };
	struct key key;

	key.size = random_below(random, sizes[random_below(random, 5)] + 1);
	for (size_t i = 0; i < key.size; i++)
		key.bytes[i] = i > 3 && random_below(random, 30) ?
				       'a' :
				       bytes[random_below(random, 7)];
	return key;
}

static void a_key_within_is_never_denied(void **state)
{
	struct key first[8], last[8];
	struct run_bounds bounds[8];
	struct run_ranges ranges;
	uint64_t random = 1;
	unsigned int denied = 0;

	(void)state;
	for (unsigned int round = 0; round < 20000; round++) {
		size_t count = 1 + random_below(&random, 8);

		for (size_t i = 0; i < count; i++) {
			first[i] = random_key(&random);
			last[i] = random_key(&random);
			if (slice_compare(key_slice(&first[i]),
					  key_slice(&last[i])) > 0) {
				struct key swap = first[i];

				first[i] = last[i];
				last[i] = swap;
			}
			bounds[i] = bounds_of(key_slice(&first[i]),
					      key_slice(&last[i]));
		}
		make(&ranges, bounds, count);
		for (unsigned int n = 0; n < 20; n++) {
			struct key key = n < count ? first[n] :
						     random_key(&random);
			uint64_t found =
				run_ranges_find(&ranges, key_slice(&key));

			for (size_t i = 0; i < count; i++) {
				bool within =
					slice_compare(key_slice(&first[i]),
						      key_slice(&key)) <= 0 &&
					slice_compare(key_slice(&key),
						      key_slice(&last[i])) <= 0;

				assert_true(!within || found >> i & 1);
				denied += !(found >> i & 1);
			}
		}
	}
	assert_true(denied > 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_outside_are_known_to_be),
		cmocka_unit_test(without_runs_there_is_none_to_be_asked),
		cmocka_unit_test(runs_without_bounds_are_always_asked),
		cmocka_unit_test(a_key_within_is_never_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
