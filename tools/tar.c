/* SPDX-License-Identifier: MIT */

/*
 * Headers of tar archives. What does not fit ustar's fields (a name that is
 * long or not ASCII, a large size, a time with a fraction) is said by a pax
 * header before it; the ustar field then has what fits. No state.
 */

#include "tools/tar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Offsets and sizes of ustar's fields. */
enum {
	NAME = 0,
	NAME_SIZE = 100,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	CHECKSUM = 148,
	TYPE = 156,
	LINK = 157,
	MAGIC = 257,
	PREFIX = 345,
	PREFIX_SIZE = 155,
	ID_SIZE = 8,
	NUMBER_SIZE = 12,
};

void tar_entry_clear(struct tar_entry *entry)
{
	struct buf name = entry->name, link = entry->link;

	buf_clear(&name);
	buf_clear(&link);
	*entry = (struct tar_entry){ .name = name, .link = link };
}

void tar_entry_release(struct tar_entry *entry)
{
	buf_release(&entry->name);
	buf_release(&entry->link);
	*entry = (struct tar_entry){ 0 };
}

size_t tar_padding(uint64_t size_bytes)
{
	return (size_t)(-size_bytes & (TAR_BLOCK - 1));
}

static unsigned int checksum(const uint8_t *block)
{
	unsigned int sum = 0;
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++)
		sum += i >= CHECKSUM && i < CHECKSUM + ID_SIZE ? ' ' : block[i];
	return sum;
}

/* --- writing --- */

static void put_octal(uint8_t *block, size_t offset, size_t size,
		      uint64_t value)
{
	char text[32];

	/* What does not fit is said by the pax header. */
	if (size < 22)
		value &= ((uint64_t)1 << 3 * (size - 1)) - 1;
	snprintf(text, sizeof(text), "%0*" PRIo64, (int)size - 1, value);
	memcpy(block + offset, text, size);
}

static void put_text(uint8_t *block, size_t offset, size_t size,
		     struct slice text)
{
	memcpy(block + offset, text.data, text.size < size ? text.size : size);
}

static int append_block(struct buf *buf, const struct tar_entry *entry,
			struct slice name, char type, uint64_t size)
{
	uint8_t block[TAR_BLOCK] = { 0 };
	int64_t seconds = entry->mtime.tv_sec;

	put_text(block, NAME, NAME_SIZE, name);
	put_octal(block, MODE, ID_SIZE, entry->mode & 07777);
	put_octal(block, UID, ID_SIZE, entry->uid);
	put_octal(block, GID, ID_SIZE, entry->gid);
	put_octal(block, SIZE, NUMBER_SIZE, size);
	put_octal(block, MTIME, NUMBER_SIZE,
		  seconds > 0 ? (uint64_t)seconds : 0);
	block[TYPE] = (uint8_t)type;
	if (entry->link.size)
		put_text(block, LINK, NAME_SIZE, buf_slice(&entry->link));
	memcpy(block + MAGIC, "ustar\00000", 8);
	put_octal(block, CHECKSUM, 7, checksum(block));
	block[CHECKSUM + 7] = ' ';
	return buf_append(buf, block, sizeof(block));
}

/* "SIZE NAME=VALUE\n", where SIZE counts itself. */
static int append_record(struct buf *buf, const char *name, struct slice value)
{
	size_t rest = strlen(name) + value.size + 3, size = rest;
	char digits[24];
	int r;

	while (size !=
	       rest + (size_t)snprintf(digits, sizeof(digits), "%zu", size))
		size = rest + strlen(digits);
	r = buf_append(buf, digits, strlen(digits));
	if (r == 0)
		r = buf_append(buf, " ", 1);
	if (r == 0)
		r = buf_append(buf, name, strlen(name));
	if (r == 0)
		r = buf_append(buf, "=", 1);
	if (r == 0)
		r = buf_append(buf, value.data, value.size);
	return r ? r : buf_append(buf, "\n", 1);
}

static bool is_ustar_text(struct slice text)
{
	const uint8_t *at = text.data;
	size_t i;

	for (i = 0; i < text.size; i++) {
		if (at[i] >= 0x80)
			return false;
	}
	return text.size < NAME_SIZE;
}

