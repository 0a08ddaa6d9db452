/* SPDX-License-Identifier: MIT */

/*
 * Repairs. The check is run, its problems are kept, then each is looked at
 * again and put right by what its kind says; and the check is run once more,
 * since a directory that gets its name back brings its names with it.
 *
 * Invariants:
 *	1. Nothing is decided from what a problem says, but from the records as
 *	   they are now: a repair may have been made by one before.
 *	2. No inode is deleted, and no block: what may be somebody's stays.
 *
 * One thread, no locks: nobody else is there.
 */

#include "fs/repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fs_internal.h"
#include "fs/revive.h"

#define ROUNDS_MAX 8u
/* Problems kept of one check; the next one finds the others. */
#define KEPT_MAX 10000u

/* What is repaired first, as the next depends on it. */
enum repair_pass {
	PASS_LOST,   /* inodes that are gone, with something left of them */
	PASS_OTHERS, /* names, counts */
	PASS_LINKS,  /* inodes without a name, counts of links */
};

struct kept {
	enum fs_problem_kind kind;
	uint64_t ino;
	char *path; /* NULL: none */
	char *what;
};

struct repair {
	struct fs *fs;
	fs_repair_fn *fn;
	kv_progress_fn *progress;
	void *ctx;
	struct kept *kept;
	size_t count;
	bool more; /* than are kept */
	int error;
};

/* --- keys of an inode, counted --- */

struct count {
	uint64_t blocks, preallocated, subdirs, xattr_names_size;
};

static int key_count(void *ctx, const struct kv_entry *entry)
{
	struct count *count = ctx;
	struct dentry dentry;
	struct key_parts parts;

	if (schema_key_decode(entry->key, &parts))
		return 0;
	count->blocks += parts.tag == TAG_BLOCK;
	count->preallocated += parts.tag == TAG_PREALLOC;
	if (parts.tag == TAG_XATTR)
		count->xattr_names_size += parts.name.size + 1;
	if (parts.tag == TAG_NAME && !entry->value_error &&
	    !name_record_decode(entry->value, &dentry))
		count->subdirs += S_ISDIR(mode_of_type(dentry.type));
	return 0;
}

static int keys_count(struct fs *fs, uint64_t ino, bool dir,
		      struct count *ret_count)
{
	struct kv_range range = { 0 };
	struct schema_key prefix;

	*ret_count = (struct count){ 0 };
	prefix_encode(&prefix, ino, TAG_INODE);
	range.prefix = slice_of(prefix.bytes, prefix.size - 1);
	return store_list(fs, &range, dir ? KV_LIST_VALUES : 0, key_count,
			  ret_count);
}

struct names {
	uint64_t ino, count;
};

static int name_count(void *ctx, const struct kv_entry *entry)
{
	struct names *names = ctx;
	struct dentry dentry;
	struct key_parts parts;

	if (!entry->value_error && !schema_key_decode(entry->key, &parts) &&
	    parts.tag == TAG_NAME && !name_record_decode(entry->value, &dentry))
		names->count += dentry.ino == names->ino;
	return 0;
}

/* How many names lead to it: a scan of everything. */
static int names_count(struct fs *fs, uint64_t ino, uint64_t *ret_count)
{
	struct names names = { .ino = ino };
	struct kv_range range = { 0 };
	int error;

	error = store_list(fs, &range, KV_LIST_VALUES, name_count, &names);
	*ret_count = names.count;
	return error;
}

/* --- repairs: 0 done, 1 nothing to do or nothing known, -errno --- */

