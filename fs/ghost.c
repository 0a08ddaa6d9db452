/* SPDX-License-Identifier: MIT */

/*
 * The table of ghosts. Invariants:
 *	1. A ghost is in the table from before the commit that takes its keys
 *	   out of the store until after the one that puts them back, or until it
 *	   is forgotten. So who looks into the store first, and then here, finds
 *	   it, unless it was revived in between: then revived_count has changed.
 *	2. A ghost has no keys but its record and its blocks, which are dense,
 *	   without fragments. It never changes.
 *	3. Making and reviving one are done under the lock of the inode.
 */

#include "fs/ghost.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs_internal.h"

#define GHOST_BLOCKS_MAX 4u
/* Of all records together. */
#define GHOST_BYTES_MAX (1u << 20)
#define GHOST_COUNT_MAX 4096u

struct ghost {
	struct ghost *next;
	uint64_t ino;
	size_t block_count;
	struct kv_hold *blocks[GHOST_BLOCKS_MAX];
	size_t record_size;
	uint8_t record[];
};

void ghost_table_init(struct ghost_table *table)
{
	atomic_init(&table->count, 0);
	atomic_init(&table->revived_count, 0);
	mutex_init(&table->lock);
	memset(table->buckets, 0, sizeof(table->buckets));
	table->size_bytes = 0;
}

static void ghost_free(struct ghost *ghost)
{
	for (size_t i = 0; i < ghost->block_count; i++)
		kv_hold_unref(ghost->blocks[i]);
	free(ghost);
}

void ghosts_drop_all(struct ghost_table *table)
{
	struct ghost *ghost;

	mutex_lock(&table->lock);
	for (size_t i = 0; i < GHOST_BUCKETS; i++) {
		while ((ghost = table->buckets[i])) {
			table->buckets[i] = ghost->next;
			ghost_free(ghost);
		}
	}
	table->size_bytes = 0;
	atomic_store(&table->count, 0);
	mutex_unlock(&table->lock);
}

void ghost_table_release(struct ghost_table *table)
{
	ghosts_drop_all(table);
	mutex_release(&table->lock);
}

/* Where the pointer to it is, or the end of its chain. */
static struct ghost **slot_of(struct ghost_table *table, uint64_t ino)
	REQUIRES(&table->lock)
{
	struct ghost **slot = &table->buckets[ino % GHOST_BUCKETS];

	while (*slot && (*slot)->ino != ino)
		slot = &(*slot)->next;
	return slot;
}

static size_t ghost_size(const struct ghost *ghost)
{
	return sizeof(*ghost) + ghost->record_size;
}

/* False when the table is full. */
static bool ghost_put(struct ghost_table *table, struct ghost *ghost)
{
	bool fits;

	mutex_lock(&table->lock);
	fits = atomic_load(&table->count) < GHOST_COUNT_MAX &&
	       table->size_bytes + ghost_size(ghost) <= GHOST_BYTES_MAX;
	if (fits) {
		struct ghost **slot = slot_of(table, ghost->ino);

		ghost->next = *slot;
		*slot = ghost;
		table->size_bytes += ghost_size(ghost);
		atomic_fetch_add(&table->count, 1);
	}
	mutex_unlock(&table->lock);
	return fits;
}

bool ghost_drop(struct fs *fs, uint64_t ino)
{
	struct ghost_table *table = &fs->ghosts;
	struct ghost **slot, *ghost;

	if (atomic_load(&table->count) == 0)
		return false;
	mutex_lock(&table->lock);
	slot = slot_of(table, ino);
	ghost = *slot;
	if (ghost) {
		*slot = ghost->next;
		table->size_bytes -= ghost_size(ghost);
		atomic_fetch_sub(&table->count, 1);
	}
	mutex_unlock(&table->lock);
	if (!ghost)
		return false;
	ghost_free(ghost);
	return true;
}

bool ghost_is(struct fs *fs, uint64_t ino)
{
	struct ghost_table *table = &fs->ghosts;
	bool found;

	if (atomic_load(&table->count) == 0)
		return false;
	mutex_lock(&table->lock);
	found = *slot_of(table, ino);
	mutex_unlock(&table->lock);
	return found;
}

/* --- making one --- */

static bool can_be_ghost(struct fs *fs, const struct inode *inode)
{
	uint32_t more = INODE_TRUNCATING | INODE_FRAGMENTED;

	if (inode_is_dir(inode) || (inode->flags & more) ||
	    inode->prealloc_count || inode->xattr_names_size ||
	    inode->block_count > GHOST_BLOCKS_MAX)
		return false;
	if (inode->block_count && !inode_is_dense(fs, inode))
		return false;
	/* What was put off for it is done first. */
	return !ino_set_has(&fs->emptied, inode->ino);
}

/* NULL: not that. */
static struct ghost *ghost_new(struct fs *fs, const struct inode *inode)
{
	uint8_t record[INODE_RECORD_MAX];
	size_t size = inode_encode(inode, record);
	struct ghost *ghost = malloc(sizeof(*ghost) + size);
	struct schema_key key;

