/* SPDX-License-Identifier: MIT */
#pragma once

/* Short words for what tests of partitions do often. Included after
 * fs_fixture.h. */

#include "fs/partition.h"

static inline int setting(struct fs_fixture *f, uint64_t ino, const char *name,
			  const char *value)
{
	char full[64];

	snprintf(full, sizeof(full), "user.kvfs.%s", name);
	return fs_setxattr(f->fs, &f->cred, ino, name_of(full), name_of(value),
			   0, false);
}

/* A partition p with a setting. */
static inline uint64_t make_partition(struct fs_fixture *f, const char *name,
				      const char *value)
{
	uint64_t ino = make_dir(f, "p");

	assert_int_equal(setting(f, ino, name, value), 0);
	return ino;
}

static inline struct fs_partition stat_of(struct fs_fixture *f, uint64_t ino)
{
	struct fs_partition partition;

	assert_int_equal(fs_partition_stat(f->fs, ino, &partition), 0);
	return partition;
}

static inline void assert_counts(struct fs_fixture *f, uint64_t ino,
				 uint64_t keys, uint64_t bytes)
{
	struct fs_partition partition = stat_of(f, ino);

	assert_int_equal(partition.keys, keys);
	assert_int_equal(partition.bytes, bytes);
}
