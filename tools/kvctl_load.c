/* SPDX-License-Identifier: MIT */

/*
 * load: what dump wrote, or a tar archive. A stream that ends early, or has a
 * line that means nothing, is an error; what came whole before it is kept.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/input.h"
#include "tools/kvctl.h"
#include "tools/loader.h"
#include "tools/number.h"
#include "tools/report.h"
#include "tools/stream.h"
#include "tools/tar.h"

/* Where the stream comes from. */
struct source {
	FILE *file;
	const char *name;
	struct loader loader;
	uint64_t line; /* of text, from 1 */
	uint64_t key_count;
	bool in_key;
};

/* What is wrong with the stream itself ends it. */
static int stream_error(const struct source *source, const char *what)
{
	if (source->line)
		report_error("%s: line %" PRIu64 ": %s", source->name,
			     source->line, what);
	else
		report_error("%s: %s", source->name, what);
	return -EINVAL;
}

/* --- text --- */

static int key_begin(struct source *source, struct slice field,
		     struct buf *bytes)
{
	int r;

	if (source->in_key)
		loader_end(&source->loader);
	r = stream_decode_text(field, bytes);
	if (r)
		return r;
	loader_begin(&source->loader, buf_slice(bytes));
	source->in_key = true;
	source->key_count++;
	return 0;
}

/* "MODE SECONDS.NANOSECONDS" */
static int attributes_decode(struct source *source, struct slice field)
{
	struct target_attributes *attributes = &source->loader.attributes;
	unsigned long mode;
	long long seconds;
	long nanoseconds;
	char text[64], *end;

	if (field.size >= sizeof(text))
		return -EINVAL;
	memcpy(text, field.data, field.size);
	text[field.size] = '\0';
	errno = 0;
	mode = strtoul(text, &end, 8);
	if (*end != ' ')
		return -EINVAL;
	seconds = strtoll(end + 1, &end, 10);
	if (*end != '.' || strlen(end + 1) != 9)
		return -EINVAL;
	nanoseconds = strtol(end + 1, &end, 10);
	if (errno || *end || mode > 07777 || nanoseconds < 0)
		return -EINVAL;
	attributes->has_mode = true;
	attributes->has_mtime = true;
	attributes->mode = (uint32_t)mode;
	attributes->mtime = (struct timespec){ .tv_sec = (time_t)seconds,
					       .tv_nsec = nanoseconds };
	return 0;
}

/* "COUNT": 0, 1 when it is the right end. */
static int end_check(struct source *source, struct slice field)
{
	char text[24];
	uint64_t count;

	if (field.size >= sizeof(text))
		return -EINVAL;
	memcpy(text, field.data, field.size);
	text[field.size] = '\0';
	if (number_parse(text, UINT64_MAX, &count))
		return -EINVAL;
	if (count != source->key_count)
		return stream_error(source, "keys are missing before the end");
	if (source->in_key)
		loader_end(&source->loader);
	source->in_key = false;
	return 1;
}

/* One line. 0, 1 at the end of the stream, -EINVAL, -ENOMEM. */
static int line_load(struct source *source, struct slice line,
		     struct buf *bytes)
{
	const char *at = line.data;
	struct slice field;
	int r;

	if (line.size == 0 || at[0] == '#')
		return 0;
	if (line.size < 2 || at[1] != ' ')
		return -EINVAL;
	field = slice_of(at + 2, line.size - 2);
	buf_clear(bytes);
	switch (at[0]) {
	case 'k':
		return key_begin(source, field, bytes);
	case 'e':
		return end_check(source, field);
	case 'a':
		return source->in_key ? attributes_decode(source, field) :
					-EINVAL;
	case 'v':
		r = stream_decode_text(field, bytes);
		break;
	case 'b':
		r = stream_decode_base64(field, bytes);
		break;
	default:
		return -EINVAL;
	}
	if (r == 0 && !source->in_key)
		r = -EINVAL;
	if (r == 0)
		loader_data(&source->loader, buf_slice(bytes));
	return r;
}

