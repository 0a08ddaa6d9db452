/* SPDX-License-Identifier: MIT */

/*
 * Moving live records. The victim is read in order; what the index points at is
 * encoded anew for its place in a cold segment, gathered, written by the chunk,
 * and then, under the write lock and a few keys at a time, the index is turned
 * to the copy if it still points at the original.
 *
 * 1. A copy counts as dead in its cold segment until the index points at it. So
 *    the counts of a checkpoint in between never claim less dead than there is.
 * 2. Nothing is removed here. When the round is over, what was emptied is marked
 *    so; the next checkpoint makes copies and index durable and drops the victims
 *    with the same manifest.
 * 3. A damaged record cannot be copied: its segment stays, so that its key goes
 *    on being an error rather than absent.
 */

#include "engine/relocate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scan.h"

#define CHUNK_BYTES (128u << 10)
/* Keys turned per hold of the write lock. */
#define TURN_MAX 64u

struct moved {
	size_t key_offset; /* in relocation->keys */
	size_t key_size;
	uint64_t from_offset; /* in the victim */
	struct place to;
};

struct relocation {
	struct kv *kv;
	const struct compact_candidate *candidates;
	const bool *stays;
	size_t candidate_count;
	kv_progress_fn *progress;
	void *progress_ctx;
	uint64_t done_bytes, total_bytes;
	uint64_t left_lsn; /* of the victim's tombstones left out, the last */
	bool paced;
	struct segment *cold; /* with a reference; NULL: none open */
	struct buf chunk;     /* encoded records for cold's end */
	struct buf keys;
	struct moved *moved;
	size_t moved_count, moved_capacity;
	uint64_t tombstone_count, tombstone_bytes; /* in the chunk */
};

struct relocation *relocation_new(struct kv *kv,
				  const struct compact_candidate *candidates,
				  const bool *stays, size_t count,
				  kv_progress_fn *progress, void *ctx,
				  uint64_t total_bytes, bool paced)
{
	struct relocation *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->kv = kv;
	r->candidates = candidates;
	r->stays = stays;
	r->candidate_count = count;
	r->progress = progress;
	r->progress_ctx = ctx;
	r->total_bytes = total_bytes;
	r->paced = paced;
	return r;
}

static void cold_end(struct relocation *r)
{
	struct kv *kv = r->kv;

	if (!r->cold)
		return;
	mutex_lock(&kv->write_lock);
	/* Where the seal does not fit, the manifest tells the end as well. */
	segment_seal(r->cold, r->cold->header.base_lsn);
	mutex_unlock(&kv->write_lock);
	/* A checkpoint closes what is sealed. */
	segment_trim(r->cold);
	mutex_lock(&kv->write_lock);
	r->cold->sealed = true;
	mutex_unlock(&kv->write_lock);
	segment_unref(r->cold);
	r->cold = NULL;
}

static int cold_begin(struct relocation *r, uint64_t size_bytes)
{
	struct kv *kv = r->kv;
	uint64_t limit = kv->options.segment_size_bytes;
	uint64_t moment = reserve_moment(&kv->reserve);
	struct segment_header header;
	struct segment *cold;
	int error;

	if (limit < size_bytes + SEGMENT_HEADER_BYTES + RECORD_HEAD_MAX)
		limit = size_bytes + SEGMENT_HEADER_BYTES + RECORD_HEAD_MAX;
	mutex_lock(&kv->write_lock);
	error = log_new_header(kv, SEGMENT_COLD, &header);
	mutex_unlock(&kv->write_lock);
	if (error)
		return error;
	do
		error = segment_create(kv->io, kv->dir_fd, &header, limit,
				       &cold);
	while (reserve_yield(&kv->reserve, RESERVE_FOR_COMPACTION, error,
			     &moment));
	if (error)
		return error;
	mutex_lock(&kv->write_lock);
	error = kv_segment_add(kv, cold);
	if (!error) {
		r->cold = segment_ref(cold);
		error = kv_view_refresh_segments(kv);
	}
	mutex_unlock(&kv->write_lock);
	return error;
}

