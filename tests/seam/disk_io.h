/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A struct io on a disk of a given size: what goes beyond fails as on a full
 * one. Files take what they are long, in whole blocks; an unlinked file gives
 * its space back at once. It stands on another io and serves one directory of
 * few files. Any number of threads may use it.
 */

#include "engine/io.h"
#include "engine/lock.h"

#define DISK_BLOCK_BYTES 4096u
#define DISK_FILES_MAX 4096

struct disk_file {
	uint64_t inode; /* 0: the place is free */
	uint64_t size_bytes;
};

struct disk_io {
	struct io io; /* first: this is what is passed on */
	struct io *below;
	int error; /* -ENOSPC, or -EDQUOT; then statvfs knows no limit */
	struct mutex lock;

	/* Guarded by lock. */
	uint64_t capacity_bytes;
	uint64_t others_bytes; /* what others have on the disk */
	struct disk_file files[DISK_FILES_MAX];
};

/* `below` is borrowed. */
void disk_io_init(struct disk_io *disk, struct io *below,
		  uint64_t capacity_bytes, int error);
void disk_io_release(struct disk_io *disk);

/* What others, not this io, take of the disk. */
void disk_io_set_others(struct disk_io *disk, uint64_t bytes);
/* What is taken, by others and by files; and what is not. */
uint64_t disk_io_used(struct disk_io *disk);
uint64_t disk_io_free(struct disk_io *disk);
