/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether to wait for the next request awake. A thread that sleeps is woken
 * some 5 to 50 us after the request has come, which is more than most requests
 * take; one that stays awake takes it at once, but keeps a processor from
 * others, maybe from the very program that would send it. No rule tells which
 * counts for more, so it is tried (engine/trial.h) while requests come in a
 * stream, by the time that a request takes from one to the next. Within that,
 * waiting awake in vain is soon left off: in a listing, say, each request is
 * followed by a while of the program's own work.
 *
 * Pure functions of the times they are given; used by one thread.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/trial.h"

/* Awake for so long at most, each time. */
#define SPIN_NS 40000u

struct spin {
	bool possible; /* there is another processor */
	/* how long requests let us wait: a decaying average */
	uint64_t gap_ns;
	struct trial awake;  /* its second way */
	unsigned int misses; /* awake in vain, one after the other */
	unsigned int asleep; /* so many requests are waited for asleep */
};

void spin_init(struct spin *spin, long processor_count);
/* May the next request be waited for awake? */
bool spin_is_wanted(const struct spin *spin);
/* For how long, then; 0: not this one. */
uint64_t spin_wait_ns(const struct spin *spin);
/* A request came: for gap_ns of the cycle_ns since the one before there was
 * nothing to do. */
void spin_learn(struct spin *spin, uint64_t gap_ns, uint64_t cycle_ns);
