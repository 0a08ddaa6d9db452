/* SPDX-License-Identifier: MIT */

/*
 * Nodes: search, insert, split.
 *
 * 1. Slots are ascending and distinct in key.
 * 2. All keys of a node begin with its prefix, and heads and tails are cut
 *    behind it.
 *    The prefix is made as long as possible when a node is split or gets its
 *    first slot, and becomes shorter when a key comes that does not share it.
 * 3. A node is full at TREE_NODE_SLOTS, and is split only then.
 */

#include "engine/tree_node.h"

#include <assert.h>
#include <string.h>

#include "engine/codec.h"

/* Bytes in a head, and in a tail. */
#define PART_SIZE sizeof(uint64_t)

/*
 * So many keys that came in ascending order are taken for a sequence that will
 * go on. Part of the proof at tree_node_splits_max().
 */
#define SEQUENCE_MIN (TREE_NODE_SLOTS / 4)

static_assert(TREE_NODE_SLOTS % 8 == 0 && TREE_NODE_SLOTS < UINT8_MAX,
	      "slots are counted in bytes and halved");
static_assert(sizeof(struct tree_node) % ARENA_ALIGN_MAX ==
		      offsetof(struct tree_node, heads) % ARENA_ALIGN_MAX,
	      "the arrays must be whole cache lines");

struct place tree_entry_place(const struct tree_entry *entry)
{
	return (struct place){
		.offset = entry->offset,
		.size_bytes = entry->size_bytes,
		.lsn = entry->lsn,
		.segment_id = entry->segment_id,
		.tombstone = entry->tombstone,
	};
}

void tree_entry_set_place(struct tree_entry *entry, const struct place *place)
{
	entry->offset = place->offset;
	entry->size_bytes = place->size_bytes;
	entry->lsn = place->lsn;
	entry->segment_id = place->segment_id;
	entry->tombstone = place->tombstone;
}

struct tree_node *tree_node_new(struct arena *arena, bool leaf)
{
	struct tree_node *node = arena_take(arena, tree_node_size(leaf));

	memset(node, 0, offsetof(struct tree_node, heads));
	node->leaf = leaf;
	return node;
}

/* Of the prefix, how much the key shares. */
static size_t node_shared_size(const struct tree_node *node, struct slice key)
{
	const uint8_t *bytes = key.data;
	size_t size = node->prefix_size < key.size ? node->prefix_size :
						     key.size;
	size_t inlined = size < sizeof(node->prefix) ? size :
						       sizeof(node->prefix);
	size_t shared = bytes_shared(bytes, node->prefix, inlined);

	if (shared < inlined || inlined == size)
		return shared;
	return inlined + bytes_shared(bytes + inlined,
				      node->entries[0]->key + inlined,
				      size - inlined);
}

/*
 * Below 0 when the key sorts before all that begins with the node's prefix,
 * above 0 when behind it, 0 when it begins with the prefix.
 */
static int node_compare_prefix(const struct tree_node *node, struct slice key)
{
	size_t size = node->prefix_size < key.size ? node->prefix_size :
						     key.size;
	int order = 0;

	if (size <= sizeof(node->prefix)) {
		if (size)
			order = memcmp(key.data, node->prefix, size);
	} else {
		order = memcmp(key.data, node->entries[0]->key, size);
	}
	if (order == 0 && key.size < node->prefix_size)
		return -1;
	return order;
}

/* How many of ascending numbers are below `number`. */
static unsigned int count_below(const uint64_t *numbers, unsigned int count,
				uint64_t number)
{
	const uint64_t *base = numbers;

	if (count == 0)
		return 0;
	/*
	 * Halving without branches, for which way to go cannot be predicted:
	 * a mask, as compilers make a branch of a choice.
	 */
	while (count > 1) {
		unsigned int half = count / 2;

		base += half & -(unsigned int)(base[half - 1] < number);
		count -= half;
	}
	return (unsigned int)(base - numbers) + (*base < number);
}

/* Slots from `low` up to but not including `high`. */
struct slot_range {
	unsigned int low, high;
};

/*
 * Narrows a range, in which the numbers ascend, to where they equal `number`:
 * to nothing, at the place for it, if none does.
 */
