/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A draft: a value of a partition with a schema while somebody who has the file
 * open for writing makes it. It is kept in memory, apart from what is stored,
 * which all others go on to see, and takes its place in one batch when it is
 * flushed and is a value; a crash before that costs the draft. No libfuse.
 *
 *	           write, truncate             flush, and it is a value
 *	   clean --------------------> dirty ---------------------------> clean
 *	     ^                         |   ^
 *	     | close: dropped          |   | flush, and it is none: -EINVAL; may
 *	     +-------------------------+   +-- be mended, and flushed again
 *
 * Programs flush more often than they mean: close(2) of any duplicate of a
 * descriptor does. A shell's `> file` opens, duplicates and closes before the
 * command writes, and so does each command of several that share it, such as
 * `(sleep 1; echo 2) > file`. So a draft that was only emptied, at open, is
 * neither refused nor the new value before the last close, which nobody can be
 * told of: where the empty file is no value the old one then just stays.
 *
 * All functions may be called from several threads for one draft, but not
 * together with draft_close().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fs/fs.h"

/* Of all drafts together; -ENOMEM beyond. */
#define DRAFT_MEMORY_MAX ((size_t)64 << 20)

struct draft;

/* All drafts of a mount. */
struct draft_set;

int draft_set_new(struct fs *fs, struct draft_set **ret_set);
/* Drops those that are left. NULL is allowed. */
void draft_set_free(struct draft_set *set);

/* For a file that is opened for writing; `emptied`: with O_TRUNC. 0, -ENOMEM,
 * -ESTALE; 1 when the file needs none, as its partition has no schema. */
int draft_open(struct draft_set *set, uint64_t ino, bool emptied,
	       struct draft **ret_draft);
/* The last close. *ret_changed: what is stored has changed by it. */
void draft_close(struct draft *draft, bool *ret_changed);

/* The draft when it is dirty, else what is stored. */
int draft_read(struct draft *draft, uint64_t offset, void *dst, size_t size,
	       size_t *ret_read);
/* -EFBIG for more than the schema allows. append: at the end, whatever the
 * offset is. */
int draft_write(struct draft *draft, uint64_t offset, const void *src,
		size_t size, bool append);
int draft_truncate(struct draft *draft, uint64_t size_bytes);

/*
 * 0 when there is nothing to store, 1 when it has been stored; -EINVAL when it
 * is no value, -EDQUOT and so on: the old one stays, and so does the draft.
 * `synced`: what was emptied and not written is flushed, too.
 */
int draft_flush(struct draft *draft, bool synced);
