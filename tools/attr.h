/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A file's attributes as text, in the three shapes that stat and list show.
 */

#include "engine/buf.h"
#include "fs/fs.h"

/* Each appends; 0 or -ENOMEM. Numbers are decimal, mode is octal, times are
 * UTC to the nanosecond: 2024-05-01T12:00:00.000000001Z. */

/* `name value` lines, an empty line behind them. */
int attr_append_lines(struct buf *buf, struct slice key,
		      const struct fs_attr *attr);
/* An object and a line feed. */
int attr_append_json(struct buf *buf, struct slice key,
		     const struct fs_attr *attr);
/* As `ls -ln`: "-rw-r--r-- 1 0 0 42 2024-05-01T12:00:00.000000001Z ". */
int attr_append_columns(struct buf *buf, const struct fs_attr *attr);

/* "file", "directory", "symlink", "fifo", "socket", "block", "char". */
const char *attr_type(uint32_t mode);

/*
 * The version of a file: a text that differs from what it was before whenever
 * the file was changed or replaced since. kvctl's changes always show; what a
 * program writes into a file shows to the resolution of the kernel's clock.
 * Returns dst.
 */
#define ATTR_VERSION_SIZE 64
char *attr_version(char dst[static ATTR_VERSION_SIZE],
		   const struct fs_attr *attr);
