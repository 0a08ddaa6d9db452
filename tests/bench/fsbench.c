/* SPDX-License-Identifier: MIT */
/*
 * fsbench: what a directory's filesystem does in a second, phase by phase.
 *
 * Plain POSIX calls on any directory, so that every filesystem is asked the
 * same questions. This file owns the command line, the clock and the caches;
 * fsbench_phases.c owns the work.
 *
 * 1. Before each phase everything dirty is written out (sync), so that no
 *    phase pays for an earlier one.
 * 2. A cold phase starts with the kernel's caches dropped. That takes root. On
 *    a FUSE mount it drops the mount's pages, dentries and inodes too, so the
 *    daemon is asked for everything again.
 * 3. Each result is one line of tab-separated values:
 *    round, subject, workload, value, unit.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/fsbench.h"

/* Time for the daemon to work off the FORGETs that a cache drop sends. */
#define SETTLE_MS 200

static const char usage[] =
	"usage: fsbench [options] DIRECTORY\n"
	"Runs each phase in an empty DIRECTORY and prints tab-separated\n"
	"round, subject, workload, value, unit.\n"
	"  --files N     small files of 100 bytes (20000)\n"
	"  --dirs N      directories they are spread over (100)\n"
	"  --sync N      files of a create + fsync phase (2000)\n"
	"  --threads N   of the phases with several threads (8)\n"
	"  --append N    appends of 100 bytes (200000)\n"
	"  --random-mib N  size of the file written at random (256)\n"
	"  --random N    writes of 4 KiB into it (32768)\n"
	"  --big-mib N   size of the sequential file (1024)\n"
	"  --phases A,B  only these; --list names them\n"
	"  --round N     printed as it is (1)\n"
	"  --subject S   printed as it is (the directory)\n";

struct arguments {
	struct fsbench bench;
	const char *phases; /* NULL: all */
	const char *subject;
	uint64_t round;
};

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) != 0 && errno == EINTR)
		;
}

static int drop_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
	int error = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, "3\n", 2) != 2)
		error = -errno;
	close(fd);
	sleep_ms(SETTLE_MS);
	return error;
}

/* Runs a phase once and adds to what was done, and how long it took. 1: not
 * possible here. */
static int run_once(const struct arguments *args, const struct phase *phase,
		    double *work, double *seconds)
{
	double done = 0;
	int64_t begin;
	int error;

	if (phase->cold && drop_caches() != 0)
		return 1;
	begin = now_ns();
	error = phase->run(&args->bench, &done);
	*seconds += (double)(now_ns() - begin) / 1e9;
	*work += done;
	return error;
}

static int run_phase(const struct arguments *args, const struct phase *phase)
{
	double seconds = 0, work = 0;
	int result = 0;

	if (phase->prepare)
		result = phase->prepare(&args->bench);
	if (result)
		return result;
	sync();
	for (unsigned int i = 0; i < phase->run_count && !result; i++)
		result = run_once(args, phase, &work, &seconds);
	if (result == 1) {
		fprintf(stderr,
			"fsbench: %s: SKIP, caches can only be dropped"
			" by root\n",
			phase->name);
		return 0;
	}
	if (result)
		return result;
	printf("%" PRIu64 "\t%s\t%s\t%.1f\t%s\n", args->round, args->subject,
	       phase->name, work / seconds, phase->unit);
	return fflush(stdout) ? -errno : 0;
}

/* The element of a comma-separated list; moves *list behind it, at the end to
 * NULL. */
static size_t list_next(const char **list)
{
	size_t length = strcspn(*list, ",");

	*list = (*list)[length] ? *list + length + 1 : NULL;
	return length;
}

/* Whether the comma-separated list holds the name. */
static bool list_has(const char *list, const char *name)
{
	size_t length = strlen(name);

	while (list) {
		const char *at = list;

		if (list_next(&list) == length && memcmp(at, name, length) == 0)
			return true;
	}
	return false;
}

static void check_phases(const char *list)
{
	while (list) {
		const struct phase *p = fsbench_phases;
		const char *at = list;
		size_t length = list_next(&list);

		while (p->name && (strlen(p->name) != length ||
				   memcmp(p->name, at, length) != 0))
			p++;
		if (!p->name) {
			fprintf(stderr, "fsbench: no such phase: %.*s\n",
				(int)length, at);
			exit(2);
		}
	}
}

