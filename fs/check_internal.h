/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the files of the check share. A check runs on a pin: it sees the store
 * of one moment, while the mount goes on. Its memory does not depend on the
 * size of the store:
 *
 *	check.c         the order of things, the engine's own check, progress
 *	check_inode.c   one pass over all keys, an inode at a time
 *	check_links.c   whether link counts and names agree, over all inodes
 *	check_partition.c  whether partitions count what they have
 *	check_report.c  problems, and the paths they are reported with
 *	check_keep.c    how far it has come, kept beside the store
 *	check_format.c  ... as bytes
 */

#include "engine/kv.h"
#include "fs/check_format.h"
#include "fs/fs_internal.h"

#define CHECK_WHAT_MAX 160u
/* Problems kept until their paths are looked for, all in one scan. */
#define CHECK_PENDING_MAX 512u

/* A problem without its path. */
struct check_problem {
	enum fs_problem_kind kind;
	uint64_t ino;
	uint64_t dir_ino; /* with name: the directory; else 0 */
	char name[FS_NAME_MAX];
	uint32_t name_size; /* 0: the path of ino is to be found */
	bool found;         /* path_dir_ino and name are its path */
	char what[CHECK_WHAT_MAX];
};

/* The inode whose keys are passing by. */
struct check_inode {
	uint64_t ino; /* 0: none yet */
	bool known;   /* there is a sound record */
	bool damaged; /* there is one that cannot be read */
	bool strayed; /* keys without a record were reported */
	struct inode inode;
	uint64_t blocks;
	uint64_t last_block; /* with blocks */
	uint64_t preallocated;
	uint64_t subdirs;
	uint64_t xattr_names_size;
};

struct check {
	struct fs *fs;
	struct kv_pin *pin;
	fs_problem_fn *fn;
	kv_progress_fn *progress;
	void *ctx;
	uint64_t problem_count; /* those that are pending not counted */

	/* How far it has come; references' sums: of check_links.c. */
	struct check_state state;
	uint64_t pin_lsn; /* of what the pass over references sees; 0: unknown */
	/* Is it kept, to be gone on with? check_keep.c. */
	bool keeps;
	enum kv_note note;
	struct buf kept;     /* the state to go on from, encoded */
	uint64_t kept_bytes; /* done when it was stored last */

	uint64_t next_ino; /* of the superblock; 0 when it is damaged */
	struct check_inode current;
	uint64_t done_bytes; /* of what is being passed over */
	uint64_t base_bytes; /* done by the engine's check before */
	uint64_t live_bytes;

	struct check_problem *pending;
	size_t pending_count;
};

/* --- check.c --- */

/* On the pin: 0, 1 absent, -EBADMSG, -EIO, ... */
int check_get(struct check *check, const struct schema_key *key,
	      struct buf *ret_value);
int check_exists(struct check *check, const struct schema_key *key);
/* Without its data. 0, 1 absent, -EUCLEAN, ... */
int check_load(struct check *check, uint64_t ino, struct inode *ret_inode);
/* Errors that a damaged record gives, and that do not end the check. */
bool check_is_damage(int error);
int check_dentry(struct check *check, const struct schema_key *name_key,
		 struct dentry *ret_dentry);
/* Lists every key of the store; errors of the callback end it. */
int check_list(struct check *check, kv_list_fn *fn, void *ctx);
/* Counts a key that passed; -ECANCELED when the caller wants to stop. */
int check_advance(struct check *check, const struct kv_entry *entry);

/* --- check_inode.c --- */

int check_inodes(struct check *check);

/* --- check_partition.c --- */

/* Whether what is in a directory may be there. */
int check_partition_place(struct check *check, const struct inode *dir,
			  struct slice name, const struct inode *child);
/* An xattr of the inode that passes by. */
int check_partition_setting(struct check *check, struct slice name,
			    struct slice value);
/* Whether all partitions count what they have. */
int check_partitions(struct check *check);

/* --- check_links.c --- */

uint64_t link_hash(uint64_t ino);
/* How many names should lead to an inode. */
uint64_t links_expected(const struct inode *inode);
/* Finds the inodes whose links are wrong, when the sums differ. */
int check_links(struct check *check);

/* --- check_keep.c --- */

/* Takes over what a check before this one has kept. 0 also when that is nothing,
 * or of no use. */
int check_take_up(struct check *check);
/* This is a place to go on from; done_bytes, by which it is stored at times. */
void check_keep(struct check *check, uint64_t done_bytes);
/* At the end: stores how far it has come, or that it has come to its end. */
void check_keep_end(struct check *check, bool complete);

/* --- check_report.c --- */

/* Something about an inode, whose path is to be found. */
int report_inode(struct check *check, enum fs_problem_kind kind, uint64_t ino,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));
/* Something about a name in a directory. ino: what it leads to, or 0. */
int report_name(struct check *check, enum fs_problem_kind kind,
		uint64_t dir_ino, struct slice name, uint64_t ino,
		const char *format, ...) __attribute__((format(printf, 6, 7)));
/* Something that is at no path; passed on at once. */
void report_store(struct check *check, const char *what);
/* Finds the paths of what is pending and passes it on. */
int report_flush(struct check *check);
