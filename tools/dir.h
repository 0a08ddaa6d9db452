/* SPDX-License-Identifier: MIT */
#pragma once

/* Directories of the system. */

#include <dirent.h>

/*
 * Calls fn for each entry but "." and "..", until it returns other than 0,
 * which is passed on. Closes `fd` in any case. 0 or -errno.
 */
int dir_each(int fd, int (*fn)(const struct dirent *entry, void *ctx),
	     void *ctx);
