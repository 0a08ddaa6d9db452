/* SPDX-License-Identifier: MIT */
#pragma once

/* Stores as tests make them by the thousand. Included after cmocka.h. */

#include <stdio.h>

#include "engine/kv.h"

/* Few files of little, nothing by the clock, and nothing in the background
 * that a test has not asked for. */
static inline void small_kv_options(struct kv_options *options, struct io *io)
{
	kv_options_init(options);
	options->create = true;
	options->segment_size_bytes = 1 << 20;
	options->memory_bytes = 4 << 20;
	options->commit_interval_ms = 0;
	options->compact_auto = false;
	options->io = io;
}

/* For kv_check: what should not be there at all. */
static inline void kv_problem_print(void *ctx, const struct kv_problem *problem)
{
	(void)ctx;
	fprintf(stderr, "problem %d: %s at %llu: %s\n", (int)problem->kind,
		problem->file ? problem->file : "-",
		(unsigned long long)problem->offset, problem->what);
}
