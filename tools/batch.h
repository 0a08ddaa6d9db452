/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Changes gathered to be made together: up to BATCH_KEYS_MAX keys in
 * BATCH_DIRS_MAX directories with values of BATCH_BYTES_MAX in one step. What
 * does not fit any more goes in a batch of its own after it.
 *
 *	batch_init -> batch_put, batch_delete... -> batch_flush -> batch_release
 *
 * On a mount of somebody else's there is no such step: then the changes are
 * made one by one.
 */

#include <stdbool.h>
#include <stddef.h>

#include "tools/target.h"

#define BATCH_KEYS_MAX FS_APPLY_MAX
#define BATCH_BYTES_MAX FS_APPLY_VALUES_MAX
#define BATCH_DIRS_MAX 256u

struct batch_item {
	enum fs_change_kind kind;
	unsigned int dir;
	size_t name, name_size; /* in bytes; a NUL follows the name */
	size_t key, key_size;   /* as the user wrote it, for messages */
	size_t value, value_size;
	struct target_attributes attributes;
};

struct batch {
	struct target *target;
	struct batch_item *items;
	size_t count, capacity;
	struct target_dir dirs[BATCH_DIRS_MAX];
	size_t dir_count;
	struct buf bytes;
	size_t value_bytes;
	bool failed;         /* something was reported */
	uint64_t done_count; /* changes that were made */
	uint64_t step_count; /* in so many steps */
};

void batch_init(struct batch *batch, struct target *target);
void batch_release(struct batch *batch);

/*
 * Adds a change of the key `text`, whose place this is. The place's directory
 * is taken over (the caller's release of the place then does nothing). The
 * value is copied and is no larger than BATCH_BYTES_MAX. 0, or -errno that has
 * not been reported: of this key; nothing was added. attributes may be NULL.
 */
int batch_put(struct batch *batch, struct target_place *place, bool exists,
	      struct slice text, struct slice value,
	      const struct target_attributes *attributes);
int batch_delete(struct batch *batch, struct target_place *place,
		 struct slice text);

/*
 * Makes the changes. A key that does not work is reported and left out, and
 * the others are tried again. batch->failed then tells.
 */
void batch_flush(struct batch *batch);
