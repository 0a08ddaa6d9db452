/* SPDX-License-Identifier: MIT */

/*
 * create, stats, health, compact and check: the store as a whole.
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "tools/json.h"
#include "tools/kvctl.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/progress.h"
#include "tools/report.h"

/* A kv_progress_fn that draws a bar and stops when a signal came. */
static int progress_show(void *ctx, uint64_t done, uint64_t total)
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
static int run_health(struct invocation *inv)
{
	struct buf text = { 0 };
	int r;

	r = report_load(inv, TARGET_HEALTH, &text);
	if (r == 0)
		r = output_write(buf_slice(&text));
	if (r == 0 &&
	    !slice_has_prefix(buf_slice(&text), SLICE_LITERAL("ok\n")))
		r = 1;
	buf_release(&text);
	return r < 0 ? KVCTL_ERROR : r;
}

const struct command command_health = {
	.name = "health",
	.operands = "STORE",
	.summary = "Say whether anything is known to be wrong",
	.details =
		"Writes ok, damaged or failed, and the reasons, a line each. Exit\n"
		"status 0 when it is ok, 1 when not. Nothing is searched for: see check.\n",
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
		report_error("%s: a compaction or check is running already",
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

/* --- check --- */

static const char *const problem_names[] = {
	[FS_PROBLEM_DAMAGED] = "damaged",
	[FS_PROBLEM_DANGLING] = "dangling",
	[FS_PROBLEM_UNREACHABLE] = "unreachable",
	[FS_PROBLEM_LINK_COUNT] = "link-count",
	[FS_PROBLEM_STRUCTURE] = "structure",
	[FS_PROBLEM_STORE] = "store",
};

static const char *problem_name(enum fs_problem_kind kind)
{
	/* A daemon of another version may know more kinds. */
	if ((unsigned int)kind > FS_PROBLEM_STORE)
		return "other";
	return problem_names[kind];
}

struct check {
	struct progress progress;
	struct buf line;
	bool json;
	int error;
};

static int problem_json(struct buf *line, const struct fs_problem *problem)
{
	const char *kind = problem_name(problem->kind);
	int r = buf_append(line, "{", 1);

	if (r == 0)
		r = json_append_text(line, "kind",
				     slice_of(kind, strlen(kind)));
	if (r == 0 && problem->ino)
		r = json_append_number(line, "ino", problem->ino);
	if (r == 0 && problem->path)
		r = json_append_text(line, "path",
				     slice_of(problem->path,
					      strlen(problem->path)));
	if (r == 0)
		r = json_append_text(line, "what",
				     slice_of(problem->what,
					      strlen(problem->what)));
	return r ? r : buf_append(line, "}\n", 2);
}

static int problem_line(struct buf *line, const struct fs_problem *problem)
{
	const char *path = problem->path;
	int r = 0;

	if (path)
		r = buf_append(line, path, strlen(path));
	if (r == 0 && path)
		r = buf_append(line, ": ", 2);
	if (r == 0)
		r = buf_append(line, problem->what, strlen(problem->what));
	return r ? r : buf_append(line, "\n", 1);
}

/* Called from the thread that checks: this one. */
static void problem_print(void *ctx, const struct fs_problem *problem)
{
	struct check *check = ctx;
	int r;

	buf_clear(&check->line);
	r = check->json ? problem_json(&check->line, problem) :
			  problem_line(&check->line, problem);
	if (r == 0)
		r = output_write(buf_slice(&check->line));
	if (r && !check->error)
		check->error = r;
}

static int check_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct check *check = ctx;

	return check->error ? 1 : progress_show(&check->progress, done, total);
}

static int run_check(struct invocation *inv)
{
	struct check check = { .json = invocation_option(inv, "json") };
	int r;

	progress_begin(&check.progress, "check");
	r = target_check(inv->target, problem_print, check_progress, &check);
	progress_end(&check.progress);
	buf_release(&check.line);
	if (r == -EBUSY)
		report_error("%s: a compaction or check is running already",
			     inv->store);
	else if (r < 0)
		report_errno(r, "%s", inv->store);
	if (r < 0 || check.error)
		return KVCTL_CHECK_FAILED;
	return r ? KVCTL_CHECK_ERRORS_LEFT : KVCTL_DONE;
}

const struct command command_check = {
	.name = "check",
	.alias = "fsck",
	.operands = "STORE",
	.summary = "Verify everything that is stored",
	.details =
	"Reads every record and follows every name, and prints a line for\n"
	"each problem, with the path that it costs where there is one. Changes\n"
	"nothing. Exit status as fsck(8): 0 sound, 4 problems were found,\n"
	"8 the check could not be done, 16 wrong usage.\n",
	.options = {
		{ "json", 'j', NULL, "one JSON object for each problem" },
	},
	.target = COMMAND_READS,
	.exit_error = KVCTL_CHECK_FAILED,
	.exit_usage = KVCTL_CHECK_USAGE,
	.run = run_check,
};
