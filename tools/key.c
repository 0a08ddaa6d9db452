/* SPDX-License-Identifier: MIT */

/*
 * Keys and the names they are made of. The escape is fs/escape.c's; here its
 * paths are cut into names that system calls take. No state, no lock.
 */

#include "tools/key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/escape.h"

static int name_push(struct key *key, size_t offset)
{
	size_t capacity = key->capacity ? key->capacity * 2 : 8;
	size_t *offsets;

	if (key->count == key->capacity) {
		offsets =
			reallocarray(key->offsets, capacity, sizeof(*offsets));
		if (!offsets)
			return -ENOMEM;
		key->offsets = offsets;
		key->capacity = capacity;
	}
	key->offsets[key->count++] = offset;
	return 0;
}

int key_parse(struct key *key, struct slice text)
{
	uint8_t *slash;
	size_t at = 0;
	int r;

	if (text.size > KEY_SIZE_MAX)
		return -ENAMETOOLONG;
	key->count = 0;
	r = escape_encode(text, &key->bytes);
	if (r == 0)
		r = buf_append(&key->bytes, "", 1);
	while (r == 0) {
		r = name_push(key, at);
		slash = memchr(key->bytes.data + at, '/', key->bytes.size - at);
		if (!slash)
			break;
		*slash = '\0';
		at = (size_t)(slash - key->bytes.data) + 1;
	}
	return r;
}

int key_path(const struct key *key, struct buf *ret_path)
{
	size_t i;
	int r;

	/* The names lie one after another: only the NULs differ. */
	r = buf_assign(ret_path,
		       slice_of(key->bytes.data, key->bytes.size - 1));
	for (i = 1; r == 0 && i < key->count; i++)
		ret_path->data[key->offsets[i] - 1] = '/';
	return r;
}

void key_release(struct key *key)
{
	buf_release(&key->bytes);
	free(key->offsets);
	*key = (struct key){ 0 };
}

void key_split_prefix(struct slice prefix, struct slice *ret_directory,
		      struct slice *ret_beginning)
{
	const char *data = prefix.data;
	const char *slash = prefix.size ? memrchr(data, '/', prefix.size) :
					  NULL;
	size_t size = slash ? (size_t)(slash - data) : 0;

	*ret_directory = slice_of(data, size);
	*ret_beginning = prefix;
	if (slash)
		*ret_beginning = slice_of(slash + 1, prefix.size - size - 1);
}

int key_format(struct slice path, struct buf *ret_text)
{
	/* Every escape has a '%' in it: most paths are their keys. */
	if (!path.size || !memchr(path.data, '%', path.size))
		return buf_assign(ret_text, path);
	return escape_decode(path, ret_text);
}
