/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The nodes of the memtable's B+tree. Leaves and inner nodes have one shape:
 * an ascending array of slots, each with an entry, whose key the slot stands
 * for, and in an inner node with a child, whose keys are those from the slot's
 * key up to the next slot's. (What sorts before the first slot of an inner node
 * also belongs to its first child.)
 *
 * Following a pointer to an entry costs a cache miss, so a node holds enough of
 * each key to do without, most of the time:
 *
 *	prefix      what all keys of the node begin with
 *	heads[i]    the 8 bytes of key i after the prefix, as a big-endian
 *	            number, zeros where the key is shorter
 *	tails[i]    the 8 bytes after these in the same way, which are looked at
 *	            only where heads are equal
 *
 * Heads, or else tails, that differ order their keys. When both are equal they
 * say nothing, and the keys are compared.
 *
 *	prefix "vacation_"     heads       tails     entries
 *	                       "beach_00"  "1.jpg"   -> "vacation_beach_001.jpg"
 *	                       "beach_00"  "2.jpg"   -> ...
 *
 * No locks here: the tree's owner has one.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/arena.h"
#include "engine/buf.h"
#include "engine/place.h"

#define TREE_KEY_MAX UINT16_MAX
#define TREE_NODE_SLOTS 64
#define TREE_NODE_PREFIX_INLINE 32

/* A key and its place. Once made, an entry neither moves nor changes its key. */
struct tree_entry {
	uint64_t offset, size_bytes, lsn, segment_id; /* of struct place */
	uint16_t key_size;
	bool tombstone;
	uint8_t key[];
};

struct tree_node {
	uint16_t count;
	uint16_t prefix_size;
	uint8_t last_insert; /* the slot that was filled last */
	uint8_t sequence;    /* how many before it came in ascending order */
	bool leaf;
	struct tree_node *right;                 /* the next leaf, or NULL */
	uint8_t prefix[TREE_NODE_PREFIX_INLINE]; /* its beginning */
	uint64_t heads[TREE_NODE_SLOTS];
	struct tree_entry *entries[TREE_NODE_SLOTS];
	uint64_t tails[TREE_NODE_SLOTS];
	struct tree_node *children[]; /* TREE_NODE_SLOTS if not a leaf */
};

static inline size_t tree_node_size(bool leaf)
{
	return sizeof(struct tree_node) +
	       (leaf ? 0 : TREE_NODE_SLOTS * sizeof(struct tree_node *));
}

static inline struct slice tree_entry_key(const struct tree_entry *entry)
{
	return slice_of(entry->key, entry->key_size);
}

/*
 * Asks for the cache lines that a search of a node can need, all at once: the
 * search itself would wait for one after the other. Always inline, as gcc
 * takes a function that only prefetches for one without effect, and drops
 * calls of it.
 */
__attribute__((always_inline)) static inline void
tree_node_prefetch(const struct tree_node *node)
{
	const uint8_t *bytes = (const uint8_t *)node;

	for (size_t at = 0; at < offsetof(struct tree_node, tails); at += 64)
		__builtin_prefetch(bytes + at);
}

struct place tree_entry_place(const struct tree_entry *entry);
void tree_entry_set_place(struct tree_entry *entry, const struct place *place);

/* An empty node out of the arena, where it must have been reserved. */
struct tree_node *tree_node_new(struct arena *arena, bool leaf);

/* The first slot whose key is not below `key`; *ret_equal when it is equal. */
unsigned int tree_node_search(const struct tree_node *node, struct slice key,
			      bool *ret_equal);

/* The slot of an inner node whose child has `key` if anyone has. */
unsigned int tree_node_descend(const struct tree_node *node, struct slice key);

/*
 * Puts an entry (and, in an inner node, its child) before the slot `at`. The
 * node must not be full.
 */
void tree_node_insert(struct tree_node *node, unsigned int at,
		      struct tree_entry *entry, struct tree_node *child);

/*
 * The same where the node is full: the upper part moves to a new node, which
 * is returned, with at least one slot.
 */
struct tree_node *tree_node_split(struct tree_node *node, struct arena *arena,
				  unsigned int at, struct tree_entry *entry,
				  struct tree_node *child);

/*
 * Makes `entry` the key of the first slot if it is below the one there: what
 * an inner node needs before its first child, which may have got keys below
 * that slot's, is split.
 */
void tree_node_lower_first(struct tree_node *node, struct tree_entry *entry);

/*
 * The most splits that `inserts` into a level of `nodes` nodes can cause,
 * whatever their keys.
 */
size_t tree_node_splits_max(size_t nodes, size_t inserts);
