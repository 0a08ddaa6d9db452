/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What is looked at before anything is made or changed: are there the two
 * directories and /dev/fuse, and do they fit together? Also turns relative
 * paths into absolute ones, as a daemon leaves its working directory.
 */

#include <stdbool.h>

#include "fs/options.h"

struct preflight {
	char *store_path; /* absolute, links resolved */
	char *mountpoint;
	bool store_is_new; /* absent, or an empty directory */
};

/* 0; -errno with one line in *ret_error. */
int preflight_check(const struct options *options, struct preflight *preflight,
		    struct options_error *ret_error);
void preflight_release(struct preflight *preflight);
