/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The filesystem core: inodes, names and data on a kv store. It knows neither
 * libfuse nor processes: the mount, kvctl on an unmounted store and the unit
 * tests all stand on it.
 *
 * Results: 0, a negative errno as the system call would give it, or a positive
 * outcome that a function names. Damaged bytes come out as -EIO here: this is
 * the one place where the engine's -EBADMSG and -EUCLEAN are mapped.
 *
 * Who may do what is the kernel's business (default_permissions); the core
 * enforces what the kernel cannot know: names, limits, types, emptiness, link
 * counts, set-gid inheritance, clearing of set-id bits, timestamps.
 *
 * Threads: any number, on any functions, but for fs_open and fs_close. Changes
 * of one inode are serialised by striped locks inside. No function waits for
 * the disk's write cache but fs_sync, fs_fsync and fs_close; any may wait for
 * a cold read.
 *
 * Durability: as engine/kv.h: what returned survives the death of the process;
 * what fs_fsync covered survives power loss.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "engine/kv.h"

#define FS_ROOT_INO 1u
#define FS_NAME_MAX 255u
#define FS_SYMLINK_MAX 4095u
#define FS_XATTR_VALUE_MAX 65536u
#define FS_XATTR_NAME_MAX 255u
#define FS_LINK_MAX 4294967294u
#define FS_FILE_SIZE_MAX ((uint64_t)INT64_MAX)
#define FS_WRITE_MAX (1u << 20)

struct fs;

struct fs_options {
	struct kv_options kv;        /* classify is set by fs_open */
	uint32_t block_size_bytes;   /* of a new store; 4 KiB to 1 MiB, a power
				    * of two; 0: the default */
	uint64_t size_limit_bytes;   /* quota of the mount; 0: none */
	uint32_t root_uid, root_gid; /* owner of a new store's root */
};

void fs_options_init(struct fs_options *options);

/* Errors as kv_open; -EMEDIUMTYPE for a kv store that holds no filesystem. */
int fs_open(const char *store_path, const struct fs_options *options,
	    struct fs **ret_fs);
/* Deletes what is unlinked and open no more, then closes the store. */
int fs_close(struct fs *fs);
/* The store below: for stats, compact, check. Owned by fs. */
struct kv *fs_kv(struct fs *fs);
uint32_t fs_block_size(const struct fs *fs);

/* Who asks, for the owner of what is created and for set-id rules. uid 0
 * counts as capable of everything. */
struct fs_cred {
	uint32_t uid;
	uint32_t gid;
	/* Applied to the mode of what is created, but where the directory's
	 * default ACL takes its place. 0 when the caller applied it. */
	uint32_t umask;
	/* Supplementary groups matter in one place: keeping S_ISGID at chmod
	 * and creation. The caller looks up lazily: NULL means "not a member". */
	bool (*in_group)(void *ctx, uint32_t gid);
	void *ctx;
};

struct fs_attr {
	uint64_t ino;
	uint64_t generation;
	uint32_t mode; /* type and permission bits */
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint64_t rdev;
	uint64_t size_bytes;
	uint64_t blocks; /* of 512 bytes, of what is really stored */
	struct timespec atime;
	struct timespec mtime;
	struct timespec ctime;
	struct timespec btime;
};

/* --- names --- */

/*
 * -ENOENT, -ENOTDIR, -ENAMETOOLONG, -ESTALE (no such parent). "." and ".." are
 * answered, for handles that outlive a mount: "." for every type of inode, with
 * -ESTALE when it is gone or unlinked.
 *
 * Names are 1 to FS_NAME_MAX bytes without NUL and '/'; others are -EINVAL, the
 * empty one -ENOENT. Every ret_attr of this header may be NULL.
 */
int fs_lookup(struct fs *fs, uint64_t parent, struct slice name,
	      struct fs_attr *ret_attr);

/*
 * Creates a file, fifo, socket or device (by mode's type; none is a regular
 * file). cred->umask is applied unless the directory has a default ACL, which
 * is inherited then. -EEXIST, -ENOENT in a directory that was removed, -EINVAL
 * for a type of its own (mkdir, symlink) and the errors of fs_lookup.
 */
int fs_mknod(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	     struct slice name, uint32_t mode, uint64_t rdev,
	     struct fs_attr *ret_attr);
int fs_mkdir(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	     struct slice name, uint32_t mode, struct fs_attr *ret_attr);
int fs_symlink(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	       struct slice name, struct slice target,
	       struct fs_attr *ret_attr);
/* -EMLINK, -EPERM for a directory. */
int fs_link(struct fs *fs, uint64_t ino, uint64_t parent, struct slice name,
	    struct fs_attr *ret_attr);
/* *ret_ino: whose link it was; its data lives until fs_forget when that was
 * the last one. -EISDIR, -ENOENT. */
int fs_unlink(struct fs *fs, uint64_t parent, struct slice name,
	      uint64_t *ret_ino);
int fs_rmdir(struct fs *fs, uint64_t parent, struct slice name,
	     uint64_t *ret_ino);
