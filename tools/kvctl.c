/* SPDX-License-Identifier: MIT */

/*
 * kvctl: the table of commands, and how one is found, given its options and
 * its target, and run. Exit statuses are decided here: a command that says
 * "done" has failed all the same when its output or its changes did not arrive.
 */

#include "tools/kvctl.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/output.h"
#include "tools/report.h"

/* clang-format off */
const struct command *const kvctl_commands[] = {
	&command_get, &command_set, &command_append, &command_delete,
	&command_list, &command_exists, &command_stat, &command_incr,
	&command_cas, &command_dump, &command_load, &command_export,
	&command_import, &command_create, &command_stats, &command_top, &command_health,
	&command_compact, &command_scrub, &command_check, &command_partition,
	&command_umount,
	&command_shell,
	&command_version, &command_help, NULL,
};
/* clang-format on */

/* getopt_long's values for options without a letter of their own. */
#define OPTION_BASE 256
#define OPTION_HELP 'h'

/* Lock-free, as handlers need it; which thread runs them is not said. */
static atomic_int interrupted;

bool interrupt_seen(void)
{
	return interrupted;
}

/*
 * A signal that comes just before a call that waits would not end the wait. So
 * once one came, alarms follow, every second: one of them does.
 */
static void interrupt_nudge(int number)
{
	(void)number;
	alarm(1);
}

static void interrupt_note(int number)
{
	interrupted = number;
	interrupt_nudge(number);
}

static void signals_set_up(void)
{
	struct sigaction nudge = { .sa_handler = interrupt_nudge };
	struct sigaction action = { .sa_handler = interrupt_note };

	sigaction(SIGALRM, &nudge, NULL);
	/* RESETHAND: the second one ends us. No RESTART: waits are broken. */
	action.sa_flags = (int)SA_RESETHAND;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	/* A closed pipe is an error to handle: the store is to be closed. */
	signal(SIGPIPE, SIG_IGN);
}

bool interrupt_clear(void)
{
	if (interrupted != SIGINT)
		return false;
	alarm(0);
	interrupted = 0;
	signals_set_up();
	return true;
}

const struct command *command_find(const char *name)
{
	const struct command *const *at;

	for (at = kvctl_commands; *at; at++) {
		if (strcmp((*at)->name, name) == 0 ||
		    ((*at)->alias && strcmp((*at)->alias, name) == 0))
			return *at;
	}
	return NULL;
}

static size_t option_count(const struct command *command)
{
	size_t count = 0;

	while (count < KVCTL_OPTIONS_MAX && command->options[count].name)
		count++;
	return count;
}

const char *invocation_option(const struct invocation *inv, const char *name)
{
	size_t i, count = option_count(inv->command);

	for (i = 0; i < count; i++) {
		if (strcmp(inv->command->options[i].name, name) == 0)
			return inv->values[i];
	}
	return NULL;
}

/* --- the command line --- */

/* The table's options in getopt's two notations. */
static void options_describe(const struct command *command, char *letters,
			     struct option *longs)
{
	size_t i, count = option_count(command);

	for (i = 0; i < count; i++) {
		const struct command_option *option = &command->options[i];

		longs[i] = (struct option){
			.name = option->name,
			.has_arg = option->argument ? required_argument :
						      no_argument,
			.val = OPTION_BASE + (int)i,
		};
		if (option->letter)
			*letters++ = option->letter;
		if (option->letter && option->argument)
			*letters++ = ':';
	}
	longs[i++] = (struct option){ .name = "help", .val = OPTION_HELP };
	longs[i] = (struct option){ 0 };
	*letters++ = OPTION_HELP;
	*letters = '\0';
}

static int option_index(const struct command *command, int value)
{
	size_t i, count = option_count(command);

	if (value >= OPTION_BASE)
		return value - OPTION_BASE;
	for (i = 0; i < count; i++) {
		if (command->options[i].letter == value)
			return (int)i;
	}
	return -1;
}

static int usage_error(const struct command *command)
{
	return command->exit_usage ? command->exit_usage : KVCTL_ERROR;
}

static int run_error(const struct command *command)
{
	return command->exit_error ? command->exit_error : KVCTL_ERROR;
}

/* Says what is wrong with the option that getopt stumbled over. */
static void option_refuse(const struct command *command, char *const *argv,
			  int value)
{
	const char *why = value == ':' ? "lacks its argument" :
					 "is not an option";

	if (optopt > 0 && optopt < OPTION_BASE)
		report_error("%s: -%c %s (kvctl help %s)", command->name,
			     optopt, why, command->name);
	else
		report_error("%s: %s %s (kvctl help %s)", command->name,
			     argv[optind - 1], why, command->name);
}

/* 0 go on, 1 help was asked for, -EINVAL. */
static int options_parse(struct invocation *inv, int argc, char *const *argv)
{
	struct option longs[KVCTL_OPTIONS_MAX + 2];
	char letters[2 * KVCTL_OPTIONS_MAX + 4] = ":";
	int value, i;

	options_describe(inv->command, letters + 1, longs);
	optind = 0; /* GNU's for: from the beginning, once more */
	opterr = 0;
	while ((value = getopt_long(argc, argv, letters, longs, NULL)) >= 0) {
		if (value == OPTION_HELP)
			return 1;
		i = option_index(inv->command, value);
		if (value == '?' || value == ':' || i < 0) {
			option_refuse(inv->command, argv, value);
			return -EINVAL;
		}
		inv->values[i] = optarg ? optarg : "";
	}
	inv->operands = argv + optind;
	inv->operand_count = argc - optind;
	return 0;
}

