/* SPDX-License-Identifier: MIT */

/*
 * Writes a run in one pass, from the bottom up:
 *
 *	add -> [ leaf being filled ] --full--> out, and (first key, page) to
 *	       [ index, level 1    ] --full--> out, and (first key, page) to
 *	       [ index, level 2    ] ...
 *	finish: each level's last block, the filter's pages, the footer
 *
 * so children precede their parents, leaves are in order of key, and memory is
 * one block a level, the output buffer and the filter's bits.
 *
 * Invariants:
 *  1. The footer is written after everything else. A file without a footer is
 *     no run: what a crash leaves behind cannot be mistaken for one.
 *  2. A level above the leaves exists from its second child on. So the first
 *     level that never finished a block has the root.
 *
 * Used by one thread at a time; no lock.
 */

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bloom.h"
#include "engine/kv.h"
#include "engine/run.h"
#include "engine/run_block.h"
#include "engine/run_format.h"

#define OUT_BYTES (256u << 10)

struct run_writer {
	struct io *io;
	int dir_fd;
	int fd;
	uint32_t seed;
	struct run_footer footer; /* as far as it is known */
	struct run_bound first;   /* of the first key */
	struct bloom bloom;
	struct buf out;           /* pages not yet written */
	uint64_t out_page;        /* the page that out begins with */
	unsigned int level_count; /* builders in use */
	/* Blocks of each level that are finished, to tell where the root is. */
	uint64_t finished[RUN_LEVELS_MAX];
	struct run_builder levels[RUN_LEVELS_MAX];
};

void run_name(uint64_t id, char ret_name[RUN_NAME_MAX])
{
	snprintf(ret_name, RUN_NAME_MAX, "%016llx.run", (unsigned long long)id);
}

static void writer_free(struct run_writer *writer)
{
	for (unsigned int i = 0; i < writer->level_count; i++)
		run_builder_release(&writer->levels[i]);
	bloom_release(&writer->bloom);
	buf_release(&writer->out);
	free(writer);
}

int run_writer_open(struct io *io, int dir_fd,
		    const struct run_identity *identity,
		    uint64_t expected_entries, struct run_writer **ret_writer)
{
	struct run_writer *writer = calloc(1, sizeof(*writer));
	char name[RUN_NAME_MAX];
	int error = -ENOMEM;

	if (!writer)
		return -ENOMEM;
	writer->io = io;
	writer->dir_fd = dir_fd;
	writer->seed = run_seed(identity);
	writer->footer.identity = *identity;
	run_builder_init(&writer->levels[0], 0);
	writer->level_count = 1;
	if (buf_reserve(&writer->out, OUT_BYTES) ||
	    bloom_init(&writer->bloom, expected_entries))
		goto out;
	run_name(identity->id, name);
	error = io_open(io, dir_fd, name, O_WRONLY | O_CREAT | O_EXCL,
			&writer->fd);
	if (error)
		goto out;
	*ret_writer = writer;
	return 0;
out:
	writer_free(writer);
	return error;
}

static int writer_flush(struct run_writer *writer)
{
	int error = io_write(writer->io, writer->fd, writer->out.data,
			     writer->out.size,
			     writer->out_page * RUN_PAGE_BYTES);

	if (error)
		return error;
	writer->out_page += writer->out.size / RUN_PAGE_BYTES;
	buf_clear(&writer->out);
	return 0;
}

/* The page that is put next. */
static uint64_t writer_page(const struct run_writer *writer)
{
	return writer->out_page + writer->out.size / RUN_PAGE_BYTES;
}

/* Appends whole pages. A block is smaller than the buffer. */
static int writer_put(struct run_writer *writer, struct slice pages)
{
	int error = 0;

	assert(pages.size % RUN_PAGE_BYTES == 0 && pages.size <= OUT_BYTES);
	if (pages.size > OUT_BYTES - writer->out.size)
		error = writer_flush(writer);
	if (!error)
		error = buf_append(&writer->out, pages.data, pages.size);
	return error;
}

/* Puts a level's block into the file; the builder still has its first key. */
static int level_put(struct run_writer *writer, unsigned int level,
		     uint64_t *ret_page)
{
	struct run_builder *builder = &writer->levels[level];
	uint64_t page = writer_page(writer);
	struct slice bytes;
	int error = run_builder_finish(builder, writer->seed, page, &bytes);

	if (!error)
		error = writer_put(writer, bytes);
	if (error)
		return error;
	writer->finished[level]++;
	if (level == 0)
		writer->footer.leaf_count++;
	else
		writer->footer.index_count++;
	*ret_page = page;
	return 0;
}

static int level_add(struct run_writer *writer, unsigned int level,
		     struct slice key, const union run_value *value);

/* Puts a level's block and tells the level above. */
static int level_finish(struct run_writer *writer, unsigned int level)
{
	struct run_builder *builder = &writer->levels[level];
	union run_value value;
	int error = level_put(writer, level, &value.child_page);

	if (error)
		return error;
	if (level + 1 == RUN_LEVELS_MAX)
		return -EFBIG;
	if (level + 1 == writer->level_count) {
		run_builder_init(&writer->levels[level + 1], level + 1);
		writer->level_count++;
	}
	error = level_add(writer, level + 1, run_builder_first_key(builder),
			  &value);
	run_builder_reset(builder);
	return error;
}

