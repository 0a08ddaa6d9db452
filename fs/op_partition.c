/* SPDX-License-Identifier: MIT */

/*
 * KVFS_IOC_PARTITION and KVFS_IOC_PARTITION_DROP. A drop takes a name away
 * that the kernel has to forget: so it is a worker's work, as in op_apply.c.
 */

#include <errno.h>
#include <string.h>

#include "fs/ioctl.h"
#include "fs/op_partition.h"
#include "fs/partition.h"

void op_partition_stat(const struct request *request)
{
	struct fs_partition partition;
	struct kvfs_partition reply;
	int error =
		fs_partition_stat(request->mount->fs, request->ino, &partition);

	if (error) {
		reply_error(request, error);
		return;
	}
	reply = (struct kvfs_partition){
		.schema = partition.settings.schema,
		.has_durability = partition.settings.has_durability,
		.durability = partition.settings.durability,
		.compress_level = partition.settings.compress_level,
		.quota_bytes = partition.settings.quota_bytes,
		.keys = partition.keys,
		.bytes = partition.bytes,
		.operations = partition.operations,
		.writes = partition.writes,
		.value_bytes_raw = partition.value_bytes_raw,
		.value_bytes_stored = partition.value_bytes_stored,
	};
	reply_ioctl(request, &reply, sizeof(reply));
}

static void drop_run(struct task *task)
{
	const struct request *request = &task->request;
	struct mount *mount = request->mount;
	size_t size = strlen(task->name);
	uint64_t ino = 0;
	int error =
		fs_partition_drop(mount->fs, slice_of(task->name, size), &ino);

	if (error) {
		reply_error(request, error);
		return;
	}
	/* Errors say that the kernel knew nothing of it. */
	(void)fuse_lowlevel_notify_inval_entry(mount->session, FS_ROOT_INO,
					       task->name, size);
	(void)fuse_lowlevel_notify_inval_inode(mount->session, FS_ROOT_INO, 0,
					       0);
	forgetter_add(mount->forgetter, ino);
	dropper_wake(mount->dropper);
	reply_ioctl(request, NULL, 0);
}

void op_partition_drop(struct task *task, const void *in, size_t in_size)
{
	const struct request *request = &task->request;
	struct kvfs_partition_name name;

	if (in_size < sizeof(name)) {
		reply_error(request, -EINVAL);
		return;
	}
	memcpy(&name, in, sizeof(name));
	name.name[sizeof(name.name) - 1] = 0;
	if (request->mount->options->read_only) {
		reply_error(request, -EROFS);
		return;
	}
	task->run = drop_run;
	task->name = name.name;
	task_start(task, TASK_WORKER);
}