/* Takes the action off the operands. */
static int action_take(struct invocation *inv)
{
	const struct command *command = inv->command;
	const struct command_action *action = command->actions;
	const char *name = inv->operand_count ? inv->operands[0] : NULL;

	while (action->name && name && strcmp(action->name, name) != 0)
		action++;
	if (!name || !action->name) {
		report_error("%s: %s: kvctl %s %s", command->name,
			     name ? "no such action" : "something is missing",
			     command->name, command->operands);
		return -EINVAL;
	}
	inv->action = action;
	inv->operands++;
	inv->operand_count--;
	return 0;
}

/* Takes STORE off the operands and counts the rest. */
static int operands_check(struct invocation *inv)
{
	const struct command *command = inv->command;
	int min = command->operands_min, max = command->operands_max;
	int count;

	if (command->actions) {
		if (action_take(inv))
			return -EINVAL;
		min = inv->action->operands_min;
		max = inv->action->operands_max;
	}

	if (command->target != COMMAND_NO_TARGET && !inv->store &&
	    inv->operand_count) {
		inv->store = *inv->operands++;
		inv->operand_count--;
	}
	count = inv->operand_count;
	if ((command->target != COMMAND_NO_TARGET && !inv->store) ||
	    count < min) {
		report_error("%s: something is missing: kvctl %s %s",
			     command->name, command->name, command->operands);
		return -EINVAL;
	}
	if (max >= 0 && count > max) {
		report_error("%s: %s: too much: kvctl %s %s", command->name,
			     inv->operands[max], command->name,
			     command->operands);
		return -EINVAL;
	}
	return 0;
}

/* --- running --- */

/* Done only when all of it arrived where it should. */
static int invocation_finish(struct invocation *inv, int status)
{
	int output = output_finish();
	int r;

	r = target_close(inv->target);
	if (r) {
		report_errno(r, "%s: the last changes may be lost", inv->store);
		return run_error(inv->command);
	}
	if (interrupt_seen() && status != KVCTL_DONE)
		report_error("interrupted");
	if (output == -EPIPE) {
		/* End as a program does that knows nothing of pipes. */
		signal(SIGPIPE, SIG_DFL);
		raise(SIGPIPE);
	}
	if (output)
		return run_error(inv->command);
	return status;
}

static enum target_access access_of(const struct invocation *inv)
{
	const struct command *command = inv->command;

	if (command->target == COMMAND_WRITES ||
	    (inv->action && inv->action->writes) ||
	    (command->write_option &&
	     invocation_option(inv, command->write_option)))
		return TARGET_WRITE;
	return TARGET_READ;
}

static int invocation_run(struct invocation *inv)
{
	return inv->action ? inv->action->run(inv) : inv->command->run(inv);
}

static int command_run(const struct command *command, int argc, char **argv)
{
	struct invocation inv = { .command = command };
	int r;

	r = options_parse(&inv, argc, argv);
	if (r == 1) {
		help_print_command(command);
		return invocation_finish(&inv, KVCTL_DONE);
	}
	if (r == 0)
		r = operands_check(&inv);
	if (r)
		return usage_error(command);
	if (command->target != COMMAND_NO_TARGET) {
		r = target_open(inv.store, access_of(&inv), &inv.target);
		if (r)
			return run_error(command);
	}
	r = invocation_run(&inv);
	return invocation_finish(&inv, r);
}

bool command_has_place_in_shell(const struct command *command)
{
	return command->target != COMMAND_NO_TARGET ?
		       command != &command_shell :
		       command == &command_help || command == &command_version;
}

int command_run_inside(const struct invocation *outer,
		       const struct command *command, int argc, char **argv)
{
	struct invocation inv = {
		.command = command,
		.target = outer->target,
		.store = outer->store,
	};
	int r, status;

	r = options_parse(&inv, argc, argv);
	if (r == 1) {
		help_print_command(command);
		return output_finish() ? run_error(command) : KVCTL_DONE;
	}
	if (r == 0)
		r = operands_check(&inv);
	if (r)
		return usage_error(command);
	status = invocation_run(&inv);
	r = access_of(&inv) == TARGET_WRITE ? target_sync(inv.target) : 0;
	if (r)
		report_errno(r, "%s: the last changes may be lost", inv.store);
	if (output_finish() || r)
		return run_error(command);
	return status;
}

int main(int argc, char **argv)
{
	const struct command *command;
	const char *name = argc > 1 ? argv[1] : "";

	signals_set_up();
	if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		name = "help";
	else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
		name = "version";
	if (!*name) {
		report_error("no command given (kvctl help lists them)");
		return KVCTL_ERROR;
	}
	command = command_find(name);
	if (!command) {
		report_error("%s: no such command (kvctl help lists them)",
			     name);
		return KVCTL_ERROR;
	}
	return command_run(command, argc - 1, argv + 1);
}
