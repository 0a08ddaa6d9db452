/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of the filesystem: its keys and values. Everything that is stored
 * is encoded and decoded here and nowhere else; FORMAT.md is the same in
 * tables. Decoders check every field and that all bytes were used: -EUCLEAN
 * when they make no sense. Outputs are untouched on failure.
 *
 * Pure functions; no locks.
 */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "engine/buf.h"
#include "fs/fs.h"

#define SCHEMA_VERSION 1u
#define BLOCK_SIZE_MIN 4096u
#define BLOCK_SIZE_MAX (1u << 20)
/* The stretch of a file that a FRAGMENT key stands for. */
#define FRAGMENT_SIZE 4096u
/* No inline limit may exceed this, so that inline data always fits a block. */
#define INLINE_LIMIT_MAX 4096u
#define INODE_RECORD_MAX (160u + INLINE_LIMIT_MAX)
#define ENTRY_RECORD_MAX (10u + 1u + FS_NAME_MAX)
#define SUPER_RECORD_SIZE 36u
#define PARTITION_RECORD_MAX 20u
#define COOKIE_DOT 1u
#define COOKIE_DOT_DOT 2u
#define COOKIE_FIRST 3u
/* The sum of sizes of one inode's xattr names, each with a NUL: what
 * listxattr(2) can return. */
#define XATTR_NAMES_MAX 65536u

/* --- keys --- */

/* The byte behind the inode number. Of inode 0, which is no inode: SUPER,
 * ORPHAN, TRUNCATE and PARTITION; of every other: the rest. */
enum key_tag {
	TAG_INODE = 'A',
	TAG_BLOCK = 'B',
	TAG_COOKIE = 'C',
	TAG_NAME = 'D',
	TAG_FRAGMENT = 'F',
	TAG_PREALLOC = 'P',
	TAG_XATTR = 'X',
	TAG_SUPER = 'S',
	TAG_ORPHAN = 'O',
	TAG_TRUNCATE = 'T',
	TAG_PARTITION = 'Q',
};

#define SCHEMA_KEY_MAX (8u + 1u + FS_NAME_MAX)

/* An encoded key. */
struct schema_key {
	size_t size;
	uint8_t bytes[SCHEMA_KEY_MAX];
};

static inline struct slice key_slice(const struct schema_key *key)
{
	return (struct slice){ key->bytes, key->size };
}

/* A decoded key. */
struct key_parts {
	uint64_t ino; /* 0 for SUPER, ORPHAN, TRUNCATE, PARTITION */
	enum key_tag tag;
	uint64_t number;   /* block, cookie, fragment, preallocated block;
			    * inode of ORPHAN, TRUNCATE, PARTITION */
	struct slice name; /* of NAME, XATTR; borrowed from the key */
};

void inode_key_encode(struct schema_key *ret_key, uint64_t ino);
void block_key_encode(struct schema_key *ret_key, uint64_t ino, uint64_t block);
void fragment_key_encode(struct schema_key *ret_key, uint64_t ino,
			 uint64_t fragment);
void prealloc_key_encode(struct schema_key *ret_key, uint64_t ino,
			 uint64_t block);
void cookie_key_encode(struct schema_key *ret_key, uint64_t ino,
		       uint64_t cookie);
/* name and xattr names: at most 255 bytes. */
void name_key_encode(struct schema_key *ret_key, uint64_t dir_ino,
		     struct slice name);
void xattr_key_encode(struct schema_key *ret_key, uint64_t ino,
		      struct slice name);
void super_key_encode(struct schema_key *ret_key);
void orphan_key_encode(struct schema_key *ret_key, uint64_t ino);
void truncate_key_encode(struct schema_key *ret_key, uint64_t ino);
void partition_key_encode(struct schema_key *ret_key, uint64_t ino);
/* What all keys of an inode with this tag begin with. */
void prefix_encode(struct schema_key *ret_key, uint64_t ino, enum key_tag tag);
int schema_key_decode(struct slice key, struct key_parts *ret_parts);

/* Classes of keys, for the counters that the engine keeps. */
enum key_class {
	CLASS_OTHER,
	CLASS_INODE,
	CLASS_BLOCK,
	CLASS_COOKIE,
	CLASS_NAME,
	CLASS_XATTR,
	CLASS_SUPER,
	CLASS_ORPHAN,
	CLASS_TRUNCATE,
	CLASS_FRAGMENT,
	CLASS_PREALLOC,
	CLASS_PARTITION,
};

/* A kv_classify_fn. */
unsigned int schema_classify(struct slice key);

/* --- the superblock --- */

enum super_flags {
	/* There are, or were, partitions. Incompatible: who does not know them
	 * would take the inodes in them for damaged, and not count them. */
	SUPER_PARTITIONS = 1u << 0,
	/* There are, or were, inodes with INODE_TAIL. Incompatible likewise. */
	SUPER_TAILS = 1u << 1,
};
#define SUPER_INCOMPAT_ALL (SUPER_PARTITIONS | SUPER_TAILS)

