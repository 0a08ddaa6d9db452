/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A source: a stream of index entries in ascending order of key, each key
 * once. Memtables and runs are sources, and so is a merge of sources (the
 * iterator of LevelDB and reftable).
 *
 *	seek -> entry, next -> entry, ... -> 1 (end)
 *
 * The entry and its key stay valid until the next call on the same source. A
 * source is used by one thread at a time. Heap objects: source_free() ends one.
 */

#include <stdbool.h>

#include "engine/place.h"

struct source;

struct source_ops {
	int (*seek)(struct source *source, struct slice key, bool after);
	int (*next)(struct source *source);
	void (*free)(struct source *source);
};

struct source {
	const struct source_ops *ops;
	struct index_entry entry; /* valid after seek or next returned 0 */
};

/*
 * Goes to the first entry at `key` or beyond it, or strictly beyond when
 * `after`. 0, 1 at the end, -EIO, -EBADMSG, -ENOMEM.
 */
static inline int source_seek(struct source *source, struct slice key,
			      bool after)
{
	return source->ops->seek(source, key, after);
}

/* Goes to the next entry. Results as source_seek. */
static inline int source_next(struct source *source)
{
	return source->ops->next(source);
}

/* NULL is allowed. */
static inline void source_free(struct source *source)
{
	if (source)
		source->ops->free(source);
}

/*
 * Merges sources, given from the newest to the oldest: of entries with equal
 * keys only the newest source's is shown, tombstones included. Owns the
 * sources from now on, also when it fails. NULL when memory is out.
 */
struct source *merge_source_new(struct source *const *sources, size_t count);
