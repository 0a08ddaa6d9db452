/* SPDX-License-Identifier: MIT */

/*
 * A mounted store, worked on by system calls below its mountpoint. Every step
 * goes from an open directory to one name in it and follows no symbolic link,
 * so neither a long key nor a link leads out of the mount. Virtual files, whose
 * inode numbers have the top bit set, do not exist here: a store has the same
 * keys mounted and unmounted. One thread.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs/apply_file.h"
#include "fs/ioctl.h"
#include "tools/dir.h"
#include "tools/target_ops.h"

#define VIRTUAL_INO ((uint64_t)1 << 63)

/* Names come in any order: a page is one pass over the directory. */
#define PAGE_BUDGET_MAX_BYTES (32u << 20)
#define PAGE_BUDGET_MIN_BYTES (64u << 10)

struct target_mount {
	struct target target; /* first: they are cast into each other */
	int root_fd;
	bool changed;
};

static struct target_mount *mount_of(struct target *target)
{
	return (struct target_mount *)target;
}

static int mount_sync(struct target *target)
{
	struct target_mount *mount = mount_of(target);

	if (!mount->changed)
		return 0;
	/* The log is one: what makes the root durable does so with all. */
	while (fsync(mount->root_fd)) {
		if (errno != EINTR)
			return -errno;
	}
	mount->changed = false;
	return 0;
}

static int mount_close(struct target *target)
{
	int r = mount_sync(target);

	close(mount_of(target)->root_fd);
	free(target);
	return r;
}

static struct timespec time_of(struct statx_timestamp stamp)
{
	return (struct timespec){ .tv_sec = (time_t)stamp.tv_sec,
				  .tv_nsec = (long)stamp.tv_nsec };
}

/* 1 when there is no such name; "" is dir_fd itself. */
static int attr_load(int dir_fd, const char *name, struct fs_attr *ret_attr)
{
	struct statx st;

	if (statx(dir_fd, name, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW,
		  STATX_BASIC_STATS | STATX_BTIME, &st))
		return errno == ENOENT ? 1 : -errno;
	if (st.stx_ino & VIRTUAL_INO)
		return 1;
	*ret_attr = (struct fs_attr){
		.ino = st.stx_ino,
		.mode = st.stx_mode,
		.nlink = st.stx_nlink,
		.uid = st.stx_uid,
		.gid = st.stx_gid,
		.rdev = makedev(st.stx_rdev_major, st.stx_rdev_minor),
		.size_bytes = st.stx_size,
		.blocks = st.stx_blocks,
		.atime = time_of(st.stx_atime),
		.mtime = time_of(st.stx_mtime),
		.ctime = time_of(st.stx_ctime),
		.btime = time_of(st.stx_btime),
	};
	return 0;
}

/* --- directories --- */

/* Takes over the descriptor, also when it fails. */
static int dir_adopt(int fd, struct target_dir *ret_dir)
{
	struct fs_attr attr = { 0 };
	int r;

	if (fd < 0)
		return -errno;
	r = attr_load(fd, "", &attr);
	if (r) {
		close(fd);
		return r < 0 ? r : -ENOENT;
	}
	*ret_dir = (struct target_dir){ .ino = attr.ino, .fd = fd };
	return 0;
}

static int mount_root(struct target *target, struct target_dir *ret_dir)
{
	return dir_adopt(fcntl(mount_of(target)->root_fd, F_DUPFD_CLOEXEC, 0),
			 ret_dir);
}

