/* SPDX-License-Identifier: MIT */

/* What to merge, what to compact and whom to wait for, as tables of literals. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "engine/compact_plan.h"
#include "engine/merge_plan.h"
#include "engine/sync_plan.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define ASSERT_MERGE(expected, ...)                             \
	do {                                                    \
		const uint64_t sizes[] = { __VA_ARGS__ };       \
		struct merge_plan plan =                        \
			merge_plan_choose(sizes, COUNT(sizes)); \
		assert_int_equal(plan.first, 0);                \
		assert_int_equal(plan.count, expected);         \
	} while (0)

static void few_and_growing_runs_stay(void **state)
{
	(void)state;
	ASSERT_MERGE(0, 1);
	ASSERT_MERGE(0, 1, 2);
	ASSERT_MERGE(0, 1, 2, 6, 18);
}

static void equal_runs_are_merged(void **state)
{
	(void)state;
	ASSERT_MERGE(2, 1, 1);
	ASSERT_MERGE(2, 1, 1, 100);
	ASSERT_MERGE(2, 1, 1, 5, 40, 100);
}

static void a_merge_takes_along_what_it_would_outgrow(void **state)
{
	(void)state;
	ASSERT_MERGE(3, 1, 1, 3);
	ASSERT_MERGE(4, 10, 9, 30, 60);
	ASSERT_MERGE(3, 4, 4, 15, 46);
}

static void every_run_counts_against_all_newer_ones(void **state)
{
	(void)state;
	/* 10 < 2 * (1 + 2 + 4) */
	ASSERT_MERGE(4, 1, 2, 6, 10);
}

static struct compact_candidate candidate(uint64_t live, uint64_t tombstones,
					  uint64_t dead_count,
					  uint64_t created_lsn)
{
	return (struct compact_candidate){ 1000,       live,        tombstones,
					   dead_count, created_lsn, true };
}

static void the_emptiest_segment_goes_first(void **state)
{
	const struct compact_candidate c[] = {
		candidate(900, 0, 1, 1),
		candidate(100, 0, 9, 2),
		candidate(400, 0, 6, 3),
	};
	bool chosen[3];

	(void)state;
	assert_int_equal(compact_plan_choose(c, 3, 50, 150, chosen), 1);
	assert_true(chosen[1]);
	assert_int_equal(compact_plan_choose(c, 3, 50, 500, chosen), 2);
	assert_true(chosen[1] && chosen[2] && !chosen[0]);
}

static void a_segment_over_the_limit_goes_alone(void **state)
{
	const struct compact_candidate c[] = { candidate(400, 0, 6, 1) };
	bool chosen[1];

	(void)state;
	assert_int_equal(compact_plan_choose(c, 1, 50, 10, chosen), 1);
}

static void what_is_not_eligible_is_left_alone(void **state)
{
	struct compact_candidate c[] = { candidate(0, 0, 9, 1) };
	bool chosen[1];

	(void)state;
	c[0].eligible = false;
	assert_int_equal(compact_plan_choose(c, 1, 50, 1000, chosen), 0);
}

static void tombstones_are_a_gain_when_nothing_needs_them(void **state)
{
	const struct compact_candidate kept[] = { candidate(990, 0, 1, 1),
						  candidate(0, 900, 0, 5) };
	const struct compact_candidate free[] = { candidate(1000, 0, 0, 1),
						  candidate(0, 900, 0, 5) };
	bool chosen[2];

	(void)state;
	assert_int_equal(compact_plan_choose(kept, 2, 50, 1000, chosen), 0);
	assert_int_equal(compact_plan_choose(free, 2, 50, 1000, chosen), 1);
	assert_true(chosen[1]);
}

static void a_tombstone_lives_while_an_older_record_may(void **state)
{
	struct compact_candidate c[] = { candidate(500, 0, 3, 10) };
	bool stays[1] = { true };

	(void)state;
	assert_true(tombstone_needed(c, stays, 1, 20));
	/* The first change after the segment was made was the deletion. */
	assert_true(tombstone_needed(c, stays, 1, 10));
	/* The segment was made when the key was deleted already. */
	assert_false(tombstone_needed(c, stays, 1, 9));
	assert_false(tombstone_needed(c, stays, 1, 5));
	/* It has nothing dead in it, so no older record of a deleted key. */
	c[0].dead_count = 0;
	assert_false(tombstone_needed(c, stays, 1, 20));
	/* It goes away together with the tombstone. */
	c[0].dead_count = 3;
	stays[0] = false;
	assert_false(tombstone_needed(c, stays, 1, 20));
}

