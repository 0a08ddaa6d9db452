/* SPDX-License-Identifier: MIT */

/*
 * set and append: values from the command line, a file or standard input. What
 * is read is read in chunks of TARGET_CHUNK_BYTES, so that its size does not
 * matter. Several keys on one command line go in one batch, unless there is a
 * condition, which is of each key by itself.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/attr.h"
#include "tools/batch.h"
#include "tools/kvctl.h"
#include "tools/place.h"
#include "tools/report.h"

/* Where a value comes from: bytes at hand, or a descriptor. */
struct value_source {
	struct slice bytes;
	int fd;           /* -1: bytes */
	const char *name; /* of the descriptor's file */
	void *chunk;
};

/* What is done with one key; an enum kvctl_exit, with what went wrong told. */
typedef int value_fn(struct invocation *inv, struct target_place *place,
		     bool exists, const struct value_source *source,
		     struct slice text);

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

/* --- set --- */

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

/* Whether the key is as the options want it to be; the place is locked. 0, 1
 * when not, -errno. */
static int condition_check(struct invocation *inv,
			   const struct target_place *place)
{
	const char *wanted = invocation_option(inv, "if-version");
	bool absent = invocation_option(inv, "if-absent");
	char version[ATTR_VERSION_SIZE];
	struct fs_attr attr;
	int r;

	if (!wanted && !absent)
		return 0;
	r = target_lookup(inv->target, &place->dir, place->name, &attr);
	if (r < 0)
		return r;
	if (absent)
		return r == 0;
	return r || strcmp(attr_version(version, &attr), wanted) != 0;
}

/* The draft is given up or put in place. 0, 1 when a condition says no. */
static int draft_settle(struct invocation *inv, struct target_place *place,
			struct target_draft *draft)
{
	bool absent = invocation_option(inv, "if-absent");
	int r;

	r = target_lock(inv->target, &place->dir);
	/* In a directory that may be written but not read there is no lock;
	 * then no other kvctl can have it either. */
	if (r == 0 || r == -EACCES)
		r = condition_check(inv, place);
	if (r) {
		target_draft_cancel(inv->target, draft);
		return r;
	}
	r = target_draft_commit(inv->target, draft,
				absent ? TARGET_NO_REPLACE : 0);
	return absent && r == -EEXIST ? 1 : r;
}

static int set_place(struct invocation *inv, struct target_place *place,
		     bool exists, const struct value_source *source,
		     struct slice text)
{
	struct target_draft draft;
	int r;

	if (exists && invocation_option(inv, "if-absent"))
		return KVCTL_ABSENT;
	r = target_draft_begin(inv->target, place, exists, &draft);
	if (r) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	r = draft_fill(inv, &draft, source, text);
	if (r) {
		target_draft_cancel(inv->target, &draft);
		return KVCTL_ERROR;
	}
	r = draft_settle(inv, place, &draft);
	if (r < 0)
		report_errno(r, "%.*s", KEY_PRINTED(text));
	return r < 0 ? KVCTL_ERROR : r ? KVCTL_ABSENT : KVCTL_DONE;
}

/* --- append --- */

static int append_chunk(struct invocation *inv,
			const struct target_place *place, const char *src,
			size_t size)
{
	size_t chunk;
	int r = 0;

	for (; r == 0 && size; src += chunk, size -= chunk) {
		chunk = size < TARGET_CHUNK_BYTES ? size : TARGET_CHUNK_BYTES;
		r = target_append(inv->target, place, src, chunk);
	}
	return r;
}

/* To what exists; the place is locked. Has told what went wrong. */
static int append_existing(struct invocation *inv,
			   const struct target_place *place,
			   const struct value_source *source, struct slice text)
{
	ssize_t got = 0;
	int r = 0;

	if (source->fd < 0)
		r = append_chunk(inv, place, source->bytes.data,
				 source->bytes.size);
	while (r == 0 && source->fd >= 0 && (got = source_read(source)) > 0)
		r = append_chunk(inv, place, source->chunk, (size_t)got);
	if (got < 0)
		report_errno((int)got, "%s", source->name);
	else if (r == -EINVAL && !S_ISREG(place->attr.mode))
		report_error("%.*s: not a regular file", KEY_PRINTED(text));
	else if (r)
		report_errno(r, "%.*s", KEY_PRINTED(text));
	return got < 0 || r ? KVCTL_ERROR : KVCTL_DONE;
}

static int append_place(struct invocation *inv, struct target_place *place,
			bool exists, const struct value_source *source,
			struct slice text)
{
	int r;

	(void)exists;
	r = target_lock(inv->target, &place->dir);
	if (r == 0 || r == -EACCES)
		r = target_lookup(inv->target, &place->dir, place->name,
				  &place->attr);
	if (r < 0) {
		report_errno(r, "%.*s", KEY_PRINTED(text));
		return KVCTL_ERROR;
	}
	return r ? set_place(inv, place, false, source, text) :
		   append_existing(inv, place, source, text);
}

/* --- one key, several keys --- */

static int value_key(struct invocation *inv, const char *name, value_fn *fn,
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
		r = KVCTL_ERROR;
	} else {
		r = fn(inv, &place, r == 0, source, text);
		target_place_release(inv->target, &place);
	}
	key_release(&key);
	return r;
}

