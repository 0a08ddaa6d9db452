/* SPDX-License-Identifier: MIT */

/*
 * Waiting for a store. Nothing tells when a lock is given back, so it is tried
 * again and again; each try opens a directory and a file. No state.
 */

#include "fs/open_wait.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "fs/mountinfo.h"

#define PATIENCE_MS 5000u
#define PAUSE_MS 20u

static bool is_mounted(const char *store_path)
{
	struct buf point = { 0 };
	int result = mountinfo_find_store(store_path, &point);

	buf_release(&point);
	return result == 0;
}

int fs_open_wait(const char *store_path, const struct fs_options *options,
		 struct fs **ret_fs)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	unsigned int waited_ms = 0;
	int error;

	for (;;) {
		error = fs_open(store_path, options, ret_fs);
		if (error != -EWOULDBLOCK || waited_ms >= PATIENCE_MS ||
		    is_mounted(store_path))
			return error;
		if (nanosleep(&pause, NULL))
			return error;
		waited_ms += PAUSE_MS;
	}
}
