/* SPDX-License-Identifier: MIT */

/*
 * Checkpoints: what the memtable holds becomes a run, and the manifest says
 * that the log up to there need not be replayed.
 *
 *	freeze and snapshot (write lock)
 *	  -> sync log and cold segments     data before the index that names it
 *	  -> write and sync the run
 *	  -> sync the directory             names before the manifest tells them
 *	  -> store the manifest             the moment the checkpoint takes effect
 *	  -> publish the view; drop emptied segments and merged runs
 *
 * What is dropped loses its name at once, though a reader may hold it for long.
 * With its name it could be taken for part of the log, and, where the manifest
 * is lost, its deleted records for live ones.
 *
 * A crash before the manifest leaves the old manifest and a run that nobody
 * knows, removed at the next open. After an error everything frozen stays
 * frozen, and the next checkpoint writes it.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv_internal.h"

static void snapshot_segment(const struct segment *segment,
			     struct manifest_segment *ret)
{
	*ret = (struct manifest_segment){
		.header = segment->header,
		.end = segment->end,
		.counts = segment->counts,
		.damaged = segment->damaged,
	};
}

/* The counts as they are now, for the manifest to come. Emptied segments are
 * left out: with that manifest they are gone. Where replay begins never goes
 * back, though the segment is gone: what lies behind is no part of the log. */
static int snapshot_take(struct kv *kv, struct manifest *ret_manifest)
	REQUIRES(kv->write_lock)
{
	struct manifest *m = ret_manifest;
	const struct segment *last = NULL;

	m->segments = calloc(kv->segment_count + 1, sizeof(*m->segments));
	if (!m->segments)
		return -ENOMEM;
	for (size_t i = 0; i < kv->segment_count; i++) {
		const struct segment *segment = kv->segments[i];

		if (segment->header.kind == SEGMENT_LOG)
			last = segment;
		if (!segment->emptied)
			snapshot_segment(segment,
					 &m->segments[m->segment_count++]);
	}
	memcpy(m->classes, kv->classes, sizeof(m->classes));
	m->checkpoint_lsn = atomic_load(&kv->last_lsn);
	if (last && last->header.id >= m->replay_segment) {
		m->replay_segment = last->header.id;
		m->replay_offset = last->end;
	}
	return 0;
}

struct cold {
	struct segment *segment;
	bool complete; /* sealed */
};

/* Cold segments that may have something to be synced, with references. */
static int cold_collect(struct kv *kv, struct cold **ret_cold,
			size_t *ret_count)
{
	struct cold *cold;
	size_t count = 0;

	mutex_lock(&kv->write_lock);
	cold = calloc(kv->segment_count + 1, sizeof(*cold));
	for (size_t i = 0; cold && i < kv->segment_count; i++) {
		struct segment *segment = kv->segments[i];

		if (segment->header.kind == SEGMENT_COLD && segment->fd >= 0)
			cold[count++] = (struct cold){ segment_ref(segment),
						       segment->sealed };
	}
	mutex_unlock(&kv->write_lock);
	if (!cold)
		return -ENOMEM;
	*ret_cold = cold;
	*ret_count = count;
	return 0;
}

/* It was complete when it was synced: it is not written to again. */
static void cold_close(struct kv *kv, struct segment *segment)
{
	mutex_lock(&kv->write_lock);
	segment->synced = true;
	io_close(kv->io, segment->fd);
	segment->fd = -1;
	mutex_unlock(&kv->write_lock);
}

/* Cold segments are no part of the log's order; they are synced here. */
static int sync_cold(struct kv *kv)
{
	struct cold *cold;
	size_t count;
	int error = cold_collect(kv, &cold, &count);

	if (error)
		return error;
	for (size_t i = 0; i < count; i++) {
		if (!error)
			error = io_sync_data(kv->io, cold[i].segment->fd);
		if (!error && cold[i].complete)
			cold_close(kv, cold[i].segment);
		segment_unref(cold[i].segment);
	}
	free(cold);
	if (error)
		kv_fail(kv, error, "sync of a cold segment failed");
	return error;
}

/* The names of new files, of the log's segments among them. */
static int sync_names(struct kv *kv)
{
	int error = io_sync_dir(kv->io, kv->dir_fd);

	if (error)
		kv_fail(kv, error, "sync of the directory failed");
	return error;
}

static struct source *frozen_source_new(const struct view *view)
{
	struct view frozen = { .frozen_count = view->frozen_count };

