/* SPDX-License-Identifier: MIT */

/*
 * Problems and their paths. An inode does not know its names, so the path of a
 * damaged file is found by looking at every entry of the store. That is done
 * for many problems at once: they wait, a bounded number of them, until a scan
 * is worth it or the check ends.
 */

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/check_internal.h"

/* A longer way to the root is a loop; such a problem has no path. */
#define PATH_DEPTH_MAX 4096u

void report_store(struct check *check, const char *what)
{
	struct fs_problem problem = {
		.kind = FS_PROBLEM_STORE,
		.what = what,
	};

	check->problem_count++;
	check->fn(check->ctx, &problem);
}

/* A free slot for a problem. */
static int pending_new(struct check *check, enum fs_problem_kind kind,
		       uint64_t ino, struct check_problem **ret_problem)
{
	int error;

	if (check->pending_count == CHECK_PENDING_MAX) {
		error = report_flush(check);
		if (error)
			return error;
	}
	*ret_problem = &check->pending[check->pending_count++];
	memset(*ret_problem, 0, sizeof(**ret_problem));
	(*ret_problem)->kind = kind;
	(*ret_problem)->ino = ino;
	return 0;
}

int report_inode(struct check *check, enum fs_problem_kind kind, uint64_t ino,
		 const char *format, ...)
{
	struct check_problem *problem;
	va_list args;
	int error;

	error = pending_new(check, kind, ino, &problem);
	if (error)
		return error;
	va_start(args, format);
	vsnprintf(problem->what, sizeof(problem->what), format, args);
	va_end(args);
	return 0;
}

static void place(struct check_problem *problem, uint64_t dir_ino,
		  struct slice name)
{
	problem->dir_ino = dir_ino;
	problem->name_size = (uint32_t)name.size;
	memcpy(problem->name, name.data, name.size);
	problem->found = true;
}

int report_name(struct check *check, enum fs_problem_kind kind,
		uint64_t dir_ino, struct slice name, uint64_t ino,
		const char *format, ...)
{
	struct check_problem *problem;
	va_list args;
	int error;

	error = pending_new(check, kind, ino, &problem);
	if (error)
		return error;
	place(problem, dir_ino, name);
	va_start(args, format);
	vsnprintf(problem->what, sizeof(problem->what), format, args);
	va_end(args);
	return 0;
}

/* --- finding names --- */

static int compare_inos(const void *a, const void *b)
{
	const struct check_problem *x = a;
	const struct check_problem *y = b;

	return (x->ino > y->ino) - (x->ino < y->ino);
}

/* An entry of any directory: is it the name of what is pending? */
static int match_entry(void *ctx, const struct kv_entry *entry)
{
	struct check *check = ctx;
	struct check_problem wanted = { 0 };
	struct check_problem *found;
	struct dentry dentry = { 0 };
	struct key_parts parts;
	struct schema_key key;
	int error;

	if (schema_key_decode(entry->key, &parts) || parts.tag != TAG_NAME)
		return 0;
	name_key_encode(&key, parts.ino, parts.name);
	error = check_dentry(check, &key, &dentry);
	if (error)
		return check_is_damage(error) ? 0 : error;
	wanted.ino = dentry.ino;
	found = bsearch(&wanted, check->pending, check->pending_count,
			sizeof(wanted), compare_inos);
	if (!found)
		return 0;
	while (found > check->pending && found[-1].ino == dentry.ino)
		found--;
	for (; found < check->pending + check->pending_count &&
	       found->ino == dentry.ino;
	     found++) {
		if (!found->found)
			place(found, parts.ino, parts.name);
	}
	return 0;
}

static bool needs_scan(const struct check *check)
{
	size_t i;

	for (i = 0; i < check->pending_count; i++) {
		if (!check->pending[i].found &&
		    check->pending[i].ino > FS_ROOT_INO)
			return true;
	}
	return false;
}

/* Looking for the name of one directory in its parent. */
struct name_search {
	uint64_t ino;
	struct buf *name;
};

static int match_child(void *ctx, const struct kv_entry *entry)
{
	struct name_search *search = ctx;
	struct dentry dentry = { 0 };
	struct key_parts parts;
	int error;

	if (entry->value_error || schema_key_decode(entry->key, &parts) ||
	    name_record_decode(entry->value, &dentry) ||
	    dentry.ino != search->ino)
		return 0;
	error = buf_assign(search->name, parts.name);
	return error ? error : 1;
}

/* 0, 1 when the parent has no such entry. */
static int child_name(struct check *check, uint64_t parent, uint64_t ino,
		      struct buf *ret_name)
{
	struct name_search search = { ino, ret_name };
	struct kv_range range = { 0 };
	struct schema_key prefix;
	int result;

	prefix_encode(&prefix, parent, TAG_NAME);
	range.prefix = key_slice(&prefix);
	result = kv_list(check->fs->kv, check->pin, &range, KV_LIST_VALUES,
			 match_child, &search);
	if (result < 0)
		return check_is_damage(result) ? 1 : result;
	return !result;
}

static int prepend(struct buf *path, struct slice name)
{
	size_t size = path->size;
	size_t extra = name.size + (size > 0);
	int error;

	error = buf_resize(path, size + extra);
	if (error)
		return error;
	if (size) {
		memmove(path->data + extra, path->data, size);
		path->data[name.size] = '/';
	}
	memcpy(path->data, name.data, name.size);
	return 0;
}

/* Puts the names of a directory and those above it before the path. 1 when
 * there is no way to the root. */
static int path_complete(struct check *check, uint64_t dir_ino,
			 struct buf *path)
{
	struct buf name = { 0 };
	struct inode dir;
	unsigned int depth;
	int error = 0;

	for (depth = 0; dir_ino != FS_ROOT_INO && !error; depth++) {
		error = check_load(check, dir_ino, &dir);
		if (check_is_damage(error) || depth == PATH_DEPTH_MAX)
			error = 1;
		if (!error && !inode_is_dir(&dir))
			error = 1;
		if (!error)
			error = child_name(check, dir.parent, dir_ino, &name);
		if (!error)
			error = prepend(path, buf_slice(&name));
		if (!error)
			dir_ino = dir.parent;
	}
	buf_release(&name);
	return error;
}

/* Passes one problem on. */
static int emit(struct check *check, const struct check_problem *pending)
{
	struct fs_problem problem = {
		.kind = pending->kind,
		.ino = pending->ino,
		.what = pending->what,
	};
	struct buf path = { 0 };
	int error = 1;

	if (pending->found) {
		error = prepend(&path,
				slice_of(pending->name, pending->name_size));
		if (!error)
			error = path_complete(check, pending->dir_ino, &path);
	} else if (pending->ino == FS_ROOT_INO) {
		error = 0;
	}
	if (!error)
		error = buf_append(&path, "", 1);
	if (error < 0) {
		buf_release(&path);
		return error;
	}
	if (!error)
		problem.path = (const char *)path.data;
	check->problem_count++;
	check->fn(check->ctx, &problem);
	buf_release(&path);
	return 0;
}

int report_flush(struct check *check)
{
	int error = 0;
	size_t i;

	qsort(check->pending, check->pending_count, sizeof(*check->pending),
	      compare_inos);
	if (needs_scan(check))
		error = check_list(check, match_entry, check);
	for (i = 0; i < check->pending_count && !error; i++)
		error = emit(check, &check->pending[i]);
	check->pending_count = 0;
	return error;
}
