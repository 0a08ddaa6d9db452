/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A store's history, and which states it may be in after a power cut. Every
 * commit also writes its own number, so that a store tells which prefix of the
 * history it is; the rest is compared with the commits up to there.
 */

#include <stdint.h>

#include "engine/kv.h"
#include "tests/seam/choice.h"
#include "tests/seam/power_cut.h"

#define HISTORY_KEYS 40u
#define HISTORY_COMMITS 4000u
#define HISTORY_CHANGES 12u

/* One key's change in a commit. value 0 deletes. */
struct change {
	unsigned int key;
	uint32_t value;
};

struct commit {
	size_t began; /* position of the recorder before it */
	unsigned int count;
	struct change changes[HISTORY_CHANGES];
};

/* The commit that was known durable at a position of the recorder. */
struct promise {
	size_t position;
	uint32_t commit;
};

struct history {
	uint32_t base_least, base_most; /* of what the store began with */
	/* [0] is unused: the empty store. */
	struct commit commits[HISTORY_COMMITS];
	uint32_t commit_count; /* of those made */
	struct promise promises[HISTORY_COMMITS];
	size_t promise_count;
};

/* Options of the stores of a history. */
void history_options(struct kv_options *options, struct io *io);

/* A store at work: what is done to it is recorded and noted. */
struct worker {
	struct history *history;
	struct choice *choice;
	struct record_io *record;
	struct kv *kv;
	struct kv_pin *pin; /* or NULL */
	const char *path;
};

/* One commit of any changes; nothing when there is no room for more. */
void history_commit(struct worker *worker);
/* All that was committed is durable now. */
void history_promise(struct worker *worker);
/* A commit, and at times a compaction, checkpoint, pin, or closing and opening. */
void history_step(struct worker *worker);
/* Closes the store: all is durable then. */
void history_close(struct worker *worker);

/* What a cut at this position must have left, and cannot be beyond. */
uint32_t history_least(const struct history *history, size_t position);
uint32_t history_most(const struct history *history, size_t position);
/* Compares the store with the prefix that it claims to be; which it is.
 * rebuilt: whether recovery had to do without a manifest. */
uint32_t history_verify(const struct history *history, struct kv *kv,
			bool rebuilt);
/* What follows a recovery is history of its own: from what was found on. */
void history_go_on(struct worker *worker, uint32_t least, uint32_t found);
