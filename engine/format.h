/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The bytes of a segment file: its header and its records. Mirrored encode and
 * decode; nothing else in the engine knows an offset in a segment. FORMAT.md is
 * the description, with the duties of readers and writers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/run.h"

#define SEGMENT_HEADER_BYTES 64u
#define SEGMENT_FORMAT_VERSION 1u

enum segment_kind {
	SEGMENT_LOG = 1,  /* the history as it was written, LSNs consecutive */
	SEGMENT_COLD = 2, /* survivors of compaction, with their old LSNs */
};

struct segment_header {
	uint8_t store_uuid[STORE_UUID_BYTES];
	enum segment_kind kind;
	uint64_t id;
	uint64_t base_lsn;    /* LOG: the first LSN in it; COLD: a base only */
	uint64_t created_lsn; /* the next then; nothing in it was dead yet */
	uint64_t salt;        /* random; seeds every checksum in the file */
};

/* Both take SEGMENT_HEADER_BYTES. */
void segment_header_encode(const struct segment_header *header,
			   uint8_t *ret_bytes);
/* 0, 1 when it is all zeros (never written), -EUCLEAN, -EPROTONOSUPPORT. */
int segment_header_decode(const uint8_t *bytes,
			  struct segment_header *ret_header);

enum record_type {
	RECORD_SET = 1,
	RECORD_DELETE = 2,
	RECORD_MARK =
		3, /* lsn: all up to it was durable when this was written */
	RECORD_SEAL = 4, /* the segment ends here; lsn: the last one in it */
};

enum record_flags {
	RECORD_MORE = 0x10, /* the next record belongs to the same batch */
	RECORD_ZLIB = 0x20, /* the value is a zlib stream */
};

/* Upper bound of what stands before the key in a record. */
#define RECORD_HEAD_MAX 40u
/* Bytes of the smallest record. */
#define RECORD_MIN_BYTES 8u

struct record {
	enum record_type type;
	unsigned int flags; /* of enum record_flags */
	uint64_t lsn;
	struct slice key;
	struct slice value;  /* as stored */
	uint64_t raw_size;   /* of the value before compression */
	uint64_t size_bytes; /* of the whole record; set by decode */
};

/* What of the segment goes into a record's bytes, and where it stands. */
struct record_site {
	uint64_t salt;
	uint64_t base_lsn;
	uint64_t offset;
};

/* Bytes of the whole record, head, key and value. */
uint64_t record_size(const struct record *record, uint64_t base_lsn);

/*
 * Writes head and key to dst, which has room for RECORD_HEAD_MAX + key size
 * bytes; the value is to follow. Returns the bytes written.
 */
size_t record_encode_head(const struct record *record,
			  const struct record_site *site, uint8_t *dst);

enum record_status {
	RECORD_GOOD,
	RECORD_NONE,      /* zeros or nothing: no record was written here */
	RECORD_BAD_HEAD,  /* lengths and key cannot be trusted */
	RECORD_BAD_VALUE, /* head and key are right, the value is not */
};

/*
 * Decodes the record at the start of `bytes`, which reach to the end of what
 * may belong to it. Verifies the head's checksum before it trusts a length, and
 * the value's too when verify_value. With RECORD_GOOD and RECORD_BAD_VALUE the
 * outputs are set; key and value are borrowed from `bytes`.
 */
enum record_status record_decode(struct slice bytes,
				 const struct record_site *site,
				 bool verify_value, struct record *ret_record);