/* Syncs of a microsecond by so many callers, where who leads at once takes half
 * of them with it, and who waits takes all, after so long. */
struct sync_world {
	unsigned int callers;
	uint64_t gather_ns;
	uint64_t now_ns;
};

/* So many syncs; how many of them were waited for. */
static unsigned int sync_often(struct sync_plan *plan, struct sync_world *world,
			       unsigned int count)
{
	unsigned int waits = 0;

	for (unsigned int i = 0; i < count; i++) {
		bool wait = sync_plan_wait_ns(plan, 1) > 0;
		unsigned int members = wait ? world->callers :
					      (world->callers + 1) / 2;
		struct sync_group group = {
			.members = members,
			.newcomers = world->callers - members,
			.began_ns = world->now_ns + wait * world->gather_ns,
		};

		group.ended_ns = group.began_ns + 1000;
		world->now_ns = group.ended_ns;
		sync_plan_learn(plan, &group);
		waits += wait;
	}
	return waits;
}

static void who_syncs_alone_waits_for_nobody(void **state)
{
	struct sync_world world = { .callers = 1 };
	struct sync_plan plan;

	(void)state;
	sync_plan_init(&plan);
	assert_int_equal(sync_often(&plan, &world, 10000), 0);
}

static void callers_are_waited_for_where_that_is_faster(void **state)
{
	struct sync_world quick = { .callers = 8, .gather_ns = 100 };
	struct sync_world slow = { .callers = 8, .gather_ns = 3000 };
	struct sync_plan plan;

	(void)state;
	sync_plan_init(&plan);
	sync_often(&plan, &quick, 1000);
	assert_true(sync_often(&plan, &quick, 1000) > 750);
	sync_often(&plan, &slow, 1000);
	assert_true(sync_often(&plan, &slow, 1000) < 250);
}

static void who_is_not_there_any_more_is_not_waited_for(void **state)
{
	struct sync_world many = { .callers = 8, .gather_ns = 100 };
	struct sync_world one = { .callers = 1 };
	struct sync_plan plan;

	(void)state;
	sync_plan_init(&plan);
	sync_often(&plan, &many, 2000);
	sync_often(&plan, &one, 1);
	assert_int_equal(sync_often(&plan, &one, 1000), 0);
}

static void half_a_sync_is_waited_but_no_longer_than_a_moment(void **state)
{
	struct sync_plan plan;

	(void)state;
	sync_plan_init(&plan);
	plan.waiting.second = true;
	plan.expected = 2;
	plan.sync_ns = 1000;
	assert_int_equal(sync_plan_wait_ns(&plan, 2), 0);
	assert_int_equal(sync_plan_wait_ns(&plan, 1), 500);
	plan.sync_ns = 3000000000;
	assert_int_equal(sync_plan_wait_ns(&plan, 1), 5000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_and_growing_runs_stay),
		cmocka_unit_test(equal_runs_are_merged),
		cmocka_unit_test(a_merge_takes_along_what_it_would_outgrow),
		cmocka_unit_test(every_run_counts_against_all_newer_ones),
		cmocka_unit_test(the_emptiest_segment_goes_first),
		cmocka_unit_test(a_segment_over_the_limit_goes_alone),
		cmocka_unit_test(what_is_not_eligible_is_left_alone),
		cmocka_unit_test(tombstones_are_a_gain_when_nothing_needs_them),
		cmocka_unit_test(a_tombstone_lives_while_an_older_record_may),
		cmocka_unit_test(who_syncs_alone_waits_for_nobody),
		cmocka_unit_test(callers_are_waited_for_where_that_is_faster),
		cmocka_unit_test(who_is_not_there_any_more_is_not_waited_for),
		cmocka_unit_test(
			half_a_sync_is_waited_but_no_longer_than_a_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
