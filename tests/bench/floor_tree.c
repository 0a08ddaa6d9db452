/* SPDX-License-Identifier: MIT */
/*
 * The in-RAM tree of floorfs.
 *
 * 1. Inode numbers only grow, so a number is an index and is never reused.
 * 2. Each name is in exactly one hash chain and one slot of its directory. A
 *    slot's index is the stream position of readdir, so a name keeps it;
 *    freed slots at the end are taken back.
 * 3. A node lives while it has a name or the kernel a reference.
 */

#include "tests/bench/floor_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#define FILE_SIZE_MAX ((uint64_t)1 << 40)

static uint64_t hash_name(uint64_t parent, const char *name, size_t size)
{
	uint64_t h = parent * 0x9e3779b97f4a7c15u;

	while (size >= sizeof(uint64_t)) {
		uint64_t word;

		memcpy(&word, name, sizeof(word));
		h = (h ^ word) * 0xff51afd7ed558ccdu;
		h ^= h >> 32;
		name += sizeof(word);
		size -= sizeof(word);
	}
	for (size_t i = 0; i < size; i++)
		h = (h ^ (uint8_t)name[i]) * 0xff51afd7ed558ccdu;
	return h ^ h >> 32;
}

static struct timespec time_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

static int nodes_grow(struct tree *tree)
{
	uint64_t capacity = tree->node_capacity * 2;
	struct node **nodes = realloc(tree->nodes, capacity * sizeof(*nodes));

	if (!nodes)
		return -ENOMEM;
	tree->nodes = nodes;
	tree->node_capacity = capacity;
	return 0;
}

static struct node *node_new(struct tree *tree, mode_t mode)
{
	struct node *node;

	if (tree->node_count == tree->node_capacity && nodes_grow(tree) != 0)
		return NULL;
	node = calloc(1, sizeof(*node));
	if (!node)
		return NULL;
	node->st.st_ino = tree->node_count;
	node->st.st_mode = mode;
	node->st.st_blksize = 4096;
	node->st.st_mtim = time_now();
	node->st.st_atim = node->st.st_mtim;
	node->st.st_ctim = node->st.st_mtim;
	node->st.st_nlink = S_ISDIR(mode) ? 1 : 0;
	tree->nodes[tree->node_count++] = node;
	tree->live_count++;
	return node;
}

int tree_init(struct tree *tree)
{
	struct node *root;

	*tree = (struct tree){
		.node_count = TREE_ROOT,
		.node_capacity = 1024,
		.bucket_count = 1024,
	};
	tree->nodes = calloc(tree->node_capacity, sizeof(*tree->nodes));
	tree->buckets = calloc(tree->bucket_count, sizeof(*tree->buckets));
	if (!tree->nodes || !tree->buckets)
		return -ENOMEM;
	root = node_new(tree, S_IFDIR | 0755);
	if (!root)
		return -ENOMEM;
	root->st.st_nlink = 2;
	root->parent = TREE_ROOT;
	return 0;
}

static void node_free(struct node *node)
{
	while (node->xattrs) {
		struct xattr *xattr = node->xattrs;

		node->xattrs = xattr->next;
		free(xattr->name);
		free(xattr->value);
		free(xattr);
	}
	free(node->slots);
	free(node->data);
	free(node);
}

void tree_release(struct tree *tree)
{
	for (size_t i = 0; tree->buckets && i < tree->bucket_count; i++) {
		while (tree->buckets[i]) {
			struct dentry *dentry = tree->buckets[i];

			tree->buckets[i] = dentry->next;
			free(dentry);
		}
	}
	for (uint64_t i = TREE_ROOT; i < tree->node_count; i++) {
		if (tree->nodes[i])
			node_free(tree->nodes[i]);
	}
	free(tree->buckets);
	free(tree->nodes);
}

struct node *tree_node(const struct tree *tree, uint64_t ino)
{
	return ino < tree->node_count ? tree->nodes[ino] : NULL;
}

struct dentry *tree_find(const struct tree *tree, uint64_t parent,
			 const char *name)
{
	size_t size = strlen(name);
	uint64_t hash = hash_name(parent, name, size);
	struct dentry *d = tree->buckets[hash & (tree->bucket_count - 1)];

	while (d && (d->hash != hash || d->parent != parent ||
		     d->name_size != size || memcmp(d->name, name, size) != 0))
		d = d->next;
	return d;
}

struct node *tree_make(struct tree *tree, const struct node *parent,
		       mode_t mode, uid_t uid, gid_t gid, dev_t rdev)
{
	struct node *node;

	if (parent->st.st_mode & S_ISGID) {
		gid = parent->st.st_gid;
		if (S_ISDIR(mode))
			mode |= S_ISGID;
	}
	node = node_new(tree, mode);
	if (!node)
		return NULL;
	node->st.st_uid = uid;
	node->st.st_gid = gid;
	node->st.st_rdev = rdev;
	return node;
}

static int buckets_grow(struct tree *tree)
{
	size_t count = tree->bucket_count * 2;
	struct dentry **buckets = calloc(count, sizeof(*buckets));

	if (!buckets)
		return -ENOMEM;
	for (size_t i = 0; i < tree->bucket_count; i++) {
		while (tree->buckets[i]) {
			struct dentry *d = tree->buckets[i];

			tree->buckets[i] = d->next;
			d->next = buckets[d->hash & (count - 1)];
			buckets[d->hash & (count - 1)] = d;
		}
	}
	free(tree->buckets);
	tree->buckets = buckets;
	tree->bucket_count = count;
	return 0;
}

