/* SPDX-License-Identifier: MIT */

/*
 * Comparing windows of requests. Invariants:
 *	1. A window has requests of one way of waiting, in one stream.
 *	2. Only adjacent windows are compared: programs change what they do.
 *	3. Of TRIAL_EVERY windows all but one go the way that was faster so far.
 * No lock.
 */

#include "fs/spin.h"

/* Beyond this between requests, on average, nothing is a stream. */
#define GAP_STREAM_NS 100000u
/* What took longer counts as this: a program that does something else. */
#define TIME_MAX_NS 2000000u
#define WINDOW_REQUESTS 128u
#define TRIAL_EVERY 8u
#define RATIO_ONE 1024u
/* Below the one it is worth it, above the other not; in between all stays. */
#define RATIO_SPIN 975u
#define RATIO_SLEEP 1000u
/* A single comparison changes nothing, however it turned out: others may have
 * had the processor. */
#define SAMPLE_MIN 717u
#define SAMPLE_MAX 1463u
/* What was for long does not count for ever: a few trials turn it round. */
#define RATIO_MIN 900u
#define RATIO_MAX 1100u

void spin_init(struct spin *spin, long processor_count)
{
	*spin = (struct spin){
		.possible = processor_count > 1,
		.gap_ns = TIME_MAX_NS,
		.ratio = RATIO_ONE,
	};
}

static bool is_stream(const struct spin *spin)
{
	return spin->possible && spin->gap_ns < GAP_STREAM_NS;
}

bool spin_is_wanted(const struct spin *spin)
{
	return spin->spins && is_stream(spin);
}

static uint64_t within(uint64_t low, uint64_t value, uint64_t high)
{
	return value < low ? low : value > high ? high : value;
}

static void compare(struct spin *spin)
{
	uint64_t with_ns = spin->spins ? spin->time_ns : spin->previous_ns;
	uint64_t without_ns = spin->spins ? spin->previous_ns : spin->time_ns;
	uint64_t ratio = with_ns * RATIO_ONE / (without_ns + 1);

	ratio = within(SAMPLE_MIN, ratio, SAMPLE_MAX);
	ratio = ((uint64_t)spin->ratio * 7 + ratio) / 8;
	spin->ratio = (uint32_t)within(RATIO_MIN, ratio, RATIO_MAX);
}

/* The usual way, as far as is known; in between it stays. */
static bool usual_way(const struct spin *spin, bool now)
{
	if (spin->ratio < RATIO_SPIN)
		return true;
	return spin->ratio < RATIO_SLEEP && now;
}

static void window_end(struct spin *spin)
{
	bool was_trial = spin->window_count == TRIAL_EVERY - 1;

	if (was_trial) {
		compare(spin);
		spin->spins = usual_way(spin, !spin->spins);
		spin->window_count = 0;
	} else if (++spin->window_count == TRIAL_EVERY - 1) {
		spin->previous_ns = spin->time_ns;
		spin->spins = !spin->spins;
	}
	spin->request_count = 0;
	spin->time_ns = 0;
}

void spin_learn(struct spin *spin, uint64_t gap_ns, uint64_t cycle_ns)
{
	if (gap_ns > TIME_MAX_NS)
		gap_ns = TIME_MAX_NS;
	if (cycle_ns > TIME_MAX_NS)
		cycle_ns = TIME_MAX_NS;
	spin->gap_ns = spin->gap_ns - spin->gap_ns / 8 + gap_ns / 8;
	if (!is_stream(spin))
		return;
	spin->time_ns += cycle_ns;
	if (++spin->request_count == WINDOW_REQUESTS)
		window_end(spin);
}
