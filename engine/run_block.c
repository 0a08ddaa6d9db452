/* SPDX-License-Identifier: MIT */

/*
 * Blocks of prefix-compressed entries with restart points, as LevelDB's: the
 * key of an entry is stored without the bytes it shares with the one before,
 * but for every so many'th, a restart, whose key is whole. A search is binary
 * over the restarts, then linear over the entries of one.
 *
 * Invariants:
 *  1. An entry that is no restart shares as many bytes as it can. So the order
 *     of two neighbours shows in one byte (run_entry_key), and a linear search
 *     need not put keys together (search_relation).
 *  2. Reading stays inside the block and ends, whatever its bytes are.
 *
 * Stateless but for what the caller owns, so without locks.
 */

#include "engine/run_block.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "engine/kv.h"

void run_builder_init(struct run_builder *builder, unsigned int level)
{
	*builder = (struct run_builder){
		.block = { .kind = level ? RUN_INDEX : RUN_LEAF,
			   .level = level },
	};
	run_builder_reset(builder);
}

void run_builder_release(struct run_builder *builder)
{
	buf_release(&builder->bytes);
	buf_release(&builder->last_key);
}

void run_builder_reset(struct run_builder *builder)
{
	buf_clear(&builder->bytes);
	builder->block.count = 0;
	builder->page_count = 1;
}

/* Whether one more entry of `size` bytes may come; may grow page_count. */
static bool builder_has_room(struct run_builder *builder, size_t size)
{
	unsigned int count = builder->block.count;
	unsigned int count_min = builder->block.kind == RUN_LEAF ? 1 : 2;
	unsigned int interval = run_interval_of(builder->block.kind);
	size_t restarts = count / interval + 1;
	size_t total =
		builder->bytes.size + size + restarts * RUN_RESTART_BYTES;

	if (total <= builder->page_count * RUN_PAGE_BYTES)
		return builder->page_count == 1 || count < interval;
	if (count >= count_min)
		return false;
	builder->page_count = (total + RUN_PAGE_BYTES - 1) / RUN_PAGE_BYTES;
	assert(builder->page_count <= RUN_BLOCK_PAGES_MAX);
	return true;
}

static void builder_put_body(struct run_builder *builder, struct writer *w,
			     const struct run_place_base *place_base,
			     const union run_value *value)
{
	if (builder->block.kind == RUN_LEAF)
		run_place_encode(w, place_base, &value->place);
	else
		run_child_encode(w, builder->block.base, value->child_page);
}

/* The first entry of a block decides what the others are counted from. */
static int builder_begin(struct run_builder *builder,
			 const union run_value *value)
{
	builder->block.base = builder->block.kind == RUN_LEAF ?
				      value->place.segment_id :
				      value->child_page;
	return buf_resize(&builder->bytes, RUN_BLOCK_HEADER_BYTES);
}

int run_builder_add(struct run_builder *builder, struct slice key,
		    const union run_value *value)
{
	uint8_t head_bytes[RUN_ENTRY_HEAD_MAX], body_bytes[RUN_ENTRY_BODY_MAX];
	struct writer head_w = writer_of(head_bytes, sizeof(head_bytes));
	struct writer body_w = writer_of(body_bytes, sizeof(body_bytes));
	unsigned int interval = run_interval_of(builder->block.kind);
	bool restart = builder->block.count % interval == 0;
	struct run_place_base place_base = builder->place_base;
	struct run_entry_head head = { 0 };
	size_t head_size, body_size, offset;

	if (builder->block.count == 0 && builder_begin(builder, value))
		return -ENOMEM;
	if (restart)
		place_base = (struct run_place_base){ builder->block.base, 0 };
	else
		head.shared = slice_shared(buf_slice(&builder->last_key), key);
	head.suffix = slice_from(key, head.shared);
	run_entry_head_encode(&head_w, &head);
	builder_put_body(builder, &body_w, &place_base, value);
	assert(!head_w.bad && !body_w.bad);
	head_size = (size_t)(head_w.at - head_bytes);
	body_size = (size_t)(body_w.at - body_bytes);
	if (!builder_has_room(builder,
			      head_size + head.suffix.size + body_size))
		return 1;

	offset = builder->bytes.size;
	if (buf_append(&builder->bytes, head_bytes, head_size) ||
	    buf_append(&builder->bytes, head.suffix.data, head.suffix.size) ||
	    buf_append(&builder->bytes, body_bytes, body_size) ||
	    buf_assign(&builder->last_key, key))
		return -ENOMEM;
	if (restart) {
		builder->restarts[builder->block.count / interval] =
			(uint16_t)offset;
		if (builder->block.kind == RUN_LEAF)
			builder->place_base = run_place_base_of(&value->place);
	}
	builder->block.count++;
	return 0;
}

