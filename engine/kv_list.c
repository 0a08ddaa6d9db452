/* SPDX-License-Identifier: MIT */

/*
 * Listing keys in order: a merge of all layers of a view, tombstones left out.
 * No lock is held while the callback runs.
 */

#include <errno.h>

#include "engine/kv_internal.h"

struct listing {
	struct kv *kv;
	const struct kv_pin *pin;
	const struct kv_range *range;
	unsigned int flags;
	struct buf value;
};

/* Where to begin: the later of prefix and from. */
static struct slice listing_start(const struct kv_range *range, bool *ret_after)
{
	if (!range->from.size ||
	    slice_compare(range->from, range->prefix) < 0) {
		*ret_after = false;
		return range->prefix;
	}
	*ret_after = range->after;
	return range->from;
}

static bool listing_ends(const struct kv_range *range, struct slice key)
{
	return !slice_has_prefix(key, range->prefix) ||
	       (range->to.size && slice_compare(key, range->to) >= 0);
}

/* 0 shown, 1 when the key has gone meanwhile, or the callback's result in
 * *ret_stop. */
static int listing_show(struct listing *listing,
			const struct index_entry *found, kv_list_fn *fn,
			void *ctx, int *ret_stop)
{
	struct kv_entry entry = {
		.key = found->key,
		.record_size_bytes = found->place.size_bytes,
	};
	int error;

	if (!(listing->flags & KV_LIST_VALUES)) {
		*ret_stop = fn(ctx, &entry);
		return 0;
	}
	/* The key is borrowed from the merge; a get may not disturb it. */
	error = kv_get(listing->kv, listing->pin, found->key, &listing->value);
	if (error == 1 || error == -ENOMEM)
		return error;
	entry.value_error = error;
	if (!error)
		entry.value = buf_slice(&listing->value);
	*ret_stop = fn(ctx, &entry);
	return 0;
}

static int listing_run(struct listing *listing, struct source *source,
		       kv_list_fn *fn, void *ctx)
{
	const struct kv_range *range = listing->range;
	bool after;
	struct slice start = listing_start(range, &after);
	int stop = 0, result = source_seek(source, start, after);

	while (result == 0) {
		const struct index_entry *found = &source->entry;

		if (listing_ends(range, found->key))
			return 0;
		if (!found->place.tombstone) {
			result = listing_show(listing, found, fn, ctx, &stop);
			if (result < 0)
				return result;
			if (stop)
				return stop;
		}
		resident_watch(listing->kv);
		result = source_next(source);
	}
	return result == 1 ? 0 : result;
}

int kv_list(struct kv *kv, const struct kv_pin *pin,
	    const struct kv_range *range, unsigned int flags, kv_list_fn *fn,
	    void *ctx)
{
	struct listing listing = {
		.kv = kv, .pin = pin, .range = range, .flags = flags
	};
	struct view *view = pin ? view_ref(pin->view) : kv_view_acquire(kv);
	struct source *source = view_source_new(view);
	int result = -ENOMEM;

	if (source)
		result = listing_run(&listing, source, fn, ctx);
	if (result == -EBADMSG || result == -EUCLEAN)
		atomic_store(&kv->index_damaged, true);
	source_free(source);
	view_unref(view);
	buf_release(&listing.value);
	return result;
}
