/* SPDX-License-Identifier: MIT */

/*
 * Listing directories: as streams, by cookie, and in order of name. Invariants:
 *	1. A stream's position is a cookie. Cookies are given out ascending and
 *	   an entry keeps its own while its name stays, so an entry that stays
 *	   is shown exactly once, whatever else happens.
 *	2. A damaged record costs no entry as long as its other record is sound.
 * No lock: the engine's listing is consistent by itself, entry by entry.
 */

#include <errno.h>

#include "fs/fs_internal.h"

/* A listing under way. */
struct listing {
	struct fs *fs;
	uint64_t dir_ino;
	fs_readdir_fn *fn;
	void *ctx;
	struct buf name; /* of a recovered entry */
};

static int show(struct listing *listing, const struct dentry *dentry)
{
	struct fs_dirent dirent = {
		.ino = dentry->ino,
		.cookie = dentry->cookie,
		.mode = mode_of_type(dentry->type),
		.name = dentry->name,
	};

	/* The engine hands through what we return, so an error of its own and
	 * a callback that has enough must differ. */
	return listing->fn(listing->ctx, &dirent) ? 1 : 0;
}

static int cookie_entry(void *ctx, const struct kv_entry *entry)
{
	struct listing *listing = ctx;
	struct dentry dentry;
	struct key_parts parts;
	int error;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	dentry.cookie = parts.number;
	error = entry->value_error;
	if (!error)
		error = cookie_record_decode(entry->value, &dentry);
	if (error) {
		error = dentry_recover_by_cookie(listing->fs, listing->dir_ino,
						 parts.number, &listing->name,
						 &dentry);
		if (error)
			return error == 1 ? 0 : error;
	}
	return show(listing, &dentry);
}

static int name_entry(void *ctx, const struct kv_entry *entry)
{
	struct listing *listing = ctx;
	struct key_parts parts;
	struct dentry dentry;
	int error;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	dentry.name = parts.name;
	error = entry->value_error;
	if (!error)
		error = name_record_decode(entry->value, &dentry);
	if (error) {
		error = dentry_recover_by_name(listing->fs, listing->dir_ino,
					       parts.name, &dentry);
		if (error)
			return error == 1 ? 0 : error;
	}
	return show(listing, &dentry);
}

static int list(struct listing *listing, const struct kv_range *range,
		kv_list_fn *fn)
{
	int result =
		store_list(listing->fs, range, KV_LIST_VALUES, fn, listing);

	buf_release(&listing->name);
	return result < 0 ? result : 0;
}

/* "." and "..", as far as they are behind the cookie; 1 when the callback has
 * enough. */
static int show_dots(struct listing *listing, const struct inode *dir,
		     uint64_t cookie)
{
	struct dentry dot = {
		.ino = dir->ino,
		.type = type_of_mode(dir->mode),
		.cookie = COOKIE_DOT,
		.name = SLICE_LITERAL("."),
	};
	struct dentry dot_dot = {
		.ino = dir->parent,
		.type = type_of_mode(dir->mode),
		.cookie = COOKIE_DOT_DOT,
		.name = SLICE_LITERAL(".."),
	};

	if (cookie < COOKIE_DOT && show(listing, &dot))
		return 1;
	return cookie < COOKIE_DOT_DOT ? show(listing, &dot_dot) : 0;
}

static int dir_check(struct fs *fs, uint64_t ino, struct inode *ret_dir)
{
	uint8_t bytes[INODE_RECORD_MAX];
	int error = inode_load(fs, ino, bytes, ret_dir);

	if (error)
		return error;
	ret_dir->data = slice_of(NULL, 0);
	partition_count_operation(fs, ret_dir->partition);
	return inode_is_dir(ret_dir) ? 0 : -ENOTDIR;
}

int fs_readdir(struct fs *fs, uint64_t ino, uint64_t cookie, fs_readdir_fn *fn,
	       void *ctx)
{
	struct listing listing = { fs, ino, fn, ctx, { 0 } };
	struct kv_range range = { .after = true };
	struct schema_key prefix, from;
	struct inode dir;
	int error;

	error = dir_check(fs, ino, &dir);
	if (error)
		return error;
	/* Removed, but open: not even "." is left. */
	if (dir.nlink == 0 || show_dots(&listing, &dir, cookie))
		return 0;
	if (cookie < COOKIE_DOT_DOT)
		cookie = COOKIE_DOT_DOT;
	prefix_encode(&prefix, ino, TAG_COOKIE);
	cookie_key_encode(&from, ino, cookie);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from);
	return list(&listing, &range, cookie_entry);
}

int fs_list_names(struct fs *fs, uint64_t ino, struct slice from, bool after,
		  fs_readdir_fn *fn, void *ctx)
{
	struct listing listing = { fs, ino, fn, ctx, { 0 } };
	struct kv_range range = { .after = after };
	struct schema_key prefix, from_key;
	struct inode dir;
	int error;

	error = dir_check(fs, ino, &dir);
	if (error)
		return error;
	/* No name is longer: those that sort behind it do so behind its
	 * beginning, too. */
	if (from.size > FS_NAME_MAX) {
		from.size = FS_NAME_MAX;
		range.after = true;
	}
	prefix_encode(&prefix, ino, TAG_NAME);
	name_key_encode(&from_key, ino, from);
	range.prefix = key_slice(&prefix);
	range.from = key_slice(&from_key);
	return list(&listing, &range, name_entry);
}
