/* SPDX-License-Identifier: MIT */

/*
 * Committing a batch: from a list of changes to records in the log and entries
 * in the memtable.
 *
 *	prepare (no lock)   compress values
 *	resolve             drop deletes of keys that are not there
 *	encode              all records into one buffer, large values beside it
 *	append              one vectored write
 *	apply               memtable and counters; cannot fail
 *
 * 1. What can fail comes before the append, and the append is the last of it:
 *    a commit that returned an error has changed nothing.
 * 2. All records of a batch but the last carry RECORD_MORE, and a batch lies in
 *    one segment, so replay applies it whole or not at all.
 * 3. One batch at a time, under the write lock: LSNs are in file order.
 * 4. What a failed write may have left of a batch is removed before anything
 *    else is written: behind a shorter batch, its last records would be valid.
 */

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/batch.h"
#include "engine/kv_internal.h"

/* Values from this size on are written from where they are. */
#define VALUE_COPY_MAX 4096u
/* Smaller values are not worth a try at compression. */
#define COMPRESS_MIN 64u
#define SMALL_BATCH 16u
/* So much is appended before the disk is set to work on it. */
#define WRITE_OUT_BYTES (16u << 20)
/* Rounds of compaction for one deletion on a full disk. */
#define SPACE_TRIES 8u

struct commit_op {
	struct slice key;
	struct slice value; /* as it will be stored */
	uint64_t raw_size;
	bool deletion;
	bool compressed;

	/* Not set before the write lock is held. */
	bool skipped;  /* the deletion of an absent key */
	bool existed;  /* a deletion: old is what there was */
	bool replaced; /* old is what it replaces */
	struct place old;
	struct place place;
};

struct commit {
	struct commit_op *ops;
	struct commit_op small[SMALL_BATCH];
	size_t count;
	size_t written_count; /* not skipped */
	size_t last_written;
	uint64_t size_max; /* upper bound of the records' bytes */
	size_t key_bytes;
	struct buf stored; /* compressed values */
	struct iovec *iov;
	struct iovec small_iov[2 * SMALL_BATCH + 1];
	size_t iov_count;
	uint64_t size_bytes; /* of what is appended */
	uint64_t last_lsn;
	uint64_t raw_bytes;    /* of its values, before compression */
	uint64_t stored_bytes; /* and after it */
	enum reserve_use use;
	int compress_level;
	bool unsynced;  /* the caller sees to that */
	bool desperate; /* no space was kept for it, and none can be made */
};

static int commit_compress(struct commit *commit)
{
	struct buf one = { 0 };
	int result = 0;

	for (size_t i = 0; i < commit->count && result >= 0; i++) {
		struct commit_op *op = &commit->ops[i];

		if (op->deletion || op->value.size < COMPRESS_MIN)
			continue;
		result =
			value_compress(commit->compress_level, op->value, &one);
		if (result)
			continue;
		/* The offset for now: the buffer may move while it grows. */
		op->value = slice_of(NULL, one.size);
		op->compressed = true;
		result = buf_append(&commit->stored, one.data, one.size);
	}
	buf_release(&one);
	if (result < 0)
		return result;
	for (size_t i = 0, at = 0; i < commit->count; i++) {
		struct commit_op *op = &commit->ops[i];

		if (!op->compressed)
			continue;
		op->value.data = commit->stored.data + at;
		at += op->value.size;
	}
	return 0;
}

/* Not zeroed as a whole: most of it is room that most commits do not use. */
static void commit_init(struct kv *kv, struct commit *commit)
{
	commit->ops = commit->small;
	commit->iov = commit->small_iov;
	commit->count = 0;
	commit->written_count = 0;
	commit->last_written = 0;
	commit->size_max = 0;
	commit->key_bytes = 0;
	commit->stored = (struct buf){ 0 };
	commit->iov_count = 0;
	commit->size_bytes = 0;
	commit->last_lsn = 0;
	commit->raw_bytes = 0;
	commit->stored_bytes = 0;
	commit->use = RESERVE_FOR_CHANGE;
	commit->compress_level = kv->options.compress_level;
	commit->unsynced = kv->options.durability != KV_DURABILITY_ALWAYS;
	commit->desperate = false;
}

/* Not zeroed as a whole, as commit_init(): the rest is set when it is known. */
static void commit_op_init(struct commit_op *op, struct slice key,
			   struct slice value, bool deletion)
{
	op->key = key;
	op->value = value;
	op->raw_size = value.size;
	op->deletion = deletion;
	op->compressed = false;
}

