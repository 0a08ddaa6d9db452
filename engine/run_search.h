/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Searching a block of a run. Private to the run_*.c files.
 */

#include <stdint.h>

#include "engine/buf.h"
#include "engine/place.h"
#include "engine/run_block.h"

/*
 * Where a search found something: behind that entry. Who asks for keys in order
 * finds the next one there. Good for the block that it was set in only.
 */
#define RUN_MARK_KEY_MAX 64u

struct run_mark {
	size_t offset;              /* of the next entry; 0: no mark */
	unsigned int index;         /* of the next entry */
	struct run_place_base base; /* of the restart before it */
	size_t key_size;            /* of the entry that was found */
	uint8_t key[RUN_MARK_KEY_MAX];
};

/*
 * 0 with the place, 1 when the leaf has no such key, -EUCLEAN; *ret_place is
 * undefined then. With 0, *mark is set behind the entry; NULL is allowed.
 */
int run_leaf_find(const struct run_block *leaf, struct slice key,
		  struct place *ret_place, struct run_mark *mark);
/*
 * Whether the entry behind the mark is that of `key`: 0 with the place, and the
 * mark is moved on; else 1, and where the key is has to be searched.
 */
int run_leaf_follow(const struct run_block *leaf, struct slice key,
		    struct place *ret_place, struct run_mark *mark);
/*
 * The child to look for `key` in: the last whose first key is not beyond it,
 * or the first child. 0 or -EUCLEAN.
 */
int run_index_find(const struct run_block *block, struct slice key,
		   uint64_t *ret_child_page);
