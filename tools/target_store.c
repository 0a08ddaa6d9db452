/* SPDX-License-Identifier: MIT */

/*
 * A store that is not mounted, worked on through the fs core. The engine's
 * lock keeps everybody else away while it is open, so nothing here has to be
 * shut out. An inode that loses its last name is forgotten at once: no kernel
 * has it open. Changes are durable when the target is closed. One thread.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/open_wait.h"
#include "fs/stats_text.h"
#include "tools/report.h"
#include "tools/target_ops.h"

#define PAGE_BUDGET_BYTES (16u << 10) /* names come sorted: little is needed */

struct target_store {
	struct target target; /* first: they are cast into each other */
	struct fs *fs;
	char *path; /* absolute */
};

static struct fs *fs_of(struct target *target)
{
	return ((struct target_store *)target)->fs;
}

static struct slice slice_of_name(const char *name)
{
	return slice_of(name, strlen(name));
}

static bool is_in_group(void *ctx, uint32_t gid)
{
	gid_t groups[1024]; /* NGROUPS_MAX is more than anybody has */
	int count = getgroups(1024, groups);

	(void)ctx;
	while (count > 0) {
		if (groups[--count] == gid)
			return true;
	}
	return false;
}

static uint32_t own_umask(void)
{
	mode_t mask = umask(0);

	umask(mask);
	return mask;
}

static struct fs_cred own_cred(void)
{
	return (struct fs_cred){ .uid = geteuid(),
				 .gid = getegid(),
				 .umask = own_umask(),
				 .in_group = is_in_group };
}

static int store_close(struct target *target)
{
	struct target_store *store = (struct target_store *)target;
	int r = fs_close(store->fs);

	free(store->path);
	free(store);
	return r;
}

static int store_sync(struct target *target)
{
	return fs_sync(fs_of(target));
}

/* --- directories --- */

static int store_root(struct target *target, struct target_dir *ret_dir)
{
	(void)target;
	*ret_dir = (struct target_dir){ .ino = FS_ROOT_INO, .fd = -1 };
	return 0;
}

static int store_enter(struct target *target, const struct target_dir *dir,
		       const char *name, struct target_dir *ret_dir)
{
	struct fs_attr attr;
	int r;

	r = fs_lookup(fs_of(target), dir->ino, slice_of_name(name), &attr);
	if (r)
		return r;
	if (!S_ISDIR(attr.mode))
		return -ENOTDIR;
	*ret_dir = (struct target_dir){ .ino = attr.ino, .fd = -1 };
	return 0;
}

static void store_leave(struct target *target, struct target_dir *dir)
{
	(void)target;
	(void)dir;
}

static int store_resume(struct target *target, const struct target_dir *child,
			struct target_dir *dir)
{
	(void)target;
	(void)child;
	(void)dir;
	return 0;
}

static int store_lookup(struct target *target, const struct target_dir *dir,
			const char *name, struct fs_attr *ret_attr)
{
	int r = fs_lookup(fs_of(target), dir->ino, slice_of_name(name),
			  ret_attr);

	return r == -ENOENT ? 1 : r;
}

struct list_state {
	struct page *page;
	int error;
};

static int list_visit(void *ctx, const struct fs_dirent *entry)
{
	struct list_state *state = ctx;
	int r = page_add_sorted(state->page, entry->name, entry->ino,
				entry->mode);

	if (r < 0)
		state->error = r;
	return r;
}

static int store_list(struct target *target, const struct target_dir *dir,
		      struct page *page)
{
	struct list_state state = { .page = page };
	struct slice from = page->range.from;
	bool after = page->range.after;
	int r;

	if (slice_compare(from, page->range.prefix) < 0) {
		from = page->range.prefix;
		after = false;
	}
	r = fs_list_names(fs_of(target), dir->ino, from, after, list_visit,
			  &state);
	return r < 0 ? r : state.error;
}

static int store_make_dir(struct target *target, const struct target_dir *dir,
			  const char *name, uint32_t mode)
{
	struct fs_cred cred = own_cred();
	struct fs_attr attr;

	return fs_mkdir(fs_of(target), &cred, dir->ino, slice_of_name(name),
			mode, &attr);
}

static int store_remove(struct target *target, const struct target_dir *dir,
			const char *name)
{
	uint64_t ino;
	int r;

	r = fs_unlink(fs_of(target), dir->ino, slice_of_name(name), &ino);
	if (r == 0)
		fs_forget(fs_of(target), ino);
	return r;
}

