/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The mount: what its files share, and the request handlers.
 *
 * A request's life. The dispatcher, the one thread that reads /dev/fuse, gets
 * it from libfuse in a handler op_*(). What is cheap is done there and then:
 * call the core, reply once. What may block (a sync, much data, a deletion, or
 * a kind of request that was slow lately) is made a task, and a worker, or the
 * syncer, runs it and replies. Who replies has the request last: a fuse_req_t
 * is gone after any reply_*(). No lock is held while replying.
 *
 * Node ids are inode numbers (virtual ones have the top bit set), and OPEN,
 * OPENDIR, FLUSH and CREATE are not answered: the kernel then opens files by
 * itself, keeps their cache, and creates by MKNOD. So no table of what is known
 * or open exists here; that an inode is used no more, FORGET tells. Where the
 * values of partitions are judged at close, OPEN and FLUSH are answered after
 * all: see op_open.c.
 */

#ifndef FUSE_USE_VERSION
#define FUSE_USE_VERSION 312
#endif

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/lock.h"
#include "fs/channel.h"
#include "fs/draft.h"
#include "fs/dropper.h"
#include "fs/forget.h"
#include "fs/fs.h"
#include "fs/jobs.h"
#include "fs/opstats.h"
#include "fs/options.h"
#include "fs/virtual.h"
#include "fs/worker.h"

/* We alone change the data, so the kernel may keep what it knows. */
#define FOREVER_S 31536000.0

/* How long requests of one kind take lately; see task.c. */
struct pace {
	_Atomic uint64_t average_ns;
	atomic_bool slow;
};

struct mount {
	/* constant once mounted */
	const struct options *options;
	const char *store_path; /* absolute */
	const char *mountpoint; /* absolute */
	struct fs *fs;
	struct fuse_session *session;
	struct virtual *virtual;
	struct worker_pool *workers;
	struct worker_pool *syncers; /* a single one; see task.c */
	struct worker_pool *seekers; /* see op_lseek */
	struct jobs *jobs;
	struct forgetter *forgetter;
	struct dropper *dropper; /* NULL: mounted read-only */
	struct draft_set *drafts;
	uint64_t slow_op_ns; /* 0: none is */
	uint64_t start_ns;
	uid_t owner;

	/* with locks of their own, or atomic */
	_Atomic uint64_t device; /* st_dev of the mount; 0: not known */
	atomic_uint seek_count;  /* tasks of the seekers, not done yet */
	struct channel channel;
	struct opstats stats;
	struct pace paces[OP_COUNT];

	/* the dispatcher's, constant once INIT was answered */
	bool asks_open;          /* OPEN is answered; see op_open.c */
	bool killpriv_v2;        /* clearing set-id bits is left to us */
	bool kernel_keeps_times; /* of writes: it has a write-back cache */
	bool initialised;        /* INIT was answered */
	void *scratch;           /* SCRATCH_BYTES, for replies */
};

/* Replies up to this size are put together by the dispatcher. */
#define SCRATCH_BYTES (128u << 10)

/* --- request.c: one request and its replies --- */

struct request {
	struct mount *mount;
	fuse_req_t req;
	enum op op;
	uint64_t ino;
	uint64_t start_ns;
};

struct request request_begin(fuse_req_t req, enum op op, uint64_t ino);
/* Who asks. Looks up supplementary groups while `req` is not replied to. */
struct fs_cred request_cred(fuse_req_t req);
void attr_to_stat(const struct mount *mount, const struct fs_attr *attr,
		  struct stat *ret_stat);

/* error: 0 or a negative errno. */
void reply_error(const struct request *request, int error);
void reply_none(const struct request *request);
/* Not 0: nobody waits for it any more. */
int reply_open(const struct request *request, const struct fuse_file_info *fi);
void reply_attr(const struct request *request, const struct fs_attr *attr);
/* A name that leads to `node`; the kernel keeps it for ever unless virtual. */
void reply_entry(const struct request *request, uint64_t node,
		 const struct fs_attr *attr);
/* There is no such name; the kernel keeps that, too. */
void reply_no_entry(const struct request *request);
void reply_data(const struct request *request, const void *data, size_t size);
void reply_link_target(const struct request *request, const char *target);
void reply_count(const struct request *request, size_t count);
void reply_offset(const struct request *request, uint64_t offset);
/* A value or list of attributes as [fl]getxattr(2) wants it: its size only
 * when `size` is 0, -ERANGE when it does not fit. */
