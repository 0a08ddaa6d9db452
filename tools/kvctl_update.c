/* SPDX-License-Identifier: MIT */

/*
 * incr and cas: new values that depend on the old ones. Between reading the one
 * and putting the other in its place the key's directory is locked, so that of
 * kvctls that run at the same time each sees what the one before it did.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/report.h"

/* A key in its directory, which is locked. */
struct update {
	struct key key;
	struct target_place place;
	bool exists;
};

/* Says what is wrong when it fails. */
static int update_begin(struct invocation *inv, unsigned int flags,
			struct update *update)
{
	const char *name = inv->operands[0];
	struct target_place *place = &update->place;
	int r;

	*update = (struct update){ .place.dir.fd = -1 };
	r = key_parse(&update->key, slice_of(name, strlen(name)));
	if (r == 0)
		r = target_find(inv->target, &update->key, flags, place);
	if (r >= 0 && place->dir.ino) {
		r = target_lock(inv->target, &place->dir);
		/* Only what is seen under the lock counts. */
		if (r == 0)
			r = target_lookup(inv->target, &place->dir, place->name,
					  &place->attr);
	}
	if (r < 0) {
		report_errno(r, "%s", name);
		target_place_release(inv->target, place);
		key_release(&update->key);
		return r;
	}
	update->exists = r == 0;
	return 0;
}

static void update_end(struct invocation *inv, struct update *update)
{
	target_place_release(inv->target, &update->place);
	key_release(&update->key);
}

/* Puts a small value in the key's place. */
static int update_write(struct invocation *inv, struct update *update,
			struct slice value)
{
	struct target_draft draft;
	int r;

	r = target_draft_begin(inv->target, &update->place, update->exists,
			       &draft);
	if (r)
		return r;
	r = target_draft_append(inv->target, &draft, value.data, value.size);
	if (r) {
		target_draft_cancel(inv->target, &draft);
		return r;
	}
	return target_draft_commit(inv->target, &draft, 0);
}

/* Appends the value up to `max` bytes. -EFBIG: there are more. */
static int update_read(struct invocation *inv, const struct update *update,
		       size_t max, struct buf *ret_value)
{
	struct target_file file;
	size_t got = 1;
	int r;

	r = target_file_open(inv->target, &update->place, &file);
	if (r)
		return r;
	if (update->place.attr.size_bytes > max)
		r = -EFBIG;
	while (r == 0 && got && ret_value->size <= max) {
		size_t used = ret_value->size;

		r = buf_resize(ret_value, max + 1);
		if (r)
			break;
		r = target_file_read(inv->target, &file, used,
				     ret_value->data + used, max + 1 - used,
				     &got);
		ret_value->size = used + (r ? 0 : got);
	}
	target_file_close(inv->target, &file);
	return r ? r : ret_value->size > max ? -EFBIG : 0;
}

/* --- incr --- */

#define NUMBER_SIZE_MAX 32

/* The number that the key holds; 0 when there is no such key. */
static int number_load(struct invocation *inv, const struct update *update,
		       int64_t *ret_number)
{
	struct buf value = { 0 };
	int r;

	*ret_number = 0;
	if (!update->exists)
		return 0;
	r = update_read(inv, update, NUMBER_SIZE_MAX, &value);
	if (r == 0)
		r = number_parse_value(buf_slice(&value), ret_number);
	else if (r == -EFBIG)
		r = -EINVAL;
	buf_release(&value);
	return r;
}

static int number_store(struct invocation *inv, struct update *update,
			int64_t number)
{
	char text[NUMBER_SIZE_MAX];
	int size = snprintf(text, sizeof(text), "%" PRId64, number);
	int r;

	r = update_write(inv, update, slice_of(text, (size_t)size));
	return r ? r : output_print("%s\n", text);
}

static int incr_by(struct invocation *inv, int64_t by)
{
	struct update update;
	int64_t number;
	int r;

	if (update_begin(inv, TARGET_MAKE_PARENTS, &update))
		return KVCTL_ERROR;
	r = number_load(inv, &update, &number);
	if (r == 0)
		r = number_add(number, by, &number);
	if (r == 0)
		r = number_store(inv, &update, number);
	if (r == -EINVAL)
		report_error("%s: its value is not a number", inv->operands[0]);
	else if (r)
		report_errno(r, "%s", inv->operands[0]);
	update_end(inv, &update);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

static int run_incr(struct invocation *inv)
{
	const char *by = invocation_option(inv, "by");
	int64_t number = 1;

	if (by && number_parse_value(slice_of(by, strlen(by)), &number)) {
		report_error("--by: %s: not a number of 64 bits", by);
		return KVCTL_ERROR;
	}
	return incr_by(inv, number);
}

const struct command command_incr = {
	.name = "incr",
	.operands = "STORE KEY",
	.summary = "Add to a number and write what it is now",
	.details =
		"The value is a decimal number of 64 bits with its sign; a key that\n"
		"does not exist counts as 0. Of kvctls at the same time each counts.\n",
	.options = {
		{ "by", 'b', "NUMBER", "add this (1); it may be negative" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 1,
	.operands_max = 1,
	.run = run_incr,
};

/* --- cas --- */

/* 0 when the value is as expected, 1 when not. */
static int cas_compare(struct invocation *inv, const struct update *update)
{
	struct buf value = { 0 };
	struct slice old;
	int r;

	if (invocation_option(inv, "absent"))
		return update->exists;
	if (!update->exists)
		return 1;
	old = slice_of(inv->operands[1], strlen(inv->operands[1]));
	r = update_read(inv, update, old.size, &value);
	if (r == -EFBIG)
		r = 1;
	else if (r == 0)
		r = !slice_equal(buf_slice(&value), old);
	buf_release(&value);
	return r;
}

static int run_cas(struct invocation *inv)
{
	bool absent = invocation_option(inv, "absent");
	const char *value = inv->operands[inv->operand_count - 1];
	struct update update;
	int r;

	if (inv->operand_count != (absent ? 2 : 3)) {
		report_error(
			"cas: takes KEY OLD NEW, or with --absent KEY NEW");
		return KVCTL_ERROR;
	}
	if (update_begin(inv, absent ? TARGET_MAKE_PARENTS : 0, &update))
		return KVCTL_ERROR;
	r = cas_compare(inv, &update);
	if (r == 0)
		r = update_write(inv, &update, slice_of(value, strlen(value)));
	if (r < 0)
		report_errno(r, "%s", inv->operands[0]);
	update_end(inv, &update);
	return r < 0 ? KVCTL_ERROR : r ? KVCTL_ABSENT : KVCTL_DONE;
}

const struct command command_cas = {
	.name = "cas",
	.operands = "STORE KEY OLD NEW",
	.summary = "Change a value only if it is what is expected",
	.details =
		"Exit status 0 when the value was OLD and is NEW now, 1 when it was\n"
		"another or there was none. With --absent there is no OLD: the key is\n"
		"set if it does not exist.\n",
	.options = {
		{ "absent", 'a', NULL, "expect that there is no such key" },
	},
	.target = COMMAND_WRITES,
	.operands_min = 2,
	.operands_max = 3,
	.run = run_cas,
};
