/* SPDX-License-Identifier: MIT */

/*
 * Reading values: find the place, read the record, expand it when it was
 * compressed.
 *
 * A place taken from the active memtable may lie in a segment younger than the
 * reader's view (rotation and compaction add some). Then the view is fetched
 * anew and the search repeated: whoever puts a place into the memtable has
 * published a view with its segment before.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kv_internal.h"

static void count_probe(struct kv *kv, const struct view_probe *probe,
			int result, const struct place *place)
{
	struct kv_counters *c = &kv->counters;

	counter_add(&c->lookups, 1);
	if (probe->memtable_hit)
		counter_add(&c->memtable_hits, 1);
	if (probe->bloom_skips)
		counter_add(&c->bloom_skips, probe->bloom_skips);
	if (probe->bloom_false_matches)
		counter_add(&c->bloom_false_matches,
			    probe->bloom_false_matches);
	if (result == 1 || (result == 0 && place->tombstone))
		counter_add(&c->lookup_misses, 1);
	if (result == -EBADMSG || result == -EUCLEAN)
		atomic_store(&kv->index_damaged, true);
}

/*
 * The place of a key that exists, and its segment. 0, 1 when there is no such
 * key. On 0 *ret_view holds a reference that keeps the segment.
 */
static int find_record(struct kv *kv, const struct kv_pin *pin,
		       struct slice key, struct view **ret_view,
		       struct segment **ret_segment, struct place *ret_place)
{
	struct view *view, *tried = NULL;
	struct segment *segment;
	struct place place;
	int result;

	for (;;) {
		struct view_probe probe = { 0 };

		view = pin ? view_ref(pin->view) : kv_view_acquire(kv);
		result = view_find(view, key, false, &place, &probe);
		if (view != tried)
			count_probe(kv, &probe, result, &place);
		if (result == 0 && place.tombstone)
			result = 1;
		if (result)
			break;
		segment = view_segment(view, place.segment_id);
		if (segment) {
			view_unref(tried);
			*ret_view = view;
			*ret_segment = segment;
			*ret_place = place;
			return 0;
		}
		/* Twice the same view: the segment is lost. */
		if (view == tried) {
			result = -EIO;
			break;
		}
		view_unref(tried);
		tried = view;
	}
	view_unref(tried);
	view_unref(view);
	return result;
}

static int read_expanded(struct segment *segment, const struct place *place,
			 struct segment_read *read, struct buf *ret_value)
{
	struct buf stored = { 0 };
	struct segment_read whole = { .key = read->key };
	int error = buf_resize(&stored, read->value_size);

	whole.dst = stored.data;
	whole.size = stored.size;
	if (!error)
		error = segment_read(segment, place, &whole);
	if (!error)
		error = value_expand(buf_slice(&stored), read->raw_size,
				     ret_value);
	buf_release(&stored);
	return error;
}

static int read_compressed_range(struct segment *segment,
				 const struct place *place,
				 struct segment_read *read, uint64_t offset,
				 void *dst, size_t size)
{
	struct buf value = { 0 };
	int error = read_expanded(segment, place, read, &value);

	read->read = 0;
	if (!error && offset < value.size) {
		read->read = value.size - offset;
		if (read->read > size)
			read->read = size;
		memcpy(dst, value.data + offset, read->read);
	}
	buf_release(&value);
	return error;
}

static void count_damage(struct kv *kv, int error)
{
	if (error == -EBADMSG || error == -EUCLEAN)
		counter_add(&kv->counters.damaged_reads, 1);
}

/* As kv_read, of a record whose place is known. */
static int read_place(struct kv *kv, struct segment *segment,
		      const struct place *place, struct segment_read *read,
		      size_t *ret_read, uint64_t *ret_value_size)
{
	uint64_t offset = read->offset;
	void *dst = read->dst;
	size_t size = read->size;
	int result = segment_read(segment, place, read);

	if (!result && (read->flags & RECORD_ZLIB))
		result = read_compressed_range(segment, place, read, offset,
					       dst, size);
	count_damage(kv, result);
	if (result)
		return result;
	background_note_read(kv, place->size_bytes);
	*ret_read = read->read;
	if (ret_value_size)
		*ret_value_size = read->raw_size;
	return 0;
}

int kv_read(struct kv *kv, const struct kv_pin *pin, struct slice key,
	    uint64_t offset, void *dst, size_t size, size_t *ret_read,
	    uint64_t *ret_value_size)
{
	struct segment_read read = {
		.key = key, .offset = offset, .dst = dst, .size = size
	};
	struct segment *segment;
	struct view *view;
	struct place place;
	int result = find_record(kv, pin, key, &view, &segment, &place);

	if (result)
		return result;
	result = read_place(kv, segment, &place, &read, ret_read,
			    ret_value_size);
	view_unref(view);
	return result;
}

