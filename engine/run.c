/* SPDX-License-Identifier: MIT */

/*
 * Runs opened for reading: the footer, the map, lookups in place.
 *
 * A lookup looks into the leaf where the one before found something, if that
 * helped lately; else it asks the filter, then goes down from the root, one
 * block a level.
 * Each block is read under a guard of its own, whose range is the block.
 *
 * Invariants:
 *  1. Mapped bytes are read inside io_guarded() only.
 *  2. The bit of a page in `verified` says that its block matched its checksum
 *     once in this process. It saves work and grants no trust: the page may
 *     have been evicted and read anew, so decoders stay inside the bytes that
 *     they were given either way. Hence relaxed order suffices, and two threads
 *     may verify one block at the same time.
 *  3. A child stands before its parent and a level below it, so a descent ends.
 *
 * No lock: all but the bits and the reference count is constant after open.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bitset.h"
#include "engine/bloom.h"
#include "engine/run.h"
#include "engine/run_block.h"
#include "engine/run_format.h"
#include "engine/run_hint.h"
#include "engine/run_internal.h"
#include "engine/run_search.h"

void run_forget_verified(struct run *run, uint64_t page, uint64_t page_count)
{
	bitset_remove(run->verified, (size_t)page,
		      (size_t)(page + page_count - 1));
}

/* Reads size and footer of an open file. */
static int read_footer(struct io *io, int fd,
		       const struct run_identity *identity, struct run *run)
{
	uint8_t page[RUN_PAGE_BYTES];
	uint64_t size_bytes;
	int error = io_size(io, fd, &size_bytes);

	if (error)
		return error;
	if (size_bytes < RUN_PAGE_BYTES || size_bytes % RUN_PAGE_BYTES != 0)
		return -EUCLEAN;
	error = io_read(io, fd, page, sizeof(page),
			size_bytes - RUN_PAGE_BYTES);
	if (error)
		return error == -ENODATA ? -EUCLEAN : error;
	run->page_count = size_bytes / RUN_PAGE_BYTES;
	error = run_footer_decode(page, run->page_count - 1, identity,
				  &run->footer);
	if (error)
		return error;
	run->seed = run_seed(identity);
	run->summary = (struct run_summary){
		.id = identity->id,
		.file_size_bytes = size_bytes,
		.entry_count = run->footer.entry_count,
		.tombstone_count = run->footer.tombstone_count,
	};
	return 0;
}

int run_open(struct io *io, int dir_fd, const struct run_identity *identity,
	     struct run **ret_run)
{
	static _Atomic uint64_t serials;
	struct run *run = calloc(1, sizeof(*run));
	char name[RUN_NAME_MAX];
	int fd = -1;
	int error;

	if (!run)
		return -ENOMEM;
	atomic_init(&run->refs, 1);
	run->serial = atomic_fetch_add(&serials, 1) + 1;
	run->io = io;
	run->dir_fd = dir_fd;
	run_name(identity->id, name);
	error = io_open(io, dir_fd, name, O_RDONLY, &fd);
	if (error)
		goto out;
	error = read_footer(io, fd, identity, run);
	if (error)
		goto out;
	run->verified = calloc(bitset_words((size_t)run->page_count),
			       sizeof(*run->verified));
	if (!run->verified) {
		error = -ENOMEM;
		goto out;
	}
	error = io_map(io, fd, run->summary.file_size_bytes, &run->map);
out:
	io_close(io, fd);
	if (error) {
		free(run->verified);
		free(run);
		return error;
	}
	*ret_run = run;
	return 0;
}

struct run *run_ref(struct run *run)
{
	atomic_fetch_add_explicit(&run->refs, 1, memory_order_relaxed);
	return run;
}

void run_unref(struct run *run)
{
	char name[RUN_NAME_MAX];

	if (!run ||
	    atomic_fetch_sub_explicit(&run->refs, 1, memory_order_acq_rel) != 1)
		return;
	io_unmap(&run->map);
	if (atomic_load(&run->doomed)) {
		run_name(run->summary.id, name);
		/* A file that stays is found and removed at the next open. */
		io_unlink(run->io, run->dir_fd, name);
	}
	free(run->verified);
	free(run);
}

void run_doom(struct run *run)
{
	atomic_store(&run->doomed, true);
}

const struct run_summary *run_summary(const struct run *run)
{
	return &run->summary;
}

void run_set_bounds(struct run *run, const struct run_bounds *bounds)
{
	run->bounds = *bounds;
}

const struct run_bounds *run_bounds(const struct run *run)
{
	return &run->bounds;
}