static int store_remove_dir(struct target *target, const struct target_dir *dir,
			    const char *name)
{
	uint64_t ino;
	int r;

	r = fs_rmdir(fs_of(target), dir->ino, slice_of_name(name), &ino);
	if (r == 0)
		fs_forget(fs_of(target), ino);
	return r;
}

static int store_read_link(struct target *target, const struct target_dir *dir,
			   const char *name, struct buf *ret_text)
{
	struct fs_attr attr;
	struct buf text = { 0 };
	int r;

	r = fs_lookup(fs_of(target), dir->ino, slice_of_name(name), &attr);
	if (r == 0)
		r = fs_readlink(fs_of(target), attr.ino, &text);
	if (r == 0)
		r = buf_append(ret_text, text.data, text.size);
	buf_release(&text);
	return r;
}

static int store_make_link(struct target *target, const struct target_dir *dir,
			   const char *name, const char *text)
{
	struct fs_cred cred = own_cred();

	return fs_symlink(fs_of(target), &cred, dir->ino, slice_of_name(name),
			  slice_of_name(text), NULL);
}

static int store_lock(struct target *target, struct target_dir *dir)
{
	(void)target;
	(void)dir;
	return 0;
}

/* --- values --- */

static int store_file_open(struct target *target, const struct target_dir *dir,
			   const char *name, const struct fs_attr *attr,
			   struct target_file *ret_file)
{
	(void)target;
	(void)dir;
	(void)name;
	*ret_file = (struct target_file){ .ino = attr->ino, .fd = -1 };
	return 0;
}

static int store_file_read(struct target *target, struct target_file *file,
			   uint64_t offset, void *dst, size_t size,
			   size_t *ret_read)
{
	return fs_read(fs_of(target), file->ino, offset, dst, size, ret_read);
}

static void store_file_close(struct target *target, struct target_file *file)
{
	(void)target;
	(void)file;
}

static int copy_xattr(struct fs *fs, uint64_t from, uint64_t to,
		      struct slice name)
{
	struct buf value = { 0 };
	int r;

	r = fs_getxattr(fs, from, name, &value);
	if (r == 0)
		r = fs_setxattr(fs, NULL, to, name, buf_slice(&value), 0,
				false);
	buf_release(&value);
	return r;
}

static int copy_xattrs(struct fs *fs, uint64_t from, uint64_t to)
{
	struct buf names = { 0 };
	size_t at = 0;
	int r;

	r = fs_listxattr(fs, from, &names);
	while (r == 0 && at < names.size) {
		const char *name = (const char *)names.data + at;
		size_t size = strnlen(name, names.size - at);

		r = copy_xattr(fs, from, to, slice_of(name, size));
		at += size + 1;
	}
	buf_release(&names);
	return r;
}

/* What fs_apply() does of itself, for a value too large for it. */
static int draft_inherit(struct fs *fs, const struct target_draft *draft,
			 const struct fs_attr *attr)
{
	struct fs_attr now = *attr, after;
	int r;

	now.mode &= ~(uint32_t)(S_ISUID | S_ISGID);
	r = copy_xattrs(fs, attr->ino, draft->ino);
	if (r)
		return r;
	return fs_setattr(fs, NULL, draft->ino,
			  FS_SET_MODE | FS_SET_UID | FS_SET_GID, &now, &after);
}

static int draft_write(struct fs *fs, const struct target_draft *draft,
		       uint64_t offset, const uint8_t *src, size_t size)
{
	size_t chunk;
	int r = 0;

	for (; r == 0 && size; src += chunk, offset += chunk, size -= chunk) {
		chunk = size < FS_WRITE_MAX ? size : FS_WRITE_MAX;
		r = fs_write(fs, draft->ino, offset, src, chunk, 0);
	}
	return r;
}

/* The value gets too large for one batch: it goes on in a temporary file. */
static int draft_spill(struct fs *fs, struct target_draft *draft)
{
	const struct target_place *place = draft->place;
	struct fs_cred cred = own_cred();
	struct fs_attr attr;
	int r;

	r = fs_mknod(fs, &cred, place->dir.ino, slice_of_name(draft->name),
		     S_IFREG | 0666, 0, &attr);
	if (r)
		return r;
	draft->ino = attr.ino;
	if (draft->replace && S_ISREG(place->attr.mode))
		r = draft_inherit(fs, draft, &place->attr);
	if (r == 0)
		r = draft_write(fs, draft, 0, draft->bytes.data,
				draft->bytes.size);
	buf_release(&draft->bytes);
	return r;
}

static int store_draft_create(struct target *target, struct target_draft *draft,
			      uint32_t mode)
{
	(void)target;
	(void)draft;
	(void)mode;
	return 0;
}

