/* SPDX-License-Identifier: MIT */

/*
 * Batches. The directories of one are locked in the order of their inode
 * numbers before it is applied; nobody who holds such a lock waits for another,
 * but for who takes them in this order. One thread.
 */

#include "tools/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/report.h"

#define ITEMS_FIRST 64u

void batch_init(struct batch *batch, struct target *target)
{
	*batch = (struct batch){ .target = target };
}

static void batch_clear(struct batch *batch)
{
	while (batch->dir_count)
		target_leave(batch->target, &batch->dirs[--batch->dir_count]);
	batch->count = 0;
	batch->value_bytes = 0;
	buf_clear(&batch->bytes);
}

void batch_release(struct batch *batch)
{
	batch_clear(batch);
	buf_release(&batch->bytes);
	free(batch->items);
	*batch = (struct batch){ 0 };
}

/* --- gathering --- */

/* The directory's index, taken over from the place. */
static unsigned int dir_index(struct batch *batch, struct target_place *place)
{
	unsigned int i = (unsigned int)batch->dir_count;

	/* Keys come in order more often than not: the newest is tried first. */
	while (i > 0) {
		if (batch->dirs[--i].ino == place->dir.ino) {
			target_leave(batch->target, &place->dir);
			return i;
		}
	}
	batch->dirs[batch->dir_count] = place->dir;
	place->dir = (struct target_dir){ .fd = -1 };
	return (unsigned int)batch->dir_count++;
}

static int text_add(struct batch *batch, struct slice text, size_t *ret_offset)
{
	int r;

	*ret_offset = batch->bytes.size;
	r = buf_append(&batch->bytes, text.data, text.size);
	return r ? r : buf_append(&batch->bytes, "", 1);
}

static int items_grow(struct batch *batch)
{
	size_t capacity = batch->capacity ? batch->capacity * 2 : ITEMS_FIRST;
	struct batch_item *items;

	if (batch->count < batch->capacity)
		return 0;
	items = reallocarray(batch->items, capacity, sizeof(*items));
	if (!items)
		return -ENOMEM;
	batch->items = items;
	batch->capacity = capacity;
	return 0;
}

static int item_add(struct batch *batch, enum fs_change_kind kind,
		    struct target_place *place, struct slice text,
		    struct slice value,
		    const struct target_attributes *attributes)
{
	struct slice name = slice_of(place->name, strlen(place->name));
	struct batch_item item = {
		.kind = kind,
		.name_size = name.size,
		.key_size = text.size,
		.value_size = value.size,
	};
	int r;

	if (batch->count == BATCH_KEYS_MAX ||
	    batch->dir_count == BATCH_DIRS_MAX ||
	    batch->value_bytes + value.size > BATCH_BYTES_MAX)
		batch_flush(batch);
	r = items_grow(batch);
	if (r == 0)
		r = text_add(batch, name, &item.name);
	if (r == 0)
		r = text_add(batch, text, &item.key);
	if (r == 0)
		r = text_add(batch, value, &item.value);
	if (r)
		return r;
	if (attributes)
		item.attributes = *attributes;
	item.dir = dir_index(batch, place);
	batch->value_bytes += value.size;
	batch->items[batch->count++] = item;
	return 0;
}

int batch_put(struct batch *batch, struct target_place *place, bool exists,
	      struct slice text, struct slice value,
	      const struct target_attributes *attributes)
{
	if (exists && S_ISDIR(place->attr.mode))
		return -EISDIR;
	if (target_is_reserved(batch->target, &place->dir, place->name))
		return -EPERM;
	return item_add(batch, FS_CHANGE_PUT, place, text, value, attributes);
}

int batch_delete(struct batch *batch, struct target_place *place,
		 struct slice text)
{
	if (S_ISDIR(place->attr.mode))
		return -EISDIR;
	return item_add(batch, FS_CHANGE_DELETE, place, text, slice_of(NULL, 0),
			NULL);
}

/* --- applying --- */

static const char *item_name(const struct batch *batch,
			     const struct batch_item *item)
{
	return (const char *)batch->bytes.data + item->name;
}

static void item_report(struct batch *batch, const struct batch_item *item,
			int error)
{
	report_errno(error, "%.*s", (int)item->key_size,
		     (const char *)batch->bytes.data + item->key);
	batch->failed = true;
}

static struct fs_change change_of(const struct batch *batch,
				  const struct batch_item *item)
{
	return (struct fs_change){
		.kind = item->kind,
		.parent = batch->dirs[item->dir].ino,
		.name = slice_of(item_name(batch, item), item->name_size),
		.value = slice_of(batch->bytes.data + item->value,
				  item->value_size),
		.has_mode = item->attributes.has_mode,
		.has_mtime = item->attributes.has_mtime,
		.mode = item->attributes.mode,
		.mtime = item->attributes.mtime,
	};
}

