/* SPDX-License-Identifier: MIT */

/*
 * list: keys in order, as many at a time as a page holds.
 */

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/attr.h"
#include "tools/json.h"
#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/walk.h"

struct listing {
	struct target *target;
	struct walk walk;
	struct buf line; /* reused from key to key */
	bool columns, json, directories;
	char separator;
	uint64_t left; /* keys until the limit */
	bool failed;   /* something could not be read */
};

static struct slice option_slice(const struct invocation *inv, const char *name)
{
	const char *value = invocation_option(inv, name);

	return slice_of(value, value ? strlen(value) : 0);
}

/* " -> target", as ls has it. */
static int link_append(struct listing *listing, const struct target_dir *dir)
{
	int r = buf_append(&listing->line, " -> ", 4);

	return r ? r :
		   target_read_link(listing->target, dir, listing->walk.name,
				    &listing->line);
}

static int line_columns(struct listing *listing, struct slice key,
			const struct fs_attr *attr,
			const struct target_dir *dir)
{
	int r = attr_append_columns(&listing->line, attr);

	if (r == 0)
		r = buf_append(&listing->line, key.data, key.size);
	if (r == 0 && S_ISDIR(attr->mode))
		r = buf_append(&listing->line, "/", 1);
	if (r == 0 && S_ISLNK(attr->mode))
		r = link_append(listing, dir);
	return r ? r : buf_append(&listing->line, &listing->separator, 1);
}

static int line_plain(struct listing *listing, struct slice key)
{
	int r = buf_append(&listing->line, key.data, key.size);

	if (r == 0 && S_ISDIR(listing->walk.mode))
		r = buf_append(&listing->line, "/", 1);
	return r ? r : buf_append(&listing->line, &listing->separator, 1);
}

/* What the walk met, as one line. 1 when it has gone in the meantime. */
static int line_make(struct listing *listing)
{
	const struct target_dir *dir = walk_dir(&listing->walk);
	struct fs_attr attr;
	struct slice key;
	int r;

	buf_clear(&listing->line);
	r = walk_key(&listing->walk, &key);
	if (r)
		return r;
	if (!listing->columns && !listing->json)
		return line_plain(listing, key);
	r = target_lookup(listing->target, dir, listing->walk.name, &attr);
	if (r)
		return r;
	if (listing->json)
		return attr_append_json(&listing->line, key, &attr);
	return line_columns(listing, key, &attr, dir);
}

/* A damaged name costs its line, not the listing. */
static void walk_report(struct listing *listing, const char *store, int error)
{
	struct slice key = { 0 };

	(void)walk_key(&listing->walk, &key);
	if (key.size)
		report_errno(error, "%.*s", (int)key.size,
			     (const char *)key.data);
	else
		report_errno(error, "%s", store);
	listing->failed = true;
}

static bool is_wanted(const struct listing *listing)
{
	return listing->walk.event == WALK_FILE ||
	       listing->walk.event == WALK_PASS ||
	       (listing->directories && listing->walk.event == WALK_LEAVE);
}

static int listing_run(struct listing *listing, const char *store)
{
	int r;

	while (listing->left && (r = walk_next(&listing->walk)) != 1) {
		if (interrupt_seen())
			return KVCTL_ERROR;
		if (r == 0 && !is_wanted(listing))
			continue;
		if (r == 0)
			r = line_make(listing);
		if (r < 0)
			walk_report(listing, store, r);
		if (r)
			continue;
		if (output_write(buf_slice(&listing->line)))
			return KVCTL_ERROR;
		listing->left--;
	}
	return listing->failed ? KVCTL_ERROR : KVCTL_DONE;
}

static int run_list(struct invocation *inv)
{
	const char *limit = invocation_option(inv, "limit");
	struct walk_range range = {
		.prefix = option_slice(inv, "prefix"),
		.from = option_slice(inv, "from"),
		.to = option_slice(inv, "to"),
		.shallow = invocation_option(inv, "shallow"),
	};
	struct listing listing = {
		.target = inv->target,
		.columns = invocation_option(inv, "long"),
		.json = invocation_option(inv, "json"),
		.directories = invocation_option(inv, "directories"),
		.separator = invocation_option(inv, "null") ? '\0' : '\n',
		.left = UINT64_MAX,
	};
	int r;

	if (invocation_option(inv, "after")) {
		range.from = option_slice(inv, "after");
		range.after = true;
	}
	if (limit && number_parse(limit, UINT64_MAX, &listing.left)) {
		report_error("--limit: %s: not a number", limit);
		return KVCTL_ERROR;
	}
	r = walk_init(&listing.walk, inv->target, &range);
	if (r) {
		report_errno(r, "%s", inv->store);
		return KVCTL_ERROR;
	}
	r = listing_run(&listing, inv->store);
	walk_release(&listing.walk);
	buf_release(&listing.line);
	return r;
}

const struct command command_list = {
	.name = "list",
	.operands = "STORE",
	.summary = "List keys in order",
	.details =
	"One key a line, directory by directory, the names in each in order\n"
	"of their bytes.\n",
	.options = {
		{ "prefix", 'p', "PREFIX", "only keys that begin so" },
		{ "from", 0, "KEY", "begin at this key" },
		{ "after", 0, "KEY", "begin at the key that follows this one" },
		{ "to", 0, "KEY", "end before this key" },
		{ "limit", 'n', "COUNT", "no more than that many" },
		{ "long", 'l', NULL, "mode, links, owner, size and time, too" },
		{ "json", 'j', NULL, "one JSON object for each key" },
		{ "directories", 'd', NULL, "show directories, too" },
		{ "shallow", 's', NULL, "show directories, but enter none" },
		{ "null", '0', NULL, "end keys in NUL, not in a line feed" },
	},
	.target = COMMAND_READS,
	.run = run_list,
};