static int commit_load(struct commit *commit, const struct kv_batch *batch)
{
	if (batch->count > SMALL_BATCH) {
		commit->ops = calloc(batch->count, sizeof(*commit->ops));
		commit->iov =
			calloc(2 * batch->count + 1, sizeof(*commit->iov));
		if (!commit->ops || !commit->iov)
			return -ENOMEM;
	}
	commit->count = batch->count;
	if (batch->compress_level)
		commit->compress_level =
			batch->compress_level > 0 ? batch->compress_level : 0;
	for (size_t i = 0; i < batch->count; i++)
		commit_op_init(&commit->ops[i], batch_key(batch, i),
			       batch->ops[i].value, batch->ops[i].deletion);
	return 0;
}

static void commit_release(struct commit *commit)
{
	if (commit->ops != commit->small)
		free(commit->ops);
	if (commit->iov != commit->small_iov)
		free(commit->iov);
	buf_release(&commit->stored);
}

/*
 * Whether an earlier change of the same batch sets the key. Batches that mix
 * sets and deletes of one key are rare and small; a long batch does not pay for
 * the search but writes a tombstone that may prove needless.
 */
static bool set_before(const struct commit *commit, size_t i)
{
	if (i > (size_t)4 * SMALL_BATCH)
		return true;
	for (size_t j = i; j-- > 0;)
		if (!commit->ops[j].skipped &&
		    slice_equal(commit->ops[j].key, commit->ops[i].key))
			return !commit->ops[j].deletion;
	return false;
}

static void commit_resolve(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	bool sets = false;
	int result;

	commit->written_count = 0;
	commit->key_bytes = 0;
	commit->size_max = 0;
	for (size_t i = 0; i < commit->count; i++) {
		struct commit_op *op = &commit->ops[i];

		op->skipped = false;
		if (op->deletion) {
			/* A run that cannot be read may hold the key: then a
			 * tombstone too many is the safe side. */
			result = view_find(kv_view_now(kv), op->key, false,
					   &op->old, NULL);
			op->existed = result == 0;
			if (result < 0)
				atomic_store(&kv->index_damaged, true);
			if ((result == 1 ||
			     (result == 0 && op->old.tombstone)) &&
			    !(sets && set_before(commit, i)))
				op->skipped = true;
		} else {
			view_prefetch(kv_view_now(kv), op->key);
			sets = true;
		}
		if (op->skipped)
			continue;
		commit->written_count++;
		commit->last_written = i;
		commit->key_bytes += op->key.size;
		commit->size_max +=
			RECORD_HEAD_MAX + op->key.size + op->value.size;
	}
}

/* Bytes in the staging buffer become one piece of the write. */
static void commit_add_staged(struct commit *commit, void *start, size_t size)
{
	struct iovec *last = commit->iov + commit->iov_count - 1;

	if (!size)
		return;
	if (commit->iov_count &&
	    (uint8_t *)last->iov_base + last->iov_len == start)
		last->iov_len += size;
	else
		commit->iov[commit->iov_count++] =
			(struct iovec){ start, size };
	commit->size_bytes += size;
}

/* The log tells how far it was durable before it goes on; see recover.c. */
static void commit_encode_mark(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	struct record mark = { .type = RECORD_MARK,
			       .lsn = atomic_load(&kv->durable_lsn) };
	struct record_site site = segment_site(kv->active, kv->active->end);
	uint8_t *dst = kv->staging.data;
	size_t size;

	if (mark.lsn <= kv->marked_lsn)
		return;
	size = record_encode_head(&mark, &site, dst);
	kv->staging.size += size;
	commit_add_staged(commit, dst, size);
}

static void commit_encode_op(struct kv *kv, struct commit *commit, size_t i)
	REQUIRES(kv->write_lock)
{
	struct commit_op *op = &commit->ops[i];
	uint64_t offset = kv->active->end + commit->size_bytes;
	struct record_site site = segment_site(kv->active, offset);
	struct record record = {
		.type = op->deletion ? RECORD_DELETE : RECORD_SET,
		.flags = (i != commit->last_written ? RECORD_MORE : 0) |
			 (op->compressed ? RECORD_ZLIB : 0),
		.lsn = ++commit->last_lsn,
		.key = op->key,
		.value = op->value,
		.raw_size = op->raw_size,
	};
	uint8_t *dst = kv->staging.data + kv->staging.size;
	size_t size = record_encode_head(&record, &site, dst);

	op->place = (struct place){ .offset = offset,
				    .size_bytes = size + op->value.size,
				    .lsn = record.lsn,
				    .segment_id = kv->active->header.id,
				    .tombstone = op->deletion };
	if (op->value.size <= VALUE_COPY_MAX) {
		if (op->value.size)
			memcpy(dst + size, op->value.data, op->value.size);
		size += op->value.size;
		kv->staging.size += size;
		commit_add_staged(commit, dst, size);
		return;
	}
	kv->staging.size += size;
	commit_add_staged(commit, dst, size);
	/* pwritev only reads it; iovec has no const. */
	commit->iov[commit->iov_count++] =
		(struct iovec){ (void *)(uintptr_t)op->value.data,
				op->value.size };
	commit->size_bytes += op->value.size;
}

