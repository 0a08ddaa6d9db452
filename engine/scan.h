/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Reads the records of one segment in order, for recovery, compaction, check
 * and tail. What it shows is copied out of the map, so a failing disk is an
 * error here and nowhere else.
 *
 * A record whose head is damaged has no trustworthy length; the way on is a
 * search for the next bytes that are a whole, valid record. The checksums are
 * bound to segment and offset, so nothing else can pass for one.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"
#include "engine/segment.h"

struct scan {
	struct segment *segment; /* borrowed */
	uint64_t offset;         /* where the next record is looked for */
	uint64_t end;            /* records end here at the latest */
	bool want_values;        /* else a record's value has no bytes */
	bool verify_values;
	struct buf bytes; /* what the last record borrows from */
};

enum scan_event {
	SCAN_RECORD,    /* *ret_record; the scan went past it */
	SCAN_BAD_VALUE, /* likewise, but its value does not match its CRC */
	SCAN_END,       /* no record was written here */
	SCAN_BAD,       /* something is here that is no record */
};

/*
 * Begins at `offset`, or behind the header when that is 0. `end` is cut to the
 * file's size. 0, or as segment_map. scan_release() frees what it holds.
 */
int scan_init(struct scan *scan, struct segment *segment, uint64_t offset,
	      uint64_t end);
void scan_release(struct scan *scan);

/*
 * The record at the scan's offset, MARK and SEAL included, with the offset it
 * was found at. An enum scan_event, or -EIO, -ENOMEM. The record is valid until
 * the next call.
 */
int scan_next(struct scan *scan, struct record *ret_record,
	      uint64_t *ret_offset);

/*
 * Searches on behind the offset, where scan_next met SCAN_BAD or SCAN_END, for
 * a valid record with an LSN in [lsn_min, lsn_max]. 0: the scan stands at it;
 * 1: there is none up to the end; -EIO.
 */
int scan_resync(struct scan *scan, uint64_t lsn_min, uint64_t lsn_max);
