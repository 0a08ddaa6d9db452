/* SPDX-License-Identifier: MIT */

/*
 * Opening a store: from the names in a directory to a state that can be read
 * and written.
 *
 *	manifest sound, runs open	-> replay the log behind the checkpoint
 *	manifest or a run damaged	-> rebuild the index from all segments
 *	nothing there			-> a new store
 *
 * 1. Until the end nothing is removed but what no sound manifest names, and
 *    nothing is written but runs that a crash would leave as such. So a crash
 *    during recovery is recovered from like the first.
 * 2. After a replay the log's end is cut and synced before anything is
 *    appended, and appending begins in a new segment with a new salt: bytes of
 *    the dropped tail can never be taken for records again.
 * 3. What was replayed may not have been synced before; it is synced here.
 *    Otherwise later records could be durable before it.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "engine/kv_internal.h"
#include "engine/replay.h"

/* A segment file as found in the directory. */
struct found_segment {
	uint64_t id;
	uint64_t size_bytes;
	struct segment_header header;
	int status; /* of segment_probe */
	bool probed;
};

struct recovery {
	struct kv *kv;
	struct buf names;
	struct found_segment *found; /* ascending by id */
	size_t found_count;
	uint64_t highest_id;
	struct manifest manifest;
	bool rebuild;
	bool fresh; /* a new store */
};

/* "00000000000000ab.seg": the id, or 0 when it is no such name. */
static uint64_t name_id(const char *name, const char *suffix)
{
	char *end;
	uint64_t id;

	if (strlen(name) != 20 || strcmp(name + 16, suffix) != 0 ||
	    strspn(name, "0123456789abcdef") != 16)
		return 0;
	id = strtoull(name, &end, 16);
	return end == name + 16 ? id : 0;
}

static int found_order(const void *a, const void *b)
{
	const struct found_segment *left = a, *right = b;

	return (left->id > right->id) - (left->id < right->id);
}

static int recovery_list(struct recovery *r)
{
	const char *at, *end;
	size_t names = 0;
	int error = io_list(r->kv->io, r->kv->dir_fd, &r->names);

	if (error)
		return error;
	at = (const char *)r->names.data;
	if (!at)
		return 0;
	end = at + r->names.size;
	for (const char *p = at; p < end; p += strlen(p) + 1)
		names++;
	r->found = calloc(names + 1, sizeof(*r->found));
	if (!r->found)
		return -ENOMEM;
	for (; at && at < end; at += strlen(at) + 1) {
		uint64_t id = name_id(at, ".seg"), run = name_id(at, ".run");

		if (id)
			r->found[r->found_count++].id = id;
		if (id > r->highest_id)
			r->highest_id = id;
		if (run > r->highest_id)
			r->highest_id = run;
	}
	qsort(r->found, r->found_count, sizeof(*r->found), found_order);
	return 0;
}

static struct found_segment *recovery_find(struct recovery *r, uint64_t id)
{
	struct found_segment key = { .id = id };

	return bsearch(&key, r->found, r->found_count, sizeof(key),
		       found_order);
}

static int recovery_probe(struct recovery *r, struct found_segment *found)
{
	char name[SEGMENT_NAME_MAX];

	if (found->probed)
		return found->status;
	segment_name(found->id, name);
	found->status = segment_probe(r->kv->io, r->kv->dir_fd, name,
				      &found->header, &found->size_bytes);
	found->probed = true;
	/* Another store's file, or one under another's name, is none of ours. */
	if (!found->status && found->header.id != found->id)
		found->status = -EUCLEAN;
	return found->status;
}

static bool manifest_names_segment(const struct manifest *m, uint64_t id)
{
	for (size_t i = 0; i < m->segment_count; i++)
		if (m->segments[i].header.id == id)
			return true;
	return false;
}

static bool manifest_names_run(const struct manifest *m, uint64_t id)
{
	for (size_t i = 0; i < m->run_count; i++)
		if (m->run_ids[i] == id)
			return true;
	return false;
}

/* Adds a segment to the store's table. */
static int recovery_add(struct recovery *r, const struct segment_header *header,
			uint64_t end, const struct segment_counts *counts,
			bool damaged, uint64_t limit)
{
	struct kv *kv = r->kv;
	struct segment *segment =
		segment_known(kv->io, kv->dir_fd, header, end, counts);
	int error;

	if (!segment)
		return -ENOMEM;
	segment->damaged = damaged;
	segment->limit = limit;
	segment->allocated = limit;
	atomic_store(&segment->named, true);
	mutex_lock(&kv->write_lock);
	error = kv_segment_add(kv, segment);
	mutex_unlock(&kv->write_lock);
	return error;
}

