/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * kvctl's commands. Each is one row of the table in kvctl.c: what it is called,
 * what it takes, what its help says and the function that does it. Parsing, the
 * help, and the check of man page and completions all read that table.
 *
 * To add a command: write its row (kvctl_<noun>.c exports it), name it in the
 * table, in kvctl.1 and in completions/.
 */

#include <stdbool.h>
#include <stddef.h>

#include "engine/buf.h"
#include "tools/target.h"

enum kvctl_exit {
	KVCTL_DONE = 0,
	KVCTL_ABSENT = 1, /* no such key; false */
	KVCTL_ERROR = 2,

	/* check, as fsck(8) */
	KVCTL_CHECK_CORRECTED = 1,
	KVCTL_CHECK_ERRORS_LEFT = 4,
	KVCTL_CHECK_FAILED = 8,
	KVCTL_CHECK_USAGE = 16,
};

#define KVCTL_OPTIONS_MAX 12

struct command_option {
	const char *name;     /* long: "prefix" */
	char letter;          /* short, or 0 */
	const char *argument; /* what it takes: "PREFIX"; NULL: nothing */
	const char *help;
};

enum command_target {
	COMMAND_NO_TARGET, /* the first operand is not a store */
	COMMAND_READS,
	COMMAND_WRITES,
};

struct invocation;

/* What a command of several does: its first operand, before STORE. */
struct command_action {
	const char *name;
	bool writes;
	int operands_min; /* without STORE */
	int operands_max;
	/* As a command's. */
	int (*run)(struct invocation *inv);
};

struct command {
	const char *name;
	const char *alias;    /* or NULL */
	const char *operands; /* "STORE KEY...", for the usage line */
	const char *summary;  /* one line */
	const char *details;  /* more lines, each ending in a line feed */
	struct command_option options[KVCTL_OPTIONS_MAX]; /* name NULL ends */
	enum command_target target;
	const char *write_option; /* with it a reader writes; or NULL */
	int operands_min;         /* without STORE */
	int operands_max;         /* -1: any number */
	int exit_error;           /* 0: KVCTL_ERROR */
	int exit_usage;           /* 0: KVCTL_ERROR */
	/* Ends with name NULL. Then these say what it writes, takes and runs.
	 */
	const struct command_action *actions;
	/* Returns an enum kvctl_exit; has said on stderr what was wrong. */
	int (*run)(struct invocation *inv);
};

/* One command with what it was given. */
struct invocation {
	const struct command *command;
	const char *values[KVCTL_OPTIONS_MAX]; /* by option; NULL: not given */
	struct target *target; /* open, unless COMMAND_NO_TARGET */
	const char *store;     /* the operand that names it */
	const struct command_action *action; /* NULL: it has none */
	char *const *operands;               /* the others */
	int operand_count;
};

/* The option's argument ("" when it takes none); NULL when it was not given. */
const char *invocation_option(const struct invocation *inv, const char *name);

/* The table; ends with NULL. */
extern const struct command *const kvctl_commands[];
/* By name or alias; NULL when there is none. */
const struct command *command_find(const char *name);

extern const struct command command_get, command_set, command_delete;
extern const struct command command_list, command_exists, command_stat;
extern const struct command command_stats, command_compact, command_check;
extern const struct command command_health, command_incr, command_cas;
extern const struct command command_create, command_append;
extern const struct command command_dump, command_load;
extern const struct command command_export, command_import;
extern const struct command command_top, command_scrub, command_shell;
extern const struct command command_partition;
extern const struct command command_umount, command_version, command_help;

/* Whether a shell on an open store can run it. */
bool command_has_place_in_shell(const struct command *command);
/*
 * Runs a command on the target of `outer`, and makes durable what it changed.
 * argv[0] is the command's name; there is no STORE. Its exit status.
 */
int command_run_inside(const struct invocation *outer,
		       const struct command *command, int argc, char **argv);

/* Writes the overview, or a command's help, to stdout. */
void help_print_overview(void);
void help_print_command(const struct command *command);

/*
 * True once SIGINT, SIGTERM or SIGHUP came in. What takes long asks now and
 * then and ends early with -ECANCELED, so that the store is closed well. A
 * second signal ends the process at once.
 */
bool interrupt_seen(void);
/* Forgets a SIGINT and waits for the next one. False for other signals, which
 * are to end the process. */
bool interrupt_clear(void);

/* A kv_progress_fn that draws a bar, ctx being the struct progress, and stops
 * when a signal came. */
int progress_show(void *ctx, uint64_t done, uint64_t total);
