/* SPDX-License-Identifier: MIT */

/*
 * Verifying a store while it is in use.
 *
 *	runs		every block, its checksum and order (run_verify)
 *	segments	every record and its checksums; what is dead too
 *	index		every entry's record is there, whole, and of its key
 *	counters	key counts against those of the listing (when idle)
 *
 * Everything is read from one pin, so that changes meanwhile do not disturb.
 * How far it has come is a position: files by their ids, which only grow, then
 * the index by its keys. A file counts when it was read to its end.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/kv_internal.h"
#include "engine/scan.h"

/* After so much that was read, the caller is told. */
#define ADVANCE_BYTES (1u << 20)

struct check {
	struct kv *kv;
	struct view *view;
	kv_problem_fn *fn;
	kv_progress_fn *progress;
	void *ctx;
	struct kv_check_position *position;
	uint64_t done_bytes, total_bytes;
	/* Of the index so far; the position has them as of its key. */
	uint64_t key_count, live_bytes;
};

static void check_report(struct check *check, enum kv_problem_kind kind,
			 struct slice key, const char *file, uint64_t offset,
			 const char *what)
{
	struct kv_problem problem = { kind, key, file, offset, what };

	check->position->problems = true;
	if (check->fn)
		check->fn(check->ctx, &problem);
}

static int check_advance(struct check *check, uint64_t bytes)
{
	uint64_t done;

	resident_watch(check->kv);
	check->done_bytes += bytes;
	/* A store that grows meanwhile has more than was foreseen. */
	done = check->done_bytes < check->total_bytes ? check->done_bytes :
							check->total_bytes;
	if (check->progress &&
	    check->progress(check->ctx, done, check->total_bytes))
		return -ECANCELED;
	return 0;
}

/* A file of the part was read to its end. */
static int check_file_done(struct check *check, uint64_t id, uint64_t bytes)
{
	check->position->file_id = id;
	check->position->done_bytes = check->done_bytes + bytes;
	return check_advance(check, bytes);
}

static int check_run(struct check *check, struct run *run)
{
	char name[RUN_NAME_MAX];
	int error = run_verify(run);

	if (error == -EBADMSG || error == -EUCLEAN || error == -EIO) {
		run_name(run_summary(run)->id, name);
		atomic_store(&check->kv->index_damaged, true);
		check_report(check, KV_PROBLEM_RUN, slice_of(NULL, 0), name, 0,
			     "the index file is damaged; the next open "
			     "rebuilds it from the log");
		error = 0;
	}
	return error ? error :
		       check_file_done(check, run_summary(run)->id,
				       run_summary(run)->file_size_bytes);
}

/* The files of a view are in the order of their age; ids are that of making. */
static int check_runs(struct check *check)
{
	const struct view *view = check->view;
	int error = 0;

	while (!error) {
		struct run *next = NULL;

		for (size_t i = 0; i < view->run_count; i++) {
			uint64_t id = run_summary(view->runs[i])->id;

			if (id > check->position->file_id &&
			    (!next || id < run_summary(next)->id))
				next = view->runs[i];
		}
		if (!next)
			break;
		error = check_run(check, next);
	}
	return error;
}

/* A record whose key is known: is it the one that counts? */
static void check_bad_value(struct check *check, const struct segment *segment,
			    const struct record *record, uint64_t offset,
			    const char *name)
{
	struct place place;
	bool newest =
		view_find(check->view, record->key, false, &place, NULL) == 0 &&
		place.segment_id == segment->header.id &&
		place.offset == offset;

	/* The newest one is reported with the index, once. */
	if (!newest)
		check_report(check, KV_PROBLEM_RECORD, record->key, name,
			     offset, "a superseded record is damaged");
}

