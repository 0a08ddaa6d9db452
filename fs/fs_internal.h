/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the filesystem core share: the state of a mounted store,
 * and the functions one file offers to the others, by file. README.md has the
 * order in which to read them, and the order of locks.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "engine/kv.h"
#include "engine/lock.h"
#include "fs/block.h"
#include "fs/fs.h"
#include "fs/ghost.h"
#include "fs/ino_set.h"
#include "fs/lock_table.h"
#include "fs/partition.h"
#include "fs/schema.h"
#include "fs/txn.h"

/* Keys deleted in one batch: some milliseconds of work. */
#define DELETE_BATCH_MAX 1024u
/* Inode numbers taken from the superblock at a time: what a crash wastes. */
#define INO_CHUNK 4096u

struct partition;

struct partition_table {
	/* Atomic: 0 spares looking. */
	atomic_size_t count;
	struct mutex lock;
	/* Guarded by lock. By number of inode; those removed are kept aside. */
	struct partition **items;
	struct partition **gone;
	size_t gone_count;
};

struct fs {
	/* Constant after open. */
	struct kv *kv;
	uint32_t block_size_bytes;
	uint32_t inline_limit_bytes;
	uint32_t tail_limit_bytes; /* see tail.c */
	uint64_t size_limit_bytes;
	enum kv_durability durability;
	bool read_only;
	kv_log_fn *log;
	void *log_ctx;

	/* With locks of their own; README.md has the order. */
	struct mutex rename_lock; /* directories moving between directories */
	struct lock_table locks;
	struct ino_set orphans;
	struct ghost_table ghosts;
	struct ino_set emptied; /* see partition_schema.c */
	struct txn_pool txns;
	struct partition_table partitions;

	struct mutex ino_lock;
	/* Guarded by ino_lock. */
	uint64_t next_ino;
	uint64_t next_ino_stored; /* numbers below may be given out */
	uint32_t incompat_flags;  /* of the superblock */

	/* Atomic: bytes that may be added before the space has to be looked
	 * at again. */
	atomic_int_fast64_t space_headroom;
	atomic_bool preallocated; /* there may be PREALLOC keys */
};

/* --- store.c: the store, in the filesystem's errors --- */

/* An error of the engine as a system call would give it. */
int store_error(int error);
/* As kv_read: 0 with the size of the value, 1 when there is no such key. */
int store_read(struct fs *fs, const struct schema_key *key, uint64_t offset,
	       void *dst, size_t size, size_t *ret_read,
	       uint64_t *ret_value_size);
int store_get(struct fs *fs, const struct schema_key *key,
	      struct buf *ret_value);
/* As kv_exists: 0 when there is such a key, 1 when not. */
int store_exists(struct fs *fs, const struct schema_key *key);
/* As kv_list, with its callback. */
int store_list(struct fs *fs, const struct kv_range *range, unsigned int flags,
	       kv_list_fn *fn, void *ctx);