/* One change by itself. */
static int item_apply(struct batch *batch, const struct batch_item *item)
{
	struct target_place place = {
		.dir = batch->dirs[item->dir],
		.name = item_name(batch, item),
	};
	struct target_draft draft;
	int r;

	if (item->kind == FS_CHANGE_DELETE)
		return target_remove(batch->target, &place.dir, place.name);
	r = target_lookup(batch->target, &place.dir, place.name, &place.attr);
	if (r >= 0)
		r = target_draft_begin(batch->target, &place, r == 0, &draft);
	if (r)
		return r;
	draft.attributes = item->attributes;
	r = target_draft_append(batch->target, &draft,
				batch->bytes.data + item->value,
				item->value_size);
	if (r) {
		target_draft_cancel(batch->target, &draft);
		return r;
	}
	return target_draft_commit(batch->target, &draft, 0);
}

static void items_apply(struct batch *batch)
{
	size_t i;
	int r;

	for (i = 0; i < batch->count; i++) {
		r = item_apply(batch, &batch->items[i]);
		if (r)
			item_report(batch, &batch->items[i], r);
		else
			batch->done_count++;
		batch->step_count++;
	}
}

/* An item with its place in the order in which they came. */
struct ordered {
	const struct batch *batch;
	struct batch_item item;
	size_t order;
};

static int ordered_compare(const void *a, const void *b)
{
	const struct ordered *x = a, *y = b;
	struct fs_change p = change_of(x->batch, &x->item);
	struct fs_change q = change_of(y->batch, &y->item);
	int by_name;

	if (p.parent != q.parent)
		return p.parent < q.parent ? -1 : 1;
	by_name = slice_compare(p.name, q.name);
	if (by_name)
		return by_name;
	return x->order < y->order ? -1 : x->order > y->order;
}

static bool is_same_name(const struct ordered *a, const struct ordered *b)
{
	struct fs_change p = change_of(a->batch, &a->item);
	struct fs_change q = change_of(b->batch, &b->item);

	return p.parent == q.parent && slice_equal(p.name, q.name);
}

/* Of several changes of one key the last one counts. */
static int items_unique(struct batch *batch)
{
	struct ordered *all = calloc(batch->count, sizeof(*all));
	size_t i, count = 0;

	if (!all)
		return -ENOMEM;
	for (i = 0; i < batch->count; i++)
		all[i] = (struct ordered){ batch, batch->items[i], i };
	qsort(all, batch->count, sizeof(*all), ordered_compare);
	for (i = 0; i < batch->count; i++) {
		if (i + 1 < batch->count && is_same_name(&all[i], &all[i + 1]))
			continue;
		batch->items[count++] = all[i].item;
	}
	batch->count = count;
	free(all);
	return 0;
}

static int dir_order(const void *a, const void *b)
{
	const struct target_dir *const *x = a;
	const struct target_dir *const *y = b;

	return (*x)->ino < (*y)->ino ? -1 : (*x)->ino > (*y)->ino;
}

static int dirs_lock(struct batch *batch)
{
	struct target_dir *sorted[BATCH_DIRS_MAX] = { NULL };
	size_t i;
	int r = 0;

	for (i = 0; i < batch->dir_count; i++)
		sorted[i] = &batch->dirs[i];
	qsort(sorted, batch->dir_count, sizeof(struct target_dir *), dir_order);
	for (i = 0; r == 0 && i < batch->dir_count; i++) {
		r = target_lock(batch->target, sorted[i]);
		/* As in set: without the right to read there is no lock. */
		if (r == -EACCES)
			r = 0;
	}
	return r;
}

/* In one step, without what does not work. */
static int changes_apply(struct batch *batch, struct fs_change *changes)
{
	size_t i, failed;
	int r;

	while (batch->count) {
		for (i = 0; i < batch->count; i++)
			changes[i] = change_of(batch, &batch->items[i]);
		r = target_apply(batch->target, changes, batch->count, &failed);
		if (r == 0) {
			batch->done_count += batch->count;
			batch->step_count++;
			return 0;
		}
		if (failed >= batch->count)
			return r;
		item_report(batch, &batch->items[failed], r);
		memmove(&batch->items[failed], &batch->items[failed + 1],
			(--batch->count - failed) * sizeof(*batch->items));
	}
	return 0;
}

void batch_flush(struct batch *batch)
{
	struct fs_change *changes = NULL;
	int r = 0;

	if (batch->count)
		r = items_unique(batch);
	if (r == 0)
		r = dirs_lock(batch);
	if (r == 0 && batch->count) {
		changes = calloc(batch->count, sizeof(*changes));
		r = changes ? changes_apply(batch, changes) : -ENOMEM;
	}
	if (r == -EPERM || r == -ENOTTY) {
		items_apply(batch);
	} else if (r) {
		report_errno(r, "%zu keys", batch->count);
		batch->failed = true;
	}
	free(changes);
	batch_clear(batch);
}
