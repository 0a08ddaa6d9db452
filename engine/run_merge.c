/* SPDX-License-Identifier: MIT */

/*
 * Merging runs: several adjacent ones become one, and the manifest says so
 * before the old files go.
 *
 * The manifest keeps the counts and the replay position of the last checkpoint:
 * a merge changes where the index is, not what it says.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv_internal.h"
#include "engine/merge_plan.h"

static struct merge_plan plan_of(const struct view *view, bool all)
{
	struct merge_plan plan = { 0, 0 };
	uint64_t *sizes;

	if (all) {
		const struct run_summary *only =
			view->run_count ? run_summary(view->runs[0]) : NULL;

		/* A single run is worth it when tombstones can leave it. */
		plan.count = view->run_count;
		if (plan.count == 1 && !only->tombstone_count)
			plan.count = 0;
		return plan;
	}
	sizes = calloc(view->run_count + 1, sizeof(*sizes));
	if (!sizes)
		return plan;
	for (size_t i = 0; i < view->run_count; i++)
		sizes[i] = run_summary(view->runs[i])->file_size_bytes;
	plan = merge_plan_choose(sizes, view->run_count);
	free(sizes);
	return plan;
}

static struct source *runs_source_new(struct run *const *runs, size_t count)
{
	struct view part = { .runs = (struct run **)(uintptr_t)runs,
			     .run_count = count };

	return view_source_new(&part);
}

/*
 * The view with runs [first, first + count) of `old` replaced. Checkpoints may
 * have put newer runs before them meanwhile.
 */
static struct view *view_replaced(struct kv *kv, const struct view *now,
				  const struct view *old,
				  const struct merge_plan *plan,
				  struct run *merged) REQUIRES(kv->write_lock)
{
	struct run **runs = calloc(now->run_count + 1, sizeof(struct run *));
	size_t first = now->run_count - old->run_count + plan->first;
	size_t count = 0;
	struct view *next;

	if (!runs)
		return NULL;
	for (size_t i = 0; i < first; i++)
		runs[count++] = now->runs[i];
	if (merged)
		runs[count++] = merged;
	for (size_t i = first + plan->count; i < now->run_count; i++)
		runs[count++] = now->runs[i];
	next = view_new(now->active, now->frozen, now->frozen_count, runs,
			count, kv->segments, kv->segment_count);
	free(runs);
	return next;
}

static int merge_commit(struct kv *kv, const struct view *old,
			const struct merge_plan *plan, struct run *merged)
{
	struct view *now, *next;
	int error;

	mutex_lock(&kv->manifest_lock);
	mutex_lock(&kv->write_lock);
	now = kv_view_acquire(kv);
	next = view_replaced(kv, now, old, plan, merged);
	mutex_unlock(&kv->write_lock);
	error = next ? manifest_commit(kv, &kv->manifest, next, NULL) : -ENOMEM;
	view_unref(next);
	view_unref(now);
	if (error)
		goto out;
	/* Memtables and segments may have changed during the commit, the runs
	 * cannot have: that takes the manifest lock. */
	mutex_lock(&kv->write_lock);
	now = kv_view_acquire(kv);
	next = view_replaced(kv, now, old, plan, merged);
	if (next)
		kv_view_publish(kv, next);
	else
		error = -ENOMEM;
	view_unref(now);
	mutex_unlock(&kv->write_lock);
	if (!error)
		for (size_t i = 0; i < plan->count; i++)
			run_doom(old->runs[plan->first + i]);
out:
	mutex_unlock(&kv->manifest_lock);
	return error;
}

/* Whether the disk has room for the merged run: trying would fill it. */
static bool merge_fits(struct kv *kv, const struct view *view,
		       const struct merge_plan *plan, enum reserve_use use)
{
	uint64_t free_bytes, total_bytes, size = 0;

	if (kv_disk_space(kv, &free_bytes, &total_bytes))
		return true;
	if (use == RESERVE_FOR_COMPACTION)
		free_bytes += atomic_load(&kv->reserve.held_bytes);
	for (size_t i = 0; i < plan->count; i++)
		size += run_summary(view->runs[plan->first + i])
				->file_size_bytes;
	return size < free_bytes;
}

static int merge_once(struct kv *kv, const struct view *view,
		      const struct merge_plan *plan, enum reserve_use use)
{
	bool oldest = plan->first + plan->count == view->run_count;
	struct run *merged = NULL;
	struct source *source;
	uint64_t expected = 0;
	int result;

	for (size_t i = 0; i < plan->count; i++)
		expected +=
			run_summary(view->runs[plan->first + i])->entry_count;
	source = runs_source_new(view->runs + plan->first, plan->count);
	if (!source)
		return -ENOMEM;
	result = run_build(kv, source, expected, oldest, use, &merged);
	source_free(source);
	if (result >= 0)
		result = merge_commit(kv, view, plan, merged);
	if (!result) {
		counter_add(&kv->counters.merges, 1);
		if (merged)
			counter_add(&kv->counters.merge_bytes,
				    run_summary(merged)->file_size_bytes);
	}
	if (result == -EBADMSG || result == -EUCLEAN)
		atomic_store(&kv->index_damaged, true);
	run_unref(merged);
	return result;
}

int merge_runs(struct kv *kv, bool all)
{
	enum reserve_use use = all ? RESERVE_FOR_COMPACTION :
				     RESERVE_FOR_CHANGE;
	int error = 0;

	/* The manifest's counts go with the runs that it names; those that
	 * recovery has written may not be among them before a checkpoint. */
	if (atomic_load(&kv->unsaved))
		return 0;
	while (!error) {
		struct view *view = kv_view_acquire(kv);
		struct merge_plan plan = plan_of(view, all);

		if (!plan.count) {
			view_unref(view);
			return 0;
		}
		error = merge_fits(kv, view, &plan, use) ?
				merge_once(kv, view, &plan, use) :
				-ENOSPC;
		view_unref(view);
		/* What was merged is off the disk when this returns. */
		reaper_drain(&kv->reaper);
		if (all)
			break;
	}
	return error;
}