/* One line for the operator. */
void fs_log(struct fs *fs, enum kv_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- super.c --- */

/* A number that no inode ever had. */
int ino_alloc(struct fs *fs, uint64_t *ret_ino);
/* Says in the superblock that there may be what only those read who know it. */
int super_allow(struct fs *fs, enum super_flags flag);

/* --- statfs.c --- */

/* Learns from the store whether something is preallocated. */
void space_open(struct fs *fs);
/* Whether `bytes` more fit the size limit, and leave what is preallocated to
 * those it was promised to: 0, -ENOSPC, -errno. */
int space_check(struct fs *fs, uint64_t bytes);

/* --- inode.c --- */

/* Decodes the inode, also of a ghost, from `bytes` (INODE_RECORD_MAX), which its
 * data borrows.
 * -ESTALE when there is none. */
int inode_load(struct fs *fs, uint64_t ino, uint8_t *bytes,
	       struct inode *ret_inode);
/* The same into the transaction's memory, by who has its lock and may change it:
 * a ghost is revived. */
int inode_load_txn(struct txn *txn, uint64_t ino, struct inode *ret_inode);
/* Counts it in its partition, too. */
int inode_store(struct txn *txn, struct inode *inode);
/* The bytes of data that are stored for it, as st_blocks shows them. */
uint64_t inode_stored_bytes(const struct fs *fs, const struct inode *inode);
/* What of it counts in a partition. */
struct partition_counts inode_counts(const struct fs *fs,
				     const struct inode *inode);
void inode_attr(struct fs *fs, const struct inode *inode,
		struct fs_attr *ret_attr);
struct timespec time_now(void);
/* A new inode with the times of the transaction. */
void inode_init(const struct txn *txn, struct inode *ret_inode, uint64_t ino,
		uint32_t mode);
/* One step of an operation that takes several: 1 when there are more. */
typedef int inode_step_fn(struct txn *txn, uint64_t ino, void *ctx);
/* Calls fn until it does not return 1, each time with the inode locked and an
 * empty transaction; passes on what it returned. -ENOMEM. */
int inode_in_steps(struct fs *fs, uint64_t ino, inode_step_fn *fn, void *ctx);
/* mtime and ctime: the contents changed. */
void inode_touch(const struct txn *txn, struct inode *inode);
/* The set-id bits that a change of contents by an unprivileged process, or a
 * change of owner, takes away; and security.capability with them. */
int inode_drop_privileges(struct txn *txn, struct inode *inode);
bool inode_has_privileges(const struct inode *inode);
bool cred_is_member(const struct fs_cred *cred, uint32_t gid);

static inline bool inode_is_dir(const struct inode *inode)
{
	return S_ISDIR(inode->mode);
}

/* --- name.c --- */

/* What a name is for, as the errors for "." and ".." differ. 0 or the error. */
enum name_use {
	NAME_FIND,
	NAME_CREATE,
	NAME_UNLINK,
	NAME_RMDIR,
	NAME_RENAME,
};
int name_check(struct slice name, enum name_use use);
/* The entry `name` of a directory; ret_dentry->name is `name`. 0, 1 when there
 * is none. */
int dentry_find(struct fs *fs, uint64_t dir_ino, struct slice name,
		struct dentry *ret_dentry);
/* Both records of an entry, added or replaced. */
int dentry_put(struct txn *txn, uint64_t dir_ino, const struct dentry *dentry);
int dentry_delete(struct txn *txn, uint64_t dir_ino,
		  const struct dentry *dentry);
/* Loads a directory that is about to change. -ENOTDIR, -ENOENT when it was
 * removed, -ESTALE. */
int dir_load(struct txn *txn, uint64_t ino, struct inode *ret_dir);
/* 0 when it has no entry, -ENOTEMPTY. */
int dir_check_empty(struct fs *fs, uint64_t ino);
/* A cookie that no entry of the directory ever had. */
int dir_next_cookie(struct inode *dir, uint64_t *ret_cookie);

/* --- recover.c: an entry from one of its records when the other is damaged,
 * by a scan of the directory --- */

/* 0, 1 when the other record does not have it either. */
int dentry_recover_by_name(struct fs *fs, uint64_t dir_ino, struct slice name,
			   struct dentry *ret_dentry);
/* The name is put into name_buf. */
int dentry_recover_by_cookie(struct fs *fs, uint64_t dir_ino, uint64_t cookie,
			     struct buf *name_buf, struct dentry *ret_dentry);

/* --- create.c --- */

/*
 * Makes a new inode of `mode`, owned as the directory and cred say, and sets
 * its ACLs; the caller stores it. cred->umask is applied here.
 */
int inode_create(struct txn *txn, const struct fs_cred *cred,
		 const struct inode *dir, uint32_t mode,
		 struct inode *ret_inode);

/* --- acl_inode.c: ACLs of inodes; the arithmetic is in acl.h --- */

/* What a new inode gets from its directory: the ACLs, or else the umask. */
int acl_inherit(struct txn *txn, const struct inode *dir, struct inode *inode,
		uint32_t umask);
/* The mode changed: carries it into the access ACL, if there is one. */
int acl_follow_mode(struct txn *txn, struct inode *inode);
/*
 * An xattr is about to be set: 0 when it is no ACL, or an ACL to be stored; 1
 * when nothing is to be stored, and one that exists is to go, as the mode says
 * it all. The mode follows an access ACL.
 */
int acl_accept(const struct fs_cred *cred, struct inode *inode,
	       struct slice name, struct slice value, bool kill_sgid);

/* --- unlink.c --- */

/* What became of an inode that lost a link. */
enum inode_fate {
	INODE_STAYS, /* it has others */
	INODE_ORPHAN,
	INODE_GHOST, /* see ghost.h */
};

/*
 * Takes one link away in memory and in the batch (a directory loses all), which
 * does not touch the inode any more if it is to become a ghost. If the commit
 * fails, the caller takes back what became of it with inode_fate_undo().
 */
int inode_drop_link(struct txn *txn, struct inode *inode, bool may_be_ghost,
		    enum inode_fate *ret_fate);
void inode_fate_undo(struct fs *fs, uint64_t ino, enum inode_fate fate);
/* Takes an entry of any type out of a directory that was dropped; what it led
 * to, *ret_ino, is an orphan then unless it has other names. */
int dropped_entry_remove(struct fs *fs, uint64_t dir_ino, struct slice name,
			 uint64_t *ret_ino);

/* --- orphan.c --- */

/* Deletes what is on the stored list of orphans, and completes what is on that
 * of truncations. What cannot be cleaned is logged and stays listed. */
void orphans_clean(struct fs *fs);
/* Deletes an inode without links. -ENOTEMPTY: a directory with entries. */
int orphan_delete(struct fs *fs, uint64_t ino);
/* Up to `max` numbers of the stored list of orphans, behind `after_ino`. */
int orphans_list(struct fs *fs, uint64_t after_ino, uint64_t *ret_inos,
		 size_t max, size_t *ret_count);

/* --- truncate.c --- */

/*
 * Sets the size of a regular file in memory and adds what that takes to the
 * batch. After the commit, while the inode has INODE_TRUNCATING, call
 * truncate_finish() without its lock.
 */
int truncate_prepare(struct txn *txn, struct inode *inode, uint64_t size_bytes);
/* Before the size grows: completes a truncation in progress, in batches of its
 * own, and loads the inode again. The transaction must be fresh. */
int truncate_complete(struct txn *txn, struct inode *inode);
/* Completes a truncation in steps, locking the inode in each. */
int truncate_finish(struct fs *fs, uint64_t ino);

/* --- data.c --- */

/* fs_read() by who holds the lock, or checks afterwards. *ret_single: one
 * record said it all. */
int data_read(struct fs *fs, uint64_t ino, uint64_t offset, uint8_t *dst,
	      size_t size, size_t *ret_read, bool *ret_single);

/* No block before the end is missing, none exists beyond. */
bool inode_is_dense(const struct fs *fs, const struct inode *inode);
/* Adds a write to the batch and changes the inode in memory, its size and
 * blocks but not its times. */
int data_write(struct txn *txn, struct inode *inode, uint64_t offset,
	       struct slice src);
/* The same into blocks; the size stays. */
int blocks_write(struct txn *txn, struct inode *inode, uint64_t offset,
		 struct slice src);

/*
 * Up to `max` numbers of existing blocks from `from` on, before `to`, in
 * order. When fewer than `max` come back, there are no more.
 */
int blocks_find(struct fs *fs, const struct inode *inode, uint64_t from,
		uint64_t to, uint64_t *ret_blocks, size_t max,
		size_t *ret_count);

/* How many blocks go with their keys into one batch, when they are deleted. */
size_t blocks_delete_max(const struct fs *fs, const struct inode *inode);
/* So many fewer blocks. */
void inode_drop_blocks(struct inode *inode, uint64_t count);

/* --- tail.c --- */

/* Where what is in blocks ends: at the tail, or at the file's end. */
static inline uint64_t inode_blocks_end(const struct inode *inode)
{
	return inode->size_bytes -
	       (inode->flags & INODE_TAIL ? inode->data.size : 0);
}

/*
 * A write to a file whose tail, if it has one, is not beside it. 0 when the tail
 * has taken it. 1 when it goes to blocks: offset and src, in the transaction's
 * memory, may begin with what was the tail then.
 */
int tail_write(struct txn *txn, struct inode *inode, uint64_t *offset,
	       struct slice *src);
/* Whether there is one that a write at this offset does not touch. */
bool tail_is_beside(const struct inode *inode, uint64_t offset);
/* Writes it to its block, in a batch of its own, and loads the inode again. The
 * transaction must be fresh. */
int tail_settle(struct txn *txn, struct inode *inode);
/* In memory: the file shrinks, at least so far that its blocks end there. */
void tail_cut(struct inode *inode, uint64_t size_bytes);

/* --- fragment.c --- */

static inline bool block_has_fragments(const struct inode *inode,
				       uint64_t block)
{
	return (inode->flags & INODE_FRAGMENTED) &&
	       block >= inode->fragment_from;
}

/*
 * A block as it is with its fragments, into `bytes` (block_size of room).
 * *ret_size: what of it is stored; the rest is zero. 1 when there is none.
 */
int block_load(struct fs *fs, const struct inode *inode, uint64_t block,
	       uint8_t *bytes, size_t *ret_size);
/* Adds a block as a whole to the batch, in place of its fragments. */
int block_store(struct txn *txn, struct inode *inode, uint64_t block,
		struct slice value);
/* dst has bytes [offset, offset + size) as the blocks say: puts in what
 * fragments say. */
int fragments_read(struct fs *fs, const struct inode *inode, uint64_t offset,
		   uint8_t *dst, size_t size);
/* One fragment, or a part of it: 1 when there is none. */
int fragment_read(struct fs *fs, const struct inode *inode, uint64_t offset,
		  uint8_t *dst, size_t size);
/* Adds a write of `src`, within one block that exists, to the batch. */
int fragments_write(struct txn *txn, struct inode *inode, uint64_t offset,
		    struct slice src);
/* Adds the deletion of all fragments of blocks [from, to) to the batch. */
int fragments_delete(struct txn *txn, struct inode *inode, uint64_t from,
		     uint64_t to);

/* --- prealloc.c --- */

/* What is kept free for a preallocated block, beside its key. */
uint64_t prealloc_bytes(const struct fs *fs);
/* Promises blocks [from, to), as far as they are not stored. 0, -ENOSPC (some
 * may have been promised), -errno. */
int prealloc_add(struct fs *fs, uint64_t ino, uint64_t from, uint64_t to);
/* Sets the count, and the flag that goes with it. */
void prealloc_count_set(struct inode *inode, uint64_t count);
/* A block is about to be stored that was not: its promise, if there is one,
 * pays for it. */
int prealloc_spend(struct txn *txn, struct inode *inode, uint64_t block);
/* Takes back what was promised of blocks [from, to), in batches. */
int prealloc_drop(struct fs *fs, uint64_t ino, uint64_t from, uint64_t to);

/* --- extent.c --- */

/* Makes the file at least that large, by a hole. */
int size_grow(struct fs *fs, uint64_t ino, uint64_t size_bytes);
/* Makes the range a hole as far as the file reaches; its size stays. */
int hole_punch(struct fs *fs, uint64_t ino, uint64_t offset, uint64_t size);

/* --- xattr.c --- */

/* The value in the transaction's memory; -ENODATA. */
int xattr_load(struct txn *txn, const struct inode *inode, struct slice name,
	       struct slice *ret_value);
/* Adds it to, or takes it from, the batch, and counts its name. The value is
 * borrowed. `exists`: as it is now. */
int xattr_put(struct txn *txn, struct inode *inode, struct slice name,
	      struct slice value, bool exists);
int xattr_drop(struct txn *txn, struct inode *inode, struct slice name);

/* --- partition.c --- */

/* A partition in use. They stay in memory until the filesystem is closed, so
 * that a pointer to one needs no reference. */
struct partition {
	uint64_t ino; /* constant */

	struct mutex lock;
	/* Guarded by lock, which is held over the commit that changes counts.
	 */
	struct partition_settings settings;
	struct partition_counts counts;
	bool gone; /* removed: nothing is counted any more */

	/* Guarded by the lock of its inode: made, and not committed yet. */
	bool fresh;

	/* Atomic, since open. */
	atomic_uint_fast64_t operations;
	atomic_uint_fast64_t writes;
	atomic_uint_fast64_t value_bytes_raw;
	atomic_uint_fast64_t value_bytes_stored;
};

void partition_table_init(struct partition_table *table);
void partition_table_release(struct partition_table *table);
/* Loads all that the store has. */
int partitions_load(struct fs *fs);
/* It is gone; some may still look at it. */
void partition_table_remove(struct fs *fs, struct partition *partition);
/* NULL: there is none of that number, as for 0. */
struct partition *partition_find(struct fs *fs, uint64_t ino);
/* NULL behind the last. */
struct partition *partition_at(struct fs *fs, size_t i);
/* An inode of this partition (0: of none) was asked for something. */
void partition_count_operation(struct fs *fs, uint64_t ino);

/* Whether the inode may have a name in the directory: 0 or -EXDEV. */
int partition_check_place(const struct inode *dir, const struct inode *inode);
/* fs_sync() as far as the durability of an inode's partition wants it. */
int partition_sync(struct fs *fs, uint64_t ino);

/*
 * An xattr is about to be set (or, without value, removed): when it is a
 * setting, checks it, and makes the directory a partition if it is none. 0, the
 * errors that partition.h names. After the commit: partition_setting_done().
 */
int partition_setting_prepare(struct txn *txn, struct inode *inode,
			      struct slice name, const struct slice *value);
void partition_setting_done(struct txn *txn, const struct inode *inode,
			    struct slice name, const struct slice *value,
			    int error);

/* --- partition_count.c --- */

/* Notes what storing the inode changes in the counts of its partition. */
int partition_account(struct txn *txn, struct inode *inode);
/* The batch removes the directory: if it is a partition's, that too. */
int partition_remove(struct txn *txn, const struct inode *dir);
/* Commits a batch that changes something in partitions. */
int partitions_commit(struct txn *txn, unsigned int flags);

/* --- partition_recount.c --- */

/* For the repair: adds its record, with true counts, to the batch, or takes away
 * that of what is no partition. 0, 1 when nothing is wrong. */
int partition_recount(struct txn *txn, uint64_t ino);

/* --- partition_schema.c: 0, -EINVAL for what is no value, -EFBIG --- */

/* VALUE_BYTES for all that is no regular file of a partition with another. */
enum value_schema inode_schema(struct fs *fs, const struct inode *inode);
/* A write is about to be added to the batch. `partial`: more may follow. */
int schema_write_prepare(struct txn *txn, struct inode *inode, uint64_t offset,
			 struct slice src, bool partial);
/* A change of size is. */
int schema_size_prepare(struct txn *txn, const struct inode *inode,
			uint64_t size_bytes);
/* This is to be all that the inode contains. */
int schema_value_check(struct fs *fs, const struct inode *inode,
		       struct slice value);
/* Whether setting the size to 0 was put off. */
bool schema_empty_later(struct txn *txn, const struct inode *inode);
/* fs_settle() for all. */
void schemas_settle(struct fs *fs);
