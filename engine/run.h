/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A run: an immutable, sorted part of the index in a file. 4 KiB pages; leaf
 * and index blocks of prefix-compressed entries, each with a CRC that is
 * verified when the block is first touched; a blocked Bloom filter; a footer
 * page. Read in place through a read-only map; no part of it is loaded when
 * the run is opened but the footer. FORMAT.md has the bytes.
 *
 * Durability: run_writer_finish() returns 0 after the file's data is synced;
 * the caller syncs the directory before it refers to the run.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/io.h"
#include "engine/place.h"
#include "engine/run_ranges.h"
#include "engine/source.h"

#define RUN_NAME_MAX 32
#define STORE_UUID_BYTES 16

struct run;
struct run_writer;

/* What identifies a run file and is checked against its footer. */
struct run_identity {
	uint8_t store_uuid[STORE_UUID_BYTES];
	uint64_t id;
};

struct run_summary {
	uint64_t id;
	uint64_t file_size_bytes;
	uint64_t entry_count; /* tombstones included */
	uint64_t tombstone_count;
};

/* "00000000000000ab.run" */
void run_name(uint64_t id, char ret_name[RUN_NAME_MAX]);

/*
 * Begins a run file of about expected_entries entries. Fewer are allowed; with
 * more the Bloom filter, which is sized by it, says "maybe" too often. Memory
 * used is 10 bits an expected entry and some 300 KiB. 0, -ENOMEM, -ENOSPC,
 * -EIO, -EEXIST.
 */
int run_writer_open(struct io *io, int dir_fd,
		    const struct run_identity *identity,
		    uint64_t expected_entries, struct run_writer **ret_writer);
/*
 * Adds an entry; keys ascend strictly (asserted). After an error only
 * run_writer_abandon() may follow.
 */
int run_writer_add(struct run_writer *writer, const struct index_entry *entry);
/* Of what was added so far. */
void run_writer_bounds(const struct run_writer *writer,
		       struct run_bounds *ret_bounds);
/*
 * Completes and syncs the file and frees the writer, also on an error: then
 * there is no file either.
 */
int run_writer_finish(struct run_writer *writer,
		      struct run_summary *ret_summary);
/* Removes the unfinished file and frees the writer. NULL is allowed. */
void run_writer_abandon(struct run_writer *writer);

/*
 * Opens a finished run; one reference for the caller. Reads the footer only,
 * whatever the number of entries. -ENOENT; -EUCLEAN: not this run, or cut off,
 * or a damaged footer; -EPROTONOSUPPORT: a whole run of a newer format; -EIO,
 * -ENOMEM.
 */
int run_open(struct io *io, int dir_fd, const struct run_identity *identity,
	     struct run **ret_run);
struct run *run_ref(struct run *run);
/* Unmaps it with the last reference; the file stays. NULL is allowed. */
void run_unref(struct run *run);
/*
 * The file is unlinked with the last reference: for a run that no manifest
 * names any more. dir_fd of run_open must be open until then.
 */
void run_doom(struct run *run);
const struct run_summary *run_summary(const struct run *run);
/*
 * Which keys the run has, told by who has written it, before others know of it.
 * The file does not say it: a run of before the store was opened has no bounds.
 */
void run_set_bounds(struct run *run, const struct run_bounds *bounds);
const struct run_bounds *run_bounds(const struct run *run);

/* What the Bloom filter did, for counters. */
enum run_probe {
	RUN_BLOOM_MISS,  /* the filter said no */
	RUN_FALSE_MATCH, /* the filter said maybe (or is damaged), the run no */
	RUN_FOUND,
};

/* Has the processor fetch what run_get will first ask about a key of this
 * bloom_hash. A page that is not mapped is left alone. */
void run_filter_prefetch(const struct run *run, uint64_t hash);

/*
 * Of a key and its bloom_hash: 0 with the place (perhaps a tombstone; lsn 0), 1
 * when absent; *ret_place is undefined unless it is 0. -EBADMSG: a
 * block needed is damaged; -EUCLEAN: its checksum is right and its contents
 * are not; -EIO. *ret_probe is set with 0 and 1. A damaged filter is no error
 * here. Any number of threads at a time.
 */
int run_get(struct run *run, struct slice key, uint64_t hash,
	    struct place *ret_place, enum run_probe *ret_probe);

/*
 * An ordered source over the run; holds a reference. It stands nowhere (next
 * gives 1) until the first seek. Damage ends it, with -EBADMSG or -EUCLEAN,
 * until the next seek. Keys ascend strictly whatever the file's contents are.
 * NULL: out of memory.
 */
struct source *run_source_new(struct run *run);

/*
 * Reads all of the run and verifies checksums, order of keys, that the index
 * leads to each leaf, that the filter has each key, and the footer's counts. 0,
 * -EBADMSG, -EUCLEAN, -EIO, -ENOMEM. Others may read meanwhile.
 */
int run_verify(struct run *run);

/*
 * Gives mapped pages of a range of the file back to the system, as io_map_drop();
 * they are read, and their checksums verified, again on demand. Others may read
 * meanwhile. The range is not empty, and ends where the file does. Whether
 * anything was read.
 */
bool run_drop_cache(struct run *run, uint64_t offset, size_t size);
