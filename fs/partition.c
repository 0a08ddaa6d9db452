/* SPDX-License-Identifier: MIT */

/*
 * Partitions: which there are, and what their settings are. What they count is
 * in partition_count.c. Invariants:
 *	1. An inode's record names its partition for life. The directory of a
 *	   partition names itself.
 *	2. Settings are extended attributes of the directory and nowhere else;
 *	   in memory is what they say, taken apart.
 *
 * Locks: partition->lock, behind inode locks. The table's, a leaf.
 */

#include "fs/partition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs_internal.h"
#include "fs/text.h"

/* --- the table --- */

void partition_table_init(struct partition_table *table)
{
	mutex_init(&table->lock);
}

static void partition_free(struct partition *partition)
{
	mutex_release(&partition->lock);
	free(partition);
}

void partition_table_release(struct partition_table *table)
{
	size_t i, count = atomic_load(&table->count);

	for (i = 0; i < count; i++)
		partition_free(table->items[i]);
	for (i = 0; i < table->gone_count; i++)
		partition_free(table->gone[i]);
	free(table->items);
	free(table->gone);
	mutex_release(&table->lock);
}

/* The first whose number is not less. */
static size_t table_search(const struct partition_table *table, uint64_t ino)
{
	size_t low = 0, high = atomic_load(&table->count);

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (table->items[middle]->ino < ino)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct partition *partition_find(struct fs *fs, uint64_t ino)
{
	struct partition_table *table = &fs->partitions;
	struct partition *found = NULL;
	size_t at;

	if (ino == 0 || atomic_load(&table->count) == 0)
		return NULL;
	mutex_lock(&table->lock);
	at = table_search(table, ino);
	if (at < atomic_load(&table->count) && table->items[at]->ino == ino)
		found = table->items[at];
	mutex_unlock(&table->lock);
	return found;
}

struct partition *partition_at(struct fs *fs, size_t i)
{
	struct partition_table *table = &fs->partitions;
	struct partition *partition = NULL;

	mutex_lock(&table->lock);
	if (i < atomic_load(&table->count))
		partition = table->items[i];
	mutex_unlock(&table->lock);
	return partition;
}

/* Makes room for one more among those that are and among those that were. */
static int table_grow(struct partition_table *table) REQUIRES(table->lock)
{
	size_t count = atomic_load(&table->count);
	size_t all = count + table->gone_count + 1;
	struct partition **grown;

	if (count == FS_PARTITION_MAX)
		return -ENOSPC;
	grown = reallocarray(table->items, count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->items = grown;
	grown = reallocarray(table->gone, all, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	table->gone = grown;
	return 0;
}

static int table_add(struct fs *fs, uint64_t ino,
		     struct partition **ret_partition)
{
	struct partition_table *table = &fs->partitions;
	struct partition *partition = calloc(1, sizeof(*partition));
	size_t at, count;
	int error;

	if (!partition)
		return -ENOMEM;
	partition->ino = ino;
	mutex_init(&partition->lock);
	mutex_lock(&table->lock);
	error = table_grow(table);
	if (!error) {
		count = atomic_load(&table->count);
		at = table_search(table, ino);
		memmove(table->items + at + 1, table->items + at,
			(count - at) * sizeof(*table->items));
		table->items[at] = partition;
		atomic_store(&table->count, count + 1);
	}
	mutex_unlock(&table->lock);
	if (error)
		partition_free(partition);
	else
		*ret_partition = partition;
	return error;
}

/* Some may still look at it: it is kept aside. */
void partition_table_remove(struct fs *fs, struct partition *partition)
{
	struct partition_table *table = &fs->partitions;
	size_t at, count;

	mutex_lock(&table->lock);
	at = table_search(table, partition->ino);
	count = atomic_load(&table->count);
	memmove(table->items + at, table->items + at + 1,
		(count - at - 1) * sizeof(*table->items));
	atomic_store(&table->count, count - 1);
	table->gone[table->gone_count++] = partition;
	mutex_unlock(&table->lock);
}

/* --- loading --- */

static int settings_load(struct fs *fs, uint64_t ino,
			 struct partition_settings *ret_settings)
{
	struct buf name = { 0 }, value = { 0 };
	struct schema_key key;
	int error = 0;

	for (unsigned int i = 0; !error && i < SETTING_COUNT; i++) {
		enum partition_setting setting = (enum partition_setting)i;
		const char *word = setting_name(setting);

		buf_clear(&name);
		error = buf_append(&name, PARTITION_XATTR_PREFIX,
				   strlen(PARTITION_XATTR_PREFIX));
		if (!error)
			error = buf_append(&name, word, strlen(word));
		if (error)
			break;
		xattr_key_encode(&key, ino, buf_slice(&name));
		error = store_get(fs, &key, &value);
		if (!error &&
		    setting_parse(setting, buf_slice(&value), ret_settings))
			error = -EIO;
		if (error == -EIO)
			fs_log(fs, KV_LOG_WARNING,
			       "partition %llu: its %s cannot be read; "
			       "run a check",
			       (unsigned long long)ino, word);
		/* A damaged setting does not close the store. */
		if (error == 1 || error == -EIO)
			error = 0;
	}
	buf_release(&name);
	buf_release(&value);
	return error;
}

static int partition_load(void *ctx, const struct kv_entry *entry)
{
	struct partition_counts counts = { 0 };
	struct partition_settings settings = { 0 };
	struct partition *partition;
	struct fs *fs = ctx;
	struct key_parts parts;
	int error;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	if (entry->value_error || partition_decode(entry->value, &counts))
		fs_log(fs, KV_LOG_WARNING,
		       "partition %llu: its counters are damaged; run a check",
		       (unsigned long long)parts.number);
	error = settings_load(fs, parts.number, &settings);
	if (!error)
		error = table_add(fs, parts.number, &partition);
	if (error)
		return error;
	mutex_lock(&partition->lock);
	partition->counts = counts;
	partition->settings = settings;
	mutex_unlock(&partition->lock);
	return 0;
}

int partitions_load(struct fs *fs)
{
	struct kv_range range = { 0 };
	struct schema_key prefix;

	if (!(fs->incompat_flags & SUPER_PARTITIONS))
		return 0;
	prefix_encode(&prefix, 0, TAG_PARTITION);
	range.prefix = key_slice(&prefix);
	return store_list(fs, &range, KV_LIST_VALUES, partition_load, fs);
}

/* --- rules --- */

int partition_check_place(const struct inode *dir, const struct inode *inode)
{
	bool is_root = inode->partition == inode->ino;

	if (dir->ino == FS_ROOT_INO)
		return is_root || inode->partition == 0 ? 0 : -EXDEV;
	return !is_root && inode->partition == dir->partition ? 0 : -EXDEV;
}

int partition_sync(struct fs *fs, uint64_t ino)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct partition_settings settings = { 0 };
	struct partition *partition = NULL;
	struct inode inode;

	if (inode_load(fs, ino, bytes, &inode) == 0)
		partition = partition_find(fs, inode.partition);
	if (partition) {
		mutex_lock(&partition->lock);
		settings = partition->settings;
		mutex_unlock(&partition->lock);
	}
	if (!settings.has_durability)
		return fs_sync(fs);
	if (settings.durability == KV_DURABILITY_NONE)
		return 0;
	return store_error(kv_sync_now(fs->kv, kv_last_lsn(fs->kv)));
}

void partition_count_operation(struct fs *fs, uint64_t ino)
{
	struct partition *partition = partition_find(fs, ino);

	if (partition)
		atomic_fetch_add(&partition->operations, 1);
}

/* --- settings --- */

/* What every value of `old` is one of. */
static bool schema_is_wider(enum value_schema old, enum value_schema new)
{
	return new == old || new == VALUE_BYTES ||
	       (new == VALUE_STRING &&old == VALUE_INT);
}

/* Values that are there are not judged again. */
static int schema_change_check(struct fs *fs, uint64_t ino,
			       enum value_schema schema)
{
	struct fs_partition partition;

	if (fs_partition_stat(fs, ino, &partition) || partition.keys == 0 ||
	    schema_is_wider(partition.settings.schema, schema))
		return 0;
	return -ENOTEMPTY;
}

/* Makes an empty directory of the root a partition. */
static int partition_make(struct txn *txn, struct inode *dir)
{
	struct partition_counts none = { 0 };
	struct partition *partition;
	struct schema_key key;
	uint8_t *bytes;
	int error;

	error = dir_check_empty(txn->fs, dir->ino);
	if (!error)
		error = super_allow(txn->fs, SUPER_PARTITIONS);
	if (error)
		return error;
	bytes = txn_alloc(txn, PARTITION_RECORD_MAX);
	if (!bytes)
		return -ENOMEM;
	partition_key_encode(&key, dir->ino);
	error = txn_set(txn, &key,
			slice_of(bytes, partition_encode(&none, bytes)));
	if (!error)
		error = table_add(txn->fs, dir->ino, &partition);
	if (error)
		return error;
	partition->fresh = true;
	dir->partition = dir->ino;
	return 0;
}

int partition_setting_prepare(struct txn *txn, struct inode *inode,
			      struct slice name, const struct slice *value)
{
	struct partition_settings scratch = { 0 };
	enum partition_setting setting;

	if (!xattr_is_setting(name))
		return 0;
	if (!inode_is_dir(inode) || inode->ino == FS_ROOT_INO ||
	    inode->parent != FS_ROOT_INO || inode->nlink == 0)
		return -EPERM;
	if (!setting_of_xattr(name, &setting) ||
	    setting_parse(setting, *value, &scratch))
		return -EINVAL;
	if (!inode->partition)
		return partition_make(txn, inode);
	return setting == SETTING_SCHEMA ?
		       schema_change_check(txn->fs, inode->ino,
					   scratch.schema) :
		       0;
}

void partition_setting_done(struct txn *txn, const struct inode *inode,
			    struct slice name, const struct slice *value,
			    int error)
{
	enum partition_setting setting;
	struct partition *partition;

	if (!setting_of_xattr(name, &setting))
		return;
	partition = partition_find(txn->fs, inode->ino);
	if (!partition)
		return;
	mutex_lock(&partition->lock);
	if (!error && value)
		(void)setting_parse(setting, *value, &partition->settings);
	else if (!error)
		setting_reset(setting, &partition->settings);
	else if (partition->fresh)
		partition->gone = true;
	mutex_unlock(&partition->lock);
	if (error && partition->fresh)
		partition_table_remove(txn->fs, partition);
	partition->fresh = false;
}

/* --- what is told of one --- */

bool fs_is_partition(struct fs *fs, uint64_t ino)
{
	return partition_find(fs, ino) != NULL;
}

int fs_partition_stat(struct fs *fs, uint64_t ino,
		      struct fs_partition *ret_partition)
{
	struct partition *partition = partition_find(fs, ino);

	if (!partition)
		return -ENODATA;
	*ret_partition = (struct fs_partition){
		.ino = ino,
		.operations = atomic_load(&partition->operations),
		.writes = atomic_load(&partition->writes),
		.value_bytes_raw = atomic_load(&partition->value_bytes_raw),
		.value_bytes_stored =
			atomic_load(&partition->value_bytes_stored),
	};
	mutex_lock(&partition->lock);
	ret_partition->settings = partition->settings;
	ret_partition->keys = partition->counts.keys;
	ret_partition->bytes = partition->counts.bytes;
	mutex_unlock(&partition->lock);
	return 0;
}

int fs_partition_render(const struct fs_partition *partition,
			struct buf *ret_text)
{
	const struct partition_settings *settings = &partition->settings;
	struct text text = { .buf = ret_text };
	char room[SETTING_WORD_MAX];

	text_add(&text, "schema %s\ndurability %s\nquota_bytes %llu\n",
		 schema_word(settings->schema), durability_word(settings),
		 (unsigned long long)settings->quota_bytes);
	text_add(&text, "compress %s\ncompress_ratio %.2f\n",
		 compress_word(settings, room),
		 partition->value_bytes_stored ?
			 (double)partition->value_bytes_raw /
				 (double)partition->value_bytes_stored :
			 1.0);
	text_add(&text, "keys %llu\nbytes %llu\noperations %llu\nwrites %llu\n",
		 (unsigned long long)partition->keys,
		 (unsigned long long)partition->bytes,
		 (unsigned long long)partition->operations,
		 (unsigned long long)partition->writes);
	return text.error;
}

int fs_statfs_at(struct fs *fs, uint64_t ino, struct fs_statfs *ret)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct fs_partition partition;
	struct inode inode;
	uint64_t quota, left;
	int error;

	error = fs_statfs(fs, ret);
	if (error || atomic_load(&fs->partitions.count) == 0 ||
	    inode_load(fs, ino, bytes, &inode) ||
	    fs_partition_stat(fs, inode.partition, &partition))
		return error;
	quota = partition.settings.quota_bytes;
	if (quota == 0 || quota > ret->total_bytes)
		return 0;
	left = partition.bytes < quota ? quota - partition.bytes : 0;
	ret->total_bytes = quota;
	if (left < ret->free_bytes)
		ret->free_bytes = left;
	ret->used_bytes = partition.bytes;
	ret->file_count = partition.keys;
	return 0;
}
