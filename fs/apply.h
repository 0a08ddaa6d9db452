/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Many files at once: whole values put in place, and names taken away, in one
 * batch. After a crash all of it has happened or nothing. No libfuse.
 */

#include "fs/fs.h"

#define FS_APPLY_MAX 4096u
#define FS_APPLY_VALUES_MAX ((size_t)8 << 20) /* bytes, all values together */

enum fs_change_kind {
	FS_CHANGE_PUT,    /* `name` is a new file with this value */
	FS_CHANGE_DELETE, /* `name`, which is no directory, goes */
};

struct fs_change {
	enum fs_change_kind kind;
	uint64_t parent;
	struct slice name;
	struct slice value; /* of PUT; borrowed */
	/* Of PUT: permission bits and mtime other than they would be. */
	bool has_mode, has_mtime;
	uint32_t mode;
	struct timespec mtime;
	/* Outputs of a successful fs_apply(): the inode that the name led to
	 * (0: none). Call fs_forget() for it as after fs_unlink(). */
	uint64_t ret_old_ino;
};

/*
 * Applies `count` changes, at most FS_APPLY_MAX, values of FS_APPLY_VALUES_MAX
 * bytes. A PUT takes owner, permissions (not the set-id bits) and extended
 * attributes of the regular file that it replaces; hard links to that keep the
 * old value. Where none is replaced it is made as fs_mknod() makes a file of
 * mode 0666.
 *
 * 0, or an error with nothing changed, *ret_failed then being the change that
 * it is about (count: none in particular): the errors of fs_mknod, fs_unlink
 * and fs_write, -ENOENT for a DELETE of what is not there, -EISDIR, -E2BIG for
 * more than fits in one batch, -EINVAL for a name that is in it twice.
 */
int fs_apply(struct fs *fs, const struct fs_cred *cred,
	     struct fs_change *changes, size_t count, size_t *ret_failed);
