/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The files that exist nowhere but here: /.stats and, in the directory /.kvfs,
 * stats.json, metrics, health and config; and .stats in the directory of each
 * partition. No libfuse, no store.
 *
 * Identity. Node ids of real inodes are inode numbers, below 2^63. Virtual
 * ones have the top bit set. The directory has one node for ever. Each lookup
 * of a file makes a new node, a snapshot: its text is rendered there and then,
 * so size and contents agree and stay as they are while somebody has it open.
 * The kernel must be told not to keep the name, so that the next open sees a
 * new snapshot. A snapshot lives until it was forgotten as often as looked up.
 * What stat(2) shows as st_ino has the top bit set, too, but is the same for
 * every snapshot of a file.
 */

#include <stdbool.h>
#include <stdint.h>

#include "fs/fs.h"
#include "fs/options.h"

enum virtual_file {
	VIRTUAL_STATS, /* /.stats */
	VIRTUAL_JSON,  /* the others in /.kvfs */
	VIRTUAL_METRICS,
	VIRTUAL_HEALTH,
	VIRTUAL_CONFIG,
	VIRTUAL_PARTITION, /* NAME/.stats */
	VIRTUAL_FILE_COUNT,
};

/* Appends the text of a file; `partition` is whose, of VIRTUAL_PARTITION. 0,
 * -ENOENT, -ENOMEM. Called without locks. */
typedef int virtual_render_fn(void *ctx, enum virtual_file file,
			      uint64_t partition, struct buf *ret_text);
/* Whether this inode is the directory of a partition. Cheap, no locks. */
typedef bool virtual_partition_fn(void *ctx, uint64_t ino);

struct virtual_settings {
	enum stats_visibility visibility;
	uint32_t uid, gid; /* who owns the files */
	virtual_render_fn *render;
	virtual_partition_fn *is_partition;
	void *ctx;
};

/* So many snapshots may live at a time; -ENFILE beyond. */
#define VIRTUAL_SNAPSHOT_MAX 4096u

struct virtual;

int virtual_new(const struct virtual_settings *settings,
		struct virtual **ret_virtual);
void virtual_free(struct virtual *virtual);

static inline bool virtual_is_node(uint64_t node)
{
	return node >> 63;
}

/* Is this name kept for a virtual file, shown or not? No real one may get it,
 * or it would come to light or vanish with the option `stats`. */
bool virtual_is_reserved(const struct virtual *virtual, uint64_t parent,
			 struct slice name);
/* A name that may come to be a virtual file's in any directory: that there is
 * none is not to be remembered. */
bool virtual_is_volatile(struct slice name);

/*
 * 0; 1 when the name is not virtual's to answer (parent is real then); -ENOENT,
 * -ENOTDIR, -ENFILE, -ENOMEM, -ESTALE. ret_attr->ino is for stat(2); *ret_node
 * is what the kernel is told, and counts as one lookup.
 */
int virtual_lookup(struct virtual *virtual, uint64_t parent, struct slice name,
		   uint64_t *ret_node, struct fs_attr *ret_attr);
void virtual_forget(struct virtual *virtual, uint64_t node,
		    uint64_t lookup_count);

/* 0, -ESTALE: there is no such node. */
int virtual_getattr(struct virtual *virtual, uint64_t node,
		    struct fs_attr *ret_attr);

/* Bytes from offset on, as many as there are. 0, -EISDIR, -ESTALE. */
int virtual_read(struct virtual *virtual, uint64_t node, uint64_t offset,
		 void *dst, size_t size, size_t *ret_read);

/* As fs_readdir, of /.kvfs. -ENOTDIR, -ESTALE. */
int virtual_readdir(struct virtual *virtual, uint64_t node, uint64_t cookie,
		    fs_readdir_fn *fn, void *ctx);

/*
 * What the listing of the root or of a partition's directory has behind its
 * real entries; nothing unless they are visible. Cookies lie beyond VIRTUAL_COOKIE, those of real entries below.
 */
#define VIRTUAL_COOKIE ((uint64_t)1 << 62)
bool virtual_has_entries(const struct virtual *virtual, uint64_t ino);
int virtual_readdir_behind(struct virtual *virtual, uint64_t ino,
			   uint64_t cookie, fs_readdir_fn *fn, void *ctx);