bool run_drop_cache(struct run *run, uint64_t offset, size_t size)
{
	uint64_t page = offset / RUN_PAGE_BYTES, end;

	if (page >= run->page_count)
		return false;
	end = size < run->map.size - offset ?
		      (offset + size - 1) / RUN_PAGE_BYTES + 1 :
		      run->page_count;
	run_forget_verified(run, page, end - page);
	return io_map_drop(&run->map, offset, size);
}

/* A block to be visited in place. */
struct visit {
	struct run *run;
	uint64_t page;
	unsigned int page_count;
	/* Called with verified bytes, under the guard. Same result as visit. */
	int (*fn)(struct visit *visit, struct slice bytes);
	struct slice key;
	unsigned int level;
	struct run_mark *mark; /* of the leaf, or NULL */
	uint64_t child_page;   /* out: of an index block */
	struct place *place;   /* out: of a leaf */
	struct buf *copy;      /* to be filled, with room for the block */
};

#define VISIT_LONGER 2 /* the block has visit->page_count pages */

/* Runs under the guard: takes no lock, allocates nothing. */
static int visit_guarded(void *ctx)
{
	struct visit *visit = ctx;
	struct run *run = visit->run;
	const uint8_t *start = run->map.address + visit->page * RUN_PAGE_BYTES;
	struct slice bytes = { start, visit->page_count * RUN_PAGE_BYTES };
	unsigned int pages;

	/* The restarts' offsets are there: wanted right after the header. */
	__builtin_prefetch(start + RUN_PAGE_BYTES - 1);
	pages = run_block_pages(start);
	if (pages != visit->page_count) {
		/* Asked once: a page that changes under us is damaged. */
		if (visit->page_count != 1)
			return -EBADMSG;
		visit->page_count = pages;
		return VISIT_LONGER;
	}
	if (!bitset_has(run->verified, visit->page)) {
		int error = run_checksum_verify(run->seed, visit->page, bytes);

		if (error)
			return error;
		bitset_add(run->verified, visit->page, visit->page);
	}
	return visit->fn(visit, bytes);
}

/*
 * Visits the block at visit->page, which must end before page_end. A result of
 * VISIT_LONGER comes once: the guard is then taken again, over all its pages,
 * and the caller has had the chance to make room.
 */
static int visit_block(struct visit *visit, uint64_t page_end)
{
	if (visit->page >= page_end || visit->page_count == 0 ||
	    visit->page_count > RUN_BLOCK_PAGES_MAX ||
	    visit->page_count > page_end - visit->page)
		return -EBADMSG;
	return io_guarded(&visit->run->map, visit->page * RUN_PAGE_BYTES,
			  visit->page_count * RUN_PAGE_BYTES, visit_guarded,
			  visit);
}

static int visit_any_length(struct visit *visit, uint64_t page_end)
{
	int result;

	visit->page_count = 1;
	result = visit_block(visit, page_end);
	if (result == VISIT_LONGER)
		result = visit_block(visit, page_end);
	return result;
}

static int search_visitor(struct visit *visit, struct slice bytes)
{
	struct run_block block;
	int error = run_block_decode(bytes, &block);

	if (error)
		return error;
	/* With it the kind is right, too. */
	if (block.level != visit->level || block.kind == RUN_FILTER)
		return -EUCLEAN;
	if (block.kind == RUN_LEAF) {
		if (visit->mark &&
		    run_leaf_follow(&block, visit->key, visit->place,
				    visit->mark) == 0)
			return 0;
		return run_leaf_find(&block, visit->key, visit->place,
				     visit->mark);
	}
	return run_index_find(&block, visit->key, &visit->child_page);
}

/* Goes down to the leaf; page_end is where its parent begins. */
static int descend(struct visit *visit, uint64_t *ret_page_end)
{
	const struct run_footer *footer = &visit->run->footer;
	uint64_t page_end = footer->block_pages;

	visit->fn = search_visitor;
	visit->page = footer->root_page;
	for (visit->level = footer->level_count - 1; visit->level > 0;
	     visit->level--) {
		int error = visit_any_length(visit, page_end);

		if (error)
			return error;
		page_end = visit->page;
		visit->page = visit->child_page;
	}
	*ret_page_end = page_end;
	return 0;
}

int run_leaf_page(struct run *run, struct slice key, uint64_t *ret_page)
{
	struct visit visit = { .run = run, .key = key };
	uint64_t page_end;
	int error = descend(&visit, &page_end);

	if (!error)
		*ret_page = visit.page;
	return error;
}

struct probe {
	struct run *run;
	uint64_t page;
	const uint8_t *line;
	uint64_t hash;
};

/*
 * Runs under the guard. Of a page that was verified it reads the line and
 * nothing else: one cache miss.
 */
