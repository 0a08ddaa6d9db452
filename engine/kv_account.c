/* SPDX-License-Identifier: MIT */

/*
 * Counting: what each segment holds that is live, dead or a tombstone, and how
 * many keys of each class exist. Kept exactly, change by change, under the
 * write lock; recovery runs the same function over what it replays.
 */

#include "engine/kv_internal.h"

unsigned int kv_class(const struct kv *kv, struct slice key)
{
	unsigned int class = kv->options.classify ? kv->options.classify(key) :
						    0;

	return class < KV_CLASS_COUNT ? class : 0;
}

static void account_gone(struct kv *kv, unsigned int class,
			 const struct place *old) REQUIRES(kv->write_lock)
{
	struct segment *segment = kv_segment_find(kv, old->segment_id);

	kv->classes[class].key_count--;
	kv->classes[class].record_bytes -= old->size_bytes;
	/* A segment that was lost as a file has nobody to count for. */
	if (!segment)
		return;
	segment->counts.live_bytes -= old->size_bytes;
	segment->counts.live_count--;
	segment->counts.dead_count++;
}

void kv_account(struct kv *kv, struct slice key,
		const struct place *record_place, const struct place *old)
{
	unsigned int class = kv_class(kv, key);
	struct segment *segment = kv_segment_find(kv, record_place->segment_id);

	if (old && !old->tombstone)
		account_gone(kv, class, old);
	if (record_place->tombstone) {
		segment->counts.tombstone_bytes += record_place->size_bytes;
		segment->counts.tombstone_count++;
		return;
	}
	segment->counts.live_bytes += record_place->size_bytes;
	segment->counts.live_count++;
	kv->classes[class].key_count++;
	kv->classes[class].record_bytes += record_place->size_bytes;
}
