/* SPDX-License-Identifier: MIT */
#pragma once

/* The ioctls about partitions; see fs/ioctl.h. */

#include "fs/mount.h"

void op_partition_stat(const struct request *request);
/* The request of `task`, with the bytes that came with it. */
void op_partition_drop(struct task *task, const void *in, size_t in_size);