static int append_records(struct buf *buf, const struct tar_entry *entry)
{
	char text[48];
	int r = 0;

	if (!is_ustar_text(buf_slice(&entry->name)))
		r = append_record(buf, "path", buf_slice(&entry->name));
	if (r == 0 && !is_ustar_text(buf_slice(&entry->link)))
		r = append_record(buf, "linkpath", buf_slice(&entry->link));
	if (r == 0 && entry->size_bytes >> 33) {
		snprintf(text, sizeof(text), "%" PRIu64, entry->size_bytes);
		r = append_record(buf, "size", slice_of(text, strlen(text)));
	}
	if (r == 0 && (entry->mtime.tv_nsec || entry->mtime.tv_sec < 0 ||
		       entry->mtime.tv_sec >> 33)) {
		/* Before 1970 a fraction counts down in text: cut it off. */
		if (entry->mtime.tv_sec < 0)
			snprintf(text, sizeof(text), "%jd",
				 (intmax_t)entry->mtime.tv_sec);
		else
			snprintf(text, sizeof(text), "%jd.%09ld",
				 (intmax_t)entry->mtime.tv_sec,
				 entry->mtime.tv_nsec);
		r = append_record(buf, "mtime", slice_of(text, strlen(text)));
	}
	return r;
}

static int append_zeros(struct buf *buf, size_t size)
{
	static const uint8_t zeros[TAR_BLOCK];

	return buf_append(buf, zeros, size);
}

int tar_append_header(struct buf *buf, const struct tar_entry *entry)
{
	static const struct tar_entry plain = { .mode = 0644 };
	struct buf records = { 0 };
	int r;

	r = append_records(&records, entry);
	if (r == 0 && records.size) {
		r = append_block(buf, &plain, SLICE_LITERAL("pax_header"), 'x',
				 records.size);
		if (r == 0)
			r = buf_append(buf, records.data, records.size);
		if (r == 0)
			r = append_zeros(buf, tar_padding(records.size));
	}
	buf_release(&records);
	return r ? r :
		   append_block(buf, entry, buf_slice(&entry->name),
				entry->type, entry->size_bytes);
}

/* --- reading --- */

/* An octal field, or GNU's base-256 when the top bit is set. */
static int get_number(const uint8_t *block, size_t offset, size_t size,
		      uint64_t *ret_value)
{
	const uint8_t *at = block + offset;
	uint64_t value = 0;
	size_t i = 0;

	if (at[0] & 0x80) {
		if ((at[0] & 0x7f) || size < 9)
			return -EINVAL;
		for (i = 1; i < size; i++) {
			if (value >> 56)
				return -EINVAL;
			value = value << 8 | at[i];
		}
		*ret_value = value;
		return 0;
	}
	while (i < size && at[i] == ' ')
		i++;
	for (; i < size && at[i] >= '0' && at[i] <= '7'; i++)
		value = value << 3 | (uint64_t)(at[i] - '0');
	if (i < size && at[i] && at[i] != ' ')
		return -EINVAL;
	*ret_value = value;
	return 0;
}

static int get_name(const uint8_t *block, struct buf *name)
{
	const char *prefix = (const char *)block + PREFIX;
	const char *text = (const char *)block + NAME;
	size_t prefix_size = strnlen(prefix, PREFIX_SIZE);
	bool ustar = memcmp(block + MAGIC, "ustar", 6) == 0;
	int r = 0;

	if (ustar && prefix_size) {
		r = buf_append(name, prefix, prefix_size);
		if (r == 0)
			r = buf_append(name, "/", 1);
	}
	return r ? r : buf_append(name, text, strnlen(text, NAME_SIZE));
}

static bool is_zero(const uint8_t *block)
{
	size_t i;

	for (i = 0; i < TAR_BLOCK; i++) {
		if (block[i])
			return false;
	}
	return true;
}

