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

static void use_view(struct kv *kv, const struct kv_pin *pin,
		     struct view_use *ret_use)
{
	if (pin)
		view_use_of(ret_use, pin->view);
	else
		view_use_begin(ret_use, &kv->views);
}

/* Looks for a key, which is counted. 0 when it exists, 1 when it does not. */
static int find_key(struct kv *kv, const struct view_use *use, struct slice key,
		    struct place *ret_place)
{
	struct view_probe probe = { 0 };
	int result = view_find(use->view, key, false, ret_place, &probe);

	if (result == 0 && ret_place->tombstone)
		result = 1;
	view_use_count(use, &kv->views, &probe, result == 1);
	resident_watch(kv);
	if (result == -EBADMSG || result == -EUCLEAN)
		atomic_store(&kv->index_damaged, true);
	return result;
}

/*
 * The place of a key that exists, and its segment. 0, 1 when there is no such
 * key. With 0 the caller ends *ret_use, which keeps the segment.
 */
static int find_record(struct kv *kv, const struct kv_pin *pin,
		       struct slice key, struct view_use *ret_use,
		       struct segment **ret_segment, struct place *ret_place)
{
	struct view *tried = NULL;
	int result;

	for (;;) {
		bool again;

		use_view(kv, pin, ret_use);
		again = ret_use->view == tried;
		view_unref(tried);
		result = find_key(kv, ret_use, key, ret_place);
		if (result)
			break;
		*ret_segment =
			view_segment(ret_use->view, ret_place->segment_id);
		if (*ret_segment)
			return 0;
		/* Twice the same view: the segment is lost. */
		if (again) {
			result = -EIO;
			break;
		}
		/* Kept, so that no other view has its address. */
		tried = view_ref(ret_use->view);
		view_use_end(ret_use);
	}
	view_use_end(ret_use);
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
	resident_watch(kv);
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
	struct view_use use;
	struct place place;
	int result = find_record(kv, pin, key, &use, &segment, &place);

	if (result)
		return result;
	result = read_place(kv, segment, &place, &read, ret_read,
			    ret_value_size);
	view_use_end(&use);
	return result;
}

int kv_hold(struct kv *kv, struct slice key, struct kv_hold **ret_hold)
{
	struct kv_hold *hold = malloc(sizeof(*hold) + key.size);
	struct segment *segment;
	struct view_use use;
	struct place place;
	int result;

	if (!hold)
		return -ENOMEM;
	result = find_record(kv, NULL, key, &use, &segment, &place);
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
	view_use_end(&use);
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
	struct view_use use;
	struct place place;
	int result = find_record(kv, pin, key, &use, &segment, &place);

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
	value.size = read.read;
	if (read.flags & RECORD_ZLIB)
		result = read_expanded(segment, &place, &read, &value);
out:
	/* The caller's buffer may have moved; its old contents are gone only
	 * when there are new ones. */
	if (result)
		value.size = 0;
	*ret_value = value;
	view_use_end(&use);
	count_damage(kv, result);
	return result;
}

int kv_exists(struct kv *kv, const struct kv_pin *pin, struct slice key)
{
	struct view_use use;
	struct place place;
	int result;

	use_view(kv, pin, &use);
	result = find_key(kv, &use, key, &place);
	view_use_end(&use);
	return result;
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
