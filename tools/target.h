/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A target: the store that a command works on, whichever way it is reached.
 * One that is not mounted is opened here, through the fs core; one that is
 * mounted is worked on as any program does, by system calls below its
 * mountpoint, and by ioctls on its root directory. Commands do not see the
 * difference.
 *
 * Results: 0, -errno, or a positive outcome that a function names. Names are
 * real file names (not escaped), without NUL or slash. Used by one thread.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "fs/apply.h"
#include "fs/fs.h"
#include "fs/partition.h"
#include "fs/repair.h"
#include "tools/key.h"
#include "tools/page.h"

struct target;

enum target_access {
	TARGET_READ,
	TARGET_WRITE,
};

/*
 * Opens what `path` names: the mountpoint of a kvfs mount, or the directory of
 * a store, which is gone through its mount when it has one. Prints what is
 * wrong when it fails (-errno): the caller says no more.
 */
int target_open(const char *path, enum target_access access,
		struct target **ret_target);

/*
 * Makes an empty store in `path`, which must not exist or be empty.
 * block_size_bytes 0: the default. -EEXIST when there is a store, -ENOTEMPTY
 * when there is something else, -EINVAL for the block size.
 */
int target_create(const char *path, uint32_t block_size_bytes);

/*
 * Frees the target. An unmounted store is made durable; for a mount that was
 * written to, target_sync() does so. The error tells what may be lost.
 */
int target_close(struct target *target);

/* Whether a daemon serves it: then it may change meanwhile. */
bool target_is_live(const struct target *target);

/* Makes all changes so far survive power loss. */
int target_sync(struct target *target);

/* --- directories --- */

/* A directory that is open. To be given back with target_leave(). */
struct target_dir {
	uint64_t ino;
	int fd; /* of a mount; -1: none */
	bool locked;
};

int target_root(struct target *target, struct target_dir *ret_dir);
/* Opens a directory in `dir`. -ENOENT, -ENOTDIR (symbolic links too). */
int target_enter(struct target *target, const struct target_dir *dir,
		 const char *name, struct target_dir *ret_dir);
void target_leave(struct target *target, struct target_dir *dir);

/*
 * Gives up what an open directory costs while a subdirectory of it is worked
 * on, and takes it up again from that subdirectory. So trees of any depth need
 * few descriptors. -ESTALE when the tree was changed in between.
 */
void target_suspend(struct target *target, struct target_dir *dir);
int target_resume(struct target *target, const struct target_dir *child,
		  struct target_dir *dir);

/* What a name stands for. 0, 1 when there is no such name, -errno. */
int target_lookup(struct target *target, const struct target_dir *dir,
		  const char *name, struct fs_attr *ret_attr);

/*
 * Fills a page with names in range, as its header says. Virtual files are not
 * among them. page_budget() is what a page may hold at `depth` below the root.
 */
int target_list(struct target *target, const struct target_dir *dir,
		const struct kv_range *range, struct page *page);
size_t target_page_budget(const struct target *target, size_t depth);

/* mode: permission bits, before the umask. -EEXIST, -EPERM for what a mount
 * shows by itself. */
int target_make_dir(struct target *target, const struct target_dir *dir,
		    const char *name, uint32_t mode);
/* -EISDIR. */
int target_remove(struct target *target, const struct target_dir *dir,
		  const char *name);
/* -ENOTDIR, -ENOTEMPTY. */
int target_remove_dir(struct target *target, const struct target_dir *dir,
		      const char *name);
/* Appends what a symbolic link says. */
int target_read_link(struct target *target, const struct target_dir *dir,
		     const char *name, struct buf *ret_text);

/* Makes a symbolic link that says `text`. -EEXIST, -EPERM as for
 * directories. */
int target_make_link(struct target *target, const struct target_dir *dir,
		     const char *name, const char *text);

/*
 * Shuts out other kvctls from changing names in this directory until it is
 * left. Programs that work on a mount by themselves do not look at it. One that
 * is locked stays so.
 */
int target_lock(struct target *target, struct target_dir *dir);

/* --- places: where a key is --- */

struct target_place {
	struct target_dir dir;
	const char *name;    /* in dir, borrowed from the key */
	struct fs_attr attr; /* when there is such a name */
};

enum target_find_flags {
	TARGET_MAKE_PARENTS = 1u << 0,
};

/*
 * Walks to a key. *ret_place is to be given back with target_place_release()
 * after 0 (there is such a name) and after 1 (there is not; with dir.ino == 0
 * not even its directory). Symbolic links are not followed. -ENOTDIR, with
 * TARGET_MAKE_PARENTS, when the way leads through what is not a directory. On
 * errors there is nothing to release.
 */
