/* SPDX-License-Identifier: MIT */

/*
 * The store's current view and its table of segments: how they are replaced.
 *
 * 1. The view changes only under the write lock, so a holder of that lock may
 *    take its parts as constant.
 * 2. Every segment of the table is in the view published after it was added.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv_internal.h"

void kv_view_publish(struct kv *kv, struct view *next)
{
	next->reaper = &kv->reaper;
	view_cell_replace(&kv->views, next);
}

int kv_view_refresh_segments(struct kv *kv)
{
	struct view *now = kv_view_acquire(kv);
	struct view *next =
		view_new(now->active, now->frozen, now->frozen_count, now->runs,
			 now->run_count, kv->segments, kv->segment_count);

	view_unref(now);
	if (!next)
		return -ENOMEM;
	kv_view_publish(kv, next);
	return 0;
}

int kv_view_freeze(struct kv *kv, size_t frozen_max)
{
	struct view *now = kv_view_acquire(kv), *next = NULL;
	struct memtable *frozen[VIEW_FROZEN_MAX], *fresh = NULL;
	int error = 0;

	if (!memtable_entry_count(now->active))
		goto out;
	if (now->frozen_count >= frozen_max) {
		error = -EBUSY;
		goto out;
	}
	error = -ENOMEM;
	fresh = memtable_new();
	if (!fresh)
		goto out;
	frozen[0] = now->active;
	memcpy(frozen + 1, now->frozen, now->frozen_count * sizeof(frozen[0]));
	next = view_new(fresh, frozen, now->frozen_count + 1, now->runs,
			now->run_count, kv->segments, kv->segment_count);
	memtable_unref(fresh);
	if (!next)
		goto out;
	kv_view_publish(kv, next);
	error = 0;
out:
	view_unref(now);
	return error;
}

/* The index of the first segment with an id not below `id`. */
static size_t segment_position(struct kv *kv, uint64_t id)
	REQUIRES(kv->write_lock)
{
	size_t low = 0, high = kv->segment_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (kv->segments[middle]->header.id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct segment *kv_segment_find(struct kv *kv, uint64_t id)
{
	size_t at = segment_position(kv, id);

	if (at == kv->segment_count || kv->segments[at]->header.id != id)
		return NULL;
	return kv->segments[at];
}

int kv_segment_add(struct kv *kv, struct segment *segment)
{
	size_t at = segment_position(kv, segment->header.id);
	struct segment **grown;

	grown = reallocarray(kv->segments, kv->segment_count + 1,
			     sizeof(*grown));
	if (!grown) {
		segment_unref(segment);
		return -ENOMEM;
	}
	kv->segments = grown;
	memmove(grown + at + 1, grown + at,
		(kv->segment_count - at) * sizeof(*grown));
	grown[at] = segment;
	kv->segment_count++;
	return 0;
}
