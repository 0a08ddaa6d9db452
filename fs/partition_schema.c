/* SPDX-License-Identifier: MIT */

/*
 * Values as the schema of their partition wants them: refused before they are
 * stored, so that the old value stays. A file that was just made and is empty
 * has no value yet, and is let be.
 *
 * Who writes a value in pieces and tells when it is whole has a draft
 * (draft.h): it is replaced then, in one batch. All others are taken at their
 * word with each change: what would be no value is refused there and then.
 *
 * Open(2) with O_TRUNC is such a change, and what it leaves may be no value,
 * yet must not cost the old one before the new one is there. So it may be put
 * off: the inode is noted in fs->emptied, and the next write begins with an
 * empty file, in one batch with it. What is never written is settled when
 * nobody has the file open any more, or when it is synced or the store closed.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"
#include "fs/value_check.h"

#define BLOCKS_AT_A_TIME 256u
/* Bytes to either side of one that may be of the same character. */
#define CHARACTER_REACH 3u

enum value_schema inode_schema(struct fs *fs, const struct inode *inode)
{
	struct partition *partition;
	enum value_schema schema;

	if (!S_ISREG(inode->mode))
		return VALUE_BYTES;
	partition = partition_find(fs, inode->partition);
	if (!partition)
		return VALUE_BYTES;
	mutex_lock(&partition->lock);
	schema = partition->settings.schema;
	mutex_unlock(&partition->lock);
	return schema;
}

int fs_value_schema(struct fs *fs, uint64_t ino, enum value_schema *ret_schema)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error = 0;

	*ret_schema = VALUE_BYTES;
	if (atomic_load(&fs->partitions.count) == 0)
		return 0;
	error = inode_load(fs, ino, bytes, &inode);
	if (!error)
		*ret_schema = inode_schema(fs, &inode);
	return error;
}

bool fs_has_schemas(struct fs *fs)
{
	struct partition *partition;
	bool found = false;

	for (size_t i = 0; !found && (partition = partition_at(fs, i)); i++) {
		mutex_lock(&partition->lock);
		found = partition->settings.schema != VALUE_BYTES;
		mutex_unlock(&partition->lock);
	}
	return found;
}

/* --- changes of a value --- */

/* Bytes [from, to) of a value in memory; zeros where there are none. The inode
 * is locked. */
static int value_load(struct txn *txn, const struct inode *inode, bool emptied,
		      uint64_t from, uint64_t to, uint8_t **ret_bytes)
{
	size_t size = (size_t)(to - from);
	uint8_t *bytes = txn_alloc(txn, size + 1);
	size_t got = 0;
	bool single;
	int error = 0;

	if (!bytes)
		return -ENOMEM;
	if (!emptied)
		error = data_read(txn->fs, inode->ino, from, bytes, size, &got,
				  &single);
	if (error)
		return error;
	memset(bytes + got, 0, size - got);
	*ret_bytes = bytes;
	return 0;
}

/*
 * What of a value decides whether it still is one when bytes [begin, end) of it
 * change: of a string the neighbours that may be of one character with them.
 *
 *	value    |-------------------------------------------|
 *	change              begin ======= end
 *	window         from ------------------- to
 */
struct window {
	uint64_t from, to;
};

static struct window window_of(enum value_schema schema, uint64_t begin,
			       uint64_t end, uint64_t size)
{
	struct window window = { 0, size };

	if (schema != VALUE_STRING)
		return window;
	if (begin > CHARACTER_REACH)
		window.from = begin - CHARACTER_REACH;
	if (size - end > CHARACTER_REACH)
		window.to = end + CHARACTER_REACH;
	return window;
}

/* `begin` as above, `size` of the whole value. */
static bool window_is_valid(enum value_schema schema,
			    const struct window *window, const uint8_t *bytes,
			    uint64_t begin, uint64_t size, bool partial)
{
	uint64_t at = window->from;

	/* The end of a character that began before the window. */
	while (window->from && at < begin &&
	       (bytes[at - window->from] & 0xc0) == 0x80)
		at++;
	return value_is_valid(schema,
			      slice_of(bytes + (at - window->from),
				       (size_t)(window->to - at)),
			      partial || window->to < size);
}

/* Takes all data of a file away in this batch; there is little of it. */
static int data_clear(struct txn *txn, struct inode *inode)
{
	uint64_t blocks[BLOCKS_AT_A_TIME];
	struct schema_key key;
	uint64_t from = 0;
	size_t i, count;
	int error = 0;

	if (inode->flags & INODE_TRUNCATING)
		error = truncate_complete(txn, inode);
	do {
		count = 0;
		if (!error && inode->block_count)
			error = blocks_find(txn->fs, inode, from, UINT64_MAX,
					    blocks, BLOCKS_AT_A_TIME, &count);
		for (i = 0; i < count && !error; i++) {
			block_key_encode(&key, inode->ino, blocks[i]);
			error = txn_delete(txn, &key);
			from = blocks[i] + 1;
		}
	} while (!error && count == BLOCKS_AT_A_TIME);
	if (!error)
		error = fragments_delete(txn, inode, 0, from);
	inode_drop_blocks(inode, inode->block_count);
	inode->data = slice_of(NULL, 0);
	inode->flags &= ~(uint32_t)INODE_TAIL;
	inode->size_bytes = 0;
	return error;
}

