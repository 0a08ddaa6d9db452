/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A page: the smallest names of a directory within a range, sorted, as many as
 * fit in a budget of memory. So a directory of any size is listed in order,
 * page by page, whether its names come sorted (a store's do) or in any order
 * (those of a mount).
 *
 *	page_init -> page_begin(range), page_add..., page_finish
 *	          -> page_begin(range after the last), ...   until `complete`
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/kv.h"

struct page_entry {
	size_t offset; /* of the name, in bytes */
	uint64_t ino;
	uint32_t mode; /* type bits; 0: not known */
	uint32_t size; /* of the name; a NUL follows it */
};

struct page {
	struct page_entry *entries;
	size_t count, capacity;
	struct buf bytes;
	size_t budget_bytes;
	struct kv_range range;   /* borrowed until page_finish() */
	struct page_entry bound; /* names beyond it are not wanted */
	bool bounded;            /* `bound` is set: names were dropped */
	bool complete; /* after page_finish(): the range ends in this page */
};

/* A budget below 4 KiB counts as 4 KiB. */
void page_init(struct page *page, size_t budget_bytes);
void page_release(struct page *page);

/* Empties the page, for names within `range`. */
void page_begin(struct page *page, const struct kv_range *range);

/* Offers a name; it is copied if it is wanted. 0 or -ENOMEM. */
int page_add(struct page *page, struct slice name, uint64_t ino, uint32_t mode);

/*
 * Offers the next name of a sorted listing. 0, -ENOMEM, or 1 when neither this
 * name nor any later one goes on this page: the listing can stop.
 */
int page_add_sorted(struct page *page, struct slice name, uint64_t ino,
		    uint32_t mode);

/* Sorts; entries can be used from now on. */
void page_finish(struct page *page);

static inline struct slice page_name(const struct page *page, size_t i)
{
	return slice_of(page->bytes.data + page->entries[i].offset,
			page->entries[i].size);
}

/* The same as a string, for system calls. */
static inline const char *page_name_string(const struct page *page, size_t i)
{
	return (const char *)page->bytes.data + page->entries[i].offset;
}