	memcpy(frozen.frozen, view->frozen, sizeof(frozen.frozen));
	return view_source_new(&frozen);
}

/* Copies a source into a run file. A run without entries is abandoned: 1. */
static int run_fill(struct kv *kv, struct run_writer *writer,
		    struct source *source, bool drop_tombstones,
		    struct run_bounds *ret_bounds)
{
	struct run_summary summary;
	int result = source_seek(source, slice_of(NULL, 0), false);

	for (; result == 0; result = source_next(source)) {
		int error;

		resident_watch(kv);
		if (drop_tombstones && source->entry.place.tombstone)
			continue;
		error = run_writer_add(writer, &source->entry);
		if (error) {
			result = error;
			break;
		}
	}
	run_writer_bounds(writer, ret_bounds);
	if (result == 1 && ret_bounds->known)
		return run_writer_finish(writer, &summary);
	run_writer_abandon(writer);
	return result;
}

static int run_try(struct kv *kv, struct source *source,
		   uint64_t expected_entries, bool drop_tombstones,
		   struct run **ret_run)
{
	struct run_identity identity;
	struct run_bounds bounds;
	struct run_writer *writer;
	int result;

	memcpy(identity.store_uuid, kv->uuid, STORE_UUID_BYTES);
	identity.id = atomic_fetch_add(&kv->next_file_id, 1);
	result = run_writer_open(kv->io, kv->dir_fd, &identity,
				 expected_entries, &writer);
	if (result)
		return result;
	result = run_fill(kv, writer, source, drop_tombstones, &bounds);
	if (!result)
		result = sync_names(kv);
	if (!result)
		result = run_open(kv->io, kv->dir_fd, &identity, ret_run);
	if (!result)
		run_set_bounds(*ret_run, &bounds);
	return result;
}

int run_build(struct kv *kv, struct source *source, uint64_t expected_entries,
	      bool drop_tombstones, enum reserve_use use, struct run **ret_run)
{
	uint64_t moment = reserve_moment(&kv->reserve);
	int result;

	do
		result = run_try(kv, source, expected_entries, drop_tombstones,
				 ret_run);
	while (reserve_yield(&kv->reserve, use, result, &moment));
	return result;
}

/* The view without the memtables that `flushed` had frozen, and with `run`
 * (NULL: nothing was worth writing). */
static int publish_flushed(struct kv *kv, const struct view *flushed,
			   struct run *run) REQUIRES(kv->write_lock)
{
	struct view *now = kv_view_acquire(kv), *next = NULL;
	size_t left = now->frozen_count - flushed->frozen_count, count = 0;
	struct run **runs = calloc(now->run_count + 1, sizeof(struct run *));

	if (runs) {
		if (run)
			runs[count++] = run;
		memcpy(runs + count, now->runs,
		       now->run_count * sizeof(struct run *));
		count += now->run_count;
		next = view_new(now->active, now->frozen, left, runs, count,
				kv->segments, kv->segment_count);
	}
	free(runs);
	view_unref(now);
	if (!next)
		return -ENOMEM;
	kv_view_publish(kv, next);
	condition_wake_all(&kv->flushed);
	return 0;
}

/* Writes what is frozen. *ret_run stays NULL when nothing had to be. */
static int flush_write(struct kv *kv, const struct view *view,
		       bool keep_tombstones, struct run **ret_run)
{
	bool drop = !keep_tombstones && !view->run_count;
	struct source *source;
	uint64_t expected = 0;
	int result;

	if (!view->frozen_count)
		return 0;
	for (size_t i = 0; i < view->frozen_count; i++)
		expected += memtable_entry_count(view->frozen[i]);
	source = frozen_source_new(view);
	if (!source)
		return -ENOMEM;
	result = run_build(kv, source, expected, drop, RESERVE_FOR_COMPACTION,
			   ret_run);
	source_free(source);
	return result == 1 ? 0 : result;
}

int flush_frozen(struct kv *kv)
{
	struct view *view = kv_view_acquire(kv);
	struct run *run = NULL;
	int error = flush_write(kv, view, true, &run);

	if (!error) {
		mutex_lock(&kv->write_lock);
		error = publish_flushed(kv, view, run);
		mutex_unlock(&kv->write_lock);
	}
	run_unref(run);
	view_unref(view);
	return error;
}

