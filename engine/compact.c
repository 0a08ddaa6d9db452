/* SPDX-License-Identifier: MIT */

/*
 * Compaction: rounds of choosing segments, moving what lives in them, and a
 * checkpoint that gives the space back. In the background by dead ratio, on
 * demand everything that has something to give. One at a time: compact_lock.
 *
 * That lock is held while progress is told. Whoever is told may change the store,
 * and may find the disk full; so a thread knows what it is compacting, and does
 * not begin the same again below itself.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compact_plan.h"
#include "engine/kv_internal.h"
#include "engine/relocate.h"

/* What of a segment must be reclaimable, in per cent, when space is short. */
#define RATIO_WHEN_LOW 5u
/* Live bytes copied between two checkpoints. */
#define ROUND_COPY_MAX ((uint64_t)256 << 20)
/* What a checkpoint takes beside the memtable as a run. */
#define CHECKPOINT_BYTES ((uint64_t)128 << 10)

/* What this thread compacts on demand; NULL: nothing. */
static _Thread_local struct kv *compacting;

/* The segments as a round sees them; arrays run in parallel. */
struct round {
	struct segment **segments; /* with references */
	struct compact_candidate *candidates;
	bool *chosen;
	bool *stays;
	uint64_t *left_lsn; /* of tombstones left out, the last; 0: none */
	size_t count;
};

static void round_release(struct round *round)
{
	for (size_t i = 0; i < round->count; i++)
		segment_unref(round->segments[i]);
	free(round->segments);
	free(round->candidates);
	free(round->chosen);
	free(round->stays);
	free(round->left_lsn);
}

static int round_init(struct kv *kv, struct round *round)
{
	size_t count;

	*round = (struct round){ 0 };
	mutex_lock(&kv->write_lock);
	count = kv->segment_count;
	round->segments = calloc(count + 1, sizeof(struct segment *));
	round->candidates = calloc(count + 1, sizeof(*round->candidates));
	round->chosen = calloc(count + 1, sizeof(bool));
	round->stays = calloc(count + 1, sizeof(bool));
	round->left_lsn = calloc(count + 1, sizeof(uint64_t));
	if (round->segments && round->candidates && round->chosen &&
	    round->stays && round->left_lsn) {
		for (size_t i = 0; i < count; i++) {
			struct segment *s = kv->segments[i];

			round->segments[i] = segment_ref(s);
			round->candidates[i] = (struct compact_candidate){
				.size_bytes = s->end,
				.live_bytes = s->counts.live_bytes,
				.tombstone_bytes = s->counts.tombstone_bytes,
				.dead_count = s->counts.dead_count,
				.created_lsn = s->header.created_lsn,
				.eligible =
					s->sealed && !s->emptied &&
					(!s->damaged || !s->counts.live_count),
			};
		}
		round->count = count;
	}
	mutex_unlock(&kv->write_lock);
	if (round->count == count)
		return 0;
	round_release(round);
	return -ENOMEM;
}

uint64_t compact_room(struct kv *kv)
{
	uint64_t free_bytes, total_bytes, taken = CHECKPOINT_BYTES;
	struct view *view;

	if (kv_disk_space(kv, &free_bytes, &total_bytes))
		return ROUND_COPY_MAX;
	free_bytes += atomic_load(&kv->reserve.held_bytes);
	view = kv_view_acquire(kv);
	taken += memtable_size_bytes(view->active);
	for (size_t i = 0; i < view->frozen_count; i++)
		taken += memtable_size_bytes(view->frozen[i]);
	view_unref(view);
	free_bytes = free_bytes > taken ? free_bytes - taken : 0;
	return free_bytes < ROUND_COPY_MAX ? free_bytes : ROUND_COPY_MAX;
}

