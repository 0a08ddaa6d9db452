/* SPDX-License-Identifier: MIT */

/*
 * Entries from their other record. A directory entry is stored by name and by
 * cookie; when one of the two is damaged, the other still says the same, at the
 * price of a scan. So damage to one record costs no name. It says nothing about
 * entries that are missing: only fsck looks for those.
 */

#include <errno.h>

#include "fs/fs_internal.h"

struct recovery {
	struct slice name; /* looked for, by name */
	uint64_t cookie;   /* looked for, by cookie */
	struct buf *buf;   /* for the name, by cookie */
	struct dentry *out;
};

static int match_name(void *ctx, const struct kv_entry *entry)
{
	struct recovery *recovery = ctx;
	struct dentry dentry = { 0 };
	struct key_parts parts;

	if (entry->value_error || schema_key_decode(entry->key, &parts) ||
	    cookie_record_decode(entry->value, &dentry) ||
	    !slice_equal(dentry.name, recovery->name))
		return 0;
	dentry.cookie = parts.number;
	dentry.name = recovery->name;
	*recovery->out = dentry;
	return 1;
}

static int match_cookie(void *ctx, const struct kv_entry *entry)
{
	struct recovery *recovery = ctx;
	struct dentry dentry = { 0 };
	struct key_parts parts;
	int error;

	if (entry->value_error || schema_key_decode(entry->key, &parts) ||
	    name_record_decode(entry->value, &dentry) ||
	    dentry.cookie != recovery->cookie)
		return 0;
	error = buf_assign(recovery->buf, parts.name);
	if (error)
		return error;
	dentry.name = buf_slice(recovery->buf);
	*recovery->out = dentry;
	return 1;
}

/* 0 when fn found it, 1 when not. */
static int scan(struct fs *fs, uint64_t dir_ino, enum key_tag tag,
		kv_list_fn *fn, struct recovery *recovery)
{
	struct kv_range range = { 0 };
	struct schema_key prefix;
	int result;

	prefix_encode(&prefix, dir_ino, tag);
	range.prefix = key_slice(&prefix);
	result = store_list(fs, &range, KV_LIST_VALUES, fn, recovery);
	if (result < 0)
		return result;
	fs_log(fs, KV_LOG_WARNING,
	       "directory %llu: a damaged entry was %s; run a check",
	       (unsigned long long)dir_ino,
	       result ? "read from its other record" : "left out");
	return !result;
}

int dentry_recover_by_name(struct fs *fs, uint64_t dir_ino, struct slice name,
			   struct dentry *ret_dentry)
{
	struct recovery recovery = { .name = name, .out = ret_dentry };

	return scan(fs, dir_ino, TAG_COOKIE, match_name, &recovery);
}

int dentry_recover_by_cookie(struct fs *fs, uint64_t dir_ino, uint64_t cookie,
			     struct buf *name_buf, struct dentry *ret_dentry)
{
	struct recovery recovery = {
		.cookie = cookie,
		.buf = name_buf,
		.out = ret_dentry,
	};

	return scan(fs, dir_ino, TAG_NAME, match_cookie, &recovery);
}
