/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What a way of reaching a store has to offer; private to target*.c. Each
 * function is as the one of the same name in target.h.
 */

#include "tools/target.h"

struct target_ops {
	int (*close)(struct target *target);
	int (*sync)(struct target *target);

	int (*root)(struct target *target, struct target_dir *ret_dir);
	int (*enter)(struct target *target, const struct target_dir *dir,
		     const char *name, struct target_dir *ret_dir);
	void (*leave)(struct target *target, struct target_dir *dir);
	int (*resume)(struct target *target, const struct target_dir *child,
		      struct target_dir *dir);
	int (*lookup)(struct target *target, const struct target_dir *dir,
		      const char *name, struct fs_attr *ret_attr);
	int (*list)(struct target *target, const struct target_dir *dir,
		    struct page *page);
	int (*make_dir)(struct target *target, const struct target_dir *dir,
			const char *name, uint32_t mode);
	int (*remove)(struct target *target, const struct target_dir *dir,
		      const char *name);
	int (*remove_dir)(struct target *target, const struct target_dir *dir,
			  const char *name);
	int (*read_link)(struct target *target, const struct target_dir *dir,
			 const char *name, struct buf *ret_text);
	int (*make_link)(struct target *target, const struct target_dir *dir,
			 const char *name, const char *text);
	int (*lock)(struct target *target, struct target_dir *dir);

	int (*file_open)(struct target *target, const struct target_dir *dir,
			 const char *name, const struct fs_attr *attr,
			 struct target_file *ret_file);
	int (*file_read)(struct target *target, struct target_file *file,
			 uint64_t offset, void *dst, size_t size,
			 size_t *ret_read);
	void (*file_close)(struct target *target, struct target_file *file);

	int (*draft_create)(struct target *target, struct target_draft *draft,
			    uint32_t mode);
	/* Gives the draft what belongs to the file `name` beside it. */
	int (*draft_inherit)(struct target *target, struct target_draft *draft,
			     const char *name, const struct fs_attr *attr);
	int (*draft_append)(struct target *target, struct target_draft *draft,
			    const void *src, size_t size);
	/* Renames over `name`, which is inode `replaced` (0: none). */
	int (*draft_publish)(struct target *target, struct target_draft *draft,
			     const char *name, uint64_t replaced,
			     unsigned int flags);
	void (*draft_drop)(struct target *target, struct target_draft *draft);
	void (*draft_end)(struct target *target, struct target_draft *draft);

	int (*append)(struct target *target, const struct target_place *place,
		      const void *src, size_t size);
	int (*apply)(struct target *target, struct fs_change *changes,
		     size_t count, size_t *ret_failed);

	int (*partition_stat)(struct target *target,
			      const struct target_dir *dir,
			      struct fs_partition *ret_partition);
	/* By the name of the attribute. */
	int (*partition_set)(struct target *target,
			     const struct target_dir *dir, const char *name,
			     const char *value);
	int (*partition_drop)(struct target *target, const char *name);

	int (*report)(struct target *target, enum target_report kind,
		      struct buf *ret_text);
	int (*compact)(struct target *target, kv_progress_fn *progress,
		       void *ctx);
	/* NULL: it cannot be done this way. */
	int (*repair)(struct target *target, fs_repair_fn *fn,
		      kv_progress_fn *progress, void *ctx);
	int (*check)(struct target *target, const struct target_check_how *how,
		     fs_problem_fn *fn, kv_progress_fn *progress, void *ctx);

	bool is_live;
	/* What one page of a listing may hold at the root, and deep down. */
	size_t page_budget_max_bytes, page_budget_min_bytes;
};

/* To be embedded as first member. */
struct target {
	const struct target_ops *ops;
	enum target_access access;
};

/* Opens the store in a directory. Errors as fs_open(). */
int target_store_open(const char *path, enum target_access access,
		      struct target **ret_target);
/* Opens the mountpoint of a mount. -ENOTTY when it is not one of kvfs. */
int target_mount_open(const char *point, enum target_access access,
		      struct target **ret_target);

/* The jobs of a mount, by ioctls on `fd`, waited for. As in target.h. */
int target_job_compact(int fd, kv_progress_fn *progress, void *ctx);
int target_job_check(int fd, const struct target_check_how *how,
		     fs_problem_fn *fn, kv_progress_fn *progress, void *ctx);