/* Points one key at its copy, if nothing has happened to it meanwhile. */
static void turn_key(struct kv *kv, struct relocation *r,
		     const struct segment *victim, const struct view *view,
		     const struct moved *moved) REQUIRES(kv->write_lock)
{
	/* Of empty keys alone there are no bytes to point into. */
	struct slice key = moved->key_size ?
				   slice_of(r->keys.data + moved->key_offset,
					    moved->key_size) :
				   slice_of("", 0);
	struct place now, old;

	if (view_find(view, key, false, &now, NULL) != 0 || now.tombstone ||
	    now.segment_id != victim->header.id ||
	    now.offset != moved->from_offset)
		return;
	memtable_put(view->active, key, &moved->to, &old);
	kv_account(kv, key, &moved->to, &now);
	r->cold->counts.dead_count--;
}

static int turn_keys(struct relocation *r, const struct segment *victim)
{
	struct kv *kv = r->kv;
	int error = 0;

	for (size_t i = 0; i < r->moved_count && !error; i += TURN_MAX) {
		size_t end = i + TURN_MAX < r->moved_count ? i + TURN_MAX :
							     r->moved_count;
		struct view *view;

		mutex_lock(&kv->write_lock);
		view = kv_view_acquire(kv);
		error = memtable_reserve(view->active, end - i, r->keys.size);
		for (size_t j = i; j < end && !error; j++)
			turn_key(kv, r, victim, view, &r->moved[j]);
		view_unref(view);
		mutex_unlock(&kv->write_lock);
	}
	return error;
}

static void chunk_clear(struct relocation *r)
{
	buf_clear(&r->chunk);
	buf_clear(&r->keys);
	r->moved_count = 0;
	r->tombstone_count = 0;
	r->tombstone_bytes = 0;
}

/* Writes the chunk to the cold segment's end and turns the index. */
static int chunk_flush(struct relocation *r, const struct segment *victim)
{
	struct kv *kv = r->kv;
	uint64_t moment = reserve_moment(&kv->reserve);
	int error;

	if (!r->chunk.size)
		return 0;
	/* Without its checkpoint the round gives nothing back. */
	if (compact_room(kv) < r->chunk.size)
		return -ENOSPC;
	do {
		struct iovec iov = { r->chunk.data, r->chunk.size };

		error = segment_write_ahead(r->cold, &iov, 1, r->chunk.size);
	} while (reserve_yield(&kv->reserve, RESERVE_FOR_COMPACTION, error,
			       &moment));
	if (error)
		return error;
	mutex_lock(&kv->write_lock);
	segment_advance(r->cold, r->chunk.size);
	r->cold->counts.dead_count += r->moved_count;
	r->cold->counts.tombstone_count += r->tombstone_count;
	r->cold->counts.tombstone_bytes += r->tombstone_bytes;
	mutex_unlock(&kv->write_lock);
	error = turn_keys(r, victim);
	counter_add(&kv->counters.compaction_copied, r->chunk.size);
	chunk_clear(r);
	return error;
}

