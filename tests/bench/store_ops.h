/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What enginebench asks of a store. Each store is measured through one of
 * these, so that all are asked the same: bench_<store>.c turns it into the
 * store's own calls and adds nothing.
 *
 * Equal settings: no compression, buffers and caches as the store has them by
 * default, one change a call, visible to readers and safe from the death of
 * the process when it returns.
 */

#include <stdbool.h>
#include <stddef.h>

#include "engine/buf.h"

struct store; /* an open store; each adapter has its own */

/* One thread's use of it. */
struct session {
	struct store *store;
	void *own; /* the adapter's */
};

/* 0 goes on; anything else ends the listing, which returns it. */
typedef int store_list_fn(void *ctx, struct slice key);

/* Functions return 0, 1 for no such key, or -errno. A floor, which keeps
 * nothing that could be found, has neither get nor list nor compact. */
struct store_ops {
	const char *name;
	/*
	 * Makes or opens the store in an existing directory. durable: a change
	 * survives power loss when its call returns. Else the store syncs
	 * nothing for it.
	 */
	int (*open)(const char *dir, bool durable, struct store **ret_store);
	int (*close)(struct store *store);
	/* Sets `own`; both are NULL where a session is nothing but the store. */
	int (*session_open)(struct session *session);
	void (*session_close)(const struct session *session);
	int (*set)(const struct session *session, struct slice key,
		   struct slice value);
	/* Copies the value to dst; -EUCLEAN when it is larger than room. */
	int (*get)(const struct session *session, struct slice key, void *dst,
		   size_t room, size_t *ret_size);
	int (*remove)(const struct session *session, struct slice key);
	/* Keys that begin with prefix, ascending, without their values. */
	int (*list)(const struct session *session, struct slice prefix,
		    store_list_fn *fn, void *ctx);
	/* Gives back the space of what was overwritten, as far as it can. */
	int (*compact)(struct store *store);
};

extern const struct store_ops bench_floor;
extern const struct store_ops bench_kvfs;
extern const struct store_ops bench_leveldb;
extern const struct store_ops bench_rocksdb;
extern const struct store_ops bench_lmdb;
extern const struct store_ops bench_sqlite;