/* 0, or -errno with what is wrong told. */
static int line_read(struct source *source, char **line, size_t *capacity,
		     struct slice *ret_line)
{
	ssize_t size;

	errno = 0;
	size = getline(line, capacity, source->file);
	if (interrupt_seen())
		return -ECANCELED;
	if (size < 0 && ferror(source->file)) {
		report_errno(errno, "%s", source->name);
		return -EIO;
	}
	if (size < 0)
		return stream_error(source, "the end is missing");
	source->line++;
	if ((size_t)size > STREAM_LINE_MAX)
		return stream_error(source, "too long");
	loader_progress(&source->loader, (uint64_t)size);
	if (size && (*line)[size - 1] == '\n')
		size--;
	*ret_line = slice_of(*line, (size_t)size);
	return 0;
}

static int text_load(struct source *source)
{
	struct buf bytes = { 0 };
	size_t capacity = 0;
	struct slice line;
	char *text = NULL;
	int r;

	do {
		r = line_read(source, &text, &capacity, &line);
		if (r)
			break;
		if (source->line == 1 &&
		    !slice_equal(line, slice_of(STREAM_HEADER,
						sizeof(STREAM_HEADER) - 2))) {
			r = stream_error(source, "not a dump of kvctl");
			break;
		}
		r = line_load(source, line, &bytes);
		if (r == -EINVAL && source->in_key | (line.size > 0))
			(void)stream_error(source, "makes no sense");
	} while (r == 0);
	free(text);
	buf_release(&bytes);
	return r == 1 ? 0 : r;
}

/* --- tar --- */

/* Exactly `size` bytes. 0, 1 at the end of the file, -errno. */
static int bytes_read(struct source *source, void *dst, size_t size)
{
	size_t got = fread(dst, 1, size, source->file);

	if (interrupt_seen())
		return -ECANCELED;
	if (got < size && ferror(source->file)) {
		report_errno(errno ? errno : EIO, "%s", source->name);
		return -EIO;
	}
	loader_progress(&source->loader, got);
	if (got == 0 && size)
		return 1;
	return got < size ? stream_error(source, "is cut off") : 0;
}

static int padding_skip(struct source *source, uint64_t size)
{
	uint8_t bytes[TAR_BLOCK];
	size_t padding = tar_padding(size);
	int r = padding ? bytes_read(source, bytes, padding) : 0;

	return r == 1 ? stream_error(source, "is cut off") : r;
}

/* The contents of a member, to the loader or nowhere. */
static int contents_read(struct source *source, uint64_t size, bool load)
{
	uint64_t left = size;
	uint8_t *chunk = malloc(TARGET_CHUNK_BYTES);
	size_t part;
	int r = chunk ? 0 : -ENOMEM;

	while (r == 0 && left) {
		part = left < TARGET_CHUNK_BYTES ? (size_t)left :
						   TARGET_CHUNK_BYTES;
		r = bytes_read(source, chunk, part);
		if (r == 1)
			r = stream_error(source, "is cut off");
		if (r == 0 && load)
			loader_data(&source->loader, slice_of(chunk, part));
		left -= part;
	}
	free(chunk);
	return r ? r : padding_skip(source, size);
}

static int extended_read(struct source *source, struct tar_entry *entry)
{
	struct buf contents = { 0 };
	int r;

	if (entry->size_bytes > TAR_EXTENDED_MAX)
		return stream_error(source, "a header is too large");
	r = buf_resize(&contents, (size_t)entry->size_bytes);
	if (r == 0 && contents.size)
		r = bytes_read(source, contents.data, contents.size);
	if (r == 1)
		r = stream_error(source, "is cut off");
	if (r == 0)
		r = padding_skip(source, entry->size_bytes);
	if (r == 0 && tar_extend(entry, entry->type, buf_slice(&contents)))
		r = stream_error(source, "a header makes no sense");
	buf_release(&contents);
	return r;
}

