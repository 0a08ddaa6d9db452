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
 * 0 with the place, 1 when the leaf has no such key, -EUCLEAN; *ret_place is
 * undefined then.
 */
int run_leaf_find(const struct run_block *leaf, struct slice key,
		  struct place *ret_place);
/*
 * The child to look for `key` in: the last whose first key is not beyond it,
 * or the first child. 0 or -EUCLEAN.
 */
int run_index_find(const struct run_block *block, struct slice key,
		   uint64_t *ret_child_page);
