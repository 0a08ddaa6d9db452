/* SPDX-License-Identifier: MIT */

/*
 * Waiting for a store. Nothing tells when a lock is given back, so it is tried
 * again and again; each try opens a directory and a file. No state.
 *
 * Who has the lock decides how long. A kvfs whose mount is gone is about to end:
 * it deletes what was unlinked and writes its checkpoint, which takes seconds
 * when that was a file of millions of blocks. Anybody else may stay.
 */

#include "fs/open_wait.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "fs/mountinfo.h"

#define PATIENCE_MS 5000u
#define PATIENCE_CLOSING_MS 120000u
#define PAUSE_MS 20u

static bool is_mounted(const char *store_path)
{
	struct buf point = { 0 };
	int result = mountinfo_find_store(store_path, &point);

	buf_release(&point);
	return result == 0;
}

/*
 * Who holds flock(2) on a file, by /proc/locks (proc(5)): a line is
 *	1: FLOCK  ADVISORY  WRITE 4711 fd:00:1234567 0 EOF
 * 0 when nobody does, or nobody that we may know of.
 */
static long lock_holder(const struct stat *file)
{
	FILE *locks = fopen("/proc/locks", "re");
	char wanted[64], line[256], *at;
	long pid = 0;

	snprintf(wanted, sizeof(wanted), " %02x:%02x:%llu ",
		 major(file->st_dev), minor(file->st_dev),
		 (unsigned long long)file->st_ino);
	while (locks && !pid && fgets(line, sizeof(line), locks)) {
		at = strstr(line, wanted);
		if (!at || !strstr(line, " FLOCK "))
			continue;
		/* The number before. */
		*at = '\0';
		at = strrchr(line, ' ');
		pid = at ? strtol(at, NULL, 10) : 0;
	}
	if (locks)
		fclose(locks);
	return pid > 0 ? pid : 0;
}

static bool process_is_kvfs(long pid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/comm", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(name, sizeof(name), file))
		name[0] = '\0';
	fclose(file);
	return strcmp(name, "kvfs\n") == 0;
}

/* Whether it is a daemon that has the store open. */
static bool daemon_has(const char *store_path)
{
	struct stat file;
	char *path;
	long pid = 0;

	if (asprintf(&path, "%s/LOCK", store_path) < 0)
		return false;
	if (stat(path, &file) == 0)
		pid = lock_holder(&file);
	free(path);
	return pid && process_is_kvfs(pid);
}

static bool is_worth_waiting(const char *store_path, unsigned int waited_ms)
{
	if (is_mounted(store_path))
		return false;
	if (waited_ms < PATIENCE_MS)
		return true;
	return waited_ms < PATIENCE_CLOSING_MS && daemon_has(store_path);
}

int fs_open_wait(const char *store_path, const struct fs_options *options,
		 struct fs **ret_fs)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };
	int error = fs_open(store_path, options, ret_fs);
	unsigned int waited_ms = 0;
	bool waits = true;

	/* Who is not there to be seen may have ended just now: hence a last
	 * try after the last look. */
	while (error == -EWOULDBLOCK && waits) {
		waits = is_worth_waiting(store_path, waited_ms);
		if (waits && nanosleep(&pause, NULL))
			return error;
		waited_ms += PAUSE_MS;
		error = fs_open(store_path, options, ret_fs);
	}
	return error;
}
