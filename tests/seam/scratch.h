/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A directory of a test's own, below $TMPDIR or /tmp, removed with all that is
 * in it when the test is done.
 */

#include <limits.h>

struct scratch {
	char path[PATH_MAX];
	int fd;
};

/* Creates and opens it. 0 or -errno. */
int scratch_init(struct scratch *scratch);

/* Removes it, subdirectories included. 0 or -errno. */
int scratch_release(struct scratch *scratch);

/* Creates and opens a directory within it. 0 or -errno. */
int scratch_make_dir(const struct scratch *scratch, const char *name,
		     struct scratch *ret_dir);
