/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A segment: one file of the log, open or sealed. Reference counted: views and
 * pins hold it, and the file of a segment that compaction has emptied is
 * unlinked with the last reference.
 *
 * States:
 *
 *	segment_create -> being written -> segment_seal -> sealed
 *	segment_known (from the manifest) ----------------> sealed
 *
 * A sealed segment has no descriptor; its map is made when first read.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "engine/format.h"
#include "engine/io.h"
#include "engine/io_readahead.h"
#include "engine/lock.h"
#include "engine/place.h"

#define SEGMENT_NAME_MAX 32

/* What the store counts about a segment. */
struct segment_counts {
	uint64_t live_bytes; /* records that the index points at */
	uint64_t live_count;
	uint64_t tombstone_bytes; /* of all tombstone records, needed or not */
	uint64_t tombstone_count;
	uint64_t dead_count; /* SET records that the index does not point at */
};

struct segment {
	/* Constant once the segment is shared. */
	struct io *io;
	int dir_fd; /* borrowed from the store */
	struct segment_header header;

	/* Atomic. */
	atomic_uint refs;
	atomic_bool doomed; /* unlink with the last reference */
	atomic_bool named;  /* the directory entry is durable */
	/* Size of the file; set by the one who writes it, shown by anybody. */
	_Atomic uint64_t allocated;
	struct readahead ahead;

	/* Guarded by map_lock until `mapped` is true, constant then. */
	struct mutex map_lock;
	atomic_bool mapped;
	struct io_map map;

	/* Guarded by the store's write lock. */
	int fd;         /* -1 when not being written */
	uint64_t end;   /* bytes written */
	uint64_t ready; /* up to there blocks were made ready to be written to */
	uint64_t sync_begun; /* the end when the last sync of the log began */
	struct io_window window; /* where small appends go, ahead of the end */
	bool windowless;         /* there is none to be had */
	uint64_t limit;          /* bytes that the map will reach */
	struct segment_counts counts;
	bool sealed;
	bool emptied; /* compaction is done with it */
	bool damaged; /* compaction met a record that it could not read */
	bool synced;  /* all of it is known to be durable */
};

/* "00000000000000ab.seg" */
void segment_name(uint64_t id, char ret_name[SEGMENT_NAME_MAX]);

/*
 * Creates the file with its header, to hold `limit` bytes. The caller holds the
 * one reference. Nothing is synced. -ENOSPC, -EIO, -ENOMEM, -EEXIST.
 */
int segment_create(struct io *io, int dir_fd,
		   const struct segment_header *header, uint64_t limit,
		   struct segment **ret_segment);

/*
 * A segment that the manifest tells of, unopened; one reference. NULL when
 * memory is out.
 */
struct segment *segment_known(struct io *io, int dir_fd,
			      const struct segment_header *header, uint64_t end,
			      const struct segment_counts *counts);

/* Reads and decodes a segment file's header, and its size. Results as
 * segment_header_decode, or -EIO, -ENOENT. The size comes with 1 and -EUCLEAN, too. */
int segment_probe(struct io *io, int dir_fd, const char *name,
		  struct segment_header *ret_header, uint64_t *ret_size_bytes);

/*
 * Opens a known segment, not yet mapped, for appending again at its end. 0, 1
 * when the file does not end there (then nothing has changed), -EIO.
 */
int segment_reopen(struct segment *segment, uint64_t limit);

/* Ends the file of a known segment at `end` and syncs it: recovery's cut. */
int segment_cut(struct segment *segment, uint64_t end);

struct segment *segment_ref(struct segment *segment);
/* Gives mapped pages of a range back to the system, as io_map_drop(). */
bool segment_drop_cache(struct segment *segment, uint64_t offset, size_t size);
/* Unmaps, closes, and unlinks if doomed, with the last one. NULL allowed. */
void segment_unref(struct segment *segment);

/*
 * Unlinks the file that no manifest names any more and consumes the caller's
 * reference. Who has another reads on from the map. Without a map (-ENOMEM) the
 * name goes with the last reference. Blocks while the disk's space is freed.
 */
void segment_drop(struct segment *segment);

/*
 * Appends bytes that the caller has encoded for segment->end, growing the
 * file's allocation by steps. On failure nothing has changed but bytes beyond
 * the end: *ret_spoiled (may be NULL) says whether there may be such. Requires
 * the write lock (or sole ownership).
 */
int segment_append(struct segment *segment, struct iovec *iov, size_t count,
		   uint64_t size_bytes, bool *ret_spoiled);

/*
 * Ends the file at its end, and syncs that: nothing that a failed write left
 * behind the end can come to light again. An error means that it may.
 */
int segment_unspoil(struct segment *segment);

/* The same in two steps, for the one writer of a segment who does not want to
 * hold the write lock during the first; only the second needs it. */
int segment_write_ahead(struct segment *segment, struct iovec *iov,
			size_t count, uint64_t size_bytes);
void segment_advance(struct segment *segment, uint64_t size_bytes);

/* Bytes that can still be appended, the seal's room kept back. */
uint64_t segment_room(const struct segment *segment);

/* Appends the seal; the caller sets `sealed`, as it is the end without it, too.
 * last_lsn: of the newest record in it. The descriptor stays for the sync. */
int segment_seal(struct segment *segment, uint64_t last_lsn);

/*
 * Gives back what was allocated beyond the end of a segment that is not written
 * to any more; durable with the sync that follows. May take the disk longer than
 * anybody should wait for the write lock: so by who alone may close the
 * descriptor, without the lock. Where it fails (-EIO), only space is missed.
 */
int segment_trim(struct segment *segment);

/* Where a record at `offset` of this segment stands. */
static inline struct record_site segment_site(const struct segment *segment,
					      uint64_t offset)
{
	return (struct record_site){ segment->header.salt,
				     segment->header.base_lsn, offset };
}

/* Makes the map, once. 0, -EIO, -ENOENT, -EUCLEAN (not the file meant). */
int segment_map(struct segment *segment);

/* Whether the file's header is as it was written: 0, -EUCLEAN, -EIO, and as
 * segment_map. Reading goes without it, rebuilding a lost manifest does not. */
int segment_verify_header(struct segment *segment);

/* What of a value is wanted, and what was found. */
struct segment_read {
	struct slice key; /* the record must be of this key */
	uint64_t offset;  /* first byte of the value as stored */
	uint8_t *dst;
	size_t size;         /* bytes wanted, as far as there are */
	size_t read;         /* set: bytes copied */
	uint64_t value_size; /* set: as stored */
	uint64_t raw_size;   /* set */
	unsigned int flags;  /* set: enum record_flags */
	uint64_t lsn;        /* set */
};

/*
 * Whether the segment's file reaches over `place`: before memory is allocated by
 * a size that only the index claims. 0, -EBADMSG, and as segment_map.
 */
int segment_holds(struct segment *segment, const struct place *place);

/*
 * Reads from the record at `place`, all checksums verified. 0, -EBADMSG,
 * -EUCLEAN (a record of another key), -EIO, -ENOENT. With size 0 the value's
 * checksum is not computed.
 */
int segment_read(struct segment *segment, const struct place *place,
		 struct segment_read *read);
