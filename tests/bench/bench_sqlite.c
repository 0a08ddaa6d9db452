/* SPDX-License-Identifier: MIT */
/*
 * SQLite for enginebench: one table without row ids, in WAL mode, each change a
 * transaction of its own. synchronous is OFF, or FULL for durable changes. Each
 * session has a connection; writers take turns with a mutex, as SQLite's own
 * waiting sleeps for milliseconds.
 */

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/lock.h"
#include "tests/bench/store_ops.h"

struct store {
	struct mutex write_lock;
	bool durable;
	char *path;
	sqlite3 *db;
};

enum statement {
	STATEMENT_SET,
	STATEMENT_GET,
	STATEMENT_REMOVE,
	STATEMENT_LIST,
	STATEMENT_COUNT,
};

/* A session's own. */
struct connection {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
};

static const char *const statement_text[STATEMENT_COUNT] = {
	[STATEMENT_SET] = "REPLACE INTO kv VALUES (?1, ?2)",
	[STATEMENT_GET] = "SELECT v FROM kv WHERE k = ?1",
	[STATEMENT_REMOVE] = "DELETE FROM kv WHERE k = ?1",
	[STATEMENT_LIST] = "SELECT k FROM kv WHERE k >= ?1 ORDER BY k",
};

static int failed(sqlite3 *db)
{
	fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
	return -EIO;
}

static int sqlite_run(sqlite3 *db, const char *text)
{
	return sqlite3_exec(db, text, NULL, NULL, NULL) ? failed(db) : 0;
}

static int sqlite_connect(const struct store *store, sqlite3 **ret_db)
{
	int error;

	if (sqlite3_open(store->path, ret_db) != SQLITE_OK) {
		error = failed(*ret_db);
		sqlite3_close(*ret_db);
		return error;
	}
	error = sqlite_run(*ret_db, "PRAGMA journal_mode = WAL");
	if (!error)
		error = sqlite_run(*ret_db, store->durable ?
						    "PRAGMA synchronous=FULL" :
						    "PRAGMA synchronous=OFF");
	if (error)
		sqlite3_close(*ret_db);
	return error;
}

static int sqlite_close(struct store *store)
{
	int error = 0;

	if (store->db && sqlite3_close(store->db) != SQLITE_OK)
		error = -EIO;
	mutex_release(&store->write_lock);
	free(store->path);
	free(store);
	return error;
}

static int sqlite_open(const char *dir, bool durable, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int error = 0;

	if (!store)
		return -ENOMEM;
	mutex_init(&store->write_lock);
	store->durable = durable;
	if (asprintf(&store->path, "%s/kv.sqlite", dir) < 0) {
		store->path = NULL;
		error = -ENOMEM;
	}
	if (!error)
		error = sqlite_connect(store, &store->db);
	if (!error)
		error = sqlite_run(store->db, "CREATE TABLE IF NOT EXISTS kv "
					      "(k BLOB PRIMARY KEY, v BLOB) "
					      "WITHOUT ROWID");
	if (error)
		sqlite_close(store);
	else
		*ret_store = store;
	return error;
}

static void sqlite_session_close(const struct session *session)
{
	struct connection *connection = session->own;

	for (int i = 0; i < STATEMENT_COUNT; i++)
		sqlite3_finalize(connection->statements[i]);
	sqlite3_close(connection->db);
	free(connection);
}

static int sqlite_session_open(struct session *session)
{
	struct connection *connection = calloc(1, sizeof(*connection));
	int error;

	if (!connection)
		return -ENOMEM;
	error = sqlite_connect(session->store, &connection->db);
	if (error) {
		free(connection);
		return error;
	}
	for (int i = 0; i < STATEMENT_COUNT && !error; i++) {
		if (sqlite3_prepare_v2(connection->db, statement_text[i], -1,
				       &connection->statements[i], NULL))
			error = failed(connection->db);
	}
	session->own = connection;
	if (error)
		sqlite_session_close(session);
	return error;
}

static void sqlite_bind(sqlite3_stmt *statement, int at, struct slice bytes)
{
	sqlite3_bind_blob64(statement, at, bytes.data, bytes.size,
			    SQLITE_STATIC);
}

static int sqlite_write(const struct session *session, enum statement which)
{
	struct connection *connection = session->own;
	sqlite3_stmt *statement = connection->statements[which];
	int result;

	mutex_lock(&session->store->write_lock);
	result = sqlite3_step(statement);
	sqlite3_reset(statement);
	mutex_unlock(&session->store->write_lock);
	return result == SQLITE_DONE ? 0 : failed(connection->db);
}

static int sqlite_set(const struct session *session, struct slice key,
		      struct slice value)
{
	const struct connection *connection = session->own;

	sqlite_bind(connection->statements[STATEMENT_SET], 1, key);
	sqlite_bind(connection->statements[STATEMENT_SET], 2, value);
	return sqlite_write(session, STATEMENT_SET);
}

static int sqlite_remove(const struct session *session, struct slice key)
{
	const struct connection *connection = session->own;

	sqlite_bind(connection->statements[STATEMENT_REMOVE], 1, key);
	return sqlite_write(session, STATEMENT_REMOVE);
}

static int sqlite_get(const struct session *session, struct slice key,
		      void *dst, size_t room, size_t *ret_size)
{
	const struct connection *connection = session->own;
	sqlite3_stmt *statement = connection->statements[STATEMENT_GET];
	int result = 1, step;

	sqlite_bind(statement, 1, key);
	step = sqlite3_step(statement);
	if (step == SQLITE_ROW) {
		const void *value = sqlite3_column_blob(statement, 0);
		size_t size = (size_t)sqlite3_column_bytes(statement, 0);

		result = size <= room ? 0 : -EUCLEAN;
		if (result == 0 && size > 0)
			memcpy(dst, value, size);
		*ret_size = size;
	} else if (step != SQLITE_DONE) {
		result = failed(connection->db);
	}
	sqlite3_reset(statement);
	return result;
}

static int sqlite_list(const struct session *session, struct slice prefix,
		       store_list_fn *fn, void *ctx)
{
	const struct connection *connection = session->own;
	sqlite3_stmt *statement = connection->statements[STATEMENT_LIST];
	int result = 0, step = SQLITE_DONE;

	sqlite_bind(statement, 1, prefix);
	while (result == 0 && (step = sqlite3_step(statement)) == SQLITE_ROW) {
		struct slice key = {
			sqlite3_column_blob(statement, 0),
			(size_t)sqlite3_column_bytes(statement, 0),
		};

		if (!slice_has_prefix(key, prefix))
			break;
		result = fn(ctx, key);
	}
	if (step != SQLITE_DONE && step != SQLITE_ROW)
		result = failed(connection->db);
	sqlite3_reset(statement);
	return result;
}

static int sqlite_compact(struct store *store)
{
	int error = sqlite_run(store->db, "VACUUM");

	if (error)
		return error;
	return sqlite_run(store->db, "PRAGMA wal_checkpoint(TRUNCATE)");
}

const struct store_ops bench_sqlite = {
	.name = "sqlite",
	.open = sqlite_open,
	.close = sqlite_close,
	.session_open = sqlite_session_open,
	.session_close = sqlite_session_close,
	.set = sqlite_set,
	.get = sqlite_get,
	.remove = sqlite_remove,
	.list = sqlite_list,
	.compact = sqlite_compact,
};