static int recount(struct txn *txn, uint64_t ino)
{
	struct inode inode, before;
	uint64_t names, made = 0;
	struct count count;
	int error;

	error = inode_load_txn(txn, ino, &inode);
	if (error)
		return error == -ESTALE || error == -EIO ? 1 : error;
	before = inode;
	error = keys_count(txn->fs, ino, inode_is_dir(&inode), &count);
	if (error || inode.nlink == 0)
		return error ? error : 1;
	if (S_ISREG(inode.mode) &&
	    (inode.data.size == 0 || (inode.flags & INODE_TAIL))) {
		error = blocks_support(txn, &inode, &made);
		if (error)
			return error;
		inode.block_count = count.blocks + made;
	}
	/* Without blocks there is nothing for fragments to stand beside. */
	if (inode.block_count == 0)
		inode.flags &= ~(uint32_t)INODE_FRAGMENTED;
	if (S_ISREG(inode.mode))
		prealloc_count_set(&inode, count.preallocated);
	inode.xattr_names_size = (uint32_t)count.xattr_names_size;
	if (inode_is_dir(&inode)) {
		inode.nlink = 2 + (uint32_t)count.subdirs;
	} else {
		error = names_count(txn->fs, ino, &names);
		if (error)
			return error;
		/* Without a name it goes to lost+found. */
		if (names)
			inode.nlink = (uint32_t)names;
	}
	if (made == 0 && before.nlink == inode.nlink &&
	    before.block_count == inode.block_count &&
	    before.prealloc_count == inode.prealloc_count &&
	    before.xattr_names_size == inode.xattr_names_size)
		return 1;
	return inode_store(txn, &inode);
}

struct cookie_search {
	struct slice name;
	struct dentry dentry;
};

static int cookie_match(void *ctx, const struct kv_entry *entry)
{
	struct cookie_search *search = ctx;
	struct dentry dentry = { 0 };
	struct key_parts parts;

	if (entry->value_error || schema_key_decode(entry->key, &parts) ||
	    cookie_record_decode(entry->value, &dentry) ||
	    !slice_equal(dentry.name, search->name))
		return 0;
	dentry.name = search->name;
	dentry.cookie = parts.number;
	search->dentry = dentry;
	return 1;
}

/* An entry by its record by cookie. 0, 1 when there is none. */
static int cookie_find(struct fs *fs, uint64_t dir, struct slice name,
		       struct dentry *ret_dentry)
{
	struct cookie_search search = { .name = name };
	struct kv_range range = { 0 };
	struct schema_key prefix;
	int r;

	prefix_encode(&prefix, dir, TAG_COOKIE);
	range.prefix = key_slice(&prefix);
	r = store_list(fs, &range, KV_LIST_VALUES, cookie_match, &search);
	if (r < 0)
		return r;
	*ret_dentry = search.dentry;
	return r == 0;
}

/* Whether the cookie is the name's own; if not, it gets one. */
static int cookie_claim(struct txn *txn, struct inode *dir,
			struct dentry *dentry)
{
	uint8_t bytes[ENTRY_RECORD_MAX];
	struct dentry other = { 0 };
	struct schema_key key;
	uint64_t value_size;
	size_t size;
	int r;

	if (dentry->cookie >= dir->next_cookie)
		return dir_next_cookie(dir, &dentry->cookie);
	cookie_key_encode(&key, dir->ino, dentry->cookie);
	r = store_read(txn->fs, &key, 0, bytes, sizeof(bytes), &size,
		       &value_size);
	if (r == 0 && value_size <= sizeof(bytes) &&
	    !cookie_record_decode(slice_of(bytes, size), &other) &&
	    !slice_equal(other.name, dentry->name))
		return dir_next_cookie(dir, &dentry->cookie);
	return r < 0 && r != -EIO ? r : 0;
}

/* Whether both records of a name are there and say the same. 0, 1 when not. */
static int entry_compare(struct fs *fs, uint64_t dir_ino,
			 const struct dentry *dentry)
{
	struct dentry by_name = { 0 }, by_cookie = { 0 };
	uint8_t bytes[ENTRY_RECORD_MAX];
	struct schema_key key;
	uint64_t value_size;
	size_t size;
	int r;

	name_key_encode(&key, dir_ino, dentry->name);
	r = store_read(fs, &key, 0, bytes, sizeof(bytes), &size, &value_size);
	if (r || value_size > sizeof(bytes) ||
	    name_record_decode(slice_of(bytes, size), &by_name))
		return r < 0 && r != -EIO ? r : 1;
	cookie_key_encode(&key, dir_ino, dentry->cookie);
	r = store_read(fs, &key, 0, bytes, sizeof(bytes), &size, &value_size);
	if (r || value_size > sizeof(bytes) ||
	    cookie_record_decode(slice_of(bytes, size), &by_cookie))
		return r < 0 && r != -EIO ? r : 1;
	return by_name.ino != dentry->ino || by_cookie.ino != dentry->ino ||
	       by_name.type != dentry->type || by_cookie.type != dentry->type ||
	       by_name.cookie != dentry->cookie ||
	       !slice_equal(by_cookie.name, dentry->name);
}