static void note(struct kv *kv, enum kv_recovery what)
{
	if (what > kv->recovery)
		kv->recovery = what;
}

/* What a probe says of the file. Anything else says nothing about it: a store
 * that went on without the segment would lose what is in it. */
static bool probe_tells(int result)
{
	return result >= 0 || result == -EUCLEAN || result == -ENOENT;
}

/* The segments that the manifest names. One that is gone costs its keys. */
static int load_segments(struct recovery *r)
{
	const struct manifest *m = &r->manifest;
	int error = 0;

	for (size_t i = 0; i < m->segment_count && !error; i++) {
		const struct manifest_segment *s = &m->segments[i];
		bool replayed = s->header.id == m->replay_segment;
		struct found_segment *found = recovery_find(r, s->header.id);
		uint64_t limit = s->end;

		if (!found) {
			kv_log(r->kv, KV_LOG_ERROR,
			       "segment %016llx is missing",
			       (unsigned long long)s->header.id);
			note(r->kv, KV_RECOVERY_DAMAGED);
			continue;
		}
		/* The one being written at the checkpoint may go on. What its
		 * header says is known, damaged or not. */
		if (replayed && !probe_tells(recovery_probe(r, found)))
			return found->status;
		if (replayed && found->size_bytes > limit)
			limit = found->size_bytes;
		/* It was longer, and may have gone on. */
		if (replayed && found->size_bytes < s->end) {
			kv_log(r->kv, KV_LOG_ERROR,
			       "segment %016llx has been cut short",
			       (unsigned long long)s->header.id);
			note(r->kv, KV_RECOVERY_DAMAGED);
		}
		error = recovery_add(r, &s->header, s->end, &s->counts,
				     s->damaged, limit);
	}
	return error;
}

/* Log segments begun after the checkpoint. */
static int load_tail(struct recovery *r)
{
	static const struct segment_counts none;
	int error = 0;

	for (size_t i = 0; i < r->found_count && !error; i++) {
		struct found_segment *found = &r->found[i];
		int result;

		if (found->id <= r->manifest.replay_segment ||
		    manifest_names_segment(&r->manifest, found->id))
			continue;
		result = recovery_probe(r, found);
		if (!probe_tells(result))
			return result;
		/* Begun, and not on disk when the power went. Had it been
		 * synced before, and only its header were damaged, then what
		 * follows may tell: replay.c. */
		if (result)
			note(r->kv, KV_RECOVERY_TORN);
		if (result || found->header.kind != SEGMENT_LOG ||
		    memcmp(found->header.store_uuid, r->kv->uuid,
			   STORE_UUID_BYTES) != 0)
			continue;
		error = recovery_add(r, &found->header, SEGMENT_HEADER_BYTES,
				     &none, false, found->size_bytes);
	}
	return error;
}

static int publish_runs(struct kv *kv, struct run *const *runs, size_t count)
{
	struct memtable *memtable = memtable_new();
	struct view *view = NULL;

	if (!memtable)
		return -ENOMEM;
	mutex_lock(&kv->write_lock);
	view = view_new(memtable, NULL, 0, runs, count, kv->segments,
			kv->segment_count);
	if (view)
		kv_view_publish(kv, view);
	mutex_unlock(&kv->write_lock);
	memtable_unref(memtable);
	return view ? 0 : -ENOMEM;
}

/* 0, -EUCLEAN when one cannot be used, -ENOMEM... */
static int load_runs(struct recovery *r)
{
	struct kv *kv = r->kv;
	const struct manifest *m = &r->manifest;
	struct run **runs = calloc(m->run_count + 1, sizeof(struct run *));
	struct run_identity identity;
	size_t count = 0;
	int error = runs ? 0 : -ENOMEM;

	memcpy(identity.store_uuid, kv->uuid, STORE_UUID_BYTES);
	for (size_t i = 0; i < m->run_count && !error; i++) {
		identity.id = m->run_ids[i];
		error = run_open(kv->io, kv->dir_fd, &identity, &runs[count]);
		if (!error)
			count++;
	}
	if (!error)
		error = publish_runs(kv, runs, count);
	for (size_t i = 0; i < count; i++)
		run_unref(runs[i]);
	free(runs);
	return error;
}

