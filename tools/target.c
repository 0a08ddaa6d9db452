/* SPDX-License-Identifier: MIT */

/*
 * Finding out what a path names, and what is the same for both ways of
 * reaching a store: walking to a key, drafts of new values.
 *
 * The path may be a mountpoint, a store nobody has open, a store that a mount
 * has open, or neither. Only opening it tells the second from the third (the
 * engine's lock decides, so there is no moment in between), and only the
 * kernel's list of mounts leads from a store to its mountpoint. One thread.
 */

#include "tools/target.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/mountinfo.h"
#include "tools/report.h"
#include "tools/target_ops.h"

/* --- opening --- */

static int open_through_mount(const char *path, enum target_access access,
			      struct target **ret_target)
{
	struct buf point = { 0 };
	int r;

	r = mountinfo_find_store(path, &point);
	if (r == 1) {
		report_error("%s: the store is open in another process, and "
			     "not mounted where this one can see it",
			     path);
		r = -EWOULDBLOCK;
		goto out;
	}
	if (r == 0)
		r = target_mount_open((const char *)point.data, access,
				      ret_target);
	if (r)
		report_errno(r, "%s", path);
out:
	buf_release(&point);
	return r;
}

static bool is_no_store(int error)
{
	return error == -ENOENT || error == -ENOTEMPTY || error == -ENOTDIR;
}

/* What is in a mount is named by the mount, and a key. */
static void say_no_store(const char *path, dev_t device)
{
	struct buf point = { 0 };
	struct target *target;

	if (mountinfo_find_device(device, &point) == 0 &&
	    target_mount_open((char *)point.data, TARGET_READ, &target) == 0) {
		report_error("%s: inside the store mounted on %s: name that, "
			     "and the rest as a key",
			     path, (char *)point.data);
		target_close(target);
	} else {
		report_error("%s: neither a kvfs store nor a mountpoint of "
			     "one",
			     path);
	}
	buf_release(&point);
}

static int open_store(const char *path, const struct stat *st,
		      enum target_access access, struct target **ret_target)
{
	int r;

	r = target_store_open(path, access, ret_target);
	if (r == -EWOULDBLOCK)
		return open_through_mount(path, access, ret_target);
	if (is_no_store(r))
		say_no_store(path, st->st_dev);
	else if (r)
		report_errno(r, "%s", path);
	return r;
}

int target_open(const char *path, enum target_access access,
		struct target **ret_target)
{
	struct buf point = { 0 };
	struct stat st;
	int r = -ENOTTY;

	if (stat(path, &st)) {
		r = -errno;
		report_errno(r, "%s", path);
		return r;
	}
	/* Through `path`: another mount may cover the point that is found. */
	if (st.st_ino == FS_ROOT_INO &&
	    mountinfo_find_device(st.st_dev, &point) == 0)
		r = target_mount_open(path, access, ret_target);
	if (r == -ENOTTY)
		r = open_store(path, &st, access, ret_target);
	else if (r)
		report_errno(r, "%s", path);
	buf_release(&point);
	return r;
}

int target_close(struct target *target)
{
	return target ? target->ops->close(target) : 0;
}

bool target_is_live(const struct target *target)
{
	return target->ops->is_live;
}

int target_sync(struct target *target)
{
	return target->ops->sync(target);
}

/* --- directories --- */

int target_root(struct target *target, struct target_dir *ret_dir)
{
	return target->ops->root(target, ret_dir);
}

int target_enter(struct target *target, const struct target_dir *dir,
		 const char *name, struct target_dir *ret_dir)
{
	return target->ops->enter(target, dir, name, ret_dir);
}

void target_leave(struct target *target, struct target_dir *dir)
{
	target->ops->leave(target, dir);
	*dir = (struct target_dir){ .fd = -1 };
}

void target_suspend(struct target *target, struct target_dir *dir)
{
	uint64_t ino = dir->ino;

	target_leave(target, dir);
	dir->ino = ino;
}

int target_resume(struct target *target, const struct target_dir *child,
		  struct target_dir *dir)
{
	return target->ops->resume(target, child, dir);
}

int target_lookup(struct target *target, const struct target_dir *dir,
		  const char *name, struct fs_attr *ret_attr)
{
	return target->ops->lookup(target, dir, name, ret_attr);
}

size_t target_page_budget(const struct target *target, size_t depth)
{
	size_t max = target->ops->page_budget_max_bytes;
	size_t min = target->ops->page_budget_min_bytes;

	/* Half of it at each step down: twice the most, all levels added. */
	while (depth-- && max > min)
		max /= 2;
	return max > min ? max : min;
}

