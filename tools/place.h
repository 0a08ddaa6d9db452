/* SPDX-License-Identifier: MIT */
#pragma once

/* The keys among a command's operands that are there. */

#include <stdbool.h>

#include "engine/buf.h"
#include "tools/key.h"
#include "tools/kvctl.h"
#include "tools/target.h"

/* For "%.*s", a slice. */
#define KEY_PRINTED(key) (int)(key).size, (const char *)(key).data

/*
 * What a command does with a key that is there; `text` is the key as it was
 * given. Results as input_key_fn. The place is released by the caller.
 */
typedef int place_fn(struct invocation *inv, struct target_place *place,
		     const struct key *key, struct slice text, void *ctx);

/*
 * Calls fn for each key that the operands name and that is there; of others
 * `quiet` says nothing. Results as input_each_key.
 */
int each_place(struct invocation *inv, place_fn *fn, void *ctx, bool quiet);