static int manifest_set_runs(struct manifest *m, const struct view *view,
			     const struct run *newest)
{
	uint64_t *ids = calloc(view->run_count + 1, sizeof(*ids));
	size_t count = 0;

	if (!ids)
		return -ENOMEM;
	if (newest)
		ids[count++] = run_summary(newest)->id;
	for (size_t i = 0; i < view->run_count; i++)
		ids[count++] = run_summary(view->runs[i])->id;
	free(m->run_ids);
	m->run_ids = ids;
	m->run_count = count;
	return 0;
}

int manifest_commit(struct kv *kv, struct manifest *m, const struct view *view,
		    const struct run *newest)
{
	uint64_t moment = reserve_moment(&kv->reserve);
	int error = manifest_set_runs(m, view, newest);

	if (error)
		return error;
	memcpy(m->store_uuid, kv->uuid, STORE_UUID_BYTES);
	m->next_file_id = atomic_load(&kv->next_file_id);
	m->rebuild = atomic_load(&kv->index_damaged);
	do
		error = manifest_store(m, kv->io, kv->dir_fd);
	while (reserve_yield(&kv->reserve, RESERVE_FOR_COMPACTION, error,
			     &moment));
	if (error == -EIO)
		kv_fail(kv, error, "manifest could not be stored");
	return error;
}

/* Segments that left the table, for segment_drop. */
struct dropped {
	struct segment **segments;
	size_t count;
};

/* Segments that the stored manifest no longer names leave table and view. */
static int take_emptied(struct kv *kv, const struct manifest *m,
			struct dropped *ret_dropped) REQUIRES(kv->write_lock)
{
	size_t kept = 0, named = 0, count = 0;
	struct segment **dropped =
		calloc(kv->segment_count + 1, sizeof(struct segment *));

	if (!dropped)
		return -ENOMEM;
	for (size_t i = 0; i < kv->segment_count; i++) {
		struct segment *segment = kv->segments[i];

		while (named < m->segment_count &&
		       m->segments[named].header.id < segment->header.id)
			named++;
		if (segment->emptied &&
		    (named == m->segment_count ||
		     m->segments[named].header.id != segment->header.id))
			dropped[count++] = segment;
		else
			kv->segments[kept++] = segment;
	}
	kv->segment_count = kept;
	*ret_dropped = (struct dropped){ dropped, count };
	return count ? kv_view_refresh_segments(kv) : 0;
}

/* Without the write lock: much may have to be freed. Views that had them go
 * first, so that it is here, if nobody reads, that the space is given back. */
static void drop_emptied(struct kv *kv, struct dropped *dropped)
{
	if (dropped->count)
		reaper_drain(&kv->reaper);
	for (size_t i = 0; i < dropped->count; i++) {
		counter_add(&kv->counters.compaction_freed,
			    dropped->segments[i]->end);
		segment_drop(dropped->segments[i]);
	}
	free(dropped->segments);
}

/*
 * A checkpoint in the making: the counts of one moment, and a view whose frozen
 * memtables hold exactly what came before it. Younger ones, that a pin froze
 * meanwhile, are not in it: they may speak of records not yet durable.
 */
struct checkpoint {
	struct manifest manifest;
	struct view *view;
	bool stored; /* its manifest is; then it is not tried again */
};

static void checkpoint_release(struct checkpoint *c)
{
	manifest_release(&c->manifest);
	view_unref(c->view);
	*c = (struct checkpoint){ 0 };
}

static int checkpoint_begin(struct kv *kv, bool clean, struct checkpoint *c)
	REQUIRES(kv->flush_lock)
{
	struct manifest *m = &c->manifest;
	int error;

	mutex_lock(&kv->manifest_lock);
	m->checkpoint_count = kv->manifest.checkpoint_count + 1;
	m->compaction_time_s = kv->manifest.compaction_time_s;
	m->replay_segment = kv->manifest.replay_segment;
	m->replay_offset = kv->manifest.replay_offset;
	mutex_unlock(&kv->manifest_lock);
	m->clean = clean;
	m->checkpoint_time_s = (int64_t)time(NULL);
	if (atomic_load(&kv->compacted_at_s))
		m->compaction_time_s = atomic_load(&kv->compacted_at_s);
	mutex_lock(&kv->write_lock);
	error = snapshot_take(kv, m);
	if (!error)
		error = kv_view_freeze(kv, VIEW_FROZEN_MAX);
	if (!error)
		c->view = kv_view_acquire(kv);
	mutex_unlock(&kv->write_lock);
	return error;
}