static int run_phases(const struct arguments *args)
{
	for (const struct phase *p = fsbench_phases; p->name; p++) {
		int error;

		if (args->phases && !list_has(args->phases, p->name))
			continue;
		error = run_phase(args, p);
		if (error) {
			fprintf(stderr, "fsbench: %s: %s\n", p->name,
				strerror(-error));
			return error;
		}
	}
	return tree_empty(args->bench.dir_fd);
}

static void list_phases(void)
{
	for (const struct phase *p = fsbench_phases; p->name; p++)
		printf("%s\t%s\n", p->name, p->unit);
}

static int make_names(struct fsbench *bench)
{
	bench->names = calloc(bench->file_count, sizeof(*bench->names));
	if (!bench->names)
		return -ENOMEM;
	for (size_t i = 0; i < bench->file_count; i++) {
		size_t dir = i * bench->dir_count / bench->file_count;

		snprintf(bench->names[i], FSBENCH_NAME_MAX, "d%04zu/f%06zu",
			 dir, i);
	}
	for (size_t i = 0; i < sizeof(bench->content); i++)
		bench->content[i] = (char)('!' + i * 7 % 90);
	return 0;
}

static uint64_t parse_number(const char *text)
{
	char *end;
	uint64_t value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || value == 0 || value > 1000000000) {
		fprintf(stderr, "fsbench: not a usable number: %s\n", text);
		exit(2);
	}
	return value;
}

static const struct option long_options[] = {
	{ "files", required_argument, NULL, 'f' },
	{ "dirs", required_argument, NULL, 'd' },
	{ "sync", required_argument, NULL, 's' },
	{ "threads", required_argument, NULL, 't' },
	{ "append", required_argument, NULL, 'a' },
	{ "random-mib", required_argument, NULL, 'R' },
	{ "random", required_argument, NULL, 'r' },
	{ "big-mib", required_argument, NULL, 'b' },
	{ "phases", required_argument, NULL, 'p' },
	{ "list", no_argument, NULL, 'l' },
	{ "round", required_argument, NULL, 'n' },
	{ "subject", required_argument, NULL, 'S' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void apply_option(struct arguments *args, int option)
{
	struct fsbench *bench = &args->bench;

	switch (option) {
	case 'f':
		bench->file_count = parse_number(optarg);
		break;
	case 'd':
		bench->dir_count = parse_number(optarg);
		break;
	case 's':
		bench->sync_count = parse_number(optarg);
		break;
	case 't':
		bench->thread_count = parse_number(optarg);
		break;
	case 'a':
		bench->append_count = parse_number(optarg);
		break;
	case 'R':
		bench->random_bytes = parse_number(optarg) << 20;
		break;
	case 'r':
		bench->random_count = parse_number(optarg);
		break;
	case 'b':
		bench->big_bytes = parse_number(optarg) << 20;
		break;
	case 'p':
		check_phases(optarg);
		args->phases = optarg;
		break;
	case 'n':
		args->round = parse_number(optarg);
		break;
	case 'S':
		args->subject = optarg;
		break;
	case 'l':
		list_phases();
		exit(0);
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

static void parse_arguments(struct arguments *args, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		apply_option(args, option);
	if (optind + 1 != argc || args->bench.file_count > 999999 ||
	    args->bench.dir_count > 9999 ||
	    args->bench.sync_count > args->bench.file_count ||
	    args->bench.thread_count > 64) {
		fputs(usage, stderr);
		exit(2);
	}
	if (!args->subject)
		args->subject = argv[optind];
}

int main(int argc, char **argv)
{
	struct arguments args = {
		.bench = {
			.dir_fd = -1,
			.file_count = 20000,
			.dir_count = 100,
			.sync_count = 2000,
			.thread_count = 8,
			.append_count = 200000,
			.random_bytes = 256 << 20,
			.random_count = 32768,
			.big_bytes = 1024 << 20,
		},
		.round = 1,
	};
	int error;

	parse_arguments(&args, argc, argv);
	args.bench.dir_fd =
		open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (args.bench.dir_fd < 0) {
		fprintf(stderr, "fsbench: %s: %s\n", argv[optind],
			strerror(errno));
		return 2;
	}
	error = make_names(&args.bench);
	if (!error)
		error = run_phases(&args);
	free(args.bench.names);
	close(args.bench.dir_fd);
	return error ? 1 : 0;
}