int target_list(struct target *target, const struct target_dir *dir,
		const struct kv_range *range, struct page *page)
{
	int r;

	page_begin(page, range);
	r = target->ops->list(target, dir, page);
	if (r == 0)
		page_finish(page);
	return r;
}

/* What a mount shows by itself: as keys they could never be seen there. */
bool target_is_reserved(struct target *target, const struct target_dir *dir,
			const char *name)
{
	struct fs_partition partition;
	bool stats = strcmp(name, ".stats") == 0;

	if (dir->ino == FS_ROOT_INO)
		return stats || strcmp(name, ".kvfs") == 0;
	return stats && target_partition_stat(target, dir, &partition) == 0;
}

int target_make_dir(struct target *target, const struct target_dir *dir,
		    const char *name, uint32_t mode)
{
	if (target_is_reserved(target, dir, name))
		return -EPERM;
	return target->ops->make_dir(target, dir, name, mode);
}

int target_remove(struct target *target, const struct target_dir *dir,
		  const char *name)
{
	return target->ops->remove(target, dir, name);
}

int target_remove_dir(struct target *target, const struct target_dir *dir,
		      const char *name)
{
	return target->ops->remove_dir(target, dir, name);
}

int target_read_link(struct target *target, const struct target_dir *dir,
		     const char *name, struct buf *ret_text)
{
	return target->ops->read_link(target, dir, name, ret_text);
}

int target_make_link(struct target *target, const struct target_dir *dir,
		     const char *name, const char *text)
{
	if (target_is_reserved(target, dir, name))
		return -EPERM;
	return target->ops->make_link(target, dir, name, text);
}

int target_lock(struct target *target, struct target_dir *dir)
{
	int r = dir->locked ? 0 : target->ops->lock(target, dir);

	if (r == 0)
		dir->locked = true;
	return r;
}

/* --- places --- */

/* One step on the way: enters a directory, which is made if it may be. */
static int step_into(struct target *target, struct target_dir *dir,
		     const char *name, unsigned int flags)
{
	struct target_dir child;
	int r;

	r = target_enter(target, dir, name, &child);
	if (r == -ENOENT && (flags & TARGET_MAKE_PARENTS)) {
		r = target_make_dir(target, dir, name, 0777);
		/* Another may have been faster: then it is there as well. */
		if (r == 0 || r == -EEXIST)
			r = target_enter(target, dir, name, &child);
	}
	if (r)
		return r;
	target_leave(target, dir);
	*dir = child;
	return 0;
}

int target_find(struct target *target, const struct key *key,
		unsigned int flags, struct target_place *ret_place)
{
	struct target_place place = { .dir.fd = -1 };
	size_t i;
	int r;

	r = target_root(target, &place.dir);
	for (i = 0; r == 0 && i + 1 < key->count; i++)
		r = step_into(target, &place.dir, key_name(key, i), flags);
	if (r == 0) {
		place.name = key_name(key, key->count - 1);
		r = target_lookup(target, &place.dir, place.name, &place.attr);
	}
	if (r < 0)
		target_leave(target, &place.dir);
	/* Behind a file there is nothing; only a key to be made minds it. */
	if (r == -ENOENT || (r == -ENOTDIR && !(flags & TARGET_MAKE_PARENTS)))
		r = 1;
	if (r >= 0)
		*ret_place = place;
	return r;
}

void target_place_release(struct target *target, struct target_place *place)
{
	target_leave(target, &place->dir);
}

/* --- values --- */

int target_file_open(struct target *target, const struct target_place *place,
		     struct target_file *ret_file)
{
	if (S_ISDIR(place->attr.mode))
		return -EISDIR;
	if (!S_ISREG(place->attr.mode))
		return -EINVAL;
	return target->ops->file_open(target, &place->dir, place->name,
				      &place->attr, ret_file);
}

int target_file_read(struct target *target, struct target_file *file,
		     uint64_t offset, void *dst, size_t size, size_t *ret_read)
{
	if (size > TARGET_CHUNK_BYTES)
		size = TARGET_CHUNK_BYTES;
	return target->ops->file_read(target, file, offset, dst, size,
				      ret_read);
}

void target_file_close(struct target *target, struct target_file *file)
{
	target->ops->file_close(target, file);
}

/* A name that nothing else has: process, and 64 random bits. */
static int draft_set_name(struct target_draft *draft)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return -EIO;
	snprintf(draft->name, sizeof(draft->name), ".kvctl-%jd-%016" PRIx64,
		 (intmax_t)getpid(), random);
	return 0;
}

