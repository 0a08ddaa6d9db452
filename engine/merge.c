/* SPDX-License-Identifier: MIT */

/*
 * Merging sources (the merged iterator of reftable and LevelDB): a binary heap
 * of sources by key, and by rank where keys are equal, 0 the newest.
 *
 *	heap: bird(0) bird(2) crow(1)    shown: bird of source 0
 *	next: advance 2, then 0       -> crow(1) crow(2) dove(0)
 *
 * 1. The entry shown is that of the heap's top, and is not advanced before it
 *    was used: its key is borrowed from there.
 * 2. The older entries with the key shown are passed over when the next entry
 *    is asked for, so that a caller who wants one entry pays for one.
 * 3. After an error nothing but seek and free is of use; next repeats it.
 *
 * A single source needs no merging and is returned itself. Two, the memtable
 * and one run, are the rule in a store at rest, and need one comparison an
 * entry instead of the heap's two: they have a merge of their own.
 */

#include "engine/source.h"

#include <errno.h>
#include <stdlib.h>

struct heap_item {
	struct source *source;
	size_t rank;
};

struct merge_heap {
	struct source source;
	size_t all_count, count;
	int error;
	struct source **all;     /* owned, the newest first */
	struct heap_item *items; /* those with an entry, as a heap */
};

static bool item_before(const struct heap_item *a, const struct heap_item *b)
{
	int order = slice_compare(a->source->entry.key, b->source->entry.key);

	return order < 0 || (order == 0 && a->rank < b->rank);
}

/* Moves the item at `at` down to where it belongs. */
static void heap_sink(struct merge_heap *heap, size_t at)
{
	struct heap_item item = heap->items[at];
	size_t child;

	while ((child = 2 * at + 1) < heap->count) {
		if (child + 1 < heap->count &&
		    item_before(&heap->items[child + 1], &heap->items[child]))
			child++;
		if (!item_before(&heap->items[child], &item))
			break;
		heap->items[at] = heap->items[child];
		at = child;
	}
	heap->items[at] = item;
}

/* Advances the source of the item at `at`. 0, or the source's error. */
static int heap_advance(struct merge_heap *heap, size_t at)
{
	int result = source_next(heap->items[at].source);

	if (result < 0)
		return result;
	if (result > 0) {
		heap->items[at] = heap->items[--heap->count];
		if (at == heap->count)
			return 0;
	}
	heap_sink(heap, at);
	return 0;
}

/* Advances every source but the top's that is at the top's key. */
static int heap_skip_equal(struct merge_heap *heap)
{
	size_t at = 1;

	/* Equal keys are the top's children, theirs, and so on. */
	while (at <= 2 && at < heap->count) {
		int error;

		if (!slice_equal(heap->items[at].source->entry.key,
				 heap->items[0].source->entry.key)) {
			at++;
			continue;
		}
		error = heap_advance(heap, at);
		if (error)
			return error;
	}
	return 0;
}

static int heap_show(struct merge_heap *heap)
{
	if (heap->error)
		return heap->error;
	if (heap->count == 0)
		return 1;
	heap->source.entry = heap->items[0].source->entry;
	return 0;
}

static int heap_seek(struct source *source, struct slice key, bool after)
{
	struct merge_heap *heap = (struct merge_heap *)source;

	heap->count = 0;
	heap->error = 0;
	for (size_t i = 0; i < heap->all_count; i++) {
		int result = source_seek(heap->all[i], key, after);

		if (result < 0) {
			heap->error = result;
			return result;
		}
		if (result == 0)
			heap->items[heap->count++] =
				(struct heap_item){ heap->all[i], i };
	}
	for (size_t i = heap->count / 2; i-- > 0;)
		heap_sink(heap, i);
	return heap_show(heap);
}

static int heap_next(struct source *source)
{
	struct merge_heap *heap = (struct merge_heap *)source;

	if (heap->error || heap->count == 0)
		return heap_show(heap);
	heap->error = heap_skip_equal(heap);
	if (!heap->error)
		heap->error = heap_advance(heap, 0);
	return heap_show(heap);
}

