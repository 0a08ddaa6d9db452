/* SPDX-License-Identifier: MIT */

/*
 * The memtable: a tree, its lock and its reference count; and sources over it.
 *
 * 1. The tree's nodes and the places in its entries are read under `lock` and
 *    changed under it by the writer. Keys of entries never change once they
 *    are in the tree, and never move, so they may be looked at without a lock
 *    by whoever found them and holds a reference.
 * 2. Only the writer touches the arenas, and without the lock.
 * 3. No key lies outside first and last, which are widened before the lock of
 *    the put that does it is given back. So what lies outside is not looked for,
 *    and no lock is needed to know that.
 * 4. A tree whose entry_count is what it was has the shape it had: positions
 *    in it are still good.
 */

#include "engine/memtable.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "engine/lock.h"
#include "engine/tree.h"

/* A scan begins with few entries, for most end soon, and ends with many. */
#define CHUNK_ENTRIES_MIN 8
#define CHUNK_ENTRIES_MAX 64

struct memtable {
	/* atomic */
	atomic_size_t refs;
	atomic_size_t size_bytes, entry_count, key_bytes; /* the tree's */
	/* The smallest and the largest key; NULL while there are none. `last`
	 * is set before `first` is. */
	_Atomic(const struct tree_entry *) first, last;

	/* the writer's own */
	bool group_open; /* between begin and end: the lock is held */

	/* guarded by lock, in the way that the invariants tell */
	struct rwlock lock;
	struct tree tree;
};

struct memtable *memtable_new(void)
{
	struct memtable *memtable = calloc(1, sizeof(*memtable));

	if (!memtable)
		return NULL;
	atomic_init(&memtable->refs, 1);
	rwlock_init(&memtable->lock);
	tree_init(&memtable->tree);
	return memtable;
}

struct memtable *memtable_ref(struct memtable *memtable)
{
	atomic_fetch_add_explicit(&memtable->refs, 1, memory_order_relaxed);
	return memtable;
}

void memtable_unref(struct memtable *memtable)
{
	if (!memtable || atomic_fetch_sub(&memtable->refs, 1) != 1)
		return;
	tree_release(&memtable->tree);
	rwlock_release(&memtable->lock);
	free(memtable);
}

int memtable_reserve(struct memtable *memtable, size_t count, size_t key_bytes)
{
	return tree_reserve(&memtable->tree, count, key_bytes);
}

/* The lock is held across two calls: the analysis cannot follow that. */
void memtable_begin(struct memtable *memtable) NO_THREAD_SAFETY_ANALYSIS
{
	assert(!memtable->group_open);
	rwlock_write_lock(&memtable->lock);
	memtable->group_open = true;
}

void memtable_end(struct memtable *memtable) NO_THREAD_SAFETY_ANALYSIS
{
	assert(memtable->group_open);
	memtable->group_open = false;
	rwlock_write_unlock(&memtable->lock);
}

static void memtable_account(struct memtable *memtable)
{
	const struct tree *tree = &memtable->tree;

	atomic_store_explicit(&memtable->size_bytes, tree_size_bytes(tree),
			      memory_order_relaxed);
	atomic_store_explicit(&memtable->entry_count, tree->entry_count,
			      memory_order_relaxed);
	atomic_store_explicit(&memtable->key_bytes, tree->key_bytes,
			      memory_order_relaxed);
}

static void memtable_widen(struct memtable *memtable,
			   const struct tree_entry *entry)
{
	const struct tree_entry *first =
		atomic_load_explicit(&memtable->first, memory_order_relaxed);
	const struct tree_entry *last =
		atomic_load_explicit(&memtable->last, memory_order_relaxed);
	struct slice key = tree_entry_key(entry);

	if (!last || slice_compare(key, tree_entry_key(last)) > 0)
		atomic_store_explicit(&memtable->last, entry,
				      memory_order_release);
	if (!first || slice_compare(key, tree_entry_key(first)) < 0)
		atomic_store_explicit(&memtable->first, entry,
				      memory_order_release);
}

/* False: no put of this key has ended. */
static bool memtable_may_have(struct memtable *memtable, struct slice key)
{
	const struct tree_entry *first =
		atomic_load_explicit(&memtable->first, memory_order_acquire);
	const struct tree_entry *last =
		atomic_load_explicit(&memtable->last, memory_order_acquire);

	return first && slice_compare(key, tree_entry_key(last)) <= 0 &&
	       slice_compare(key, tree_entry_key(first)) >= 0;
}

static int memtable_put_locked(struct memtable *memtable, struct slice key,
			       const struct place *place, struct place *ret_old)
{
	bool new;
	struct tree_entry *entry = tree_insert(&memtable->tree, key, &new);

	if (new) {
		memtable_account(memtable);
		memtable_widen(memtable, entry);
	} else {
		*ret_old = tree_entry_place(entry);
	}
	tree_entry_set_place(entry, place);
	return new ? 0 : 1;
}