int target_find(struct target *target, const struct key *key,
		unsigned int flags, struct target_place *ret_place);
void target_place_release(struct target *target, struct target_place *place);

/* --- values --- */

/* A file that is open for reading. */
struct target_file {
	uint64_t ino;
	int fd;
};

#define TARGET_CHUNK_BYTES (1u << 20) /* at most, in one read or write */

/* -EISDIR, -EINVAL for what is neither a directory nor a regular file. */
int target_file_open(struct target *target, const struct target_place *place,
		     struct target_file *ret_file);
/* *ret_read is 0 at the end only. */
int target_file_read(struct target *target, struct target_file *file,
		     uint64_t offset, void *dst, size_t size, size_t *ret_read);
void target_file_close(struct target *target, struct target_file *file);

/*
 * A new value on its way: a temporary file beside the key until
 * target_draft_commit() puts it in the key's place in one step, with the
 * owner, mode (but for set-id bits) and extended attributes of the file that it
 * replaces. What becomes visible is whole, after power loss too.
 */
struct target_draft {
	const struct target_place *place; /* borrowed */
	bool replace;
	uint64_t ino; /* of the temporary file; 0: none yet */
	uint64_t size_bytes;
	int fd;
	char name[48];
	struct buf bytes; /* of a store: the value while it is small */
	struct target_attributes {
		bool has_mode, has_mtime;
		uint32_t mode;
		struct timespec mtime;
	} attributes; /* to be given to the file; may be set until the commit */
};

enum target_commit_flags {
	/* -EEXIST when the place is taken by then. */
	TARGET_NO_REPLACE = 1u << 0,
};

/* `replace`: the place is taken (its attr is valid). -EISDIR, -EPERM for what a
 * mount shows by itself. */
int target_draft_begin(struct target *target, const struct target_place *place,
		       bool replace, struct target_draft *ret_draft);
int target_draft_append(struct target *target, struct target_draft *draft,
			const void *src, size_t size);
/* Ends the draft, as does target_draft_cancel(); on failure nothing changed. */
int target_draft_commit(struct target *target, struct target_draft *draft,
			unsigned int flags);
void target_draft_cancel(struct target *target, struct target_draft *draft);

/*
 * Adds bytes to the end of the regular file in a place, at most
 * TARGET_CHUNK_BYTES: in one step on a store that is not mounted. -EISDIR,
 * -EINVAL.
 */
int target_append(struct target *target, const struct target_place *place,
		  const void *src, size_t size);

/*
 * All changes in one step, as fs_apply(). -EPERM or -ENOTTY also when this
 * mount does not take a batch from this user: then do them one by one.
 */
int target_apply(struct target *target, struct fs_change *changes, size_t count,
		 size_t *ret_failed);

/* Whether a mount shows this name by itself, so that it cannot be a key. */
bool target_is_reserved(struct target *target, const struct target_dir *dir,
			const char *name);

/* --- partitions: directories of the root (fs/partition.h) --- */

/* -ENODATA: this directory is none. */
int target_partition_stat(struct target *target, const struct target_dir *dir,
			  struct fs_partition *ret_partition);
/* Makes it one, if it is none. Errors as fs_setxattr(). */
int target_partition_set(struct target *target, const struct target_dir *dir,
			 enum partition_setting setting, const char *value);
/* As fs_partition_drop(), by name in the root. Of a store that is not mounted
 * the space is left to target_compact(), or to the next mount. */
int target_partition_drop(struct target *target, const char *name);

/* --- the whole store --- */

/* What a mount shows as virtual files. */
enum target_report {
	TARGET_STATS,      /* .stats */
	TARGET_STATS_JSON, /* .kvfs/stats.json */
	TARGET_HEALTH,     /* .kvfs/health */
};

/* Appends a report's text. -EOPNOTSUPP when the mount has them switched off. */
int target_report(struct target *target, enum target_report kind,
		  struct buf *ret_text);
int target_compact(struct target *target, kv_progress_fn *progress, void *ctx);
/* As fs_repair(). -EBUSY for a store that is mounted. */
int target_repair(struct target *target, fs_repair_fn *fn,
		  kv_progress_fn *progress, void *ctx);

struct target_check_how {
	bool bytes_only;     /* a scrub */
	bool resume;         /* go on where the last one of its kind stopped */
	uint64_t rate_bytes; /* of a scrub, a second; 0: no limit */
};

/* As fs_check_as(): 0 sound, 1 when a problem was reported; what it leaves when
 * it is stopped can be gone on with, mounted or not. */
int target_check(struct target *target, const struct target_check_how *how,
		 fs_problem_fn *fn, kv_progress_fn *progress, void *ctx);
