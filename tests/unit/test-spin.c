/* SPDX-License-Identifier: MIT */

/* Waiting awake or asleep: what is faster is done. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fs/spin.h"

#define MANY 100000

struct world {
	uint64_t gap_ns;              /* from a reply to the next request */
	uint64_t awake_ns, asleep_ns; /* what a request takes then */
};

/* So many requests; for how many of them the spin may wait awake. */
static unsigned int run(struct spin *spin, const struct world *world,
			unsigned int count)
{
	unsigned int awake = 0;

	for (unsigned int i = 0; i < count; i++) {
		bool spins = spin_is_wanted(spin);

		awake += spins;
		spin_learn(spin, world->gap_ns,
			   spins ? world->awake_ns : world->asleep_ns);
	}
	return awake;
}

static void what_is_faster_is_done_but_for_trials(void **state)
{
	const struct world better = { 10000, 20000, 40000 };
	const struct world worse = { 10000, 40000, 20000 };
	struct spin spin;

	(void)state;
	spin_init(&spin, 2);
	run(&spin, &better, MANY);
	assert_true(run(&spin, &better, MANY) > MANY * 85 / 100);
	run(&spin, &worse, MANY);
	assert_true(run(&spin, &worse, MANY) < MANY * 15 / 100);
	run(&spin, &better, MANY);
	assert_true(run(&spin, &better, MANY) > MANY * 85 / 100);
}

static void without_a_difference_it_sleeps(void **state)
{
	const struct world same = { 10000, 20000, 20000 };
	struct spin spin;

	(void)state;
	spin_init(&spin, 2);
	assert_true(run(&spin, &same, MANY) < MANY * 15 / 100);
}

static void one_lucky_trial_changes_nothing(void **state)
{
	const struct world lucky = { 10000, 100, 50000 };
	const struct world same = { 10000, 20000, 20000 };
	struct spin spin;
	unsigned int awake;

	(void)state;
	spin_init(&spin, 2);
	do
		awake = run(&spin, &lucky, 1);
	while (!awake);
	while (run(&spin, &lucky, 1))
		;
	assert_int_equal(run(&spin, &same, 800), 0);
}

static void requests_far_apart_are_waited_for_asleep(void **state)
{
	const struct world better = { 10000, 20000, 40000 };
	const struct world rare = { 1000000, 1000000, 2000000 };
	struct spin spin;

	(void)state;
	spin_init(&spin, 2);
	run(&spin, &better, MANY);
	assert_true(run(&spin, &rare, 1000) < 20);
	assert_int_equal(run(&spin, &rare, MANY), 0);
}

/* One that has found waiting awake to be better, and is not trying otherwise. */
static void make_wait_awake(struct spin *spin)
{
	const struct world better = { 10000, 20000, 40000 };

	spin_init(spin, 2);
	run(spin, &better, MANY);
	while (!spin_is_wanted(spin))
		run(spin, &better, 1);
}

/* How long it stays awake, on average, for so many requests that each come that
 * long after the reply. */
static uint64_t awake_ns(struct spin *spin, uint64_t gap_ns, unsigned int count)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < count; i++) {
		uint64_t wait_ns = spin_wait_ns(spin);

		sum += gap_ns < wait_ns ? gap_ns : wait_ns;
		spin_learn(spin, gap_ns, gap_ns);
	}
	return sum / count;
}

static void waiting_in_vain_is_left_off(void **state)
{
	struct spin spin;

	(void)state;
	make_wait_awake(&spin);
	assert_int_equal(awake_ns(&spin, SPIN_NS / 2, 100), SPIN_NS / 2);
	/* Still a stream, but of requests that come too late. */
	assert_true(awake_ns(&spin, SPIN_NS * 2, 100) < SPIN_NS / 8);
	/* And as before soon after they come in time again. */
	awake_ns(&spin, SPIN_NS / 2, 100);
	assert_int_equal(awake_ns(&spin, SPIN_NS / 2, 100), SPIN_NS / 2);
}

static void now_and_then_in_vain_costs_little(void **state)
{
	const struct world better = { 10000, 20000, 40000 };
	struct spin spin;
	unsigned int awake = 0;

	(void)state;
	make_wait_awake(&spin);
	for (unsigned int i = 0; i < 800; i++) {
		bool spins = spin_is_wanted(&spin);

		awake += spins && spin_wait_ns(&spin) > 0;
		spin_learn(&spin, i % 8 ? SPIN_NS / 4 : SPIN_NS * 2,
			   spins ? better.awake_ns : better.asleep_ns);
	}
	assert_true(awake > 500);
}

static void with_one_processor_it_sleeps(void **state)
{
	const struct world better = { 10000, 20000, 40000 };
	struct spin spin;

	(void)state;
	spin_init(&spin, 1);
	assert_int_equal(run(&spin, &better, MANY), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_faster_is_done_but_for_trials),
		cmocka_unit_test(without_a_difference_it_sleeps),
		cmocka_unit_test(one_lucky_trial_changes_nothing),
		cmocka_unit_test(requests_far_apart_are_waited_for_asleep),
		cmocka_unit_test(waiting_in_vain_is_left_off),
		cmocka_unit_test(now_and_then_in_vain_costs_little),
		cmocka_unit_test(with_one_processor_it_sleeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