/*
 * flags: 0 or RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT of
 * renameat2(2) as they combine there. Atomic; O(1) for directories too.
 */
int fs_rename(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	      struct slice name, uint64_t new_parent, struct slice new_name,
	      unsigned int flags);
/*
 * O_TMPFILE: a regular file without a name, owned and moded as fs_mknod in
 * `parent` would. It lives until fs_forget, or fs_link gives it a name.
 */
int fs_tmpfile(struct fs *fs, const struct fs_cred *cred, uint64_t parent,
	       uint32_t mode, struct fs_attr *ret_attr);
/* Replaces the contents of *ret_target. -EINVAL for what is no link. */
int fs_readlink(struct fs *fs, uint64_t ino, struct buf *ret_target);

/* --- inodes --- */

int fs_getattr(struct fs *fs, uint64_t ino, struct fs_attr *ret_attr);

enum fs_set {
	FS_SET_MODE = 1u << 0,
	FS_SET_UID = 1u << 1,
	FS_SET_GID = 1u << 2,
	FS_SET_SIZE = 1u << 3,
	FS_SET_ATIME = 1u << 4,
	FS_SET_MTIME = 1u << 5,
	FS_SET_ATIME_NOW = 1u << 6,
	FS_SET_MTIME_NOW = 1u << 7,
	FS_SET_CTIME = 1u << 8,
	/* Clear set-id bits as a write by an unprivileged process does. With
	 * SIZE; or alone, before fs_fallocate and fs_copy_range. */
	FS_SET_KILL_SUIDGID = 1u << 9,
	/* With SIZE 0, where a schema is to be obeyed (fs/partition.h): the
	 * old value stays until the next fs_write(), or fs_settle(). */
	FS_SET_EMPTY_LATER = 1u << 10,
};

/*
 * Applies the named fields of *attr. ctime becomes now unless given; SIZE
 * makes mtime now unless given. UID or GID (changed or not) clear the set-id
 * bits of what is no directory, as chown(2); MODE is carried into the access
 * ACL. cred may be NULL: then S_ISGID is not withheld from non-members.
 * Shrinking a large file deletes in several steps, of which the first already
 * makes the whole effect visible. -EISDIR, -EINVAL (SIZE of what is no file),
 * -EFBIG.
 */
int fs_setattr(struct fs *fs, const struct fs_cred *cred, uint64_t ino,
	       unsigned int set, const struct fs_attr *attr,
	       struct fs_attr *ret_attr);

/*
 * The kernel knows the inode no more: when it is unlinked, its data goes. To be
 * called for every forget; a cheap no-op for inodes that have links. Deleting a
 * large file takes long: call it from a worker when that matters. What could
 * not be deleted (a read-only store) is left to the next fs_open.
 */
void fs_forget(struct fs *fs, uint64_t ino);
/* The same for several, which costs less: small files go together. */
void fs_forget_all(struct fs *fs, const uint64_t *inos, size_t count);
/* Is it unlinked (or nameless) and waiting for fs_forget? Cheap, no I/O. */
bool fs_is_orphan(struct fs *fs, uint64_t ino);

/* --- data --- */

int fs_read(struct fs *fs, uint64_t ino, uint64_t offset, void *dst,
	    size_t size, size_t *ret_read);

enum fs_write_flags {
	FS_WRITE_KILL_SUIDGID = 1u << 0,
	FS_WRITE_APPEND = 1u << 1,  /* offset is ignored: at the end */
	FS_WRITE_CACHED = 1u << 2,  /* from the kernel's write-back cache:
				    * the kernel sets the times itself */
	FS_WRITE_PARTIAL = 1u << 3, /* more may follow; see fs/partition.h */
};

/* All or nothing of at most FS_WRITE_MAX bytes (-EINVAL beyond: the caller
 * splits). -EFBIG, -ENOSPC (also for size_limit_bytes), -EDQUOT, -EISDIR. */
int fs_write(struct fs *fs, uint64_t ino, uint64_t offset, const void *src,
	     size_t size, unsigned int flags);

/* mode as fallocate(2). -EOPNOTSUPP for modes not listed in the README. */
int fs_fallocate(struct fs *fs, uint64_t ino, int mode, uint64_t offset,
		 uint64_t size);
/* whence: SEEK_DATA or SEEK_HOLE. -ENXIO. */
int fs_seek(struct fs *fs, uint64_t ino, uint64_t offset, int whence,
	    uint64_t *ret_offset);
/* Copies at most FS_COPY_MAX bytes a call; 0 at the end of the source. Holes
 * stay holes. -EINVAL when the ranges overlap within one file. */
#define FS_COPY_MAX ((size_t)16 << 20)
int fs_copy_range(struct fs *fs, uint64_t from_ino, uint64_t from_offset,
		  uint64_t to_ino, uint64_t to_offset, size_t size,
		  size_t *ret_copied);

/* --- directories --- */

struct fs_dirent {
	uint64_t ino;
	uint64_t cookie; /* to go on behind this entry */
	uint32_t mode;   /* type bits */
	struct slice name;
};

