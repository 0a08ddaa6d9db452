/* SPDX-License-Identifier: MIT */

/* Reading directories of the system. */

#include "tools/dir.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

static bool is_dots(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

int dir_each(int fd, int (*fn)(const struct dirent *entry, void *ctx),
	     void *ctx)
{
	DIR *stream = fdopendir(fd);
	const struct dirent *entry;
	int r = 0;

	if (!stream) {
		r = -errno;
		close(fd);
		return r;
	}
	while (r == 0) {
		errno = 0;
		entry = readdir(stream);
		if (!entry) {
			r = -errno;
			break;
		}
		if (!is_dots(entry->d_name))
			r = fn(entry, ctx);
	}
	closedir(stream);
	return r;
}
