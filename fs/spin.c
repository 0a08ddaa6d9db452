/* SPDX-License-Identifier: MIT */

/* Waiting awake as a trial, while requests come in a stream. No lock. */

#include "fs/spin.h"

/* Beyond this between requests, on average, nothing is a stream. */
#define GAP_STREAM_NS 200000u
/* What took longer counts as this: a program that does something else. */
#define TIME_MAX_NS 2000000u
#define WINDOW_REQUESTS 128u
/* Asleep between two that are waited for awake in vain, at most: 2 to that. */
#define MISSES_MAX 6u

void spin_init(struct spin *spin, long processor_count)
{
	*spin = (struct spin){
		.possible = processor_count > 1,
		.gap_ns = TIME_MAX_NS,
	};
	trial_init(&spin->awake, WINDOW_REQUESTS);
}

static bool is_stream(const struct spin *spin)
{
	return spin->possible && spin->gap_ns < GAP_STREAM_NS;
}

bool spin_is_wanted(const struct spin *spin)
{
	return spin->awake.second && is_stream(spin);
}

uint64_t spin_wait_ns(const struct spin *spin)
{
	return spin->asleep ? 0 : SPIN_NS;
}

/* Every second one, fourth one... after each that was in vain. */
static void learn_misses(struct spin *spin, uint64_t gap_ns)
{
	if (spin->asleep) {
		spin->asleep--;
		return;
	}
	if (gap_ns <= SPIN_NS) {
		spin->misses = 0;
		return;
	}
	if (spin->misses < MISSES_MAX)
		spin->misses++;
	spin->asleep = (1u << spin->misses) - 1;
}

void spin_learn(struct spin *spin, uint64_t gap_ns, uint64_t cycle_ns)
{
	if (gap_ns > TIME_MAX_NS)
		gap_ns = TIME_MAX_NS;
	if (cycle_ns > TIME_MAX_NS)
		cycle_ns = TIME_MAX_NS;
	spin->gap_ns = spin->gap_ns - spin->gap_ns / 8 + gap_ns / 8;
	if (spin_is_wanted(spin))
		learn_misses(spin, gap_ns);
	if (is_stream(spin))
		trial_learn(&spin->awake, 1, cycle_ns);
}
