/* SPDX-License-Identifier: MIT */

/*
 * Copying between files without the data leaving the process. It goes in steps
 * of at most FS_WRITE_MAX, each a read and a write as any other, so it is not
 * atomic, as copy_file_range(2) is not. A hole in the source becomes a hole.
 */

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "fs/fs_internal.h"

struct copy {
	struct fs *fs;
	uint64_t from_ino;
	uint64_t from;
	uint64_t to_ino;
	uint64_t to;
	uint64_t left;
	uint8_t *buffer;
};

static void advance(struct copy *copy, uint64_t size)
{
	copy->from += size;
	copy->to += size;
	copy->left -= size;
}

/* How far the hole goes that `from` is in; 0 when it is in data. */
static int hole_size(struct copy *copy, uint64_t size_bytes, uint64_t *ret_size)
{
	uint64_t data = size_bytes;
	int error;

	error = fs_seek(copy->fs, copy->from_ino, copy->from, SEEK_DATA, &data);
	if (error && error != -ENXIO)
		return error;
	*ret_size = data > copy->from ? data - copy->from : 0;
	if (*ret_size > copy->left)
		*ret_size = copy->left;
	return 0;
}

static int hole_copy(struct copy *copy, uint64_t size)
{
	int error;

	error = size_grow(copy->fs, copy->to_ino, copy->to + size);
	if (!error)
		error = hole_punch(copy->fs, copy->to_ino, copy->to, size);
	if (!error)
		advance(copy, size);
	return error;
}

static int data_copy(struct copy *copy)
{
	uint64_t size = copy->left < FS_WRITE_MAX ? copy->left : FS_WRITE_MAX;
	uint64_t hole = copy->from + size;
	size_t done;
	int error;

	error = fs_seek(copy->fs, copy->from_ino, copy->from, SEEK_HOLE, &hole);
	if (error)
		return error == -ENXIO ? 0 : error;
	if (hole > copy->from && hole - copy->from < size)
		size = hole - copy->from;
	error = fs_read(copy->fs, copy->from_ino, copy->from, copy->buffer,
			(size_t)size, &done);
	if (!error && done)
		error = fs_write(copy->fs, copy->to_ino, copy->to, copy->buffer,
				 done, 0);
	if (!error)
		advance(copy, done);
	return error;
}

/* One step; nothing is copied at the end of the source. */
static int copy_step(struct copy *copy)
{
	struct fs_attr attr;
	uint64_t hole;
	int error;

	error = fs_getattr(copy->fs, copy->from_ino, &attr);
	if (error || copy->from >= attr.size_bytes)
		return error;
	error = hole_size(copy, attr.size_bytes, &hole);
	if (error)
		return error;
	return hole ? hole_copy(copy, hole) : data_copy(copy);
}

static int copy_check(const struct copy *copy)
{
	enum value_schema schema;
	struct fs_attr from, to;
	int error;

	error = fs_getattr(copy->fs, copy->from_ino, &from);
	if (!error)
		error = fs_getattr(copy->fs, copy->to_ino, &to);
	if (error)
		return error;
	if (S_ISDIR(from.mode) || S_ISDIR(to.mode))
		return -EISDIR;
	if (!S_ISREG(from.mode) || !S_ISREG(to.mode))
		return -EINVAL;
	/* Who copies by writing tells when it is whole. */
	error = fs_value_schema(copy->fs, copy->to_ino, &schema);
	if (!error && schema != VALUE_BYTES)
		error = -EXDEV;
	if (error)
		return error;
	if (copy->to > FS_FILE_SIZE_MAX - copy->left)
		return -EFBIG;
	if (copy->from > FS_FILE_SIZE_MAX - copy->left)
		return -EOVERFLOW;
	if (copy->from_ino == copy->to_ino &&
	    copy->from < copy->to + copy->left &&
	    copy->to < copy->from + copy->left)
		return -EINVAL;
	return 0;
}

int fs_copy_range(struct fs *fs, uint64_t from_ino, uint64_t from_offset,
		  uint64_t to_ino, uint64_t to_offset, size_t size,
		  size_t *ret_copied)
{
	struct copy copy = {
		.fs = fs,
		.from_ino = from_ino,
		.from = from_offset,
		.to_ino = to_ino,
		.to = to_offset,
		.left = size < FS_COPY_MAX ? size : FS_COPY_MAX,
	};
	uint64_t before;
	int error;

	error = copy_check(&copy);
	if (error)
		return error;
	copy.buffer = malloc(FS_WRITE_MAX);
	if (!copy.buffer)
		return -ENOMEM;
	do {
		before = copy.left;
		error = copy.left ? copy_step(&copy) : 0;
	} while (!error && copy.left < before);
	free(copy.buffer);
	/* What was copied before an error counts. */
	if (error && copy.from == from_offset)
		return error;
	*ret_copied = (size_t)(copy.from - from_offset);
	return 0;
}
