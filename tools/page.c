/* SPDX-License-Identifier: MIT */

/*
 * Bounded selection of the smallest names. Names are gathered as they come;
 * when the budget is full they are sorted and the upper half is dropped: the
 * largest name kept becomes the bound, and no name beyond it is taken from
 * then on. With names a b c d e f and room for four, fed f b d a e c:
 *
 *	f b d a    full: sorted, halved to a b; bound b
 *	e c        beyond the bound
 *
 * Invariants: (1) of the names offered that lie in the range and, when
 * bounded, at or below the bound, every one is in the page; (2) bounded is
 * false as long as nothing was dropped. A page belongs to one thread.
 */

#include "tools/page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_MIN_BYTES 4096u

void page_init(struct page *page, size_t budget_bytes)
{
	*page = (struct page){ .budget_bytes = budget_bytes };
	if (budget_bytes < BUDGET_MIN_BYTES)
		page->budget_bytes = BUDGET_MIN_BYTES;
}

void page_release(struct page *page)
{
	free(page->entries);
	buf_release(&page->bytes);
	*page = (struct page){ 0 };
}

void page_begin(struct page *page, const struct kv_range *range)
{
	page->range = *range;
	page->count = 0;
	page->bounded = false;
	page->complete = false;
	buf_clear(&page->bytes);
}

static struct slice entry_name(const struct page *page,
			       const struct page_entry *entry)
{
	return slice_of(page->bytes.data + entry->offset, entry->size);
}

static bool range_begun(const struct kv_range *range, struct slice name)
{
	int order;

	if (!range->from.size)
		return true;
	order = slice_compare(name, range->from);
	return range->after ? order > 0 : order >= 0;
}

/* No name at or beyond `name` is in range. */
static bool range_ended(const struct kv_range *range, struct slice name)
{
	if (range->to.size && slice_compare(name, range->to) >= 0)
		return true;
	return !slice_has_prefix(name, range->prefix) &&
	       slice_compare(name, range->prefix) > 0;
}

static bool range_has(const struct kv_range *range, struct slice name)
{
	return slice_has_prefix(name, range->prefix) &&
	       range_begun(range, name) && !range_ended(range, name);
}

static size_t bytes_used(const struct page *page)
{
	return page->bytes.size + page->count * sizeof(*page->entries);
}

static int entry_push(struct page *page, struct slice name, uint64_t ino,
		      uint32_t mode)
{
	size_t capacity = page->capacity ? page->capacity * 2 : 32;
	struct page_entry *entries;
	int r;

	if (page->count == page->capacity) {
		entries =
			reallocarray(page->entries, capacity, sizeof(*entries));
		if (!entries)
			return -ENOMEM;
		page->entries = entries;
		page->capacity = capacity;
	}
	r = buf_reserve(&page->bytes, name.size + 1);
	if (r)
		return r;
	page->entries[page->count++] = (struct page_entry){
		.offset = page->bytes.size,
		.ino = ino,
		.mode = mode,
		.size = (uint32_t)name.size,
	};
	/* Room was reserved: these cannot fail. */
	(void)buf_append(&page->bytes, name.data, name.size);
	(void)buf_append(&page->bytes, "", 1);
	return 0;
}

static int entry_order(const void *a, const void *b, void *ctx)
{
	return slice_compare(entry_name(ctx, a), entry_name(ctx, b));
}

/* Drops the upper half and the bytes of what was dropped. */
static int page_halve(struct page *page)
{
	struct buf kept = { 0 };
	size_t i, half = page->count / 2;
	int r = 0;

	qsort_r(page->entries, page->count, sizeof(*page->entries), entry_order,
		page);
	for (i = 0; i < half; i++) {
		struct page_entry *entry = &page->entries[i];
		size_t offset = kept.size;

		r = buf_append(&kept, page->bytes.data + entry->offset,
			       entry->size + 1u);
		if (r)
			goto out;
		entry->offset = offset;
	}
out:
	if (r) {
		/* The offsets are of two kinds now: the page is lost. */
		page->count = 0;
		buf_release(&kept);
		return r;
	}
	buf_release(&page->bytes);
	page->bytes = kept;
	page->count = half;
	page->bound = page->entries[half - 1];
	page->bounded = true;
	return 0;
}

int page_add(struct page *page, struct slice name, uint64_t ino, uint32_t mode)
{
	int r;

	if (!range_has(&page->range, name))
		return 0;
	if (page->bounded &&
	    slice_compare(name, entry_name(page, &page->bound)) > 0)
		return 0;
	r = entry_push(page, name, ino, mode);
	if (r == 0 && page->count >= 2 && bytes_used(page) > page->budget_bytes)
		r = page_halve(page);
	return r;
}

int page_add_sorted(struct page *page, struct slice name, uint64_t ino,
		    uint32_t mode)
{
	if (range_ended(&page->range, name))
		return 1;
	if (!range_has(&page->range, name))
		return 0;
	if (page->count && bytes_used(page) + name.size > page->budget_bytes) {
		page->bounded = true;
		return 1;
	}
	return entry_push(page, name, ino, mode);
}

void page_finish(struct page *page)
{
	if (page->count)
		qsort_r(page->entries, page->count, sizeof(*page->entries),
			entry_order, page);
	page->complete = !page->bounded;
	page->range = (struct kv_range){ 0 };
}