static int mount_enter(struct target *target, const struct target_dir *dir,
		       const char *name, struct target_dir *ret_dir)
{
	(void)target;
	return dir_adopt(openat(dir->fd, name,
				O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
			 ret_dir);
}

static void mount_leave(struct target *target, struct target_dir *dir)
{
	(void)target;
	if (dir->fd >= 0)
		close(dir->fd);
}

static int mount_resume(struct target *target, const struct target_dir *child,
			struct target_dir *dir)
{
	struct target_dir found = { .fd = -1 };
	int r;

	r = mount_enter(target, child, "..", &found);
	if (r)
		return r;
	if (found.ino != dir->ino) {
		close(found.fd);
		return -ESTALE;
	}
	*dir = found;
	return 0;
}

static int mount_lookup(struct target *target, const struct target_dir *dir,
			const char *name, struct fs_attr *ret_attr)
{
	(void)target;
	return attr_load(dir->fd, name, ret_attr);
}

static int entry_add(const struct dirent *entry, void *page)
{
	const char *name = entry->d_name;

	if (entry->d_ino & VIRTUAL_INO)
		return 0;
	return page_add(page, slice_of(name, strlen(name)), entry->d_ino,
			DTTOIF(entry->d_type));
}

static int mount_list(struct target *target, const struct target_dir *dir,
		      struct page *page)
{
	int fd;

	(void)target;
	fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : dir_each(fd, entry_add, page);
}

static int mount_make_dir(struct target *target, const struct target_dir *dir,
			  const char *name, uint32_t mode)
{
	if (mkdirat(dir->fd, name, mode))
		return -errno;
	mount_of(target)->changed = true;
	return 0;
}

static int name_remove(struct target *target, const struct target_dir *dir,
		       const char *name, int flags)
{
	if (unlinkat(dir->fd, name, flags))
		return -errno;
	mount_of(target)->changed = true;
	return 0;
}

static int mount_remove(struct target *target, const struct target_dir *dir,
			const char *name)
{
	return name_remove(target, dir, name, 0);
}

static int mount_remove_dir(struct target *target, const struct target_dir *dir,
			    const char *name)
{
	return name_remove(target, dir, name, AT_REMOVEDIR);
}

static int mount_read_link(struct target *target, const struct target_dir *dir,
			   const char *name, struct buf *ret_text)
{
	char text[FS_SYMLINK_MAX + 1];
	ssize_t size;

	(void)target;
	size = readlinkat(dir->fd, name, text, sizeof(text));
	if (size < 0)
		return -errno;
	return buf_append(ret_text, text, (size_t)size);
}

static int mount_make_link(struct target *target, const struct target_dir *dir,
			   const char *name, const char *text)
{
	if (symlinkat(text, dir->fd, name))
		return -errno;
	mount_of(target)->changed = true;
	return 0;
}

static int mount_lock(struct target *target, struct target_dir *dir)
{
	int fd, r;

	(void)target;
	fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX)) {
		/* Signals that are caught are those that end a command. */
		r = errno == EINTR ? -ECANCELED : -errno;
		close(fd);
		return r;
	}
	close(dir->fd);
	dir->fd = fd;
	return 0;
}

/* --- values --- */

static int mount_file_open(struct target *target, const struct target_dir *dir,
			   const char *name, const struct fs_attr *attr,
			   struct target_file *ret_file)
{
	int fd;

