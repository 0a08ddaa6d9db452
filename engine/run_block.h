/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Blocks of a run: filling one, walking one. Private to the
 * run_*.c files.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/codec.h"
#include "engine/place.h"
#include "engine/run_format.h"

/*
 * The shortest entries, of an index: two bytes of head, one each of key, body.
 * A restart's offset counts as one more.
 */
#define RUN_RESTARTS_MAX (RUN_PAGE_BYTES / 4 / RUN_INDEX_INTERVAL)

/* What an entry says: a place in a leaf, a child page in an index block. */
union run_value {
	struct place place;
	uint64_t child_page;
};

/*
 * A block being filled. A block is one page, but more when its first entry
 * (in an index block: its first two, or levels would never get fewer) needs
 * more; it is then filled to its last page or to its second restart.
 */
struct run_builder {
	struct run_block block; /* kind and level are constant */
	struct buf bytes;
	struct buf last_key; /* stays when the block is done */
	struct run_place_base place_base;
	size_t page_count;
	uint16_t restarts[RUN_RESTARTS_MAX];
};

void run_builder_init(struct run_builder *builder, unsigned int level);
void run_builder_release(struct run_builder *builder);

/* 0; 1 when it does not fit: finish the block and add again; -ENOMEM. */
int run_builder_add(struct run_builder *builder, struct slice key,
		    const union run_value *value);

/* The key of the first entry; there is one. */
struct slice run_builder_first_key(const struct run_builder *builder);

/*
 * Completes the block, which has entries and is to stand at page_number. Its
 * bytes, whole pages, stay valid until run_builder_reset(). 0 or -ENOMEM.
 */
int run_builder_finish(struct run_builder *builder, uint32_t seed,
		       uint64_t page_number, struct slice *ret_bytes);
/* Empties it for the next block. */
void run_builder_reset(struct run_builder *builder);

/* Walks the entries of a block in order. */
struct run_cursor {
	const struct run_block *block;
	const uint8_t *at; /* the next entry */
	struct run_place_base place_base;
	unsigned int index;         /* of the next entry */
	unsigned int restart_index; /* of the next restart's entry */
	size_t restart;             /* and which restart that is */
};

/* The key of an entry as it stands in a block, where the suffix is borrowed. */
struct run_entry {
	struct run_entry_head head;
	bool restart; /* shares nothing, by decree; else all that it can */
};

/* Goes to the first entry. */
void run_cursor_first(struct run_cursor *cursor, const struct run_block *block);
/*
 * Goes to the last restart whose key is at or below `key`, or to the first
 * entry. 0 or -EUCLEAN.
 */
int run_cursor_seek(struct run_cursor *cursor, const struct run_block *block,
		    struct slice key);
/*
 * Reads the next entry of a leaf, or of an index block. 0, 1 at the end,
 * -EUCLEAN. Outputs are undefined unless it is 0.
 */
int run_leaf_next(struct run_cursor *cursor, struct run_entry *ret_entry,
		  struct place *ret_place);
int run_index_next(struct run_cursor *cursor, struct run_entry *ret_entry,
		   uint64_t *ret_child_page);

/*
 * Turns *key, the key of the entry before (when has_key), into the key of
 * `entry`, and insists that it is a greater one. 0, -EUCLEAN, -ENOMEM.
 */
int run_entry_key(const struct run_entry *entry, bool has_key, struct buf *key);
