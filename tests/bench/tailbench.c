/* SPDX-License-Identifier: MIT */

/*
 * tailbench: how long requests wait while others work. One process asks for
 * what is in memory, over and over, past the kernel's caches: attributes (statx
 * with AT_STATX_FORCE_SYNC) and contents (a read of pages just dropped). Others
 * disturb it meanwhile. README.md tells which.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define FILE_COUNT 1000
#define SAMPLE_MAX 4000000u
#define CHUNK (128u << 10)
#define WRITE_BYTES (512u << 20)

static const char usage[] =
	"usage: tailbench [options] DIRECTORY\n"
	"Prints tab-separated round, subject, workload, value, unit.\n"
	"  --seconds N   under each disturbance (5)\n"
	"  --round N     printed as it is (1)\n"
	"  --subject S   printed as it is (the directory)\n"
	"  --run COMMAND one more disturbance, by sh, over and over\n";

struct settings {
	int dir_fd;
	unsigned int seconds;
	unsigned int round;
	const char *subject;
	const char *command;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "tailbench: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void name_file(char *ret_name, size_t size, const char *kind,
		      unsigned int number)
{
	snprintf(ret_name, size, "%s%06u", kind, number);
}

static void make_file(int dir_fd, const char *name)
{
	static const char content[4096] = "tail";
	int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
			0644);

	if (fd < 0 ||
	    write(fd, content, sizeof(content)) != (ssize_t)sizeof(content))
		fail(name);
	close(fd);
}

/* --- what disturbs; each for ever --- */

static void disturb_nothing(const struct settings *settings)
{
	(void)settings;
	pause();
}

