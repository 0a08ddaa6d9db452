/* SPDX-License-Identifier: MIT */

/*
 * Checks before the mount. They are for clear words, not for safety: what
 * changes between a check and its use is found again by whoever uses it.
 */

#include "fs/preflight.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

__attribute__((format(printf, 3, 4))) static int
fail(struct options_error *ret_error, int error, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(ret_error->text, sizeof(ret_error->text), format, args);
	va_end(args);
	return error;
}

/* A descriptor that somebody else has mounted: "/dev/fd/3". */
static bool is_mounted_fd(const char *mountpoint)
{
	static const char prefix[] = "/dev/fd/";
	size_t skip = sizeof(prefix) - 1;

	return strncmp(mountpoint, prefix, skip) == 0 && mountpoint[skip] &&
	       strspn(mountpoint + skip, "0123456789") ==
		       strlen(mountpoint + skip);
}

static int check_device(struct options_error *ret_error)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd >= 0) {
		close(fd);
		return 0;
	}
	if (errno == ENOENT || errno == ENODEV || errno == ENXIO)
		return fail(ret_error, -errno,
			    "there is no /dev/fuse: is the kernel module "
			    "`fuse' loaded?");
	return fail(ret_error, -errno, "cannot open /dev/fuse: %s",
		    strerror(errno));
}

static int check_mountpoint(const char *path, char **ret_path,
			    struct options_error *ret_error)
{
	struct statvfs volume;
	struct stat st;
	char *real = realpath(path, NULL);
	/* Of a dead mount the kernel still has the attributes, but this it
	 * asks the daemon each time. */
	bool dead = (!real || statvfs(real, &volume)) && errno == ENOTCONN;

	if (dead) {
		free(real);
		return fail(ret_error, -ENOTCONN,
			    "mountpoint %s is a mount whose daemon died: run "
			    "`fusermount3 -u %s' first",
			    path, path);
	}
	if (!real && errno == ENOENT)
		return fail(ret_error, -ENOENT, "mountpoint %s does not exist",
			    path);
	if (!real)
		return fail(ret_error, -errno, "mountpoint %s: %s", path,
			    strerror(errno));
	if (stat(real, &st) == 0 && !S_ISDIR(st.st_mode)) {
		free(real);
		return fail(ret_error, -ENOTDIR,
			    "mountpoint %s is not a directory", path);
	}
	*ret_path = real;
	return 0;
}

/* The absolute path of what does not exist yet, in a directory that does. */
static int resolve_absent(const char *path, char **ret_path,
			  struct options_error *ret_error)
{
	char *copy = strdup(path);
	char *slash;
	const char *name;
	char *parent;
	int error = -ENOMEM;

	if (!copy)
		return fail(ret_error, -ENOMEM, "out of memory");
	for (size_t size = strlen(copy); size > 1 && copy[size - 1] == '/';)
		copy[--size] = 0;
	slash = strrchr(copy, '/');
	name = slash ? slash + 1 : copy;
	if (slash && slash != copy)
		*slash = 0;
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!parent) {
		error = fail(ret_error, -errno, "cannot create store %s: %s",
			     path, strerror(errno));
	} else if (asprintf(ret_path, "%s/%s",
			    strcmp(parent, "/") == 0 ? "" : parent, name) < 0) {
		fail(ret_error, error, "out of memory");
	} else {
		error = 0;
	}
	free(parent);
	free(copy);
	return error;
}

static bool dir_is_empty(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	bool empty = true;

	if (!dir)
		return false;
	while (empty && (entry = readdir(dir)))
		empty = strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

static int check_store(const struct options *options,
		       struct preflight *preflight,
		       struct options_error *ret_error)
{
	struct stat st;

	preflight->store_path = realpath(options->store, NULL);
	if (!preflight->store_path && errno != ENOENT)
		return fail(ret_error, -errno, "store %s: %s", options->store,
			    strerror(errno));
	if (preflight->store_path) {
		if (stat(preflight->store_path, &st) == 0 &&
		    !S_ISDIR(st.st_mode))
			return fail(ret_error, -ENOTDIR,
				    "store %s is not a directory",
				    options->store);
		preflight->store_is_new = dir_is_empty(preflight->store_path);
	} else {
		preflight->store_is_new = true;
	}
	if (preflight->store_is_new && options->read_only)
		return fail(ret_error, -ENOENT,
			    "store %s does not exist, and is not created "
			    "read-only",
			    options->store);
	if (preflight->store_path)
		return 0;
	return resolve_absent(options->store, &preflight->store_path,
			      ret_error);
}

static bool is_within(const char *path, const char *dir)
{
	size_t size = strlen(dir);

	if (strcmp(dir, "/") == 0)
		return true;
	return strncmp(path, dir, size) == 0 &&
	       (path[size] == '/' || !path[size]);
}

static int check_overlap(const struct preflight *preflight,
			 struct options_error *ret_error)
{
	const char *store = preflight->store_path;
	const char *mountpoint = preflight->mountpoint;

	if (is_within(mountpoint, store))
		return fail(ret_error, -EINVAL,
			    "mountpoint %s is in store %s itself", mountpoint,
			    store);
	if (is_within(store, mountpoint))
		return fail(ret_error, -EINVAL,
			    "store %s is below mountpoint %s, which would "
			    "hide it",
			    store, mountpoint);
	return 0;
}

int preflight_check(const struct options *options, struct preflight *preflight,
		    struct options_error *ret_error)
{
	bool mounted = is_mounted_fd(options->mountpoint);
	int error = 0;

	*preflight = (struct preflight){ 0 };
	if (mounted) {
		preflight->mountpoint = strdup(options->mountpoint);
		if (!preflight->mountpoint)
			return fail(ret_error, -ENOMEM, "out of memory");
	} else {
		error = check_mountpoint(options->mountpoint,
					 &preflight->mountpoint, ret_error);
		if (!error)
			error = check_device(ret_error);
	}
	if (!error)
		error = check_store(options, preflight, ret_error);
	if (!error && !mounted)
		error = check_overlap(preflight, ret_error);
	if (error)
		preflight_release(preflight);
	return error;
}

void preflight_release(struct preflight *preflight)
{
	free(preflight->store_path);
	free(preflight->mountpoint);
	*preflight = (struct preflight){ 0 };
}
