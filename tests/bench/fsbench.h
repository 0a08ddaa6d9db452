/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What the phases of fsbench share: the directory under test, the sizes asked
 * for, and the names of the small files, made beforehand so that no phase pays
 * for formatting them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FSBENCH_NAME_MAX 32

struct fsbench {
	int dir_fd;        /* the directory under test */
	size_t file_count; /* small files, over all directories */
	size_t dir_count;
	size_t sync_count;   /* files of a create + fsync phase */
	size_t thread_count; /* of the phases with several */
	size_t append_count;
	uint64_t random_bytes;           /* size of the file of randwrite */
	size_t random_count;             /* writes of 4 KiB into it */
	uint64_t big_bytes;              /* size of the sequential file */
	char (*names)[FSBENCH_NAME_MAX]; /* file_count of "d0000/f000000" */
	char content[100];               /* of every small file */
};

/*
 * A measured piece of work. prepare (may be NULL) brings the directory into
 * the state that run needs and is not timed; `cold` empties the kernel's
 * caches before each run. run sets *ret_work to what it did, in the phase's
 * unit. What changes nothing and is short runs several times, which count as
 * one. Both return 0 or -errno.
 */
struct phase {
	const char *name;
	const char *unit; /* of the result: "ops/s" or "MB/s" */
	bool cold;
	unsigned int run_count;
	int (*prepare)(const struct fsbench *bench);
	int (*run)(const struct fsbench *bench, double *ret_work);
};

/* The phases in the order in which they run, ended by a NULL name. */
extern const struct phase fsbench_phases[];

/* Removes everything in the directory that dir_fd names. 0 or -errno. */
int tree_empty(int dir_fd);
