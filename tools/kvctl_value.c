/* SPDX-License-Identifier: MIT */

/*
 * get and set: values, in chunks of TARGET_CHUNK_BYTES, so that their size does
 * not matter.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/input.h"
#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/report.h"

#define KEY_PRINTED(key) (int)(key).size, (const char *)(key).data

/* --- get --- */

/* A failure to write has been reported by output.c, one to read has not. */
static int value_copy_out(struct invocation *inv, struct target_file *file,
			  struct slice key, void *chunk)
{
	uint64_t offset = 0;
	size_t got;
	int r;

	for (;;) {
		r = interrupt_seen() ?
			    -ECANCELED :
			    target_file_read(inv->target, file, offset, chunk,
					     TARGET_CHUNK_BYTES, &got);
		if (r) {
			report_errno(r, "%.*s: at byte %" PRIu64,
				     KEY_PRINTED(key), offset);
			return r == -ECANCELED ? r : KVCTL_ERROR;
		}
		if (!got)
			return KVCTL_DONE;
		r = output_write(slice_of(chunk, got));
		if (r)
			return r;
		offset += got;
	}
}

static int get_place(struct invocation *inv, const struct target_place *place,
		     struct slice text, void *chunk)
{
	struct target_file file;
	int r;

	r = target_file_open(inv->target, place, &file);
	if (r == -EINVAL) {
		report_error("%.*s: not a regular file", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	if (r) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	r = value_copy_out(inv, &file, text, chunk);
	target_file_close(inv->target, &file);
	return r;
}

static int get_key(struct invocation *inv, struct slice text, void *chunk)
{
	struct target_place place;
	struct key key = { 0 };
	int r;

	r = key_parse(&key, text);
	if (r == 0)
		r = target_find(inv->target, &key, 0, &place);
	if (r < 0) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		r = KVCTL_ERROR;
		goto out;
	}
	if (r == 1) {
		report_error("%.*s: no such key", KEY_PRINTED(text));
		r = KVCTL_ABSENT;
	} else {
		r = get_place(inv, &place, text, chunk);
	}
	target_place_release(inv->target, &place);
out:
	key_release(&key);
	return r;
}

static int run_get(struct invocation *inv)
{
	void *chunk = malloc(TARGET_CHUNK_BYTES);
	int r;

	if (!chunk) {
		report_errno(-ENOMEM, "get");
		return KVCTL_ERROR;
	}
	r = input_each_key(inv, 0, get_key, chunk);
	free(chunk);
	return r;
}

const struct command command_get = {
	.name = "get",
	.operands = "STORE KEY...",
	.summary = "Write values to standard output",
	.details =
	"The exact bytes of each value, one after another. KEY - reads keys\n"
	"from standard input, one a line.\n",
	.options = {
		{ "null", '0', NULL, "keys on standard input end in NUL" },
	},
	.target = COMMAND_READS,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_get,
};

/* --- set --- */

/* Where a value comes from: bytes at hand, or a descriptor. */
struct value_source {
	struct slice bytes;
	int fd;           /* -1: bytes */
	const char *name; /* of the descriptor's file */
	void *chunk;
};

static ssize_t source_read(const struct value_source *source)
{
	ssize_t got;

	do {
		if (interrupt_seen())
			return -ECANCELED;
		got = read(source->fd, source->chunk, TARGET_CHUNK_BYTES);
	} while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Has reported what went wrong, as the rest of set has. */
static int draft_fill(struct invocation *inv, struct target_draft *draft,
		      const struct value_source *source, struct slice key)
{
	ssize_t got = 1;
	int r = 0;

	if (source->fd < 0)
		r = target_draft_append(inv->target, draft, source->bytes.data,
					source->bytes.size);
	while (r == 0 && source->fd >= 0) {
		got = source_read(source);
		if (got <= 0)
			break;
		r = target_draft_append(inv->target, draft, source->chunk,
					(size_t)got);
	}
	if (got < 0)
		report_errno((int)got, "%s", source->name);
	else if (r)
		report_errno(r, "%.*s", KEY_PRINTED(key));
	return got < 0 ? (int)got : r;
}

static int set_place(struct invocation *inv, struct target_place *place,
		     bool exists, const struct value_source *source,
		     struct slice text)
{
	struct target_draft draft;
	int r;

	r = target_draft_begin(inv->target, place, exists, &draft);
	if (r) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		return r;
	}
	r = draft_fill(inv, &draft, source, text);
	if (r) {
		target_draft_cancel(inv->target, &draft);
		return r;
	}
	/* In a directory that may be written but not read there is no lock;
	 * then no other kvctl can have it either. */
	r = target_lock(inv->target, &place->dir);
	if (r && r != -EACCES) {
		target_draft_cancel(inv->target, &draft);
	} else {
		r = target_draft_commit(inv->target, &draft);
	}
	if (r)
		report_errno(r, "%.*s", KEY_PRINTED(text));
	return r;
}

static int set_key(struct invocation *inv, const char *name,
		   const struct value_source *source)
{
	struct slice text = slice_of(name, strlen(name));
	struct target_place place;
	struct key key = { 0 };
	int r;

	r = key_parse(&key, text);
	if (r == 0)
		r = target_find(inv->target, &key, TARGET_MAKE_PARENTS, &place);
	if (r < 0) {
		report_errno(r, "%s", name);
	} else {
		r = set_place(inv, &place, r == 0, source, text);
		target_place_release(inv->target, &place);
	}
	key_release(&key);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

/* The value of one key from a file, "-" being stdin. */
static int set_from_file(struct invocation *inv, const char *path)
{
	bool is_stdin = strcmp(path, "-") == 0;
	struct value_source source = {
		.fd = STDIN_FILENO,
		.name = is_stdin ? "standard input" : path,
	};
	int r = KVCTL_ERROR;

	if (!is_stdin)
		source.fd = open(path, O_RDONLY | O_CLOEXEC);
	if (source.fd < 0) {
		report_errno(errno, "%s", path);
		return KVCTL_ERROR;
	}
	source.chunk = malloc(TARGET_CHUNK_BYTES);
	if (source.chunk)
		r = set_key(inv, inv->operands[0], &source);
	else
		report_errno(-ENOMEM, "set");
	free(source.chunk);
	if (!is_stdin)
		close(source.fd);
	return r;
}

/* Each pair by itself: one that fails does not keep the others from theirs. */
static int set_pairs(struct invocation *inv)
{
	int i, worst = KVCTL_DONE;

	for (i = 0; i < inv->operand_count && !interrupt_seen(); i += 2) {
		const char *value = inv->operands[i + 1];
		struct value_source source = {
			.bytes = slice_of(value, strlen(value)),
			.fd = -1,
		};

		if (set_key(inv, inv->operands[i], &source) != KVCTL_DONE)
			worst = KVCTL_ERROR;
	}
	return interrupt_seen() ? KVCTL_ERROR : worst;
}

static int run_set(struct invocation *inv)
{
	const char *path = invocation_option(inv, "file");
	int count = inv->operand_count;

	if (path && count != 1) {
		report_error("set: --file goes with one key and no value");
		return KVCTL_ERROR;
	}
	if (!path && count % 2) {
		report_error("set: %s: lacks a value",
			     inv->operands[count - 1]);
		return KVCTL_ERROR;
	}
	if (!path && count == 2 && strcmp(inv->operands[1], "-") == 0)
		path = "-";
	return path ? set_from_file(inv, path) : set_pairs(inv);
}

const struct command command_set = {
	.name = "set",
	.operands = "STORE KEY VALUE [KEY VALUE]... | STORE KEY -",
	.summary = "Give keys their values",
	.details =
	"Each key's old value is replaced in one step: readers see the old or\n"
	"the new one, and so does who reads after a crash. Directories on the\n"
	"way to a key are made. With one key, VALUE - reads the value from\n"
	"standard input; one that begins with a hyphen comes after --.\n",
	.options = {
		{ "file", 'f', "FILE", "the value is what is in FILE" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_set,
};
