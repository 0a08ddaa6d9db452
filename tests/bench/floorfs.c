/* SPDX-License-Identifier: MIT */
/*
 * floorfs: an in-RAM FUSE filesystem with ideal settings: what FUSE costs,
 * below which no FUSE filesystem can go. With --log it also appends each
 * change to a file, which is what any that keeps its files must do.
 *
 * Each setting can be taken back by an option, to see what it is worth.
 */

#define FUSE_USE_VERSION 312

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/floor_channel.h"
#include "tests/bench/floor_log.h"
#include "tests/bench/floor_ops.h"

static const char usage[] =
	"usage: floorfs [options] MOUNTPOINT\n"
	"  --log FILE       append each change to FILE (absolute)\n"
	"  --threads N      dispatcher threads (1)\n"
	"  --clone-fd       a descriptor for each of them\n"
	"  --spin USEC      spin so long for a request before sleeping (0)\n"
	"  --timeout SEC    of entries and attributes (for ever)\n"
	"  --readdirplus=always|auto|no  (always)\n"
	"  --writeback      turn the write-back cache on\n"
	"  --serve-open     answer OPEN and OPENDIR, not ENOSYS\n"
	"  --serve-create   answer CREATE, not ENOSYS\n"
	"  --serve-flush    answer FLUSH, not ENOSYS\n"
	"  --no-killpriv    without HANDLE_KILLPRIV_V2\n"
	"  --no-dirops      without PARALLEL_DIROPS\n"
	"  --foreground     stay there\n";

struct arguments {
	struct floor_settings settings;
	struct channel_options channel;
	const char *log_path;
	const char *mountpoint;
	unsigned int threads;
	bool clone_fd;
	bool foreground;
};

static const struct option long_options[] = {
	{ "log", required_argument, NULL, 'l' },
	{ "threads", required_argument, NULL, 't' },
	{ "clone-fd", no_argument, NULL, 'c' },
	{ "spin", required_argument, NULL, 's' },
	{ "timeout", required_argument, NULL, 'T' },
	{ "readdirplus", required_argument, NULL, 'r' },
	{ "writeback", no_argument, NULL, 'w' },
	{ "serve-open", no_argument, NULL, 'O' },
	{ "serve-create", no_argument, NULL, 'C' },
	{ "serve-flush", no_argument, NULL, 'F' },
	{ "no-killpriv", no_argument, NULL, 'k' },
	{ "no-dirops", no_argument, NULL, 'd' },
	{ "foreground", no_argument, NULL, 'f' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void usage_exit(void)
{
	fputs(usage, stderr);
	exit(2);
}

static unsigned int parse_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value > 1000000)
		usage_exit();
	return (unsigned int)value;
}

static enum floor_readdirplus parse_readdirplus(const char *text)
{
	if (strcmp(text, "no") == 0)
		return FLOOR_READDIRPLUS_NO;
	if (strcmp(text, "auto") == 0)
		return FLOOR_READDIRPLUS_AUTO;
	if (strcmp(text, "always") != 0)
		usage_exit();
	return FLOOR_READDIRPLUS_ALWAYS;
}

static void apply_option(struct arguments *args, int option)
{
	struct floor_settings *settings = &args->settings;
	struct channel_options *channel = &args->channel;

	switch (option) {
	case 'l':
		args->log_path = optarg;
		break;
	case 't':
		args->threads = parse_number(optarg);
		break;
	case 'c':
		args->clone_fd = true;
		break;
	case 's':
		channel->spin_ns = parse_number(optarg) * 1000u;
		break;
	case 'T':
		settings->timeout_s = parse_number(optarg);
		break;
	case 'r':
		settings->readdirplus = parse_readdirplus(optarg);
		break;
	case 'w':
		settings->writeback = true;
		break;
	case 'O':
		settings->serve_open = true;
		break;
	case 'C':
		settings->serve_create = true;
		break;
	case 'F':
		settings->serve_flush = true;
		break;
	case 'k':
		channel->init_flags &= ~(uint64_t)FUSE_HANDLE_KILLPRIV_V2;
		break;
	case 'd':
		channel->init_flags &= ~(uint64_t)FUSE_PARALLEL_DIROPS;
		break;
	case 'f':
		args->foreground = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		usage_exit();
	}
}

static void parse_arguments(struct arguments *args, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		apply_option(args, option);
	if (optind + 1 != argc || args->threads == 0 ||
	    (args->log_path && args->log_path[0] != '/'))
		usage_exit();
	args->mountpoint = argv[optind];
}

static int run_loop(struct fuse_session *session, const struct arguments *args)
{
	struct fuse_loop_config *config;
	int error;

	if (args->threads == 1 && !args->clone_fd)
		return fuse_session_loop(session);
	config = fuse_loop_cfg_create();
	if (!config)
		return -ENOMEM;
	fuse_loop_cfg_set_max_threads(config, args->threads);
	fuse_loop_cfg_set_idle_threads(config, args->threads);
	fuse_loop_cfg_set_clone_fd(config, args->clone_fd);
	error = fuse_session_loop_mt(session, config);
	fuse_loop_cfg_destroy(config);
	return error;
}

static void reply_synced(void *waiter, int error)
{
	fuse_reply_err(waiter, -error);
}

static int run_mounted(struct fuse_session *session, struct floor *floor,
		       const struct arguments *args)
{
	int error = channel_install(session, &args->channel);

	/* The log's thread would not survive the fork. */
	if (!error && fuse_daemonize(args->foreground) != 0)
		error = -errno;
	if (!error && args->log_path)
		error = floor_log_open(args->log_path, reply_synced,
				       &floor->log);
	if (!error)
		error = run_loop(session, args);
	floor_log_close(floor->log);
	return error;
}

static int run_session(struct floor *floor, const struct arguments *args)
{
	char *fuse_argv[] = {
		strdup("floorfs"), strdup("-o"),
		strdup("fsname=floorfs,subtype=floorfs,default_permissions,"
		       "allow_other")
	};
	struct fuse_args fuse_args = FUSE_ARGS_INIT(3, fuse_argv);
	struct fuse_session *session;
	int error = -EINVAL;

	session = fuse_session_new(&fuse_args, &floor_ops, sizeof(floor_ops),
				   floor);
	if (session && fuse_set_signal_handlers(session) == 0) {
		if (fuse_session_mount(session, args->mountpoint) == 0) {
			error = run_mounted(session, floor, args);
			fuse_session_unmount(session);
		}
		fuse_remove_signal_handlers(session);
	}
	if (session)
		fuse_session_destroy(session);
	for (int i = 0; i < 3; i++)
		free(fuse_argv[i]);
	return error;
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.settings = {
			.timeout_s = 1e9,
			.readdirplus = FLOOR_READDIRPLUS_ALWAYS,
		},
		.channel.init_flags = FUSE_HANDLE_KILLPRIV_V2 |
				      FUSE_PARALLEL_DIROPS,
		.threads = 1,
	};
	struct floor floor = { .log = NULL };
	int error;

	parse_arguments(&args, argc, argv);
	floor.settings = args.settings;
	mutex_init(&floor.lock);
	error = tree_init(&floor.tree);
	if (!error)
		error = run_session(&floor, &args);
	if (args.foreground)
		fprintf(stderr, "floorfs: INIT flags added: %#" PRIx64 "\n",
			channel_init_flags());
	tree_release(&floor.tree);
	mutex_release(&floor.lock);
	if (error < 0)
		fprintf(stderr, "floorfs: %s\n", strerror(-error));
	return error ? 1 : 0;
}
