/* SPDX-License-Identifier: MIT */

/*
 * Emptying what was dropped. Dropping a partition takes its directory's name
 * away and lists the directory as an orphan, with entries. From there on:
 *
 *	a directory on the list with entries
 *	    |  entry by entry, a batch each: the entry goes, what it led to
 *	    |  loses a link; when that was the last, it is on the list itself
 *	    v
 *	a file on the list, a directory without entries
 *	    |  nobody has it open
 *	    v
 *	deleted, and off the list
 *
 * Each batch leaves a legal state, in which all that is left can be reached
 * from the list: so whoever comes next, after a crash too, goes on here.
 * Files are deleted at once; only directories gather on the list.
 */

#include <errno.h>
#include <string.h>

#include "fs/fs_internal.h"

/* Looked at in one go. */
#define LIST_MAX 64u
#define NAMES_MAX 64u

struct emptying {
	struct fs *fs;
	const struct fs_emptying *how;
	int error; /* the first */
};

/* Names of a directory: the last is at `last`. */
struct names {
	size_t count;
	uint16_t sizes[NAMES_MAX];
	char bytes[NAMES_MAX][FS_NAME_MAX];
};

static bool shall_stop(const struct emptying *emptying)
{
	const struct fs_emptying *how = emptying->how;

	return how->shall_stop && how->shall_stop(how->ctx);
}

static void note(struct emptying *emptying, int error)
{
	if (!emptying->error)
		emptying->error = error;
}

static void inode_delete(struct emptying *emptying, uint64_t ino)
{
	const struct fs_emptying *how = emptying->how;
	int error;

	if (how->is_known && how->is_known(how->ctx, ino))
		return;
	error = orphan_delete(emptying->fs, ino);
	/* A directory that had entries has its turn later. */
	if (error && error != -ENOTEMPTY)
		note(emptying, error);
}

static int name_collect(void *ctx, const struct fs_dirent *entry)
{
	struct names *names = ctx;

	memcpy(names->bytes[names->count], entry->name.data, entry->name.size);
	names->sizes[names->count++] = (uint16_t)entry->name.size;
	return names->count == NAMES_MAX;
}

static struct slice name_at(const struct names *names, size_t i)
{
	return slice_of(names->bytes[i], names->sizes[i]);
}

static void entry_remove(struct emptying *emptying, uint64_t dir_ino,
			 struct slice name)
{
	uint64_t ino;
	int error;

	error = dropped_entry_remove(emptying->fs, dir_ino, name, &ino);
	if (!error && fs_is_orphan(emptying->fs, ino))
		inode_delete(emptying, ino);
	else if (error && error != -ENOENT)
		note(emptying, error);
}

/* All entries go, but those that cannot. */
static int dir_empty(struct emptying *emptying, uint64_t dir_ino)
{
	struct names names = { 0 };
	struct slice from = { 0 };
	size_t i;
	int error;

	do {
		if (names.count) {
			/* Behind the last: what could not go is passed over. */
			i = names.count - 1;
			memmove(names.bytes[0], names.bytes[i], names.sizes[i]);
			from = slice_of(names.bytes[0], names.sizes[i]);
		}
		names.count = 0;
		error = fs_list_names(emptying->fs, dir_ino, from, from.size,
				      name_collect, &names);
		for (i = 0; i < names.count && !error; i++) {
			if (shall_stop(emptying))
				return -ECANCELED;
			entry_remove(emptying, dir_ino, name_at(&names, i));
		}
	} while (!error && names.count == NAMES_MAX);
	return error;
}

/* *ret_any: it was a directory, and is done with. */
static int orphan_visit(struct emptying *emptying, uint64_t ino, bool *ret_any)
{
	uint8_t bytes[INODE_RECORD_MAX];
	struct inode inode;
	int error;

	error = inode_load(emptying->fs, ino, bytes, &inode);
	if (error || !inode_is_dir(&inode) || inode.nlink ||
	    !dir_check_empty(emptying->fs, ino))
		return 0;
	error = dir_empty(emptying, ino);
	if (error == -ECANCELED)
		return error;
	if (error)
		note(emptying, error);
	/* With what cannot go it would be visited for ever. */
	*ret_any |= !dir_check_empty(emptying->fs, ino);
	inode_delete(emptying, ino);
	return 0;
}

/* One walk of the list; *ret_any: there may be more than before. */
static int list_walk(struct emptying *emptying, bool *ret_any)
{
	uint64_t inos[LIST_MAX];
	uint64_t last = 0;
	size_t i, count;
	int error;

	do {
		error = orphans_list(emptying->fs, last, inos, LIST_MAX,
				     &count);
		for (i = 0; !error && i < count; i++) {
			last = inos[i];
			error = orphan_visit(emptying, last, ret_any);
		}
	} while (!error && count == LIST_MAX);
	return error;
}

int fs_empty_dropped(struct fs *fs, const struct fs_emptying *how)
{
	struct emptying emptying = { .fs = fs, .how = how };
	bool any;
	int error;

	if (fs->read_only)
		return -EROFS;
	do {
		any = false;
		error = list_walk(&emptying, &any);
	} while (!error && any);
	return error ? error : emptying.error;
}
