/* SPDX-License-Identifier: MIT */
#pragma once

/* Numbers on the command line of a test that can be told to do more. */

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t argument_number(int argc, char **argv, int index,
				       uint64_t otherwise)
{
	return argc > index ? strtoull(argv[index], NULL, 0) : otherwise;
}

/* The first one: a seed. 0 or none: one of the clock's. Never 0. */
static inline uint64_t argument_seed(int argc, char **argv)
{
	uint64_t seed = argument_number(argc, argv, 1, 0);

	return seed ? seed : (uint64_t)time(NULL);
}

/* The second one: of how many things one is tried. Never 0. */
static inline uint64_t argument_stride(int argc, char **argv,
				       uint64_t otherwise)
{
	uint64_t stride = argument_number(argc, argv, 2, otherwise);

	return stride ? stride : 1;
}
