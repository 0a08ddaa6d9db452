/* SPDX-License-Identifier: MIT */

/*
 * The arguments of kvfs, in the way of sshfs: STORE and MOUNTPOINT, with short
 * and long options anywhere among them, short ones together ("-fd") or with
 * their value ("-oro"). Not getopt: it keeps state, reorders argv and prints.
 *
 * Invariant: argv is only read. No locks: before threads start.
 */

#include "fs/options.h"

#include <errno.h>
#include <string.h>

static int fail_usage(struct options_error *ret_error, const char *problem,
		      const char *arg)
{
	snprintf(ret_error->text, sizeof(ret_error->text), "%s%s%s", problem,
		 *arg ? ": " : "", arg);
	return -EDOM;
}

static int parse_long(struct options *options, const char *arg,
		      struct options_error *ret_error)
{
	if (strcmp(arg, "--help") == 0)
		options->show_help = true;
	else if (strcmp(arg, "--version") == 0)
		options->show_version = true;
	else if (strcmp(arg, "--foreground") == 0)
		options->foreground = true;
	else if (strcmp(arg, "--debug") == 0)
		options->foreground = options->debug = true;
	else
		return fail_usage(ret_error, "unknown argument", arg);
	return 0;
}

/* One argument of short options; *index moves on when -o takes the next. */
static int parse_short(struct options *options, int argc, char *const *argv,
		       int *index, struct options_error *ret_error)
{
	for (const char *s = argv[*index] + 1; *s; s++) {
		switch (*s) {
		case 'f':
			options->foreground = true;
			break;
		case 'd':
			options->foreground = options->debug = true;
			break;
		case 's': /* one dispatcher thread is what there is */
			break;
		case 'h':
			options->show_help = true;
			break;
		case 'V':
			options->show_version = true;
			break;
		case 'o':
			if (s[1])
				return options_parse_words(options, s + 1,
							   ret_error);
			if (++*index >= argc)
				return fail_usage(ret_error, "-o needs options",
						  "");
			return options_parse_words(options, argv[*index],
						   ret_error);
		default:
			return fail_usage(ret_error, "unknown argument",
					  argv[*index]);
		}
	}
	return 0;
}

static int parse_positional(struct options *options, const char *arg,
			    struct options_error *ret_error)
{
	if (!*arg)
		return fail_usage(ret_error, "an argument is empty", "");
	if (!options->store)
		options->store = arg;
	else if (!options->mountpoint)
		options->mountpoint = arg;
	else
		return fail_usage(ret_error, "too many arguments", arg);
	return 0;
}

int options_parse(struct options *options, int argc, char *const *argv,
		  struct options_error *ret_error)
{
	bool only_positional = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i];
		int r = 0;

		if (only_positional || arg[0] != '-' || !arg[1])
			r = parse_positional(options, arg, ret_error);
		else if (strcmp(arg, "--") == 0)
			only_positional = true;
		else if (arg[1] == '-')
			r = parse_long(options, arg, ret_error);
		else
			r = parse_short(options, argc, argv, &i, ret_error);
		if (r)
			return r;
	}
	if (buf_append(&options->fuse, "", 1)) {
		fail_usage(ret_error, "out of memory", "");
		return -ENOMEM;
	}
	if (options->show_help || options->show_version)
		return 0;
	if (!options->store)
		return fail_usage(ret_error, "STORE and MOUNTPOINT are missing",
				  "");
	if (!options->mountpoint)
		return fail_usage(ret_error, "MOUNTPOINT is missing", "");
	return 0;
}
