/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A batch for fs_apply() as bytes: what KVFS_IOC_APPLY finds in the file that
 * it is called on. Only daemon and kvctl of one version talk like this; it is
 * never kept. Little endian:
 *
 *	0   8  "kvfsbat1"
 *	8   4  umask
 *	12  4  count
 *	       count times:
 *	    1  kind: 0 put, 1 delete
 *	    8  inode number of the directory
 *	    1  size of the name; the name
 *	    of put:
 *	    1  1: mode is given, 2: mtime is
 *	    4  mode
 *	    8  mtime, seconds; 4: nanoseconds
 *	    4  size of the value; the value
 */

#include "fs/apply.h"

#define APPLY_FILE_MAX \
	(16u + FS_APPLY_VALUES_MAX + (31u + FS_NAME_MAX) * (size_t)FS_APPLY_MAX)

/* Appends all of it. 0, -EINVAL for a name that is too long, -ENOMEM. */
int apply_file_encode(struct buf *buf, uint32_t umask,
		      const struct fs_change *changes, size_t count);

/*
 * *ret_changes borrows from `bytes` and is to be freed with free(). 0,
 * -EUCLEAN for what is no batch, -E2BIG for more than FS_APPLY_MAX changes.
 */
int apply_file_decode(struct slice bytes, uint32_t *ret_umask,
		      struct fs_change **ret_changes, size_t *ret_count);
