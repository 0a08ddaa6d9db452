/* SPDX-License-Identifier: MIT */
/*
 * LMDB for enginebench. Without durability MDB_NOSYNC is set: the pages of a
 * change are then written, but not synced. A session keeps a read transaction
 * that it renews for each get, as LMDB's manual advises. LMDB cannot compact in
 * place, so compact does nothing.
 */

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/store_ops.h"

#define MAP_SIZE ((size_t)64 << 30)

struct store {
	MDB_env *env;
	MDB_dbi dbi;
};

static int failed(int error)
{
	if (error == 0)
		return 0;
	if (error == MDB_NOTFOUND)
		return 1;
	fprintf(stderr, "lmdb: %s\n", mdb_strerror(error));
	return -EIO;
}

/* MDB_val is for both directions, so its pointer is not const. */
static MDB_val val_of(struct slice slice)
{
	MDB_val val = { .mv_size = slice.size };

	memcpy(&val.mv_data, &slice.data, sizeof(slice.data));
	return val;
}

static int lmdb_open_dbi(struct store *store)
{
	MDB_txn *txn;
	int error = mdb_txn_begin(store->env, NULL, 0, &txn);

	if (error)
		return error;
	error = mdb_dbi_open(txn, NULL, 0, &store->dbi);
	if (error) {
		mdb_txn_abort(txn);
		return error;
	}
	return mdb_txn_commit(txn);
}

static int lmdb_open(const char *dir, bool durable, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	unsigned int flags = MDB_NOTLS | (durable ? 0 : MDB_NOSYNC);
	int error;

	if (!store)
		return -ENOMEM;
	error = mdb_env_create(&store->env);
	if (error) {
		free(store);
		return failed(error);
	}
	error = mdb_env_set_mapsize(store->env, MAP_SIZE);
	if (!error)
		error = mdb_env_open(store->env, dir, flags, 0600);
	if (!error)
		error = lmdb_open_dbi(store);
	if (error) {
		mdb_env_close(store->env);
		free(store);
		return failed(error);
	}
	*ret_store = store;
	return 0;
}

static int lmdb_close(struct store *store)
{
	mdb_env_close(store->env);
	free(store);
	return 0;
}

/* Its own is a transaction for reading, reset between uses. */
static int lmdb_session_open(struct session *session)
{
	MDB_txn *read;
	int error = mdb_txn_begin(session->store->env, NULL, MDB_RDONLY, &read);

	if (error)
		return failed(error);
	mdb_txn_reset(read);
	session->own = read;
	return 0;
}

static void lmdb_session_close(const struct session *session)
{
	mdb_txn_abort(session->own);
}

static int lmdb_set(const struct session *session, struct slice key,
		    struct slice value)
{
	MDB_val k = val_of(key), v = val_of(value);
	MDB_txn *txn;
	int error = mdb_txn_begin(session->store->env, NULL, 0, &txn);

	if (error)
		return failed(error);
	error = mdb_put(txn, session->store->dbi, &k, &v, 0);
	if (!error)
		return failed(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return failed(error);
}

static int lmdb_get(const struct session *session, struct slice key, void *dst,
		    size_t room, size_t *ret_size)
{
	MDB_val k = val_of(key), v;
	MDB_txn *read = session->own;
	int error = mdb_txn_renew(read);

	if (error)
		return failed(error);
	error = mdb_get(read, session->store->dbi, &k, &v);
	if (!error && v.mv_size <= room) {
		memcpy(dst, v.mv_data, v.mv_size);
		*ret_size = v.mv_size;
	}
	mdb_txn_reset(read);
	if (error)
		return failed(error);
	return v.mv_size <= room ? 0 : -EUCLEAN;
}

static int lmdb_remove(const struct session *session, struct slice key)
{
	MDB_val k = val_of(key);
	MDB_txn *txn;
	int error = mdb_txn_begin(session->store->env, NULL, 0, &txn);

	if (error)
		return failed(error);
	error = mdb_del(txn, session->store->dbi, &k, NULL);
	if (!error)
		return failed(mdb_txn_commit(txn));
	mdb_txn_abort(txn);
	return failed(error);
}

static int lmdb_list_from(MDB_cursor *cursor, struct slice prefix,
			  store_list_fn *fn, void *ctx)
{
	MDB_val k = val_of(prefix);
	int error = mdb_cursor_get(cursor, &k, NULL, MDB_SET_RANGE);
	int result = 0;

	while (!error && result == 0 && k.mv_size >= prefix.size &&
	       memcmp(k.mv_data, prefix.data, prefix.size) == 0) {
		result = fn(ctx, slice_of(k.mv_data, k.mv_size));
		error = mdb_cursor_get(cursor, &k, NULL, MDB_NEXT);
	}
	if (error && error != MDB_NOTFOUND)
		return failed(error);
	return result;
}

static int lmdb_list(const struct session *session, struct slice prefix,
		     store_list_fn *fn, void *ctx)
{
	MDB_txn *read = session->own;
	MDB_cursor *cursor;
	int error = mdb_txn_renew(read);

	if (error)
		return failed(error);
	error = mdb_cursor_open(read, session->store->dbi, &cursor);
	if (error) {
		mdb_txn_reset(read);
		return failed(error);
	}
	error = lmdb_list_from(cursor, prefix, fn, ctx);
	mdb_cursor_close(cursor);
	mdb_txn_reset(read);
	return error;
}

static int lmdb_compact(struct store *store)
{
	(void)store;
	return 0;
}

const struct store_ops bench_lmdb = {
	.name = "lmdb",
	.open = lmdb_open,
	.close = lmdb_close,
	.session_open = lmdb_session_open,
	.session_close = lmdb_session_close,
	.set = lmdb_set,
	.get = lmdb_get,
	.remove = lmdb_remove,
	.list = lmdb_list,
	.compact = lmdb_compact,
};