	if (!ghost)
		return NULL;
	ghost->ino = inode->ino;
	ghost->block_count = 0;
	ghost->record_size = size;
	memcpy(ghost->record, record, size);
	while (ghost->block_count < inode->block_count) {
		struct kv_hold **hold = &ghost->blocks[ghost->block_count];

		block_key_encode(&key, inode->ino, ghost->block_count);
		if (kv_hold(fs->kv, key_slice(&key), hold)) {
			ghost_free(ghost);
			return NULL;
		}
		ghost->block_count++;
	}
	return ghost;
}

/* Adds the deletion of its keys to the batch. */
static int keys_delete(struct txn *txn, struct inode *inode)
{
	struct schema_key key;
	int error = partition_account(txn, inode);

	for (uint64_t i = 0; !error && i < inode->block_count; i++) {
		block_key_encode(&key, inode->ino, i);
		error = txn_delete(txn, &key);
	}
	inode_key_encode(&key, inode->ino);
	return error ? error : txn_delete(txn, &key);
}

int ghost_make(struct txn *txn, struct inode *inode)
{
	struct fs *fs = txn->fs;
	struct ghost *ghost;
	int error;

	if (!can_be_ghost(fs, inode))
		return 1;
	ghost = ghost_new(fs, inode);
	if (!ghost)
		return 1;
	if (!ghost_put(&fs->ghosts, ghost)) {
		ghost_free(ghost);
		return 1;
	}
	error = keys_delete(txn, inode);
	if (error)
		ghost_drop(fs, inode->ino);
	return error;
}

/* --- looking at it --- */

int ghost_load(struct fs *fs, uint64_t ino, uint8_t *bytes, size_t *ret_size)
{
	struct ghost_table *table = &fs->ghosts;
	const struct ghost *ghost;

	if (atomic_load(&table->count) == 0)
		return 1;
	mutex_lock(&table->lock);
	ghost = *slot_of(table, ino);
	if (ghost) {
		memcpy(bytes, ghost->record, ghost->record_size);
		*ret_size = ghost->record_size;
	}
	mutex_unlock(&table->lock);
	return ghost ? 0 : 1;
}

/* With a reference, as reading may have to wait for the disk. NULL: none. */
static struct kv_hold *block_hold(struct fs *fs, uint64_t ino, uint64_t block)
{
	struct ghost_table *table = &fs->ghosts;
	struct kv_hold *hold = NULL;
	const struct ghost *ghost;

	if (atomic_load(&table->count) == 0)
		return NULL;
	mutex_lock(&table->lock);
	ghost = *slot_of(table, ino);
	if (ghost && block < ghost->block_count)
		hold = kv_hold_ref(ghost->blocks[block]);
	mutex_unlock(&table->lock);
	return hold;
}

int ghost_read(struct fs *fs, uint64_t ino, uint64_t block, uint64_t begin,
	       void *dst, size_t size, size_t *ret_read)
{
	struct kv_hold *hold = block_hold(fs, ino, block);
	int error;

	if (!hold)
		return 1;
	error = kv_hold_read(hold, begin, dst, size, ret_read, NULL);
	kv_hold_unref(hold);
	return store_error(error);
}

/* --- reviving it --- */

static int block_revive(struct txn *txn, uint64_t ino, uint64_t block)
{
	uint32_t block_size = txn->fs->block_size_bytes;
	uint8_t *bytes = txn_alloc(txn, block_size);
	struct schema_key key;
	size_t size;
	int result;

	if (!bytes)
		return -ENOMEM;
	result = ghost_read(txn->fs, ino, block, 0, bytes, block_size, &size);
	if (result)
		return result;
	block_key_encode(&key, ino, block);
	return txn_set(txn, &key, slice_of(bytes, size));
}

static int revive_prepare(struct txn *txn, uint64_t ino)
{
	uint8_t *bytes = txn_alloc(txn, INODE_RECORD_MAX);
	struct schema_key key;
	uint64_t block = 0;
	size_t size;
	int result;

	if (!bytes)
		return -ENOMEM;
	if (ghost_load(txn->fs, ino, bytes, &size))
		return -ESTALE;
	do
		result = block_revive(txn, ino, block++);
	while (result == 0);
	if (result < 0)
		return result;
	orphan_key_encode(&key, ino);
	result = txn_set(txn, &key, slice_of(NULL, 0));
	inode_key_encode(&key, ino);
	return result ? result : txn_set(txn, &key, slice_of(bytes, size));
}

int ghost_revive(struct fs *fs, uint64_t ino)
{
	struct txn *txn;
	int error;

	if (!ghost_is(fs, ino))
		return 0;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	error = revive_prepare(txn, ino);
	if (!error)
		error = ino_set_add(&fs->orphans, ino);
	if (!error) {
		error = txn_commit(txn, 0);
		if (error)
			ino_set_remove(&fs->orphans, ino);
	}
	txn_end(txn);
	if (error)
		return error;
	atomic_fetch_add(&fs->ghosts.revived_count, 1);
	ghost_drop(fs, ino);
	return 0;
}