/* A name in an archive as a key: without "./" before and slashes behind. */
static struct slice name_of_member(const struct buf *name)
{
	const char *at = (const char *)name->data;
	size_t size = name->size;

	while (size >= 2 && at[0] == '.' && at[1] == '/') {
		at += 2;
		size -= 2;
		while (size && *at == '/') {
			at++;
			size--;
		}
	}
	while (size && *at == '/') {
		at++;
		size--;
	}
	while (size && at[size - 1] == '/')
		size--;
	return slice_of(at, size == 1 && *at == '.' ? 0 : size);
}

static void member_error(struct source *source, struct slice name, int error)
{
	report_errno(error, "%.*s", (int)name.size, (const char *)name.data);
	source->loader.failed = true;
}

/* Finds the place of what is no file, after all before it was done. 0 with the
 * place to be released, 1 when it does not exist. */
static int member_find(struct source *source, const struct buf *text,
		       struct key *key, struct target_place *place)
{
	int r;

	batch_flush(&source->loader.batch);
	r = key_parse(key, buf_slice(text));
	return r ? r :
		   target_find(source->loader.target, key, TARGET_MAKE_PARENTS,
			       place);
}

static int member_make(struct source *source, const struct tar_entry *entry,
		       const struct target_place *place, bool exists)
{
	struct target *target = source->loader.target;
	struct buf text = { 0 };
	int r;

	if (entry->type == '5' && exists)
		return S_ISDIR(place->attr.mode) ? 0 : -ENOTDIR;
	if (entry->type == '5')
		return target_make_dir(target, &place->dir, place->name,
				       entry->mode & 0777);
	if (exists) {
		r = target_remove(target, &place->dir, place->name);
		if (r)
			return r;
	}
	r = buf_assign(&text, buf_slice(&entry->link));
	if (r == 0)
		r = buf_append(&text, "", 1);
	if (r == 0)
		r = target_make_link(target, &place->dir, place->name,
				     (const char *)text.data);
	buf_release(&text);
	return r;
}

/* A directory or a symbolic link. */
static void member_special(struct source *source, const struct tar_entry *entry,
			   const struct buf *key_text)
{
	struct key key = { 0 };
	struct target_place place = { .dir.fd = -1 };
	int r;

	r = member_find(source, key_text, &key, &place);
	if (r >= 0) {
		r = member_make(source, entry, &place, r == 0);
		target_place_release(source->loader.target, &place);
	}
	if (r)
		member_error(source, buf_slice(key_text), r);
	key_release(&key);
}

static int value_copy(struct loader *loader, const struct target_place *place)
{
	uint8_t *chunk = malloc(TARGET_CHUNK_BYTES);
	struct target_file file;
	uint64_t offset = 0;
	size_t got = 1;
	int r = chunk ? 0 : -ENOMEM;

	if (r == 0)
		r = target_file_open(loader->target, place, &file);
	if (r) {
		free(chunk);
		return r;
	}
	while (r == 0 && got) {
		r = target_file_read(loader->target, &file, offset, chunk,
				     TARGET_CHUNK_BYTES, &got);
		if (r == 0)
			loader_data(loader, slice_of(chunk, got));
		offset += got;
	}
	target_file_close(loader->target, &file);
	free(chunk);
	return r;
}

/* What another name in the archive has: its value is copied. */
static void member_linked(struct source *source, const struct tar_entry *entry,
			  const struct buf *key_text)
{
	struct slice other = name_of_member(&entry->link);
	struct loader *loader = &source->loader;
	struct buf other_text = { 0 };
	struct target_place place = { .dir.fd = -1 };
	struct key key = { 0 };
	int r;

	r = key_format(other, &other_text);
	if (r == 0)
		r = member_find(source, &other_text, &key, &place);
	if (r >= 0) {
		loader_begin(loader, buf_slice(key_text));
		r = r ? -ENOENT : value_copy(loader, &place);
		target_place_release(loader->target, &place);
		if (r)
			loader_cancel(loader);
		else
			loader_end(loader);
	}
	if (r)
		member_error(source, buf_slice(key_text), r);
	key_release(&key);
	buf_release(&other_text);
}