static struct slot_range range_narrow(struct slot_range range,
				      const uint64_t *numbers, uint64_t number)
{
	range.low += count_below(numbers + range.low, range.high - range.low,
				 number);
	if (range.low == range.high || numbers[range.low] != number)
		range.high = range.low;
	else if (range.low + 1 == range.high ||
		 numbers[range.low + 1] != number)
		range.high = range.low + 1;
	else if (number != UINT64_MAX)
		range.high = range.low + count_below(numbers + range.low,
						     range.high - range.low,
						     number + 1);
	return range;
}

/* The first slot of a range whose key is not below `key`, or its end. */
static unsigned int range_search_keys(const struct tree_node *node,
				      struct slot_range range, struct slice key,
				      bool *ret_equal)
{
	while (range.low < range.high) {
		unsigned int middle = (range.low + range.high) / 2;
		struct slice at = tree_entry_key(node->entries[middle]);
		int order = slice_compare(at, key);

		if (order == 0) {
			*ret_equal = true;
			return middle;
		}
		if (order < 0)
			range.low = middle + 1;
		else
			range.high = middle;
	}
	return range.low;
}

unsigned int tree_node_search(const struct tree_node *node, struct slice key,
			      bool *ret_equal)
{
	int order = node_compare_prefix(node, key);
	struct slot_range range = { 0, node->count };
	size_t from = node->prefix_size;

	*ret_equal = false;
	if (order != 0)
		return order < 0 ? 0 : node->count;
	range = range_narrow(range, node->heads, slice_part(key, from));
	/* A single slot left is most likely the one: go to its key at once. */
	if (range.low + 1 < range.high)
		range = range_narrow(range, node->tails,
				     slice_part(key, from + PART_SIZE));
	return range_search_keys(node, range, key, ret_equal);
}

unsigned int tree_node_descend(const struct tree_node *node, struct slice key)
{
	bool equal;
	unsigned int at = tree_node_search(node, key, &equal);

	return equal || at == 0 ? at : at - 1;
}

static void node_set_prefix(struct tree_node *node, const uint8_t *bytes,
			    size_t size)
{
	node->prefix_size = (uint16_t)size;
	if (size > sizeof(node->prefix))
		size = sizeof(node->prefix);
	memcpy(node->prefix, bytes, size);
}

/*
 * Shortens the prefix. The bytes that leave it go in front of each head, and
 * what this pushes out goes in front of the tail: no key is looked at.
 */
static void node_shorten_prefix(struct tree_node *node, size_t size)
{
	size_t old = node->prefix_size, bits = 8 * (old - size);
	const uint8_t *key = node->entries[0]->key;
	uint64_t front = slice_part(slice_of(key, old), size);
	uint64_t front_tail = slice_part(slice_of(key, old), size + PART_SIZE);

	for (unsigned int i = 0; i < node->count; i++) {
		uint64_t head = node->heads[i], tail = node->tails[i];

		if (bits < 64) {
			node->tails[i] = head << (64 - bits) | tail >> bits;
			node->heads[i] = front | head >> bits;
		} else {
			node->tails[i] = front_tail;
			if (bits < 128)
				node->tails[i] |= head >> (bits - 64);
			node->heads[i] = front;
		}
	}
	node_set_prefix(node, key, size);
}

/* Sets the head and the tail of a slot. */
static void node_cut_key(struct tree_node *node, unsigned int at)
{
	const struct tree_entry *entry = node->entries[at];
	size_t from = node->prefix_size;

	node->heads[at] = slice_part(tree_entry_key(entry), from);
	node->tails[at] = slice_part(tree_entry_key(entry), from + PART_SIZE);
}

/* Makes the prefix as long as it can be. */
static void node_lengthen_prefix(struct tree_node *node)
{
	struct slice first = tree_entry_key(node->entries[0]);
	struct slice last = tree_entry_key(node->entries[node->count - 1]);
	size_t size = first.size < last.size ? first.size : last.size;

	/* What the outermost share, those between them share too. */
	size = bytes_shared(first.data, last.data, size);
	if (size == node->prefix_size)
		return;
	node_set_prefix(node, first.data, size);
	for (unsigned int i = 0; i < node->count; i++)
		node_cut_key(node, i);
}