struct slice run_builder_first_key(const struct run_builder *builder)
{
	const uint8_t *bytes = builder->bytes.data;
	struct run_entry_head head = { 0 };

	assert(builder->block.count > 0);
	run_entry_head_decode(bytes + RUN_BLOCK_HEADER_BYTES,
			      bytes + builder->block.end, &head);
	return head.suffix;
}

int run_builder_finish(struct run_builder *builder, uint32_t seed,
		       uint64_t page_number, struct slice *ret_bytes)
{
	size_t size = builder->page_count * RUN_PAGE_BYTES;
	struct run_block *block = &builder->block;
	size_t restarts = run_restart_count(block->kind, block->count);

	assert(block->count > 0 && builder->bytes.size < size);
	block->end = builder->bytes.size;
	block->size = size;
	if (buf_resize(&builder->bytes, size))
		return -ENOMEM;
	run_restarts_encode(builder->bytes.data, size, builder->restarts,
			    restarts);
	run_block_header_encode(block, builder->bytes.data);
	run_checksum_store(seed, page_number, builder->bytes.data, size);
	*ret_bytes = buf_slice(&builder->bytes);
	return 0;
}

/* Goes to the entry of a restart, which is at `at`. */
static void cursor_set(struct run_cursor *cursor, const struct run_block *block,
		       const uint8_t *at, size_t restart)
{
	cursor->block = block;
	cursor->at = at;
	cursor->index = (unsigned int)restart * block->interval;
	cursor->restart_index = cursor->index;
	cursor->restart = restart;
}

void run_cursor_first(struct run_cursor *cursor, const struct run_block *block)
{
	cursor_set(cursor, block, block->bytes + RUN_BLOCK_HEADER_BYTES, 0);
}

/* Where a restart's entry is; NULL when its offset cannot be that of one. */
static const uint8_t *restart_place(const struct run_block *block,
				    size_t restart)
{
	size_t offset = run_restart_decode(block, restart);

	if (offset < RUN_BLOCK_HEADER_BYTES || offset >= block->end)
		return NULL;
	return block->bytes + offset;
}

/*
 * A search looks at a handful of restarts, each in another cache line, each
 * chosen by the one before. Asked for at once, they come at once.
 */
static void prefetch_restarts(const struct run_block *block)
{
	for (size_t i = 0; i < block->restart_count; i++)
		__builtin_prefetch(block->bytes + run_restart_decode(block, i));
}

int run_cursor_seek(struct run_cursor *cursor, const struct run_block *block,
		    struct slice key)
{
	size_t low = 0, high = block->restart_count - 1;
	const uint8_t *end = block->bytes + block->end;
	const uint8_t *at;

	/* Index blocks are few and in the cache. */
	if (block->kind == RUN_LEAF)
		prefetch_restarts(block);
	/* The restart looked for is in [low, high]. */
	while (low < high) {
		size_t middle = (low + high + 1) / 2;
		struct run_entry_head head;

		at = restart_place(block, middle);
		if (!at || !run_entry_head_decode(at, end, &head) ||
		    head.shared)
			return -EUCLEAN;
		if (slice_compare(head.suffix, key) <= 0)
			low = middle;
		else
			high = middle - 1;
	}
	at = restart_place(block, low);
	if (!at)
		return -EUCLEAN;
	cursor_set(cursor, block, at, low);
	return 0;
}

