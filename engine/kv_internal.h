/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The store behind kv.h: its state, and what its parts say to each other.
 *
 * Lock order, outermost first; README.md explains it:
 *	compact_lock, flush_lock, manifest_lock, write_lock, that of `resident`
 * and the leaves, under which nothing else is taken: sync_lock, wake_lock, that
 * of `views`, a memtable's lock, a segment's map_lock, the reserve's lock. No
 * lock but compact_lock, flush_lock and manifest_lock is held across a disk
 * sync.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/counter.h"
#include "engine/kv.h"
#include "engine/lock.h"
#include "engine/manifest.h"
#include "engine/reserve.h"
#include "engine/resident.h"
#include "engine/segment.h"
#include "engine/sync_plan.h"
#include "engine/view_cell.h"

struct checkpoint;

/* Counters that anybody may read at any time. */
struct kv_counters {
	atomic_uint_fast64_t syncs, disk_syncs;
	atomic_uint_fast64_t merges, merge_bytes;
	atomic_uint_fast64_t compactions, compaction_copied, compaction_freed;
	atomic_uint_fast64_t pins, damaged_reads;

	/* Added to under the write lock only: counter_add_alone(). */
	atomic_uint_fast64_t sets, deletes, commits, append_bytes;
	atomic_uint_fast64_t value_bytes_raw, value_bytes_stored;
};

struct kv {
	/* Constant after open. */
	struct kv_options options;
	struct io *io;
	int dir_fd;
	int lock_fd;
	uint8_t uuid[STORE_UUID_BYTES];
	size_t memtable_budget_bytes;
	struct reserve reserve;      /* has a lock of its own */
	uint64_t reserve_base_bytes; /* its size for a store without runs */
	uint64_t reserve_most_bytes;
	struct reaper reaper;     /* has a lock of its own */
	struct resident resident; /* has a lock of its own */

	/* Atomic. */
	atomic_uint_fast64_t last_lsn;
	atomic_uint_fast64_t durable_lsn;
	atomic_int failed;         /* 0, or the error that ended writing */
	atomic_bool index_damaged; /* a run could not be read */
	atomic_bool flush_failing; /* the last checkpoint failed */
	atomic_bool unsaved; /* what recovery found has no checkpoint yet */
	atomic_uint_fast64_t next_file_id;
	atomic_int_fast64_t compacted_at_s; /* since open; 0: not yet */
	struct kv_counters counters;

	/* Of the view; replaced by holders of write_lock only. */
	struct view_cell views;

	/* Guarded by write_lock: the write side. */
	struct mutex write_lock;
	struct condition flushed;  /* with write_lock: a memtable was written */
	struct segment **segments; /* by id */
	size_t segment_count;
	struct segment *active;  /* being appended to; NULL: none yet */
	uint64_t marked_lsn;     /* what the last MARK in the log says */
	uint64_t appended_bytes; /* since the committer was last asked to sync */
	struct kv_class_stats classes[KV_CLASS_COUNT];
	struct buf staging; /* records being encoded */

	/* Guarded by sync_lock. */
	struct mutex sync_lock;
	struct condition sync_done;
	struct condition sync_joined; /* all have that the leader waits for */
	bool syncing;
	unsigned int sync_arrived; /* callers since the last sync began */
	struct sync_plan sync_plan;

	struct mutex compact_lock; /* one merge or compaction at a time */

	/* Guarded by flush_lock: one checkpoint at a time. */
	struct mutex flush_lock;
	struct checkpoint *pending; /* one that failed, to be tried again */

	/* Guarded by manifest_lock. */
	struct mutex manifest_lock;
	struct manifest manifest; /* as stored */

	/* Guarded by wake_lock: background threads. */
	struct mutex wake_lock;
	struct condition wake;
	bool stopping;
	bool flush_wanted;
	bool sync_wanted;
	bool compact_wanted;
	bool threads_running; /* constant after open */
	pthread_t committer, compactor;

	/* Written by recovery, constant then. */
	enum kv_recovery recovery;
	uint64_t recovery_record_count;
	uint64_t recovery_cut_bytes;
	uint64_t recovery_lost_count;
};

struct kv_pin {
	struct kv *kv;
	struct view *view;
	uint64_t lsn;
};

struct kv_hold {
	atomic_uint refs;
	/* constant */
	struct kv *kv;
	struct segment *segment; /* a reference */
	struct place place;
	size_t key_size;
	uint8_t key[];
};

