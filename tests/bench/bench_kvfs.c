/* SPDX-License-Identifier: MIT */
/*
 * kvfs's engine for enginebench: its defaults, but without the commit timer,
 * as no other store here has one. A session is the store: the calls may come
 * from any thread.
 */

#include <errno.h>
#include <stdlib.h>

#include "engine/kv.h"
#include "tests/bench/store_ops.h"

struct store {
	struct kv *kv;
	bool durable;
};

static int kvfs_open(const char *dir, bool durable, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	struct kv_options options;
	int error;

	if (!store)
		return -ENOMEM;
	kv_options_init(&options);
	options.create = true;
	options.commit_interval_ms = 0;
	store->durable = durable;
	error = kv_open(dir, &options, &store->kv);
	if (error)
		free(store);
	else
		*ret_store = store;
	return error;
}

static int kvfs_close(struct store *store)
{
	int error = kv_close(store->kv);

	free(store);
	return error;
}

static int kvfs_finish(const struct store *store, int result, uint64_t lsn)
{
	return result == 0 && store->durable ? kv_sync(store->kv, lsn) : result;
}

static int kvfs_set(const struct session *session, struct slice key,
		    struct slice value)
{
	const struct store *store = session->store;
	uint64_t lsn = 0;
	int error = kv_set(store->kv, key, value, &lsn);

	return kvfs_finish(store, error, lsn);
}

static int kvfs_remove(const struct session *session, struct slice key)
{
	const struct store *store = session->store;
	uint64_t lsn = 0;
	int error = kv_delete(store->kv, key, &lsn);

	return kvfs_finish(store, error, lsn);
}

static int kvfs_get(const struct session *session, struct slice key, void *dst,
		    size_t room, size_t *ret_size)
{
	uint64_t whole = 0;
	int result = kv_read(session->store->kv, NULL, key, 0, dst, room,
			     ret_size, &whole);

	return result == 0 && whole > room ? -EUCLEAN : result;
}

struct listing {
	store_list_fn *fn;
	void *ctx;
};

static int list_one(void *ctx, const struct kv_entry *entry)
{
	const struct listing *listing = ctx;

	return listing->fn(listing->ctx, entry->key);
}

static int kvfs_list(const struct session *session, struct slice prefix,
		     store_list_fn *fn, void *ctx)
{
	struct kv_range range = { .prefix = prefix };
	struct listing listing = { fn, ctx };

	return kv_list(session->store->kv, NULL, &range, 0, list_one, &listing);
}

static int kvfs_compact(struct store *store)
{
	return kv_compact(store->kv, NULL, NULL);
}

const struct store_ops bench_kvfs = {
	.name = "kvfs",
	.open = kvfs_open,
	.close = kvfs_close,
	.set = kvfs_set,
	.get = kvfs_get,
	.remove = kvfs_remove,
	.list = kvfs_list,
	.compact = kvfs_compact,
};