/* The chain: the checkpoint's last segment and those begun after it. */
static int replay_prepare(struct recovery *r, struct replay *replay)
{
	struct kv *kv = r->kv;
	uint64_t from = r->rebuild ? 0 : r->manifest.replay_segment;

	*replay = (struct replay){ .kv = kv,
				   .rebuilding = r->rebuild,
				   .durable_lsn = r->manifest.checkpoint_lsn,
				   .next_lsn = r->manifest.checkpoint_lsn + 1 };
	replay->chain = calloc(kv->segment_count + 1, sizeof(struct segment *));
	if (!replay->chain)
		return -ENOMEM;
	mutex_lock(&kv->write_lock);
	for (size_t i = 0; i < kv->segment_count; i++) {
		struct segment *segment = kv->segments[i];

		if (segment->header.kind != SEGMENT_LOG ||
		    segment->header.id < from)
			continue;
		if (!r->rebuild && segment->header.id == from)
			replay->first_offset = r->manifest.replay_offset;
		replay->chain[replay->chain_count++] = segment;
	}
	mutex_unlock(&kv->write_lock);
	return 0;
}

/* Whether nothing lies behind what was replayed, as after a clean close. */
static bool ends_exactly(const struct segment *segment, uint64_t end)
{
	return segment->limit == end;
}

/*
 * Ends the chain's segments where the log ends: cut and synced on disk, known
 * as sealed in memory. Segments beyond the end are emptied; the checkpoint that
 * concludes recovery removes them.
 */
static int recovery_cut(struct kv *kv, struct replay *replay)
	REQUIRES(kv->write_lock)
{
	bool write = !kv->options.read_only;
	int error = 0;

	for (size_t i = replay->chain_count; i-- > 0 && !error;) {
		struct segment *segment = replay->chain[i];
		uint64_t end = segment->limit;

		if (i > replay->cut_index) {
			end = SEGMENT_HEADER_BYTES;
			segment->emptied = true;
		} else if (i == replay->cut_index) {
			end = replay->cut_offset;
		}
		if (replay->torn && i >= replay->cut_index)
			kv->recovery_cut_bytes += segment->limit - end;
		segment->end = end;
		if (write)
			error = segment_cut(segment, end);
	}
	return error;
}

static int recovery_replay(struct recovery *r)
{
	struct kv *kv = r->kv;
	struct replay replay;
	struct segment *last;
	int error = replay_prepare(r, &replay);
	bool exact;

	if (!error)
		error = replay_find_durable(&replay);
	if (!error)
		error = replay_run(&replay);
	if (error)
		goto out;
	last = replay.chain_count ? replay.chain[replay.chain_count - 1] : NULL;
	exact = r->manifest.clean && !r->rebuild && !replay.record_count &&
		!replay.torn && replay.chain_count <= 1 &&
		(!last || ends_exactly(last, replay.cut_offset));
	mutex_lock(&kv->write_lock);
	if (!exact)
		error = recovery_cut(kv, &replay);
	else if (last)
		last->end = replay.cut_offset;
	mutex_unlock(&kv->write_lock);
	kv->recovery_record_count = replay.record_count;
	kv->recovery_lost_count = replay.lost_count;
	atomic_store(&kv->last_lsn, replay.next_lsn - 1);
	atomic_store(&kv->durable_lsn, replay.next_lsn - 1);
	if (!exact)
		note(kv, KV_RECOVERY_REPLAYED);
	if (replay.torn)
		note(kv, KV_RECOVERY_TORN);
	if (replay.damaged)
		note(kv, KV_RECOVERY_DAMAGED);
out:
	free(replay.chain);
	return error;
}

/* A segment that cannot even be recognised is left for a person to look at,
 * unless the manifest says that nobody needs it. */
static void put_aside(struct recovery *r, const struct found_segment *found)
{
	struct kv *kv = r->kv;
	char name[SEGMENT_NAME_MAX], aside[SEGMENT_NAME_MAX];
	int error = 0;

	segment_name(found->id, name);
	kv_log(kv, KV_LOG_WARNING, "segment %016llx cannot be read: put aside",
	       (unsigned long long)found->id);
	if (r->rebuild) {
		note(kv, KV_RECOVERY_DAMAGED);
		return;
	}
	snprintf(aside, sizeof(aside), "%016llx.bad",
		 (unsigned long long)found->id);
	error = io_rename(kv->io, kv->dir_fd, name, aside);
	if (error)
		kv_log(kv, KV_LOG_WARNING, "%s cannot be renamed: %s", name,
		       strerror(-error));
}