static int commit_write(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	bool spoiled = false;
	int error = segment_append(kv->active, commit->iov, commit->iov_count,
				   commit->size_bytes, &spoiled);

	if (spoiled && segment_unspoil(kv->active))
		kv_fail(kv, error, "a failed write could not be undone");
	return error;
}

/* Encodes for the log's end, and appends. Can be tried again. */
static int commit_place(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	int error = log_make_room(kv, RECORD_HEAD_MAX + commit->size_max);

	if (error)
		return error;
	buf_clear(&kv->staging);
	commit->iov_count = 0;
	commit->size_bytes = 0;
	commit->last_lsn = atomic_load(&kv->last_lsn);
	commit_encode_mark(kv, commit);
	for (size_t i = 0; i < commit->count; i++)
		if (!commit->ops[i].skipped)
			commit_encode_op(kv, commit, i);
	return commit_write(kv, commit);
}

static int commit_append(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	uint64_t moment = reserve_moment(&kv->reserve);
	size_t staged = RECORD_HEAD_MAX;
	int error;

	for (size_t i = 0; i < commit->count; i++) {
		const struct commit_op *op = &commit->ops[i];

		staged += RECORD_HEAD_MAX + op->key.size;
		if (op->value.size <= VALUE_COPY_MAX)
			staged += op->value.size;
	}
	buf_clear(&kv->staging);
	error = buf_reserve(&kv->staging, staged);
	if (error)
		return error;
	error = memtable_reserve(kv_view_now(kv)->active, commit->written_count,
				 commit->key_bytes);
	if (error)
		return error;
	if (!commit->desperate)
		error = log_reserve(kv, RECORD_HEAD_MAX + commit->size_max,
				    commit->use);
	if (error)
		return error;
	do
		error = commit_place(kv, commit);
	while (reserve_yield(&kv->reserve, commit->use, error, &moment));
	return error;
}

/* What a change replaces, where the active memtable did not have it. With an
 * index that cannot tell, the counters are wrong: the next open counts anew. */
static bool commit_old_below(struct kv *kv, struct commit_op *op)
	REQUIRES(kv->write_lock)
{
	int result;

	/* A deletion has looked for it already. */
	if (op->deletion)
		return op->existed;
	result = view_find(kv_view_now(kv), op->key, true, &op->old, NULL);
	if (result < 0)
		atomic_store(&kv->index_damaged, true);
	return result == 0;
}

/*
 * The puts are one step to readers, who wait meanwhile: so what may have to
 * read the disk, the search for what was replaced, comes after them.
 */
static void commit_apply(struct kv *kv, struct commit *commit)
	REQUIRES(kv->write_lock)
{
	const struct view *view = kv_view_now(kv);

	kv->marked_lsn = atomic_load(&kv->durable_lsn);
	memtable_begin(view->active);
	for (size_t i = 0; i < commit->count; i++) {
		struct commit_op *op = &commit->ops[i];

		if (!op->skipped)
			op->replaced = memtable_put(view->active, op->key,
						    &op->place, &op->old) == 1;
	}
	memtable_end(view->active);
	for (size_t i = 0; i < commit->count; i++) {
		struct commit_op *op = &commit->ops[i];

		if (op->skipped)
			continue;
		if (!op->replaced)
			op->replaced = commit_old_below(kv, op);
		kv_account(kv, op->key, &op->place,
			   op->replaced ? &op->old : NULL);
		counter_add_alone(op->deletion ? &kv->counters.deletes :
						 &kv->counters.sets,
				  1);
		commit->raw_bytes += op->raw_size;
		commit->stored_bytes += op->value.size;
	}
	counter_add_alone(&kv->counters.value_bytes_raw, commit->raw_bytes);
	counter_add_alone(&kv->counters.value_bytes_stored,
			  commit->stored_bytes);
	atomic_store(&kv->last_lsn, commit->last_lsn);
	counter_add_alone(&kv->counters.commits, 1);
	counter_add_alone(&kv->counters.append_bytes, commit->size_bytes);
}

/*
 * Asks for a flush when the memtable is full, and waits for one only when
 * twice that has come together: memory stays bounded.
 */
static void commit_keep_budget(struct kv *kv) REQUIRES(kv->write_lock)
{
	for (;;) {
		size_t size = memtable_size_bytes(kv_view_now(kv)->active);

		if (size < kv->memtable_budget_bytes)
			return;
		background_want_flush(kv);
		if (size < 2 * kv->memtable_budget_bytes ||
		    !kv->threads_running || atomic_load(&kv->flush_failing))
			return;
		condition_wait_for(&kv->flushed, &kv->write_lock, 1000);
	}
}

