/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether bytes are a value of a schema. Pure functions.
 */

#include <stdbool.h>
#include <stddef.h>

#include "engine/buf.h"
#include "fs/partition_setting.h"

/* A value of a schema other than bytes is held in memory whole. */
#define VALUE_STRING_MAX ((size_t)8 << 20)
#define VALUE_INT_MAX ((size_t)32)

/* SIZE_MAX for bytes. */
size_t value_size_max(enum value_schema schema);

/*
 * string: UTF-8 (RFC 3629), NUL among it; the empty string is one. `partial`:
 * more may follow, so that it may end within a character. int: an optional '-'
 * and digits, at most one line feed behind them, between -2^63 and 2^63 - 1; in
 * no part. bytes: anything.
 */
bool value_is_valid(enum value_schema schema, struct slice value, bool partial);
