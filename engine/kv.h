/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kv: an embedded, log-structured key-value store.
 *
 * Keys are byte strings of 0 to KV_KEY_MAX bytes, ordered as unsigned bytes; a
 * key that is a prefix of another sorts first. Values are 0 to KV_VALUE_MAX
 * bytes; an empty value is a value.
 *
 * Results. Functions return 0 for done, a negative errno for failure, and a
 * positive outcome where their comment names one (1: no such key). Outputs are
 * untouched on failure. The errors every function may return:
 *	-ENOMEM    memory is out
 *	-EIO       the system failed to read or write
 *	-EBADMSG   stored bytes do not match their checksum: the key is damaged
 *	-EUCLEAN   stored bytes make no sense
 *	-EROFS     a change on a store opened read-only, or one that turned
 *	           read-only because a sync failed (kv_stats tells)
 *	-ENOSPC, -EDQUOT   the disk is full; nothing was changed
 *
 * Threads. Every function may be called from any number of threads at a time,
 * but for kv_open and kv_close. A batch is used by one thread at a time. No
 * lock is held while a callback runs, so a callback may call kv functions.
 *
 * Durability. A change is visible to readers, and survives the death of the
 * process, when its call returns. It survives power loss once kv_sync() for
 * its LSN (or a later one) returned 0, or after commit_interval_ms at most.
 * Changes are never reordered: after power loss the store is as it was at one
 * moment between the last such sync and the loss, batches whole.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"

#define KV_KEY_MAX 65535u
#define KV_VALUE_MAX 4294967295u
#define KV_CLASS_COUNT 16

struct io;
struct kv;
struct kv_pin;
struct kv_hold;

enum kv_durability {
	KV_DURABILITY_FSYNC,  /* durable at kv_sync and by the commit timer */
	KV_DURABILITY_ALWAYS, /* every change is synced before it returns */
	KV_DURABILITY_NONE,   /* kv_sync does nothing; the system decides */
};

enum kv_log_level {
	KV_LOG_ERROR,
	KV_LOG_WARNING,
	KV_LOG_INFO,
	KV_LOG_DEBUG,
};

/* One line, without a line feed. Called from any thread, never nested. */
typedef void kv_log_fn(void *ctx, enum kv_log_level level, const char *line);

/*
 * The class of a key, 0 to KV_CLASS_COUNT - 1, for the counters in kv_stats.
 * A pure function of the key, the same for the life of the store.
 */
typedef unsigned int kv_classify_fn(struct slice key);

struct kv_options {
	bool create; /* make the store when the directory is absent or empty */
	bool read_only; /* change nothing on disk but notes: no recovery */
	uint64_t segment_size_bytes; /* 1 MiB to 2 GiB */
	/* Index, buffers; at least 4 MiB. Resident pages of mapped files, which
	 * the system could take back, stay within three times that. */
	uint64_t memory_bytes;
	uint64_t commit_interval_ms; /* 0: no timer */
	enum kv_durability durability;
	int compress_level; /* zlib level 1 to 9; 0: none */
	bool compact_auto;
	unsigned int compact_ratio; /* per cent of a segment dead, 1 to 99 */
	uint64_t compact_rate;      /* bytes a second; 0: unlimited */
	kv_classify_fn *classify;   /* NULL: every key is of class 0 */
	kv_log_fn *log;             /* NULL: silent */
	void *log_ctx;
	struct io *io; /* NULL: the real system */
};

/* Sensible values for everything; change what you need. */
void kv_options_init(struct kv_options *options);

/*
 * Opens the store in directory `path` and recovers it when it was not closed.
 * The time taken depends on the log since the last checkpoint, not on the
 * number of keys. Errors beside the general ones:
 *	-ENOENT        no such directory, and !create
 *	-ENOTDIR       not a directory (a symbolic link neither)
 *	-ENOTEMPTY     a directory with something else in it
 *	-EWOULDBLOCK   another process has the store open
 *	-EPROTONOSUPPORT  written by a newer version
 *	-EINVAL        an option is out of range
 */
int kv_open(const char *path, const struct kv_options *options,
	    struct kv **ret_kv);

/*
 * Writes a checkpoint, syncs, and frees. Pins must be gone and no call in
 * progress. The error, if any, tells what could not be made durable; the
 * handle is freed either way. NULL is allowed.
 */
int kv_close(struct kv *kv);

/* A read-only view that later changes, compaction and checkpoints leave alone.
 * Pins keep memory and disk space; they end with kv_unpin. */