/* Writes both records of a name as they should be, or takes it away when there
 * is nothing behind it. *ret_gone tells which. */
static int entry_settle(struct txn *txn, uint64_t dir_ino, struct slice name,
			bool *ret_gone)
{
	struct inode dir, child;
	struct dentry dentry;
	int r;

	*ret_gone = false;
	r = dir_load(txn, dir_ino, &dir);
	if (r)
		return r;
	r = dentry_find(txn->fs, dir_ino, name, &dentry);
	if (r == 1 || r == -EIO)
		r = cookie_find(txn->fs, dir_ino, name, &dentry);
	if (r)
		return r;
	r = inode_load_txn(txn, dentry.ino, &child);
	if (r == -EIO)
		return 1; /* damaged: it stays, and says so when read */
	if (r == -ESTALE) {
		*ret_gone = true;
		r = dentry_delete(txn, dir_ino, &dentry);
		if (r == 0 && S_ISDIR(mode_of_type(dentry.type)) &&
		    dir.nlink > 2)
			dir.nlink--;
		return r ? r : inode_store(txn, &dir);
	}
	if (r)
		return r;
	dentry.name = name;
	dentry.type = type_of_mode(child.mode);
	r = entry_compare(txn->fs, dir_ino, &dentry);
	if (r < 0)
		return r;
	if (r == 0 && dentry.cookie < dir.next_cookie &&
	    (!inode_is_dir(&child) || child.parent == dir_ino))
		return 1; /* it is not the name that is wrong */
	r = cookie_claim(txn, &dir, &dentry);
	if (r == 0 && inode_is_dir(&child) && child.parent != dir_ino) {
		child.parent = dir_ino;
		r = inode_store(txn, &child);
	}
	if (r == 0)
		r = dentry_put(txn, dir_ino, &dentry);
	return r ? r : inode_store(txn, &dir);
}

/* The directory for what has no name; it is made. */
static int lost_found(struct fs *fs, uint64_t *ret_ino)
{
	struct fs_cred cred = { 0 };
	struct fs_attr attr;
	struct slice name = SLICE_LITERAL(FS_LOST_FOUND);
	int r;

	r = fs_lookup(fs, FS_ROOT_INO, name, &attr);
	if (r == -ENOENT)
		r = fs_mkdir(fs, &cred, FS_ROOT_INO, name, 0700, &attr);
	if (r == 0 && !S_ISDIR(attr.mode))
		r = -ENOTDIR;
	if (r == 0)
		*ret_ino = attr.ino;
	return r;
}

static int name_give(struct txn *txn, uint64_t dir_ino, uint64_t ino)
{
	struct inode dir, inode;
	struct dentry dentry;
	struct schema_key key;
	char *name = txn_alloc(txn, 32);
	int r;

	r = name ? dir_load(txn, dir_ino, &dir) : -ENOMEM;
	if (r == 0)
		r = inode_load_txn(txn, ino, &inode);
	if (r)
		return r == -ESTALE || r == -EIO ? 1 : r;
	snprintf(name, 32, "#%llu", (unsigned long long)ino);
	dentry = (struct dentry){ .ino = ino,
				  .type = type_of_mode(inode.mode),
				  .name = slice_of(name, strlen(name)) };
	r = dir_next_cookie(&dir, &dentry.cookie);
	if (r)
		return r;
	orphan_key_encode(&key, ino);
	r = txn_delete(txn, &key);
	if (inode_is_dir(&inode)) {
		inode.parent = dir_ino;
		inode.nlink = inode.nlink < 2 ? 2 : inode.nlink;
		dir.nlink++;
	} else {
		inode.nlink = 1;
	}
	inode.flags &= ~(uint32_t)INODE_LINKABLE;
	if (r == 0)
		r = dentry_put(txn, dir_ino, &dentry);
	if (r == 0)
		r = inode_store(txn, &inode);
	return r ? r : inode_store(txn, &dir);
}

