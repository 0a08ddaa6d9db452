/* SPDX-License-Identifier: MIT */
/*
 * RocksDB for enginebench: its defaults, but for compression, which is off. A
 * session is the store: RocksDB's calls may come from any thread.
 */

#include <errno.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store_ops.h"

struct store {
	rocksdb_t *db;
	rocksdb_options_t *options;
	rocksdb_readoptions_t *read;
	rocksdb_writeoptions_t *write;
};

static int failed(char *message)
{
	fprintf(stderr, "rocksdb: %s\n", message);
	rocksdb_free(message);
	return -EIO;
}

static int rocksdb_store_close(struct store *store)
{
	if (store->db)
		rocksdb_close(store->db);
	rocksdb_writeoptions_destroy(store->write);
	rocksdb_readoptions_destroy(store->read);
	rocksdb_options_destroy(store->options);
	free(store);
	return 0;
}

static int rocksdb_store_open(const char *dir, bool durable,
			      struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	char *message = NULL;

	if (!store)
		return -ENOMEM;
	store->options = rocksdb_options_create();
	rocksdb_options_set_create_if_missing(store->options, 1);
	rocksdb_options_set_compression(store->options, rocksdb_no_compression);
	store->read = rocksdb_readoptions_create();
	store->write = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(store->write, durable);
	store->db = rocksdb_open(store->options, dir, &message);
	if (message) {
		rocksdb_store_close(store);
		return failed(message);
	}
	*ret_store = store;
	return 0;
}

static int rocksdb_set(const struct session *session, struct slice key,
		       struct slice value)
{
	struct store *store = session->store;
	char *message = NULL;

	rocksdb_put(store->db, store->write, key.data, key.size, value.data,
		    value.size, &message);
	return message ? failed(message) : 0;
}

static int rocksdb_get_value(const struct session *session, struct slice key,
			     void *dst, size_t room, size_t *ret_size)
{
	struct store *store = session->store;
	rocksdb_pinnableslice_t *pinned;
	char *message = NULL;
	const char *value;
	size_t size = 0;

	pinned = rocksdb_get_pinned(store->db, store->read, key.data, key.size,
				    &message);
	if (message)
		return failed(message);
	if (!pinned)
		return 1;
	value = rocksdb_pinnableslice_value(pinned, &size);
	if (size <= room)
		memcpy(dst, value, size);
	rocksdb_pinnableslice_destroy(pinned);
	*ret_size = size;
	return size <= room ? 0 : -EUCLEAN;
}

static int rocksdb_remove(const struct session *session, struct slice key)
{
	struct store *store = session->store;
	char *message = NULL;

	rocksdb_delete(store->db, store->write, key.data, key.size, &message);
	return message ? failed(message) : 0;
}

static int rocksdb_list(const struct session *session, struct slice prefix,
			store_list_fn *fn, void *ctx)
{
	struct store *store = session->store;
	rocksdb_iterator_t *it =
		rocksdb_create_iterator(store->db, store->read);
	char *message = NULL;
	int result = 0;

	rocksdb_iter_seek(it, prefix.data, prefix.size);
	while (result == 0 && rocksdb_iter_valid(it)) {
		struct slice key = { NULL, 0 };

		key.data = rocksdb_iter_key(it, &key.size);
		if (key.size < prefix.size ||
		    memcmp(key.data, prefix.data, prefix.size) != 0)
			break;
		result = fn(ctx, key);
		rocksdb_iter_next(it);
	}
	rocksdb_iter_get_error(it, &message);
	rocksdb_iter_destroy(it);
	return message ? failed(message) : result;
}

static int rocksdb_compact(struct store *store)
{
	rocksdb_compact_range(store->db, NULL, 0, NULL, 0);
	return 0;
}

const struct store_ops bench_rocksdb = {
	.name = "rocksdb",
	.open = rocksdb_store_open,
	.close = rocksdb_store_close,
	.set = rocksdb_set,
	.get = rocksdb_get_value,
	.remove = rocksdb_remove,
	.list = rocksdb_list,
	.compact = rocksdb_compact,
};