/* Where space is short: the best of those that fit. */
static size_t round_choose_fitting(struct round *round, uint64_t before_id,
				   unsigned int ratio_percent,
				   uint64_t copy_max)
{
	for (size_t i = 0; i < round->count; i++) {
		struct compact_candidate *c = &round->candidates[i];

		if (c->live_bytes + c->tombstone_bytes > copy_max ||
		    (!c->dead_count && !c->tombstone_bytes) ||
		    round->segments[i]->header.id >= before_id)
			c->eligible = false;
	}
	return compact_plan_choose(round->candidates, round->count,
				   ratio_percent, copy_max, round->chosen);
}

/* On demand: everything old that has anything to give, oldest first. */
static size_t round_choose_all(struct kv *kv, struct round *round,
			       uint64_t before_id)
{
	uint64_t copied = 0, small = kv->options.segment_size_bytes / 4;
	size_t chosen = 0, small_count = 0;

	for (size_t i = 0; i < round->count; i++)
		small_count += round->candidates[i].eligible &&
			       round->candidates[i].size_bytes < small;
	for (size_t i = 0; i < round->count; i++) {
		const struct compact_candidate *c = &round->candidates[i];

		if (!c->eligible ||
		    round->segments[i]->header.id >= before_id ||
		    (!c->dead_count && !c->tombstone_bytes &&
		     (c->size_bytes >= small || small_count < 2)))
			continue;
		if (chosen && copied + c->live_bytes > ROUND_COPY_MAX)
			break;
		round->chosen[i] = true;
		copied += c->live_bytes;
		chosen++;
	}
	return chosen;
}

static uint64_t round_total(const struct round *round)
{
	uint64_t total = 0;

	for (size_t i = 0; i < round->count; i++)
		if (round->chosen[i])
			total += round->candidates[i].size_bytes;
	return total;
}

/* Moves what is needed out of the chosen. What could not be emptied stays. */
static int round_move(struct kv *kv, struct round *round,
		      kv_progress_fn *progress, void *ctx, bool paced)
{
	struct relocation *relocation;
	size_t i;
	int error = 0;

	for (i = 0; i < round->count; i++)
		round->stays[i] = !round->chosen[i];
	relocation = relocation_new(kv, round->candidates, round->stays,
				    round->count, progress, ctx,
				    round_total(round), paced);
	if (!relocation)
		error = -ENOMEM;
	for (i = 0; i < round->count && error >= 0; i++) {
		if (!round->chosen[i])
			continue;
		error = relocation_move(relocation, round->segments[i],
					&round->left_lsn[i]);
		round->stays[i] = error != 0;
	}
	for (; i < round->count; i++)
		round->stays[i] = true;
	if (relocation)
		relocation_free(relocation);
	return error < 0 ? error : 0;
}

/* What left out a tombstone that is needed after all, as its record's segment
 * did not get emptied, stays with it. That it does may hold others. */
static void round_hold_tombstones(struct round *round)
{
	bool again = true;

	while (again) {
		again = false;
		for (size_t i = 0; i < round->count; i++) {
			if (round->stays[i] || !round->left_lsn[i] ||
			    !tombstone_needed(round->candidates, round->stays,
					      round->count, round->left_lsn[i]))
				continue;
			round->stays[i] = true;
			again = true;
		}
	}
}

/* Marks what goes with the next checkpoint: how many. All at once, so that no
 * checkpoint drops a tombstone before what it speaks of. */
static size_t round_mark_emptied(struct kv *kv, struct round *round)
{
	size_t count = 0;

	round_hold_tombstones(round);
	mutex_lock(&kv->write_lock);
	for (size_t i = 0; i < round->count; i++) {
		if (round->stays[i])
			continue;
		assert(!round->segments[i]->counts.live_count);
		round->segments[i]->emptied = true;
		count++;
	}
	mutex_unlock(&kv->write_lock);
	return count;
}

/*
 * Does what was chosen. 0, or the first error; the checkpoint is made for what
 * was achieved in any case. That the disk became full meanwhile is no error if
 * something is given back: the next round finds what fits then.
 */
