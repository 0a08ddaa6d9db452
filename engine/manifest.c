/* SPDX-License-Identifier: MIT */

/*
 * The manifest as bytes. Fixed head, then classes, segments and runs as
 * varints, then a CRC-32 of everything before it.
 *
 * 1. A manifest is decoded whole or refused: any byte too many, any count that
 *    the bytes cannot hold, any order broken is damage.
 * 2. The checksum comes first: a flipped bit in the version is damage, and not
 *    a store of the future. So a future version keeps magic and checksum where
 *    they are; a version or a flag that is not known is refused.
 */

#include "engine/manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/crc32.h"

static const uint8_t manifest_magic[8] = { 'K', 'V', 'F', 'S',
					   'm', 'a', 'n', '\n' };

enum manifest_flags {
	MANIFEST_CLEAN = 1u << 0,
	MANIFEST_REBUILD = 1u << 1,
};
#define MANIFEST_FLAGS_KNOWN (MANIFEST_CLEAN | MANIFEST_REBUILD)

#define MANIFEST_FIXED_BYTES 128u
/* Thirteen varints and two bytes. */
#define MANIFEST_SEGMENT_MAX (11u * VARINT_MAX_BYTES + 10u)
#define MANIFEST_SEGMENT_MIN 13u

void manifest_release(struct manifest *manifest)
{
	free(manifest->segments);
	free(manifest->run_ids);
	*manifest = (struct manifest){ 0 };
}

static void put_segment(struct writer *w, const struct manifest_segment *s)
{
	put_varint(w, s->header.id);
	put_u8(w, (uint8_t)s->header.kind);
	put_u8(w, s->damaged);
	put_varint(w, s->header.base_lsn);
	put_varint(w, s->header.created_lsn);
	put_u64(w, s->header.salt);
	put_varint(w, s->end);
	put_varint(w, s->counts.live_bytes);
	put_varint(w, s->counts.live_count);
	put_varint(w, s->counts.tombstone_bytes);
	put_varint(w, s->counts.tombstone_count);
	put_varint(w, s->counts.dead_count);
}

static bool get_segment(struct reader *r, struct manifest_segment *s)
{
	unsigned int kind, damaged;

	s->header.id = get_varint(r);
	kind = get_u8(r);
	damaged = get_u8(r);
	s->header.kind = (enum segment_kind)kind;
	s->damaged = damaged;
	s->header.base_lsn = get_varint(r);
	s->header.created_lsn = get_varint(r);
	s->header.salt = get_u64(r);
	s->end = get_varint(r);
	s->counts.live_bytes = get_varint(r);
	s->counts.live_count = get_varint(r);
	s->counts.tombstone_bytes = get_varint(r);
	s->counts.tombstone_count = get_varint(r);
	s->counts.dead_count = get_varint(r);
	return !r->bad && (kind == SEGMENT_LOG || kind == SEGMENT_COLD) &&
	       damaged <= 1 && s->end >= SEGMENT_HEADER_BYTES &&
	       s->counts.live_bytes <= s->end &&
	       s->counts.tombstone_bytes <= s->end;
}

int manifest_encode(const struct manifest *m, struct buf *ret_bytes)
{
	size_t capacity = MANIFEST_FIXED_BYTES +
			  2 * KV_CLASS_COUNT * VARINT_MAX_BYTES +
			  m->segment_count * MANIFEST_SEGMENT_MAX +
			  m->run_count * VARINT_MAX_BYTES;
	struct writer w;
	size_t size;

	if (buf_reserve(ret_bytes, capacity))
		return -ENOMEM;
	w = writer_of(ret_bytes->data, capacity);
	put_bytes(&w, slice_of(manifest_magic, sizeof(manifest_magic)));
	put_u32(&w, MANIFEST_FORMAT_VERSION);
	put_u32(&w, 0); /* incompatible features */
	put_u32(&w, (m->clean ? MANIFEST_CLEAN : 0) |
			    (m->rebuild ? MANIFEST_REBUILD : 0));
	put_bytes(&w, slice_of(m->store_uuid, STORE_UUID_BYTES));
	put_u64(&w, m->next_file_id);
	put_u64(&w, m->checkpoint_lsn);
	put_u64(&w, m->replay_segment);
	put_u64(&w, m->replay_offset);
	put_u64(&w, m->checkpoint_count);
	put_u64(&w, (uint64_t)m->checkpoint_time_s);
	put_u64(&w, (uint64_t)m->compaction_time_s);
	for (size_t i = 0; i < KV_CLASS_COUNT; i++) {
		put_varint(&w, m->classes[i].key_count);
		put_varint(&w, m->classes[i].record_bytes);
	}
	put_varint(&w, m->segment_count);
	for (size_t i = 0; i < m->segment_count; i++)
		put_segment(&w, &m->segments[i]);
	put_varint(&w, m->run_count);
	for (size_t i = 0; i < m->run_count; i++)
		put_varint(&w, m->run_ids[i]);
	size = (size_t)(w.at - ret_bytes->data);
	put_u32(&w, crc32_update(0, ret_bytes->data, size));
	ret_bytes->size = size + 4;
	return 0;
}

