/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Where the index says that the newest record of a key is: the currency
 * between memtable, runs and log.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"

struct place {
	uint64_t offset;     /* of the record's first byte in its segment */
	uint64_t size_bytes; /* of the whole record, header included */
	uint64_t lsn;        /* 0 when it comes from a run: not kept there */
	uint64_t segment_id; /* of the segment file */
	bool tombstone;      /* the key is deleted; the record says so */
};

/* A key and its place. The key is borrowed from where it was found. */
struct index_entry {
	struct slice key;
	struct place place;
};
