/* SPDX-License-Identifier: MIT */

/*
 * Segment headers and records as bytes.
 *
 * A record is
 *
 *	u32 head_crc | u8 type and flags | varint key size | varint value size |
 *	zigzag lsn - base | [varint raw size] | [u32 value_crc] | key | value
 *
 * raw size only with RECORD_ZLIB, value_crc only when there is a value.
 *
 * 1. head_crc covers everything from the type to the end of the key, so no
 *    length is used for anything but finding the end of those bytes, within
 *    bounds, before it is verified.
 * 2. Both checksums begin from a seed made of the segment's random salt and the
 *    record's offset. Bytes that are a valid record in one place are not in any
 *    other: a store kept as a file inside the store cannot be taken for log.
 */

#include "engine/format.h"

#include <errno.h>
#include <string.h>

#include "engine/codec.h"
#include "engine/crc32.h"
#include "engine/kv.h"

/* "KVFSseg\n" */
#define SEGMENT_MAGIC 0x0a6765735346564bULL

void segment_header_encode(const struct segment_header *header,
			   uint8_t *ret_bytes)
{
	uint8_t bytes[SEGMENT_HEADER_BYTES];
	struct writer w = writer_of(bytes, sizeof(bytes));

	put_u64(&w, SEGMENT_MAGIC);
	put_u16(&w, SEGMENT_FORMAT_VERSION);
	put_u16(&w, (uint16_t)header->kind);
	put_bytes(&w, slice_of(header->store_uuid, STORE_UUID_BYTES));
	put_u64(&w, header->id);
	put_u64(&w, header->base_lsn);
	put_u64(&w, header->created_lsn);
	put_u64(&w, header->salt);
	put_u32(&w, crc32_update(0, bytes, sizeof(bytes) - 4));
	memcpy(ret_bytes, bytes, sizeof(bytes));
}

static bool all_zero(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (bytes[i])
			return false;
	return true;
}

int segment_header_decode(const uint8_t *bytes,
			  struct segment_header *ret_header)
{
	struct reader r = reader_of(slice_of(bytes, SEGMENT_HEADER_BYTES));
	struct segment_header header;
	struct slice uuid;
	uint64_t magic;
	unsigned int version, kind;
	uint32_t crc;

	if (all_zero(bytes, SEGMENT_HEADER_BYTES))
		return 1;
	magic = get_u64(&r);
	version = get_u16(&r);
	kind = get_u16(&r);
	uuid = get_bytes(&r, STORE_UUID_BYTES);
	header.id = get_u64(&r);
	header.base_lsn = get_u64(&r);
	header.created_lsn = get_u64(&r);
	header.salt = get_u64(&r);
	crc = get_u32(&r);
	if (!reader_done(&r) || magic != SEGMENT_MAGIC ||
	    crc != crc32_update(0, bytes, SEGMENT_HEADER_BYTES - 4))
		return -EUCLEAN;
	if (version != SEGMENT_FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	if (kind != SEGMENT_LOG && kind != SEGMENT_COLD)
		return -EUCLEAN;
	header.kind = (enum segment_kind)kind;
	memcpy(header.store_uuid, uuid.data, STORE_UUID_BYTES);
	*ret_header = header;
	return 0;
}

/* The finaliser of MurmurHash3 (Appleby): every input bit reaches the seed. */
static uint32_t record_seed(const struct record_site *site)
{
	uint64_t x = site->salt ^ site->offset;

	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	x ^= x >> 33;
	return (uint32_t)x;
}

static size_t record_head_size(const struct record *record, uint64_t base_lsn)
{
	uint64_t zigzag = zigzag_of((int64_t)(record->lsn - base_lsn));

	return 4 + 1 + varint_size(record->key.size) +
	       varint_size(record->value.size) + varint_size(zigzag) +
	       (record->flags & RECORD_ZLIB ? varint_size(record->raw_size) :
					      0) +
	       (record->value.size ? 4 : 0);
}

uint64_t record_size(const struct record *record, uint64_t base_lsn)
{
	return record_head_size(record, base_lsn) + record->key.size +
	       record->value.size;
}

size_t record_encode_head(const struct record *record,
			  const struct record_site *site, uint8_t *dst)
{
	struct writer w = writer_of(dst, RECORD_HEAD_MAX + record->key.size);
	uint32_t seed = record_seed(site);
	size_t size;

	put_u32(&w, 0);
	put_u8(&w, (uint8_t)((unsigned int)record->type | record->flags));
	put_varint(&w, record->key.size);
	put_varint(&w, record->value.size);
	put_zigzag(&w, (int64_t)(record->lsn - site->base_lsn));
	if (record->flags & RECORD_ZLIB)
		put_varint(&w, record->raw_size);
	if (record->value.size)
		put_u32(&w, crc32_update(seed, record->value.data,
					 record->value.size));
	put_bytes(&w, record->key);
	size = (size_t)(w.at - dst);
	w = writer_of(dst, 4);
	put_u32(&w, crc32_update(seed, dst + 4, size - 4));
	return size;
}

/* What a type may come with; anything else no writer has written. */
static bool record_makes_sense(const struct record *record)
{
	if (record->key.size > KV_KEY_MAX ||
	    record->value.size > KV_VALUE_MAX ||
	    record->raw_size > KV_VALUE_MAX)
		return false;
	switch (record->type) {
	case RECORD_SET:
		return record->value.size || !(record->flags & RECORD_ZLIB);
	case RECORD_DELETE:
		return !record->value.size && !(record->flags & RECORD_ZLIB);
	case RECORD_MARK:
	case RECORD_SEAL:
		return !record->key.size && !record->value.size &&
		       !record->flags;
	}
	return false;
}

enum record_status record_decode(struct slice bytes,
				 const struct record_site *site,
				 bool verify_value, struct record *ret_record)
{
	struct reader r = reader_of(bytes);
	const uint8_t *start = bytes.data;
	uint32_t seed = record_seed(site), head_crc, value_crc = 0;
	struct record record;
	uint64_t key_size, value_size;
	uint8_t type;

	head_crc = get_u32(&r);
	type = get_u8(&r);
	if (r.bad)
		return RECORD_NONE;
	if (type == 0)
		return head_crc ? RECORD_BAD_HEAD : RECORD_NONE;
	record.type = (enum record_type)(type & 0x0f);
	record.flags = type & 0xf0;
	key_size = get_varint(&r);
	value_size = get_varint(&r);
	record.lsn = site->base_lsn + (uint64_t)get_zigzag(&r);
	record.raw_size = record.flags & RECORD_ZLIB ? get_varint(&r) :
						       value_size;
	if (value_size)
		value_crc = get_u32(&r);
	record.key = get_bytes(&r, key_size);
	if (r.bad || head_crc != crc32_update(seed, start + 4,
					      (size_t)(r.at - start) - 4))
		return RECORD_BAD_HEAD;
	record.value = slice_of(NULL, value_size);
	if (!record_makes_sense(&record))
		return RECORD_BAD_HEAD;
	record.size_bytes = (uint64_t)(r.at - start) + value_size;
	record.value = get_bytes(&r, value_size);
	*ret_record = record;
	if (r.bad) {
		ret_record->value = slice_of(NULL, 0);
		return RECORD_BAD_VALUE;
	}
	if (verify_value && value_size &&
	    value_crc !=
		    crc32_update(seed, record.value.data, record.value.size))
		return RECORD_BAD_VALUE;
	return RECORD_GOOD;
}
