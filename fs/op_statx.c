/* SPDX-License-Identifier: MIT */

/*
 * statx(2) where the time of birth is asked for: the one attribute that GETATTR
 * does not have. libfuse 3.14 has no handler for the request, nor has Debian 12
 * its structures, so it is read here as the kernel sent it, and answered on the
 * device. The structures are those of linux/fuse.h of Linux 6.6 (protocol
 * 7.39).
 */

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs/mount.h"

struct wire_time {
	int64_t tv_sec;
	uint32_t tv_nsec;
	int32_t reserved;
};

struct wire_statx {
	uint32_t mask;
	uint32_t blksize;
	uint64_t attributes;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint16_t mode;
	uint16_t spare0;
	uint64_t ino;
	uint64_t size;
	uint64_t blocks;
	uint64_t attributes_mask;
	struct wire_time atime;
	struct wire_time btime;
	struct wire_time ctime;
	struct wire_time mtime;
	uint32_t rdev_major;
	uint32_t rdev_minor;
	uint32_t dev_major;
	uint32_t dev_minor;
	uint64_t spare2[14];
};

struct wire_statx_out {
	uint64_t valid_s;
	uint32_t valid_ns;
	uint32_t flags;
	uint64_t spare[2];
	struct wire_statx stat;
};

static struct wire_time time_to_wire(const struct timespec *time)
{
	return (struct wire_time){
		.tv_sec = time->tv_sec,
		.tv_nsec = (uint32_t)time->tv_nsec,
	};
}

static void attr_to_wire(const struct mount *mount, const struct fs_attr *attr,
			 struct wire_statx *ret_statx)
{
	*ret_statx = (struct wire_statx){
		.mask = STATX_BASIC_STATS | STATX_BTIME,
		.blksize = fs_block_size(mount->fs),
		.nlink = attr->nlink,
		.uid = attr->uid,
		.gid = attr->gid,
		.mode = (uint16_t)attr->mode,
		.ino = attr->ino,
		.size = attr->size_bytes,
		.blocks = attr->blocks,
		.atime = time_to_wire(&attr->atime),
		.btime = time_to_wire(&attr->btime),
		.ctime = time_to_wire(&attr->ctime),
		.mtime = time_to_wire(&attr->mtime),
		.rdev_major = major(attr->rdev),
		.rdev_minor = minor(attr->rdev),
	};
}

static void reply(const struct mount *mount, uint64_t unique, int error,
		  const struct fs_attr *attr)
{
	struct wire_statx_out out = { .valid_s = (uint64_t)FOREVER_S };
	struct fuse_out_header header = { .unique = unique, .error = error };
	struct iovec iov[] = {
		{ &header, sizeof(header) },
		{ &out, sizeof(out) },
	};

	header.len = sizeof(header);
	if (!error) {
		attr_to_wire(mount, attr, &out.stat);
		header.len += sizeof(out);
	}
	/* An answer that nobody waits for any more is refused. */
	if (writev(fuse_session_fd(mount->session), iov, error ? 1 : 2) < 0)
		errno = 0;
}

void op_statx(struct mount *mount)
{
	const struct fuse_in_header *header = channel_header(&mount->channel);
	uint64_t start_ns = time_now_ns();
	struct fs_attr attr = { 0 };
	int error;

	if (virtual_is_node(header->nodeid))
		error = virtual_getattr(mount->virtual, header->nodeid, &attr);
	else
		error = fs_getattr(mount->fs, header->nodeid, &attr);
	opstats_record(&mount->stats, OP_GETATTR, time_now_ns() - start_ns,
		       error);
	reply(mount, header->unique, error, &attr);
}
