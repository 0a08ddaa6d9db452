/* SPDX-License-Identifier: MIT */

/*
 * One request: when it came, who sent it, and how it is answered. Every reply
 * is counted just before it is sent: a client that has its answer finds it in
 * .stats.
 *
 * Invariants:
 *  1. Exactly one reply_*() is called for a request, and nothing uses its
 *     fuse_req_t afterwards.
 *  2. -ENOSYS is never replied by mistake: the kernel would not ask again.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "fs/log.h"
#include "fs/mount.h"

#define BLOCK_BYTES 4096u     /* the unit of statfs(2) */
#define GROUP_COUNT_MAX 65536 /* NGROUPS_MAX of Linux */

struct request request_begin(fuse_req_t req, enum op op, uint64_t ino)
{
	return (struct request){
		.mount = fuse_req_userdata(req),
		.req = req,
		.op = op,
		.ino = ino,
		.start_ns = time_now_ns(),
	};
}

static void request_count(const struct request *request, int error)
{
	struct mount *mount = request->mount;
	uint64_t time_ns = time_now_ns() - request->start_ns;

	opstats_record(&mount->stats, request->op, time_ns, error);
	if (mount->slow_op_ns && time_ns >= mount->slow_op_ns)
		log_line(KV_LOG_WARNING, "slow: %s of inode %llu took %llu ms",
			 op_name(request->op), (unsigned long long)request->ino,
			 (unsigned long long)(time_ns / 1000000));
}

static bool in_group(void *ctx, uint32_t gid)
{
	fuse_req_t req = ctx;
	gid_t some[64];
	gid_t *groups = some;
	int count = fuse_req_getgroups(req, 64, some);
	bool found = false;

	if (count > 64 && count <= GROUP_COUNT_MAX) {
		groups = calloc((size_t)count, sizeof(*groups));
		if (!groups)
			return false;
		/* It may have lost some since, hardly gained. */
		if (fuse_req_getgroups(req, count, groups) < count)
			count = 0;
	}
	for (int i = 0; i < count && !found; i++)
		found = groups[i] == gid;
	if (groups != some)
		free(groups);
	return found;
}

struct fs_cred request_cred(fuse_req_t req)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	return (struct fs_cred){
		.uid = ctx->uid,
		.gid = ctx->gid,
		.umask = ctx->umask,
		.in_group = in_group,
		.ctx = req,
	};
}

void attr_to_stat(const struct mount *mount, const struct fs_attr *attr,
		  struct stat *ret_stat)
{
	*ret_stat = (struct stat){
		.st_ino = attr->ino,
		.st_mode = attr->mode,
		.st_nlink = attr->nlink,
		.st_uid = attr->uid,
		.st_gid = attr->gid,
		.st_rdev = attr->rdev,
		.st_size = (off_t)attr->size_bytes,
		.st_blocks = (blkcnt_t)attr->blocks,
		/* stdio buffers that much: fewer, larger requests. */
		.st_blksize = (blksize_t)fs_block_size(mount->fs),
		.st_atim = attr->atime,
		.st_mtim = attr->mtime,
		.st_ctim = attr->ctime,
	};
}

/* --- replies --- */

void reply_error(const struct request *request, int error)
{
	if (error == -ENOSYS)
		error = -EOPNOTSUPP;
	request_count(request, error);
	fuse_reply_err(request->req, -error);
}

void reply_none(const struct request *request)
{
	request_count(request, 0);
	fuse_reply_none(request->req);
}

int reply_open(const struct request *request, const struct fuse_file_info *fi)
{
	request_count(request, 0);
	return fuse_reply_open(request->req, fi);
}

void reply_attr(const struct request *request, const struct fs_attr *attr)
{
	struct stat st;

	attr_to_stat(request->mount, attr, &st);
	request_count(request, 0);
	fuse_reply_attr(request->req, &st, FOREVER_S);
}

void reply_entry(const struct request *request, uint64_t node,
		 const struct fs_attr *attr)
{
	/* A virtual file's name must lead to a new snapshot each time. */
	struct fuse_entry_param entry = {
		.ino = node,
		.generation = attr->generation,
		.attr_timeout = FOREVER_S,
		.entry_timeout = virtual_is_node(node) ? 0 : FOREVER_S,
	};

	attr_to_stat(request->mount, attr, &entry.attr);
	request_count(request, 0);
	if (fuse_reply_entry(request->req, &entry) && virtual_is_node(node))
		virtual_forget(request->mount->virtual, node, 1);
}

void reply_no_entry(const struct request *request)
{
	struct fuse_entry_param entry = { .entry_timeout = FOREVER_S };

	request_count(request, -ENOENT);
	fuse_reply_entry(request->req, &entry);
}

void reply_data(const struct request *request, const void *data, size_t size)
{
	request_count(request, 0);
	fuse_reply_buf(request->req, data, size);
}

void reply_link_target(const struct request *request, const char *target)
{
	request_count(request, 0);
	fuse_reply_readlink(request->req, target);
}

void reply_count(const struct request *request, size_t count)
{
	request_count(request, 0);
	fuse_reply_write(request->req, count);
}

void reply_offset(const struct request *request, uint64_t offset)
{
	request_count(request, 0);
	fuse_reply_lseek(request->req, (off_t)offset);
}

void reply_xattr(const struct request *request, struct slice value, size_t size)
{
	if (size && value.size > size) {
		reply_error(request, -ERANGE);
		return;
	}
	request_count(request, 0);
	if (size)
		fuse_reply_buf(request->req, value.data, value.size);
	else
		fuse_reply_xattr(request->req, value.size);
}

void reply_statfs(const struct request *request, const struct fs_statfs *st)
{
	/* An inode takes a few hundred bytes: as many fit as space does. */
	uint64_t free_inodes = st->free_bytes / 256;
	struct statvfs reply = {
		.f_bsize = BLOCK_BYTES,
		.f_frsize = BLOCK_BYTES,
		.f_blocks = st->total_bytes / BLOCK_BYTES,
		.f_bfree = st->free_bytes / BLOCK_BYTES,
		.f_bavail = st->free_bytes / BLOCK_BYTES,
		.f_files = st->file_count + free_inodes,
		.f_ffree = free_inodes,
		.f_favail = free_inodes,
		.f_namemax = FS_NAME_MAX,
	};

	request_count(request, 0);
	fuse_reply_statfs(request->req, &reply);
}

void reply_ioctl(const struct request *request, const void *data, size_t size)
{
	request_count(request, 0);
	fuse_reply_ioctl(request->req, 0, data, size);
}
