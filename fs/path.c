/* SPDX-License-Identifier: MIT */

/*
 * Keys as the user writes them: a walk from the root, one name at a time. No
 * lock: each step is a lookup, and a directory that is renamed meanwhile gives
 * what a walk before or after would have given.
 */

#include <errno.h>
#include <string.h>

#include "fs/escape.h"
#include "fs/fs_internal.h"

int fs_walk(struct fs *fs, struct slice key, struct buf *name_buf,
	    uint64_t *ret_parent, struct slice *ret_name,
	    struct fs_attr *ret_attr)
{
	uint64_t parent = FS_ROOT_INO;
	struct fs_attr attr;
	struct slice name;
	const char *slash;
	const char *at;
	size_t left;
	int error;

	error = escape_encode(key, name_buf);
	if (error)
		return error;
	at = (const char *)name_buf->data;
	left = name_buf->size;
	for (;;) {
		slash = memchr(at, '/', left);
		name = slice_of(at, slash ? (size_t)(slash - at) : left);
		error = fs_lookup(fs, parent, name, &attr);
		if (!slash)
			break;
		if (error)
			return error;
		parent = attr.ino;
		left -= name.size + 1;
		at = slash + 1;
	}
	if (error && error != -ENOENT)
		return error;
	*ret_parent = parent;
	*ret_name = name;
	if (!error && ret_attr)
		*ret_attr = attr;
	return error ? 1 : 0;
}