int kv_pin(struct kv *kv, struct kv_pin **ret_pin);
void kv_unpin(struct kv_pin *pin);

/*
 * Replaces the contents of *ret_value by the value. pin NULL: the newest
 * state. 0, 1 when there is no such key.
 */
int kv_get(struct kv *kv, const struct kv_pin *pin, struct slice key,
	   struct buf *ret_value);

/*
 * Copies bytes [offset, offset + size) of the value to dst, as far as it
 * reaches; *ret_read is the count copied, *ret_value_size (may be NULL) the
 * size of the whole value. The whole value's checksum is verified all the
 * same. 0, 1 when there is no such key.
 */
int kv_read(struct kv *kv, const struct kv_pin *pin, struct slice key,
	    uint64_t offset, void *dst, size_t size, size_t *ret_read,
	    uint64_t *ret_value_size);

/* 0 when there is such a key, 1 when not. Reads the index only. */
int kv_exists(struct kv *kv, const struct kv_pin *pin, struct slice key);

/*
 * Keeps one value readable, whatever becomes of its key; costs a reference to
 * the segment that it lies in, whose space is given back no sooner. 0, 1 when
 * there is no such key, -errno. Holds must be gone before kv_close.
 */
int kv_hold(struct kv *kv, struct slice key, struct kv_hold **ret_hold);
struct kv_hold *kv_hold_ref(struct kv_hold *hold);
/* As kv_read. */
int kv_hold_read(struct kv_hold *hold, uint64_t offset, void *dst, size_t size,
		 size_t *ret_read, uint64_t *ret_value_size);
/* With the last reference it ends. NULL is allowed. */
void kv_hold_unref(struct kv_hold *hold);

/* A batch of one. *ret_lsn (may be NULL) as kv_commit. */
int kv_set(struct kv *kv, struct slice key, struct slice value,
	   uint64_t *ret_lsn);
/* 1 when there is no such key; nothing is then written. */
int kv_delete(struct kv *kv, struct slice key, uint64_t *ret_lsn);

/*
 * A batch: changes that become visible and durable together or not at all.
 * Later changes of a key win over earlier ones of the same batch.
 * Zero-initialised is an empty batch.
 */
#define KV_BATCH_OPS_MAX 65536u
#define KV_COMPRESS_NONE (-1)
struct kv_batch {
	struct kv_batch_op *ops;
	size_t count;
	size_t capacity;
	struct buf keys;
	/* zlib level of its values, 1 to 9, or KV_COMPRESS_NONE; 0: as the
	 * options of the store say. The caller's to set, until kv_commit. */
	int compress_level;
};

void kv_batch_release(struct kv_batch *batch);
void kv_batch_clear(struct kv_batch *batch);
/*
 * The key is copied. The value is borrowed: it must stay as it is until
 * kv_commit returns. -EINVAL for a key or value that is too long, -E2BIG past
 * KV_BATCH_OPS_MAX, -ENOMEM.
 */
int kv_batch_set(struct kv_batch *batch, struct slice key, struct slice value);
int kv_batch_delete(struct kv_batch *batch, struct slice key);

enum kv_commit_flags {
	/* May use the space reserved for getting out of a full disk: for
	 * changes that free more than they take. */
	KV_COMMIT_RESERVED = 1u << 0,
	/* Returns without a sync also with KV_DURABILITY_ALWAYS: the caller
	 * sees to that. */
	KV_COMMIT_UNSYNCED = 1u << 1,
};

/*
 * Applies a batch. *ret_lsn (may be NULL): the LSN to pass to kv_sync. A batch
 * that changes nothing (empty, or only deletes of absent keys) writes nothing.
 * The batch is left as it was.
 */
int kv_commit(struct kv *kv, const struct kv_batch *batch, unsigned int flags,
	      uint64_t *ret_lsn);

/* What became of a batch. */
struct kv_committed {
	uint64_t lsn;
	uint64_t value_bytes_raw; /* as in struct kv_stats; of this batch */
	uint64_t value_bytes_stored;
};

/* As kv_commit, and tells more. */
int kv_commit_measured(struct kv *kv, const struct kv_batch *batch,
		       unsigned int flags, struct kv_committed *ret_committed);

/*
 * Everything up to `lsn` survives power loss once this returns 0. Concurrent
 * callers share one disk sync. -EIO, now and for ever, once a sync has failed.
 */
