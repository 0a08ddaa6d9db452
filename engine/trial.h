/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Which of two ways to do a thing is the faster one, where no rule tells: now
 * and then a window of it is done the other way, and compared with the window
 * before. Work is counted in units, whatever they are.
 *
 *	windows   a a a a a a a A | b | a a a a a ...
 *	compared                A   b     b faster, again and again: change
 *
 * Without a difference it is the first way. A leaf header; pure functions of
 * what they are given; used by one thread at a time.
 */

#include <stdbool.h>
#include <stdint.h>

struct trial {
	/* constant after init */
	uint64_t window_units;
	/* the window */
	bool second; /* which way things are done now */
	uint64_t units;
	uint64_t time_ns;
	/* those before */
	unsigned int window_count;
	uint64_t previous_cost;
	/* the second way's time, in 1024ths of the first's: decaying average */
	uint32_t ratio;
};

void trial_init(struct trial *trial, uint64_t window_units);
/* So many units took so long, in the way that trial->second said. */
void trial_learn(struct trial *trial, uint64_t units, uint64_t time_ns);
