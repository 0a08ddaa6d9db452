/* SPDX-License-Identifier: MIT */

/*
 * shell: commands one after another on a store that stays open. A line is a
 * command as on the command line without STORE. What it changed is durable
 * before the next line is read.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tools/kvctl.h"
#include "tools/line.h"
#include "tools/number.h"
#include "tools/output.h"
#include "tools/report.h"
#include "tools/walk.h"
#include "tools/words.h"

#define KEYS_SHOWN 200

struct shell {
	struct invocation *inv;
	struct words words;
	bool stop_at_error;
	bool ended; /* by exit */
	int status; /* of the last command */
};

/* --- completion --- */

static void complete_names(const char *const *names, struct slice word)
{
	for (; *names; names++) {
		if (slice_has_prefix(slice_of(*names, strlen(*names)), word))
			line_candidate(slice_of(*names, strlen(*names)), false);
	}
}

static void complete_command(struct slice word)
{
	static const char *const own[] = { "exit", "quit", NULL };
	const struct command *const *at;
	const char *name[2] = { NULL, NULL };

	for (at = kvctl_commands; *at; at++) {
		name[0] = (*at)->name;
		if (command_has_place_in_shell(*at))
			complete_names(name, word);
	}
	complete_names(own, word);
}

static void complete_option(const struct command *command, struct slice word)
{
	char text[64];
	size_t i;

	for (i = 0; i < KVCTL_OPTIONS_MAX && command->options[i].name; i++) {
		snprintf(text, sizeof(text), "--%s", command->options[i].name);
		if (slice_has_prefix(slice_of(text, strlen(text)), word))
			line_candidate(slice_of(text, strlen(text)), false);
	}
}

static void complete_key(struct shell *shell, struct slice word)
{
	struct walk_range range = { .prefix = word, .shallow = true };
	struct walk walk;
	struct slice key;
	struct buf text = { 0 };
	int r, shown = 0;

	if (walk_init(&walk, shell->inv->target, &range))
		return;
	while (shown < KEYS_SHOWN && (r = walk_next(&walk)) != 1) {
		bool dir = walk.event == WALK_PASS;

		if (r || (walk.event != WALK_FILE && !dir) ||
		    walk_key(&walk, &key) || buf_assign(&text, key) ||
		    (dir && buf_append(&text, "/", 1)))
			continue;
		line_candidate(buf_slice(&text), dir);
		shown++;
	}
	walk_release(&walk);
	buf_release(&text);
}

static void complete(void *ctx, size_t index, const char *first,
		     struct slice word)
{
	const struct command *command = command_find(first);

	if (index == 0 || (index == 1 && strcmp(first, "help") == 0))
		complete_command(word);
	else if (command && slice_has_prefix(word, SLICE_LITERAL("-")))
		complete_option(command, word);
	else if (command)
		complete_key(ctx, word);
}

/* --- running --- */

static void run_exit(struct shell *shell)
{
	uint64_t status;

	shell->ended = true;
	if (shell->words.count > 1) {
		if (number_parse(shell->words.at[1], 255, &status)) {
			report_error("exit: %s: not a status",
				     shell->words.at[1]);
			status = KVCTL_ERROR;
		}
		shell->status = (int)status;
	}
}

static int command_status(struct shell *shell)
{
	const struct command *command = command_find(shell->words.at[0]);

	if (!command) {
		report_error("%s: no such command (help lists them)",
			     shell->words.at[0]);
		return KVCTL_ERROR;
	}
	if (!command_has_place_in_shell(command)) {
		report_error("%s: not in a shell", command->name);
		return KVCTL_ERROR;
	}
	return command_run_inside(shell->inv, command, (int)shell->words.count,
				  shell->words.at);
}

static void line_run(struct shell *shell, struct slice line)
{
	int r = words_parse(&shell->words, line);

	if (r == -EINVAL) {
		report_error("a quote or escape makes no sense");
		shell->status = KVCTL_ERROR;
		return;
	}
	if (r) {
		report_errno(r, "shell");
		shell->status = KVCTL_ERROR;
		return;
	}
	if (!shell->words.count)
		return;
	if (strcmp(shell->words.at[0], "exit") == 0 ||
	    strcmp(shell->words.at[0], "quit") == 0)
		run_exit(shell);
	else
		shell->status = command_status(shell);
}

/* Whether to read on after a line, or after a signal. */
static bool goes_on(struct shell *shell)
{
	/* ^C ends what was running, not the session at a terminal. */
	if (interrupt_seen() && line_is_interactive() && interrupt_clear()) {
		report_error("interrupted");
		return true;
	}
	if (interrupt_seen() || shell->ended)
		return false;
	return !(shell->stop_at_error && shell->status);
}

static int lines_run(struct shell *shell)
{
	struct buf line = { 0 };
	int r;

	for (;;) {
		r = line_read("kvctl> ", &line);
		if (r == -EINTR && goes_on(shell))
			continue;
		if (r)
			break;
		line_run(shell, buf_slice(&line));
		if (!goes_on(shell))
			break;
	}
	buf_release(&line);
	if (r < 0 && !interrupt_seen())
		report_errno(r, "standard input");
	return r < 0 || interrupt_seen() ? KVCTL_ERROR : shell->status;
}

/* Freed by the caller; NULL: none is kept. */
static char *history_path(void)
{
	const char *own = getenv("KVCTL_HISTORY");
	const char *home = getenv("HOME");
	char *path = NULL;

	if (own)
		return *own ? strdup(own) : NULL;
	if (!home || asprintf(&path, "%s/.kvctl_history", home) < 0)
		return NULL;
	return path;
}

static int run_shell(struct invocation *inv)
{
	const char *text = invocation_option(inv, "command");
	struct shell shell = {
		.inv = inv,
		.stop_at_error = invocation_option(inv, "stop"),
	};
	char *history = history_path();
	int r;

	if (text) {
		line_run(&shell, slice_of(text, strlen(text)));
		r = shell.status;
	} else {
		/* A command may read what follows its line: as in sh, no
		 * more than the line is taken. */
		if (!line_is_interactive())
			setvbuf(stdin, NULL, _IONBF, 0);
		line_init(history, complete, &shell);
		r = lines_run(&shell);
		line_finish();
	}
	words_release(&shell.words);
	free(history);
	return r;
}

const struct command command_shell = {
	.name = "shell",
	.operands = "STORE",
	.summary = "Run commands from standard input",
	.details =
	"A line is a command as on kvctl's command line, without STORE. Words\n"
	"are quoted as in sh; # begins a comment. At a terminal lines can be\n"
	"edited, and tab completes commands, options and keys. help COMMAND\n"
	"explains one, exit [STATUS] ends. The exit status is that of the last\n"
	"command. A store that is not mounted stays locked meanwhile.\n",
	.options = {
		{ "command", 'c', "LINE", "run this line only" },
		{ "stop", 'e', NULL, "end at the first that fails" },
	},
	.target = COMMAND_WRITES,
	.run = run_shell,
};
