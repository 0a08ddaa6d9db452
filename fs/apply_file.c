/* SPDX-License-Identifier: MIT */

/*
 * Batches as bytes, a mirrored pair. Pure functions, no lock.
 */

#include "fs/apply_file.h"

#include <errno.h>
#include <stdlib.h>

#include "engine/codec.h"

#define MAGIC SLICE_LITERAL("kvfsbat1")
#define HEADER_SIZE 16u
#define CHANGE_SIZE_MAX 21u /* before or behind the name */
#define HAS_MODE 1u
#define HAS_MTIME 2u

static int change_encode(struct buf *buf, const struct fs_change *change)
{
	uint8_t bytes[CHANGE_SIZE_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int r;

	if (change->name.size > FS_NAME_MAX || change->value.size > UINT32_MAX)
		return -EINVAL;
	put_u8(&w, (uint8_t)change->kind);
	put_u64(&w, change->parent);
	put_u8(&w, (uint8_t)change->name.size);
	r = buf_append(buf, bytes, (size_t)(w.at - bytes));
	if (r == 0)
		r = buf_append(buf, change->name.data, change->name.size);
	if (r || change->kind != FS_CHANGE_PUT)
		return r;
	w = writer_of(bytes, sizeof(bytes));
	put_u8(&w, (uint8_t)((change->has_mode ? HAS_MODE : 0) |
			     (change->has_mtime ? HAS_MTIME : 0)));
	put_u32(&w, change->mode);
	put_u64(&w, (uint64_t)change->mtime.tv_sec);
	put_u32(&w, (uint32_t)change->mtime.tv_nsec);
	put_u32(&w, (uint32_t)change->value.size);
	r = buf_append(buf, bytes, (size_t)(w.at - bytes));
	return r ? r : buf_append(buf, change->value.data, change->value.size);
}

int apply_file_encode(struct buf *buf, uint32_t umask,
		      const struct fs_change *changes, size_t count)
{
	uint8_t header[HEADER_SIZE];
	struct writer w = writer_of(header, sizeof(header));
	size_t i;
	int r;

	put_bytes(&w, MAGIC);
	put_u32(&w, umask);
	put_u32(&w, (uint32_t)count);
	r = buf_append(buf, header, sizeof(header));
	for (i = 0; r == 0 && i < count; i++)
		r = change_encode(buf, &changes[i]);
	return r;
}

static void put_decode(struct reader *r, struct fs_change *change)
{
	uint8_t has = get_u8(r);

	change->has_mode = has & HAS_MODE;
	change->has_mtime = has & HAS_MTIME;
	change->mode = get_u32(r);
	change->mtime.tv_sec = (time_t)get_u64(r);
	change->mtime.tv_nsec = (long)get_u32(r);
	change->value = get_bytes(r, get_u32(r));
	if ((has & ~(HAS_MODE | HAS_MTIME)) ||
	    change->mtime.tv_nsec >= 1000000000)
		r->bad = true;
}

static void change_decode(struct reader *r, struct fs_change *ret_change)
{
	uint8_t kind = get_u8(r);
	struct fs_change change = { .kind = (enum fs_change_kind)kind };

	change.parent = get_u64(r);
	change.name = get_bytes(r, get_u8(r));
	if (kind == FS_CHANGE_PUT)
		put_decode(r, &change);
	else if (kind != FS_CHANGE_DELETE)
		r->bad = true;
	*ret_change = change;
}

int apply_file_decode(struct slice bytes, uint32_t *ret_umask,
		      struct fs_change **ret_changes, size_t *ret_count)
{
	struct reader r = reader_of(bytes);
	struct slice magic = get_bytes(&r, MAGIC.size);
	uint32_t umask = get_u32(&r);
	uint32_t count = get_u32(&r);
	struct fs_change *changes;
	uint32_t i;

	if (r.bad || !slice_equal(magic, MAGIC))
		return -EUCLEAN;
	if (count > FS_APPLY_MAX)
		return -E2BIG;
	changes = calloc((size_t)count + 1, sizeof(*changes));
	if (!changes)
		return -ENOMEM;
	for (i = 0; i < count && !r.bad; i++)
		change_decode(&r, &changes[i]);
	if (!reader_done(&r)) {
		free(changes);
		return -EUCLEAN;
	}
	*ret_umask = umask & 0777;
	*ret_changes = changes;
	*ret_count = count;
	return 0;
}