static bool segment_is_orphan(struct recovery *r, uint64_t id)
{
	struct kv *kv = r->kv;
	struct found_segment *found = recovery_find(r, id);
	struct segment *known;

	mutex_lock(&kv->write_lock);
	known = kv_segment_find(kv, id);
	mutex_unlock(&kv->write_lock);
	if (known || !found)
		return false;
	if (recovery_probe(r, found) >= 0 ||
	    (!r->rebuild && id <= r->manifest.replay_segment))
		return true;
	put_aside(r, found);
	return false;
}

/* Files that nothing refers to: left by a crash, or by this very recovery. */
static void remove_orphans(struct recovery *r)
{
	struct kv *kv = r->kv;
	const char *at = (const char *)r->names.data;
	const char *end = at + r->names.size;

	for (; at && at < end; at += strlen(at) + 1) {
		uint64_t id = name_id(at, ".seg"), run = name_id(at, ".run");
		bool orphan = false;

		if (id)
			orphan = segment_is_orphan(r, id);
		else if (run)
			orphan = !manifest_names_run(&r->manifest, run);
		else
			orphan = strlen(at) > 4 &&
				 strcmp(at + strlen(at) - 4, ".tmp") == 0;
		if (!orphan)
			continue;
		kv_log(kv, KV_LOG_INFO, "removing %s, which nothing refers to",
		       at);
		io_unlink(kv->io, kv->dir_fd, at);
	}
}

static int recover_normal(struct recovery *r)
{
	struct kv *kv = r->kv;
	int error;

	memcpy(kv->uuid, r->manifest.store_uuid, STORE_UUID_BYTES);
	memcpy(kv->classes, r->manifest.classes, sizeof(kv->classes));
	atomic_store(&kv->next_file_id,
		     r->highest_id >= r->manifest.next_file_id ?
			     r->highest_id + 1 :
			     r->manifest.next_file_id);
	error = load_segments(r);
	if (!error)
		error = load_tail(r);
	if (!error)
		error = load_runs(r);
	if (!error)
		error = recovery_replay(r);
	return error;
}

/* Forgets what was loaded, to begin again from the segments alone. */
static void recovery_reset(struct recovery *r)
{
	struct kv *kv = r->kv;

	mutex_lock(&kv->write_lock);
	for (size_t i = 0; i < kv->segment_count; i++)
		segment_unref(kv->segments[i]);
	kv->segment_count = 0;
	memset(kv->classes, 0, sizeof(kv->classes));
	mutex_unlock(&kv->write_lock);
	manifest_release(&r->manifest);
}

/* All segments of the store, by what their own headers say. */
static int rebuild_load(struct recovery *r)
{
	static const struct segment_counts none;
	struct kv *kv = r->kv;
	bool have_uuid = false;
	int error = 0;

	for (size_t i = 0; i < r->found_count && !error; i++) {
		struct found_segment *found = &r->found[i];

		error = recovery_probe(r, found);
		if (!probe_tells(error))
			return error;
		if (error) {
			if (error < 0)
				note(kv, KV_RECOVERY_DAMAGED);
			error = 0;
			continue;
		}
		if (!have_uuid)
			memcpy(kv->uuid, found->header.store_uuid,
			       STORE_UUID_BYTES);
		have_uuid = true;
		if (memcmp(kv->uuid, found->header.store_uuid,
			   STORE_UUID_BYTES) != 0)
			continue;
		error = recovery_add(r, &found->header, found->size_bytes,
				     &none, false, found->size_bytes);
	}
	if (!error && !have_uuid)
		return -EUCLEAN;
	return error;
}

static int rebuild_cold(struct recovery *r, uint64_t *ret_last_lsn)
{
	struct kv *kv = r->kv;
	struct replay replay = { .kv = kv, .rebuilding = true };
	uint64_t last = 0;
	int error = 0;

	for (size_t i = 0; i < kv->segment_count && !error; i++) {
		struct segment *segment = kv->segments[i];

		if (segment->header.kind != SEGMENT_COLD)
			continue;
		error = replay_cold(&replay, segment);
		if (segment->header.created_lsn > last)
			last = segment->header.created_lsn;
	}
	/* A cold segment was begun when the log had come so far. */
	*ret_last_lsn = last ? last - 1 : 0;
	return error;
}