/* Non-zero ends the listing without counting this entry; fs_readdir then
 * returns 0. */
typedef int fs_readdir_fn(void *ctx, const struct fs_dirent *entry);

/*
 * Entries behind `cookie` (0: from the beginning), "." and ".." first. An entry
 * that stays in the directory is shown exactly once however the directory
 * changes; cookies stay valid for ever.
 */
int fs_readdir(struct fs *fs, uint64_t ino, uint64_t cookie, fs_readdir_fn *fn,
	       void *ctx);

/* --- extended attributes --- */

/* -ENODATA. */
int fs_getxattr(struct fs *fs, uint64_t ino, struct slice name,
		struct buf *ret_value);
/* flags: XATTR_CREATE, XATTR_REPLACE. -EEXIST, -ENODATA, -E2BIG, -ERANGE. */
int fs_setxattr(struct fs *fs, const struct fs_cred *cred, uint64_t ino,
		struct slice name, struct slice value, int flags,
		bool kill_sgid);
/* Names, each with its NUL, one after another. */
int fs_listxattr(struct fs *fs, uint64_t ino, struct buf *ret_names);
int fs_removexattr(struct fs *fs, uint64_t ino, struct slice name);

/* --- the whole --- */

struct fs_statfs {
	uint64_t total_bytes;
	uint64_t free_bytes;
	uint64_t used_bytes;
	uint64_t preallocated_bytes; /* of them, promised and not written */
	uint64_t file_count;         /* inodes in use */
	uint32_t block_size_bytes;
};

int fs_statfs(struct fs *fs, struct fs_statfs *ret);
/* What has been done to this inode, and the names leading to it, survives
 * power loss. May wait for the disk. */
int fs_fsync(struct fs *fs, uint64_t ino);
/*
 * The same in two steps, for who has many to do and waits for the disk with one
 * of them: the last change so far, then the wait, which is none where a later
 * point was waited for. 0: inodes differ in what fs_fsync() does, so call that.
 */
uint64_t fs_sync_point(struct fs *fs);
int fs_sync_to(struct fs *fs, uint64_t point);
int fs_sync(struct fs *fs);

/* --- keys: what kvctl calls the path of a file --- */

/*
 * Walks a key ("user/42", any byte string; fs/escape.h says how it becomes file
 * names) from the root. *ret_parent and *ret_name (a file
 * name as fs_mknod takes it, borrowed from name_buf) name the last component
 * even when it is absent. 0, 1 when the last is absent, -ENOENT when a
 * directory before it is, -ENOTDIR.
 *
 * The root itself is no key (it is FS_ROOT_INO); the empty key is a file.
 */
int fs_walk(struct fs *fs, struct slice key, struct buf *name_buf,
	    uint64_t *ret_parent, struct slice *ret_name,
	    struct fs_attr *ret_attr);

/*
 * Entries of one directory in order of name, from `from` on (strictly after
 * when `after`): kvctl's ordered listing.
 */
int fs_list_names(struct fs *fs, uint64_t ino, struct slice from, bool after,
		  fs_readdir_fn *fn, void *ctx);

/* --- fsck --- */

enum fs_problem_kind {
	FS_PROBLEM_DAMAGED,     /* bytes of this file or name are damaged */
	FS_PROBLEM_DANGLING,    /* an entry without an inode */
	FS_PROBLEM_UNREACHABLE, /* an inode without an entry */
	FS_PROBLEM_LINK_COUNT,
	FS_PROBLEM_STRUCTURE, /* anything else that should not be */
	FS_PROBLEM_STORE,     /* from the engine; see kv_check */
};

struct fs_problem {
	enum fs_problem_kind kind;
	uint64_t ino;
	/* From the root, "" for the root itself, bytes as they are in the file
	 * names; NULL when there is none to tell. */
	const char *path;
	const char *what;
};

typedef void fs_problem_fn(void *ctx, const struct fs_problem *problem);

/* Verifies the store (kv_check) and every cross-reference. 0 sound, 1 when a
 * problem was reported. Memory is bounded: no set of all inodes is held. */
int fs_check(struct fs *fs, fs_problem_fn *fn, kv_progress_fn *progress,
	     void *ctx);

struct fs_check_how {
	/* A scrub: the bytes of the store, and the files that damage costs, but
	 * not how things refer to each other. */
	bool bytes_only;
	/* Keep how far it has come, now and then, and when it ends before its
	 * end (-ECANCELED); until one comes to its end. Of checks and scrubs,
	 * one each is kept, beside the store. */
	bool keep;
	/* Go on where the last one that was kept has stopped. */
	bool resume;
};

/*
 * A check as described. One that is resumed finds what a whole one would, but
 * for what was written where the one before had been (see kv_check_from): bytes
 * are read once by one of them or the other; references are compared from the
 * beginning if anything was changed in between. What was found before is told
 * as a number.
 */
int fs_check_as(struct fs *fs, const struct fs_check_how *how,
		fs_problem_fn *fn, kv_progress_fn *progress, void *ctx);
