/* SPDX-License-Identifier: MIT */
#pragma once

/* A directory of a test's own, below $TMPDIR or /tmp. */

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its path; temp_dir_remove() removes and frees. */
static inline char *temp_dir_new(void)
{
	const char *parent = getenv("TMPDIR");
	char *path;

	if (asprintf(&path, "%s/kvfs-test-XXXXXX", parent ? parent : "/tmp") <
		    0 ||
	    !mkdtemp(path))
		abort();
	return path;
}

static inline int temp_dir_unlink(const char *path, const struct stat *st,
				  int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void temp_dir_remove(char *path)
{
	nftw(path, temp_dir_unlink, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}
