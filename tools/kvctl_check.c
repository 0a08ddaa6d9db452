/* SPDX-License-Identifier: MIT */

/*
 * check and scrub: is what is stored what was stored?
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

#define SCRUB_RATE_DEFAULT ((uint64_t)32 << 20)

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

/* The exit status after a check or scrub came to `r`. */
static int check_finish(struct invocation *inv, struct check *check, int r)
{
	progress_end(&check->progress);
	buf_release(&check->line);
	if (r == -EBUSY)
		report_error("%s: a compaction, check or scrub is running "
			     "already",
			     inv->store);
	else if (r < 0)
		report_errno(r, "%s", inv->store);
	if (r < 0 || check->error)
		return KVCTL_CHECK_FAILED;
	return r ? KVCTL_CHECK_ERRORS_LEFT : KVCTL_DONE;
}

static int run_check(struct invocation *inv)
{
	struct check check = { .json = invocation_option(inv, "json") };
	int r;

	progress_begin(&check.progress, "check");
	r = target_check(inv->target, problem_print, check_progress, &check);
	return check_finish(inv, &check, r);
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

/* --- scrub --- */

static int run_scrub(struct invocation *inv)
{
	const char *rate_text = invocation_option(inv, "rate");
	struct check check = { .json = invocation_option(inv, "json") };
	uint64_t rate = SCRUB_RATE_DEFAULT;
	int r;

	if (rate_text && number_parse_size(rate_text, UINT64_MAX, &rate)) {
		report_error("--rate: %s: not a size", rate_text);
		return KVCTL_CHECK_USAGE;
	}
	progress_begin(&check.progress, "scrub");
	r = target_scrub(inv->target, rate, problem_print, check_progress,
			 &check);
	return check_finish(inv, &check, r);
}

const struct command command_scrub = {
	.name = "scrub",
	.operands = "STORE",
	.summary = "Verify all stored bytes, without haste",
	.details =
	"Reads every record against its checksum and prints a line for each\n"
	"problem, as check; how things refer to each other is left to check. Of\n"
	"a mounted store the daemon does it, no faster than --rate, beside its\n"
	"work, and tells the result in .stats and health. Exit status as check.\n",
	.options = {
		{ "rate", 'r', "SIZE", "bytes a second (32M); 0: no limit" },
		{ "json", 'j', NULL, "one JSON object for each problem" },
	},
	.target = COMMAND_READS,
	.exit_error = KVCTL_CHECK_FAILED,
	.exit_usage = KVCTL_CHECK_USAGE,
	.run = run_scrub,
};
