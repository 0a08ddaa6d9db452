/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the readers of a run share: lookups (run.c), the source (run_source.c)
 * and verification (run_verify.c). Private to these.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/io.h"
#include "engine/run.h"
#include "engine/run_format.h"

struct run {
	/* Constant after open. */
	struct io *io;
	int dir_fd; /* borrowed from the store */
	struct io_map map;
	struct run_footer footer;
	struct run_summary summary;
	struct run_bounds bounds;
	uint32_t seed;
	uint64_t page_count;
	uint64_t serial; /* of no other run that this process ever opened */

	/* Atomic. A bit a page: the block or filter page that begins there
	 * matched its checksum. A hint, so relaxed: see run.c. */
	_Atomic uint64_t *verified;
	atomic_bool doomed; /* unlink with the last reference */
	atomic_uint refs;
};

/*
 * Replaces *copy by the bytes of the block at `page` and decodes them; the
 * block borrows from *copy. 0, -EBADMSG, -EUCLEAN, -EIO, -ENOMEM.
 */
int run_block_load(struct run *run, uint64_t page, struct buf *copy,
		   struct run_block *ret_block);

/* The leaf that has `key` if any has; there is an entry. Errors as run_get. */
int run_leaf_page(struct run *run, struct slice key, uint64_t *ret_page);

/* 0 when the filter says maybe, 1 when no. -EBADMSG, -EUCLEAN, -EIO. */
int run_filter_probe(struct run *run, uint64_t hash);

/* Makes the next reader of every page verify it again. */
void run_forget_verified(struct run *run, uint64_t page, uint64_t page_count);
