/* SPDX-License-Identifier: MIT */

/* Bytes of a check's state: see check_format.h. No lock. */

#include "fs/check_format.h"

#include <errno.h>
#include <string.h>

#include "engine/codec.h"

#define MAGIC "KVCK"
#define VERSION 1u
#define HEAD_BYTES 124u
#define PART_PAST 3u

void check_state_release(struct check_state *state)
{
	kv_check_position_release(&state->position);
	*state = (struct check_state){ 0 };
}

static void head_encode(const struct check_state *state, struct writer *w)
{
	const struct kv_check_position *position = &state->position;
	const struct check_references *references = &state->references;

	put_bytes(w, SLICE_LITERAL(MAGIC));
	put_u8(w, VERSION);
	put_u8(w, state->verified ? PART_PAST : (uint8_t)position->part);
	put_u8(w, position->problems);
	put_u8(w, 0);
	put_bytes(w, slice_of(state->uuid, sizeof(state->uuid)));
	put_u64(w, state->problem_count);
	put_u64(w, position->file_id);
	put_u64(w, position->done_bytes);
	put_u64(w, position->key_count);
	put_u64(w, position->live_bytes);
	put_u64(w, position->lsn);
	put_u64(w, position->next_file_id);
	put_u64(w, references->ino);
	put_u64(w, references->done_bytes);
	put_u64(w, references->lsn);
	put_u64(w, references->links_counted);
	put_u64(w, references->names_found);
	put_u32(w, (uint32_t)position->key.size);
}

int check_state_encode(const struct check_state *state, struct buf *ret_bytes)
{
	struct slice key = buf_slice(&state->position.key);
	struct writer w;
	int error = buf_resize(ret_bytes, HEAD_BYTES + key.size);

	if (error)
		return error;
	w = writer_of(ret_bytes->data, ret_bytes->size);
	head_encode(state, &w);
	if (key.size)
		put_bytes(&w, key);
	return 0;
}

static void head_decode(struct reader *r, struct check_state *state)
{
	struct kv_check_position *position = &state->position;
	struct check_references *references = &state->references;
	struct slice uuid;

	uuid = get_bytes(r, sizeof(state->uuid));
	if (uuid.size == sizeof(state->uuid))
		memcpy(state->uuid, uuid.data, uuid.size);
	state->problem_count = get_u64(r);
	position->file_id = get_u64(r);
	position->done_bytes = get_u64(r);
	position->key_count = get_u64(r);
	position->live_bytes = get_u64(r);
	position->lsn = get_u64(r);
	position->next_file_id = get_u64(r);
	references->ino = get_u64(r);
	references->done_bytes = get_u64(r);
	references->lsn = get_u64(r);
	references->links_counted = get_u64(r);
	references->names_found = get_u64(r);
}

int check_state_decode(struct slice bytes, struct check_state *ret_state)
{
	struct check_state state = { 0 };
	struct reader r = reader_of(bytes);
	uint8_t part, problems, zero;
	struct slice key;

	if (!slice_equal(get_bytes(&r, 4), SLICE_LITERAL(MAGIC)) ||
	    get_u8(&r) != VERSION)
		return -EUCLEAN;
	part = get_u8(&r);
	problems = get_u8(&r);
	zero = get_u8(&r);
	head_decode(&r, &state);
	key = get_bytes(&r, get_u32(&r));
	if (part > PART_PAST || problems > 1 || zero || !reader_done(&r))
		return -EUCLEAN;
	state.verified = part == PART_PAST;
	if (!state.verified)
		state.position.part = (enum kv_check_part)part;
	state.position.problems = problems;
	if (buf_append(&state.position.key, key.data, key.size))
		return -ENOMEM;
	*ret_state = state;
	return 0;
}