int kv_sync(struct kv *kv, uint64_t lsn);
/* The same, with KV_DURABILITY_NONE too. */
int kv_sync_now(struct kv *kv, uint64_t lsn);
/* The LSN of the newest change. */
uint64_t kv_last_lsn(struct kv *kv);

/* What a listing shows of each key. */
struct kv_entry {
	struct slice key;   /* valid during the callback */
	struct slice value; /* with KV_LIST_VALUES, else empty */
	uint64_t record_size_bytes;
	int value_error; /* with KV_LIST_VALUES: 0, -EBADMSG, -EIO */
};

struct kv_range {
	struct slice prefix; /* only keys that begin so; empty: all */
	struct slice from;   /* begin here; empty: at the prefix */
	struct slice to;     /* end before this key; empty: no end */
	bool after;          /* begin strictly after `from` */
};

enum kv_list_flags {
	KV_LIST_VALUES = 1u << 0,
};

/* 0 goes on; anything else ends the listing, which returns it. */
typedef int kv_list_fn(void *ctx, const struct kv_entry *entry);

/*
 * Calls fn for each key in range, ascending. Without a pin the store may
 * change meanwhile: keys that stay are shown exactly once, others perhaps. To
 * go on later, list again with `from` the last key and `after` set. 0 at the
 * end, or what fn returned.
 */
int kv_list(struct kv *kv, const struct kv_pin *pin,
	    const struct kv_range *range, unsigned int flags, kv_list_fn *fn,
	    void *ctx);

/* A record of the history, for replication. */
struct kv_change {
	uint64_t lsn;
	bool deletion;
	bool more; /* the next change belongs to the same batch */
	struct slice key;
	struct slice value;
};

typedef int kv_tail_fn(void *ctx, const struct kv_change *change);

/*
 * Calls fn for every change with an LSN beyond `after_lsn` up to now, in order.
 * -ESTALE when compaction has removed some of them: begin again from a pin.
 */
int kv_tail(struct kv *kv, uint64_t after_lsn, kv_tail_fn *fn, void *ctx);

/* done and total are bytes. Non-zero stops the operation: -ECANCELED. */
typedef int kv_progress_fn(void *ctx, uint64_t done, uint64_t total);

/* Writes what is in memory to disk as a run and makes the log before it
 * unnecessary for recovery. */
int kv_checkpoint(struct kv *kv);

/*
 * Gives back the space of everything overwritten or deleted before the call,
 * merges all runs into one. progress may be NULL; it may read and change the
 * store (on a full disk deletions are refused there, too), but kv_compact of the
 * same store is -EDEADLK, and it may not wait for a thread that calls that.
 */
int kv_compact(struct kv *kv, kv_progress_fn *progress, void *ctx);

enum kv_problem_kind {
	KV_PROBLEM_KEY,     /* the newest record of `key` is damaged */
	KV_PROBLEM_RECORD,  /* a record nobody needs is damaged */
	KV_PROBLEM_RUN,     /* an index file is damaged; rebuilt at next open */
	KV_PROBLEM_LOST,    /* damage whose key cannot be told */
	KV_PROBLEM_COUNTER, /* a counter differs from what was counted */
};

struct kv_problem {
	enum kv_problem_kind kind;
	struct slice key; /* KV_PROBLEM_KEY */
	const char *file; /* name in the store, or NULL */
	uint64_t offset;
	const char *what; /* a sentence */
};

typedef void kv_problem_fn(void *ctx, const struct kv_problem *problem);

/*
 * Reads and verifies everything: runs, every record of every segment, each
 * index entry against its record, the counters. Changes go on meanwhile. 0
 * when sound, 1 when a problem was reported.
 */
int kv_check(struct kv *kv, kv_problem_fn *fn, kv_progress_fn *progress,
	     void *ctx);

/* What a check reads, in this order; the counters come last. */
enum kv_check_part {
	KV_CHECK_RUNS,
	KV_CHECK_SEGMENTS,
	KV_CHECK_INDEX,
};

/* How far a check has come. Zero-initialised: not begun. */
struct kv_check_position {
	enum kv_check_part part;
	uint64_t file_id; /* of the part, files up to this one were read */
	struct buf key;   /* of the index, if key_count > 0: up to this one */
	uint64_t done_bytes;
	bool problems; /* there were some */
	/* Of the index so far, and the state of the store that it is part of. */
	uint64_t key_count;
	uint64_t live_bytes;
	uint64_t lsn;
	uint64_t next_file_id;
};

void kv_check_position_release(struct kv_check_position *position);

