/* SPDX-License-Identifier: MIT */

/*
 * Partitions in the check. What is in a partition's directory must be of it:
 * that is looked at as names pass by. Whether a partition counts what it has
 * takes a pass over all inodes of its own, which a store without partitions is
 * spared: so a check that is resumed in the middle of the references has no
 * sums to remember. Of a partition whose directory was removed nothing is left
 * but unlinked inodes and what is below them, which nobody counts.
 */

#include <errno.h>
#include <stdlib.h>

#include "fs/check_internal.h"

/* A partition, as its record counts and as was found so far. */
struct check_partition {
	uint64_t ino;
	struct partition_counts counts;
	struct partition_counts found;
};

struct check_partitions {
	struct check *check;
	struct check_partition *items; /* by number */
	size_t count;
};

/* --- as names and attributes pass by --- */

/* 0, 1 when there is no such record. */
static int record_exists(struct check *check, uint64_t ino)
{
	struct schema_key key;
	int error;

	partition_key_encode(&key, ino);
	error = check_exists(check, &key);
	return check_is_damage(error) ? 0 : error;
}

/* What the repair found without a name is in a directory of no partition, and
 * still belongs to its own. */
int check_partition_place(struct check *check, const struct inode *dir,
			  struct slice name, const struct inode *child)
{
	int error;

	if (dir->partition == 0 && dir->ino != FS_ROOT_INO)
		return 0;
	if (partition_check_place(dir, child))
		return report_name(check, FS_PROBLEM_STRUCTURE, dir->ino, name,
				   child->ino,
				   "it is not of the partition it is in");
	if (child->partition != child->ino)
		return 0;
	error = record_exists(check, child->ino);
	if (error == 1)
		return report_name(check, FS_PROBLEM_STRUCTURE, dir->ino, name,
				   child->ino,
				   "it is a partition that is not listed");
	return error;
}

int check_partition_setting(struct check *check, struct slice name,
			    struct slice value)
{
	const struct inode *inode = &check->current.inode;
	struct partition_settings settings = { 0 };
	enum partition_setting setting;

	/* Elsewhere it is no setting: versions that knew none let it be set. */
	if (!xattr_is_setting(name) || !check->current.known ||
	    inode->partition != inode->ino)
		return 0;
	if (!setting_of_xattr(name, &setting) ||
	    setting_parse(setting, value, &settings))
		return report_inode(check, FS_PROBLEM_STRUCTURE, inode->ino,
				    "a setting of a partition makes no sense");
	return 0;
}

/* --- the pass that counts --- */

static int partition_add(struct check_partitions *partitions, uint64_t ino,
			 const struct partition_counts *counts)
{
	struct check_partition *grown = reallocarray(
		partitions->items, partitions->count + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	partitions->items = grown;
	grown[partitions->count++] =
		(struct check_partition){ .ino = ino, .counts = *counts };
	return 0;
}

/* A record that cannot be read was reported by the engine's check. */
static int record_check(void *ctx, const struct kv_entry *entry)
{
	struct check_partitions *partitions = ctx;
	struct check *check = partitions->check;
	struct partition_counts counts;
	struct key_parts parts;
	struct inode dir;
	int error;

	if (schema_key_decode(entry->key, &parts) || entry->value_error)
		return 0;
	if (partition_decode(entry->value, &counts))
		return report_inode(check, FS_PROBLEM_STRUCTURE, parts.number,
				    "its counters make no sense");
	error = check_load(check, parts.number, &dir);
	if (error < 0)
		return check_is_damage(error) ? 0 : error;
	if (error || !inode_is_dir(&dir) || dir.nlink == 0 ||
	    dir.partition != dir.ino || dir.parent != FS_ROOT_INO)
		return report_inode(check, FS_PROBLEM_STRUCTURE, parts.number,
				    "it is listed as a partition, but is none");
	return partition_add(partitions, parts.number, &counts);
}

static int compare(const void *key, const void *item)
{
	const uint64_t *ino = key;
	const struct check_partition *partition = item;

	return *ino < partition->ino ? -1 : *ino > partition->ino;
}

static int inode_count(void *ctx, const struct kv_entry *entry)
{
	struct check_partitions *partitions = ctx;
	struct check *check = partitions->check;
	struct check_partition *partition;
	struct partition_counts counts;
	struct key_parts parts;
	struct inode inode;
	int error;

	if (schema_key_decode(entry->key, &parts) || parts.tag != TAG_INODE)
		return 0;
	error = check_load(check, parts.ino, &inode);
	if (error)
		return error > 0 || check_is_damage(error) ? 0 : error;
	partition = bsearch(&inode.partition, partitions->items,
			    partitions->count, sizeof(*partition), compare);
	if (!partition)
		return 0;
	counts = inode_counts(check->fs, &inode);
	partition->found.keys += counts.keys;
	partition->found.bytes += counts.bytes;
	return 0;
}

static int counts_compare(struct check *check,
			  const struct check_partition *partition)
{
	const struct partition_counts *counts = &partition->counts;
	const struct partition_counts *found = &partition->found;

	if (counts->keys == found->keys && counts->bytes == found->bytes)
		return 0;
	return report_inode(check, FS_PROBLEM_STRUCTURE, partition->ino,
			    "it has %llu keys of %llu bytes, but counts %llu "
			    "of %llu",
			    (unsigned long long)found->keys,
			    (unsigned long long)found->bytes,
			    (unsigned long long)counts->keys,
			    (unsigned long long)counts->bytes);
}

int check_partitions(struct check *check)
{
	struct check_partitions partitions = { .check = check };
	struct kv_range range = { 0 };
	struct schema_key prefix;
	int error;

	prefix_encode(&prefix, 0, TAG_PARTITION);
	range.prefix = key_slice(&prefix);
	error = kv_list(check->fs->kv, check->pin, &range, KV_LIST_VALUES,
			record_check, &partitions);
	if (!error && partitions.count)
		error = check_list(check, inode_count, &partitions);
	for (size_t i = 0; !error && i < partitions.count; i++)
		error = counts_compare(check, &partitions.items[i]);
	free(partitions.items);
	return error;
}
