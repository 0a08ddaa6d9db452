/* SPDX-License-Identifier: MIT */

/*
 * The store as the rest of the core sees it: the engine's calls, with its
 * errors turned into those of system calls. This is the one place of that
 * mapping. No state, no lock.
 */

#include <errno.h>
#include <stdarg.h>

#include "fs/fs_internal.h"

#define LOG_LINE_MAX 512

int store_error(int error)
{
	return error == -EBADMSG || error == -EUCLEAN ? -EIO : error;
}

int store_read(struct fs *fs, const struct schema_key *key, uint64_t offset,
	       void *dst, size_t size, size_t *ret_read,
	       uint64_t *ret_value_size)
{
	return store_error(kv_read(fs->kv, NULL, key_slice(key), offset, dst,
				   size, ret_read, ret_value_size));
}

int store_get(struct fs *fs, const struct schema_key *key,
	      struct buf *ret_value)
{
	return store_error(kv_get(fs->kv, NULL, key_slice(key), ret_value));
}

int store_exists(struct fs *fs, const struct schema_key *key)
{
	return store_error(kv_exists(fs->kv, NULL, key_slice(key)));
}

int store_list(struct fs *fs, const struct kv_range *range, unsigned int flags,
	       kv_list_fn *fn, void *ctx)
{
	return store_error(kv_list(fs->kv, NULL, range, flags, fn, ctx));
}

void fs_log(struct fs *fs, enum kv_log_level level, const char *format, ...)
{
	char line[LOG_LINE_MAX];
	va_list args;

	if (!fs->log)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	fs->log(fs->log_ctx, level, line);
}