/*
 * A check from *position on. While it goes on, *position is right whenever
 * progress is called, and when it ends before its end (-ECANCELED, or any other
 * error); the caller may keep what it says, even for another process.
 *
 * What was there when the check was begun and is there still has then been read
 * once, by one part of the check or the other; of what was written since, some
 * may not have been. The counters are compared only if nothing was changed since
 * the check came to the index. Damage that was reported is not reported again,
 * but that there was some is still the result.
 */
int kv_check_from(struct kv *kv, struct kv_check_position *position,
		  kv_problem_fn *fn, kv_progress_fn *progress, void *ctx);

/*
 * Notes: a few bytes that users of the store keep in its directory, of which
 * they are not a part. They may be lost at any time, and can be changed on a
 * store that is open read-only, if its disk allows.
 */
enum kv_note {
	KV_NOTE_CHECK,     /* how far a check has come */
	KV_NOTE_SCRUB,     /* how far a scrub has come */
	KV_NOTE_SCRUBBING, /* a scrub is going on in the background */
};

/* Replaces it whole, durably. */
int kv_note_store(struct kv *kv, enum kv_note note, struct slice bytes);
/* 0, 1 when there is none, or one that is not as it was written. */
int kv_note_load(struct kv *kv, enum kv_note note, struct buf *ret_bytes);
/* 0 also when there is none. */
int kv_note_remove(struct kv *kv, enum kv_note note);

enum kv_recovery {
	KV_RECOVERY_CLEAN,    /* closed cleanly, or new */
	KV_RECOVERY_REPLAYED, /* the log's end was replayed */
	KV_RECOVERY_TORN,     /* and a torn tail was cut off */
	KV_RECOVERY_DAMAGED,  /* damage was found; see the log */
	KV_RECOVERY_REBUILT,  /* manifest or runs were rebuilt from the log */
};

struct kv_class_stats {
	uint64_t key_count;
	uint64_t record_bytes; /* of their newest records */
};

/* All kept as the store changes; reading them costs no scan. */
struct kv_stats {
	struct kv_class_stats classes[KV_CLASS_COUNT];
	uint64_t key_count;
	uint64_t live_bytes;      /* of the newest records of keys that exist */
	uint64_t dead_bytes;      /* of other records, tombstones included */
	uint64_t disk_bytes;      /* of all files of the store */
	uint64_t tombstone_count; /* records in the log */
	uint64_t segment_count;
	uint64_t oldest_segment_id;
	uint64_t active_segment_id;
	uint64_t run_count;
	uint64_t run_bytes;
	uint64_t memtable_bytes;
	uint64_t memtable_keys;
	uint64_t last_lsn;
	uint64_t durable_lsn;
	uint64_t checkpoint_lsn;
	uint64_t checkpoint_count;
	int64_t checkpoint_time_s; /* Unix time of the last one; 0: none */
	uint64_t get_count;
	uint64_t get_miss_count;
	uint64_t memtable_hit_count;
	uint64_t bloom_skip_count;        /* runs a filter spared us */
	uint64_t bloom_false_match_count; /* runs searched in vain */
	uint64_t set_count;
	uint64_t delete_count;
	uint64_t commit_count;
	uint64_t append_bytes;
	uint64_t sync_count;      /* kv_sync calls that had to wait */
	uint64_t disk_sync_count; /* fdatasyncs of the log */
	uint64_t merge_count;
	uint64_t merge_bytes;
	uint64_t compaction_count;
	uint64_t compaction_copied_bytes;
	uint64_t compaction_freed_bytes;
	int64_t compaction_time_s;
	uint64_t reserve_bytes; /* kept back for a full disk; 0: no need yet */
	uint64_t space_low;     /* 1: changes other than deletions fail */
	uint64_t pin_count;
	uint64_t value_bytes_raw;    /* set since open, before compression */
	uint64_t value_bytes_stored; /* and after it */
	uint64_t damaged_read_count;
	enum kv_recovery recovery;
	uint64_t recovery_record_count; /* replayed at open */
	uint64_t recovery_cut_bytes;    /* of a torn tail */
	uint64_t recovery_lost_count;   /* changes lost to damage, at open */
	int failed; /* 0, or the errno that made the store read-only */
	uint8_t uuid[16];
};

void kv_stats(struct kv *kv, struct kv_stats *ret_stats);

/* Free and total bytes of the disk that the store is on. */
int kv_disk_space(struct kv *kv, uint64_t *ret_free_bytes,
		  uint64_t *ret_total_bytes);
