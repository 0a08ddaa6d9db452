/* SPDX-License-Identifier: MIT */

/* Directories for tests: see scratch.h. No locks. */

#include "tests/seam/scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_FILES_MAX 16

static int open_dir(struct scratch *scratch)
{
	scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return scratch->fd < 0 ? -errno : 0;
}

int scratch_init(struct scratch *scratch)
{
	const char *parent = getenv("TMPDIR");
	int n;

	n = snprintf(scratch->path, sizeof(scratch->path),
		     "%s/kvfs-test.XXXXXX", parent ? parent : "/tmp");
	if (n < 0 || (size_t)n >= sizeof(scratch->path))
		return -ENAMETOOLONG;
	if (!mkdtemp(scratch->path))
		return -errno;
	return open_dir(scratch);
}

static int remove_entry(const char *path, const struct stat *st, int type,
			struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

int scratch_release(struct scratch *scratch)
{
	close(scratch->fd);
	scratch->fd = -1;
	if (nftw(scratch->path, remove_entry, OPEN_FILES_MAX,
		 FTW_DEPTH | FTW_PHYS))
		return -errno;
	return 0;
}

int scratch_make_dir(const struct scratch *scratch, const char *name,
		     struct scratch *ret_dir)
{
	int n;

	n = snprintf(ret_dir->path, sizeof(ret_dir->path), "%s/%s",
		     scratch->path, name);
	if (n < 0 || (size_t)n >= sizeof(ret_dir->path))
		return -ENAMETOOLONG;
	if (mkdir(ret_dir->path, 0700))
		return -errno;
	return open_dir(ret_dir);
}
