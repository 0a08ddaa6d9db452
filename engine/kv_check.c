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
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "engine/kv_internal.h"
#include "engine/scan.h"

struct check {
	struct kv *kv;
	struct view *view;
	kv_problem_fn *fn;
	kv_progress_fn *progress;
	void *ctx;
	uint64_t done_bytes, total_bytes;
	uint64_t key_count, live_bytes;
	bool problems;
};

static void check_report(struct check *check, enum kv_problem_kind kind,
			 struct slice key, const char *file, uint64_t offset,
			 const char *what)
{
	struct kv_problem problem = { kind, key, file, offset, what };

	check->problems = true;
	if (check->fn)
		check->fn(check->ctx, &problem);
}

static int check_advance(struct check *check, uint64_t bytes)
{
	check->done_bytes += bytes;
	if (check->progress &&
	    check->progress(check->ctx, check->done_bytes, check->total_bytes))
		return -ECANCELED;
	return 0;
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
		       check_advance(check, run_summary(run)->file_size_bytes);
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
		if (scan->offset - since >= 1u << 20) {
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
	uint64_t end;
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

	check->key_count++;
	check->live_bytes += entry->place.size_bytes;
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

static int check_index(struct check *check)
{
	struct source *source = view_source_new(check->view);
	int result;

	if (!source)
		return -ENOMEM;
	result = source_seek(source, slice_of(NULL, 0), false);
	for (uint64_t i = 0; result == 0; i++) {
		if (!source->entry.place.tombstone)
			check_entry(check, &source->entry);
		if (i % 4096 == 0)
			result = check_advance(check, 0);
		if (!result)
			result = source_next(source);
	}
	source_free(source);
	/* A damaged run has been reported as such. */
	if (result == -EBADMSG || result == -EUCLEAN || result == -EIO)
		return 0;
	return result == 1 ? 0 : result;
}

static void check_counters(struct check *check, const struct kv_stats *before)
{
	struct kv_stats after;

	kv_stats(check->kv, &after);
	/* With changes or compaction meanwhile, there is nothing to compare. */
	if (before->last_lsn != after.last_lsn || check->problems ||
	    before->compaction_copied_bytes != after.compaction_copied_bytes)
		return;
	if (check->key_count != before->key_count)
		check_report(check, KV_PROBLEM_COUNTER, slice_of(NULL, 0), NULL,
			     0, "the count of keys is wrong");
	if (check->live_bytes != before->live_bytes)
		check_report(check, KV_PROBLEM_COUNTER, slice_of(NULL, 0), NULL,
			     0, "the count of live bytes is wrong");
}

int kv_check(struct kv *kv, kv_problem_fn *fn, kv_progress_fn *progress,
	     void *ctx)
{
	struct check check = {
		.kv = kv, .fn = fn, .progress = progress, .ctx = ctx
	};
	struct kv_stats before;
	struct kv_pin *pin;
	int error;

	kv_stats(kv, &before);
	error = kv_pin(kv, &pin);
	if (error)
		return error;
	check.view = pin->view;
	check.total_bytes = before.disk_bytes;
	for (size_t i = 0; i < check.view->run_count && !error; i++)
		error = check_run(&check, check.view->runs[i]);
	for (size_t i = 0; i < check.view->segment_count && !error; i++)
		error = check_segment(&check, check.view->segments[i]);
	if (!error)
		error = check_index(&check);
	if (!error)
		check_counters(&check, &before);
	kv_unpin(pin);
	return error ? error : check.problems;
}
