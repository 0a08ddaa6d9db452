/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The FUSE operations of floorfs. Include with FUSE_USE_VERSION 312.
 */

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stddef.h>

#include "engine/lock.h"
#include "tests/bench/floor_tree.h"

struct floor_log;

enum floor_readdirplus {
	FLOOR_READDIRPLUS_NO,
	FLOOR_READDIRPLUS_AUTO,
	FLOOR_READDIRPLUS_ALWAYS,
};

/* What the kernel is told and asked; one of these per column of a table. */
struct floor_settings {
	double timeout_s;  /* of entries and attributes */
	bool serve_open;   /* answer OPEN, OPENDIR; else ENOSYS, for ever */
	bool serve_create; /* answer CREATE; else ENOSYS, MKNOD comes instead */
	bool serve_flush;  /* answer FLUSH; else ENOSYS */
	bool writeback;
	enum floor_readdirplus readdirplus;
};

/* The session's userdata. */
struct floor {
	/* constant after start */
	struct floor_settings settings;
	struct floor_log *log; /* NULL: none */
	/* guarded by lock */
	struct mutex lock;
	struct tree tree;
};

extern const struct fuse_lowlevel_ops floor_ops;

/* The directory operations, of floor_dir.c. */
void floor_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		   struct fuse_file_info *fi);
void floor_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size,
		       off_t offset, struct fuse_file_info *fi);

/* The extended attribute operations, of floor_xattr.c. */
void floor_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		    const char *value, size_t size, int flags);
void floor_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		    size_t size);
void floor_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void floor_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

static inline struct floor *floor_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Counts a reference that the kernel gets with the reply. Lock held. */
static inline void floor_entry(const struct floor *floor, struct node *node,
			       struct fuse_entry_param *entry)
{
	node->lookups++;
	*entry = (struct fuse_entry_param){
		.ino = node->st.st_ino,
		.generation = 1,
		.attr = node->st,
		.attr_timeout = floor->settings.timeout_s,
		.entry_timeout = floor->settings.timeout_s,
	};
}
