/* SPDX-License-Identifier: MIT */
/*
 * enginebench: kvfs's engine beside other embedded stores, in one run on one
 * disk.
 *
 * 1. Stores take turns within a round, so that a change in the machine's mood
 *    meets all of them.
 * 2. Each workload of each store runs in child processes on an empty
 *    directory, removed afterwards.
 * 3. Each result is one line of tab-separated values: round, store, workload,
 *    value, unit. `report` makes tables and plots of them.
 */

#include "tests/bench/enginebench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char usage[] =
	"usage: enginebench [options] DIRECTORY\n"
	"Measures stores in subdirectories of DIRECTORY and prints\n"
	"tab-separated round, store, workload, value, unit.\n"
	"  --keys N       of the plain workloads (1000000)\n"
	"  --durable N    durable sets a thread (2000)\n"
	"  --threads N    of durable sets by several (8)\n"
	"  --open N[,N]   keys of the stores to open (none)\n"
	"  --rounds N     (5)\n"
	"  --stores A,B   only these\n"
	"  --work A,B     only sequential, random, durable, open, open2\n";

static const struct store_ops *const stores[] = {
	&bench_floor,   &bench_kvfs,
#ifdef HAVE_LEVELDB
	&bench_leveldb,
#endif
#ifdef HAVE_ROCKSDB
	&bench_rocksdb,
#endif
#ifdef HAVE_LMDB
	&bench_lmdb,
#endif
#ifdef HAVE_SQLITE
	&bench_sqlite,
#endif
	NULL,
};

struct arguments {
	struct plan plan;
	uint64_t rounds;
	const char *stores; /* NULL: all */
	const char *work;
	const char *dir;
};

void trial_report(const struct trial *trial, const char *name, double value,
		  const char *unit)
{
	printf("%" PRIu64 "\t%s\t%s\t%.3f\t%s\n", trial->plan->round,
	       trial->ops->name, name, value, unit);
	fflush(stdout);
}

/* Stores make no directories within theirs. */
static int dir_remove(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	return rmdir(path) ? -errno : 0;
}

/* Runs a part of a workload in a child. */
static int run_part(const struct workload *work, const struct trial *trial,
		    int (*part)(const struct trial *))
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		int error = part(trial);

		if (error)
			fprintf(stderr, "enginebench: %s: %s: %s\n",
				trial->ops->name, work->name, strerror(-error));
		_exit(error ? 1 : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	if (WIFSIGNALED(status))
		fprintf(stderr, "enginebench: %s: %s: signal %d\n",
			trial->ops->name, work->name, WTERMSIG(status));
	return status == 0 ? 0 : -EIO;
}

static int run_trial(const struct workload *work, const struct trial *trial)
{
	int error = 0;

	if (mkdir(trial->dir, 0700) != 0) {
		error = -errno;
		fprintf(stderr, "enginebench: %s: %s\n", trial->dir,
			strerror(errno));
		return error;
	}
	sync(); /* no store pays for the one before */
	if (work->prepare)
		error = run_part(work, trial, work->prepare);
	if (!error)
		error = run_part(work, trial, work->run);
	dir_remove(trial->dir);
	return error;
}

/* Whether the comma-separated list, or no list, holds the name. */
static bool list_has(const char *list, const char *name)
{
	size_t length = strlen(name);

	if (!list)
		return true;
	for (;;) {
		size_t here = strcspn(list, ",");

		if (here == length && memcmp(list, name, length) == 0)
			return true;
		if (!list[here])
			return false;
		list += here + 1;
	}
}

/* Whether a workload has anything to do. */
static bool is_asked(const struct arguments *args, const struct workload *work)
{
	if (strcmp(work->name, "open") == 0 && args->plan.open_count[0] == 0)
		return false;
	if (strcmp(work->name, "open2") == 0 && args->plan.open_count[1] == 0)
		return false;
	return list_has(args->work, work->name);
}

static int run_store(const struct arguments *args, const struct store_ops *ops)
{
	struct trial trial = { .plan = &args->plan, .ops = ops };
	char *dir;
	int error = 0;

	if (asprintf(&dir, "%s/%s.%d", args->dir, ops->name, getpid()) < 0)
		return -ENOMEM;
	trial.dir = dir;
	for (const struct workload *w = enginebench_workloads; w->name; w++) {
		if (is_asked(args, w) && run_trial(w, &trial) != 0)
			error = -EIO;
	}
	free(dir);
	return error;
}

static uint64_t parse_number(const char *text, char end)
{
	char *rest;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &rest, 10);
	if (errno || rest == text || (*rest && *rest != end) || value == 0 ||
	    value > 1000000000) {
		fprintf(stderr, "enginebench: not a usable number: %s\n", text);
		exit(2);
	}
	return value;
}

static void parse_open(struct plan *plan, const char *text)
{
	const char *comma = strchr(text, ',');

	plan->open_count[0] = parse_number(text, ',');
	if (comma)
		plan->open_count[1] = parse_number(comma + 1, '\0');
}

static const struct option long_options[] = {
	{ "keys", required_argument, NULL, 'k' },
	{ "durable", required_argument, NULL, 'd' },
	{ "threads", required_argument, NULL, 't' },
	{ "open", required_argument, NULL, 'o' },
	{ "rounds", required_argument, NULL, 'r' },
	{ "stores", required_argument, NULL, 's' },
	{ "work", required_argument, NULL, 'w' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void parse_arguments(struct arguments *args, int argc, char **argv)
{
	struct plan *plan = &args->plan;
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) !=
	       -1) {
		switch (option) {
		case 'k':
			plan->key_count = parse_number(optarg, '\0');
			break;
		case 'd':
			plan->durable_count = parse_number(optarg, '\0');
			break;
		case 't':
			plan->thread_count = parse_number(optarg, '\0');
			break;
		case 'o':
			parse_open(plan, optarg);
			break;
		case 'r':
			args->rounds = parse_number(optarg, '\0');
			break;
		case 's':
			args->stores = optarg;
			break;
		case 'w':
			args->work = optarg;
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
	if (optind + 1 != argc || plan->thread_count > 64) {
		fputs(usage, stderr);
		exit(2);
	}
	args->dir = argv[optind];
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.plan = {
			.key_count = 1000000,
			.durable_count = 2000,
			.thread_count = 8,
		},
		.rounds = 5,
	};
	int result = 0;

	parse_arguments(&args, argc, argv);
	for (uint64_t round = 1; round <= args.rounds; round++) {
		args.plan.round = round;
		for (size_t i = 0; stores[i]; i++) {
			if (list_has(args.stores, stores[i]->name) &&
			    run_store(&args, stores[i]) != 0)
				result = 1;
		}
	}
	return result;
}
