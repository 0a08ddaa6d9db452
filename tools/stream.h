/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The text of `kvctl dump`: keys and values of any bytes as lines of printable
 * ASCII. kvctl(1) has the format under DUMP FORMAT. A line is a letter, a space
 * and a field:
 *
 *	# TEXT     a comment; the first line is "# kvctl dump 1"
 *	k TEXT     a key begins; its value is what the lines up to the next k say
 *	v TEXT     more of the value, as text
 *	b BASE64   more of the value, as base64 (RFC 4648, with padding)
 *	a NUMBER NUMBER.NUMBER   of the key: mode (octal), mtime
 *	e NUMBER   the end: so many keys
 *
 * In TEXT \\ is a backslash, \n a line feed, \t a tab, \r a carriage return and
 * \xHH any byte; all others stand for themselves. Pure functions, no lock.
 */

#include <stdbool.h>

#include "engine/buf.h"

#define STREAM_HEADER "# kvctl dump 1\n"
/* Of a value, in one line. */
#define STREAM_PIECE_MAX 3072u
/* A longer line is none of a dump. A key of 64 KiB, all escaped, has that. */
#define STREAM_LINE_MAX (4u * 65536u + 16u)

/* Appends the escaped text. 0 or -ENOMEM. */
int stream_append_text(struct buf *buf, struct slice bytes);
/* Appends lines that say the value's next `bytes`: text where that is no
 * longer than base64. */
int stream_append_value(struct buf *buf, struct slice bytes);

/* Appends what an escaped text stands for. 0, -EINVAL, -ENOMEM. */
int stream_decode_text(struct slice text, struct buf *ret_bytes);
/* The same for base64. */
int stream_decode_base64(struct slice text, struct buf *ret_bytes);
