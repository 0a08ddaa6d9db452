/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * `mount -o remount`, which mount(8) hands on to kvfs: the flags that the kernel
 * keeps of a mount are changed in place. The daemon goes on as it is, with its
 * options.
 */

#include <stdbool.h>

#include "fs/options.h"

/* Were the options those of a mount that is there? */
bool remount_is_asked(const struct options *options);

/*
 * Changes the flags of the FUSE mount on options->mountpoint as the words say;
 * those not named stay. 0; -errno with one line in *ret_error: -EINVAL when
 * nothing is mounted there, -EPERM for who is not root.
 */
int remount(const struct options *options, struct options_error *ret_error);
