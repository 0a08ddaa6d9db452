/* SPDX-License-Identifier: MIT */
/*
 * The floor for enginebench: the least that a change costs which is to survive
 * its process, a record appended to a preallocated file by one call. It keeps no
 * index, so nothing is found again. A session is the store: offsets are taken by
 * an atomic counter.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "tests/bench/store_ops.h"

#define PREALLOCATED ((off_t)64 << 20)

struct record {
	uint32_t checksum; /* its place; a floor does not compute one */
	uint32_t key_size;
	uint64_t value_size;
};

struct store {
	int fd;
	bool durable;
	atomic_int_fast64_t end;
};

static int floor_open(const char *dir, bool durable, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (store && dir_fd >= 0) {
		store->durable = durable;
		store->fd = openat(dir_fd, "log",
				   O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
				   0600);
	}
	if (dir_fd >= 0)
		close(dir_fd);
	if (!store || dir_fd < 0 || store->fd < 0) {
		free(store);
		return -EIO;
	}
	*ret_store = store;
	return 0;
}

static int floor_close(struct store *store)
{
	close(store->fd);
	free(store);
	return 0;
}

static int floor_set(const struct session *session, struct slice key,
		     struct slice value)
{
	struct store *store = session->store;
	struct record record = { .key_size = (uint32_t)key.size,
				 .value_size = value.size };
	uint8_t bytes[256];
	struct iovec iov = { bytes, sizeof(record) + key.size + value.size };
	off_t at = atomic_fetch_add(&store->end, (off_t)iov.iov_len);

	if (iov.iov_len > sizeof(bytes))
		return -EINVAL;
	memcpy(bytes, &record, sizeof(record));
	memcpy(bytes + sizeof(record), key.data, key.size);
	if (value.size)
		memcpy(bytes + sizeof(record) + key.size, value.data,
		       value.size);
	if (at / PREALLOCATED != (at + (off_t)iov.iov_len) / PREALLOCATED ||
	    at == 0)
		if (posix_fallocate(store->fd, at / PREALLOCATED * PREALLOCATED,
				    2 * PREALLOCATED))
			return -ENOSPC;
	if (pwritev(store->fd, &iov, 1, at) != (ssize_t)iov.iov_len)
		return -EIO;
	return store->durable && fdatasync(store->fd) ? -EIO : 0;
}

static int floor_remove(const struct session *session, struct slice key)
{
	return floor_set(session, key, slice_of(NULL, 0));
}

const struct store_ops bench_floor = {
	.name = "floor",
	.open = floor_open,
	.close = floor_close,
	.set = floor_set,
	.remove = floor_remove,
};
