/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How long who leads a group commit waits for others to join: arithmetic on
 * counts and times. Callers that share a sync and come back at once are best
 * waited for: a leader who goes without them makes them wait for two syncs. Of
 * callers who have something to do in between, those who have done it are best
 * synced meanwhile. So it is tried which takes less time for each.
 *
 * jbd2 waits so (Linux, fs/jbd2/transaction.c: jbd2_journal_stop), and, when
 * told to, PostgreSQL (commit_delay).
 */

#include <stdint.h>

#include "engine/trial.h"

struct sync_plan {
	struct trial waiting;  /* the second way */
	unsigned int expected; /* callers of the next sync */
	uint64_t sync_ns;      /* what one takes: a decaying average */
	uint64_t ended_ns;     /* when the last one ended */
};

/* A sync that has ended. */
struct sync_group {
	unsigned int members;   /* callers it was for, the leader included */
	unsigned int newcomers; /* callers that came while it ran */
	uint64_t began_ns;      /* after what was waited */
	uint64_t ended_ns;
};

void sync_plan_init(struct sync_plan *plan);
/* The longest that a leader waits; 0: not at all. */
uint64_t sync_plan_wait_ns(const struct sync_plan *plan, unsigned int arrived);
void sync_plan_learn(struct sync_plan *plan, const struct sync_group *group);
