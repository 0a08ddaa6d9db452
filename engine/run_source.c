/* SPDX-License-Identifier: MIT */

/*
 * A run as a source: its entries in order.
 *
 * A leaf is copied out of the map, 4 KiB at a time, and decoded from the copy.
 * That costs less than a nanosecond an entry, needs one guard a leaf, and what
 * was verified cannot change afterwards. Leaves stand in the file in order of
 * key with index blocks between them, so going on is reading the next block.
 *
 * Invariants:
 *  1. Keys ascend strictly, whatever the file says: an entry that is not beyond
 *     the one before is damage. Merging relies on it.
 *  2. After an error only a seek brings entries again.
 *
 * Used by one thread at a time; no lock.
 */

#include <errno.h>
#include <stdlib.h>

#include "engine/run.h"
#include "engine/run_block.h"
#include "engine/run_format.h"
#include "engine/run_internal.h"

/* Who has read so far in order will go on: then pages are asked for ahead. */
#define PREFETCH_STEP 64u
#define PREFETCH_PAGES (2 * PREFETCH_STEP)

struct run_source {
	struct source base;
	struct run *run;
	int state;              /* 0: on an entry; 1: at the end; or an error */
	bool has_key;           /* key is that of the entry before */
	uint64_t next_page;     /* behind the block that is being read */
	uint64_t blocks_read;   /* since the last seek */
	struct run_block block; /* borrows from block_copy */
	struct run_cursor cursor;
	struct buf block_copy;
	struct buf key;
};

static struct run_source *run_source_of(struct source *source)
{
	return (struct run_source *)source;
}

static int load_block(struct run_source *s, uint64_t page)
{
	struct run *run = s->run;
	int error;

	if (++s->blocks_read % PREFETCH_STEP == PREFETCH_STEP / 4)
		io_map_prefetch(&run->map, page * RUN_PAGE_BYTES,
				(size_t)PREFETCH_PAGES * RUN_PAGE_BYTES);
	error = run_block_load(run, page, &s->block_copy, &s->block);
	if (error)
		return error;
	s->next_page = page + s->block.size / RUN_PAGE_BYTES;
	return 0;
}

/* Loads the next leaf: 0, 1 when there is none. */
static int load_next_leaf(struct run_source *s)
{
	while (s->next_page < s->run->footer.block_pages) {
		int error = load_block(s, s->next_page);

		if (error)
			return error;
		if (s->block.kind == RUN_LEAF) {
			run_cursor_first(&s->cursor, &s->block);
			return 0;
		}
		if (s->block.kind != RUN_INDEX)
			return -EUCLEAN;
	}
	return 1;
}

static int advance(struct run_source *s)
{
	struct place *place = &s->base.entry.place;
	struct run_entry entry;
	int result = run_leaf_next(&s->cursor, &entry, place);

	while (result == 1) {
		result = load_next_leaf(s);
		if (result)
			return result;
		result = run_leaf_next(&s->cursor, &entry, place);
	}
	if (!result)
		result = run_entry_key(&entry, s->has_key, &s->key);
	if (result)
		return result;
	s->has_key = true;
	s->base.entry.key = buf_slice(&s->key);
	return 0;
}

static int run_source_next(struct source *source)
{
	struct run_source *s = run_source_of(source);

	if (!s->state)
		s->state = advance(s);
	return s->state;
}

/* Stands before the first entry that may be at or beyond `key`. */
static int approach(struct run_source *s, struct slice key)
{
	uint64_t page;
	int error;

	s->has_key = false;
	s->blocks_read = 0;
	if (s->run->footer.level_count == 0)
		return 1;
	error = run_leaf_page(s->run, key, &page);
	if (!error)
		error = load_block(s, page);
	if (error)
		return error;
	if (s->block.kind != RUN_LEAF)
		return -EUCLEAN;
	return run_cursor_seek(&s->cursor, &s->block, key);
}

static int run_source_seek(struct source *source, struct slice key, bool after)
{
	struct run_source *s = run_source_of(source);
	int relation = -1;

	s->state = approach(s, key);
	while (!s->state && (relation < 0 || (after && relation == 0))) {
		s->state = advance(s);
		if (!s->state)
			relation = slice_compare(s->base.entry.key, key);
	}
	return s->state;
}

static void run_source_free(struct source *source)
{
	struct run_source *s = run_source_of(source);

	run_unref(s->run);
	buf_release(&s->block_copy);
	buf_release(&s->key);
	free(s);
}

static const struct source_ops run_source_ops = {
	.seek = run_source_seek,
	.next = run_source_next,
	.free = run_source_free,
};

struct source *run_source_new(struct run *run)
{
	struct run_source *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->base.ops = &run_source_ops;
	s->run = run_ref(run);
	s->state = 1; /* nowhere, until the first seek */
	return &s->base;
}