static int round_run(struct kv *kv, struct round *round,
		     kv_progress_fn *progress, void *ctx, bool paced)
{
	int error = round_move(kv, round, progress, ctx, paced);
	int checkpoint_error;

	if (round_mark_emptied(kv, round) && error_is_full(error))
		error = 0;
	atomic_store(&kv->compacted_at_s, (int64_t)time(NULL));
	counter_add(&kv->counters.compactions, 1);
	checkpoint_error = checkpoint(kv, false);
	return error ? error : checkpoint_error;
}

static int round_of_segments(struct kv *kv, unsigned int ratio_percent,
			     bool paced) REQUIRES(kv->compact_lock)
{
	struct round round;
	size_t chosen;
	int error = round_init(kv, &round);

	if (error)
		return error;
	chosen = round_choose_fitting(&round, UINT64_MAX, ratio_percent,
				      compact_room(kv));
	error = chosen ? round_run(kv, &round, NULL, NULL, paced) : 1;
	round_release(&round);
	return error;
}

int compact_round(struct kv *kv)
{
	bool low = reserve_is_low(&kv->reserve);
	int error, merge_error;

	mutex_lock(&kv->compact_lock);
	merge_error = merge_runs(kv, false);
	if (merge_error && !error_is_full(merge_error))
		error = merge_error;
	else if (kv->options.compact_auto)
		error = round_of_segments(
			kv, low ? RATIO_WHEN_LOW : kv->options.compact_ratio,
			!low);
	else
		error = 1;
	mutex_unlock(&kv->compact_lock);
	return error;
}

/* The segment being written cannot be compacted: ends it when that pays. */
static void rotate_if_dead(struct kv *kv)
{
	mutex_lock(&kv->write_lock);
	if (kv->active && kv->active->counts.live_bytes < kv->active->end / 2)
		log_rotate(kv);
	mutex_unlock(&kv->write_lock);
}

int compact_for_space(struct kv *kv)
{
	int error;

	if (compacting == kv)
		return -EDEADLK;
	mutex_lock(&kv->compact_lock);
	/* Or somebody else has just made some. */
	error = reserve_keep(&kv->reserve, RESERVE_FOR_CHANGE, 0);
	if (error) {
		rotate_if_dead(kv);
		error = round_of_segments(kv, 0, false);
	}
	mutex_unlock(&kv->compact_lock);
	return error;
}

static int compact_all(struct kv *kv, kv_progress_fn *progress, void *ctx)
	REQUIRES(kv->compact_lock)
{
	uint64_t before_id, copy_max;
	int error = 0;

	mutex_lock(&kv->write_lock);
	log_rotate(kv);
	before_id = atomic_load(&kv->next_file_id);
	mutex_unlock(&kv->write_lock);
	while (!error) {
		struct round round;
		size_t chosen;

		error = round_init(kv, &round);
		if (error)
			return error;
		copy_max = compact_room(kv);
		chosen = copy_max < ROUND_COPY_MAX ?
				 round_choose_fitting(&round, before_id, 0,
						      copy_max) :
				 round_choose_all(kv, &round, before_id);
		if (chosen)
			error = round_run(kv, &round, progress, ctx, false);
		round_release(&round);
		if (!chosen)
			break;
	}
	if (!error)
		error = checkpoint(kv, false);
	if (error)
		return error;
	/* Merging gives back little; where it finds no space, it waits. */
	error = merge_runs(kv, true);
	reserve_keep(&kv->reserve, RESERVE_FOR_DELETION, 0);
	return error_is_full(error) ? 0 : error;
}

int kv_compact(struct kv *kv, kv_progress_fn *progress, void *ctx)
{
	struct kv *outer = compacting;
	int error = kv_writable(kv);

	if (error)
		return error;
	if (outer == kv)
		return -EDEADLK;
	mutex_lock(&kv->compact_lock);
	compacting = kv;
	error = compact_all(kv, progress, ctx);
	compacting = outer;
	mutex_unlock(&kv->compact_lock);
	return error;
}
