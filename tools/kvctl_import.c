/* SPDX-License-Identifier: MIT */

/*
 * import: the files below a directory as keys. A stack of open directory
 * streams, so its depth is bounded by descriptors; links are not followed.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/dir.h"
#include "tools/kvctl.h"
#include "tools/loader.h"
#include "tools/report.h"

#define DEPTH_MAX 200u

struct import {
	struct loader loader;
	struct buf path; /* of what is being read, from the directory on */
	uint8_t *chunk;
	unsigned int depth;
};

static void import_report(struct import *import, int error)
{
	report_errno(error, "%.*s", (int)import->path.size,
		     (const char *)import->path.data);
	import->loader.failed = true;
}

/* The key whose file name in a mount is the path. */
static int key_begin(struct import *import)
{
	struct buf text = { 0 };
	int r = key_format(buf_slice(&import->path), &text);

	if (r == 0)
		loader_begin(&import->loader, buf_slice(&text));
	buf_release(&text);
	return r;
}

static int value_read(struct import *import, int fd)
{
	ssize_t got;

	while ((got = read(fd, import->chunk, TARGET_CHUNK_BYTES)) != 0) {
		if (interrupt_seen())
			return -ECANCELED;
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		loader_data(&import->loader,
			    slice_of(import->chunk, (size_t)got));
		loader_progress(&import->loader, (uint64_t)got);
	}
	return 0;
}

static int file_import(struct import *import, int dir, const char *name,
		       const struct stat *st)
{
	int fd, r;

	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	r = key_begin(import);
	if (r == 0) {
		import->loader.attributes = (struct target_attributes){
			.has_mode = true,
			.has_mtime = true,
			.mode = st->st_mode & 0777,
			.mtime = st->st_mtim,
		};
		r = value_read(import, fd);
		if (r)
			loader_cancel(&import->loader);
		loader_end(&import->loader);
	}
	close(fd);
	return r;
}

static int link_make(struct import *import, const char *text)
{
	struct loader *loader = &import->loader;
	struct target_place place = { .dir.fd = -1 };
	struct buf key_text = { 0 };
	struct key key = { 0 };
	int r;

	r = key_format(buf_slice(&import->path), &key_text);
	if (r == 0)
		r = key_parse(&key, buf_slice(&key_text));
	if (r == 0)
		r = target_find(loader->target, &key, TARGET_MAKE_PARENTS,
				&place);
	if (r >= 0) {
		if (r == 0)
			r = target_remove(loader->target, &place.dir,
					  place.name);
		if (r >= 0)
			r = target_make_link(loader->target, &place.dir,
					     place.name, text);
		target_place_release(loader->target, &place);
	}
	key_release(&key);
	buf_release(&key_text);
	return r;
}

static int link_import(struct import *import, int dir, const char *name)
{
	char text[FS_SYMLINK_MAX + 1];
	ssize_t size = readlinkat(dir, name, text, sizeof(text));

	if (size < 0)
		return -errno;
	if ((size_t)size == sizeof(text))
		return -ENAMETOOLONG;
	text[size] = '\0';
	batch_flush(&import->loader.batch);
	return link_make(import, text);
}

static int dir_import(struct import *import, int fd);

static int child_import(struct import *import, int dir, const char *name)
{
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	if (S_ISREG(st.st_mode))
		return file_import(import, dir, name, &st);
	if (S_ISLNK(st.st_mode))
		return link_import(import, dir, name);
	if (!S_ISDIR(st.st_mode))
		return -EINVAL;
	if (import->depth == DEPTH_MAX)
		return -ELOOP;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : dir_import(import, fd);
}

/* What the entries of one directory are imported with. */
struct dir_task {
	struct import *import;
	int fd;
};

static int entry_import(const struct dirent *entry, void *ctx)
{
	const struct dir_task *task = ctx;
	struct import *import = task->import;
	const char *name = entry->d_name;
	size_t size = import->path.size;
	int r = 0;

	if (interrupt_seen())
		return -ECANCELED;
	if (size)
		r = buf_append(&import->path, "/", 1);
	if (r == 0)
		r = buf_append(&import->path, name, strlen(name));
	if (r == 0)
		r = child_import(import, task->fd, name);
	if (r == -EINVAL) {
		report_error("%.*s: a special file: left out",
			     (int)import->path.size,
			     (const char *)import->path.data);
		import->loader.failed = true;
	} else if (r && r != -ECANCELED) {
		import_report(import, r);
	}
	import->path.size = size;
	return r == -ECANCELED ? r : 0;
}

/* Takes the descriptor over. */
static int dir_import(struct import *import, int fd)
{
	struct dir_task task = { .import = import, .fd = fd };
	int r;

	import->depth++;
	r = dir_each(fd, entry_import, &task);
	import->depth--;
	return r;
}

static int run_import(struct invocation *inv)
{
	const char *path = inv->operands[0];
	struct import import = { .chunk = malloc(TARGET_CHUNK_BYTES) };
	int fd, r, status;

	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || !import.chunk) {
		report_errno(fd < 0 ? errno : ENOMEM, "%s", path);
		if (fd >= 0)
			close(fd);
		free(import.chunk);
		return KVCTL_ERROR;
	}
	loader_init(&import.loader, inv->target, "import");
	r = dir_import(&import, fd);
	if (r)
		report_errno(r, "%s", path);
	status = loader_finish(&import.loader);
	buf_release(&import.path);
	free(import.chunk);
	return r ? KVCTL_ERROR : status;
}

const struct command command_import = {
	.name = "import",
	.operands = "STORE DIRECTORY",
	.summary = "Set keys from the files below a directory",
	.details =
		"The inverse of export: a file's path below DIRECTORY is its path in a\n"
		"mount, and its mode and mtime come along. Directories without files\n"
		"are not made, links are not followed but made. In steps, as load.\n",
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = 1,
	.run = run_import,
};
