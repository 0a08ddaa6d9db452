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

int run_leaf_find(const struct run_block *leaf, struct slice key,
		  struct place *ret_place)
{
	const uint8_t *end = leaf->bytes + leaf->end;
	struct run_place_base base = { leaf->base, 0 };
	struct run_cursor cursor;
	struct run_entry_head head;
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
	if (relation >= 0)
		return relation;
	base = run_place_base_of(ret_place);

	for (unsigned int i = entries_of_restart(&cursor); i > 1; i--) {
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
		if (relation >= 0)
			return relation;
	}
	return 1;
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
