/* SPDX-License-Identifier: MIT */

/*
 * The log's end: the active segment, rotation, and group commit.
 *
 * 1. Segments are synced in the order in which they were written, and
 *    durable_lsn rises only when all of them are: what is durable is a prefix.
 * 2. Rotation does not sync. The next sync covers the ended segment, and
 *    recovery takes the segments as one log.
 * 3. A sync that failed is final: the kernel may have dropped the pages, and
 *    would call the next sync a success.
 *
 * Group commit: the first caller that finds nobody syncing leads; it may wait
 * a little for others to come (sync_plan.h), and covers everything written up to
 * the moment it begins. The others wait, and one of those not covered leads
 * next.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/kv_internal.h"

int log_new_header(struct kv *kv, enum segment_kind kind,
		   struct segment_header *ret_header)
{
	uint64_t lsn = atomic_load(&kv->last_lsn) + 1, salt;

	if (getrandom(&salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return -EIO;
	*ret_header = (struct segment_header){
		.kind = kind,
		.id = atomic_fetch_add(&kv->next_file_id, 1),
		.base_lsn = lsn,
		.created_lsn = lsn,
		.salt = salt,
	};
	memcpy(ret_header->store_uuid, kv->uuid, STORE_UUID_BYTES);
	return 0;
}

static int log_begin_segment(struct kv *kv, uint64_t size_bytes)
	REQUIRES(kv->write_lock)
{
	uint64_t limit = kv->options.segment_size_bytes;
	uint64_t least = SEGMENT_HEADER_BYTES + size_bytes +
			 2 * (uint64_t)RECORD_HEAD_MAX;
	struct segment_header header;
	struct segment *segment;
	int error;

	if (limit < least)
		limit = least;
	error = log_new_header(kv, SEGMENT_LOG, &header);
	if (error)
		return error;
	error = segment_create(kv->io, kv->dir_fd, &header, limit, &segment);
	if (error)
		return error;
	/* Until the view has it nothing may point into it. */
	error = kv_segment_add(kv, segment);
	if (error)
		return error;
	error = kv_view_refresh_segments(kv);
	if (error) {
		/* Empty, it stands in nobody's way. */
		segment->sealed = true;
		return error;
	}
	kv->active = segment;
	return 0;
}

/* Without its seal a segment is as good: the next one tells by its base LSN
 * that nothing is missing. So a failure is only told. */
static void log_end_segment(struct kv *kv, struct segment *segment)
	REQUIRES(kv->write_lock)
{
	int error = segment_seal(segment, atomic_load(&kv->last_lsn));

	if (error)
		kv_log(kv, KV_LOG_WARNING, "segment %llx not sealed: %s",
		       (unsigned long long)segment->header.id,
		       strerror(-error));
	segment->sealed = true;
}

void log_rotate(struct kv *kv)
{
	if (!kv->active || kv->active->end == SEGMENT_HEADER_BYTES)
		return;
	log_end_segment(kv, kv->active);
	segment_trim(kv->active);
	kv->active = NULL;
}

int log_reserve(struct kv *kv, uint64_t size_bytes, enum reserve_use use)
{
	const struct segment *active = kv->active;
	bool grows = !active || segment_room(active) < size_bytes ||
		     active->end + size_bytes > active->allocated;

	/* While the reserve is not whole, changes may not use what deletions
	 * have got for themselves either. */
	if (!grows &&
	    (use != RESERVE_FOR_CHANGE || !reserve_is_low(&kv->reserve)))
		return 0;
	return reserve_keep(&kv->reserve, use, size_bytes);
}

int log_make_room(struct kv *kv, uint64_t size_bytes)
{
	struct segment *full = kv->active;
	int error;

	if (full && segment_room(full) >= size_bytes)
		return 0;
	/* First the new, then the seal of the old: where there is no space
	 * for a segment, everything stays as it is. */
	error = log_begin_segment(kv, size_bytes);
	if (error || !full)
		return error;
	log_end_segment(kv, full);
	return 0;
}

struct sync_item {
	struct segment *segment; /* with a reference */
	uint64_t end;
	bool ended; /* sealed: nothing will be written to it any more */
};

/* What a leader is going to sync. */
struct sync_job {
	uint64_t lsn;
	struct sync_item *items;
	size_t count;
};

static void sync_job_release(struct sync_job *job)
{
	for (size_t i = 0; i < job->count; i++)
		segment_unref(job->items[i].segment);
	free(job->items);
}

static int sync_job_collect(struct kv *kv, struct sync_job *job)
{
	int error = 0;

	*job = (struct sync_job){ 0 };
	mutex_lock(&kv->write_lock);
	job->lsn = atomic_load(&kv->last_lsn);
	job->items = calloc(kv->segment_count + 1, sizeof(*job->items));
	if (!job->items) {
		error = -ENOMEM;
		goto out;
	}
	for (size_t i = 0; i < kv->segment_count; i++) {
		struct segment *segment = kv->segments[i];

		if (segment->header.kind != SEGMENT_LOG || segment->synced ||
		    segment->fd < 0)
			continue;
		segment->sync_begun = segment->end;
		job->items[job->count++] =
			(struct sync_item){ segment_ref(segment), segment->end,
					    segment->sealed };
	}
out:
	mutex_unlock(&kv->write_lock);
	return error;
}

