/* SPDX-License-Identifier: MIT */

/*
 * O_TMPFILE. libfuse 3.14 has no handler for the request, so it is read here
 * as the kernel sent it, and answered on the device. The file it opens is one
 * of those that get a RELEASE, which libfuse answers by itself.
 */

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/mount.h"

static void attr_to_wire(const struct mount *mount, const struct fs_attr *attr,
			 struct fuse_attr *ret_attr)
{
	*ret_attr = (struct fuse_attr){
		.ino = attr->ino,
		.size = attr->size_bytes,
		.blocks = attr->blocks,
		.atime = (uint64_t)attr->atime.tv_sec,
		.mtime = (uint64_t)attr->mtime.tv_sec,
		.ctime = (uint64_t)attr->ctime.tv_sec,
		.atimensec = (uint32_t)attr->atime.tv_nsec,
		.mtimensec = (uint32_t)attr->mtime.tv_nsec,
		.ctimensec = (uint32_t)attr->ctime.tv_nsec,
		.mode = attr->mode,
		.nlink = attr->nlink,
		.uid = attr->uid,
		.gid = attr->gid,
		.rdev = (uint32_t)attr->rdev,
		.blksize = fs_block_size(mount->fs),
	};
}

static void reply(const struct mount *mount, uint64_t unique, int error,
		  const struct fs_attr *attr)
{
	struct fuse_entry_out entry = { 0 };
	struct fuse_open_out open = { .open_flags = FOPEN_KEEP_CACHE };
	struct fuse_out_header header = { .unique = unique, .error = error };
	struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ &entry, sizeof(entry) },
		{ &open, sizeof(open) },
	};

	header.len = sizeof(header);
	if (!error) {
		entry.nodeid = attr->ino;
		entry.generation = attr->generation;
		entry.attr_valid = (uint64_t)FOREVER_S;
		attr_to_wire(mount, attr, &entry.attr);
		header.len += sizeof(entry) + sizeof(open);
	}
	/* Where nobody waits for the answer any more, the forget does not come
	 * either; the file then goes at the end. */
	if (writev(fuse_session_fd(mount->session), iov, error ? 1 : 3) < 0)
		errno = 0;
}

void op_tmpfile(struct mount *mount)
{
	const struct fuse_in_header *header = channel_header(&mount->channel);
	uint64_t start_ns = time_now_ns();
	struct fuse_create_in in;
	struct fs_cred cred = { .uid = header->uid, .gid = header->gid };
	struct fs_attr attr;
	int error = -EINVAL;

	if (channel_buffer(&mount->channel)->size >=
	    sizeof(*header) + sizeof(in)) {
		memcpy(&in, header + 1, sizeof(in));
		cred.umask = in.umask;
		error = virtual_is_node(header->nodeid) ?
				-EPERM :
				fs_tmpfile(mount->fs, &cred, header->nodeid,
					   in.mode, &attr);
	}
	opstats_record(&mount->stats, OP_TMPFILE, time_now_ns() - start_ns,
		       error);
	reply(mount, header->unique, error, &attr);
}
