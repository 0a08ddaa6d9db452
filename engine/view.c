/* SPDX-License-Identifier: MIT */

/*
 * Views: who points at which memtables, runs and segments. No lock: a view is
 * immutable, and its reference count atomic.
 */

#include "engine/view.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bloom.h"

static int segment_order(const void *a, const void *b)
{
	const struct segment *const *left = a, *const *right = b;

	return ((*left)->header.id > (*right)->header.id) -
	       ((*left)->header.id < (*right)->header.id);
}

static void view_free(struct reaped *reaped)
{
	struct view *view = (struct view *)reaped;

	memtable_unref(view->active);
	for (size_t i = 0; i < view->frozen_count; i++)
		memtable_unref(view->frozen[i]);
	for (size_t i = 0; i < view->run_count; i++)
		run_unref(view->runs[i]);
	for (size_t i = 0; i < view->segment_count; i++)
		segment_unref(view->segments[i]);
	free(view->runs);
	free(view->segments);
	free(view);
}

static void view_make_ranges(struct view *view)
{
	const struct run_bounds *bounds[RUN_RANGES_MAX];

	for (size_t i = 0; i < view->run_count && i < RUN_RANGES_MAX; i++)
		bounds[i] = run_bounds(view->runs[i]);
	run_ranges_make(&view->ranges, bounds, view->run_count);
}

struct view *view_new(struct memtable *active, struct memtable *const *frozen,
		      size_t frozen_count, struct run *const *runs,
		      size_t run_count, struct segment *const *segments,
		      size_t segment_count)
{
	struct view *view = calloc(1, sizeof(*view));

	assert(frozen_count <= VIEW_FROZEN_MAX);
	if (!view)
		return NULL;
	view->runs = calloc(run_count + 1, sizeof(struct run *));
	view->segments = calloc(segment_count + 1, sizeof(struct segment *));
	if (!view->runs || !view->segments) {
		free(view->runs);
		free(view->segments);
		free(view);
		return NULL;
	}
	atomic_init(&view->refs, 1);
	view->reaped.free = view_free;
	view->active = active ? memtable_ref(active) : NULL;
	for (size_t i = 0; i < frozen_count; i++)
		view->frozen[i] = memtable_ref(frozen[i]);
	view->frozen_count = frozen_count;
	for (size_t i = 0; i < run_count; i++)
		view->runs[i] = run_ref(runs[i]);
	view->run_count = run_count;
	view_make_ranges(view);
	for (size_t i = 0; i < segment_count; i++)
		view->segments[i] = segment_ref(segments[i]);
	view->segment_count = segment_count;
	qsort(view->segments, segment_count, sizeof(struct segment *),
	      segment_order);
	return view;
}

struct view *view_ref(struct view *view)
{
	atomic_fetch_add_explicit(&view->refs, 1, memory_order_relaxed);
	return view;
}

void view_unref(struct view *view)
{
	if (!view || atomic_fetch_sub(&view->refs, 1) != 1)
		return;
	if (!view->reaper || !reaper_give(view->reaper, &view->reaped))
		view_free(&view->reaped);
}

struct segment *view_segment(const struct view *view, uint64_t id)
{
	size_t low = 0, high = view->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		uint64_t at = view->segments[middle]->header.id;

		if (at == id)
			return view->segments[middle];
		if (at < id)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Whether the run may have the key for which run_ranges_find() said this. */
static bool may_have(uint64_t candidates, size_t run)
{
	return run >= RUN_RANGES_MAX || candidates >> run & 1;
}

static void prefetch_filters(const struct view *view, uint64_t candidates,
			     uint64_t hash)
{
	for (size_t i = 0; i < view->run_count; i++) {
		if (may_have(candidates, i))
			run_filter_prefetch(view->runs[i], hash);
	}
}

void view_prefetch(const struct view *view, struct slice key)
{
	uint64_t candidates = run_ranges_find(&view->ranges, key);

	if (candidates || view->run_count > RUN_RANGES_MAX)
		prefetch_filters(view, candidates, bloom_hash(key));
}

static int find_in_memtables(const struct view *view, struct slice key,
			     bool below_active, struct place *ret_place)
{
	if (!below_active && view->active &&
	    memtable_get(view->active, key, ret_place) == 0)
		return 0;
	for (size_t i = 0; i < view->frozen_count; i++) {
		if (memtable_get(view->frozen[i], key, ret_place) == 0)
			return 0;
	}
	return 1;
}

static int find_in_runs(const struct view *view, struct slice key,
			uint64_t candidates, uint64_t hash,
			struct place *ret_place, struct view_probe *probe)
{
	enum run_probe outcome = RUN_BLOOM_MISS;

	for (size_t i = 0; i < view->run_count; i++) {
		int result;

		if (!may_have(candidates, i))
			continue;
		result = run_get(view->runs[i], key, hash, ret_place, &outcome);
		if (result <= 0)
			return result;
		if (outcome == RUN_BLOOM_MISS)
			probe->bloom_skips++;
		else
			probe->bloom_false_matches++;
	}
	return 1;
}

int view_find(const struct view *view, struct slice key, bool below_active,
	      struct place *ret_place, struct view_probe *probe)
{
	uint64_t candidates = run_ranges_find(&view->ranges, key);
	bool asks = candidates || view->run_count > RUN_RANGES_MAX;
	uint64_t hash = asks ? bloom_hash(key) : 0;
	struct view_probe unused = { 0 };

	if (!probe)
		probe = &unused;
	/* Whoever leaves out the memtable has had time to do so before. */
	if (!below_active && asks)
		prefetch_filters(view, candidates, hash);
	if (find_in_memtables(view, key, below_active, ret_place) == 0) {
		probe->memtable_hit = true;
		return 0;
	}
	return asks ? find_in_runs(view, key, candidates, hash, ret_place,
				   probe) :
		      1;
}

struct source *view_source_new(const struct view *view)
{
	size_t capacity = 1 + view->frozen_count + view->run_count, count = 0;
	struct source **sources = calloc(capacity, sizeof(struct source *));
	struct source *merged = NULL;
	bool complete = true;

	if (!sources)
		return NULL;
	if (view->active)
		sources[count++] = memtable_source_new(view->active);
	for (size_t i = 0; i < view->frozen_count; i++)
		sources[count++] = memtable_source_new(view->frozen[i]);
	for (size_t i = 0; i < view->run_count; i++)
		sources[count++] = run_source_new(view->runs[i]);
	for (size_t i = 0; i < count; i++)
		complete = complete && sources[i];
	if (complete) {
		merged = merge_source_new(sources, count);
	} else {
		for (size_t i = 0; i < count; i++)
			source_free(sources[i]);
	}
	free(sources);
	return merged;
}