int memtable_put(struct memtable *memtable, struct slice key,
		 const struct place *place, struct place *ret_old)
{
	int result;

	if (memtable->group_open)
		return memtable_put_locked(memtable, key, place, ret_old);
	rwlock_write_lock(&memtable->lock);
	result = memtable_put_locked(memtable, key, place, ret_old);
	rwlock_write_unlock(&memtable->lock);
	return result;
}

int memtable_get(struct memtable *memtable, struct slice key,
		 struct place *ret_place)
{
	const struct tree_entry *entry;

	if (!memtable_may_have(memtable, key))
		return 1;
	rwlock_read_lock(&memtable->lock);
	entry = tree_find(&memtable->tree, key);
	if (entry)
		*ret_place = tree_entry_place(entry);
	rwlock_read_unlock(&memtable->lock);
	return entry ? 0 : 1;
}

size_t memtable_size_bytes(struct memtable *memtable)
{
	return sizeof(*memtable) + atomic_load_explicit(&memtable->size_bytes,
							memory_order_relaxed);
}

size_t memtable_entry_count(struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->entry_count,
				    memory_order_relaxed);
}

size_t memtable_key_bytes(struct memtable *memtable)
{
	return atomic_load_explicit(&memtable->key_bytes, memory_order_relaxed);
}

/*
 * A source holds copies of the next places, and borrows their keys from the
 * arena. What follows them is found at `position` if the tree still has the
 * shape it had, and else by looking for the last key. A chunk that came out
 * smaller than wanted was the last.
 */
struct memtable_source {
	struct source source;
	struct memtable *memtable; /* a reference */
	struct tree_position position;
	size_t shape; /* entry_count when position was taken */
	unsigned int at, count, wanted;
	struct index_entry entries[CHUNK_ENTRIES_MAX];
};

static void source_fill_locked(struct memtable_source *ms)
	REQUIRES_SHARED(ms->memtable->lock)
{
	const struct tree_entry *entry;
	unsigned int count = 0;

	while (count < ms->wanted && (entry = tree_at(ms->position))) {
		tree_prefetch_ahead(ms->position);
		ms->entries[count++] = (struct index_entry){
			.key = tree_entry_key(entry),
			.place = tree_entry_place(entry),
		};
		tree_advance(&ms->position);
	}
	ms->shape = ms->memtable->tree.entry_count;
	ms->at = 0;
	ms->count = count;
}

static int source_show(struct memtable_source *ms)
{
	if (ms->at == ms->count)
		return 1;
	ms->source.entry = ms->entries[ms->at];
	return 0;
}

static int memtable_source_seek(struct source *source, struct slice key,
				bool after)
{
	struct memtable_source *ms = (struct memtable_source *)source;

	ms->wanted = CHUNK_ENTRIES_MIN;
	rwlock_read_lock(&ms->memtable->lock);
	ms->position = tree_seek(&ms->memtable->tree, key, after);
	source_fill_locked(ms);
	rwlock_read_unlock(&ms->memtable->lock);
	return source_show(ms);
}

static int memtable_source_next(struct source *source)
{
	struct memtable_source *ms = (struct memtable_source *)source;
	struct slice last;

	if (ms->at < ms->count)
		ms->at++;
	if (ms->at < ms->count || ms->count < ms->wanted)
		return source_show(ms);

	last = ms->entries[ms->count - 1].key;
	ms->wanted *= 2;
	if (ms->wanted > CHUNK_ENTRIES_MAX)
		ms->wanted = CHUNK_ENTRIES_MAX;
	rwlock_read_lock(&ms->memtable->lock);
	if (ms->shape != ms->memtable->tree.entry_count)
		ms->position = tree_seek(&ms->memtable->tree, last, true);
	source_fill_locked(ms);
	rwlock_read_unlock(&ms->memtable->lock);
	return source_show(ms);
}

static void memtable_source_free(struct source *source)
{
	struct memtable_source *ms = (struct memtable_source *)source;

	memtable_unref(ms->memtable);
	free(ms);
}

static const struct source_ops memtable_source_ops = {
	.seek = memtable_source_seek,
	.next = memtable_source_next,
	.free = memtable_source_free,
};

struct source *memtable_source_new(struct memtable *memtable)
{
	struct memtable_source *ms = calloc(1, sizeof(*ms));

	if (!ms)
		return NULL;
	ms->source.ops = &memtable_source_ops;
	ms->memtable = memtable_ref(memtable);
	ms->wanted = CHUNK_ENTRIES_MIN;
	return &ms->source;
}