/* Recurs through level_finish as deep as there are levels. */
static int level_add(struct run_writer *writer, unsigned int level,
		     struct slice key, const union run_value *value)
{
	struct run_builder *builder = &writer->levels[level];
	int result = run_builder_add(builder, key, value);

	if (result != 1)
		return result;
	result = level_finish(writer, level);
	if (!result)
		result = run_builder_add(builder, key, value);
	assert(result <= 0);
	return result;
}

int run_writer_add(struct run_writer *writer, const struct index_entry *entry)
{
	union run_value value = { .place = entry->place };
	struct run_footer *footer = &writer->footer;
	int error;

	assert(footer->entry_count == 0 ||
	       slice_compare(buf_slice(&writer->levels[0].last_key),
			     entry->key) < 0);
	assert(entry->key.size <= KV_KEY_MAX);
	error = level_add(writer, 0, entry->key, &value);
	if (error)
		return error;
	bloom_add(&writer->bloom, bloom_hash(entry->key));
	if (footer->entry_count == 0)
		run_bound_set(&writer->first, entry->key);
	footer->entry_count++;
	footer->tombstone_count += entry->place.tombstone;
	return 0;
}

void run_writer_bounds(const struct run_writer *writer,
		       struct run_bounds *ret_bounds)
{
	*ret_bounds = (struct run_bounds){
		.known = writer->footer.entry_count > 0,
		.first = writer->first,
	};
	run_bound_set(&ret_bounds->last,
		      buf_slice(&writer->levels[0].last_key));
}

/* Puts the last block of each level; the topmost is the root. */
static int writer_finish_levels(struct run_writer *writer)
{
	struct run_footer *footer = &writer->footer;
	unsigned int level = 0;
	int error = 0;

	if (footer->entry_count == 0)
		return 0;
	for (; !error && writer->finished[level] > 0; level++)
		error = level_finish(writer, level);
	if (!error)
		error = level_put(writer, level, &footer->root_page);
	footer->level_count = level + 1;
	footer->block_pages = writer_page(writer);
	return error;
}

static int writer_put_filter(struct run_writer *writer)
{
	struct bloom *bloom = &writer->bloom;
	uint8_t page[RUN_PAGE_BYTES];

	if (writer->footer.entry_count == 0)
		return 0;
	bloom_shrink(bloom, writer->footer.entry_count);
	writer->footer.filter_line_count = bloom->line_count;
	for (uint64_t line = 0; line < bloom->line_count;
	     line += RUN_FILTER_PAGE_LINES) {
		struct run_block block = { .kind = RUN_FILTER, .base = line };
		uint64_t left = bloom->line_count - line;
		int error;

		block.size = RUN_PAGE_BYTES;
		block.count = RUN_FILTER_PAGE_LINES;
		if (left < RUN_FILTER_PAGE_LINES)
			block.count = (unsigned int)left;
		block.end = RUN_FILTER_HEADER_BYTES +
			    (size_t)block.count * BLOOM_LINE_BYTES;
		memset(page, 0, sizeof(page));
		run_block_header_encode(&block, page);
		memcpy(page + RUN_FILTER_HEADER_BYTES,
		       bloom->lines + line * BLOOM_LINE_BYTES,
		       (size_t)block.count * BLOOM_LINE_BYTES);
		run_checksum_store(writer->seed, writer_page(writer), page,
				   sizeof(page));
		error = writer_put(writer, slice_of(page, sizeof(page)));
		if (error)
			return error;
	}
	return 0;
}

static int writer_put_footer(struct run_writer *writer)
{
	uint8_t page[RUN_PAGE_BYTES];
	int error;

	run_footer_encode(&writer->footer, page);
	error = writer_put(writer, slice_of(page, sizeof(page)));
	if (!error)
		error = writer_flush(writer);
	return error;
}

static void writer_summarize(const struct run_writer *writer,
			     struct run_summary *ret_summary)
{
	*ret_summary = (struct run_summary){
		.id = writer->footer.identity.id,
		.file_size_bytes = writer_page(writer) * RUN_PAGE_BYTES,
		.entry_count = writer->footer.entry_count,
		.tombstone_count = writer->footer.tombstone_count,
	};
}

int run_writer_finish(struct run_writer *writer,
		      struct run_summary *ret_summary)
{
	int error = writer_finish_levels(writer);
	int close_error;

	if (!error)
		error = writer_put_filter(writer);
	if (!error)
		error = writer_put_footer(writer);
	if (!error)
		error = io_sync_data(writer->io, writer->fd);
	if (error) {
		run_writer_abandon(writer);
		return error;
	}
	/* Only network filesystems have news here; synced is synced. */
	close_error = io_close(writer->io, writer->fd);
	writer->fd = -1;
	if (close_error) {
		run_writer_abandon(writer);
		return close_error;
	}
	writer_summarize(writer, ret_summary);
	writer_free(writer);
	return 0;
}

void run_writer_abandon(struct run_writer *writer)
{
	char name[RUN_NAME_MAX];

	if (!writer)
		return;
	run_name(writer->footer.identity.id, name);
	io_close(writer->io, writer->fd);
	/* A file that stays has no footer or is not referred to. */
	io_unlink(writer->io, writer->dir_fd, name);
	writer_free(writer);
}
