/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A struct io that writes down, in order, everything that is done to one
 * directory (the store) and its files, so that power_cut.h can make the
 * directories that a power cut at any moment may have left.
 *
 *	record_io_init(&r, io_system(), "/tmp/x/store");
 *	... work through &r.io, noting record_io_position(&r) after each step
 *	    that promised durability ...
 *	for (at = record_io_first(&r); at <= record_io_position(&r); at++)
 *		... power_cut_apply() into an empty directory, open that, and
 *		    compare with what had been promised by `at` ...
 *
 * The directory may exist when recording begins; the files in it are then the
 * first records and count as durable. From then on they must be changed
 * through this io alone. Other directories, the store's creation included,
 * are passed through without a trace. Files have one name each.
 *
 * What a failed call below may have done is not recorded: put fault_io over
 * record_io, not under it.
 *
 * A sync covers what was recorded when it began, and becomes a record when it
 * has succeeded; what was written meanwhile is not durable by it. Writes and
 * changes of names are serialised, syncs and reads are not, so that threads
 * may use it. The bytes go to an unlinked temporary file: gigabytes are fine.
 * A recorder that cannot record aborts, as the test would mean nothing.
 */

#include <limits.h>

#include "engine/io.h"
#include "engine/lock.h"

enum record_type {
	RECORD_CREATE,
	RECORD_WRITE,
	RECORD_TRUNCATE,
	RECORD_ALLOCATE,
	RECORD_SYNC_DATA,
	RECORD_RENAME,
	RECORD_UNLINK,
	RECORD_SYNC_DIR,
};

/* A file's id is its own for ever, whatever its name. 0 is the directory. */
#define RECORD_DIRECTORY 0u

struct record {
	enum record_type type;
	uint32_t file;       /* the file written, synced, made, moved, gone */
	uint64_t offset;     /* WRITE */
	uint64_t size_bytes; /* WRITE, TRUNCATE, ALLOCATE */
	uint64_t bytes_at;   /* WRITE: where in the recorder's file they are */
	size_t began;        /* SYNC_*: records before this index are covered */
	char *name;          /* CREATE, UNLINK, RENAME: the old one */
	char *new_name;      /* RENAME */
	size_t next;         /* index of the next record of the same chain */
};

/* Records of one file's data, or of the directory's names, in order. */
struct record_chain {
	size_t first;
	size_t last;
};

#define RECORD_NONE SIZE_MAX

/* Which file has a name now. */
struct record_name {
	char *name;
	uint32_t file;
};

struct record_io {
	struct io io; /* first: this is what is passed on */

	/* Constant after init. */
	struct io *below;
	char path[PATH_MAX];
	int bytes_fd;
	size_t base_count; /* records of what was there before */

	struct mutex lock;

	/* Guarded by lock. */
	struct record *records;
	size_t count;
	size_t capacity;
	struct record_chain *chains; /* by file id */
	uint32_t chain_count;
	struct record_name *names;
	size_t name_count;
	uint32_t *fd_files; /* by descriptor */
	size_t fd_count;
	struct buf tail;       /* bytes not yet in bytes_fd */
	uint64_t bytes_stored; /* bytes in bytes_fd */
};

/* `below` is borrowed. `path` names the directory to be recorded. */
void record_io_init(struct record_io *r, struct io *below, const char *path);
void record_io_release(struct record_io *r);

/* The number of records so far: everything done is before this index. */
size_t record_io_position(struct record_io *r);
/* The first index that makes sense to cut at. */
size_t record_io_first(const struct record_io *r);

/* A record by value; its names are valid until release. */
struct record record_io_get(struct record_io *r, size_t index);

/* Bytes written so far, in all records. */
uint64_t record_io_byte_count(struct record_io *r);

/* Makes bytes_fd complete. */
void record_io_flush_locked(struct record_io *r) REQUIRES(r->lock);
