/* SPDX-License-Identifier: MIT */

/*
 * The B+tree over tree_node.h: the way down, the way back up when nodes split,
 * and the memory for both.
 *
 * 1. Every node but the root has at least one slot, and all leaves have the
 *    same depth. Leaves are linked in order.
 * 2. A key of an inner node is one of a leaf's entries: that lives as long as
 *    the tree, so no separators are copied.
 */

#include "engine/tree.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* Aligned so that no field of an entry needs care. */
#define ENTRY_ALIGN _Alignof(struct tree_entry)

void tree_init(struct tree *tree)
{
	*tree = (struct tree){ 0 };
	arena_init(&tree->entries, ENTRY_ALIGN);
	arena_init(&tree->nodes, ARENA_ALIGN_MAX);
}

void tree_release(struct tree *tree)
{
	arena_release(&tree->entries);
	arena_release(&tree->nodes);
}

/* Bytes for all nodes that `inserts` can make, each level feeding the next. */
static int tree_node_bytes(const struct tree *tree, size_t inserts,
			   size_t *ret_size)
{
	size_t leaf_size = arena_piece_size(&tree->nodes, tree_node_size(true));
	size_t inner_size =
		arena_piece_size(&tree->nodes, tree_node_size(false));
	size_t splits = inserts, leaves = 1, inner = 0, size;

	/* An empty tree has a level all the same: its first leaf's. */
	for (unsigned int level = 0; level == 0 || level < tree->height;
	     level++) {
		splits = tree_node_splits_max(tree->level_nodes[level], splits);
		*(level ? &inner : &leaves) += splits;
	}
	/* The first split of a root makes the next, which has room. */
	while (splits) {
		inner++;
		splits--;
		if (splits < TREE_NODE_SLOTS - 2)
			break;
		splits = tree_node_splits_max(0, splits);
		inner += splits;
	}
	if (__builtin_mul_overflow(leaves, leaf_size, ret_size) ||
	    __builtin_mul_overflow(inner, inner_size, &size) ||
	    __builtin_add_overflow(*ret_size, size, ret_size))
		return -ENOMEM;
	return 0;
}

int tree_reserve(struct tree *tree, size_t count, size_t key_bytes)
{
	size_t entry_bytes, node_bytes;
	int error;

	if (__builtin_mul_overflow(count,
				   sizeof(struct tree_entry) + ENTRY_ALIGN - 1,
				   &entry_bytes) ||
	    __builtin_add_overflow(entry_bytes, key_bytes, &entry_bytes))
		return -ENOMEM;
	error = tree_node_bytes(tree, count, &node_bytes);
	if (!error)
		error = arena_reserve(&tree->entries, entry_bytes);
	if (!error)
		error = arena_reserve(&tree->nodes, node_bytes);
	return error;
}

/*
 * Goes from an inner node to its child that has `key` if anyone has, and makes
 * that ready for a search.
 */
static struct tree_node *tree_go_down(const struct tree_node *node,
				      struct slice key, unsigned int *ret_at)
{
	unsigned int at = tree_node_descend(node, key);
	struct tree_node *child = node->children[at];

	tree_node_prefetch(child);
	*ret_at = at;
	return child;
}

/* The leaf that has `key` if anyone has, or NULL while there are none. */
static const struct tree_node *tree_leaf(const struct tree *tree,
					 struct slice key)
{
	const struct tree_node *node = tree->root;
	unsigned int at;

	while (node && !node->leaf)
		node = tree_go_down(node, key, &at);
	return node;
}

struct tree_entry *tree_find(const struct tree *tree, struct slice key)
{
	const struct tree_node *leaf = tree_leaf(tree, key);
	unsigned int at;
	bool equal;

	if (!leaf)
		return NULL;
	at = tree_node_search(leaf, key, &equal);
	return equal ? leaf->entries[at] : NULL;
}

static struct tree_entry *tree_entry_new(struct tree *tree, struct slice key)
{
	struct tree_entry *entry;

	assert(key.size <= TREE_KEY_MAX);
	entry = arena_take(&tree->entries,
			   offsetof(struct tree_entry, key) + key.size);
	entry->key_size = (uint16_t)key.size;
	if (key.size)
		memcpy(entry->key, key.data, key.size);
	tree->entry_count++;
	tree->key_bytes += key.size;
	return entry;
}

/* Puts a root above the old one and its new sibling. */
static void tree_grow(struct tree *tree, struct tree_node *upper)
{
	struct tree_node *root = tree_node_new(&tree->nodes, false);

	assert(tree->height < TREE_HEIGHT_MAX);
	tree_node_insert(root, 0, tree->root->entries[0], tree->root);
	tree_node_insert(root, 1, upper->entries[0], upper);
	tree->root = root;
	tree->level_nodes[tree->height++] = 1;
}

/* A node on the way down, and the slot of the child that was taken. */
struct tree_step {
	struct tree_node *node;
	unsigned int at;
};

/*
 * Puts an entry before the slot `at` of a leaf, and splits what is full on the
 * way back up the `depth` steps that led there.
 */
static void tree_add(struct tree *tree, const struct tree_step *path,
		     unsigned int depth, struct tree_node *node,
		     unsigned int at, struct tree_entry *entry)
{
	struct tree_node *child = NULL, *upper;

	for (unsigned int level = 0; node->count == TREE_NODE_SLOTS; level++) {
		upper = tree_node_split(node, &tree->nodes, at, entry, child);
		tree->level_nodes[level]++;
		if (depth == 0) {
			tree_grow(tree, upper);
			return;
		}
		/* The new slot must sort behind that of the lower half. */
		depth--;
		at = path[depth].at + 1;
		if (at == 1)
			tree_node_lower_first(path[depth].node,
					      node->entries[0]);
		node = path[depth].node;
		child = upper;
		entry = upper->entries[0];
	}
	tree_node_insert(node, at, entry, child);
}

struct tree_entry *tree_insert(struct tree *tree, struct slice key,
			       bool *ret_new)
{
	struct tree_step path[TREE_HEIGHT_MAX];
	struct tree_node *node;
	struct tree_entry *entry;
	unsigned int depth = 0, at;
	bool equal;

	if (!tree->root) {
		tree->root = tree_node_new(&tree->nodes, true);
		tree->level_nodes[tree->height++] = 1;
	}
	for (node = tree->root; !node->leaf;) {
		path[depth].node = node;
		node = tree_go_down(node, key, &path[depth++].at);
	}
	at = tree_node_search(node, key, &equal);
	*ret_new = !equal;
	if (equal)
		return node->entries[at];
	entry = tree_entry_new(tree, key);
	tree_add(tree, path, depth, node, at, entry);
	return entry;
}

struct tree_position tree_seek(const struct tree *tree, struct slice key,
			       bool after)
{
	const struct tree_node *leaf = tree_leaf(tree, key);
	unsigned int at;
	bool equal;

	if (!leaf)
		return (struct tree_position){ 0 };
	at = tree_node_search(leaf, key, &equal);
	if (equal && after)
		at++;
	if (at == leaf->count)
		return (struct tree_position){ leaf->right, 0 };
	return (struct tree_position){ leaf, at };
}