static int check_segment_scan(struct check *check, struct scan *scan,
			      const char *name)
{
	struct record record;
	uint64_t offset, since = scan->offset;

	for (;;) {
		int event = scan_next(scan, &record, &offset), error;

		if (event < 0)
			return event;
		if (event == SCAN_END && offset >= scan->end)
			return 0;
		if (event == SCAN_END || event == SCAN_BAD) {
			error = scan_resync(scan, 0, UINT64_MAX);
			if (error < 0)
				return error;
			/* Zeros to the end are space never written to. */
			if (event == SCAN_BAD || !error)
				check_report(check, KV_PROBLEM_LOST,
					     slice_of(NULL, 0), name, offset,
					     "bytes that are no record");
			if (error)
				return 0;
			continue;
		}
		if (event == SCAN_BAD_VALUE)
			check_bad_value(check, scan->segment, &record, offset,
					name);
		if (scan->offset - since >= ADVANCE_BYTES) {
			error = check_advance(check, scan->offset - since);
			if (error)
				return error;
			since = scan->offset;
		}
		if (record.type == RECORD_SEAL)
			return check_advance(check, scan->offset - since);
	}
}

static int check_segment(struct check *check, struct segment *segment)
{
	struct scan scan = { 0 };
	char name[SEGMENT_NAME_MAX];
	uint64_t end, begin_bytes = check->done_bytes;
	int error;

	mutex_lock(&check->kv->write_lock);
	end = segment->end;
	mutex_unlock(&check->kv->write_lock);
	segment_name(segment->header.id, name);
	error = scan_init(&scan, segment, 0, end);
	scan.verify_values = true;
	if (!error && segment_verify_header(segment))
		check_report(check, KV_PROBLEM_RECORD, slice_of(NULL, 0), name,
			     0,
			     "the header is damaged; the manifest still has "
			     "what it said");
	if (!error && segment->map.size < end)
		check_report(check, KV_PROBLEM_LOST, slice_of(NULL, 0), name,
			     segment->map.size, "the file has been cut short");
	if (!error)
		error = check_segment_scan(check, &scan, name);
	scan_release(&scan);
	if (error == -EIO || error == -ENOENT || error == -EUCLEAN) {
		check_report(check, KV_PROBLEM_LOST, slice_of(NULL, 0), name, 0,
			     "the segment cannot be read");
		error = 0;
	}
	if (error)
		return error;
	/* Not all of it was counted where it ends early. */
	check->done_bytes = begin_bytes;
	return check_file_done(check, segment->header.id, end);
}

static int check_segments(struct check *check)
{
	const struct view *view = check->view;
	int error = 0;

	for (size_t i = 0; i < view->segment_count && !error; i++)
		if (view->segments[i]->header.id > check->position->file_id)
			error = check_segment(check, view->segments[i]);
	return error;
}

static void check_entry(struct check *check, const struct index_entry *entry)
{
	struct segment *segment =
		view_segment(check->view, entry->place.segment_id);
	struct segment_read read = { .key = entry->key };
	struct buf value = { 0 };
	char name[SEGMENT_NAME_MAX];
	int error = -EIO;

	if (segment && !segment_holds(segment, &entry->place) &&
	    !buf_reserve(&value, entry->place.size_bytes)) {
		read.dst = value.data;
		read.size = entry->place.size_bytes;
		error = segment_read(segment, &entry->place, &read);
	}
	buf_release(&value);
	if (!error)
		return;
	segment_name(entry->place.segment_id, name);
	check_report(check, KV_PROBLEM_KEY, entry->key, name,
		     entry->place.offset, "the newest record is damaged");
}

/* Keys up to this one have been read. */
static int check_index_advance(struct check *check, struct slice key)
{
	struct kv_check_position *position = check->position;
	int error = buf_assign(&position->key, key);

	if (error)
		return error;
	position->key_count = check->key_count;
	position->live_bytes = check->live_bytes;
	position->done_bytes = check->done_bytes;
	return check_advance(check, 0);
}

static int check_index_entry(struct check *check,
			     const struct index_entry *entry,
			     uint64_t *since_bytes)
{
	uint64_t size = entry->place.size_bytes;

	if (entry->place.tombstone)
		return 0;
	check_entry(check, entry);
	check->key_count++;
	check->live_bytes += size;
	check->done_bytes += size;
	*since_bytes += size;
	if (*since_bytes < ADVANCE_BYTES && check->key_count % 4096 != 1)
		return 0;
	*since_bytes = 0;
	return check_index_advance(check, entry->key);
}