static int member_load(struct source *source, const struct tar_entry *entry)
{
	struct slice name = name_of_member(&entry->name);
	struct buf text = { 0 };
	int r;

	r = key_format(name, &text);
	if (r)
		return r;
	switch (entry->type) {
	case '0':
	case '7':
		loader_begin(&source->loader, buf_slice(&text));
		source->loader.attributes = (struct target_attributes){
			.has_mode = true,
			.has_mtime = true,
			.mode = entry->mode,
			.mtime = entry->mtime,
		};
		r = contents_read(source, entry->size_bytes, true);
		if (r)
			loader_cancel(&source->loader);
		else
			loader_end(&source->loader);
		break;
	case '1':
		member_linked(source, entry, &text);
		break;
	case '2':
	case '5':
		if (name.size) /* "./" is the root */
			member_special(source, entry, &text);
		break;
	default:
		report_error("%.*s: a special file: left out", (int)name.size,
			     (const char *)name.data);
		source->loader.failed = true;
		r = contents_read(source, entry->size_bytes, false);
	}
	buf_release(&text);
	return r;
}

static int tar_load(struct source *source)
{
	struct tar_entry entry = { 0 };
	uint8_t block[TAR_BLOCK];
	bool any = false;
	int r;

	while ((r = bytes_read(source, block, sizeof(block))) == 0) {
		r = tar_decode_header(block, &entry);
		if (r == 1)
			break;
		if (r == -EINVAL)
			r = stream_error(source, any ? "not a header" :
						       "not a tar archive");
		any = true;
		if (r == 0 && strchr("xgLK", entry.type)) {
			r = extended_read(source, &entry);
		} else if (r == 0) {
			r = member_load(source, &entry);
			tar_entry_clear(&entry);
		}
		if (r)
			break;
	}
	if (r == 1 && !any)
		r = 0;
	tar_entry_release(&entry);
	/* Without the block of zeros something may be missing. */
	if (r == 1 && feof(source->file))
		r = stream_error(source, "the end is missing");
	return r == 1 ? 0 : r;
}

/* --- the command --- */

static int run_load(struct invocation *inv)
{
	const char *path = invocation_option(inv, "file");
	bool is_stdin = !path || strcmp(path, "-") == 0;
	struct source source = {
		.file = stdin,
		.name = is_stdin ? "standard input" : path,
	};
	struct stat st;
	int r, status;

	if (!is_stdin)
		source.file = fopen(path, "re");
	if (!source.file) {
		report_errno(errno, "%s", path);
		return KVCTL_ERROR;
	}
	loader_init(&source.loader, inv->target, "load");
	if (fstat(fileno(source.file), &st) == 0 && S_ISREG(st.st_mode))
		source.loader.total_bytes = (uint64_t)st.st_size;
	r = invocation_option(inv, "tar") ? tar_load(&source) :
					    text_load(&source);
	if (r && source.in_key)
		loader_cancel(&source.loader);
	if (r == -ENOMEM)
		report_errno(r, "%s", source.name);
	status = loader_finish(&source.loader);
	if (!is_stdin)
		fclose(source.file);
	return r ? KVCTL_ERROR : status;
}

const struct command command_load = {
	.name = "load",
	.operands = "STORE",
	.summary = "Set keys from a dump, or from a tar archive",
	.details =
	"What kvctl dump wrote, from standard input. Keys that are not in it\n"
	"stay as they are. Keys are set together in steps of up to 4096 keys in\n"
	"256 directories and 8 MiB, a larger value by itself. A stream that is\n"
	"cut off is an error; what came before that is kept.\n",
	.options = {
		{ "file", 'f', "FILE", "read FILE, not standard input" },
		{ "tar", 't', NULL, "a tar archive" },
	},
	.target = COMMAND_WRITES,
	.run = run_load,
};
