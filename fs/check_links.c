/* SPDX-License-Identifier: MIT */

/*
 * Link counts against names, over all inodes, without remembering any. While
 * the pass over all keys goes by, two sums are kept:
 *
 *	counted   for every inode, its link count times a hash of its number
 *	found     for every name, the hash of the number it leads to
 *
 * When every count is right, the sums are equal. When one is not, they differ,
 * but for a chance of one in 2^64 or so. Only then it is worth finding out
 * which: names are counted for a window of inode numbers at a time, each with
 * a scan of its own.
 */

#include <errno.h>
#include <stdlib.h>

#include "fs/check_internal.h"

/* Inode numbers counted in one scan: 16 MiB of counters. */
#define WINDOW_SIZE ((uint64_t)4 << 20)

/* The finisher of SplitMix64 (Steele, Lea, Flood 2014): all bits of the number
 * reach all bits of the hash. */
uint64_t link_hash(uint64_t ino)
{
	ino += 0x9e3779b97f4a7c15u;
	ino = (ino ^ (ino >> 30)) * 0xbf58476d1ce4e5b9u;
	ino = (ino ^ (ino >> 27)) * 0x94d049bb133111ebu;
	return ino ^ (ino >> 31);
}

uint64_t links_expected(const struct inode *inode)
{
	if (!inode_is_dir(inode))
		return inode->nlink;
	/* A directory has one name; its other links are "." and "..". */
	return inode->ino != FS_ROOT_INO && inode->nlink > 0;
}

struct window {
	struct check *check;
	uint64_t begin; /* numbers [begin, begin + WINDOW_SIZE) */
	uint32_t *names;
	bool more; /* there are greater numbers */
};

static int count_name(void *ctx, const struct kv_entry *entry)
{
	struct window *window = ctx;
	struct dentry dentry = { 0 };
	struct key_parts parts;
	struct schema_key key;
	int error;

	if (schema_key_decode(entry->key, &parts) || parts.tag != TAG_NAME)
		return 0;
	name_key_encode(&key, parts.ino, parts.name);
	error = check_dentry(window->check, &key, &dentry);
	if (error)
		return check_is_damage(error) ? 0 : error;
	if (dentry.ino >= window->begin &&
	    dentry.ino - window->begin < WINDOW_SIZE &&
	    window->names[dentry.ino - window->begin] < UINT32_MAX)
		window->names[dentry.ino - window->begin]++;
	return 0;
}

static int compare_inode(void *ctx, const struct kv_entry *entry)
{
	struct window *window = ctx;
	struct key_parts parts;
	struct inode inode;
	uint64_t expected;
	uint32_t names;
	int error;

	if (schema_key_decode(entry->key, &parts) || parts.tag != TAG_INODE)
		return 0;
	if (parts.ino < window->begin)
		return 0;
	if (parts.ino - window->begin >= WINDOW_SIZE) {
		window->more = true;
		return 1;
	}
	error = check_load(window->check, parts.ino, &inode);
	if (error)
		return check_is_damage(error) ? 0 : error;
	expected = links_expected(&inode);
	names = window->names[parts.ino - window->begin];
	if (names == expected)
		return 0;
	if (names == 0)
		return report_inode(window->check, FS_PROBLEM_UNREACHABLE,
				    parts.ino, "no name leads to it");
	return report_inode(window->check, FS_PROBLEM_LINK_COUNT, parts.ino,
			    "%u names lead to it, but it counts %llu", names,
			    (unsigned long long)expected);
}

static int window_check(struct window *window)
{
	struct kv_range range = { 0 };
	struct schema_key from;
	int result;

	window->more = false;
	window->names = calloc(WINDOW_SIZE, sizeof(*window->names));
	if (!window->names)
		return -ENOMEM;
	result = check_list(window->check, count_name, window);
	if (!result) {
		inode_key_encode(&from, window->begin);
		range.from = key_slice(&from);
		result = kv_list(window->check->fs->kv, window->check->pin,
				 &range, 0, compare_inode, window);
	}
	free(window->names);
	return result < 0 ? result : 0;
}

int check_links(struct check *check)
{
	struct window window = { .check = check, .begin = FS_ROOT_INO };
	int error;

	if (check->state.references.links_counted ==
	    check->state.references.names_found)
		return 0;
	do {
		error = window_check(&window);
		window.begin += WINDOW_SIZE;
	} while (!error && window.more);
	return error;
}
