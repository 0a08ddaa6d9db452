/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Formatted text appended to a buffer. The first failure sticks and the rest
 * does nothing, so that a page is written line by line and checked once.
 */

#include <stdbool.h>
#include <stdint.h>

#include "engine/buf.h"

struct text {
	struct buf *buf; /* the caller's; not terminated by a NUL */
	int error;       /* 0 or -ENOMEM */
};

__attribute__((format(printf, 2, 3))) void text_add(struct text *text,
						    const char *format, ...);

/* As a JSON string, quotes included. What is no UTF-8 becomes U+FFFD. */
void text_add_json(struct text *text, const char *string);

/* As a label's value of Prometheus, quotes included. */
void text_add_label(struct text *text, const char *string);

/* "64M": a count of bytes by the largest suffix that divides it. */
void text_add_size(struct text *text, uint64_t size_bytes);
