/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where a thread found a key last. Who asks for keys in order finds the next one
 * in the same leaf, too, mostly at the mark, and needs neither the filter nor the
 * way down.
 *
 * It is only ever tried: what a leaf of the run has, the run has; for all else,
 * that the leaf does not have the key or is none, the usual way is gone. Nothing
 * of it is shared with other threads, so without locks. Private to the run_*.c
 * files.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/run_search.h"

struct run_hint {
	uint64_t serial; /* of the run; 0: none */
	uint64_t page;
	unsigned int trust; /* 0: it is not tried */
	struct run_mark mark;
};

/* This thread's hint for keys like this one. NULL: out of memory. */
struct run_hint *run_hint_for(struct slice key);
/* It was tried, and the key was there, or not. */
void run_hint_judge(struct run_hint *hint, bool found);
/* The key was found in this leaf, without the hint. */
void run_hint_learn(struct run_hint *hint, uint64_t serial, uint64_t page);