static void heap_free(struct source *source)
{
	struct merge_heap *heap = (struct merge_heap *)source;

	for (size_t i = 0; i < heap->all_count; i++)
		source_free(heap->all[i]);
	free(heap->all);
	free(heap->items);
	free(heap);
}

static const struct source_ops heap_ops = {
	.seek = heap_seek,
	.next = heap_next,
	.free = heap_free,
};

static struct source *heap_new(struct source *const *sources, size_t count)
{
	struct merge_heap *heap = calloc(1, sizeof(*heap));

	if (!heap)
		return NULL;
	heap->source.ops = &heap_ops;
	/* One more than needed, for calloc may answer NULL to 0. */
	heap->all = calloc(count + 1, sizeof(struct source *));
	heap->items = calloc(count + 1, sizeof(heap->items[0]));
	if (!heap->all || !heap->items) {
		heap_free(&heap->source);
		return NULL;
	}
	for (size_t i = 0; i < count; i++)
		heap->all[heap->all_count++] = sources[i];
	return &heap->source;
}

/* Of two sources, which to show: that of the lower key, or both's newer. */
enum pair_side {
	PAIR_NEWER,
	PAIR_OLDER,
	PAIR_BOTH,
	PAIR_END
};

struct merge_pair {
	struct source source;
	struct source *newer, *older; /* owned */
	int newer_state, older_state; /* their last results */
	enum pair_side side;
};

/* Decides what to show after either source moved. */
static int pair_show(struct merge_pair *pair)
{
	int order;

	if (pair->newer_state < 0)
		return pair->newer_state;
	if (pair->older_state < 0)
		return pair->older_state;
	if (pair->newer_state && pair->older_state) {
		pair->side = PAIR_END;
		return 1;
	}
	if (pair->newer_state)
		order = 1;
	else if (pair->older_state)
		order = -1;
	else
		order = slice_compare(pair->newer->entry.key,
				      pair->older->entry.key);
	if (order > 0) {
		pair->side = PAIR_OLDER;
		pair->source.entry = pair->older->entry;
	} else {
		pair->side = order ? PAIR_NEWER : PAIR_BOTH;
		pair->source.entry = pair->newer->entry;
	}
	return 0;
}

static int pair_seek(struct source *source, struct slice key, bool after)
{
	struct merge_pair *pair = (struct merge_pair *)source;

	pair->newer_state = source_seek(pair->newer, key, after);
	pair->older_state = source_seek(pair->older, key, after);
	return pair_show(pair);
}

static int pair_next(struct source *source)
{
	struct merge_pair *pair = (struct merge_pair *)source;

	if (pair->newer_state >= 0 && pair->older_state >= 0) {
		if (pair->side == PAIR_NEWER || pair->side == PAIR_BOTH)
			pair->newer_state = source_next(pair->newer);
		if (pair->side == PAIR_OLDER || pair->side == PAIR_BOTH)
			pair->older_state = source_next(pair->older);
	}
	return pair_show(pair);
}

static void pair_free(struct source *source)
{
	struct merge_pair *pair = (struct merge_pair *)source;

	source_free(pair->newer);
	source_free(pair->older);
	free(pair);
}

static const struct source_ops pair_ops = {
	.seek = pair_seek,
	.next = pair_next,
	.free = pair_free,
};

static struct source *pair_new(struct source *newer, struct source *older)
{
	struct merge_pair *pair = calloc(1, sizeof(*pair));

	if (!pair)
		return NULL;
	pair->source.ops = &pair_ops;
	pair->newer = newer;
	pair->older = older;
	pair->newer_state = pair->older_state = 1;
	pair->side = PAIR_END;
	return &pair->source;
}

struct source *merge_source_new(struct source *const *sources, size_t count)
{
	struct source *merged;

	if (count == 1)
		return sources[0];
	if (count == 2)
		merged = pair_new(sources[0], sources[1]);
	else
		merged = heap_new(sources, count);
	if (!merged) {
		for (size_t i = 0; i < count; i++)
			source_free(sources[i]);
	}
	return merged;
}