static int slots_grow(struct node *dir)
{
	size_t capacity = dir->slot_capacity ? dir->slot_capacity * 2 : 16;
	struct dentry **slots = realloc(dir->slots, capacity * sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	dir->slots = slots;
	dir->slot_capacity = capacity;
	return 0;
}

int tree_link(struct tree *tree, struct node *parent, const char *name,
	      struct node *node)
{
	size_t size = strlen(name);
	struct dentry *d, **bucket;

	if (size > TREE_NAME_MAX)
		return -ENAMETOOLONG;
	if (tree->dentry_count >= tree->bucket_count && buckets_grow(tree) != 0)
		return -ENOMEM;
	if (parent->slot_count == parent->slot_capacity &&
	    slots_grow(parent) != 0)
		return -ENOMEM;
	d = malloc(sizeof(*d) + size + 1);
	if (!d)
		return -ENOMEM;
	d->node = node;
	d->parent = parent->st.st_ino;
	d->hash = hash_name(d->parent, name, size);
	d->name_size = (uint8_t)size;
	memcpy(d->name, name, size + 1);
	bucket = &tree->buckets[d->hash & (tree->bucket_count - 1)];
	d->next = *bucket;
	*bucket = d;
	d->slot = parent->slot_count++;
	parent->slots[d->slot] = d;
	parent->child_count++;
	tree->dentry_count++;
	node->st.st_nlink++;
	if (S_ISDIR(node->st.st_mode)) {
		node->parent = d->parent;
		parent->st.st_nlink++;
	}
	node_touch(parent);
	node->st.st_ctim = parent->st.st_ctim;
	return 0;
}

void tree_unlink(struct tree *tree, struct dentry *d)
{
	struct dentry **at = &tree->buckets[d->hash & (tree->bucket_count - 1)];
	struct node *parent = tree->nodes[d->parent];
	struct node *node = d->node;

	while (*at != d)
		at = &(*at)->next;
	*at = d->next;
	parent->slots[d->slot] = NULL;
	while (parent->slot_count > 0 && !parent->slots[parent->slot_count - 1])
		parent->slot_count--;
	parent->child_count--;
	tree->dentry_count--;
	node->st.st_nlink--;
	if (S_ISDIR(node->st.st_mode))
		parent->st.st_nlink--;
	node_touch(parent);
	node->st.st_ctim = parent->st.st_ctim;
	free(d);
}

void tree_reap(struct tree *tree, struct node *node)
{
	/* A directory counts its own ".". */
	nlink_t own = S_ISDIR(node->st.st_mode) ? 1 : 0;

	if (node->lookups > 0 || node->st.st_nlink > own)
		return;
	tree->nodes[node->st.st_ino] = NULL;
	tree->live_count--;
	node_free(node);
}

static int node_reserve(struct node *node, uint64_t size)
{
	size_t capacity = node->capacity * 2;
	char *data;

	if (size > FILE_SIZE_MAX)
		return -EFBIG;
	if (size <= node->capacity)
		return 0;
	if (capacity < size)
		capacity = size < 128 ? 128 : size;
	data = realloc(node->data, capacity);
	if (!data)
		return -ENOMEM;
	node->data = data;
	node->capacity = capacity;
	return 0;
}

static void node_set_size(struct node *node, uint64_t size)
{
	node->st.st_size = (off_t)size;
	node->st.st_blocks = (blkcnt_t)((size + 511) / 512);
}

int node_resize(struct node *node, uint64_t size)
{
	uint64_t old = (uint64_t)node->st.st_size;
	int error = node_reserve(node, size);

	if (error)
		return error;
	if (size > old)
		memset(node->data + old, 0, size - old);
	node_set_size(node, size);
	return 0;
}

int node_write(struct node *node, const char *data, size_t size,
	       uint64_t offset)
{
	uint64_t old = (uint64_t)node->st.st_size;
	int error = node_reserve(node, offset + size);

	if (error)
		return error;
	if (offset > old)
		memset(node->data + old, 0, offset - old);
	memcpy(node->data + offset, data, size);
	if (offset + size > old)
		node_set_size(node, offset + size);
	node_touch(node);
	return 0;
}

void node_touch(struct node *node)
{
	node->st.st_mtim = time_now();
	node->st.st_ctim = node->st.st_mtim;
}

struct xattr *node_xattr(const struct node *node, const char *name)
{
	struct xattr *xattr = node->xattrs;

	while (xattr && strcmp(xattr->name, name) != 0)
		xattr = xattr->next;
	return xattr;
}

int node_set_xattr(struct node *node, const char *name, const char *value,
		   size_t size, int flags)
{
	struct xattr *xattr = node_xattr(node, name);
	char *copy;

	if (xattr && (flags & XATTR_CREATE))
		return -EEXIST;
	if (!xattr && (flags & XATTR_REPLACE))
		return -ENODATA;
	copy = malloc(size + 1);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, size);
	if (!xattr) {
		xattr = calloc(1, sizeof(*xattr));
		if (xattr)
			xattr->name = strdup(name);
		if (!xattr || !xattr->name) {
			free(xattr);
			free(copy);
			return -ENOMEM;
		}
		xattr->next = node->xattrs;
		node->xattrs = xattr;
	}
	free(xattr->value);
	xattr->value = copy;
	xattr->size = size;
	node->st.st_ctim = time_now();
	return 0;
}

int node_remove_xattr(struct node *node, const char *name)
{
	struct xattr **at = &node->xattrs;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	if (*at) {
		struct xattr *xattr = *at;

		*at = xattr->next;
		free(xattr->name);
		free(xattr->value);
		free(xattr);
		node->st.st_ctim = time_now();
		return 0;
	}
	return -ENODATA;
}
