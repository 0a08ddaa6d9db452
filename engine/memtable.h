/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The memtable: the index of the newest changes, ordered by key, in memory. A
 * B+tree over keys held in an arena; nothing is ever removed (a deletion is an
 * entry whose place is a tombstone), and the whole is freed at once.
 *
 * Locking: one writer at a time is the caller's duty (the log's write lock);
 * any number of readers run beside it. The lock that makes this safe is
 * inside and is held for one key's search, one scan's chunk, or one group of
 * puts.
 */

#include <stddef.h>
#include <stdint.h>

#include "engine/place.h"
#include "engine/source.h"

struct memtable;

/* One reference, for the caller. NULL when memory is out. */
struct memtable *memtable_new(void);
struct memtable *memtable_ref(struct memtable *memtable);
/* Frees it with the last reference. NULL is allowed. */
void memtable_unref(struct memtable *memtable);

/*
 * Makes sure that `count` puts of keys of key_bytes in total cannot fail. 0 or
 * -ENOMEM. The reservation holds until that many puts were made, or until the
 * next call: it replaces what was reserved before. By the writer.
 */
int memtable_reserve(struct memtable *memtable, size_t count, size_t key_bytes);

/*
 * Makes the puts between the two one step to readers, who wait meanwhile: a
 * batch is seen whole or not at all. By the writer, who must not read this
 * memtable before the end.
 */
void memtable_begin(struct memtable *memtable);
void memtable_end(struct memtable *memtable);

/*
 * Sets the place of a key of 65535 bytes or less, which is copied. Must have
 * been reserved. 0 when the key is new here; 1 when it replaced *ret_old.
 */
int memtable_put(struct memtable *memtable, struct slice key,
		 const struct place *place, struct place *ret_old);

/* 0 with the place (which may be a tombstone), or 1 when absent. */
int memtable_get(struct memtable *memtable, struct slice key,
		 struct place *ret_place);

/*
 * Bytes of memory filled, in O(1): what is reserved but not touched yet is not
 * counted. Distinct keys. Any thread.
 */
size_t memtable_size_bytes(struct memtable *memtable);
size_t memtable_entry_count(struct memtable *memtable);
/* Upper bound of the bytes of all distinct keys, to size a run by. */
size_t memtable_key_bytes(struct memtable *memtable);

/*
 * An ordered source over the memtable, while the memtable may still change:
 * it shows every key that was there throughout, and of those that came in
 * meanwhile some. It copies out small chunks under the lock. Holds a
 * reference. NULL when memory is out. Its seek and next cannot fail.
 */
struct source *memtable_source_new(struct memtable *memtable);
