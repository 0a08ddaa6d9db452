/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Writing JSON (RFC 8259), as much as one line for a program needs.
 */

#include <stdint.h>

#include "engine/buf.h"

/*
 * Appends `text` as a quoted string. Bytes that are not UTF-8 come as the lone
 * surrogates U+DC80 to U+DCFF that stand for them in Python's surrogateescape
 * (PEP 383), so that no name is lost. 0 or -ENOMEM.
 */
int json_append_string(struct buf *buf, struct slice text);

/* Appends `"name":`, with a comma before it unless a brace is the last. */
int json_append_name(struct buf *buf, const char *name);
int json_append_number(struct buf *buf, const char *name, uint64_t value);
int json_append_text(struct buf *buf, const char *name, struct slice value);
