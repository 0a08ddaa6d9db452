/* SPDX-License-Identifier: MIT */

/*
 * Searching a block: binary over the restarts (run_cursor_seek), then linear
 * over the entries of one, whose keys are never put together.
 *
 * Reading stays inside the block and ends, whatever its bytes are. Stateless,
 * so without locks.
 */

#include "engine/run_search.h"

#include <errno.h>
#include <string.h>

/*
 * How an entry's key compares with the one searched: <0, 0, >0. *match is how
 * many bytes the key before, which is less, shares with it; it is moved on.
 *
 * An entry that shares more with its predecessor than *match differs from the
 * key where the predecessor does: less. One that shares fewer bytes is greater
 * than the predecessor in a byte in which that equals the key: greater.
 */
static inline int search_relation(const struct run_entry_head *head,
				  struct slice key, size_t *match)
{
	const uint8_t *entry_byte = head->suffix.data, *key_byte = key.data;
	size_t same;

	if (head->shared != *match)
		return head->shared > *match ? -1 : 1;
	same = slice_shared(head->suffix, slice_from(key, *match));
	*match += same;
	if (same == head->suffix.size)
		return *match == key.size ? 0 : -1;
	if (*match == key.size)
		return 1;
	return entry_byte[same] < key_byte[*match] ? -1 : 1;
}

/* Entries from the restart that the cursor is on to the next one. */
static unsigned int entries_of_restart(const struct run_cursor *cursor)
{
	const struct run_block *block = cursor->block;
	unsigned int left = block->count - cursor->index;

	return left < block->interval ? left : block->interval;
}

/* Behind the entry of `key`, which has that index and ends there. */
static void mark_set(struct run_mark *mark, const struct run_block *leaf,
		     const uint8_t *at, unsigned int index, struct slice key,
		     struct run_place_base base)
{
	mark->offset = 0;
	if (key.size > RUN_MARK_KEY_MAX)
		return;
	mark->offset = (size_t)(at - leaf->bytes);
	mark->index = index + 1;
	mark->base = base;
	mark->key_size = key.size;
	if (key.size)
		memcpy(mark->key, key.data, key.size);
}

int run_leaf_find(const struct run_block *leaf, struct slice key,
		  struct place *ret_place, struct run_mark *mark)
{
	const uint8_t *end = leaf->bytes + leaf->end;
	struct run_place_base base = { leaf->base, 0 };
	struct run_cursor cursor;
	struct run_entry_head head;
	unsigned int index, left;
	const uint8_t *at;
	size_t match = 0;
	int relation, error = run_cursor_seek(&cursor, leaf, key);

	if (error)
		return error;
	/* The restart's place is what the others are counted from. */
	at = run_entry_head_decode(cursor.at, end, &head);
	if (at)
		at = run_place_decode(at, end, &base, ret_place);
	if (!at)
		return -EUCLEAN;
	relation = search_relation(&head, key, &match);
	base = run_place_base_of(ret_place);
	index = cursor.index;

	for (left = entries_of_restart(&cursor); relation < 0 && left > 1;
	     left--, index++) {
		at = run_entry_head_decode(at, end, &head);
		if (!at)
			return -EUCLEAN;
		relation = search_relation(&head, key, &match);
		if (relation == 0)
			at = run_place_decode(at, end, &base, ret_place);
		else
			at = run_place_skip(at, end);
		if (!at)
			return -EUCLEAN;
	}
	if (relation)
		return 1;
	if (mark)
		mark_set(mark, leaf, at, index, key, base);
	return 0;
}

/* Whether `key` is the entry that has this head, behind the mark's. */
static bool mark_leads_to(const struct run_mark *mark,
			  const struct run_entry_head *head, struct slice key)
{
	return head->shared <= mark->key_size &&
	       key.size == head->shared + head->suffix.size &&
	       slice_equal(slice_from(key, head->shared), head->suffix) &&
	       slice_equal(slice_of(key.data, head->shared),
			   slice_of(mark->key, head->shared));
}

int run_leaf_follow(const struct run_block *leaf, struct slice key,
		    struct place *ret_place, struct run_mark *mark)
{
	const uint8_t *end = leaf->bytes + leaf->end;
	struct run_place_base base = mark->base;
	unsigned int index = mark->index;
	bool restart = index % leaf->interval == 0;
	struct run_entry_head head;
	const uint8_t *at;

	/* The block may have been read anew since, and be damaged now. */
	if (!mark->offset || index >= leaf->count || mark->offset >= leaf->end)
		return 1;
	if (restart)
		base = (struct run_place_base){ leaf->base, 0 };
	at = run_entry_head_decode(leaf->bytes + mark->offset, end, &head);
	if (!at || !mark_leads_to(mark, &head, key))
		return 1;
	at = run_place_decode(at, end, &base, ret_place);
	if (!at)
		return 1;
	mark_set(mark, leaf, at, index, key,
		 restart ? run_place_base_of(ret_place) : base);
	return 0;
}

int run_index_find(const struct run_block *block, struct slice key,
		   uint64_t *ret_child_page)
{
	const uint8_t *end = block->bytes + block->end;
	struct run_cursor cursor;
	const uint8_t *at;
	uint64_t child = block->base, page;
	size_t match = 0;
	int error = run_cursor_seek(&cursor, block, key);

	if (error)
		return error;
	at = cursor.at;
	for (unsigned int i = entries_of_restart(&cursor); i > 0; i--) {
		struct run_entry_head head;

		at = run_entry_head_decode(at, end, &head);
		if (at)
			at = run_child_decode(at, end, block->base, &page);
		if (!at)
			return -EUCLEAN;
		if (search_relation(&head, key, &match) > 0)
			break;
		child = page;
	}
	*ret_child_page = child;
	return 0;
}
