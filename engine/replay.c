/* SPDX-License-Identifier: MIT */

/*
 * Replay.
 *
 * The log is a chain of segments with consecutive LSNs. Reading it, the next
 * LSN is always known; the question is what to make of a place where it does
 * not stand. Let E be the expected LSN and D the highest that is known to have
 * been synced (from the manifest, or from a MARK, which the log carries in front
 * of the first record after each sync):
 *
 *	E <= D	the record was on disk once: this is damage. Search for the
 *		next valid record, report what is missing, go on.
 *	E > D	nobody was promised the record: this is the end of the log,
 *		torn. It and everything behind it are dropped, for what follows
 *		it in the file may have been written before it.
 *
 * 1. A batch is applied when its last record has been read, so a torn batch
 *    leaves no trace. In a damaged one what can be read is applied.
 * 2. A segment follows another if its base LSN is the expected one: it was
 *    begun when the log had come exactly so far.
 * 3. Records are applied by the code that counts commits (kv_account), so
 *    counters come out as they were.
 */

#include "engine/replay.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scan.h"

struct pending {
	size_t key_offset;
	size_t key_size;
	struct place place;
};

/* The reading of one chain segment. */
struct replay_state {
	struct replay *replay;
	struct segment *segment;
	struct pending *pending; /* records of the batch being read */
	size_t count, capacity;
	struct buf keys;
	uint64_t safe_end; /* behind the last whole batch */
};

