/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The in-RAM tree of floorfs: nodes by number, names by one hash table, file
 * contents in one piece of memory each. As little work per call as can be, so
 * that what is measured is FUSE itself. Nothing here locks; floor_ops.c does.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <time.h>

#define TREE_ROOT 1
#define TREE_NAME_MAX 255

struct xattr {
	struct xattr *next;
	char *name;
	char *value;
	size_t size;
};

struct node {
	struct stat st;   /* as getattr answers it */
	uint64_t lookups; /* references that the kernel holds */
	uint64_t parent;  /* of a directory */
	char *data;       /* contents, or the target of a symbolic link */
	size_t capacity;
	struct dentry **slots; /* of a directory, in the order of readdir */
	size_t slot_count;
	size_t slot_capacity;
	size_t child_count;
	struct xattr *xattrs;
};

struct dentry {
	struct dentry *next; /* in its hash chain */
	struct node *node;
	uint64_t parent;
	uint64_t hash;
	size_t slot;
	uint8_t name_size;
	char name[]; /* with its NUL */
};

struct tree {
	struct node **nodes; /* by inode number; NULL: free for ever */
	uint64_t node_count; /* the next inode number */
	uint64_t node_capacity;
	uint64_t live_count;
	struct dentry **buckets;
	size_t bucket_count; /* a power of two */
	size_t dentry_count;
};

/* An empty root directory of mode 0755. 0 or -ENOMEM. */
int tree_init(struct tree *tree);
void tree_release(struct tree *tree);

/* NULL when there is none. */
struct node *tree_node(const struct tree *tree, uint64_t ino);
struct dentry *tree_find(const struct tree *tree, uint64_t parent,
			 const char *name);

/*
 * A node without a name in the directory parent, whose group it inherits when
 * that is set-group-id. NULL: out of memory.
 */
struct node *tree_make(struct tree *tree, const struct node *parent,
		       mode_t mode, uid_t uid, gid_t gid, dev_t rdev);
/* Gives a node one more name. 0, -ENOMEM, -ENAMETOOLONG. */
int tree_link(struct tree *tree, struct node *parent, const char *name,
	      struct node *node);
/* Takes a name away; the node goes when nothing refers to it any more. */
void tree_unlink(struct tree *tree, struct dentry *dentry);
/* Frees the node if it has neither a name nor a reference. */
void tree_reap(struct tree *tree, struct node *node);

/* 0, -ENOMEM, -EFBIG. What is new is zero. */
int node_resize(struct node *node, uint64_t size);
/* Writes, growing the file and zeroing a gap. 0, -ENOMEM, -EFBIG. */
int node_write(struct node *node, const char *data, size_t size,
	       uint64_t offset);
/* Makes mtime and ctime now. */
void node_touch(struct node *node);

/* NULL when there is none. */
struct xattr *node_xattr(const struct node *node, const char *name);
/* 0, -ENOMEM, -EEXIST, -ENODATA; flags as setxattr(2). */
int node_set_xattr(struct node *node, const char *name, const char *value,
		   size_t size, int flags);
/* 0, -ENODATA. */
int node_remove_xattr(struct node *node, const char *name);
