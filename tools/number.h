/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Decimal numbers as users and values write them.
 */

#include <stdint.h>

#include "engine/buf.h"

/* 0 to max, digits only. 0 or -EINVAL. */
int number_parse(const char *text, uint64_t max, uint64_t *ret_number);

/* The same with K, M or G behind it for that many KiB, MiB or GiB. */
int number_parse_size(const char *text, uint64_t max, uint64_t *ret_bytes);

/*
 * A signed number of 64 bits, as the whole text but for one line feed behind
 * it (what `echo 5 >` leaves). 0, -EINVAL, -ERANGE.
 */
int number_parse_value(struct slice text, int64_t *ret_number);

/* a + b. 0 or -ERANGE. */
int number_add(int64_t a, int64_t b, int64_t *ret_sum);
