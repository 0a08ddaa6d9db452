/* SPDX-License-Identifier: MIT */

/*
 * Attributes as text. What each shape contains is decided in one table-like
 * function of its own; no state, no lock.
 */

#include "tools/attr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "tools/json.h"

#define TIME_SIZE 48

static const char *time_format(char *dst, const struct timespec *time)
{
	struct tm tm;
	size_t used;

	/* Years that no calendar has are shown as seconds. */
	if (!gmtime_r(&time->tv_sec, &tm)) {
		snprintf(dst, TIME_SIZE, "@%jd.%09ld", (intmax_t)time->tv_sec,
			 time->tv_nsec);
		return dst;
	}
	used = strftime(dst, TIME_SIZE, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(dst + used, TIME_SIZE - used, ".%09ldZ", time->tv_nsec);
	return dst;
}

const char *attr_type(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return "file";
	case S_IFDIR:
		return "directory";
	case S_IFLNK:
		return "symlink";
	case S_IFIFO:
		return "fifo";
	case S_IFSOCK:
		return "socket";
	case S_IFBLK:
		return "block";
	case S_IFCHR:
		return "char";
	default:
		return "unknown";
	}
}

__attribute__((format(printf, 2, 3))) static int
append_format(struct buf *buf, const char *format, ...)
{
	char text[160];
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return buf_append(buf, text, strnlen(text, (size_t)n));
}

static int append_times(struct buf *buf, const struct fs_attr *attr)
{
	char text[4][TIME_SIZE];

	return append_format(buf, "atime %s\nmtime %s\n",
			     time_format(text[0], &attr->atime),
			     time_format(text[1], &attr->mtime)) ||
			       append_format(buf, "ctime %s\nbtime %s\n\n",
					     time_format(text[2], &attr->ctime),
					     time_format(text[3],
							 &attr->btime)) ?
		       -ENOMEM :
		       0;
}

/* A line feed in a key would end its line: such a key is shown as JSON. */
static int append_key_line(struct buf *buf, struct slice key)
{
	int r = buf_append(buf, "key ", 4);

	if (r == 0 && key.size && memchr(key.data, '\n', key.size))
		r = json_append_string(buf, key);
	else if (r == 0)
		r = buf_append(buf, key.data, key.size);
	return r ? r : buf_append(buf, "\n", 1);
}

char *attr_version(char dst[static ATTR_VERSION_SIZE],
		   const struct fs_attr *attr)
{
	snprintf(dst, ATTR_VERSION_SIZE, "%" PRIx64 "-%jx.%08lx-%" PRIx64,
		 attr->ino, (uintmax_t)attr->ctime.tv_sec,
		 (unsigned long)attr->ctime.tv_nsec, attr->size_bytes);
	return dst;
}

int attr_append_lines(struct buf *buf, struct slice key,
		      const struct fs_attr *attr)
{
	char version[ATTR_VERSION_SIZE];
	int r = append_key_line(buf, key);

	if (r == 0)
		r = append_format(buf,
				  "type %s\nsize_bytes %" PRIu64
				  "\nstored_bytes %" PRIu64 "\n",
				  attr_type(attr->mode), attr->size_bytes,
				  attr->blocks * 512);
	if (r == 0)
		r = append_format(buf,
				  "ino %" PRIu64 "\nmode %04" PRIo32
				  "\nnlink %" PRIu32 "\nuid %" PRIu32
				  "\ngid %" PRIu32 "\n",
				  attr->ino, attr->mode & 07777, attr->nlink,
				  attr->uid, attr->gid);
	if (r == 0)
		r = append_format(buf, "version %s\n",
				  attr_version(version, attr));
	return r ? r : append_times(buf, attr);
}

static int json_append_time(struct buf *buf, const char *name,
			    const struct timespec *time)
{
	char text[TIME_SIZE];

	time_format(text, time);
	return json_append_text(buf, name, slice_of(text, strlen(text)));
}

int attr_append_json(struct buf *buf, struct slice key,
		     const struct fs_attr *attr)
{
	const char *type = attr_type(attr->mode);
	char mode[8], version[ATTR_VERSION_SIZE];
	int r;

	attr_version(version, attr);

	snprintf(mode, sizeof(mode), "%04o", attr->mode & 07777u);
	r = buf_append(buf, "{", 1);
	if (r == 0)
		r = json_append_text(buf, "key", key);
	if (r == 0)
		r = json_append_text(buf, "type", slice_of(type, strlen(type)));
	if (r == 0)
		r = json_append_number(buf, "size_bytes", attr->size_bytes);
	if (r == 0)
		r = json_append_number(buf, "stored_bytes", attr->blocks * 512);
	if (r == 0)
		r = json_append_number(buf, "ino", attr->ino);
	if (r == 0)
		r = json_append_text(buf, "mode", slice_of(mode, strlen(mode)));
	if (r == 0)
		r = json_append_number(buf, "nlink", attr->nlink);
	if (r == 0)
		r = json_append_number(buf, "uid", attr->uid);
	if (r == 0)
		r = json_append_number(buf, "gid", attr->gid);
	if (r == 0)
		r = json_append_text(buf, "version",
				     slice_of(version, strlen(version)));
	if (r == 0)
		r = json_append_time(buf, "atime", &attr->atime);
	if (r == 0)
		r = json_append_time(buf, "mtime", &attr->mtime);
	if (r == 0)
		r = json_append_time(buf, "ctime", &attr->ctime);
	if (r == 0)
		r = json_append_time(buf, "btime", &attr->btime);
	return r ? r : buf_append(buf, "}\n", 2);
}

static void mode_format(char *dst, uint32_t mode)
{
	static const char types[] = "?pc?d?b?-?l?s???";
	static const char letters[] = "rwxrwxrwx";
	int i;

	dst[0] = types[(mode & S_IFMT) >> 12];
	for (i = 0; i < 9; i++)
		dst[i + 1] = mode & (0400u >> i) ? letters[i] : '-';
	if (mode & S_ISUID)
		dst[3] = mode & S_IXUSR ? 's' : 'S';
	if (mode & S_ISGID)
		dst[6] = mode & S_IXGRP ? 's' : 'S';
	if (mode & S_ISVTX)
		dst[9] = mode & S_IXOTH ? 't' : 'T';
	dst[10] = '\0';
}

int attr_append_columns(struct buf *buf, const struct fs_attr *attr)
{
	char mode[11], time[TIME_SIZE];
	uint64_t size = attr->size_bytes;

	mode_format(mode, attr->mode);
	if (S_ISBLK(attr->mode) || S_ISCHR(attr->mode))
		size = 0;
	return append_format(buf,
			     "%s %" PRIu32 " %" PRIu32 " %" PRIu32 " %" PRIu64
			     " %s ",
			     mode, attr->nlink, attr->uid, attr->gid, size,
			     time_format(time, &attr->mtime));
}
