/* SPDX-License-Identifier: MIT */

/* Whether to wait for others before a sync. Pure: no lock. */

#include "engine/sync_plan.h"

#define SYNC_WAIT_MAX_NS UINT64_C(5000000)
#define WINDOW_CALLERS 64u
/* From one sync to the next it took at most so many times what a sync takes;
 * what is longer counts as this: nobody had anything to sync. */
#define CYCLE_SYNCS_MAX 4u

void sync_plan_init(struct sync_plan *plan)
{
	*plan = (struct sync_plan){ 0 };
	trial_init(&plan->waiting, WINDOW_CALLERS);
}

uint64_t sync_plan_wait_ns(const struct sync_plan *plan, unsigned int arrived)
{
	uint64_t wait_ns = plan->sync_ns / 2;

	if (arrived >= plan->expected || !plan->waiting.second)
		return 0;
	return wait_ns < SYNC_WAIT_MAX_NS ? wait_ns : SYNC_WAIT_MAX_NS;
}

void sync_plan_learn(struct sync_plan *plan, const struct sync_group *group)
{
	uint64_t sync_ns = group->ended_ns - group->began_ns;
	uint64_t cycle_ns = group->ended_ns - plan->ended_ns;
	unsigned int callers = group->members + group->newcomers;

	plan->sync_ns = plan->sync_ns ? (7 * plan->sync_ns + sync_ns) / 8 :
					sync_ns;
	if (cycle_ns > CYCLE_SYNCS_MAX * plan->sync_ns)
		cycle_ns = CYCLE_SYNCS_MAX * plan->sync_ns;
	/* Who syncs alone learns nothing about waiting for others. */
	if (group->members && (callers > 1 || plan->expected > 1))
		trial_learn(&plan->waiting, group->members, cycle_ns);
	plan->expected = callers;
	plan->ended_ns = group->ended_ns;
}