static int get_segments(struct reader *r, struct manifest *m)
{
	uint64_t count = get_varint(r), previous = 0;

	if (r->bad || count > reader_left(r) / MANIFEST_SEGMENT_MIN)
		return -EUCLEAN;
	m->segments = calloc(count + 1, sizeof(*m->segments));
	if (!m->segments)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		struct manifest_segment *s = &m->segments[i];

		if (!get_segment(r, s) || s->header.id <= previous ||
		    s->header.id >= m->next_file_id)
			return -EUCLEAN;
		memcpy(s->header.store_uuid, m->store_uuid, STORE_UUID_BYTES);
		previous = s->header.id;
	}
	m->segment_count = count;
	return 0;
}

static int get_runs(struct reader *r, struct manifest *m)
{
	uint64_t count = get_varint(r);

	if (r->bad || count > reader_left(r))
		return -EUCLEAN;
	m->run_ids = calloc(count + 1, sizeof(*m->run_ids));
	if (!m->run_ids)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		m->run_ids[i] = get_varint(r);
		if (!m->run_ids[i] || m->run_ids[i] >= m->next_file_id)
			return -EUCLEAN;
	}
	m->run_count = count;
	return 0;
}

static int get_head(struct reader *r, struct slice bytes, struct manifest *m)
{
	struct slice magic = get_bytes(r, sizeof(manifest_magic));
	uint32_t version, incompatible, flags, crc;
	struct reader tail;

	if (r->bad ||
	    memcmp(magic.data, manifest_magic, sizeof(manifest_magic)) != 0)
		return -EUCLEAN;
	version = get_u32(r);
	incompatible = get_u32(r);
	flags = get_u32(r);
	if (r->bad || reader_left(r) < 4)
		return -EUCLEAN;
	tail = reader_of(slice_of(r->end - 4, 4));
	r->end -= 4;
	crc = get_u32(&tail);
	if (crc != crc32_update(0, bytes.data, bytes.size - 4))
		return -EUCLEAN;
	if (version != MANIFEST_FORMAT_VERSION || incompatible ||
	    (flags & ~MANIFEST_FLAGS_KNOWN))
		return -EPROTONOSUPPORT;
	m->clean = flags & MANIFEST_CLEAN;
	m->rebuild = flags & MANIFEST_REBUILD;
	return 0;
}

static int get_body(struct reader *r, struct manifest *m)
{
	struct slice uuid = get_bytes(r, STORE_UUID_BYTES);
	int error;

	if (r->bad)
		return -EUCLEAN;
	memcpy(m->store_uuid, uuid.data, STORE_UUID_BYTES);
	m->next_file_id = get_u64(r);
	m->checkpoint_lsn = get_u64(r);
	m->replay_segment = get_u64(r);
	m->replay_offset = get_u64(r);
	m->checkpoint_count = get_u64(r);
	m->checkpoint_time_s = (int64_t)get_u64(r);
	m->compaction_time_s = (int64_t)get_u64(r);
	for (size_t i = 0; i < KV_CLASS_COUNT; i++) {
		m->classes[i].key_count = get_varint(r);
		m->classes[i].record_bytes = get_varint(r);
	}
	error = get_segments(r, m);
	if (!error)
		error = get_runs(r, m);
	if (!error && !reader_done(r))
		error = -EUCLEAN;
	return error;
}

int manifest_decode(struct slice bytes, struct manifest *ret_manifest)
{
	struct reader r = reader_of(bytes);
	struct manifest m = { 0 };
	int error = get_head(&r, bytes, &m);

	if (!error)
		error = get_body(&r, &m);
	if (error)
		manifest_release(&m);
	else
		*ret_manifest = m;
	return error;
}

int manifest_store(const struct manifest *manifest, struct io *io, int dir_fd)
{
	struct buf bytes = { 0 };
	int error = manifest_encode(manifest, &bytes);

	if (!error)
		error = io_replace_file(io, dir_fd, MANIFEST_NAME,
					buf_slice(&bytes));
	buf_release(&bytes);
	return error;
}

int manifest_load(struct io *io, int dir_fd, struct manifest *ret_manifest)
{
	struct buf bytes = { 0 };
	int error = io_read_file(io, dir_fd, MANIFEST_NAME, MANIFEST_SIZE_MAX,
				 &bytes);

	if (error == -EFBIG)
		error = -EUCLEAN;
	if (!error)
		error = manifest_decode(buf_slice(&bytes), ret_manifest);
	buf_release(&bytes);
	return error;
}
