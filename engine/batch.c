/* SPDX-License-Identifier: MIT */

/* Collecting the changes of a batch. No lock: a batch belongs to a thread. */

#include "engine/batch.h"

#include <errno.h>
#include <stdlib.h>

void kv_batch_release(struct kv_batch *batch)
{
	free(batch->ops);
	buf_release(&batch->keys);
	*batch = (struct kv_batch){ 0 };
}

void kv_batch_clear(struct kv_batch *batch)
{
	batch->count = 0;
	batch->compress_level = 0;
	buf_clear(&batch->keys);
}

static int batch_grow(struct kv_batch *batch)
{
	size_t capacity = batch->capacity ? 2 * batch->capacity : 8;
	struct kv_batch_op *ops;

	if (batch->count < batch->capacity)
		return 0;
	if (batch->count == KV_BATCH_OPS_MAX)
		return -E2BIG;
	ops = reallocarray(batch->ops, capacity, sizeof(*ops));
	if (!ops)
		return -ENOMEM;
	batch->ops = ops;
	batch->capacity = capacity;
	return 0;
}

static int batch_add(struct kv_batch *batch, struct slice key,
		     struct slice value, bool deletion)
{
	size_t key_offset = batch->keys.size;
	int error;

	if (key.size > KV_KEY_MAX || value.size > KV_VALUE_MAX)
		return -EINVAL;
	error = batch_grow(batch);
	if (!error)
		error = buf_append(&batch->keys, key.data, key.size);
	if (error)
		return error;
	batch->ops[batch->count++] =
		(struct kv_batch_op){ key_offset, key.size, value, deletion };
	return 0;
}

int kv_batch_set(struct kv_batch *batch, struct slice key, struct slice value)
{
	return batch_add(batch, key, value, false);
}

int kv_batch_delete(struct kv_batch *batch, struct slice key)
{
	return batch_add(batch, key, slice_of(NULL, 0), true);
}