int tar_decode_header(const uint8_t *block, struct tar_entry *entry)
{
	uint64_t sum, mode, uid, gid, size, mtime;
	const char *link = (const char *)block + LINK;
	bool extended;
	int r = 0;

	if (is_zero(block))
		return 1;
	if (get_number(block, CHECKSUM, ID_SIZE, &sum) ||
	    sum != checksum(block) || get_number(block, MODE, ID_SIZE, &mode) ||
	    get_number(block, UID, ID_SIZE, &uid) ||
	    get_number(block, GID, ID_SIZE, &gid) ||
	    get_number(block, SIZE, NUMBER_SIZE, &size) ||
	    get_number(block, MTIME, NUMBER_SIZE, &mtime))
		return -EINVAL;
	entry->type = block[TYPE] ? (char)block[TYPE] : '0';
	extended = strchr("xgLK", entry->type);
	entry->mode = (uint32_t)mode & 07777;
	entry->uid = (uint32_t)uid;
	entry->gid = (uint32_t)gid;
	if (!entry->has_size || extended)
		entry->size_bytes = size;
	if (!entry->has_mtime)
		entry->mtime = (struct timespec){ .tv_sec = (time_t)mtime };
	if (!extended && !entry->has_name)
		r = get_name(block, &entry->name);
	if (r == 0 && !extended && !entry->has_link)
		r = buf_append(&entry->link, link, strnlen(link, NAME_SIZE));
	return r;
}

static int record_mtime(struct tar_entry *entry, const char *text)
{
	char *end;
	long long seconds;
	long nanoseconds = 0, unit = 100000000;

	errno = 0;
	seconds = strtoll(text, &end, 10);
	if (errno || end == text || (*end != '.' && *end != '\n'))
		return -EINVAL;
	if (*end == '.') {
		for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
			nanoseconds += (*end - '0') * unit;
	}
	if (*text == '-' && nanoseconds) {
		seconds--;
		nanoseconds = 1000000000 - nanoseconds;
	}
	entry->mtime = (struct timespec){ .tv_sec = (time_t)seconds,
					  .tv_nsec = nanoseconds };
	entry->has_mtime = true;
	return 0;
}

static bool is_named(struct slice record, const char *name, struct slice *ret)
{
	size_t size = strlen(name);

	if (record.size < size || memcmp(record.data, name, size) != 0)
		return false;
	*ret = slice_from(record, size);
	return true;
}

/* `record` is "NAME=VALUE"; a line feed follows it. */
static int record_apply(struct tar_entry *entry, struct slice record)
{
	struct slice value;
	char *end;

	if (is_named(record, "path=", &value)) {
		entry->has_name = true;
		return buf_assign(&entry->name, value);
	}
	if (is_named(record, "linkpath=", &value)) {
		entry->has_link = true;
		return buf_assign(&entry->link, value);
	}
	if (is_named(record, "mtime=", &value))
		return record_mtime(entry, value.data);
	if (!is_named(record, "size=", &value))
		return 0;
	errno = 0;
	entry->size_bytes = strtoull(value.data, &end, 10);
	entry->has_size = true;
	return errno || *end != '\n' ? -EINVAL : 0;
}

static int records_apply(struct tar_entry *entry, struct slice contents)
{
	const char *at = contents.data, *text;
	size_t left = contents.size, size, head;
	char *end;
	int r;

	while (left) {
		if (!memchr(at, ' ', left < 12 ? left : 12))
			return -EINVAL;
		errno = 0;
		size = strtoul(at, &end, 10);
		head = (size_t)(end - at) + 1;
		if (errno || *end != ' ' || size > left || size < head + 1 ||
		    at[size - 1] != '\n')
			return -EINVAL;
		text = end + 1;
		r = record_apply(entry, slice_of(text, size - head - 1));
		if (r)
			return r;
		at += size;
		left -= size;
	}
	return 0;
}

int tar_extend(struct tar_entry *entry, char type, struct slice contents)
{
	size_t size = contents.size ? strnlen(contents.data, contents.size) : 0;

	switch (type) {
	case 'x':
		return records_apply(entry, contents);
	case 'L':
		entry->has_name = true;
		return buf_assign(&entry->name, slice_of(contents.data, size));
	case 'K':
		entry->has_link = true;
		return buf_assign(&entry->link, slice_of(contents.data, size));
	default:
		return 0; /* 'g': of the whole archive; nothing we need */
	}
}