static int checkpoint_commit(struct kv *kv, struct checkpoint *c,
			     struct run *run) REQUIRES(kv->flush_lock)
{
	struct dropped dropped = { 0 };
	struct view *now;
	int error;

	mutex_lock(&kv->manifest_lock);
	now = kv_view_acquire(kv);
	error = manifest_commit(kv, &c->manifest, now, run);
	if (!error) {
		manifest_release(&kv->manifest);
		kv->manifest = c->manifest;
		c->manifest = (struct manifest){ 0 };
		c->stored = true;
		/* Where memory is short, memtables stay frozen though a run
		 * has them, and emptied segments stay known: until the next
		 * checkpoint. */
		mutex_lock(&kv->write_lock);
		error = publish_flushed(kv, c->view, run);
		if (!error)
			error = take_emptied(kv, &kv->manifest, &dropped);
		mutex_unlock(&kv->write_lock);
	}
	mutex_unlock(&kv->manifest_lock);
	view_unref(now);
	drop_emptied(kv, &dropped);
	return error;
}

static int checkpoint_write(struct kv *kv, struct checkpoint *c)
	REQUIRES(kv->flush_lock)
{
	struct run *run = NULL;
	int error = log_sync(kv, c->manifest.checkpoint_lsn);

	if (!error)
		error = sync_cold(kv);
	if (!error)
		error = flush_write(kv, c->view, false, &run);
	if (!error)
		error = sync_names(kv);
	if (!error)
		error = checkpoint_commit(kv, c, run);
	run_unref(run);
	return error;
}

/* One that failed (a full disk) is kept, and is the first to be tried again:
 * so frozen memtables do not pile up. */
static int checkpoint_locked(struct kv *kv, bool clean) REQUIRES(kv->flush_lock)
{
	int error;

	if (kv->pending) {
		error = checkpoint_write(kv, kv->pending);
		if (error && !kv->pending->stored)
			return error;
		checkpoint_release(kv->pending);
	} else {
		kv->pending = calloc(1, sizeof(*kv->pending));
		if (!kv->pending)
			return -ENOMEM;
	}
	error = checkpoint_begin(kv, clean, kv->pending);
	if (!error)
		error = checkpoint_write(kv, kv->pending);
	/* Without a view it did not even begin. */
	if (!error || !kv->pending->view || kv->pending->stored) {
		checkpoint_release(kv->pending);
		free(kv->pending);
		kv->pending = NULL;
	}
	return error;
}

void checkpoint_forget(struct kv *kv)
{
	if (kv->pending)
		checkpoint_release(kv->pending);
	free(kv->pending);
	kv->pending = NULL;
}

/* What compaction may need at most: a segment to copy to, what is in memory as
 * a run, and all runs merged. */
static void resize_reserve(struct kv *kv)
{
	struct view *view = kv_view_acquire(kv);
	uint64_t size = kv->reserve_base_bytes;

	for (size_t i = 0; i < view->run_count; i++)
		size += run_summary(view->runs[i])->file_size_bytes;
	view_unref(view);
	if (size > kv->reserve_most_bytes)
		size = kv->reserve_most_bytes;
	reserve_resize(&kv->reserve, size);
}

int checkpoint(struct kv *kv, bool clean)
{
	int error = atomic_load(&kv->failed) ? -EIO : 0;

	mutex_lock(&kv->flush_lock);
	if (!error)
		error = checkpoint_locked(kv, clean);
	if (!error) {
		atomic_store(&kv->unsaved, false);
		resize_reserve(kv);
		reserve_keep(&kv->reserve, RESERVE_FOR_DELETION, 0);
	}
	atomic_store(&kv->flush_failing, error != 0);
	mutex_unlock(&kv->flush_lock);
	/* Memory is bounded: what was frozen goes before more is. */
	reaper_drain(&kv->reaper);
	if (error) {
		kv_log(kv, KV_LOG_ERROR, "checkpoint failed: %s",
		       strerror(-error));
		mutex_lock(&kv->write_lock);
		condition_wake_all(&kv->flushed);
		mutex_unlock(&kv->write_lock);
	}
	return error;
}

int kv_checkpoint(struct kv *kv)
{
	int error = kv_writable(kv);

	return error ? error : checkpoint(kv, false);
}
