/* SPDX-License-Identifier: MIT */

/*
 * Comparing windows. Invariants:
 *	1. A window has work done in one way.
 *	2. Only adjacent windows are compared: programs change what they do.
 *	3. Of TRIAL_EVERY windows all but one go the way that was faster so far.
 * No lock.
 */

#include "engine/trial.h"

#define TRIAL_EVERY 8u
#define RATIO_ONE 1024u
/* Below the one the second way is taken, above the other the first; in between
 * all stays. */
#define RATIO_SECOND 975u
#define RATIO_FIRST 1000u
/* A single comparison changes nothing, however it turned out: others may have
 * had the processor. */
#define SAMPLE_MIN 717u
#define SAMPLE_MAX 1463u
/* What was for long does not count for ever: a few trials turn it round. */
#define RATIO_MIN 900u
#define RATIO_MAX 1100u
/* A cost is the time of so many units. */
#define COST_UNITS 1024u

void trial_init(struct trial *trial, uint64_t window_units)
{
	*trial = (struct trial){
		.window_units = window_units,
		.ratio = RATIO_ONE,
	};
}

static uint64_t within(uint64_t low, uint64_t value, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static void compare(struct trial *trial, uint64_t cost)
{
	uint64_t second = trial->second ? cost : trial->previous_cost;
	uint64_t first = trial->second ? trial->previous_cost : cost;
	uint64_t ratio = second * RATIO_ONE / (first + 1);

	ratio = within(SAMPLE_MIN, ratio, SAMPLE_MAX);
	ratio = ((uint64_t)trial->ratio * 7 + ratio) / 8;
	trial->ratio = (uint32_t)within(RATIO_MIN, ratio, RATIO_MAX);
}

/* The usual way, as far as is known; in between it stays. */
static bool usual_way(const struct trial *trial, bool now)
{
	if (trial->ratio < RATIO_SECOND)
		return true;
	return trial->ratio < RATIO_FIRST && now;
}

static void window_end(struct trial *trial)
{
	uint64_t cost = trial->time_ns * COST_UNITS / trial->units;
	bool was_trial = trial->window_count == TRIAL_EVERY - 1;

	if (was_trial) {
		compare(trial, cost);
		trial->second = usual_way(trial, !trial->second);
		trial->window_count = 0;
	} else if (++trial->window_count == TRIAL_EVERY - 1) {
		trial->previous_cost = cost;
		trial->second = !trial->second;
	}
	trial->units = 0;
	trial->time_ns = 0;
}

void trial_learn(struct trial *trial, uint64_t units, uint64_t time_ns)
{
	trial->time_ns += time_ns;
	trial->units += units;
	if (trial->units >= trial->window_units)
		window_end(trial);
}
