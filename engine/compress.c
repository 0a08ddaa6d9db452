/* SPDX-License-Identifier: MIT */

/* Values through zlib, whole. */

#include <errno.h>
#include <zlib.h>

#include "engine/kv_internal.h"

/* No deflated byte makes more than 1032 (zlib's technical details). */
#define EXPANSION_MAX 1032u

int value_compress(int level, struct slice value, struct buf *ret_stored)
{
	uLongf size = value.size - 1;
	int error;

	buf_clear(ret_stored);
	error = buf_reserve(ret_stored, size);
	if (error)
		return error;
	/* Room for less than the value only: what does not shrink fails. */
	switch (compress2(ret_stored->data, &size, value.data, value.size,
			  level)) {
	case Z_OK:
		ret_stored->size = size;
		return 0;
	case Z_BUF_ERROR:
		return 1;
	default:
		return -ENOMEM;
	}
}

int value_expand(struct slice stored, uint64_t raw_size, struct buf *ret_value)
{
	uLongf size = raw_size;
	int error;

	/* Before memory is allocated by a size that need not be true. */
	if (raw_size / EXPANSION_MAX > stored.size)
		return -EUCLEAN;
	buf_clear(ret_value);
	error = buf_reserve(ret_value, raw_size);
	if (error)
		return error;
	switch (uncompress(ret_value->data, &size, stored.data, stored.size)) {
	case Z_OK:
		if (size != raw_size)
			return -EUCLEAN;
		ret_value->size = size;
		return 0;
	case Z_MEM_ERROR:
		return -ENOMEM;
	default:
		return -EUCLEAN;
	}
}
