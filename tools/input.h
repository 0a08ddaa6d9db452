/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The keys a command is to work on: its operands, where "-" stands for names
 * read from stdin, one a line, or one before each NUL with -0.
 */

#include <stdbool.h>
#include <stdio.h>

#include "engine/buf.h"
#include "tools/kvctl.h"

/*
 * Called for each key. KVCTL_DONE and KVCTL_ABSENT go on; a negative errno
 * ends the walk.
 */
typedef int input_key_fn(struct invocation *inv, struct slice key, void *ctx);

/*
 * Calls fn for each key operand from `first` on. The worst of what fn returned
 * (error before absent before done), an error if fn ended the walk.
 */
int input_each_key(struct invocation *inv, int first, input_key_fn *fn,
		   void *ctx);

/*
 * Reads the next name up to `separator` into *ret_name (without it). 0, 1 at
 * the end, -ENAMETOOLONG past KEY_SIZE_MAX, -errno.
 */
int input_read_name(FILE *file, int separator, struct buf *ret_name);