void tree_node_insert(struct tree_node *node, unsigned int at,
		      struct tree_entry *entry, struct tree_node *child)
{
	size_t move = node->count - at;
	struct slice key = tree_entry_key(entry);

	assert(node->count < TREE_NODE_SLOTS && at <= node->count);
	if (node->count == 0) {
		node_set_prefix(node, entry->key, key.size);
	} else {
		size_t shared = node_shared_size(node, key);

		if (shared < node->prefix_size)
			node_shorten_prefix(node, shared);
	}
	memmove(node->heads + at + 1, node->heads + at,
		move * sizeof(node->heads[0]));
	memmove(node->tails + at + 1, node->tails + at,
		move * sizeof(node->tails[0]));
	memmove(node->entries + at + 1, node->entries + at,
		move * sizeof(node->entries[0]));
	node->entries[at] = entry;
	node_cut_key(node, at);
	if (!node->leaf) {
		memmove(node->children + at + 1, node->children + at,
			move * sizeof(node->children[0]));
		node->children[at] = child;
	}
	node->count++;
	if (at == node->last_insert + 1u)
		node->sequence++;
	else
		node->sequence = 0;
	node->last_insert = (uint8_t)at;
}

void tree_node_lower_first(struct tree_node *node, struct tree_entry *entry)
{
	struct slice key = tree_entry_key(entry);
	size_t shared;

	if (slice_compare(key, tree_entry_key(node->entries[0])) >= 0)
		return;
	shared = node_shared_size(node, key);
	if (shared < node->prefix_size)
		node_shorten_prefix(node, shared);
	node->entries[0] = entry;
	node_cut_key(node, 0);
}

/* Moves the slots from `from` on to an empty node. */
static void node_move_upper(struct tree_node *node, struct tree_node *to,
			    unsigned int from)
{
	unsigned int count = node->count - from;

	if (count == 0)
		return;
	memcpy(to->heads, node->heads + from, count * sizeof(to->heads[0]));
	memcpy(to->tails, node->tails + from, count * sizeof(to->tails[0]));
	memcpy(to->entries, node->entries + from,
	       count * sizeof(to->entries[0]));
	if (!node->leaf)
		memcpy(to->children, node->children + from,
		       count * sizeof(to->children[0]));
	node_set_prefix(to, node->entries[0]->key, node->prefix_size);
	to->count = (uint16_t)count;
	node->count = (uint16_t)from;
	node_lengthen_prefix(to);
	node_lengthen_prefix(node);
}

struct tree_node *tree_node_split(struct tree_node *node, struct arena *arena,
				  unsigned int at, struct tree_entry *entry,
				  struct tree_node *child)
{
	struct tree_node *upper = tree_node_new(arena, node->leaf);
	bool sequential = node->sequence >= SEQUENCE_MIN &&
			  at == node->last_insert + 1u;
	unsigned int from = sequential ? at : TREE_NODE_SLOTS / 2;

	assert(node->count == TREE_NODE_SLOTS);
	node_move_upper(node, upper, from);
	upper->right = node->right;
	node->right = upper;
	/*
	 * In a sequence the new key begins the upper node, which the keys to
	 * come will fill, and the lower one stays as full as it is.
	 */
	if (sequential || at > from)
		tree_node_insert(upper, at - from, entry, child);
	else
		tree_node_insert(node, at, entry, child);
	node->sequence = upper->sequence = 0;
	return upper;
}

/*
 * Let S be the slots of a node. Give each node two potentials, both in 0..1:
 * its slots beyond S/2, over S/2; and its sequence, up to S/4, over S/4. A
 * split in halves takes 1 off the first; a split in a sequence takes 1 off the
 * second and adds nothing to the first; an insert adds at most 2/S and 4/S.
 * Nodes new to the level have neither. So `nodes` nodes that start with both
 * potentials at 1 are split at most 2 * nodes + 6 * inserts / S times. And
 * never more than once per insert.
 */
size_t tree_node_splits_max(size_t nodes, size_t inserts)
{
	size_t splits = 2 * nodes + inserts / (TREE_NODE_SLOTS / 8);

	return inserts < splits ? inserts : splits;
}
