/* SPDX-License-Identifier: MIT */

/*
 * help and version. The help is made of the table, so it cannot say anything
 * else than the parser does.
 */

#include <stdio.h>
#include <string.h>

#include "tools/kvctl.h"
#include "tools/output.h"
#include "tools/report.h"

void help_print_overview(void)
{
	const struct command *const *at;

	output_print("Usage: kvctl COMMAND STORE [OPTION...] [KEY...]\n\n"
		     "STORE is the directory of a kvfs store or the "
		     "mountpoint of a mounted one.\n\nCommands:\n");
	for (at = kvctl_commands; *at; at++)
		output_print("  %-9s %s\n", (*at)->name, (*at)->summary);
	output_print("\nkvctl help COMMAND says more about one. Exit status: "
		     "0 done, 1 no such key,\n2 error (check: see there).\n");
}

void help_print_command(const struct command *command)
{
	const struct command_option *option = command->options;
	char text[64];
	int i;

	output_print("Usage: kvctl %s%s%s%s\n", command->name,
		     option->name ? " [OPTION...]" : "",
		     *command->operands ? " " : "", command->operands);
	if (command->alias)
		output_print("   or: kvctl %s ...\n", command->alias);
	output_print("\n%s.\n", command->summary);
	if (command->details)
		output_print("\n%s", command->details);
	if (option->name)
		output_print("\nOptions:\n");
	for (i = 0; i < KVCTL_OPTIONS_MAX && option[i].name; i++) {
		snprintf(text, sizeof(text), "--%s%s%s", option[i].name,
			 option[i].argument ? " " : "",
			 option[i].argument ? option[i].argument : "");
		output_print(option[i].letter ? "  -%c, %-20s %s\n" :
						"  %c   %-20s %s\n",
			     option[i].letter ? option[i].letter : ' ', text,
			     option[i].help);
	}
}

static int run_help(struct invocation *inv)
{
	const struct command *command;

	if (inv->operand_count == 0) {
		help_print_overview();
		return KVCTL_DONE;
	}
	command = command_find(inv->operands[0]);
	if (!command) {
		report_error("%s: no such command", inv->operands[0]);
		return KVCTL_ERROR;
	}
	help_print_command(command);
	return KVCTL_DONE;
}

const struct command command_help = {
	.name = "help",
	.operands = "[COMMAND]",
	.summary = "List the commands, or explain one",
	.operands_max = 1,
	.run = run_help,
};

static int run_version(struct invocation *inv)
{
	(void)inv;
	output_print("kvctl " KVFS_VERSION "\n");
	return KVCTL_DONE;
}

const struct command command_version = {
	.name = "version",
	.operands = "",
	.summary = "Say which version this is",
	.run = run_version,
};