static int pending_add(struct replay_state *state, const struct record *record,
		       uint64_t offset)
{
	size_t capacity = state->capacity ? 2 * state->capacity : 64;
	struct pending *grown;

	if (state->count == state->capacity) {
		grown = reallocarray(state->pending, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		state->pending = grown;
		state->capacity = capacity;
	}
	state->pending[state->count] = (struct pending){
		.key_offset = state->keys.size,
		.key_size = record->key.size,
		.place = { .offset = offset,
			   .size_bytes = record->size_bytes,
			   .lsn = record->lsn,
			   .segment_id = state->segment->header.id,
			   .tombstone = record->type == RECORD_DELETE },
	};
	if (buf_append(&state->keys, record->key.data, record->key.size))
		return -ENOMEM;
	state->count++;
	return 0;
}

/* The LSN at a place. Runs do not keep it; the record itself does. 0 when it
 * cannot be read: then anything is newer. */
static uint64_t place_lsn(const struct view *view, struct slice key,
			  const struct place *place)
{
	struct segment *segment = view_segment(view, place->segment_id);
	struct segment_read read = { .key = key };

	if (place->lsn || !segment)
		return place->lsn;
	return segment_read(segment, place, &read) ? 0 : read.lsn;
}

/* A record that lost against a newer one is dead in its segment. */
static void count_loser(const struct place *place, struct segment *segment)
{
	if (place->tombstone) {
		segment->counts.tombstone_count++;
		segment->counts.tombstone_bytes += place->size_bytes;
	} else {
		segment->counts.dead_count++;
	}
}

static int apply_one(struct kv *kv, struct replay *replay,
		     const struct view *view, struct slice key,
		     const struct place *place) REQUIRES(kv->write_lock)
{
	struct place old, unused;
	int found = view_find(view, key, false, &old, NULL), error;

	/* What it replaces cannot be told, nor counted: the index is rebuilt. */
	if (found < 0)
		return found;
	if (found == 0 && replay->rebuilding &&
	    place_lsn(view, key, &old) >= place->lsn) {
		count_loser(place, kv_segment_find(kv, place->segment_id));
		return 0;
	}
	error = memtable_reserve(view->active, 1, key.size);
	if (error)
		return error;
	memtable_put(view->active, key, place, &unused);
	kv_account(kv, key, place, found == 0 ? &old : NULL);
	replay->record_count++;
	return 0;
}

/* Keeps memory bounded however long the log is. */
static int apply_budget(struct kv *kv)
{
	struct view *view = kv_view_acquire(kv);
	size_t size = memtable_size_bytes(view->active);
	int error;

	view_unref(view);
	if (size < kv->memtable_budget_bytes)
		return 0;
	mutex_lock(&kv->write_lock);
	error = kv_view_freeze(kv, VIEW_FROZEN_MAX);
	mutex_unlock(&kv->write_lock);
	return error ? error : flush_frozen(kv);
}

/* Of empty keys alone there are no bytes to point into. */
static struct slice pending_key(const struct replay_state *state,
				const struct pending *p)
{
	return p->key_size ?
		       slice_of(state->keys.data + p->key_offset, p->key_size) :
		       slice_of("", 0);
}

static int pending_apply(struct replay_state *state)
{
	struct kv *kv = state->replay->kv;
	struct view *view;
	int error = 0;

	mutex_lock(&kv->write_lock);
	view = kv_view_acquire(kv);
	for (size_t i = 0; i < state->count && !error; i++) {
		const struct pending *p = &state->pending[i];

		error = apply_one(kv, state->replay, view,
				  pending_key(state, p), &p->place);
	}
	view_unref(view);
	mutex_unlock(&kv->write_lock);
	state->count = 0;
	buf_clear(&state->keys);
	return error ? error : apply_budget(kv);
}

/* The segment is kept by compaction as long as it can be: what is left of the
 * records may tell somebody whose they were. */
static void report_loss(struct replay *replay, struct segment *segment,
			uint64_t offset, uint64_t count)
{
	replay->damaged = true;
	segment->damaged = true;
	replay->lost_count += count;
	kv_log(replay->kv, KV_LOG_ERROR,
	       "segment %016llx is damaged at %llu: %llu changes lost",
	       (unsigned long long)segment->header.id,
	       (unsigned long long)offset, (unsigned long long)count);
}

/* A record in its place, or one met after a gap. 0, or -errno. */
static int replay_record(struct replay_state *state,
			 const struct record *record, uint64_t offset,
			 uint64_t end)
{
	struct replay *replay = state->replay;
	int error;

	if (record->lsn > replay->next_lsn) {
		if (!replay->rebuilding)
			report_loss(replay, state->segment, offset,
				    record->lsn - replay->next_lsn);
	}
	replay->next_lsn = record->lsn + 1;
	error = pending_add(state, record, offset);
	if (error || (record->flags & RECORD_MORE))
		return error;
	state->safe_end = end;
	return pending_apply(state);
}

enum replay_verdict {
	REPLAY_NEXT, /* go on with the next segment */
	REPLAY_CUT,  /* the log ends here, torn */
};

/* At a place where no valid record stands. 0: the scan found one further on;
 * 1: this segment has none any more; -errno. */
static int replay_gap(struct replay_state *state, struct scan *scan)
{
	struct replay *replay = state->replay;
	int result;

	if (replay->next_lsn > replay->durable_lsn)
		return 1;
	result = scan_resync(scan, replay->next_lsn, UINT64_MAX);
	/* Of a damaged batch, what could be read counts. */
	if (result >= 0 && state->count) {
		int error = pending_apply(state);

		if (error)
			return error;
	}
	return result;
}

static int replay_segment(struct replay_state *state, struct scan *scan,
			  enum replay_verdict *ret_verdict)
{
	struct replay *replay = state->replay;
	struct record record;
	uint64_t offset;

	for (;;) {
		int event = scan_next(scan, &record, &offset), result;
		bool unsynced = replay->next_lsn > replay->durable_lsn;

		if (event < 0)
			return event;
		if (event == SCAN_END || event == SCAN_BAD) {
			if (event == SCAN_BAD && unsynced)
				*ret_verdict = REPLAY_CUT;
			result = replay_gap(state, scan);
			if (result == 1)
				return 0;
			if (result)
				return result;
			continue;
		}
		if (record.type == RECORD_SEAL) {
			/* Behind it is what was allocated and not given back. */
			state->segment->limit = scan->offset;
			return 0;
		}
		if (record.type == RECORD_MARK) {
			if (!state->count)
				state->safe_end = scan->offset;
			continue;
		}
		/* Out of its order, or with a value that never reached the
		 * disk whole. */
		if (unsynced &&
		    (event == SCAN_BAD_VALUE || record.lsn < replay->next_lsn ||
		     (record.lsn > replay->next_lsn && !replay->rebuilding))) {
			*ret_verdict = REPLAY_CUT;
			return 0;
		}
		if (record.lsn < replay->next_lsn)
			continue;
		if (event == SCAN_BAD_VALUE)
			report_loss(replay, state->segment, offset, 1);
		result = replay_record(state, &record, offset, scan->offset);
		if (result)
			return result;
	}
}

static void replay_cut_at(struct replay *replay, size_t index, uint64_t offset,
			  bool torn)
{
	replay->cut_index = index;
	replay->cut_offset = offset;
	replay->torn = replay->torn || torn;
}

/* Whether a segment continues the log at the LSN it has come to. */
static bool replay_follows(struct replay *replay, struct segment *next)
{
	uint64_t base = next->header.base_lsn;

	if (base == replay->next_lsn)
		return true;
	if (base < replay->next_lsn || (replay->next_lsn > replay->durable_lsn))
		return false;
	if (!replay->rebuilding)
		report_loss(replay, next, 0, base - replay->next_lsn);
	replay->next_lsn = base;
	return true;
}

static int replay_one(struct replay *replay, size_t index,
		      struct replay_state *state,
		      enum replay_verdict *ret_verdict)
{
	struct segment *segment = replay->chain[index];
	struct scan scan = { 0 };
	int error;

	state->segment = segment;
	state->safe_end = !index && replay->first_offset ?
				  replay->first_offset :
				  SEGMENT_HEADER_BYTES;
	*ret_verdict = REPLAY_NEXT;
	/* After a clean close nothing follows; the file is not even opened. */
	if (state->safe_end >= segment->limit)
		return 0;
	error = scan_init(&scan, segment, state->safe_end, segment->limit);
	if (error)
		return error;
	scan.verify_values = true;
	error = replay_segment(state, &scan, ret_verdict);
	scan_release(&scan);
	return error;
}

/* After segment `index` was read: whether to go on. Else the end is noted. */
static bool replay_goes_on(struct replay *replay, size_t index,
			   struct replay_state *state,
			   enum replay_verdict verdict)
{
	bool last = index + 1 == replay->chain_count;

	/* Garbage that was never synced is no end when the next segment proves
	 * that nothing is missing. A batch without its end is one. */
	if (!state->count && !last &&
	    replay_follows(replay, replay->chain[index + 1]))
		return true;
	if (state->count)
		replay->next_lsn = state->pending[0].place.lsn;
	replay_cut_at(replay, index, state->safe_end,
		      state->count || !last || verdict == REPLAY_CUT);
	state->count = 0;
	return false;
}

/* What was synced once and is not there, at the very end of the log. */
static void replay_end(struct replay *replay)
{
	if (replay->next_lsn > replay->durable_lsn)
		return;
	if (!replay->rebuilding && replay->chain_count)
		report_loss(replay, replay->chain[replay->chain_count - 1], 0,
			    replay->durable_lsn - replay->next_lsn + 1);
	else if (!replay->rebuilding)
		replay->damaged = true;
	replay->next_lsn = replay->durable_lsn + 1;
}

int replay_run(struct replay *replay)
{
	struct replay_state state = { .replay = replay };
	enum replay_verdict verdict;
	int error = 0;

	replay->cut_index = replay->chain_count;
	if (replay->chain_count && replay->rebuilding)
		replay->next_lsn = replay->chain[0]->header.base_lsn;
	if (replay->chain_count && !replay->rebuilding &&
	    !replay->first_offset && !replay_follows(replay, replay->chain[0]))
		replay_cut_at(replay, 0, SEGMENT_HEADER_BYTES, true);
	else
		for (size_t i = 0; i < replay->chain_count; i++) {
			error = replay_one(replay, i, &state, &verdict);
			if (error ||
			    !replay_goes_on(replay, i, &state, verdict))
				break;
		}
	if (!error)
		replay_end(replay);
	free(state.pending);
	buf_release(&state.keys);
	return error;
}

int replay_find_durable(struct replay *replay)
{
	int error = 0;

	for (size_t i = 0; i < replay->chain_count && !error; i++) {
		struct segment *segment = replay->chain[i];
		uint64_t offset = i ? 0 : replay->first_offset;
		struct scan scan = { 0 };
		struct record record;
		int event;

		if (offset >= segment->limit)
			continue;
		error = scan_init(&scan, segment, offset, segment->limit);
		while (!error) {
			event = scan_next(&scan, &record, &offset);
			if (event < 0)
				error = event;
			else if (event == SCAN_END || event == SCAN_BAD)
				error = scan_resync(&scan, 0, UINT64_MAX);
			else if (record.type == RECORD_MARK &&
				 record.lsn > replay->durable_lsn)
				replay->durable_lsn = record.lsn;
		}
		scan_release(&scan);
		/* Nothing more in this one. */
		if (error == 1)
			error = 0;
	}
	return error;
}

int replay_cold(struct replay *replay, struct segment *segment)
{
	struct replay_state state = { .replay = replay, .segment = segment };
	struct scan scan = { 0 };
	struct record record;
	uint64_t offset;
	int error = scan_init(&scan, segment, 0, segment->limit);

	scan.verify_values = true;
	while (!error) {
		int event = scan_next(&scan, &record, &offset);

		if (event < 0) {
			error = event;
			break;
		}
		if (event == SCAN_END || event == SCAN_BAD) {
			error = scan_resync(&scan, 0, UINT64_MAX);
			continue;
		}
		segment->end = scan.offset;
		if (record.type == RECORD_SEAL)
			break;
		/* The tail of a copy that was being made when the power went:
		 * the original is still there. */
		if (event == SCAN_BAD_VALUE || record.type == RECORD_MARK)
			continue;
		error = pending_add(&state, &record, offset);
		if (!error)
			error = pending_apply(&state);
	}
	scan_release(&scan);
	free(state.pending);
	buf_release(&state.keys);
	return error == 1 ? 0 : error;
}
