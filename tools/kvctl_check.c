/* SPDX-License-Identifier: MIT */

/*
 * check and scrub: is what is stored what was stored?
 */

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

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

/* --- check --repair --- */

struct repair {
	struct check check;
	struct buf report; /* what goes to lost+found */
	struct buf text;   /* of one problem */
};

static void repair_print(void *ctx, const struct fs_problem *problem,
			 const char *done)
{
	struct repair *repair = ctx;
	struct fs_problem shown = *problem;
	const char *outcome = done ? done : "left as it is";
	int r;

	buf_clear(&repair->text);
	r = buf_append(&repair->text, problem->what, strlen(problem->what));
	if (r == 0)
		r = buf_append(&repair->text, ": ", 2);
	if (r == 0)
		r = buf_append(&repair->text, outcome, strlen(outcome) + 1);
	if (r == 0) {
		shown.what = (const char *)repair->text.data;
		problem_print(&repair->check, &shown);
		r = problem_line(&repair->report, &shown);
	}
	if (r && !repair->check.error)
		repair->check.error = r;
}

static int repair_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct repair *repair = ctx;

	return check_progress(&repair->check, done, total);
}

/* Keeps what was found and done, beside what was found. */
static int report_keep(struct invocation *inv, const struct repair *repair)
{
	struct target_place place;
	struct target_draft draft;
	struct key key = { 0 };
	char name[64];
	time_t now = time(NULL);
	struct tm tm = { 0 };
	int r;

	gmtime_r(&now, &tm);
	strftime(name, sizeof(name), FS_LOST_FOUND "/report-%Y%m%dT%H%M%SZ",
		 &tm);
	r = key_parse(&key, slice_of(name, strlen(name)));
	if (r == 0)
		r = target_find(inv->target, &key, TARGET_MAKE_PARENTS, &place);
	if (r >= 0) {
		r = target_draft_begin(inv->target, &place, r == 0, &draft);
		if (r == 0)
			r = target_draft_append(inv->target, &draft,
						repair->report.data,
						repair->report.size);
		if (r == 0)
			r = target_draft_commit(inv->target, &draft, 0);
		target_place_release(inv->target, &place);
	}
	key_release(&key);
	if (r)
		report_errno(r, "%s", name);
	return r;
}

static int run_repair(struct invocation *inv)
{
	struct repair repair = {
		.check.json = invocation_option(inv, "json"),
	};
	int r, status;

	progress_begin(&repair.check.progress, "check");
	r = target_repair(inv->target, repair_print, repair_progress, &repair);
	progress_end(&repair.check.progress);
	if (r == -EBUSY)
		report_error("%s: is mounted: unmount it to repair it",
			     inv->store);
	else if (r < 0)
		report_errno(r, "%s", inv->store);
	status = r < 0 || repair.check.error ? KVCTL_CHECK_FAILED :
		 r == 0                      ? KVCTL_DONE :
		 r == 1                      ? KVCTL_CHECK_CORRECTED :
					       KVCTL_CHECK_ERRORS_LEFT;
	if (repair.report.size && report_keep(inv, &repair))
		status = KVCTL_CHECK_FAILED;
	buf_release(&repair.check.line);
	buf_release(&repair.report);
	buf_release(&repair.text);
	return status;
}

static int run_check(struct invocation *inv)
{
	struct check check = { .json = invocation_option(inv, "json") };
	const struct target_check_how how = {
		.resume = invocation_option(inv, "resume"),
	};
	int r;

	if (invocation_option(inv, "repair") && how.resume) {
		report_error("--repair begins at the beginning: not with "
			     "--resume");
		return KVCTL_CHECK_USAGE;
	}
	if (invocation_option(inv, "repair"))
		return run_repair(inv);
	progress_begin(&check.progress, "check");
	r = target_check(inv->target, &how, problem_print, check_progress,
			 &check);
	return check_finish(inv, &check, r);
}

const struct command command_check = {
	.name = "check",
	.alias = "fsck",
	.operands = "STORE",
	.summary = "Verify everything that is stored",
	.details =
	"Reads every record and follows every name, and prints a line for\n"
	"each problem, with the path that it costs where there is one. Without\n"
	"--repair nothing is changed. One that was stopped is gone on with by\n"
	"--resume. Exit status as fsck(8): 0 sound, 1 all that was wrong was\n"
	"repaired, 4 problems are left, 8 the check could not be done, 16 wrong\n"
	"usage.\n",
	.options = {
		{ "repair", 'r', NULL, "put right what can be; not mounted" },
		{ "resume", 'R', NULL, "go on where the last one stopped" },
		{ "json", 'j', NULL, "one JSON object for each problem" },
	},
	.target = COMMAND_READS,
	.write_option = "repair",
	.exit_error = KVCTL_CHECK_FAILED,
	.exit_usage = KVCTL_CHECK_USAGE,
	.run = run_check,
};

/* --- scrub --- */

static int run_scrub(struct invocation *inv)
{
	const char *rate_text = invocation_option(inv, "rate");
	struct check check = { .json = invocation_option(inv, "json") };
	struct target_check_how how = {
		.bytes_only = true,
		.resume = invocation_option(inv, "resume"),
		.rate_bytes = SCRUB_RATE_DEFAULT,
	};
	int r;

	if (rate_text &&
	    number_parse_size(rate_text, UINT64_MAX, &how.rate_bytes)) {
		report_error("--rate: %s: not a size", rate_text);
		return KVCTL_CHECK_USAGE;
	}
	progress_begin(&check.progress, "scrub");
	r = target_check(inv->target, &how, problem_print, check_progress,
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
	"work, and tells the result in .stats and health; one that the end of a\n"
	"mount has ended, the next mount goes on with. Exit status as check.\n",
	.options = {
		{ "rate", 'r', "SIZE", "bytes a second (32M); 0: no limit" },
		{ "resume", 'R', NULL, "go on where the last one stopped" },
		{ "json", 'j', NULL, "one JSON object for each problem" },
	},
	.target = COMMAND_READS,
	.exit_error = KVCTL_CHECK_FAILED,
	.exit_usage = KVCTL_CHECK_USAGE,
	.run = run_scrub,
};
