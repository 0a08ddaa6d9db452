/* SPDX-License-Identifier: MIT */

/*
 * Verification of a whole run: every block and page in the order of the file.
 *
 * The blocks are checked to be one tree in which every leaf is found:
 *  1. Leaves: keys ascend across all of them, and the filter has each key.
 *  2. Index blocks: children ascend across all blocks of a level, are of the
 *     level below, and their first keys are the keys that the index has.
 *  3. The children of a level are as many as the blocks of the level below:
 *     with 2, each block has one parent. The last level is one block, the root.
 *  4. Counts are those of the footer.
 *
 * Works on copies of blocks, by one thread; no lock.
 */

#include <errno.h>
#include <stdlib.h>

#include "engine/bloom.h"
#include "engine/run.h"
#include "engine/run_block.h"
#include "engine/run_format.h"
#include "engine/run_internal.h"

/* So much is read and then given back. */
#define DROP_PAGES ((4u << 20) / RUN_PAGE_BYTES)

struct level_tally {
	uint64_t block_count;
	uint64_t child_count; /* entries of its blocks */
	uint64_t last_child;
};

struct verification {
	struct run *run;
	struct buf block_copy;
	struct buf child_copy;
	struct buf key;      /* of the last entry of the block being read */
	struct buf leaf_key; /* of the last leaf entry */
	bool has_leaf_key;
	uint64_t tombstone_count;
	uint64_t last_page; /* of the last block */
	struct level_tally levels[RUN_LEVELS_MAX];
};

/* The first key of the block at `page`, borrowed from child_copy. */
static int first_key(struct verification *v, uint64_t page, unsigned int level,
		     struct slice *ret_key)
{
	struct run_block block;
	struct run_cursor cursor;
	struct run_entry entry;
	struct place place;
	uint64_t child;
	int error = run_block_load(v->run, page, &v->child_copy, &block);

	if (error)
		return error;
	if (block.level != level || block.kind == RUN_FILTER)
		return -EUCLEAN;
	run_cursor_first(&cursor, &block);
	error = level ? run_index_next(&cursor, &entry, &child) :
			run_leaf_next(&cursor, &entry, &place);
	if (!error)
		*ret_key = entry.head.suffix;
	return error;
}

/* The child's first key must be the one in v->key. */
static int verify_child(struct verification *v, const struct run_block *parent,
			uint64_t parent_page, uint64_t child_page)
{
	struct level_tally *tally = &v->levels[parent->level];
	struct slice key;
	int error;

	if (child_page >= parent_page ||
	    (tally->child_count > 0 && child_page <= tally->last_child))
		return -EUCLEAN;
	tally->child_count++;
	tally->last_child = child_page;
	error = first_key(v, child_page, parent->level - 1, &key);
	if (!error && !slice_equal(key, buf_slice(&v->key)))
		error = -EUCLEAN;
	return error;
}

static int verify_leaf_entry(struct verification *v, const struct place *place)
{
	int result;

	v->levels[0].child_count++;
	v->tombstone_count += place->tombstone;
	if (v->run->footer.filter_line_count == 0)
		return 0;
	result = run_filter_probe(v->run, bloom_hash(buf_slice(&v->key)));
	return result == 1 ? -EUCLEAN : result;
}

/* A leaf begins beyond where the one before it ended. */
static int verify_boundary(struct verification *v)
{
	if (v->has_leaf_key &&
	    slice_compare(buf_slice(&v->leaf_key), buf_slice(&v->key)) >= 0)
		return -EUCLEAN;
	return 0;
}

static int verify_leaf(struct verification *v, const struct run_block *block)
{
	struct run_cursor cursor;
	struct run_entry entry;
	struct place place;
	int result;

	run_cursor_first(&cursor, block);
	for (bool has_key = false;; has_key = true) {
		result = run_leaf_next(&cursor, &entry, &place);
		if (result)
			break;
		result = run_entry_key(&entry, has_key, &v->key);
		if (!result && !has_key)
			result = verify_boundary(v);
		if (!result)
			result = verify_leaf_entry(v, &place);
		if (result)
			return result;
	}
	if (result < 0)
		return result;
	v->has_leaf_key = true;
	return buf_assign(&v->leaf_key, buf_slice(&v->key));
}