static int store_draft_inherit(struct target *target,
			       struct target_draft *draft, const char *name,
			       const struct fs_attr *attr)
{
	(void)target;
	(void)draft;
	(void)name;
	(void)attr;
	return 0;
}

static int store_draft_append(struct target *target, struct target_draft *draft,
			      const void *src, size_t size)
{
	struct fs *fs = fs_of(target);
	int r = 0;

	if (!draft->ino && draft->bytes.size + size <= FS_APPLY_VALUES_MAX)
		return buf_append(&draft->bytes, src, size);
	if (!draft->ino)
		r = draft_spill(fs, draft);
	return r ? r : draft_write(fs, draft, draft->size_bytes, src, size);
}

static int store_apply(struct target *target, struct fs_change *changes,
		       size_t count, size_t *ret_failed)
{
	struct fs_cred cred = own_cred();
	size_t i;
	int r;

	r = fs_apply(fs_of(target), &cred, changes, count, ret_failed);
	for (i = 0; r == 0 && i < count; i++) {
		if (changes[i].ret_old_ino)
			fs_forget(fs_of(target), changes[i].ret_old_ino);
	}
	return r;
}

static int draft_attributes_set(struct fs *fs, const struct target_draft *draft)
{
	struct fs_attr attr = { .mode = draft->attributes.mode & 0777u,
				.mtime = draft->attributes.mtime };
	unsigned int set = 0;

	if (draft->attributes.has_mode)
		set |= FS_SET_MODE;
	if (draft->attributes.has_mtime)
		set |= FS_SET_MTIME;
	return set ? fs_setattr(fs, NULL, draft->ino, set, &attr, NULL) : 0;
}

static int store_draft_publish(struct target *target,
			       struct target_draft *draft, const char *name,
			       uint64_t replaced, unsigned int flags)
{
	uint64_t dir = draft->place->dir.ino;
	struct fs_cred cred = own_cred();
	struct fs_change change = {
		.kind = FS_CHANGE_PUT,
		.parent = dir,
		.name = slice_of_name(name),
		.value = buf_slice(&draft->bytes),
		.has_mode = draft->attributes.has_mode,
		.has_mtime = draft->attributes.has_mtime,
		.mode = draft->attributes.mode,
		.mtime = draft->attributes.mtime,
	};
	size_t failed;
	int r;

	(void)flags; /* nobody can have come in between */
	if (!draft->ino)
		return store_apply(target, &change, 1, &failed);
	r = draft_attributes_set(fs_of(target), draft);
	if (r)
		return r;
	r = fs_rename(fs_of(target), &cred, dir, slice_of_name(draft->name),
		      dir, slice_of_name(name), 0);
	if (r == 0 && replaced)
		fs_forget(fs_of(target), replaced);
	return r;
}

static void store_draft_drop(struct target *target, struct target_draft *draft)
{
	if (draft->ino)
		(void)store_remove(target, &draft->place->dir, draft->name);
}

static void store_draft_end(struct target *target, struct target_draft *draft)
{
	(void)target;
	buf_release(&draft->bytes);
}

static int store_append(struct target *target, const struct target_place *place,
			const void *src, size_t size)
{
	return fs_write(fs_of(target), place->attr.ino, 0, src, size,
			FS_WRITE_APPEND);
}

/* --- partitions --- */

static int store_partition_stat(struct target *target,
				const struct target_dir *dir,
				struct fs_partition *ret_partition)
{
	return fs_partition_stat(fs_of(target), dir->ino, ret_partition);
}

static int store_partition_set(struct target *target,
			       const struct target_dir *dir, const char *name,
			       const char *value)
{
	struct fs_cred cred = own_cred();

	return fs_setxattr(fs_of(target), &cred, dir->ino, slice_of_name(name),
			   slice_of_name(value), 0, false);
}

static int store_partition_drop(struct target *target, const char *name)
{
	uint64_t ino;
	int r;

	r = fs_partition_drop(fs_of(target), slice_of_name(name), &ino);
	if (r == 0)
		fs_forget(fs_of(target), ino);
	return r;
}

/* --- the whole store --- */

static int (*const render[])(const struct stats_report *, struct buf *) = {
	[TARGET_STATS] = stats_render_text,
	[TARGET_STATS_JSON] = stats_render_json,
	[TARGET_HEALTH] = stats_render_health,
};

/* Without a daemon there is no uptime and there are no requests. */
static int store_report(struct target *target, enum target_report kind,
			struct buf *ret_text)
{
	struct fs *fs = fs_of(target);
	struct stats_report *report = calloc(1, sizeof(*report));
	int r;

