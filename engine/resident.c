/* SPDX-License-Identifier: MIT */

/*
 * Giving back mapped pages.
 *
 * How much is mapped only the system knows: a fault maps what is cached around
 * it, and how much of that differs. It is asked often enough that not much more
 * can have come, going by how often something was touched for the first time;
 * that is a few system calls for sixteen faults or more.
 *
 * What is given back is chosen by a hand that goes round the files of the view, a
 * step at a time: so it is what has been there longest, or nearly, as the view's
 * files change meanwhile.
 */

#include "engine/resident.h"

#include "engine/kv_internal.h"

/* Times of memory_bytes that may be resident. */
#define RESIDENT_TIMES 3u
/* The part of that which is given back at a time, for which nobody waits longer
 * than for some reads. */
#define GIVE_PART 32u
/* Of a file, in one call of the system, which interrupts the process's other
 * threads; a multiple of what a fault maps, which so is in one step. */
#define STEP_BYTES ((size_t)16 << 20)
/* The most that a fault is likely to map; touches between two looks. */
#define FAULT_MAX_BYTES ((uint64_t)2 << 20)
#define TOUCHES_MIN 16u

static uint64_t resident_limit(const struct kv *kv)
{
	return RESIDENT_TIMES * kv->options.memory_bytes;
}

/* Without the program itself. */
static uint64_t resident_bytes(const struct resident *resident)
{
	uint64_t mapped = io_map_resident_bytes();

	return mapped > resident->base_bytes ? mapped - resident->base_bytes :
					       0;
}

/* Whether the step found something. */
static bool take_step(struct kv *kv, const struct view *view)
	REQUIRES(kv->resident.lock)
{
	struct resident *resident = &kv->resident;
	uint64_t offset = resident->offset, size;
	bool dropped;

	if (resident->file < view->run_count) {
		struct run *run = view->runs[resident->file];

		size = run_summary(run)->file_size_bytes;
		dropped = run_drop_cache(run, offset, STEP_BYTES);
	} else {
		struct segment *segment =
			view->segments[resident->file - view->run_count];

		size = segment->limit;
		dropped = segment_drop_cache(segment, offset, STEP_BYTES);
	}
	resident->offset += STEP_BYTES;
	if (resident->offset >= size) {
		resident->offset = 0;
		resident->file++;
	}
	return dropped;
}

/* Until no more than that is resident; once round all files at most. */
static void give_back(struct kv *kv, uint64_t target_bytes)
	REQUIRES(kv->resident.lock)
{
	struct resident *resident = &kv->resident;
	struct view *view = kv_view_acquire(kv);
	size_t count = view->run_count + view->segment_count, passed = 0;
	uint64_t now = resident_bytes(resident);

	while (passed <= count && now > target_bytes) {
		size_t file = resident->file;

		if (file >= count) {
			resident->file = 0;
			resident->offset = 0;
			passed += count == 0;
		} else {
			if (take_step(kv, view))
				now = resident_bytes(resident);
			passed += resident->file != file;
		}
	}
	view_unref(view);
}

static void look(struct kv *kv) REQUIRES(kv->resident.lock)
{
	uint64_t limit = resident_limit(kv);
	uint64_t now = resident_bytes(&kv->resident), touches = TOUCHES_MIN;

	if (now >= limit)
		give_back(kv, limit - limit / GIVE_PART);
	else if ((limit - now) / FAULT_MAX_BYTES > touches)
		touches = (limit - now) / FAULT_MAX_BYTES;
	atomic_store_explicit(&kv->resident.look_at, io_map_touches() + touches,
			      memory_order_relaxed);
}

void resident_look(struct kv *kv)
{
	uint64_t look_at;

	/* Somebody does. Who is far ahead waits for him. */
	if (!mutex_try_lock(&kv->resident.lock)) {
		look_at = atomic_load_explicit(&kv->resident.look_at,
					       memory_order_relaxed);
		if (io_map_touches() < look_at + TOUCHES_MIN)
			return;
		mutex_lock(&kv->resident.lock);
	}
	if (resident_is_due(kv))
		look(kv);
	mutex_unlock(&kv->resident.lock);
}

void resident_poll(struct kv *kv)
{
	uint64_t half = kv->options.memory_bytes / 2;

	if (resident_bytes(&kv->resident) < half)
		return;
	mutex_lock(&kv->resident.lock);
	give_back(kv, 0);
	mutex_unlock(&kv->resident.lock);
}

void resident_init(struct kv *kv)
{
	struct resident *resident = &kv->resident;

	mutex_init(&resident->lock);
	resident->base_bytes = io_map_resident_bytes();
	resident->look_at = io_map_touches();
}

void resident_release(struct kv *kv)
{
	mutex_release(&kv->resident.lock);
}
