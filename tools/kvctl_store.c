/* SPDX-License-Identifier: MIT */

/*
 * create, stats, health and compact: the store as a whole.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/report.h"

int progress_show(void *ctx, uint64_t done, uint64_t total)
{
	progress_update(ctx, done, total);
	return interrupt_seen();
}

/* --- create --- */

#define BLOCK_SIZE_MAX (1u << 20)

static int run_create(struct invocation *inv)
{
	const char *size = invocation_option(inv, "block-size");
	const char *path = inv->operands[0];
	uint64_t bytes = 0;
	int r;

	if (size && (number_parse_size(size, BLOCK_SIZE_MAX, &bytes) ||
		     bytes < 4096 || (bytes & (bytes - 1)))) {
		report_error("--block-size: %s: not a power of two from 4K to "
			     "1M",
			     size);
		return KVCTL_ERROR;
	}
	r = target_create(path, (uint32_t)bytes);
	if (r == -EEXIST)
		report_error("%s: is a store already", path);
	else if (r)
		report_errno(r, "%s", path);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

const struct command command_create = {
	.name = "create",
	.operands = "STORE",
	.summary = "Make an empty store",
	.details =
		"STORE must not exist, or be an empty directory. kvfs makes a store\n"
		"that does not exist by itself; this is for a store that is filled\n"
		"before it is mounted.\n",
	.options = {
		{ "block-size", 'b', "SIZE", "of large values: 4K to 1M" },
	},
	.operands_min = 1,
	.operands_max = 1,
	.run = run_create,
};

/* --- stats --- */

/* Gets a report, with the errors told. */
static int report_load(struct invocation *inv, enum target_report kind,
		       struct buf *text)
{
	int r = target_report(inv->target, kind, text);

	if (r == -EOPNOTSUPP)
		report_error("%s: mounted with stats=off", inv->store);
	else if (r)
		report_errno(r, "%s", inv->store);
	return r;
}

static int run_stats(struct invocation *inv)
{
	bool json = invocation_option(inv, "json");
	struct buf text = { 0 };
	int r;

	r = report_load(inv, json ? TARGET_STATS_JSON : TARGET_STATS, &text);
	if (r == 0)
		r = output_write(buf_slice(&text));
	buf_release(&text);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

const struct command command_stats = {
	.name = "stats",
	.operands = "STORE",
	.summary = "Show the store's counters",
	.details =
	"What .stats in a mount says; of a store that is not mounted, what\n"
	"there is to say of it without a daemon.\n",
	.options = {
		{ "json", 'j', NULL, "as one JSON object" },
	},
	.target = COMMAND_READS,
	.run = run_stats,
};

/* --- health --- */

/* The first word says it. */
static int health_status(struct slice text)
{
	if (slice_has_prefix(text, SLICE_LITERAL("ok\n")))
		return KVCTL_DONE;
	if (slice_has_prefix(text, SLICE_LITERAL("damaged\n")))
		return KVCTL_ABSENT;
	return KVCTL_ERROR;
}

static int run_health(struct invocation *inv)
{
	bool quiet = invocation_option(inv, "quiet");
	struct buf text = { 0 };
	int r;

	r = report_load(inv, TARGET_HEALTH, &text);
	if (r == 0 && !quiet)
		r = output_write(buf_slice(&text));
	r = r ? KVCTL_ERROR : health_status(buf_slice(&text));
	buf_release(&text);
	return r;
}

const struct command command_health = {
	.name = "health",
	.operands = "STORE",
	.summary = "Say whether anything is known to be wrong",
	.details =
		"Writes ok, damaged or failed, and the reasons, a line each. Nothing is\n"
		"searched for: see scrub and check. Exit status, as monitoring wants it:\n"
		"0 ok, 1 damaged but at work, 2 failed, or not to be reached.\n",
	.options = {
		{ "quiet", 'q', NULL, "the exit status only" },
	},
	.target = COMMAND_READS,
	.run = run_health,
};

/* --- compact --- */

static int run_compact(struct invocation *inv)
{
	struct progress progress;
	int r;

	progress_begin(&progress, "compact");
	r = target_compact(inv->target, progress_show, &progress);
	progress_end(&progress);
	if (r == -EBUSY)
		report_error("%s: a compaction, check or scrub is running "
			     "already",
			     inv->store);
	else if (r)
		report_errno(r, "%s", inv->store);
	return r ? KVCTL_ERROR : KVCTL_DONE;
}

const struct command command_compact = {
	.name = "compact",
	.operands = "STORE",
	.summary = "Give back the space of what was overwritten or deleted",
	.details =
		"Waits until it is done. Of a mounted store the daemon compacts, and\n"
		"stops when kvctl is interrupted; nothing is lost by that.\n",
	.target = COMMAND_WRITES,
	.run = run_compact,
};