	if (!report)
		return -ENOMEM;
	report->version = KVFS_VERSION;
	report->store = ((struct target_store *)target)->path;
	report->mountpoint = "";
	report->now_s = time(NULL);
	report->block_size_bytes = fs_block_size(fs);
	kv_stats(fs_kv(fs), &report->kv);
	r = fs_statfs(fs, &report->fs);
	if (r == 0)
		r = render[kind](report, ret_text);
	free(report);
	return r;
}

static int store_compact(struct target *target, kv_progress_fn *progress,
			 void *ctx)
{
	struct fs_emptying how = { 0 };
	int r = fs_empty_dropped(fs_of(target), &how);

	return r ? r : kv_compact(fs_kv(fs_of(target)), progress, ctx);
}

static int store_repair(struct target *target, fs_repair_fn *fn,
			kv_progress_fn *progress, void *ctx)
{
	return fs_repair(fs_of(target), fn, progress, ctx);
}

/* Nobody else is slowed down by it: the rate does not matter. */
static int store_check(struct target *target,
		       const struct target_check_how *how, fs_problem_fn *fn,
		       kv_progress_fn *progress, void *ctx)
{
	const struct fs_check_how check_how = {
		.bytes_only = how->bytes_only,
		.keep = true,
		.resume = how->resume,
	};

	return fs_check_as(fs_of(target), &check_how, fn, progress, ctx);
}

static const struct target_ops store_ops = {
	.close = store_close,
	.sync = store_sync,
	.root = store_root,
	.enter = store_enter,
	.leave = store_leave,
	.resume = store_resume,
	.lookup = store_lookup,
	.list = store_list,
	.make_dir = store_make_dir,
	.remove = store_remove,
	.remove_dir = store_remove_dir,
	.read_link = store_read_link,
	.make_link = store_make_link,
	.lock = store_lock,
	.file_open = store_file_open,
	.file_read = store_file_read,
	.file_close = store_file_close,
	.draft_create = store_draft_create,
	.draft_inherit = store_draft_inherit,
	.draft_append = store_draft_append,
	.draft_publish = store_draft_publish,
	.draft_drop = store_draft_drop,
	.draft_end = store_draft_end,
	.append = store_append,
	.apply = store_apply,
	.partition_stat = store_partition_stat,
	.partition_set = store_partition_set,
	.partition_drop = store_partition_drop,
	.report = store_report,
	.compact = store_compact,
	.repair = store_repair,
	.check = store_check,
	.page_budget_max_bytes = PAGE_BUDGET_BYTES,
	.page_budget_min_bytes = PAGE_BUDGET_BYTES,
};

/* What the engine has to say of damage and recovery; from any thread. */
static void store_log(void *ctx, enum kv_log_level level, const char *line)
{
	if (level <= KV_LOG_WARNING)
		report_error("%s: %s", (const char *)ctx, line);
}

static void options_set(struct fs_options *options, char *path)
{
	fs_options_init(options);
	options->root_uid = geteuid();
	options->root_gid = getegid();
	options->kv.log = store_log;
	options->kv.log_ctx = path;
	/* A command is short: what compaction is due, the daemon will do. */
	options->kv.compact_auto = false;
}

int target_store_open(const char *path, enum target_access access,
		      struct target **ret_target)
{
	struct target_store *store;
	struct fs_options options;
	int r;

	store = calloc(1, sizeof(*store));
	if (!store)
		return -ENOMEM;
	/* The engine follows no link, but who names a store may mean one. */
	store->path = realpath(path, NULL);
	r = store->path ? 0 : -errno;
	options_set(&options, store->path);
	options.kv.read_only = access == TARGET_READ;
	if (r == 0)
		r = fs_open_wait(store->path, &options, &store->fs);
	if (r) {
		free(store->path);
		free(store);
		return r;
	}
	store->target.ops = &store_ops;
	store->target.access = access;
	*ret_target = &store->target;
	return 0;
}

int target_create(const char *path, uint32_t block_size_bytes)
{
	struct fs_options options;
	char *copy = strdup(path);
	struct fs *fs;
	int r;

	if (!copy)
		return -ENOMEM;
	options_set(&options, copy);
	r = fs_open(path, &options, &fs);
	if (r == 0) {
		(void)fs_close(fs);
		r = -EEXIST;
	} else if (r == -ENOENT) {
		options.kv.create = true;
		options.block_size_bytes = block_size_bytes;
		r = fs_open(path, &options, &fs);
		if (r == 0)
			r = fs_close(fs);
	}
	free(copy);
	return r;
}
