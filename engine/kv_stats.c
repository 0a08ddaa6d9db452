/* SPDX-License-Identifier: MIT */

/* Counters as one consistent picture, without a scan. */

#include <errno.h>
#include <string.h>

#include "engine/kv_internal.h"

static void stats_of_segments(struct kv *kv, struct kv_stats *s)
	REQUIRES(kv->write_lock)
{
	s->segment_count = kv->segment_count;
	for (size_t i = 0; i < kv->segment_count; i++) {
		const struct segment *segment = kv->segments[i];

		s->live_bytes += segment->counts.live_bytes;
		s->dead_bytes += segment->end - segment->counts.live_bytes;
		s->tombstone_count += segment->counts.tombstone_count;
		s->disk_bytes += segment->allocated;
	}
	if (kv->segment_count)
		s->oldest_segment_id = kv->segments[0]->header.id;
	if (kv->active)
		s->active_segment_id = kv->active->header.id;
	memcpy(s->classes, kv->classes, sizeof(s->classes));
	for (size_t i = 0; i < KV_CLASS_COUNT; i++)
		s->key_count += kv->classes[i].key_count;
}

static void stats_of_view(const struct view *view, struct kv_stats *s)
{
	s->memtable_bytes = memtable_size_bytes(view->active);
	s->memtable_keys = memtable_entry_count(view->active);
	for (size_t i = 0; i < view->frozen_count; i++) {
		s->memtable_bytes += memtable_size_bytes(view->frozen[i]);
		s->memtable_keys += memtable_entry_count(view->frozen[i]);
	}
	s->run_count = view->run_count;
	for (size_t i = 0; i < view->run_count; i++)
		s->run_bytes += run_summary(view->runs[i])->file_size_bytes;
	s->disk_bytes += s->run_bytes;
}

static void stats_of_lookups(const struct view_counts *c, struct kv_stats *s)
{
	s->get_count = c->lookups;
	s->get_miss_count = c->misses;
	s->memtable_hit_count = c->memtable_hits;
	s->bloom_skip_count = c->bloom_skips;
	s->bloom_false_match_count = c->bloom_false_matches;
}

static void stats_of_counters(struct kv_counters *c, struct kv_stats *s)
{
	s->set_count = atomic_load(&c->sets);
	s->delete_count = atomic_load(&c->deletes);
	s->commit_count = atomic_load(&c->commits);
	s->append_bytes = atomic_load(&c->append_bytes);
	s->sync_count = atomic_load(&c->syncs);
	s->disk_sync_count = atomic_load(&c->disk_syncs);
	s->merge_count = atomic_load(&c->merges);
	s->merge_bytes = atomic_load(&c->merge_bytes);
	s->compaction_count = atomic_load(&c->compactions);
	s->compaction_copied_bytes = atomic_load(&c->compaction_copied);
	s->compaction_freed_bytes = atomic_load(&c->compaction_freed);
	s->pin_count = atomic_load(&c->pins);
	s->value_bytes_raw = atomic_load(&c->value_bytes_raw);
	s->value_bytes_stored = atomic_load(&c->value_bytes_stored);
	s->damaged_read_count = atomic_load(&c->damaged_reads);
}

void kv_stats(struct kv *kv, struct kv_stats *ret_stats)
{
	struct view_counts counts = view_cell_counts(&kv->views);
	struct kv_stats s = { 0 };
	struct view *view;

	mutex_lock(&kv->manifest_lock);
	s.checkpoint_lsn = kv->manifest.checkpoint_lsn;
	s.checkpoint_count = kv->manifest.checkpoint_count;
	s.checkpoint_time_s = kv->manifest.checkpoint_time_s;
	s.compaction_time_s = kv->manifest.compaction_time_s;
	mutex_unlock(&kv->manifest_lock);
	if (atomic_load(&kv->compacted_at_s))
		s.compaction_time_s = atomic_load(&kv->compacted_at_s);
	mutex_lock(&kv->write_lock);
	stats_of_segments(kv, &s);
	view = kv_view_acquire(kv);
	s.last_lsn = atomic_load(&kv->last_lsn);
	mutex_unlock(&kv->write_lock);
	stats_of_view(view, &s);
	view_unref(view);
	stats_of_lookups(&counts, &s);
	stats_of_counters(&kv->counters, &s);
	s.durable_lsn = atomic_load(&kv->durable_lsn);
	s.recovery = kv->recovery;
	s.recovery_record_count = kv->recovery_record_count;
	s.recovery_cut_bytes = kv->recovery_cut_bytes;
	s.recovery_lost_count = kv->recovery_lost_count;
	s.reserve_bytes = atomic_load(&kv->reserve.held_bytes);
	s.space_low = reserve_is_low(&kv->reserve);
	s.failed = -atomic_load(&kv->failed);
	memcpy(s.uuid, kv->uuid, sizeof(s.uuid));
	*ret_stats = s;
}

int kv_disk_space(struct kv *kv, uint64_t *ret_free_bytes,
		  uint64_t *ret_total_bytes)
{
	struct statvfs vfs;
	int error = io_statvfs(kv->io, kv->dir_fd, &vfs);

	if (error)
		return error;
	*ret_free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
	*ret_total_bytes = (uint64_t)vfs.f_blocks * vfs.f_frsize;
	return 0;
}
