/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The kernel's list of mounts, /proc/self/mountinfo (proc_pid_mountinfo(5)),
 * as far as finding a kvfs mount needs it.
 */

#include <stdbool.h>
#include <sys/types.h>

#include "engine/buf.h"

/* Strings are decoded, end in NUL and live in the line they came from. */
struct mount_entry {
	unsigned int major, minor; /* st_dev of what is in it */
	const char *root;          /* what of the filesystem is mounted: "/" */
	const char *point;         /* where */
	const char *type;          /* "fuse.kvfs" */
	const char *source;        /* the store's directory, for kvfs */
};

/*
 * Takes one line apart, in place. 0, or -EINVAL for one that is not of the
 * documented form (the line's contents are then unspecified).
 */
int mount_entry_parse(char *line, struct mount_entry *ret_entry);

/* True for what kvfs mounts, unless its subtype was overridden. */
bool mount_entry_is_kvfs(const struct mount_entry *entry);
/* True for every FUSE mount: with KVFS_IOC_INFO it can be asked what it is. */
bool mount_entry_is_fuse(const struct mount_entry *entry);

/* Non-zero ends the walk, which returns it. */
typedef int mountinfo_fn(void *ctx, const struct mount_entry *entry);

/*
 * Calls fn for every mount in order of mounting: of several on one point the
 * last is the one to be seen. 0, what fn returned, or -errno.
 */
int mountinfo_walk(mountinfo_fn *fn, void *ctx);

/*
 * The FUSE mount whose filesystem is device `device` and whose whole root is
 * mounted. Appends its mountpoint, with a NUL. 0, 1 when there is none, -errno.
 */
int mountinfo_find_device(dev_t device, struct buf *ret_point);

/*
 * The mountpoint of a FUSE mount whose source is the directory `store_path`
 * (compared as directories, not as text). Results as above.
 */
int mountinfo_find_store(const char *store_path, struct buf *ret_point);
