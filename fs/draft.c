/* SPDX-License-Identifier: MIT */

/*
 * Drafts. Invariants, under the draft's lock:
 *	1. While it is dirty, `bytes` is the whole value; else it is empty.
 *	2. What its buffer has allocated is in the set's sum.
 * Locks: a draft's, behind which those of the core are taken; the set's, a
 * leaf, for the list and the sum.
 */

#include "fs/draft.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lock.h"
#include "fs/partition.h"
#include "fs/value_check.h"

struct draft {
	/* constant after open */
	struct draft_set *set;
	uint64_t ino;
	size_t max;

	struct mutex lock;
	/* guarded by lock */
	struct buf bytes;
	size_t charged;
	bool dirty;
	bool written; /* since it was emptied by the open */

	/* guarded by the set's lock */
	struct draft *next, **link;
};

struct draft_set {
	struct fs *fs;

	struct mutex lock;
	/* guarded by lock */
	struct draft *first;
	size_t bytes;
};

int draft_set_new(struct fs *fs, struct draft_set **ret_set)
{
	struct draft_set *set = calloc(1, sizeof(*set));

	if (!set)
		return -ENOMEM;
	set->fs = fs;
	mutex_init(&set->lock);
	*ret_set = set;
	return 0;
}

static void draft_free(struct draft *draft)
{
	buf_release(&draft->bytes);
	mutex_release(&draft->lock);
	free(draft);
}

void draft_set_free(struct draft_set *set)
{
	struct draft *draft;

	if (!set)
		return;
	while ((draft = set->first)) {
		set->first = draft->next;
		draft_free(draft);
	}
	mutex_release(&set->lock);
	free(set);
}

int draft_open(struct draft_set *set, uint64_t ino, bool emptied,
	       struct draft **ret_draft)
{
	enum value_schema schema;
	struct draft *draft;
	int error;

	error = fs_value_schema(set->fs, ino, &schema);
	if (error || schema == VALUE_BYTES)
		return error ? error : 1;
	draft = calloc(1, sizeof(*draft));
	if (!draft)
		return -ENOMEM;
	draft->set = set;
	draft->ino = ino;
	draft->max = value_size_max(schema);
	draft->dirty = emptied;
	draft->written = !emptied;
	mutex_init(&draft->lock);
	mutex_lock(&set->lock);
	draft->next = set->first;
	draft->link = &set->first;
	if (draft->next)
		draft->next->link = &draft->next;
	set->first = draft;
	mutex_unlock(&set->lock);
	*ret_draft = draft;
	return 0;
}

/* Has `size` bytes in the buffer, those that are new zero. */
static int bytes_resize(struct draft *draft, size_t size) REQUIRES(draft->lock)
{
	struct draft_set *set = draft->set;
	size_t old = draft->bytes.size;
	bool fits;
	int error;

	if (size > draft->charged) {
		mutex_lock(&set->lock);
		fits = size - draft->charged <= DRAFT_MEMORY_MAX - set->bytes;
		if (fits)
			set->bytes += size - draft->charged;
		mutex_unlock(&set->lock);
		if (!fits)
			return -ENOMEM;
		draft->charged = size;
	}
	error = buf_resize(&draft->bytes, size);
	if (!error && size > old)
		memset(draft->bytes.data + old, 0, size - old);
	return error;
}

static void bytes_drop(struct draft *draft) REQUIRES(draft->lock)
{
	buf_release(&draft->bytes);
	mutex_lock(&draft->set->lock);
	draft->set->bytes -= draft->charged;
	mutex_unlock(&draft->set->lock);
	draft->charged = 0;
	draft->dirty = false;
	draft->written = true;
}

/* Takes over what is stored, to change it. */
static int draft_begin(struct draft *draft) REQUIRES(draft->lock)
{
	struct fs_attr attr;
	size_t got = 0;
	int error;

	if (draft->dirty)
		return 0;
	error = fs_getattr(draft->set->fs, draft->ino, &attr);
	if (!error && attr.size_bytes > draft->max)
		error = -EFBIG;
	if (!error)
		error = bytes_resize(draft, (size_t)attr.size_bytes);
	if (!error && attr.size_bytes)
		error = fs_read(draft->set->fs, draft->ino, 0,
				draft->bytes.data, draft->bytes.size, &got);
	if (error) {
		bytes_drop(draft);
		return error;
	}
	draft->bytes.size = got;
	draft->dirty = true;
	return 0;
}

int draft_read(struct draft *draft, uint64_t offset, void *dst, size_t size,
	       size_t *ret_read)
{
	int error = 0;

	mutex_lock(&draft->lock);
	if (!draft->dirty) {
		error = fs_read(draft->set->fs, draft->ino, offset, dst, size,
				ret_read);
	} else if (offset >= draft->bytes.size) {
		*ret_read = 0;
	} else {
		if (size > draft->bytes.size - offset)
			size = draft->bytes.size - (size_t)offset;
		memcpy(dst, draft->bytes.data + offset, size);
		*ret_read = size;
	}
	mutex_unlock(&draft->lock);
	return error;
}

int draft_write(struct draft *draft, uint64_t offset, const void *src,
		size_t size, bool append)
{
	int error;

	mutex_lock(&draft->lock);
	error = draft_begin(draft);
	if (append)
		offset = draft->bytes.size;
	if (!error && (offset > draft->max || size > draft->max - offset))
		error = -EFBIG;
	if (!error && offset + size > draft->bytes.size)
		error = bytes_resize(draft, (size_t)offset + size);
	if (!error && size)
		memcpy(draft->bytes.data + offset, src, size);
	if (!error)
		draft->written = true;
	mutex_unlock(&draft->lock);
	return error;
}

int draft_truncate(struct draft *draft, uint64_t size_bytes)
{
	int error = size_bytes > draft->max ? -EFBIG : 0;

	mutex_lock(&draft->lock);
	if (!error)
		error = draft_begin(draft);
	if (!error)
		error = bytes_resize(draft, (size_t)size_bytes);
	if (!error)
		draft->written = true;
	mutex_unlock(&draft->lock);
	return error;
}

/* Its schema may have changed since: the core judges. */
static int draft_store(struct draft *draft) REQUIRES(draft->lock)
{
	int error = fs_replace(draft->set->fs, draft->ino,
			       buf_slice(&draft->bytes));

	if (error)
		return error;
	bytes_drop(draft);
	return 1;
}

int draft_flush(struct draft *draft, bool synced)
{
	int result = 0;

	mutex_lock(&draft->lock);
	if (draft->dirty && (draft->written || synced))
		result = draft_store(draft);
	mutex_unlock(&draft->lock);
	return result;
}

void draft_close(struct draft *draft, bool *ret_changed)
{
	struct draft_set *set = draft->set;

	*ret_changed = draft_flush(draft, true) == 1;
	mutex_lock(&draft->lock);
	bytes_drop(draft);
	mutex_unlock(&draft->lock);
	mutex_lock(&set->lock);
	*draft->link = draft->next;
	if (draft->next)
		draft->next->link = draft->link;
	mutex_unlock(&set->lock);
	draft_free(draft);
}