/* --- from problems to repairs --- */

/* The directory and name that a path ends in. */
static int path_find(struct fs *fs, const char *path, uint64_t *ret_dir,
		     struct slice *ret_name)
{
	uint64_t dir = FS_ROOT_INO;
	struct fs_attr attr;
	const char *slash;
	int r;

	while ((slash = strchr(path, '/'))) {
		r = fs_lookup(fs, dir, slice_of(path, (size_t)(slash - path)),
			      &attr);
		if (r)
			return r == -ENOENT || r == -EIO ? 1 : r;
		dir = attr.ino;
		path = slash + 1;
	}
	*ret_dir = dir;
	*ret_name = slice_of(path, strlen(path));
	return *path ? 0 : 1;
}

static int repair_name(struct repair *repair, struct txn *txn,
		       const struct kept *problem, const char **ret_done)
{
	struct slice name;
	uint64_t dir;
	bool gone;
	int r;

	if (!problem->path)
		return 1;
	r = path_find(repair->fs, problem->path, &dir, &name);
	if (r == 0)
		r = entry_settle(txn, dir, name, &gone);
	if (r == 0)
		*ret_done = gone ? "the name was removed" :
				   "the name was written anew";
	return r;
}

/* A fragment that nobody counts goes where somebody may look at it. */
static int fragment_save(struct repair *repair, struct txn *txn, uint64_t ino,
			 const char **ret_done)
{
	struct fs *fs = repair->fs;
	struct fs_cred cred = { 0 };
	struct buf bytes = { 0 };
	struct fs_attr attr;
	struct inode inode;
	uint64_t offset, dir;
	char name[64];
	int r = inode_load_txn(txn, ino, &inode);

	if (r)
		return r == -ESTALE || r == -EIO ? 1 : r;
	r = fragment_take(txn, &inode, &offset, &bytes);
	if (r == 0)
		r = lost_found(fs, &dir);
	if (r == 0) {
		snprintf(name, sizeof(name), "#%llu-%llu",
			 (unsigned long long)ino, (unsigned long long)offset);
		r = fs_mknod(fs, &cred, dir, slice_of(name, strlen(name)),
			     S_IFREG | 0600, 0, &attr);
	}
	if (r == 0 && bytes.size)
		r = fs_write(fs, attr.ino, 0, bytes.data, bytes.size, 0);
	buf_release(&bytes);
	*ret_done = "its bytes were put into " FS_LOST_FOUND;
	return r;
}

/* Something about an inode that is there; 1 when it is not that. */
static int repair_inode(struct repair *repair, struct txn *txn, uint64_t ino,
			const char **ret_done)
{
	int r = recount(txn, ino);

	*ret_done = "its counts were corrected";
	return r == 1 ? fragment_save(repair, txn, ino, ret_done) : r;
}

static int repair_one(struct repair *repair, struct txn *txn,
		      const struct kept *problem, const char **ret_done)
{
	uint64_t dir = 0;
	int r;

	switch (problem->kind) {
	case FS_PROBLEM_UNREACHABLE:
		r = lost_found(repair->fs, &dir);
		if (r == 0)
			r = name_give(txn, dir, problem->ino);
		*ret_done = "it was put into " FS_LOST_FOUND;
		return r;
	case FS_PROBLEM_LINK_COUNT:
		*ret_done = "its links were counted anew";
		return recount(txn, problem->ino);
	case FS_PROBLEM_DANGLING:
		return repair_name(repair, txn, problem, ret_done);
	case FS_PROBLEM_STRUCTURE:
		r = problem->ino ?
			    repair_inode(repair, txn, problem->ino, ret_done) :
			    1;
		if (r == 1)
			r = partition_recount(txn, problem->ino);
		if (r == 1)
			r = repair_name(repair, txn, problem, ret_done);
		return r;
	case FS_PROBLEM_DAMAGED:
		*ret_done = "its counts were corrected";
		r = partition_recount(txn, problem->ino);
		if (r == 1)
			r = repair_name(repair, txn, problem, ret_done);
		return r;
	case FS_PROBLEM_STORE:
		break;
	}
	return 1;
}

