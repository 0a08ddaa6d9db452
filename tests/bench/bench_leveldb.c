/* SPDX-License-Identifier: MIT */
/*
 * LevelDB for enginebench: its defaults, but for compression, which is off. A
 * session is the store: LevelDB's calls may come from any thread.
 */

#include <errno.h>
#include <leveldb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store_ops.h"

struct store {
	leveldb_t *db;
	leveldb_options_t *options;
	leveldb_readoptions_t *read;
	leveldb_writeoptions_t *write;
};

static int failed(char *message)
{
	fprintf(stderr, "leveldb: %s\n", message);
	leveldb_free(message);
	return -EIO;
}

static int leveldb_store_close(struct store *store)
{
	if (store->db)
		leveldb_close(store->db);
	leveldb_writeoptions_destroy(store->write);
	leveldb_readoptions_destroy(store->read);
	leveldb_options_destroy(store->options);
	free(store);
	return 0;
}

static int leveldb_store_open(const char *dir, bool durable,
			      struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	char *message = NULL;

	if (!store)
		return -ENOMEM;
	store->options = leveldb_options_create();
	leveldb_options_set_create_if_missing(store->options, 1);
	leveldb_options_set_compression(store->options, leveldb_no_compression);
	store->read = leveldb_readoptions_create();
	store->write = leveldb_writeoptions_create();
	leveldb_writeoptions_set_sync(store->write, durable);
	store->db = leveldb_open(store->options, dir, &message);
	if (message) {
		leveldb_store_close(store);
		return failed(message);
	}
	*ret_store = store;
	return 0;
}

static int leveldb_set(const struct session *session, struct slice key,
		       struct slice value)
{
	struct store *store = session->store;
	char *message = NULL;

	leveldb_put(store->db, store->write, key.data, key.size, value.data,
		    value.size, &message);
	return message ? failed(message) : 0;
}

static int leveldb_get_value(const struct session *session, struct slice key,
			     void *dst, size_t room, size_t *ret_size)
{
	struct store *store = session->store;
	char *message = NULL;
	size_t size = 0;
	char *value = leveldb_get(store->db, store->read, key.data, key.size,
				  &size, &message);

	if (message)
		return failed(message);
	if (!value)
		return 1;
	if (size <= room)
		memcpy(dst, value, size);
	leveldb_free(value);
	*ret_size = size;
	return size <= room ? 0 : -EUCLEAN;
}

static int leveldb_remove(const struct session *session, struct slice key)
{
	struct store *store = session->store;
	char *message = NULL;

	leveldb_delete(store->db, store->write, key.data, key.size, &message);
	return message ? failed(message) : 0;
}

static int leveldb_list(const struct session *session, struct slice prefix,
			store_list_fn *fn, void *ctx)
{
	struct store *store = session->store;
	leveldb_iterator_t *it =
		leveldb_create_iterator(store->db, store->read);
	char *message = NULL;
	int result = 0;

	leveldb_iter_seek(it, prefix.data, prefix.size);
	while (result == 0 && leveldb_iter_valid(it)) {
		struct slice key = { NULL, 0 };

		key.data = leveldb_iter_key(it, &key.size);
		if (key.size < prefix.size ||
		    memcmp(key.data, prefix.data, prefix.size) != 0)
			break;
		result = fn(ctx, key);
		leveldb_iter_next(it);
	}
	leveldb_iter_get_error(it, &message);
	leveldb_iter_destroy(it);
	return message ? failed(message) : result;
}

static int leveldb_compact(struct store *store)
{
	leveldb_compact_range(store->db, NULL, 0, NULL, 0);
	return 0;
}

const struct store_ops bench_leveldb = {
	.name = "leveldb",
	.open = leveldb_store_open,
	.close = leveldb_store_close,
	.set = leveldb_set,
	.get = leveldb_get_value,
	.remove = leveldb_remove,
	.list = leveldb_list,
	.compact = leveldb_compact,
};
