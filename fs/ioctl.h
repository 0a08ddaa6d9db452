/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * What can be asked of a mounted store beyond system calls: ioctls on any file
 * or directory of the mount, usually its root. A plain header: no libfuse.
 *
 * Compaction, checks and scrubs are jobs: they run in the background, one at a time,
 * and are watched with KVFS_IOC_JOB_STATUS. The last job's status stays until
 * the next one starts. Only the mount's owner and root may use these, but for
 * KVFS_IOC_PARTITION: EPERM for others. ENOTTY: not a kvfs mount. All numbers are native-endian.
 */

#include <linux/ioctl.h>
#include <stdint.h>

enum kvfs_job_kind {
	KVFS_JOB_NONE, /* none since the mount */
	KVFS_JOB_COMPACT,
	KVFS_JOB_CHECK,
	KVFS_JOB_SCRUB,
};

enum kvfs_job_state {
	KVFS_JOB_IDLE, /* kind is KVFS_JOB_NONE */
	KVFS_JOB_RUNNING,
	KVFS_JOB_DONE, /* result and problem_count are final */
};

struct kvfs_info {
	uint32_t pid;       /* of the daemon, in its own namespace */
	uint32_t read_only; /* 1: mounted so, or turned so by a failure */
	uint32_t block_size_bytes;
	uint32_t protocol;    /* of these ioctls: KVFS_IOC_PROTOCOL */
	uint8_t uuid[16];     /* of the store */
	uint64_t reserved[4]; /* 0 */
};

struct kvfs_job_status {
	uint32_t kind;  /* enum kvfs_job_kind */
	uint32_t state; /* enum kvfs_job_state */
	uint64_t id;    /* 1, 2, ...: of which job this is */
	uint64_t done_bytes;
	uint64_t total_bytes;   /* 0: not known yet */
	uint64_t problem_count; /* of a check or scrub */
	int32_t result;         /* when done: 0, or a negative errno */
	uint32_t reserved[3];   /* 0 */
};

#define KVFS_PROBLEM_PATH_MAX 4096
#define KVFS_PROBLEM_WHAT_MAX 512
/* Of so many problems the text is kept; all are counted. */
#define KVFS_PROBLEM_KEPT_MAX 1000

struct kvfs_job_problem {
	uint64_t index;    /* in: 0 to problem_count - 1 */
	uint64_t ino;      /* 0: none to tell */
	uint32_t kind;     /* enum fs_problem_kind */
	uint32_t has_path; /* 0: there is none to tell */
	/* From the root, "" for the root itself; cut off when too long. */
	char path[KVFS_PROBLEM_PATH_MAX];
	char what[KVFS_PROBLEM_WHAT_MAX]; /* a sentence */
};

/* What became of a batch. */
struct kvfs_apply_result {
	int32_t error;   /* 0, or a negative errno: nothing was changed */
	uint32_t failed; /* the change it is about; their count: none */
};

#define KVFS_SCRUB_RESUME 1u

/* How a scrub is to be done. */
struct kvfs_scrub {
	uint64_t rate_bytes; /* a second; 0: as fast as it can */
	uint64_t flags;      /* KVFS_SCRUB_RESUME: where the last one stopped */
	uint64_t reserved[2]; /* 0 */
};

/* A partition (fs/partition.h); the settings as enums and levels there. */
struct kvfs_partition {
	uint32_t schema;         /* enum value_schema */
	uint32_t has_durability; /* 0: the mount's */
	uint32_t durability;     /* enum kv_durability */
	int32_t compress_level;  /* 0: the mount's; -1: none */
	uint64_t quota_bytes;    /* 0: none */
	uint64_t keys;
	uint64_t bytes;
	uint64_t operations; /* these since the mount */
	uint64_t writes;
	uint64_t value_bytes_raw;
	uint64_t value_bytes_stored;
	uint64_t reserved[5]; /* 0 */
};

struct kvfs_partition_name {
	char name[256]; /* in the root directory; ends with a NUL */
};

#define KVFS_IOC_PROTOCOL 1u

#define KVFS_IOC_INFO _IOR('k', 0x40, struct kvfs_info)
/* Starts a job. EBUSY while another runs, EROFS for a read-only mount. */
#define KVFS_IOC_COMPACT _IO('k', 0x41)
#define KVFS_IOC_CHECK _IO('k', 0x42)
/* Returns once what was done before is in the index on disk. */
#define KVFS_IOC_CHECKPOINT _IO('k', 0x43)
#define KVFS_IOC_JOB_STATUS _IOR('k', 0x44, struct kvfs_job_status)
/* A problem that the last check found. ENODATA past the last one kept. */
#define KVFS_IOC_JOB_PROBLEM _IOWR('k', 0x45, struct kvfs_job_problem)
/* Asks the running job to stop; its result is then -ECANCELED. */
#define KVFS_IOC_JOB_CANCEL _IO('k', 0x46)
/*
 * Applies the batch of changes that the file it is called on contains
 * (fs/apply_file.h): all of them or none, whoever has right to the directories.
 */
#define KVFS_IOC_APPLY _IOR('k', 0x47, struct kvfs_apply_result)
/*
 * Starts verifying all stored bytes, no faster than asked: a job as
 * KVFS_IOC_CHECK, which looks at how things refer to each other, too.
 */
#define KVFS_IOC_SCRUB _IOW('k', 0x48, struct kvfs_scrub)
/* KVFS_IOC_CHECK, but going on where the last one stopped. */
#define KVFS_IOC_CHECK_RESUME _IO('k', 0x58)
/*
 * Of the directory that it is called on, for anybody who can open it. ENODATA:
 * it is no partition's.
 */
#define KVFS_IOC_PARTITION _IOR('k', 0x49, struct kvfs_partition)
/* Drops a partition: at once; what was in it is deleted in the background.
 * ENOENT, ENODATA: there is none of that name. */
#define KVFS_IOC_PARTITION_DROP _IOW('k', 0x4a, struct kvfs_partition_name)