struct super {
	uint32_t version;
	uint32_t compat_flags;   /* unknown ones do no harm */
	uint32_t incompat_flags; /* unknown ones: do not open */
	uint32_t block_size_bytes;
	uint32_t inline_limit_bytes;
	uint64_t next_ino; /* no inode has this number or a greater one */
};

void super_encode(const struct super *super,
		  uint8_t ret_bytes[static SUPER_RECORD_SIZE]);
/* -EMEDIUMTYPE without the magic, -EPROTONOSUPPORT for a newer one. */
int super_decode(struct slice bytes, struct super *ret_super);

/* --- partitions --- */

/* What is counted of one; its settings are xattrs of its directory. */
struct partition_counts {
	uint64_t keys;  /* inodes with a name that are no directories */
	uint64_t bytes; /* that they take: inode_stored_bytes() */
};

size_t partition_encode(const struct partition_counts *counts,
			uint8_t ret_bytes[static PARTITION_RECORD_MAX]);
int partition_decode(struct slice bytes, struct partition_counts *ret_counts);

/* --- inodes --- */

enum inode_flags {
	/* Blocks beyond the size may exist: a truncation is in progress, there
	 * is a TRUNCATE key, and the size must not grow before it is done. */
	INODE_TRUNCATING = 1u << 0,
	/* Made by O_TMPFILE and never linked: may get its first link. */
	INODE_LINKABLE = 1u << 1,
	/* Blocks from fragment_from on may have fragments. */
	INODE_FRAGMENTED = 1u << 2,
	/* There are PREALLOC keys. */
	INODE_PREALLOCATED = 1u << 3,
	/* The last bytes are in the record, and not in blocks. */
	INODE_TAIL = 1u << 5,
};
#define INODE_FLAGS_ALL                                         \
	(INODE_TRUNCATING | INODE_LINKABLE | INODE_FRAGMENTED | \
	 INODE_PREALLOCATED | INODE_TAIL)
/* Of the record only: the number of a partition follows. */
#define INODE_IN_PARTITION (1u << 4)

/* A decoded inode. Fields that its type does not have are 0. */
struct inode {
	uint64_t ino; /* from the key */
	uint32_t flags;
	uint32_t mode;
	uint32_t nlink;
	uint32_t uid;
	uint32_t gid;
	uint32_t xattr_names_size; /* sum of names with NULs; 0: none */
	struct timespec atime;
	struct timespec mtime;
	struct timespec ctime;
	struct timespec btime;
	uint64_t size_bytes;     /* regular files */
	uint64_t block_count;    /* regular files: number of BLOCK keys */
	uint64_t fragment_from;  /* with INODE_FRAGMENTED: a block */
	uint64_t prealloc_count; /* with INODE_PREALLOCATED: of the keys */
	uint64_t rdev;           /* devices */
	uint64_t parent;         /* directories; the root is its own */
	uint64_t next_cookie;    /* directories */
	uint64_t partition;      /* the directory that is its root; 0: none */
	/* Of its partition, that is what it was loaded or last stored as. */
	struct partition_counts counted;
	/* Regular files without blocks: the first data.size bytes, the rest is
	 * a hole; with INODE_TAIL the last ones. Symbolic links: the target.
	 * Borrowed. */
	struct slice data;
};

/* Encodes into `bytes` (INODE_RECORD_MAX); returns the size. */
size_t inode_encode(const struct inode *inode, uint8_t *ret_bytes);
/* inode->data borrows from `bytes`. */
int inode_decode(struct slice bytes, uint64_t ino, struct inode *ret_inode);

/* --- directory entries --- */

/* The type of an inode as directories keep it: the upper bits of the mode. */
static inline uint8_t type_of_mode(uint32_t mode)
{
	return (uint8_t)((mode & 0170000u) >> 12);
}

static inline uint32_t mode_of_type(uint8_t type)
{
	return (uint32_t)type << 12;
}

/* A directory entry is stored twice: by name, for lookup and ordered listing,
 * and by cookie, for streams. */
struct dentry {
	uint64_t ino;
	uint8_t type;
	uint64_t cookie;
	struct slice name;
};

/* The value of a NAME key: everything but the name. Returns the size. */
size_t name_record_encode(const struct dentry *dentry,
			  uint8_t ret_bytes[static ENTRY_RECORD_MAX]);
/* Leaves ret_dentry->name alone. */
int name_record_decode(struct slice bytes, struct dentry *ret_dentry);
/* The value of a COOKIE key: everything but the cookie. */
size_t cookie_record_encode(const struct dentry *dentry,
			    uint8_t ret_bytes[static ENTRY_RECORD_MAX]);
/* Leaves ret_dentry->cookie alone; the name borrows from `bytes`. */
int cookie_record_decode(struct slice bytes, struct dentry *ret_dentry);

/* 1 to 255 bytes, no NUL, no '/', not "." nor "..": what a stored name is. */
bool name_is_valid(struct slice name);