/* Marks what is durable now, and closes what will not be written again. */
static void sync_job_finish(struct kv *kv, const struct sync_job *job)
{
	mutex_lock(&kv->write_lock);
	for (size_t i = 0; i < job->count; i++) {
		struct segment *segment = job->items[i].segment;
		bool ended = job->items[i].ended;

		/* Written to meanwhile, or ended, if only by failing to. */
		if (segment->end != job->items[i].end ||
		    segment->sealed != ended)
			continue;
		segment->synced = true;
		if (ended && segment->fd >= 0) {
			io_close(kv->io, segment->fd);
			segment->fd = -1;
		}
	}
	mutex_unlock(&kv->write_lock);
}

/*
 * The names of new segments are made durable with them: a sync of the
 * directory costs nothing when no name has changed.
 */
static int sync_job_run(struct kv *kv, struct sync_job *job)
{
	bool names = false;
	int error;

	for (size_t i = 0; i < job->count; i++) {
		struct segment *segment = job->items[i].segment;

		if (job->items[i].ended)
			segment_trim(segment);
		counter_add(&kv->counters.disk_syncs, 1);
		error = io_sync_data(kv->io, segment->fd);
		if (error)
			return error;
		if (!atomic_load(&segment->named))
			names = true;
	}
	if (!names)
		return 0;
	error = io_sync_dir(kv->io, kv->dir_fd);
	for (size_t i = 0; !error && i < job->count; i++)
		atomic_store(&job->items[i].segment->named, true);
	return error;
}

static int log_sync_lead(struct kv *kv)
{
	struct sync_job job;
	int error = sync_job_collect(kv, &job);

	/* Nothing was tried yet: the caller may try again. */
	if (error)
		goto out;
	error = sync_job_run(kv, &job);
	if (error) {
		kv_fail(kv, error, "sync of the log failed");
		error = -EIO;
		goto out;
	}
	sync_job_finish(kv, &job);
	if (job.lsn > atomic_load(&kv->durable_lsn))
		atomic_store(&kv->durable_lsn, job.lsn);
out:
	sync_job_release(&job);
	return error;
}

static void log_sync_gather(struct kv *kv) REQUIRES(kv->sync_lock)
{
	const struct sync_plan *plan = &kv->sync_plan;
	uint64_t wait_ns = sync_plan_wait_ns(plan, kv->sync_arrived);
	struct timespec until;

	if (!wait_ns)
		return;
	until = time_after_ns(wait_ns);
	while (kv->sync_arrived < plan->expected &&
	       condition_wait_until(&kv->sync_joined, &kv->sync_lock, &until))
		;
}

/* Leads a sync. The lock is not held while it runs. */
static int log_sync_group(struct kv *kv) REQUIRES(kv->sync_lock)
{
	struct sync_group group;
	int error;

	kv->syncing = true;
	log_sync_gather(kv);
	group.members = kv->sync_arrived;
	kv->sync_arrived = 0;
	mutex_unlock(&kv->sync_lock);
	group.began_ns = time_now_ns();
	error = log_sync_lead(kv);
	group.ended_ns = time_now_ns();
	mutex_lock(&kv->sync_lock);
	group.newcomers = kv->sync_arrived;
	sync_plan_learn(&kv->sync_plan, &group);
	kv->syncing = false;
	return error;
}

int log_sync(struct kv *kv, uint64_t lsn)
{
	bool led = false;
	int error = 0;

	mutex_lock(&kv->sync_lock);
	if (atomic_load(&kv->durable_lsn) < lsn &&
	    ++kv->sync_arrived == kv->sync_plan.expected)
		condition_wake_one(&kv->sync_joined);
	while (atomic_load(&kv->durable_lsn) < lsn) {
		if (atomic_load(&kv->failed)) {
			error = -EIO;
			break;
		}
		if (kv->syncing) {
			condition_wait(&kv->sync_done, &kv->sync_lock);
			continue;
		}
		error = log_sync_group(kv);
		led = true;
		if (error)
			break;
	}
	mutex_unlock(&kv->sync_lock);
	/* Now, not before: they would find the lock held, and sleep again. */
	if (led)
		condition_wake_all(&kv->sync_done);
	return error;
}

int kv_sync_now(struct kv *kv, uint64_t lsn)
{
	if (atomic_load(&kv->failed))
		return -EIO;
	if (kv->options.read_only || atomic_load(&kv->durable_lsn) >= lsn)
		return 0;
	counter_add(&kv->counters.syncs, 1);
	if (lsn > kv_last_lsn(kv))
		lsn = kv_last_lsn(kv);
	return log_sync(kv, lsn);
}

int kv_sync(struct kv *kv, uint64_t lsn)
{
	if (kv->options.durability == KV_DURABILITY_NONE)
		return atomic_load(&kv->failed) ? -EIO : 0;
	return kv_sync_now(kv, lsn);
}

uint64_t kv_last_lsn(struct kv *kv)
{
	return atomic_load(&kv->last_lsn);
}