static int moved_add(struct relocation *r, const struct record *record,
		     uint64_t from_offset, const struct place *to)
{
	struct moved *grown;
	size_t capacity = r->moved_capacity ? 2 * r->moved_capacity : 256;

	if (r->moved_count == r->moved_capacity) {
		grown = reallocarray(r->moved, capacity, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->moved = grown;
		r->moved_capacity = capacity;
	}
	r->moved[r->moved_count] = (struct moved){ r->keys.size,
						   record->key.size,
						   from_offset, *to };
	if (buf_append(&r->keys, record->key.data, record->key.size))
		return -ENOMEM;
	r->moved_count++;
	return 0;
}

/* Encodes a record for the cold segment. */
static int copy_record(struct relocation *r, const struct segment *victim,
		       struct record *record, uint64_t from_offset)
{
	size_t most = RECORD_HEAD_MAX + record->key.size + record->value.size;
	struct record_site site;
	struct place to;
	uint8_t *dst;
	size_t size;
	int error;

	if (r->cold && segment_room(r->cold) < r->chunk.size + most) {
		error = chunk_flush(r, victim);
		if (error)
			return error;
		cold_end(r);
	}
	if (!r->cold) {
		error = cold_begin(r, most);
		if (error)
			return error;
	}
	if (buf_reserve(&r->chunk, most))
		return -ENOMEM;
	record->flags &= ~(unsigned int)RECORD_MORE;
	site = segment_site(r->cold, r->cold->end + r->chunk.size);
	dst = r->chunk.data + r->chunk.size;
	size = record_encode_head(record, &site, dst);
	if (record->value.size)
		memcpy(dst + size, record->value.data, record->value.size);
	size += record->value.size;
	to = (struct place){ .offset = site.offset,
			     .size_bytes = size,
			     .lsn = record->lsn,
			     .segment_id = r->cold->header.id };
	if (record->type == RECORD_SET) {
		error = moved_add(r, record, from_offset, &to);
		if (error)
			return error;
	} else {
		r->tombstone_count++;
		r->tombstone_bytes += size;
	}
	r->chunk.size += size;
	return 0;
}

static bool record_needed(struct relocation *r, const struct segment *victim,
			  const struct view *view, const struct record *record,
			  uint64_t offset)
{
	struct place now;
	int result;

	if (record->type != RECORD_SET && record->type != RECORD_DELETE)
		return false;
	result = view_find(view, record->key, false, &now, NULL);
	if (record->type == RECORD_SET)
		return result == 0 && !now.tombstone &&
		       now.segment_id == victim->header.id &&
		       now.offset == offset;
	/* A key that exists again speaks for itself. */
	if (result == 0 && !now.tombstone)
		return false;
	if (tombstone_needed(r->candidates, r->stays, r->candidate_count,
			     record->lsn))
		return true;
	if (r->left_lsn < record->lsn)
		r->left_lsn = record->lsn;
	return false;
}

/* Between chunks: give way, keep the rate, keep memory bounded. */
static int relocation_pause(struct relocation *r, uint64_t chunk_bytes)
{
	struct kv *kv = r->kv;
	uint64_t rate = kv->options.compact_rate;
	struct view *view = kv_view_acquire(kv);
	size_t size = memtable_size_bytes(view->active);
	int error = 0;

	view_unref(view);
	resident_watch(kv);
	if (size >= kv->memtable_budget_bytes)
		error = checkpoint(kv, false);
	if (error)
		return error;
	if (r->progress &&
	    r->progress(r->progress_ctx, r->done_bytes, r->total_bytes))
		return -ECANCELED;
	if (background_sleep(kv,
			     r->paced && rate ? chunk_bytes * 1000 / rate : 0))
		return -ECANCELED;
	return 0;
}

static int victim_scan(struct relocation *r, struct segment *victim,
		       struct scan *scan)
{
	uint64_t offset, since = 0;
	struct record record;

	for (;;) {
		int event = scan_next(scan, &record, &offset), error = 0;
		struct view *view;

		if (event < 0)
			return event;
		if (event == SCAN_END)
			return 0;
		if (event == SCAN_BAD) {
			event = scan_resync(scan, 0, UINT64_MAX);
			if (event)
				return event < 0 ? event : 0;
			continue;
		}
		since += record.size_bytes;
		r->done_bytes += record.size_bytes;
		if (record.type == RECORD_SEAL)
			return 0;
		if (event == SCAN_BAD_VALUE)
			continue;
		view = kv_view_acquire(r->kv);
		if (record_needed(r, victim, view, &record, offset))
			error = copy_record(r, victim, &record, offset);
		view_unref(view);
		if (!error && r->chunk.size >= CHUNK_BYTES)
			error = chunk_flush(r, victim);
		if (!error && since >= CHUNK_BYTES) {
			error = relocation_pause(r, since);
			since = 0;
		}
		if (error)
			return error;
	}
}

int relocation_move(struct relocation *r, struct segment *victim,
		    uint64_t *ret_left_lsn)
{
	struct kv *kv = r->kv;
	struct scan scan = { 0 };
	uint64_t end;
	bool empty;
	int error = 0;

	r->left_lsn = 0;
	mutex_lock(&kv->write_lock);
	end = victim->end;
	empty = !victim->counts.live_count && !victim->counts.tombstone_count;
	mutex_unlock(&kv->write_lock);
	if (empty) {
		r->done_bytes += end;
		goto out;
	}
	error = scan_init(&scan, victim, 0, end);
	if (error)
		goto out;
	scan.want_values = true;
	scan.verify_values = true;
	error = victim_scan(r, victim, &scan);
	if (!error)
		error = chunk_flush(r, victim);
out:
	scan_release(&scan);
	chunk_clear(r);
	*ret_left_lsn = r->left_lsn;
	if (error)
		return error;
	mutex_lock(&kv->write_lock);
	empty = !victim->counts.live_count;
	if (!empty)
		victim->damaged = true;
	mutex_unlock(&kv->write_lock);
	return empty ? 0 : 1;
}

void relocation_free(struct relocation *r)
{
	cold_end(r);
	buf_release(&r->chunk);
	buf_release(&r->keys);
	free(r->moved);
	free(r);
}