void kv_log(struct kv *kv, enum kv_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Turns the store read-only for good; the first error stays. */
void kv_fail(struct kv *kv, int error, const char *what);
/* 0, or -EROFS when the store takes no changes. */
int kv_writable(struct kv *kv);

unsigned int kv_class(const struct kv *kv, struct slice key);

/* --- views: kv_view.c --- */

/* The newest view, with a reference for the caller. */
static inline struct view *kv_view_acquire(struct kv *kv)
{
	return view_cell_ref(&kv->views);
}

/* The same without: no other comes while the lock is held. */
static inline struct view *kv_view_now(struct kv *kv) REQUIRES(kv->write_lock)
{
	return view_cell_peek(&kv->views);
}

/* Replaces the view; takes over the caller's reference of `next`. */
void kv_view_publish(struct kv *kv, struct view *next) REQUIRES(kv->write_lock);
/* The same view with the segments as the table has them now. */
int kv_view_refresh_segments(struct kv *kv) REQUIRES(kv->write_lock);
/* Freezes the active memtable and puts an empty one in its place. 0 also when
 * there was nothing to freeze; -ENOMEM; -EBUSY: `frozen_max` or more are waiting
 * (pins leave one of VIEW_FROZEN_MAX to the checkpoint that writes them). */
int kv_view_freeze(struct kv *kv, size_t frozen_max) REQUIRES(kv->write_lock);

/* The table of segments. */
struct segment *kv_segment_find(struct kv *kv, uint64_t id)
	REQUIRES(kv->write_lock);
/* Takes over the reference, also on failure. */
int kv_segment_add(struct kv *kv, struct segment *segment)
	REQUIRES(kv->write_lock);

/* --- counting: kv_account.c --- */

/* `record_place` has become the newest of `key`; `old` (NULL: none) was. */
void kv_account(struct kv *kv, struct slice key,
		const struct place *record_place, const struct place *old)
	REQUIRES(kv->write_lock);

/* --- the log: log.c --- */

int log_new_header(struct kv *kv, enum segment_kind kind,
		   struct segment_header *ret_header) REQUIRES(kv->write_lock);
/* Before size_bytes are appended: sees to it that what others need stays free,
 * where that takes more of the disk. 0, -ENOSPC. */
int log_reserve(struct kv *kv, uint64_t size_bytes, enum reserve_use use)
	REQUIRES(kv->write_lock);
/* Makes kv->active a segment with room for size_bytes, rotating if it must. */
int log_make_room(struct kv *kv, uint64_t size_bytes) REQUIRES(kv->write_lock);
/* Ends the active segment, if there is one with records in it. */
void log_rotate(struct kv *kv) REQUIRES(kv->write_lock);
/* Syncs every segment with unsynced bytes; durable_lsn rises. */
int log_sync(struct kv *kv, uint64_t lsn) EXCLUDES(kv->write_lock);

/* --- recovery: recover.c, rebuild.c --- */

int recover(struct kv *kv);

/* --- checkpoints: checkpoint.c --- */

/*
 * Writes a source as a run file, opened and with a durable name. 0, or 1 when
 * it has no entries worth writing (*ret_run is untouched). use: how much of the
 * reserve may go for it.
 */
int run_build(struct kv *kv, struct source *source, uint64_t expected_entries,
	      bool drop_tombstones, enum reserve_use use, struct run **ret_run);
/* For recovery: writes all frozen memtables as one run and publishes it,
 * tombstones included, without a manifest that tells of it. */
int flush_frozen(struct kv *kv);
/* Makes the state of this moment the one that recovery begins from. clean: the
 * store is being closed. */
int checkpoint(struct kv *kv, bool clean) EXCLUDES(kv->flush_lock);
/* Frees a checkpoint that failed and is not going to be tried again. */
void checkpoint_forget(struct kv *kv);
/* Stores `m` with the runs of `view` behind `newest` (may be NULL). */
int manifest_commit(struct kv *kv, struct manifest *m, const struct view *view,
		    const struct run *newest) REQUIRES(kv->manifest_lock);

/* --- merging and compaction: run_merge.c, compact.c --- */

/* Merges runs as the plan says until it is content. all: into one run. */
int merge_runs(struct kv *kv, bool all) REQUIRES(kv->compact_lock);
/* Bytes that a round may still copy: what the disk has left, the reserve included,
 * less what the round's checkpoint takes; never more than a round is to copy. */
uint64_t compact_room(struct kv *kv);
/* One round of background compaction. 1 when there was nothing to do. */
int compact_round(struct kv *kv) EXCLUDES(kv->compact_lock);
/* The same on a full disk: whatever gives space, whatever the options say.
 * -EDEADLK below a progress callback of kv_compact. */
int compact_for_space(struct kv *kv) EXCLUDES(kv->compact_lock);

/* --- background: background.c --- */

int background_start(struct kv *kv);
void background_stop(struct kv *kv);
void background_want_flush(struct kv *kv) EXCLUDES(kv->wake_lock);
void background_want_sync(struct kv *kv) EXCLUDES(kv->wake_lock);
void background_want_compact(struct kv *kv) EXCLUDES(kv->wake_lock);
/* Sleeps; true when the threads are to end. */
bool background_sleep(struct kv *kv, uint64_t ms) EXCLUDES(kv->wake_lock);

/* --- memory: resident.c --- */

void resident_init(struct kv *kv);
void resident_release(struct kv *kv);
/* Once a second: what was read is not to stay for ever, if it is more than
 * little. */
void resident_poll(struct kv *kv) EXCLUDES(kv->resident.lock);
/* Gives back what there is too much of. */
void resident_look(struct kv *kv) EXCLUDES(kv->resident.lock);

static inline bool resident_is_due(const struct kv *kv)
{
	return io_map_touches() >= atomic_load_explicit(&kv->resident.look_at,
							memory_order_relaxed);
}

/* After anything that reads maps. */
static inline void resident_watch(struct kv *kv) EXCLUDES(kv->resident.lock)
{
	if (resident_is_due(kv))
		resident_look(kv);
}

/* --- values: compress.c --- */

/* zlib at options.compress_level; 0, or 1 when it does not shrink, -ENOMEM. */
int value_compress(int level, struct slice value, struct buf *ret_stored);
/* -EUCLEAN when it is no stream of exactly raw_size bytes. */
int value_expand(struct slice stored, uint64_t raw_size, struct buf *ret_value);