static uint32_t mask_mode(uint32_t mode)
{
	mode_t mask = umask(0);

	umask(mask);
	return mode & ~mask;
}

int target_draft_begin(struct target *target, const struct target_place *place,
		       bool replace, struct target_draft *ret_draft)
{
	struct target_draft draft = {
		.place = place,
		.replace = replace,
		.fd = -1,
	};
	bool inherit = replace && S_ISREG(place->attr.mode);
	int r;

	if (replace && S_ISDIR(place->attr.mode))
		return -EISDIR;
	if (target_is_reserved(target, &place->dir, place->name))
		return -EPERM;
	r = draft_set_name(&draft);
	if (r)
		return r;
	/* What is to inherit is nobody else's to read until it has. */
	r = target->ops->draft_create(target, &draft,
				      inherit ? 0600 : mask_mode(0666));
	if (r)
		return r;
	if (inherit)
		r = target->ops->draft_inherit(target, &draft, place->name,
					       &place->attr);
	if (r) {
		target_draft_cancel(target, &draft);
		return r;
	}
	*ret_draft = draft;
	return 0;
}

int target_draft_append(struct target *target, struct target_draft *draft,
			const void *src, size_t size)
{
	const char *at = src;
	size_t chunk;
	int r;

	for (; size; at += chunk, size -= chunk) {
		chunk = size < TARGET_CHUNK_BYTES ? size : TARGET_CHUNK_BYTES;
		r = target->ops->draft_append(target, draft, at, chunk);
		if (r)
			return r;
		draft->size_bytes += chunk;
	}
	return 0;
}

int target_draft_commit(struct target *target, struct target_draft *draft,
			unsigned int flags)
{
	struct target_place now = *draft->place;
	int r;

	/* The place may have changed hands while the value came in. */
	r = target_lookup(target, &now.dir, now.name, &now.attr);
	if (r == 0 && S_ISDIR(now.attr.mode))
		r = -EISDIR;
	if (r == 0 && (flags & TARGET_NO_REPLACE))
		r = -EEXIST;
	if (r >= 0)
		r = target->ops->draft_publish(target, draft, now.name,
					       r == 0 ? now.attr.ino : 0,
					       flags);
	if (r)
		target->ops->draft_drop(target, draft);
	target->ops->draft_end(target, draft);
	return r;
}

void target_draft_cancel(struct target *target, struct target_draft *draft)
{
	target->ops->draft_drop(target, draft);
	target->ops->draft_end(target, draft);
}

int target_append(struct target *target, const struct target_place *place,
		  const void *src, size_t size)
{
	assert(size <= TARGET_CHUNK_BYTES);
	if (S_ISDIR(place->attr.mode))
		return -EISDIR;
	if (!S_ISREG(place->attr.mode))
		return -EINVAL;
	return target->ops->append(target, place, src, size);
}

int target_apply(struct target *target, struct fs_change *changes, size_t count,
		 size_t *ret_failed)
{
	*ret_failed = count;
	return count ? target->ops->apply(target, changes, count, ret_failed) :
		       0;
}

/* --- partitions --- */

int target_partition_stat(struct target *target, const struct target_dir *dir,
			  struct fs_partition *ret_partition)
{
	return target->ops->partition_stat(target, dir, ret_partition);
}

int target_partition_set(struct target *target, const struct target_dir *dir,
			 enum partition_setting setting, const char *value)
{
	char name[64];

	snprintf(name, sizeof(name), PARTITION_XATTR_PREFIX "%s",
		 setting_name(setting));
	return target->ops->partition_set(target, dir, name, value);
}

int target_partition_drop(struct target *target, const char *name)
{
	return target->ops->partition_drop(target, name);
}

/* --- the whole store --- */

int target_report(struct target *target, enum target_report kind,
		  struct buf *ret_text)
{
	return target->ops->report(target, kind, ret_text);
}

int target_compact(struct target *target, kv_progress_fn *progress, void *ctx)
{
	return target->ops->compact(target, progress, ctx);
}

int target_repair(struct target *target, fs_repair_fn *fn,
		  kv_progress_fn *progress, void *ctx)
{
	return target->ops->repair ?
		       target->ops->repair(target, fn, progress, ctx) :
		       -EBUSY;
}

int target_check(struct target *target, const struct target_check_how *how,
		 fs_problem_fn *fn, kv_progress_fn *progress, void *ctx)
{
	return target->ops->check(target, how, fn, progress, ctx);
}
