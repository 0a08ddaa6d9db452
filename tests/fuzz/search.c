/* SPDX-License-Identifier: MIT */

/* What libFuzzer's main() leaves out of a target: seeds come from replay.c. */

#include "tests/fuzz/fuzz.h"

void fuzz_put_seed(const char *name, const void *bytes, size_t size)
{
	(void)name;
	(void)bytes;
	(void)size;
}
