/* SPDX-License-Identifier: MIT */

/*
 * exists, stat and delete: single keys, without their values.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/attr.h"
#include "tools/batch.h"
#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/place.h"
#include "tools/report.h"
#include "tools/walk.h"

/* --- exists --- */

/* A directory is where keys are, not a key. */
static int exists_place(struct invocation *inv, struct target_place *place,
			const struct key *key, struct slice text, void *ctx)
{
	(void)inv;
	(void)key;
	(void)text;
	(void)ctx;
	return S_ISDIR(place->attr.mode) ? KVCTL_ABSENT : KVCTL_DONE;
}

static int run_exists(struct invocation *inv)
{
	return each_place(inv, exists_place, NULL, true);
}

const struct command command_exists = {
	.name = "exists",
	.operands = "STORE KEY...",
	.summary = "Tell by exit status whether keys exist",
	.details =
	"0 when all of them do, 1 when one does not. A directory is not a\n"
	"key. KEY - reads keys from standard input, one a line.\n",
	.options = {
		{ "null", '0', NULL, "keys on standard input end in NUL" },
	},
	.target = COMMAND_READS,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_exists,
};

/* --- stat --- */

static int stat_place(struct invocation *inv, struct target_place *place,
		      const struct key *key, struct slice text, void *ctx)
{
	struct buf line = { 0 };
	int r;

	(void)key;
	(void)ctx;
	if (invocation_option(inv, "json"))
		r = attr_append_json(&line, text, &place->attr);
	else
		r = attr_append_lines(&line, text, &place->attr);
	if (r)
		report_errno(r, "%.*s", KEY_PRINTED(text));
	else
		r = output_write(buf_slice(&line));
	buf_release(&line);
	return r;
}

static int run_stat(struct invocation *inv)
{
	return each_place(inv, stat_place, NULL, false);
}

const struct command command_stat = {
	.name = "stat",
	.operands = "STORE KEY...",
	.summary = "Show what is known of keys beside their values",
	.details =
	"Lines of name and value, or with --json one object a line. KEY -\n"
	"reads keys from standard input, one a line.\n",
	.options = {
		{ "json", 'j', NULL, "one JSON object for each key" },
		{ "null", '0', NULL, "keys on standard input end in NUL" },
	},
	.target = COMMAND_READS,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_stat,
};

/* --- delete --- */

static int delete_failed(int error, struct slice key)
{
	report_errno(error, "%.*s", KEY_PRINTED(key));
	return KVCTL_ERROR;
}

/* Removes what the walk met. What is gone already is gone. */
static int delete_met(struct invocation *inv, const struct walk *walk)
{
	const struct target_dir *dir = walk_dir(walk);
	int r;

	if (walk->event == WALK_ENTER || !dir)
		return 0;
	if (walk->event == WALK_FILE)
		r = target_remove(inv->target, dir, walk->name);
	else
		r = target_remove_dir(inv->target, dir, walk->name);
	return r == -ENOENT ? 0 : r;
}

static void delete_report(int error, struct walk *walk)
{
	struct slice key = buf_slice(&walk->path);

	(void)walk_key(walk, &key);
	report_errno(error, "%.*s", KEY_PRINTED(key));
}

/* Everything in a directory, then the directory. */
static int delete_tree(struct invocation *inv, struct target_place *place,
		       const struct key *key, struct slice text)
{
	struct buf path = { 0 };
	struct walk walk;
	bool failed = false;
	int r;

	r = key_path(key, &path);
	if (r == 0)
		r = walk_init_below(&walk, inv->target, &place->dir,
				    place->name, buf_slice(&path));
	buf_release(&path);
	if (r)
		return delete_failed(r, text);
	while ((r = walk_next(&walk)) != 1) {
		if (r == 0)
			r = interrupt_seen() ? -ECANCELED :
					       delete_met(inv, &walk);
		if (r)
			delete_report(r, &walk);
		failed = failed || r;
		if (r == -ECANCELED)
			break;
	}
	walk_release(&walk);
	if (failed)
		return KVCTL_ERROR;
	r = target_remove_dir(inv->target, &place->dir, place->name);
	return r ? delete_failed(r, text) : KVCTL_DONE;
}

static int delete_place(struct invocation *inv, struct target_place *place,
			const struct key *key, struct slice text, void *ctx)
{
	struct batch *batch = ctx;
	int r;

	if (S_ISDIR(place->attr.mode) && invocation_option(inv, "recursive"))
		return delete_tree(inv, place, key, text);
	if (S_ISDIR(place->attr.mode)) {
		/* It may be empty once the keys before it are gone. */
		batch_flush(batch);
		r = target_remove_dir(inv->target, &place->dir, place->name);
	} else {
		r = batch_delete(batch, place, text);
	}
	return r ? delete_failed(r, text) : KVCTL_DONE;
}

static int run_delete(struct invocation *inv)
{
	struct batch batch;
	int r;

	batch_init(&batch, inv->target);
	r = each_place(inv, delete_place, &batch, false);
	if (!interrupt_seen())
		batch_flush(&batch);
	if (batch.failed)
		r = KVCTL_ERROR;
	batch_release(&batch);
	return r;
}

const struct command command_delete = {
	.name = "delete",
	.operands = "STORE KEY...",
	.summary = "Delete keys",
	.details =
	"A directory is deleted when it is empty, or with -r. Directories\n"
	"that become empty stay. KEY - reads keys from standard input, one a\n"
	"line. Keys are deleted together in one step, up to 4096 in 256\n"
	"directories; more go in several.\n",
	.options = {
		{ "recursive", 'r', NULL, "directories with all keys in them" },
		{ "null", '0', NULL, "keys on standard input end in NUL" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = -1,
	.run = run_delete,
};
