/* SPDX-License-Identifier: MIT */
#pragma once

/* What a kv_batch holds: the engine's side of kv.h's batches. */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/kv.h"

struct kv_batch_op {
	size_t key_offset; /* in the batch's keys */
	size_t key_size;
	struct slice value; /* borrowed from the caller */
	bool deletion;
};

static inline struct slice batch_key(const struct kv_batch *batch, size_t i)
{
	/* Of empty keys alone there are no bytes to point into. */
	if (!batch->ops[i].key_size)
		return slice_of("", 0);
	return slice_of(batch->keys.data + batch->ops[i].key_offset,
			batch->ops[i].key_size);
}
