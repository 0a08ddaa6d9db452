/* SPDX-License-Identifier: MIT */

/*
 * Reading /proc/self/mountinfo. A line is
 *	36 35 98:0 /root /point rw,noatime shared:1 - type source rw,errors
 * with any number of tagged fields before the lone hyphen, and with space,
 * tab, line feed and backslash in names written as \040 and the like. Holds
 * no state.
 */

#include "fs/mountinfo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

/* Undoes \ooo in place. */
static void field_decode(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) &&
		    is_octal(text[3])) {
			*to++ = (char)((text[1] - '0') * 64 +
				       (text[2] - '0') * 8 + text[3] - '0');
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/* The next field, cut off in place; NULL at the end. An empty one (a source
 * may be) shows as two spaces. */
static char *field_next(char **at)
{
	char *field = *at, *end;

	if (!field)
		return NULL;
	end = strchr(field, ' ');
	if (end)
		*end = '\0';
	*at = end ? end + 1 : NULL;
	return field;
}

static int device_parse(const char *text, struct mount_entry *entry)
{
	char *end;

	entry->major = (unsigned int)strtoul(text, &end, 10);
	if (end == text || *end != ':')
		return -EINVAL;
	text = end + 1;
	entry->minor = (unsigned int)strtoul(text, &end, 10);
	return end == text || *end ? -EINVAL : 0;
}

int mount_entry_parse(char *line, struct mount_entry *ret_entry)
{
	struct mount_entry entry;
	char *at = line, *id, *parent, *device, *root, *point, *flags, *tag;
	char *type, *source;

	at[strcspn(at, "\n")] = '\0';
	id = field_next(&at);
	parent = field_next(&at);
	device = field_next(&at);
	root = field_next(&at);
	point = field_next(&at);
	flags = field_next(&at);
	if (!id || !parent || !device || !root || !point || !flags)
		return -EINVAL;
	do {
		tag = field_next(&at);
	} while (tag && strcmp(tag, "-") != 0);
	type = field_next(&at);
	source = field_next(&at);
	if (!type || !source || device_parse(device, &entry))
		return -EINVAL;
	field_decode(root);
	field_decode(point);
	field_decode(type);
	field_decode(source);
	entry.root = root;
	entry.point = point;
	entry.type = type;
	entry.source = source;
	*ret_entry = entry;
	return 0;
}

bool mount_entry_is_kvfs(const struct mount_entry *entry)
{
	return strcmp(entry->type, "fuse.kvfs") == 0;
}

bool mount_entry_is_fuse(const struct mount_entry *entry)
{
	return strcmp(entry->type, "fuse") == 0 ||
	       strncmp(entry->type, "fuse.", 5) == 0;
}

int mountinfo_walk(mountinfo_fn *fn, void *ctx)
{
	struct mount_entry entry;
	char *line = NULL;
	size_t capacity = 0;
	FILE *file;
	int r = 0;

	file = fopen("/proc/self/mountinfo", "re");
	if (!file)
		return -errno;
	while (r == 0 && getline(&line, &capacity, file) >= 0) {
		if (mount_entry_parse(line, &entry) == 0)
			r = fn(ctx, &entry);
	}
	if (r == 0 && ferror(file))
		r = -EIO;
	free(line);
	fclose(file);
	return r;
}

static bool entry_has_device(const struct mount_entry *entry, dev_t device)
{
	return entry->major == major(device) && entry->minor == minor(device);
}

static int string_append(struct buf *buf, const char *text)
{
	return buf_append(buf, text, strlen(text) + 1);
}

struct device_search {
	dev_t device;
	struct buf *point;
};

static int device_visit(void *ctx, const struct mount_entry *entry)
{
	struct device_search *search = ctx;
	int r;

	if (!mount_entry_is_fuse(entry) ||
	    !entry_has_device(entry, search->device) ||
	    strcmp(entry->root, "/") != 0)
		return 0;
	r = string_append(search->point, entry->point);
	return r ? r : 1;
}

int mountinfo_find_device(dev_t device, struct buf *ret_point)
{
	struct device_search search = { .device = device, .point = ret_point };
	int r = mountinfo_walk(device_visit, &search);

	return r < 0 ? r : !r;
}

struct store_search {
	struct stat store;
	struct buf *point;
};

/* A point that another mount covers shows another device: not that one. */
static bool point_is_seen(const struct mount_entry *entry)
{
	struct stat st;

	return stat(entry->point, &st) == 0 &&
	       entry_has_device(entry, st.st_dev);
}

static int store_visit(void *ctx, const struct mount_entry *entry)
{
	struct store_search *search = ctx;
	struct stat st;
	int r;

	if (!mount_entry_is_fuse(entry) || strcmp(entry->root, "/") != 0 ||
	    stat(entry->source, &st) || st.st_dev != search->store.st_dev ||
	    st.st_ino != search->store.st_ino || !point_is_seen(entry))
		return 0;
	r = string_append(search->point, entry->point);
	return r ? r : 1;
}

int mountinfo_find_store(const char *store_path, struct buf *ret_point)
{
	struct store_search search = { .point = ret_point };
	int r;

	if (stat(store_path, &search.store))
		return -errno;
	r = mountinfo_walk(store_visit, &search);
	return r < 0 ? r : !r;
}