static void disturb_write(const struct settings *settings)
{
	static char chunk[CHUNK];
	int fd = openat(settings->dir_fd, "written",
			O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (uint64_t at = 0;; at = (at + CHUNK) % WRITE_BYTES) {
		memset(chunk, (int)(at / CHUNK), sizeof(chunk));
		if (pwrite(fd, chunk, CHUNK, (off_t)at) != (ssize_t)CHUNK)
			fail("writing");
	}
}

static void disturb_fsync(const struct settings *settings)
{
	static char page[4096];
	int fd = openat(settings->dir_fd, "synced",
			O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	for (off_t at = 0;; at = (at + 4096) % (64 << 20))
		if (pwrite(fd, page, sizeof(page), at) !=
			    (ssize_t)sizeof(page) ||
		    fdatasync(fd))
			fail("syncing");
}

static void disturb_unlink(const struct settings *settings)
{
	char name[32];

	for (;;) {
		for (unsigned int i = 0; i < 2000; i++) {
			name_file(name, sizeof(name), "gone", i);
			make_file(settings->dir_fd, name);
		}
		for (unsigned int i = 0; i < 2000; i++) {
			name_file(name, sizeof(name), "gone", i);
			if (unlinkat(settings->dir_fd, name, 0))
				fail("unlinking");
		}
	}
}

static void disturb_command(const struct settings *settings)
{
	for (;;) {
		pid_t child = fork();

		if (child == 0) {
			execl("/bin/sh", "sh", "-c", settings->command,
			      (char *)NULL);
			fail("/bin/sh");
		}
		if (child < 0 || waitpid(child, NULL, 0) != child)
			fail("fork");
	}
}

struct disturbance {
	const char *name;
	void (*run)(const struct settings *settings);
};

static const struct disturbance disturbances[] = {
	{ "idle", disturb_nothing },    { "write", disturb_write },
	{ "fsync", disturb_fsync },     { "unlink", disturb_unlink },
	{ "command", disturb_command },
};

/* --- what is measured --- */

static void ask_attributes(int dir_fd, const char *name, int fd)
{
	struct statx st;

	(void)fd;
	if (statx(dir_fd, name, AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &st))
		fail("statx");
}

static void ask_contents(int dir_fd, const char *name, int fd)
{
	char page[4096];

	(void)dir_fd;
	(void)name;
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	if (pread(fd, page, sizeof(page), 0) != (ssize_t)sizeof(page))
		fail("read");
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print_part(const struct settings *settings, const char *kind,
		       const char *disturbance, const char *part, uint32_t ns)
{
	printf("%u\t%s\t%s %s %s\t%.3f\tus\n", settings->round,
	       settings->subject, disturbance, kind, part, ns / 1000.0);
}

static void measure(const struct settings *settings, const char *kind,
		    const char *disturbance,
		    void (*ask)(int dir_fd, const char *name, int fd))
{
	uint32_t *samples = calloc(SAMPLE_MAX, sizeof(*samples));
	uint64_t begin = now_ns(), at = begin;
	uint64_t end = begin + settings->seconds * UINT64_C(500000000);
	size_t count = 0;
	char name[32];

	if (!samples)
		fail("memory");
	while (at < end && count < SAMPLE_MAX) {
		uint64_t took;
		int fd;

		name_file(name, sizeof(name), "file",
			  (unsigned int)(count * 617 % FILE_COUNT));
		fd = openat(settings->dir_fd, name, O_RDONLY | O_CLOEXEC);
		at = now_ns();
		ask(settings->dir_fd, name, fd);
		took = now_ns() - at;
		samples[count++] = took > UINT32_MAX ? UINT32_MAX :
						       (uint32_t)took;
		close(fd);
	}
	qsort(samples, count, sizeof(*samples), compare);
	print_part(settings, kind, disturbance, "p50", samples[count / 2]);
	print_part(settings, kind, disturbance, "p99",
		   samples[count * 99 / 100]);
	print_part(settings, kind, disturbance, "p99.9",
		   samples[count * 999 / 1000]);
	print_part(settings, kind, disturbance, "max", samples[count - 1]);
	fflush(stdout);
	free(samples);
}

static void measure_under(const struct settings *settings,
			  const struct disturbance *disturbance)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		setpgid(0, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		disturbance->run(settings);
		_exit(0);
	}
	setpgid(child, child);
	measure(settings, "stat", disturbance->name, ask_attributes);
	measure(settings, "read", disturbance->name, ask_contents);
	kill(-child, SIGKILL);
	waitpid(child, NULL, 0);
}

static unsigned int parse_number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (end == text || *end || value == 0 || value > 3600) {
		fprintf(stderr, "tailbench: not a usable number: %s\n", text);
		exit(2);
	}
	return (unsigned int)value;
}

static void parse_arguments(struct settings *settings, int argc, char **argv)
{
	static const struct option options[] = {
		{ "seconds", required_argument, NULL, 's' },
		{ "round", required_argument, NULL, 'n' },
		{ "subject", required_argument, NULL, 'S' },
		{ "run", required_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's') {
			settings->seconds = parse_number(optarg);
		} else if (option == 'n') {
			settings->round = parse_number(optarg);
		} else if (option == 'S') {
			settings->subject = optarg;
		} else if (option == 'r') {
			settings->command = optarg;
		} else {
			fputs(usage, option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (optind + 1 != argc) {
		fputs(usage, stderr);
		exit(2);
	}
	if (!settings->subject)
		settings->subject = argv[optind];
}

int main(int argc, char **argv)
{
	struct settings settings = { .seconds = 5, .round = 1 };
	size_t count = sizeof(disturbances) / sizeof(disturbances[0]);
	char name[32];

	parse_arguments(&settings, argc, argv);
	settings.dir_fd =
		open(argv[optind], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (settings.dir_fd < 0)
		fail(argv[optind]);
	for (unsigned int i = 0; i < FILE_COUNT; i++) {
		name_file(name, sizeof(name), "file", i);
		make_file(settings.dir_fd, name);
	}
	for (size_t i = 0; i < count; i++)
		if (disturbances[i].run != disturb_command || settings.command)
			measure_under(&settings, &disturbances[i]);
	close(settings.dir_fd);
	return 0;
}
