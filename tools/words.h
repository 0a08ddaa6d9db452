/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A line of kvctl's shell as words, quoted as in sh(1): 'as it is', "with \n \t
 * \xHH \" and \\", and a backslash before any other character. What begins
 * with # is a comment.
 */

#include <stdbool.h>
#include <stddef.h>

#include "engine/buf.h"

#define WORDS_MAX 4096u

/* Zero-initialised is empty. */
struct words {
	char **at; /* NULL-terminated, for getopt; point into bytes */
	size_t count;
	struct buf bytes;
};

/* Replaces the contents. 0, -EINVAL for a quote without its end, a NUL or an
 * escape that is none, -E2BIG for too many words, -ENOMEM. */
int words_parse(struct words *words, struct slice line);
void words_release(struct words *words);

/* Where the last word of an unfinished line begins, and what it is so far
 * without its quotes. For completion. 0 or -ENOMEM. */
int words_last(struct slice line, size_t *ret_begin, struct buf *ret_word);

/* Appends a word so that words_parse() gives it back. 0 or -ENOMEM. */
int words_quote(struct buf *buf, struct slice word);