	(void)target;
	/* It may be a fifo by now: that must not make us wait. */
	fd = openat(dir->fd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	*ret_file = (struct target_file){ .ino = attr->ino, .fd = fd };
	return 0;
}

static int mount_file_read(struct target *target, struct target_file *file,
			   uint64_t offset, void *dst, size_t size,
			   size_t *ret_read)
{
	ssize_t got;

	(void)target;
	do {
		got = pread(file->fd, dst, size, (off_t)offset);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*ret_read = (size_t)got;
	return 0;
}

static void mount_file_close(struct target *target, struct target_file *file)
{
	(void)target;
	close(file->fd);
}

static int mount_draft_create(struct target *target, struct target_draft *draft,
			      uint32_t mode)
{
	/* O_EXCL: a name that is taken is not ours to write to. */
	draft->fd = openat(draft->place->dir.fd, draft->name,
			   O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			   mode);
	if (draft->fd < 0)
		return -errno;
	mount_of(target)->changed = true;
	return 0;
}

/* Attributes that this process may not give are left out, as cp does. */
static int xattr_copy(int from, int to, const char *name, struct buf *value)
{
	ssize_t size;
	int r;

	r = buf_resize(value, FS_XATTR_VALUE_MAX);
	if (r)
		return r;
	size = fgetxattr(from, name, value->data, value->size);
	if (size < 0)
		return errno == ENODATA ? 0 : -errno;
	if (fsetxattr(to, name, value->data, (size_t)size, 0) &&
	    errno != EPERM && errno != EACCES && errno != ENOTSUP)
		return -errno;
	return 0;
}

static int xattrs_copy(int from, int to)
{
	struct buf names = { 0 }, value = { 0 };
	const char *name;
	ssize_t size;
	size_t at;
	int r;

	/* 64 KiB is the most the kernel hands out (XATTR_LIST_MAX). */
	r = buf_resize(&names, 65536);
	if (r)
		return r;
	size = flistxattr(from, (char *)names.data, names.size);
	if (size < 0)
		r = errno == ENOTSUP ? 0 : -errno;
	for (at = 0; r == 0 && size > 0 && at < (size_t)size;
	     at += strlen(name) + 1) {
		name = (const char *)names.data + at;
		r = xattr_copy(from, to, name, &value);
	}
	buf_release(&names);
	buf_release(&value);
	return r;
}

static int mount_draft_inherit(struct target *target,
			       struct target_draft *draft, const char *name,
			       const struct fs_attr *attr)
{
	int from, r = 0;

	(void)target;
	/* Only root may give files away, and nobody to a group not his. */
	if (fchown(draft->fd, attr->uid, attr->gid) &&
	    fchown(draft->fd, (uid_t)-1, attr->gid) && errno != EPERM)
		return -errno;
	from = openat(draft->place->dir.fd, name,
		      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	/* Who may not read it may replace it all the same. */
	if (from >= 0) {
		r = xattrs_copy(from, draft->fd);
		close(from);
	} else if (errno != EACCES && errno != ENOENT) {
		r = -errno;
	}
	if (r == 0 && fchmod(draft->fd, attr->mode & 01777))
		r = -errno;
	return r;
}

static int mount_draft_append(struct target *target, struct target_draft *draft,
			      const void *src, size_t size)
{
	const char *at = src;
	uint64_t offset = draft->size_bytes;
	ssize_t wrote;

	(void)target;
	while (size) {
		wrote = pwrite(draft->fd, at, size, (off_t)offset);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		at += wrote;
		offset += (uint64_t)wrote;
		size -= (size_t)wrote;
	}
	return 0;
}

static int draft_attributes_set(const struct target_draft *draft)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     draft->attributes.mtime };

	if (draft->attributes.has_mode &&
	    fchmod(draft->fd, draft->attributes.mode & 0777))
		return -errno;
	if (draft->attributes.has_mtime && futimens(draft->fd, times))
		return -errno;
	return 0;
}

/* Where values are judged as a file is closed, that is to be before the rename:
 * closing a duplicate does. */
static int draft_judge(const struct target_draft *draft)
{
	int fd = fcntl(draft->fd, F_DUPFD_CLOEXEC, 0);

	return fd < 0 || close(fd) ? -errno : 0;
}

static int mount_draft_publish(struct target *target,
			       struct target_draft *draft, const char *name,
			       uint64_t replaced, unsigned int flags)
{
	unsigned int how = flags & TARGET_NO_REPLACE ? RENAME_NOREPLACE : 0;
	int dir = draft->place->dir.fd;
	int r;

	(void)target;
	(void)replaced;
	/*
	 * With a write-back cache the bytes may still be in the kernel. They
	 * must be in the daemon's log before the rename is; then its order
	 * makes the value whole after power loss, without a wait for the disk.
	 */
	if (sync_file_range(draft->fd, 0, 0,
			    SYNC_FILE_RANGE_WAIT_BEFORE |
				    SYNC_FILE_RANGE_WRITE |
				    SYNC_FILE_RANGE_WAIT_AFTER))
		return -errno;
	r = draft_judge(draft);
	if (r == 0)
		r = draft_attributes_set(draft);
	if (r)
		return r;
	if (renameat2(dir, draft->name, dir, name, how))
		return -errno;
	return 0;
}

static void mount_draft_drop(struct target *target, struct target_draft *draft)
{
	(void)target;
	(void)unlinkat(draft->place->dir.fd, draft->name, 0);
}

static void mount_draft_end(struct target *target, struct target_draft *draft)
{
	(void)target;
	close(draft->fd);
}

static int mount_append(struct target *target, const struct target_place *place,
			const void *src, size_t size)
{
	const char *at = src;
	ssize_t wrote;
	int fd, r = 0;

	fd = openat(place->dir.fd, place->name,
		    O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (r == 0 && size) {
		wrote = write(fd, at, size);
		if (wrote < 0 && errno != EINTR)
			r = -errno;
		if (wrote <= 0)
			continue;
		at += wrote;
		size -= (size_t)wrote;
	}
	mount_of(target)->changed = true;
	if (close(fd) && r == 0)
		r = -errno;
	return r;
}

/* --- batches --- */

static int fd_write(int fd, struct slice bytes)
{
	const char *at = bytes.data;
	size_t left = bytes.size;
	ssize_t wrote;

	while (left) {
		wrote = write(fd, at, left);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return -errno;
		at += wrote;
		left -= (size_t)wrote;
	}
	return sync_file_range(fd, 0, 0,
			       SYNC_FILE_RANGE_WAIT_BEFORE |
				       SYNC_FILE_RANGE_WRITE |
				       SYNC_FILE_RANGE_WAIT_AFTER) ?
		       -errno :
		       0;
}

/* A file that is gone when it is closed. */
static int nameless_file(int dir_fd)
{
	static const char name[] = ".kvctl-batch";
	int fd = openat(dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd < 0 ? -errno : fd;
	fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)unlinkat(dir_fd, name, 0);
	return fd;
}

static int batch_send(int fd, struct slice bytes,
		      struct kvfs_apply_result *ret_result)
{
	int r = fd_write(fd, bytes);

	if (r == 0 && ioctl(fd, KVFS_IOC_APPLY, ret_result))
		r = -errno;
	return r;
}

static int mount_apply(struct target *target, struct fs_change *changes,
		       size_t count, size_t *ret_failed)
{
	struct target_mount *mount = mount_of(target);
	struct kvfs_apply_result result = { 0 };
	struct buf bytes = { 0 };
	mode_t mask = umask(0);
	int fd = -1, r;

	umask(mask);
	/* Who may not ask is told so before anything is written. */
	if (ioctl(mount->root_fd, KVFS_IOC_INFO, &(struct kvfs_info){ 0 }))
		return -errno;
	r = apply_file_encode(&bytes, mask, changes, count);
	if (r == 0) {
		fd = nameless_file(mount->root_fd);
		r = fd < 0 ? fd : batch_send(fd, buf_slice(&bytes), &result);
	}
	if (fd >= 0)
		close(fd);
	buf_release(&bytes);
	if (r)
		return r;
	*ret_failed = result.failed;
	mount->changed = true;
	return result.error;
}

/* --- partitions --- */

/* A directory is entered without a right to read it. */
static int dir_reopen(const struct target_dir *dir)
{
	int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int mount_partition_stat(struct target *target,
				const struct target_dir *dir,
				struct fs_partition *ret_partition)
{
	struct kvfs_partition partition;
	int fd = dir_reopen(dir);
	int r;

	(void)target;
	if (fd < 0)
		return fd;
	r = ioctl(fd, KVFS_IOC_PARTITION, &partition) ? -errno : 0;
	close(fd);
	if (r)
		return r;
	*ret_partition = (struct fs_partition){
		.ino = dir->ino,
		.settings = {
			.schema = (enum value_schema)partition.schema,
			.has_durability = partition.has_durability,
			.durability = (enum kv_durability)partition.durability,
			.quota_bytes = partition.quota_bytes,
			.compress_level = partition.compress_level,
		},
		.keys = partition.keys,
		.bytes = partition.bytes,
		.operations = partition.operations,
		.writes = partition.writes,
		.value_bytes_raw = partition.value_bytes_raw,
		.value_bytes_stored = partition.value_bytes_stored,
	};
	return 0;
}

static int mount_partition_set(struct target *target,
			       const struct target_dir *dir, const char *name,
			       const char *value)
{
	int fd = dir_reopen(dir);
	int r;

	if (fd < 0)
		return fd;
	r = fsetxattr(fd, name, value, strlen(value), 0) ? -errno : 0;
	close(fd);
	if (r == 0)
		mount_of(target)->changed = true;
	return r;
}

static int mount_partition_drop(struct target *target, const char *name)
{
	struct kvfs_partition_name argument = { 0 };
	size_t size = strlen(name);

	if (size >= sizeof(argument.name))
		return -ENAMETOOLONG;
	memcpy(argument.name, name, size);
	if (ioctl(mount_of(target)->root_fd, KVFS_IOC_PARTITION_DROP,
		  &argument))
		return -errno;
	mount_of(target)->changed = true;
	return 0;
}

/* --- the whole store --- */

static int mount_report(struct target *target, enum target_report kind,
			struct buf *ret_text)
{
	static const char *const paths[] = {
		[TARGET_STATS] = ".stats",
		[TARGET_STATS_JSON] = ".kvfs/stats.json",
		[TARGET_HEALTH] = ".kvfs/health",
	};
	uint8_t chunk[4096];
	ssize_t got;
	int fd, r = 0;

	fd = openat(mount_of(target)->root_fd, paths[kind],
		    O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT ? -EOPNOTSUPP : -errno;
	while ((got = read(fd, chunk, sizeof(chunk))) > 0 && r == 0)
		r = buf_append(ret_text, chunk, (size_t)got);
	if (got < 0)
		r = -errno;
	close(fd);
	return r;
}

static int mount_compact(struct target *target, kv_progress_fn *progress,
			 void *ctx)
{
	return target_job_compact(mount_of(target)->root_fd, progress, ctx);
}

static int mount_check(struct target *target,
		       const struct target_check_how *how, fs_problem_fn *fn,
		       kv_progress_fn *progress, void *ctx)
{
	return target_job_check(mount_of(target)->root_fd, how, fn, progress,
				ctx);
}

static const struct target_ops mount_ops = {
	.close = mount_close,
	.sync = mount_sync,
	.root = mount_root,
	.enter = mount_enter,
	.leave = mount_leave,
	.resume = mount_resume,
	.lookup = mount_lookup,
	.list = mount_list,
	.make_dir = mount_make_dir,
	.remove = mount_remove,
	.remove_dir = mount_remove_dir,
	.read_link = mount_read_link,
	.make_link = mount_make_link,
	.lock = mount_lock,
	.file_open = mount_file_open,
	.file_read = mount_file_read,
	.file_close = mount_file_close,
	.draft_create = mount_draft_create,
	.draft_inherit = mount_draft_inherit,
	.draft_append = mount_draft_append,
	.draft_publish = mount_draft_publish,
	.draft_drop = mount_draft_drop,
	.draft_end = mount_draft_end,
	.append = mount_append,
	.apply = mount_apply,
	.partition_stat = mount_partition_stat,
	.partition_set = mount_partition_set,
	.partition_drop = mount_partition_drop,
	.report = mount_report,
	.compact = mount_compact,
	.check = mount_check,
	.is_live = true,
	.page_budget_max_bytes = PAGE_BUDGET_MAX_BYTES,
	.page_budget_min_bytes = PAGE_BUDGET_MIN_BYTES,
};

/* Who may not ask has asked a kvfs all the same: others say ENOTTY. */
static bool is_kvfs_root(int fd)
{
	struct kvfs_info info;
	struct stat st;

	return fstat(fd, &st) == 0 && st.st_ino == FS_ROOT_INO &&
	       (ioctl(fd, KVFS_IOC_INFO, &info) == 0 || errno == EPERM);
}

int target_mount_open(const char *point, enum target_access access,
		      struct target **ret_target)
{
	struct target_mount *mount;
	int fd;

	fd = open(point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (!is_kvfs_root(fd)) {
		close(fd);
		return -ENOTTY;
	}
	mount = calloc(1, sizeof(*mount));
	if (!mount) {
		close(fd);
		return -ENOMEM;
	}
	mount->target.ops = &mount_ops;
	mount->target.access = access;
	mount->root_fd = fd;
	*ret_target = &mount->target;
	return 0;
}
