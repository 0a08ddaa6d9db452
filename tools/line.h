/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Lines typed by somebody, with editing, history and completion where kvctl was
 * built with libedit or readline; plain lines of standard input otherwise, and
 * whenever that is no terminal.
 */

#include <stdbool.h>

#include "engine/buf.h"

/*
 * Adds what may stand for `word`, the last one of the line so far, to the list
 * by line_candidate(). `index` is the word's place, 0 the first.
 */
typedef void line_complete_fn(void *ctx, size_t index, const char *first,
			      struct slice word);

/* True when lines are typed on a terminal. */
bool line_is_interactive(void);

/* history_path may be NULL: none is kept. Not interactive: does nothing. */
void line_init(const char *history_path, line_complete_fn *fn, void *ctx);
void line_finish(void);

/* A candidate for completion, quoted where it has to be. `more`: no space is
 * put behind it. */
void line_candidate(struct slice word, bool more);

/* Replaces *ret_line by the next line, without its line feed. 0, 1 at the end,
 * -EINTR when a signal came, -errno. */
int line_read(const char *prompt, struct buf *ret_line);
