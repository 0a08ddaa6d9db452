/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one handler of op_apply.c, which op_misc.c hands its ioctl.
 */

#include "fs/mount.h"

/* Answers KVFS_IOC_APPLY. `task` has the request; who asks has been checked. */
void op_apply(struct task *task);