static int recover_by_rebuild(struct recovery *r)
{
	struct kv *kv = r->kv;
	uint64_t last_lsn = 0;
	int error;

	kv_log(kv, KV_LOG_WARNING,
	       "rebuilding the index from the log; this takes a while");
	recovery_reset(r);
	r->rebuild = true;
	atomic_store(&kv->next_file_id, r->highest_id + 1);
	error = rebuild_load(r);
	if (!error)
		error = publish_runs(kv, NULL, 0);
	if (!error)
		error = rebuild_cold(r, &last_lsn);
	r->manifest.checkpoint_lsn = last_lsn;
	if (!error)
		error = recovery_replay(r);
	note(kv, KV_RECOVERY_REBUILT);
	return error;
}

static int recover_new(struct recovery *r)
{
	struct kv *kv = r->kv;

	r->fresh = true;
	if (getrandom(kv->uuid, STORE_UUID_BYTES, 0) != STORE_UUID_BYTES)
		return -EIO;
	atomic_store(&kv->next_file_id, 1);
	return publish_runs(kv, NULL, 0);
}

/* Goes on appending where a clean close left off, or else in a new segment. */
static void continue_active(struct recovery *r)
{
	struct kv *kv = r->kv;
	struct segment *last;

	mutex_lock(&kv->write_lock);
	last = kv_segment_find(kv, r->manifest.replay_segment);
	if (kv->recovery == KV_RECOVERY_CLEAN && r->manifest.clean && last &&
	    last->header.kind == SEGMENT_LOG &&
	    last->end == r->manifest.replay_offset &&
	    last->end < kv->options.segment_size_bytes / 2 &&
	    !atomic_load(&last->mapped) &&
	    !segment_reopen(last, kv->options.segment_size_bytes))
		kv->active = last;
	kv->marked_lsn = atomic_load(&kv->durable_lsn);
	mutex_unlock(&kv->write_lock);
}

static bool has_emptied(struct kv *kv)
{
	bool found = false;

	mutex_lock(&kv->write_lock);
	for (size_t i = 0; i < kv->segment_count; i++)
		found = found || kv->segments[i]->emptied;
	mutex_unlock(&kv->write_lock);
	return found;
}

static int recovery_conclude(struct recovery *r)
{
	struct kv *kv = r->kv;
	int error = 0;

	if (kv->options.read_only)
		return 0;
	remove_orphans(r);
	/* A clean store is left as it is: opening it costs no write. */
	if (kv->recovery == KV_RECOVERY_CLEAN && !r->fresh) {
		continue_active(r);
		return 0;
	}
	error = checkpoint(kv, false);
	/* On a full disk the log is as good a beginning, as long as it has no
	 * dropped segments in its midst. */
	if (error_is_full(error) && !r->fresh && !r->rebuild &&
	    !has_emptied(kv)) {
		atomic_store(&kv->unsaved, true);
		error = 0;
	}
	return error;
}

static int recovery_choose(struct recovery *r)
{
	struct kv *kv = r->kv;
	int error = manifest_load(kv->io, kv->dir_fd, &r->manifest);

	if (error == -ENOENT && !r->found_count)
		return recover_new(r);
	if (!error && !r->manifest.rebuild) {
		error = recover_normal(r);
		if (error != -EUCLEAN && error != -ENOENT && error != -EBADMSG)
			return error;
	}
	if (error && error != -EUCLEAN && error != -ENOENT && error != -EBADMSG)
		return error;
	kv_log(kv, KV_LOG_WARNING, "the store's index is damaged");
	return recover_by_rebuild(r);
}

int recover(struct kv *kv)
{
	struct recovery r = { .kv = kv };
	int error = recovery_list(&r);

	if (!error)
		error = recovery_choose(&r);
	if (!error) {
		mutex_lock(&kv->manifest_lock);
		kv->manifest = r.manifest;
		mutex_unlock(&kv->manifest_lock);
		error = recovery_conclude(&r);
		r.manifest = (struct manifest){ 0 };
	}
	manifest_release(&r.manifest);
	buf_release(&r.names);
	free(r.found);
	return error;
}
