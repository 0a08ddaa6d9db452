/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A key as the user writes it, "user/42", taken apart into the file names on
 * its way. Keys are any bytes; fs/escape.h says which file names they have.
 */

#include <stddef.h>

#include "engine/buf.h"

#define KEY_SIZE_MAX 65535u

/* Zero-initialised has no names. */
struct key {
	struct buf bytes; /* the names, each with its NUL */
	size_t *offsets;  /* of each name in bytes */
	size_t count;     /* at least 1 after key_parse() */
	size_t capacity;
};

/*
 * The names of a key. Replaces the contents. 0, -ENAMETOOLONG past
 * KEY_SIZE_MAX, -ENOMEM.
 */
int key_parse(struct key *key, struct slice text);
void key_release(struct key *key);

static inline const char *key_name(const struct key *key, size_t i)
{
	return (const char *)key->bytes.data + key->offsets[i];
}

/* Replaces *ret_path by the key's path: its names with '/' between. 0 or
 * -ENOMEM. */
int key_path(const struct key *key, struct buf *ret_path);

/*
 * Cuts a prefix of keys behind its last slash: what comes before it names whole
 * directories, what comes behind it is how the names in there begin.
 */
void key_split_prefix(struct slice prefix, struct slice *ret_directory,
		      struct slice *ret_beginning);

/* Replaces *ret_text by the key whose path (names with '/' between) this is. 0
 * or -ENOMEM. */
int key_format(struct slice path, struct buf *ret_text);
