/* SPDX-License-Identifier: MIT */

/*
 * Remounting: see remount.h. One thread, no lock.
 *
 * Invariant: only a FUSE mount is touched, and only where its root is. For
 * mount(2) would as well change the filesystem that a directory happens to be
 * in.
 */

#include "fs/remount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "fs/mountinfo.h"

/* Flags of mount(2). statvfs(3) shows those in force by the same bits. */
struct mount_word {
	const char *word;
	unsigned long set, clear;
};

static const struct mount_word mount_words[] = {
	{ "ro", MS_RDONLY, 0 },        { "rw", 0, MS_RDONLY },
	{ "nosuid", MS_NOSUID, 0 },    { "suid", 0, MS_NOSUID },
	{ "nodev", MS_NODEV, 0 },      { "dev", 0, MS_NODEV },
	{ "noexec", MS_NOEXEC, 0 },    { "exec", 0, MS_NOEXEC },
	{ "noatime", MS_NOATIME, 0 },  { "atime", 0, MS_NOATIME },
	{ "sync", MS_SYNCHRONOUS, 0 }, { "async", 0, MS_SYNCHRONOUS },
	{ "dirsync", MS_DIRSYNC, 0 },
};

#define WORD_COUNT (sizeof(mount_words) / sizeof(mount_words[0]))
#define FLAGS_KEPT                                                   \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | \
	 MS_NODIRATIME | MS_RELATIME | MS_SYNCHRONOUS)

bool remount_is_asked(const struct options *options)
{
	return options_fuse_has(options, "remount");
}

/* As the words change it, in their order. */
static unsigned long flags_changed(unsigned long flags, const char *words)
{
	while (*words) {
		size_t size = strcspn(words, ",");

		for (size_t i = 0; i < WORD_COUNT; i++) {
			const struct mount_word *w = &mount_words[i];

			if (strlen(w->word) == size &&
			    memcmp(w->word, words, size) == 0)
				flags = (flags & ~w->clear) | w->set;
		}
		words += size;
		words += *words == ',';
	}
	return flags;
}

/* 0; 1 when what is there is not the root of a FUSE mount; -errno. */
static int mount_find(const char *mountpoint)
{
	struct buf point = { 0 };
	char *path = realpath(mountpoint, NULL);
	struct stat st;
	int result;

	if (!path || stat(path, &st))
		result = -errno;
	else
		result = mountinfo_find_device(st.st_dev, &point);
	if (!result && point.data &&
	    strcmp((const char *)point.data, path) != 0)
		result = 1;
	buf_release(&point);
	free(path);
	return result;
}

static int flags_set(const struct options *options)
{
	struct statvfs now;
	unsigned long flags;

	if (statvfs(options->mountpoint, &now))
		return -errno;
	flags = flags_changed(now.f_flag & FLAGS_KEPT,
			      (const char *)options->fuse.data);
	return mount(options->store, options->mountpoint, NULL,
		     MS_REMOUNT | flags, NULL) ?
		       -errno :
		       0;
}

int remount(const struct options *options, struct options_error *ret_error)
{
	int result = mount_find(options->mountpoint);

	if (result == 1) {
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "cannot remount: nothing of kvfs is mounted on %s",
			 options->mountpoint);
		return -EINVAL;
	}
	if (!result)
		result = flags_set(options);
	if (result)
		snprintf(ret_error->text, sizeof(ret_error->text),
			 "cannot remount %s: %s", options->mountpoint,
			 strerror(-result));
	return result;
}