static int probe_guarded(void *ctx)
{
	const struct probe *probe = ctx;
	struct run *run = probe->run;

	if (!bitset_has(run->verified, probe->page)) {
		const uint8_t *start =
			run->map.address + probe->page * RUN_PAGE_BYTES;
		int error =
			run_checksum_verify(run->seed, probe->page,
					    slice_of(start, RUN_PAGE_BYTES));

		if (error)
			return error;
		bitset_add(run->verified, probe->page, probe->page);
	}
	return bloom_line_has(probe->line, probe->hash) ? 0 : 1;
}

/* Where the line of a key begins in the file; there are lines. */
static uint64_t filter_line_offset(const struct run *run, uint64_t hash)
{
	const struct run_footer *footer = &run->footer;
	uint64_t line = bloom_line_index(hash, footer->filter_line_count);
	uint64_t page = footer->block_pages + line / RUN_FILTER_PAGE_LINES;

	return page * RUN_PAGE_BYTES + RUN_FILTER_HEADER_BYTES +
	       line % RUN_FILTER_PAGE_LINES * BLOOM_LINE_BYTES;
}

int run_filter_probe(struct run *run, uint64_t hash)
{
	struct probe probe = { .run = run, .hash = hash };
	uint64_t offset;

	if (run->footer.filter_line_count == 0)
		return run->footer.entry_count == 0;
	offset = filter_line_offset(run, hash);
	probe.page = offset / RUN_PAGE_BYTES;
	probe.line = run->map.address + offset;
	return io_guarded(&run->map, probe.page * RUN_PAGE_BYTES,
			  RUN_PAGE_BYTES, probe_guarded, &probe);
}

void run_filter_prefetch(const struct run *run, uint64_t hash)
{
	if (run->footer.filter_line_count > 0)
		__builtin_prefetch(run->map.address +
				   filter_line_offset(run, hash));
}

/* The leaf of the key before. 0: found. */
static int search_hinted(struct run *run, struct run_hint *hint,
			 struct slice key, struct place *ret_place)
{
	struct visit visit = {
		.run = run,
		.page = hint->page,
		.fn = search_visitor,
		.key = key,
		.mark = &hint->mark,
		.place = ret_place,
	};
	int result = visit_any_length(&visit, run->footer.block_pages);

	run_hint_judge(hint, result == 0);
	return result;
}

/* What the filter does not deny: on the way down from the root. */
static int run_search(struct run *run, struct slice key, uint64_t *ret_page,
		      struct place *ret_place)
{
	struct visit visit = { .run = run, .key = key, .place = ret_place };
	uint64_t page_end;
	int result;

	if (run->footer.level_count == 0)
		return 1;
	result = descend(&visit, &page_end);
	if (!result)
		result = visit_any_length(&visit, page_end);
	*ret_page = visit.page;
	return result;
}

int run_get(struct run *run, struct slice key, uint64_t hash,
	    struct place *ret_place, enum run_probe *ret_probe)
{
	struct run_hint *hint = run_hint_for(key);
	uint64_t page;
	int result;

	*ret_probe = RUN_FOUND;
	if (hint && hint->trust && hint->serial == run->serial &&
	    search_hinted(run, hint, key, ret_place) == 0)
		return 0;
	/* A damaged filter knows nothing: run_verify reports it. */
	if (run_filter_probe(run, hash) == 1) {
		*ret_probe = RUN_BLOOM_MISS;
		return 1;
	}
	result = run_search(run, key, &page, ret_place);
	if (result)
		*ret_probe = RUN_FALSE_MATCH;
	else if (hint)
		run_hint_learn(hint, run->serial, page);
	return result;
}

static int copy_visitor(struct visit *visit, struct slice bytes)
{
	memcpy(visit->copy->data, bytes.data, bytes.size);
	visit->copy->size = bytes.size;
	return 0;
}

int run_block_load(struct run *run, uint64_t page, struct buf *copy,
		   struct run_block *ret_block)
{
	struct visit visit = {
		.run = run,
		.page = page,
		.page_count = 1,
		.fn = copy_visitor,
		.copy = copy,
	};
	uint64_t page_end = run->page_count - 1;
	int result;

	buf_clear(copy);
	if (buf_reserve(copy, RUN_PAGE_BYTES))
		return -ENOMEM;
	result = visit_block(&visit, page_end);
	if (result == VISIT_LONGER) {
		/* Bounded by visit_block before the room is used. */
		if (buf_reserve(copy, visit.page_count * RUN_PAGE_BYTES))
			return -ENOMEM;
		result = visit_block(&visit, page_end);
	}
	if (result)
		return result;
	return run_block_decode(buf_slice(copy), ret_block);
}