/*
 * Who writes much and then syncs would find all of it still to be written. So
 * the committer begins with it while more is coming.
 */
static void commit_keep_writing(struct kv *kv, const struct commit *commit)
	REQUIRES(kv->write_lock)
{
	kv->appended_bytes += commit->size_bytes;
	if (kv->appended_bytes < WRITE_OUT_BYTES)
		return;
	kv->appended_bytes = 0;
	background_want_sync(kv);
}

static int commit_try(struct kv *kv, struct commit *commit, uint64_t *ret_lsn)
{
	int error;

	mutex_lock(&kv->write_lock);
	error = kv_writable(kv);
	if (!error)
		commit_resolve(kv, commit);
	if (!error && commit->written_count)
		error = commit_append(kv, commit);
	if (!error && commit->written_count) {
		commit_apply(kv, commit);
		commit_keep_budget(kv);
		commit_keep_writing(kv, commit);
	}
	*ret_lsn = atomic_load(&kv->last_lsn);
	mutex_unlock(&kv->write_lock);
	resident_watch(kv);
	return error;
}

/* What a deletion does that found no space: makes some, and if there is none
 * to be made, takes what was meant for compaction. */
static int commit_make_space(struct kv *kv, struct commit *commit)
{
	int error;

	if (commit->desperate)
		return -ENOSPC;
	error = compact_for_space(kv);
	/* This very thread compacts, and needs what is left for that. */
	if (error == -EDEADLK)
		return -ENOSPC;
	if (error)
		commit->desperate = true;
	return 0;
}

/* With the changes in commit->ops. *ret_lsn may be NULL. */
static int commit_run(struct kv *kv, struct commit *commit, uint64_t *ret_lsn)
{
	uint64_t lsn;
	int error = 0;

	if (commit->compress_level)
		error = commit_compress(commit);
	if (error)
		return error;
	error = commit_try(kv, commit, &lsn);
	for (unsigned int tries = 0;
	     error_is_full(error) && commit->use == RESERVE_FOR_DELETION &&
	     tries < SPACE_TRIES && !commit_make_space(kv, commit);
	     tries++)
		error = commit_try(kv, commit, &lsn);
	if (!error && commit->written_count && !commit->unsynced)
		error = kv_sync(kv, lsn);
	if (!error && ret_lsn)
		*ret_lsn = lsn;
	return error;
}

int kv_commit_measured(struct kv *kv, const struct kv_batch *batch,
		       unsigned int flags, struct kv_committed *ret_committed)
{
	struct commit commit;
	uint64_t lsn = 0;
	int error;

	commit_init(kv, &commit);
	if (flags & KV_COMMIT_RESERVED)
		commit.use = RESERVE_FOR_DELETION;
	if (flags & KV_COMMIT_UNSYNCED)
		commit.unsynced = true;
	error = commit_load(&commit, batch);
	if (!error)
		error = commit_run(kv, &commit, &lsn);
	if (!error)
		*ret_committed = (struct kv_committed){ lsn, commit.raw_bytes,
							commit.stored_bytes };
	commit_release(&commit);
	return error;
}

int kv_commit(struct kv *kv, const struct kv_batch *batch, unsigned int flags,
	      uint64_t *ret_lsn)
{
	struct kv_committed committed;
	int error = kv_commit_measured(kv, batch, flags, &committed);

	if (!error && ret_lsn)
		*ret_lsn = committed.lsn;
	return error;
}

/* A batch of one, without making one. */
static int commit_one(struct kv *kv, struct slice key, struct slice value,
		      bool deletion, uint64_t *ret_lsn, bool *ret_written)
{
	struct commit commit;
	int error;

	if (key.size > KV_KEY_MAX || value.size > KV_VALUE_MAX)
		return -EINVAL;
	commit_init(kv, &commit);
	commit_op_init(&commit.ops[commit.count++], key, value, deletion);
	if (deletion)
		commit.use = RESERVE_FOR_DELETION;
	error = commit_run(kv, &commit, ret_lsn);
	if (ret_written)
		*ret_written = commit.written_count != 0;
	commit_release(&commit);
	return error;
}

int kv_set(struct kv *kv, struct slice key, struct slice value,
	   uint64_t *ret_lsn)
{
	return commit_one(kv, key, value, false, ret_lsn, NULL);
}

int kv_delete(struct kv *kv, struct slice key, uint64_t *ret_lsn)
{
	bool written;
	int error =
		commit_one(kv, key, slice_of(NULL, 0), true, ret_lsn, &written);

	return error ? error : !written;
}