int schema_write_prepare(struct txn *txn, struct inode *inode, uint64_t offset,
			 struct slice src, bool partial)
{
	struct fs *fs = txn->fs;
	enum value_schema schema = inode_schema(fs, inode);
	uint64_t end = offset + src.size;
	uint64_t old_size, size, begin;
	struct window window;
	bool emptied;
	uint8_t *bytes;
	int error;

	if (schema == VALUE_BYTES)
		return 0;
	emptied = ino_set_has(&fs->emptied, inode->ino);
	old_size = emptied ? 0 : inode->size_bytes;
	size = end > old_size ? end : old_size;
	if (size > value_size_max(schema))
		return -EFBIG;
	begin = offset < old_size ? offset : old_size;
	window = window_of(schema, begin, end, size);
	error = value_load(txn, inode, emptied, window.from, window.to, &bytes);
	if (error)
		return error;
	memcpy(bytes + (offset - window.from), src.data, src.size);
	if (!window_is_valid(schema, &window, bytes, begin, size, partial))
		return -EINVAL;
	return emptied ? data_clear(txn, inode) : 0;
}

int schema_size_prepare(struct txn *txn, const struct inode *inode,
			uint64_t size_bytes)
{
	enum value_schema schema = inode_schema(txn->fs, inode);
	uint64_t old_size = inode->size_bytes;
	uint64_t begin = size_bytes < old_size ? size_bytes : old_size;
	struct window window;
	uint8_t *bytes;
	int error;

	if (schema == VALUE_BYTES || size_bytes == old_size)
		return 0;
	if (size_bytes > value_size_max(schema))
		return -EFBIG;
	window = window_of(schema, begin, size_bytes, size_bytes);
	error = value_load(txn, inode, false, window.from, window.to, &bytes);
	if (error)
		return error;
	return window_is_valid(schema, &window, bytes, begin, size_bytes,
			       false) ?
		       0 :
		       -EINVAL;
}

int schema_value_check(struct fs *fs, const struct inode *inode,
		       struct slice value)
{
	enum value_schema schema = inode_schema(fs, inode);

	if (schema == VALUE_BYTES)
		return 0;
	if (value.size > value_size_max(schema))
		return -EFBIG;
	return value_is_valid(schema, value, false) ? 0 : -EINVAL;
}

/* --- a whole value --- */

static int replace_prepare(struct txn *txn, uint64_t ino, struct slice value)
{
	struct inode inode;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (!error && !S_ISREG(inode.mode))
		error = -EINVAL;
	if (!error)
		error = schema_value_check(txn->fs, &inode, value);
	if (!error)
		error = data_clear(txn, &inode);
	if (!error && value.size)
		error = data_write(txn, &inode, 0, value);
	if (error)
		return error;
	inode_touch(txn, &inode);
	return inode_store(txn, &inode);
}

int fs_replace(struct fs *fs, uint64_t ino, struct slice value)
{
	struct txn *txn;
	int error;

	if (value.size > VALUE_STRING_MAX)
		return -EFBIG;
	txn = txn_begin(fs);
	if (!txn)
		return -ENOMEM;
	lock_table_lock_one(&fs->locks, ino);
	error = replace_prepare(txn, ino, value);
	if (!error)
		error = txn_commit(txn, 0);
	lock_table_unlock_one(&fs->locks, ino);
	txn_end(txn);
	return error;
}

/* --- emptied, and not written yet --- */

bool schema_empty_later(struct txn *txn, const struct inode *inode)
{
	return inode->size_bytes &&
	       inode_schema(txn->fs, inode) != VALUE_BYTES &&
	       ino_set_add(&txn->fs->emptied, inode->ino) == 0;
}

bool fs_is_unsettled(struct fs *fs, uint64_t ino)
{
	return ino_set_has(&fs->emptied, ino);
}

int fs_settle(struct fs *fs, uint64_t ino)
{
	struct fs_attr attr = { 0 };

	if (!ino_set_has(&fs->emptied, ino) ||
	    !ino_set_remove(&fs->emptied, ino))
		return 0;
	/* Refuses what the empty file is no value for. */
	return fs_setattr(fs, NULL, ino, FS_SET_SIZE, &attr, NULL);
}

void schemas_settle(struct fs *fs)
{
	uint64_t ino;

	while (ino_set_first(&fs->emptied, &ino))
		(void)fs_settle(fs, ino);
}
