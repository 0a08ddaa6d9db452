/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * tar archives: ustar with the extended headers of pax (POSIX.1-2001), as GNU
 * tar, bsdtar and Python read and write them. Of what others write, GNU's long
 * names are understood, too. Pure functions on headers, no I/O.
 */

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "engine/buf.h"

#define TAR_BLOCK 512u
/* Of names and of an extended header. */
#define TAR_EXTENDED_MAX (1u << 20)

/* A member of an archive. Zero-initialised, then released. */
struct tar_entry {
	struct buf name; /* without a NUL */
	struct buf link; /* of a symbolic or hard link */
	char type;     /* '0' file, '1' hard link, '2' symlink, '5' directory */
	uint32_t mode; /* permission bits */
	uint32_t uid, gid;
	uint64_t size_bytes;
	struct timespec mtime;
	/* An extended header said so, and the header does not count. */
	bool has_name, has_link, has_size, has_mtime;
};

void tar_entry_clear(struct tar_entry *entry);
void tar_entry_release(struct tar_entry *entry);

/* Appends the headers of an entry, an extended one first where it takes one.
 * 0 or -ENOMEM. */
int tar_append_header(struct buf *buf, const struct tar_entry *entry);
/* Bytes behind contents of that size up to a whole block. */
size_t tar_padding(uint64_t size_bytes);

/*
 * Takes one header block apart, on top of what extended headers before it said.
 * 0, 1 for a block of zeros (two of them end an archive), -EINVAL for what is
 * none. type 'x', 'g', 'L' and 'K' are extended headers: their contents go to
 * tar_extend().
 */
int tar_decode_header(const uint8_t *block, struct tar_entry *entry);
/* The contents of an extended header of type `type`. 0, -EINVAL, -ENOMEM. */
int tar_extend(struct tar_entry *entry, char type, struct slice contents);