static int verify_index(struct verification *v, const struct run_block *block,
			uint64_t page)
{
	struct run_cursor cursor;
	struct run_entry entry;
	uint64_t child;
	int result;

	run_cursor_first(&cursor, block);
	for (bool has_key = false;; has_key = true) {
		result = run_index_next(&cursor, &entry, &child);
		if (result)
			break;
		result = run_entry_key(&entry, has_key, &v->key);
		if (!result)
			result = verify_child(v, block, page, child);
		if (result)
			return result;
	}
	return result < 0 ? result : 0;
}

static int verify_blocks(struct verification *v)
{
	uint64_t page = 0, dropped_page = 0;

	while (page < v->run->footer.block_pages) {
		struct run_block block;
		int error;

		if (page - dropped_page >= DROP_PAGES) {
			run_drop_cache(v->run, dropped_page * RUN_PAGE_BYTES,
				       DROP_PAGES * RUN_PAGE_BYTES);
			dropped_page = page;
		}
		error = run_block_load(v->run, page, &v->block_copy, &block);

		if (error)
			return error;
		if (block.kind == RUN_FILTER)
			return -EUCLEAN;
		v->levels[block.level].block_count++;
		error = block.kind == RUN_LEAF ? verify_leaf(v, &block) :
						 verify_index(v, &block, page);
		if (error)
			return error;
		v->last_page = page;
		page += block.size / RUN_PAGE_BYTES;
	}
	return page == v->run->footer.block_pages ? 0 : -EUCLEAN;
}

static int verify_filter(struct verification *v)
{
	const struct run_footer *footer = &v->run->footer;
	uint64_t pages = run_filter_pages(footer->filter_line_count);

	for (uint64_t i = 0; i < pages; i++) {
		uint64_t line = i * RUN_FILTER_PAGE_LINES;
		uint64_t left = footer->filter_line_count - line;
		struct run_block block;
		int error = run_block_load(v->run, footer->block_pages + i,
					   &v->block_copy, &block);

		if (error)
			return error;
		if (left > RUN_FILTER_PAGE_LINES)
			left = RUN_FILTER_PAGE_LINES;
		if (block.kind != RUN_FILTER || block.base != line ||
		    block.count != left ||
		    block.end !=
			    RUN_FILTER_HEADER_BYTES + left * BLOOM_LINE_BYTES)
			return -EUCLEAN;
	}
	return 0;
}

static int verify_counts(const struct verification *v)
{
	const struct run_footer *footer = &v->run->footer;
	uint64_t index_count = 0;

	if (footer->entry_count != v->levels[0].child_count ||
	    footer->tombstone_count != v->tombstone_count ||
	    footer->leaf_count != v->levels[0].block_count)
		return -EUCLEAN;
	for (unsigned int level = 1; level < RUN_LEVELS_MAX; level++) {
		const struct level_tally *tally = &v->levels[level];

		index_count += tally->block_count;
		if ((tally->block_count > 0) != (level < footer->level_count))
			return -EUCLEAN;
		if (tally->block_count > 0 &&
		    tally->child_count != v->levels[level - 1].block_count)
			return -EUCLEAN;
	}
	if (footer->index_count != index_count)
		return -EUCLEAN;
	if (footer->level_count == 0)
		return 0;
	return v->levels[footer->level_count - 1].block_count == 1 &&
			       v->last_page == footer->root_page ?
		       0 :
		       -EUCLEAN;
}

int run_verify(struct run *run)
{
	struct verification *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return -ENOMEM;
	v->run = run;
	run_forget_verified(run, 0, run->page_count);
	/* First, so that a damaged filter is not taken for a wrong one. */
	error = verify_filter(v);
	if (!error)
		error = verify_blocks(v);
	if (!error)
		error = verify_counts(v);
	buf_release(&v->block_copy);
	buf_release(&v->child_copy);
	buf_release(&v->key);
	buf_release(&v->leaf_key);
	free(v);
	return error;
}