/* 0 repaired, 1 not, -errno. What is not is told unless another way is left. */
static int problem_repair(struct repair *repair, const struct kept *problem,
			  enum repair_pass pass)
{
	struct fs_problem shown = { .kind = problem->kind,
				    .ino = problem->ino,
				    .path = problem->path,
				    .what = problem->what };
	struct txn *txn = txn_begin(repair->fs);
	const char *done = NULL;
	int r;

	if (!txn)
		return -ENOMEM;
	if (pass == PASS_LOST) {
		done = "it was made anew from what is left";
		r = inode_revive(txn, problem->ino);
	} else {
		r = repair_one(repair, txn, problem, &done);
	}
	if (r == 0)
		r = txn_commit(txn, KV_COMMIT_RESERVED);
	txn_end(txn);
	if (r == 0 || (r > 0 && pass != PASS_LOST))
		repair->fn(repair->ctx, &shown, r ? NULL : done);
	return r;
}

static void problem_keep(void *ctx, const struct fs_problem *problem)
{
	struct repair *repair = ctx;
	struct kept *kept = &repair->kept[repair->count];

	if (repair->count == KEPT_MAX) {
		repair->more = true;
		return;
	}
	*kept = (struct kept){
		.kind = problem->kind,
		.ino = problem->ino,
		.path = problem->path ? strdup(problem->path) : NULL,
		.what = strdup(problem->what),
	};
	if (!kept->what || (problem->path && !kept->path))
		repair->error = -ENOMEM;
	repair->count++;
}

static int on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct repair *repair = ctx;

	return repair->progress ? repair->progress(repair->ctx, done, total) :
				  0;
}

static void kept_release(struct repair *repair)
{
	while (repair->count) {
		repair->count--;
		free(repair->kept[repair->count].path);
		free(repair->kept[repair->count].what);
	}
}

static bool is_of_pass(const struct kept *problem, enum repair_pass pass)
{
	bool links = problem->kind == FS_PROBLEM_UNREACHABLE ||
		     problem->kind == FS_PROBLEM_LINK_COUNT;

	if (pass == PASS_LOST)
		return problem->kind == FS_PROBLEM_STRUCTURE && problem->ino;
	return links == (pass == PASS_LINKS);
}

/* 0, or -errno; *ret_any: one was repaired. */
static int kept_repair(struct repair *repair, enum repair_pass pass,
		       bool *ret_any)
{
	size_t i;
	int r;

	for (i = 0; i < repair->count; i++) {
		if (!is_of_pass(&repair->kept[i], pass))
			continue;
		r = problem_repair(repair, &repair->kept[i], pass);
		if (r < 0)
			return r;
		*ret_any |= r == 0;
	}
	return 0;
}

/* What a round's check found, repaired. 0 sound, 1 something was repaired, 2
 * nothing could be. */
static int round_run(struct repair *repair)
{
	bool any = false;
	int r;

	repair->more = false;
	r = fs_check(repair->fs, problem_keep, on_progress, repair);
	if (r == 1)
		r = repair->error;
	if (r == 0)
		r = kept_repair(repair, PASS_LOST, &any);
	/* Names may lead to what is back, and the other way round: look again. */
	if (r == 0 && !any)
		r = kept_repair(repair, PASS_OTHERS, &any);
	if (r == 0 && !any)
		r = kept_repair(repair, PASS_LINKS, &any);
	if (r == 0 && repair->count)
		r = any ? 1 : 2;
	kept_release(repair);
	return r;
}

int fs_repair(struct fs *fs, fs_repair_fn *fn, kv_progress_fn *progress,
	      void *ctx)
{
	struct repair repair = {
		.fs = fs,
		.fn = fn,
		.progress = progress,
		.ctx = ctx,
	};
	bool any = false;
	unsigned int round;
	int r = 2;

	repair.kept = calloc(KEPT_MAX, sizeof(*repair.kept));
	if (!repair.kept)
		return -ENOMEM;
	for (round = 0; round < ROUNDS_MAX; round++) {
		r = round_run(&repair);
		if (r != 1)
			break;
		any = true;
	}
	free(repair.kept);
	if (r < 0)
		return r;
	return r == 0 ? any : 2;
}