static int check_index(struct check *check)
{
	struct kv_check_position *position = check->position;
	struct source *source = view_source_new(check->view);
	struct slice from = slice_of("", 0);
	uint64_t since_bytes = 0;
	int result;

	if (!source)
		return -ENOMEM;
	if (position->key_count)
		from = buf_slice(&position->key);
	result = source_seek(source, from, position->key_count > 0);
	while (result == 0) {
		result = check_index_entry(check, &source->entry, &since_bytes);
		if (!result)
			result = source_next(source);
	}
	source_free(source);
	/* A damaged run has been reported as such. */
	if (result == -EBADMSG || result == -EUCLEAN || result == -EIO)
		return 0;
	return result == 1 ? 0 : result;
}

/* What may be compared of the state that the index is part of: nothing after
 * changes, nor after compaction. */
static bool check_is_as_before(struct check *check, bool resumed,
			       const struct kv_stats *before,
			       const struct kv_stats *now)
{
	const struct kv_check_position *position = check->position;

	if (position->lsn != now->last_lsn || position->problems)
		return false;
	if (resumed)
		return position->next_file_id ==
		       atomic_load(&check->kv->next_file_id);
	return before->compaction_copied_bytes == now->compaction_copied_bytes;
}

static void check_counters(struct check *check, bool resumed,
			   const struct kv_stats *before)
{
	struct kv_stats now;

	kv_stats(check->kv, &now);
	if (!check_is_as_before(check, resumed, before, &now))
		return;
	if (check->key_count != now.key_count)
		check_report(check, KV_PROBLEM_COUNTER, slice_of(NULL, 0), NULL,
			     0, "the count of keys is wrong");
	if (check->live_bytes != now.live_bytes)
		check_report(check, KV_PROBLEM_COUNTER, slice_of(NULL, 0), NULL,
			     0, "the count of live bytes is wrong");
}

static void check_part_end(struct kv_check_position *position)
{
	position->part++;
	position->file_id = 0;
}

/* From the position on. before: as of a moment before the pin was made. */
static int check_parts(struct check *check, const struct kv_stats *before,
		       uint64_t next_file_id)
{
	struct kv_check_position *position = check->position;
	bool resumed = position->key_count > 0;
	int error = 0;

	if (position->part == KV_CHECK_RUNS) {
		error = check_runs(check);
		if (error)
			return error;
		check_part_end(position);
	}
	if (position->part == KV_CHECK_SEGMENTS) {
		error = check_segments(check);
		if (error)
			return error;
		check_part_end(position);
	}
	if (!resumed) {
		position->lsn = before->last_lsn;
		position->next_file_id = next_file_id;
	}
	error = check_index(check);
	if (!error)
		check_counters(check, resumed, before);
	return error;
}

void kv_check_position_release(struct kv_check_position *position)
{
	buf_release(&position->key);
	*position = (struct kv_check_position){ 0 };
}

int kv_check_from(struct kv *kv, struct kv_check_position *position,
		  kv_problem_fn *fn, kv_progress_fn *progress, void *ctx)
{
	struct check check = {
		.kv = kv,
		.fn = fn,
		.progress = progress,
		.ctx = ctx,
		.position = position,
		.done_bytes = position->done_bytes,
		.key_count = position->key_count,
		.live_bytes = position->live_bytes,
	};
	uint64_t next_file_id = atomic_load(&kv->next_file_id);
	struct kv_stats stats;
	struct kv_pin *pin;
	int error;

	kv_stats(kv, &stats);
	/* The index leads to each live record once more. */
	check.total_bytes = stats.disk_bytes + stats.live_bytes;
	error = kv_pin(kv, &pin);
	if (error)
		return error;
	check.view = pin->view;
	error = check_parts(&check, &stats, next_file_id);
	kv_unpin(pin);
	return error ? error : position->problems;
}

int kv_check(struct kv *kv, kv_problem_fn *fn, kv_progress_fn *progress,
	     void *ctx)
{
	struct kv_check_position position = { 0 };
	int result = kv_check_from(kv, &position, fn, progress, ctx);

	kv_check_position_release(&position);
	return result;
}