int kv_hold(struct kv *kv, struct slice key, struct kv_hold **ret_hold)
{
	struct kv_hold *hold = malloc(sizeof(*hold) + key.size);
	struct segment *segment;
	struct view *view;
	struct place place;
	int result;

	if (!hold)
		return -ENOMEM;
	result = find_record(kv, NULL, key, &view, &segment, &place);
	if (result) {
		free(hold);
		return result;
	}
	atomic_init(&hold->refs, 1);
	hold->kv = kv;
	hold->segment = segment_ref(segment);
	hold->place = place;
	hold->key_size = key.size;
	if (key.size)
		memcpy(hold->key, key.data, key.size);
	view_unref(view);
	*ret_hold = hold;
	return 0;
}

struct kv_hold *kv_hold_ref(struct kv_hold *hold)
{
	atomic_fetch_add_explicit(&hold->refs, 1, memory_order_relaxed);
	return hold;
}

int kv_hold_read(struct kv_hold *hold, uint64_t offset, void *dst, size_t size,
		 size_t *ret_read, uint64_t *ret_value_size)
{
	struct segment_read read = {
		.key = slice_of(hold->key, hold->key_size),
		.offset = offset,
		.dst = dst,
		.size = size,
	};

	return read_place(hold->kv, hold->segment, &hold->place, &read,
			  ret_read, ret_value_size);
}

void kv_hold_unref(struct kv_hold *hold)
{
	if (!hold || atomic_fetch_sub(&hold->refs, 1) != 1)
		return;
	segment_unref(hold->segment);
	free(hold);
}

int kv_get(struct kv *kv, const struct kv_pin *pin, struct slice key,
	   struct buf *ret_value)
{
	struct segment_read read = { .key = key };
	struct buf value = { 0 };
	struct segment *segment;
	struct view *view;
	struct place place;
	int result = find_record(kv, pin, key, &view, &segment, &place);

	if (result)
		return result;
	/* The record bounds its value: one read does, for a plain one. */
	value = *ret_value;
	buf_clear(&value);
	result = segment_holds(segment, &place);
	if (!result)
		result = buf_reserve(&value, place.size_bytes);
	if (result)
		goto out;
	read.dst = value.data;
	read.size = place.size_bytes;
	result = segment_read(segment, &place, &read);
	if (result)
		goto out;
	background_note_read(kv, place.size_bytes);
	value.size = read.read;
	if (read.flags & RECORD_ZLIB)
		result = read_expanded(segment, &place, &read, &value);
out:
	/* The caller's buffer may have moved; its old contents are gone only
	 * when there are new ones. */
	if (result)
		value.size = 0;
	*ret_value = value;
	view_unref(view);
	count_damage(kv, result);
	return result;
}

int kv_exists(struct kv *kv, const struct kv_pin *pin, struct slice key)
{
	struct view *view = pin ? view_ref(pin->view) : kv_view_acquire(kv);
	struct view_probe probe = { 0 };
	struct place place;
	int result = view_find(view, key, false, &place, &probe);

	count_probe(kv, &probe, result, &place);
	view_unref(view);
	return result == 0 && place.tombstone ? 1 : result;
}

int kv_pin(struct kv *kv, struct kv_pin **ret_pin)
{
	struct kv_pin *pin = calloc(1, sizeof(*pin));
	struct view *now = NULL;
	int error;

	if (!pin)
		return -ENOMEM;
	mutex_lock(&kv->write_lock);
	error = kv_view_freeze(kv, VIEW_FROZEN_MAX - 1);
	while (error == -EBUSY) {
		mutex_unlock(&kv->write_lock);
		error = checkpoint(kv, false);
		mutex_lock(&kv->write_lock);
		if (error)
			break;
		error = kv_view_freeze(kv, VIEW_FROZEN_MAX - 1);
	}
	if (!error) {
		now = kv_view_acquire(kv);
		pin->view = view_new(NULL, now->frozen, now->frozen_count,
				     now->runs, now->run_count, now->segments,
				     now->segment_count);
		pin->lsn = atomic_load(&kv->last_lsn);
		error = pin->view ? 0 : -ENOMEM;
	}
	mutex_unlock(&kv->write_lock);
	view_unref(now);
	if (error) {
		free(pin);
		return error;
	}
	pin->kv = kv;
	counter_add(&kv->counters.pins, 1);
	*ret_pin = pin;
	return 0;
}

void kv_unpin(struct kv_pin *pin)
{
	if (!pin)
		return;
	view_unref(pin->view);
	atomic_fetch_sub(&pin->kv->counters.pins, 1);
	free(pin);
}
