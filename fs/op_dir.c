/* SPDX-License-Identifier: MIT */

/*
 * Listing directories: entries are put into the reply until it is full. With
 * attributes ("plus") an entry's are read as it is put. The kernel counts a
 * lookup for each such entry, except "." and ".." and those without a node id:
 * that is how an entry goes whose inode cannot be read, or is virtual.
 */

#include <errno.h>
#include <string.h>

#include "fs/mount.h"

struct listing {
	const struct request *request;
	bool plus;
	char *bytes;
	size_t size;
	size_t used;
};

static bool is_dots(struct slice name)
{
	const char *s = name.data;

	return (name.size == 1 && s[0] == '.') ||
	       (name.size == 2 && s[0] == '.' && s[1] == '.');
}

static size_t add_plain(struct listing *listing, const char *name,
			const struct fs_dirent *dirent)
{
	struct stat st = { .st_ino = dirent->ino, .st_mode = dirent->mode };

	return fuse_add_direntry(listing->request->req,
				 listing->bytes + listing->used,
				 listing->size - listing->used, name, &st,
				 (off_t)dirent->cookie);
}

static size_t add_plus(struct listing *listing, const char *name,
		       const struct fs_dirent *dirent)
{
	struct mount *mount = listing->request->mount;
	struct fuse_entry_param entry = {
		.attr_timeout = FOREVER_S,
		.entry_timeout = FOREVER_S,
		.attr.st_ino = dirent->ino,
		.attr.st_mode = dirent->mode,
	};
	struct fs_attr attr;

	if (!is_dots(dirent->name) && !virtual_is_node(dirent->ino) &&
	    fs_getattr(mount->fs, dirent->ino, &attr) == 0) {
		entry.ino = attr.ino;
		entry.generation = attr.generation;
		attr_to_stat(mount, &attr, &entry.attr);
	}
	return fuse_add_direntry_plus(listing->request->req,
				      listing->bytes + listing->used,
				      listing->size - listing->used, name,
				      &entry, (off_t)dirent->cookie);
}

static int add_entry(void *ctx, const struct fs_dirent *dirent)
{
	struct listing *listing = ctx;
	char name[FS_NAME_MAX + 1];
	size_t size;

	memcpy(name, dirent->name.data, dirent->name.size);
	name[dirent->name.size] = 0;
	if (listing->plus)
		size = add_plus(listing, name, dirent);
	else
		size = add_plain(listing, name, dirent);
	if (size > listing->size - listing->used)
		return 1; /* it did not fit, nothing was put */
	listing->used += size;
	return 0;
}

/* A directory with virtual entries behind its real ones. */
static int list_both(struct mount *mount, uint64_t ino, uint64_t cookie,
		     struct listing *listing)
{
	if (cookie < VIRTUAL_COOKIE) {
		size_t before = listing->used;
		int error =
			fs_readdir(mount->fs, ino, cookie, add_entry, listing);

		/* Real entries may be left: virtual ones come last. */
		if (error || listing->used != before)
			return error;
	}
	return virtual_readdir_behind(mount->virtual, ino, cookie, add_entry,
				      listing);
}

static void readdir_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	struct listing listing = {
		.request = request,
		.plus = request->op == OP_READDIRPLUS,
		.bytes = task_scratch(task, task->size),
		.size = task->size,
	};
	int error;

	if (!listing.bytes)
		error = -ENOMEM;
	else if (virtual_is_node(request->ino))
		error = virtual_readdir(mount->virtual, request->ino,
					task->offset, add_entry, &listing);
	else if (virtual_has_entries(mount->virtual, request->ino))
		error = list_both(mount, request->ino, task->offset, &listing);
	else
		error = fs_readdir(mount->fs, request->ino, task->offset,
				   add_entry, &listing);
	if (error)
		reply_error(request, error);
	else
		reply_data(request, listing.bytes, listing.used);
	task_scratch_release(task, listing.bytes);
}

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi)
{
	struct task task = {
		.run = readdir_run,
		.request = request_begin(req, OP_READDIR, ino),
		.offset = (uint64_t)offset,
		.size = size,
	};

	(void)fi;
	task_start(&task, TASK_PACED);
}

void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi)
{
	struct task task = {
		.run = readdir_run,
		.request = request_begin(req, OP_READDIRPLUS, ino),
		.offset = (uint64_t)offset,
		.size = size,
	};

	(void)fi;
	task_start(&task, TASK_PACED);
}
