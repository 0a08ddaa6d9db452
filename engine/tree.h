/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The memtable's B+tree: from keys to entries, in order. Keys are added and
 * never removed. No lock: the memtable has it.
 */

#include "engine/tree_node.h"

/* Even with nodes as empty as can be, more keys than memory has room for. */
#define TREE_HEIGHT_MAX 12

struct tree {
	struct tree_node *root; /* NULL while empty */
	unsigned int height;    /* levels of nodes */
	size_t entry_count;
	size_t key_bytes;
	size_t level_nodes[TREE_HEIGHT_MAX]; /* from the leaves up */
	struct arena entries;
	struct arena nodes;
};

/* A slot of a leaf; node is NULL beyond the last. */
struct tree_position {
	const struct tree_node *node;
	unsigned int at;
};

void tree_init(struct tree *tree);
void tree_release(struct tree *tree);

/*
 * Makes sure that `count` inserts of keys of key_bytes in total have the
 * memory they need. The last call counts, not the sum. 0 or -ENOMEM.
 */
int tree_reserve(struct tree *tree, size_t count, size_t key_bytes);

/* Bytes of memory in use by entries and nodes. */
static inline size_t tree_size_bytes(const struct tree *tree)
{
	return tree->entries.used_bytes + tree->nodes.used_bytes;
}

/* The entry of a key, or NULL. */
struct tree_entry *tree_find(const struct tree *tree, struct slice key);

/*
 * The entry of a key, made when there was none, which must have been reserved:
 * then *ret_new, and its place means nothing yet.
 */
struct tree_entry *tree_insert(struct tree *tree, struct slice key,
			       bool *ret_new);

/* The first entry at `key` or beyond it, or strictly beyond when `after`. */
struct tree_position tree_seek(const struct tree *tree, struct slice key,
			       bool after);

static inline struct tree_entry *tree_at(struct tree_position position)
{
	return position.node ? position.node->entries[position.at] : NULL;
}

/* How far ahead of a scan entries are asked for, to be there when it comes. */
#define TREE_AHEAD 8

/* Always inline for the reason given at tree_node_prefetch(). */
__attribute__((always_inline)) static inline void
tree_prefetch_ahead(struct tree_position position)
{
	const struct tree_node *node = position.node;
	unsigned int at = position.at + TREE_AHEAD;

	if (at >= node->count) {
		at -= node->count;
		node = node->right;
	}
	if (node && at < node->count)
		__builtin_prefetch(node->entries[at]);
}

/* Goes one entry further. Positions die with the next new key. */
static inline void tree_advance(struct tree_position *position)
{
	if (++position->at == position->node->count) {
		position->node = position->node->right;
		position->at = 0;
	}
}