/* A walk ends when every entry was read, and every byte. */
static int cursor_end(const struct run_cursor *cursor)
{
	const struct run_block *block = cursor->block;

	return cursor->at == block->bytes + block->end ? 1 : -EUCLEAN;
}

static bool cursor_restart(struct run_cursor *cursor)
{
	const struct run_block *block = cursor->block;
	size_t offset = (size_t)(cursor->at - block->bytes);

	cursor->place_base.segment_id = block->base;
	cursor->place_base.offset = 0;
	cursor->restart_index += block->interval;
	return run_restart_decode(block, cursor->restart++) == offset;
}

/* Reads the head of the next entry; *ret_at is where its body is. */
static RUN_INLINE int cursor_head(struct run_cursor *cursor,
				  struct run_entry *ret_entry,
				  const uint8_t **ret_at)
{
	const struct run_block *block = cursor->block;
	const uint8_t *at;

	if (cursor->index == block->count)
		return cursor_end(cursor);
	ret_entry->restart = cursor->index == cursor->restart_index;
	if (ret_entry->restart && !cursor_restart(cursor))
		return -EUCLEAN;
	at = run_entry_head_decode(cursor->at, block->bytes + block->end,
				   &ret_entry->head);
	if (!at)
		return -EUCLEAN;
	*ret_at = at;
	return 0;
}

int run_leaf_next(struct run_cursor *cursor, struct run_entry *ret_entry,
		  struct place *ret_place)
{
	const struct run_block *block = cursor->block;
	const uint8_t *at = NULL;
	int result = cursor_head(cursor, ret_entry, &at);

	if (result)
		return result;
	at = run_place_decode(at, block->bytes + block->end,
			      &cursor->place_base, ret_place);
	if (!at)
		return -EUCLEAN;
	if (ret_entry->restart)
		cursor->place_base = run_place_base_of(ret_place);
	cursor->at = at;
	cursor->index++;
	return 0;
}

int run_index_next(struct run_cursor *cursor, struct run_entry *ret_entry,
		   uint64_t *ret_child_page)
{
	const struct run_block *block = cursor->block;
	const uint8_t *at = NULL;
	int result = cursor_head(cursor, ret_entry, &at);

	if (result)
		return result;
	at = run_child_decode(at, block->bytes + block->end, block->base,
			      ret_child_page);
	if (!at)
		return -EUCLEAN;
	cursor->at = at;
	cursor->index++;
	return 0;
}

/* The key of the entry: `shared` bytes of what is in *key, then the suffix. */
static int key_replace(struct buf *key, size_t shared, struct slice suffix)
{
	if (key->capacity - shared < suffix.size &&
	    buf_reserve(key, suffix.size))
		return -ENOMEM;
	if (suffix.size)
		memcpy(key->data + shared, suffix.data, suffix.size);
	key->size = shared + suffix.size;
	return 0;
}

int run_entry_key(const struct run_entry *entry, bool has_key, struct buf *key)
{
	size_t shared = entry->head.shared;
	struct slice suffix = entry->head.suffix;
	const uint8_t *next = suffix.data;

	if (suffix.size > KV_KEY_MAX)
		return -EUCLEAN;
	if (entry->restart) {
		if (shared ||
		    (has_key && slice_compare(buf_slice(key), suffix) >= 0))
			return -EUCLEAN;
		return key_replace(key, 0, suffix);
	}
	if (!has_key || shared > key->size || suffix.size == 0 ||
	    suffix.size > KV_KEY_MAX - shared)
		return -EUCLEAN;
	if (shared < key->size && next[0] <= key->data[shared])
		return -EUCLEAN;
	return key_replace(key, shared, suffix);
}