/* The value of one key from a file, "-" being stdin. */
static int value_from_file(struct invocation *inv, const char *path,
			   value_fn *fn)
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
		r = value_key(inv, inv->operands[0], fn, &source);
	else
		report_errno(-ENOMEM, "%s", inv->command->name);
	free(source.chunk);
	if (!is_stdin)
		close(source.fd);
	return r;
}

static struct value_source source_of(const char *value)
{
	return (struct value_source){
		.bytes = slice_of(value, strlen(value)),
		.fd = -1,
	};
}

/* Each pair by itself: one that fails does not keep the others from theirs. */
static int value_pairs(struct invocation *inv, value_fn *fn)
{
	int i, r, worst = KVCTL_DONE;

	for (i = 0; i < inv->operand_count && !interrupt_seen(); i += 2) {
		struct value_source source = source_of(inv->operands[i + 1]);

		r = value_key(inv, inv->operands[i], fn, &source);
		worst = r > worst ? r : worst;
	}
	return interrupt_seen() ? KVCTL_ERROR : worst;
}

static int batch_pair(struct batch *batch, const char *name, const char *value)
{
	struct slice text = slice_of(name, strlen(name));
	struct target_place place;
	struct key key = { 0 };
	int r;

	r = key_parse(&key, text);
	if (r == 0)
		r = target_find(batch->target, &key, TARGET_MAKE_PARENTS,
				&place);
	if (r >= 0) {
		r = batch_put(batch, &place, r == 0, text,
			      slice_of(value, strlen(value)), NULL);
		target_place_release(batch->target, &place);
	}
	key_release(&key);
	if (r < 0) {
		report_errno(r, "%s", name);
		batch->failed = true;
	}
	return r;
}

static int set_batch(struct invocation *inv)
{
	struct batch batch;
	int i;

	batch_init(&batch, inv->target);
	for (i = 0; i < inv->operand_count && !interrupt_seen(); i += 2)
		(void)batch_pair(&batch, inv->operands[i],
				 inv->operands[i + 1]);
	if (!interrupt_seen())
		batch_flush(&batch);
	i = batch.failed || interrupt_seen() ? KVCTL_ERROR : KVCTL_DONE;
	batch_release(&batch);
	return i;
}

/* The options and operands that set and append share. *ret_path is NULL when
 * the values are operands. */
static int values_parse(struct invocation *inv, const char **ret_path)
{
	const char *path = invocation_option(inv, "file");
	const char *command = inv->command->name;
	int count = inv->operand_count;

	if (path && count != 1) {
		report_error("%s: --file goes with one key and no value",
			     command);
		return -EINVAL;
	}
	if (!path && count % 2) {
		report_error("%s: %s: lacks a value", command,
			     inv->operands[count - 1]);
		return -EINVAL;
	}
	if (!path && count == 2 && strcmp(inv->operands[1], "-") == 0)
		path = "-";
	*ret_path = path;
	return 0;
}

static int run_set(struct invocation *inv)
{
	bool conditional = invocation_option(inv, "if-absent") ||
			   invocation_option(inv, "if-version");
	const char *path;

	if (values_parse(inv, &path))
		return KVCTL_ERROR;
	if (invocation_option(inv, "if-absent") &&
	    invocation_option(inv, "if-version")) {
		report_error("set: --if-absent and --if-version exclude each "
			     "other");
		return KVCTL_ERROR;
	}
	if (invocation_option(inv, "if-version") && inv->operand_count > 2) {
		report_error("set: --if-version goes with one key");
		return KVCTL_ERROR;
	}
	if (path)
		return value_from_file(inv, path, set_place);
	if (conditional || inv->operand_count == 2)
		return value_pairs(inv, set_place);
	return set_batch(inv);
}

const struct command command_set = {
	.name = "set",
	.operands = "STORE KEY VALUE [KEY VALUE]... | STORE KEY -",
	.summary = "Give keys their values",
	.details =
	"Each key's old value is replaced in one step: readers see the old or\n"
	"the new one, and so does who reads after a crash. Several keys are set\n"
	"together in one such step, up to 4096 keys in 256 directories and 8 MiB.\n"
	"Directories on the way to a key are made. With one key, VALUE - reads\n"
	"the value from standard input; one that begins with a hyphen comes\n"
	"after --. Exit status 1 when a condition kept a key from being set.\n",
	.options = {
		{ "file", 'f', "FILE", "the value is what is in FILE" },
		{ "if-absent", 0, NULL, "only keys that do not exist" },
		{ "if-version", 0, "VERSION", "only while stat shows this" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_set,
};

static int run_append(struct invocation *inv)
{
	const char *path;

	if (values_parse(inv, &path))
		return KVCTL_ERROR;
	return path ? value_from_file(inv, path, append_place) :
		      value_pairs(inv, append_place);
}

const struct command command_append = {
	.name = "append",
	.operands = "STORE KEY VALUE [KEY VALUE]... | STORE KEY -",
	.summary = "Add to the ends of values",
	.details =
	"A key that does not exist is made. With one key, VALUE - reads what is\n"
	"to be added from standard input. Up to 1 MiB is added in one step on a\n"
	"store that is not mounted; on a mount as write(2) does it.\n",
	.options = {
		{ "file", 'f', "FILE", "add what is in FILE" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_append,
};