void reply_xattr(const struct request *request, struct slice value,
		 size_t size);
void reply_statfs(const struct request *request, const struct fs_statfs *st);
void reply_ioctl(const struct request *request, const void *data, size_t size);

/* --- task.c: what may leave the dispatcher --- */

enum task_place {
	TASK_HERE,   /* in the dispatcher */
	TASK_PACED,  /* in a worker when this kind was slow lately */
	TASK_WORKER, /* in a worker */
	TASK_SYNCER, /* after those that came before it, in their thread */
	/* In a thread that may wait for the kernel to write what it holds, for
	 * which it needs dispatcher and workers: so it is neither of them. */
	TASK_SEEKER,
};

struct task {
	struct work work; /* first: they are cast into each other */
	void (*run)(struct task *task); /* replies */
	struct request request;
	uint64_t offset;
	uint64_t size;
	uint64_t other_ino;
	uint64_t other_offset;
	struct fs_attr attr;
	uint64_t sync_point; /* 0: none */
	unsigned int set;    /* enum fs_set */
	unsigned int flags;
	struct draft *draft;    /* the handle; NULL: it has none */
	const void *data;       /* in `buffer` */
	struct fuse_buf buffer; /* mem NULL: none */
	const char *name;
	enum task_place place; /* task_start's */
	bool on_worker;
};

/*
 * Runs a task, which is on the caller's stack and copied when it goes to a
 * worker, its name too. Its data must lie in the buffer the request was read
 * into; the worker takes the buffer over. One for a seeker that finds no room
 * is answered with EAGAIN.
 */
void task_start(struct task *task, enum task_place place);
/* Memory for a reply of `size` bytes; NULL when there is none. */
void *task_scratch(const struct task *task, size_t size);
void task_scratch_release(const struct task *task, void *scratch);

/* --- report.c: what the virtual files tell; ctx is the struct mount --- */

virtual_render_fn mount_render;
virtual_partition_fn mount_is_partition;

/* --- op_*.c: handlers of libfuse's low-level interface --- */

void op_init(void *userdata, struct fuse_conn_info *conn);

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
	      dev_t rdev);
void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
		const char *name);
void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent,
	     const char *name);
void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
	       fuse_ino_t new_parent, const char *new_name, unsigned int flags);
void op_readlink(fuse_req_t req, fuse_ino_t ino);

void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		struct fuse_file_info *fi);
void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookup_count);
void op_forget_multi(fuse_req_t req, size_t count,
		     struct fuse_forget_data *forgets);

void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
	     struct fuse_file_info *fi);
void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
	      off_t offset, struct fuse_file_info *fi);
void op_fsync(fuse_req_t req, fuse_ino_t ino, int data_only,
	      struct fuse_file_info *fi);
void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
		  off_t size, struct fuse_file_info *fi);
void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t offset, int whence,
	      struct fuse_file_info *fi);
void op_copy_file_range(fuse_req_t req, fuse_ino_t from_ino, off_t from_offset,
			struct fuse_file_info *from_fi, fuse_ino_t to_ino,
			off_t to_offset, struct fuse_file_info *to_fi,
			size_t size, int flags);

void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		struct fuse_file_info *fi);
void op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *fi);
void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int data_only,
		 struct fuse_file_info *fi);

void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* -ENOSYS, for ever. */
void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
/* What a request's handle stands for; NULL: nothing. */
struct draft *draft_of(const struct fuse_file_info *fi);
/* Has the kernel forget what it knows of a file, data included: at once, which
 * may wait for who reads it; or from a seeker. */
void kernel_drop_pages(struct mount *mount, uint64_t ino);
void kernel_drop_pages_later(struct mount *mount, uint64_t ino);
/* The request in hand, which libfuse does not know. */
void op_tmpfile(struct mount *mount);
void op_statx(struct mount *mount);
/* FUSE_STATX of kernels from 6.6 on; not in the headers of older ones. */
#define KVFS_FUSE_STATX 52u

void op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name,
		 const char *value, size_t size, int flags);
void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

void op_statfs(fuse_req_t req, fuse_ino_t ino);
void op_ioctl(fuse_req_t req, fuse_ino_t ino, unsigned int command, void *arg,
	      struct fuse_file_info *fi, unsigned int flags, const void *in,
	      size_t in_size, size_t out_size);
