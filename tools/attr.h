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
