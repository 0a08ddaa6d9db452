/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Data on stdout. An error is reported (once) and kept; later writes do
 * nothing and return it, so commands can stop. A reader that went away
 * (-EPIPE) is not reported: it has had what it wanted.
 */

#include <stdint.h>

#include "engine/buf.h"

/* 0 or -errno. */
int output_write(struct slice data);
__attribute__((format(printf, 1, 2))) int output_print(const char *format, ...);

/* Writes out what is buffered. 0, or the first error there was. */
int output_finish(void);
